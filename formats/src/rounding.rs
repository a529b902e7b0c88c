//! Rounding: the one place of the reference path where bits are dropped.
//!
//! A [`Grid`] says which real numbers are representable by two facts: how many significant bits at most, and which
//! power of two is the smallest position. [`Grid::round`] takes an exact number to the grid and says what was lost.
//! Range is not its business: overflow belongs to the scalar format ([`Overflow`]).

use crate::{Error, Exact};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// What becomes of a number between two representable ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rounding {
    /// To the nearer one; halfway: to the one with an even last bit (IEEE 754 roundTiesToEven).
    NearestEven,
    /// To the nearer one; halfway: away from zero (IEEE 754 roundTiesToAway).
    NearestAway,
    /// To the one of smaller magnitude (IEEE 754 roundTowardZero).
    TowardZero,
    /// To the greater one (IEEE 754 roundTowardPositive).
    Up,
    /// To the lesser one (IEEE 754 roundTowardNegative).
    Down,
    /// To the one with an odd last bit (von Neumann rounding).
    ToOdd,
    /// To the one of greater magnitude if the lost part, cut to this many bits (1 to 32), and as many random bits sum
    /// to one unit or more; else to the other. A scalar rounds by the nearest of those numbers under any other.
    Stochastic(u32),
}

impl Rounding {
    /// Every rounding that draws no random bits, for sweeps.
    pub const ALL: [Self; 6] =
        [Self::NearestEven, Self::NearestAway, Self::TowardZero, Self::Up, Self::Down, Self::ToOdd];

    /// This rounding with the random bits that it may need, the upper ones of `random`.
    pub const fn drawing(self, random: u32) -> Draw {
        Draw { rounding: self, random }
    }

    /// Whether it needs no random bits.
    pub const fn is_deterministic(self) -> bool {
        !matches!(self, Self::Stochastic(_))
    }

    /// Why the rounding cannot be, if it cannot.
    pub(crate) const fn problem(self) -> Option<&'static str> {
        match self {
            Self::Stochastic(0) | Self::Stochastic(33..) => Some("stochastic rounding draws 1 to 32 bits"),
            _ => None,
        }
    }
}

impl fmt::Display for Rounding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::NearestEven => f.write_str("nearest-even"),
            Self::NearestAway => f.write_str("nearest-away"),
            Self::TowardZero => f.write_str("toward-zero"),
            Self::Up => f.write_str("up"),
            Self::Down => f.write_str("down"),
            Self::ToOdd => f.write_str("to-odd"),
            Self::Stochastic(bits) => write!(f, "stochastic-{bits}"),
        }
    }
}

impl FromStr for Rounding {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wanted = text.trim().to_ascii_lowercase();
        let stochastic = match wanted.strip_prefix("stochastic") {
            Some("") => Some(Self::Stochastic(16)),
            Some(bits) => bits.strip_prefix('-').and_then(|b| b.parse().ok()).map(Self::Stochastic),
            None => None,
        };
        let named = Self::ALL.into_iter().find(|r| r.to_string() == wanted);
        named.or(stochastic.filter(|r| r.problem().is_none())).ok_or_else(|| Error::UnknownRounding(text.to_owned()))
    }
}

impl Serialize for Rounding {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rounding {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

/// The random bits that stochastic rounding draws where it is asked for so many: a word has 32.
pub(crate) const fn drawn(bits: u32) -> u32 {
    match bits {
        0 => 1,
        1..=32 => bits,
        _ => 32,
    }
}

/// A rounding and the random bits of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    rounding: Rounding,
    random: u32,
}

impl From<Rounding> for Draw {
    /// Without random bits: stochastic rounding then truncates.
    fn from(rounding: Rounding) -> Self {
        rounding.drawing(0)
    }
}

impl Draw {
    /// Whether a magnitude with last bit `odd` grows by one unit in the last place; `tail` is what fell off.
    const fn grows(self, tail: &Tail, odd: bool, negative: bool) -> bool {
        let lost = tail.lost;
        match self.rounding {
            _ if matches!(lost, Lost::Nothing) => false,
            Rounding::NearestEven => matches!(lost, Lost::AboveHalf) || (matches!(lost, Lost::Half) && odd),
            Rounding::NearestAway => matches!(lost, Lost::Half | Lost::AboveHalf),
            Rounding::TowardZero => false,
            Rounding::Up => !negative,
            Rounding::Down => negative,
            Rounding::ToOdd => !odd,
            Rounding::Stochastic(bits) => {
                let bits = drawn(bits);
                tail.leading(bits) + (self.random >> (32 - bits)) as u64 >= 1 << bits
            }
        }
    }

    /// Whether a magnitude beyond the largest number is to stay at it although infinity is at hand (IEEE 754, 7.4).
    pub(crate) const fn stays_finite(self, negative: bool) -> bool {
        match self.rounding {
            Rounding::TowardZero | Rounding::ToOdd => true,
            Rounding::Up => negative,
            Rounding::Down => !negative,
            Rounding::NearestEven | Rounding::NearestAway | Rounding::Stochastic(_) => false,
        }
    }
}

/// What becomes of a rounded number beyond the largest finite one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Overflow {
    /// The largest finite number of the same sign; infinities too.
    Saturate,
    /// Infinity where the format has one (under a rounding toward it, IEEE 754, 7.4), else NaN, else the largest.
    Infinity,
    /// NaN where the format has one, else the largest finite number.
    Nan,
    /// Integers: modulo 2^bits. Infinities saturate.
    Wrap,
}

/// What truncation threw away, in units of the last kept position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lost {
    /// Nothing: the number was on the grid.
    Nothing,
    /// More than nothing, less than half.
    BelowHalf,
    /// Exactly half.
    Half,
    /// More than half.
    AboveHalf,
}

/// The representable numbers: multiples of a power of two with a bounded number of significant bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Grid {
    /// Significant bits at most (hidden bit included); `None` for fixed point.
    pub precision: Option<u32>,
    /// Exponent of the smallest position: every number is a multiple of 2^`lsb_min`.
    pub lsb_min: i32,
}

impl Grid {
    /// The number on the grid that `draw` chooses for `x`, and what truncation to it would have lost.
    ///
    /// The result may need one bit more than `precision` only as a power of two, which is on the grid.
    pub fn round(self, x: Exact, draw: impl Into<Draw>) -> (Exact, Lost) {
        let Some(leading) = x.leading_exponent() else { return (x, Lost::Nothing) };
        let lsb = match self.precision {
            Some(bits) => self.lsb_min.max(leading.saturating_sub(bits as i32 - 1)),
            None => self.lsb_min,
        };
        if lsb <= x.exponent {
            return (x, Lost::Nothing);
        }
        let (kept, tail) = split(x.significand, lsb.abs_diff(x.exponent));
        let grown = u128::from(draw.into().grows(&tail, kept & 1 == 1, x.negative));
        (Exact { negative: x.negative, significand: kept + grown, exponent: lsb }, tail.lost)
    }
}

/// What fell off: the integer `rest` in units of 2^-`shift` of the last kept position.
struct Tail {
    rest: u128,
    shift: u32,
    lost: Lost,
}

impl Tail {
    /// The first `bits` bits of the fraction.
    const fn leading(&self, bits: u32) -> u64 {
        let fraction = if self.shift < bits {
            self.rest << (bits - self.shift)
        } else {
            match self.rest.checked_shr(self.shift - bits) {
                Some(fraction) => fraction,
                None => 0,
            }
        };
        fraction as u64
    }
}

/// `significand >> shift`, and what fell off. `shift` is at least 1.
fn split(significand: u128, shift: u32) -> (u128, Tail) {
    if shift > 128 {
        let lost = if significand == 0 { Lost::Nothing } else { Lost::BelowHalf };
        return (0, Tail { rest: significand, shift, lost });
    }
    let half = 1u128 << (shift - 1);
    let kept = significand.checked_shr(shift).unwrap_or(0);
    let rest = significand & (half | (half - 1));
    let lost = match rest.cmp(&half) {
        _ if rest == 0 => Lost::Nothing,
        std::cmp::Ordering::Less => Lost::BelowHalf,
        std::cmp::Ordering::Equal => Lost::Half,
        std::cmp::Ordering::Greater => Lost::AboveHalf,
    };
    (kept, Tail { rest, shift, lost })
}
