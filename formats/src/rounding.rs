//! Rounding: the one place of the reference path where bits are dropped.
//!
//! A [`Grid`] says which real numbers are representable by two facts: how many significant bits at most, and which
//! power of two is the smallest position. [`Grid::round`] takes an exact number to the grid and says what was lost.
//! Range is not its business: overflow belongs to the scalar format ([`Overflow`]).

use crate::Exact;
use serde::Serialize;

/// What becomes of a number between two representable ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
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
}

impl Rounding {
    /// Every rounding, for sweeps.
    pub const ALL: [Self; 6] =
        [Self::NearestEven, Self::NearestAway, Self::TowardZero, Self::Up, Self::Down, Self::ToOdd];

    /// Whether a magnitude with last bit `odd` that lost `lost` grows by one unit in the last place.
    const fn grows(self, lost: Lost, odd: bool, negative: bool) -> bool {
        match self {
            _ if matches!(lost, Lost::Nothing) => false,
            Self::NearestEven => matches!(lost, Lost::AboveHalf) || (matches!(lost, Lost::Half) && odd),
            Self::NearestAway => matches!(lost, Lost::Half | Lost::AboveHalf),
            Self::TowardZero => false,
            Self::Up => !negative,
            Self::Down => negative,
            Self::ToOdd => !odd,
        }
    }
}

/// What becomes of a rounded number beyond the largest finite one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// The largest finite number of the same sign; infinities too.
    Saturate,
    /// Infinity where the format has one, else NaN, else the largest finite number.
    Special,
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
    /// The exponent of the smallest position: every number is a multiple of 2^`lsb_min`.
    pub lsb_min: i32,
}

impl Grid {
    /// The number on the grid that `rounding` chooses for `x`, and what truncation to it would have lost.
    ///
    /// The result may need one bit more than `precision` only as a power of two, which is on the grid.
    pub fn round(self, x: Exact, rounding: Rounding) -> (Exact, Lost) {
        let Some(leading) = x.leading_exponent() else { return (x, Lost::Nothing) };
        let lsb = match self.precision {
            Some(bits) => self.lsb_min.max(leading.saturating_sub(bits as i32 - 1)),
            None => self.lsb_min,
        };
        if lsb <= x.exponent {
            return (x, Lost::Nothing);
        }
        let (kept, lost) = split(x.significand, lsb.abs_diff(x.exponent));
        let grown = u128::from(rounding.grows(lost, kept & 1 == 1, x.negative));
        (Exact { negative: x.negative, significand: kept + grown, exponent: lsb }, lost)
    }
}

/// `significand >> shift`, and what fell off. `shift` is at least 1.
fn split(significand: u128, shift: u32) -> (u128, Lost) {
    if shift > 128 {
        return (0, if significand == 0 { Lost::Nothing } else { Lost::BelowHalf });
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
    (kept, lost)
}
