//! Exact sums of products, and the one place of this crate that rounds them.
//!
//! A [`Sum`] is a fixed-point register so wide that no product of two finite `f64` is out of its range (Kulisch's long
//! accumulator): adding loses nothing, in any order, and [`Sum::round`] rounds once, to nearest, ties to even.
//! It is the obvious version that judges every fast kernel, so it has no fast paths of its own.

use interplay_formats::Exact;
use std::ops::Range;

/// Digits of 32 bits in the register.
const DIGITS: usize = 136;
/// The register's lowest bit weighs `2^LOWEST`; the smallest product of two `f64` is 2^-2148.
const LOWEST: i32 = -2208;

/// An exact sum of numbers that lie between 2^-2208 and 2^2048 in magnitude, as products of two `f64` do.
///
/// Room: the register ends at 2^2144, so the value of up to 2^31 terms cannot overflow; each digit is held in 64 bits
/// and grows by less than 2^32 a term, so 2^31 terms fit before digits would.
///
/// ```
/// let mut sum = interplay_hw::exact::Sum::new();
/// sum.add_product(1e30, 1e8);
/// sum.add_product(1.0, 0.1);
/// sum.add_product(-1e30, 1e8);
/// assert_eq!(sum.round(0), 0.1);
/// ```
#[derive(Clone, Debug)]
pub struct Sum {
    digits: [i64; DIGITS],
    /// The digits that were added to: all others are zero.
    used: Range<usize>,
    /// IEEE sum of the products that an infinity or a NaN took part in; it decides the result when present.
    special: Option<f32>,
}

impl Default for Sum {
    fn default() -> Self {
        Self::new()
    }
}

impl Sum {
    /// The empty sum, +0.
    pub const fn new() -> Self {
        Self { digits: [0; DIGITS], used: Range { start: DIGITS, end: 0 }, special: None }
    }

    /// Whether numbers with a last place of at least `2^low` and a magnitude below `2^high` can be added.
    pub const fn holds(low: i32, high: i32) -> bool {
        low >= LOWEST && high <= 2048
    }

    /// Adds `a * b` without rounding.
    pub fn add_product(&mut self, a: f32, b: f32) {
        if !(a.is_finite() && b.is_finite()) {
            self.special = Some(self.special.unwrap_or(0.0) + a * b);
            return;
        }
        let (a, b) = (Dyadic::from(a), Dyadic::from(b));
        self.add(Exact {
            negative: a.negative != b.negative,
            significand: u128::from(a.significand) * u128::from(b.significand),
            exponent: a.exponent + b.exponent,
        });
    }

    /// Adds a number for which [`Sum::holds`].
    ///
    /// # Panics
    /// Where it does not hold the number.
    pub fn add(&mut self, x: Exact) {
        if x.is_zero() {
            return;
        }
        // A significand may end in zeros that lie below the register.
        let zeros = x.significand.trailing_zeros();
        let (significand, exponent) = (x.significand >> zeros, x.exponent + zeros as i32);
        let offset = usize::try_from(exponent - LOWEST).expect("a last place that the register has");
        let first = offset / 32;
        let chunks = (128 - significand.leading_zeros() + offset as u32 % 32).div_ceil(32) as usize;
        for (place, digit) in self.digits[first..first + chunks].iter_mut().enumerate() {
            let part = match 32 * place as i32 - (offset % 32) as i32 {
                down @ 0.. => significand >> down,
                up => significand << -up,
            };
            let part = i64::from(part as u32);
            *digit += if x.negative { -part } else { part };
        }
        self.used = self.used.start.min(first)..self.used.end.max(first + chunks);
    }

    /// The sum times `2^scale`, rounded once to FP32 (nearest, ties to even; overflow gives infinity).
    ///
    /// An exact zero is +0 whatever the signs of its terms. Products with infinities or NaN follow IEEE 754; a NaN is the
    /// canonical one.
    pub fn round(&self, scale: i32) -> f32 {
        if let Some(special) = self.special {
            return canonical(special);
        }
        let (x, sticky) = self.leading();
        round(x.negative, x.significand, x.exponent + scale, sticky)
    }

    /// The sum, if at most 96 bits are between its first and its last one; else its first 96 bits or more, and below
    /// them one bit that says that there are others. Rounding to 64 bits or fewer does not see the difference.
    pub fn value(&self) -> Exact {
        let (x, sticky) = self.leading();
        if sticky { Exact { significand: x.significand << 1 | 1, exponent: x.exponent - 1, ..x } } else { x }
    }

    /// The first four digits that are not zero, and whether any below is not.
    fn leading(&self) -> (Exact, bool) {
        let (negative, digits) = self.magnitude();
        let Some(top) = digits.iter().rposition(|&digit| digit != 0) else { return (Exact::ZERO, false) };
        // Four digits leave room for one more bit where the first one's highest bit is free; three always do.
        let low = top.saturating_sub(if digits[top] >> 31 == 1 { 2 } else { 3 });
        let significand = digits[low..=top].iter().rev().fold(0u128, |acc, &digit| acc << 32 | u128::from(digit));
        let sticky = digits[..low].iter().any(|&digit| digit != 0);
        let exponent = LOWEST + 32 * (self.used.start.min(DIGITS) + low) as i32;
        (Exact { negative, significand, exponent }, sticky)
    }

    /// Sign and magnitude of the used digits and two above, with every digit brought into 0..2^32.
    fn magnitude(&self) -> (bool, Vec<u32>) {
        if self.used.is_empty() {
            return (false, Vec::new());
        }
        let mut carry = 0i64;
        let mut digits: Vec<u32> = self.digits[self.used.start..(self.used.end + 2).min(DIGITS)]
            .iter()
            .map(|digit| {
                let sum = digit + carry;
                carry = sum >> 32;
                sum as u32
            })
            .collect();
        let negative = carry < 0;
        if negative {
            let mut carry = 1u64;
            for digit in &mut digits {
                let sum = u64::from(!*digit) + carry;
                *digit = sum as u32;
                carry = sum >> 32;
            }
        }
        (negative, digits)
    }
}

/// A finite `f32` as sign * significand * 2^exponent, by its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dyadic {
    /// Sign bit.
    pub negative: bool,
    /// Integer below 2^24; 0 for zeros.
    pub significand: u32,
    /// Weight of the significand's last bit, -149 to 104.
    pub exponent: i32,
}

impl From<f32> for Dyadic {
    /// The value of a finite `x`; infinities and NaN have none, and give numbers without a meaning.
    fn from(x: f32) -> Self {
        let bits = x.to_bits();
        let (field, fraction) = ((bits >> 23 & 0xff) as i32, bits & 0x7f_ffff);
        let hidden = u32::from(field != 0) << 23;
        Self { negative: bits >> 31 == 1, significand: hidden | fraction, exponent: field.max(1) - 150 }
    }
}

/// Rounds ±(significand + "something below its last bit" if `sticky`) * 2^exponent to FP32, nearest, ties to even.
///
/// A `sticky` tail is legal only below at least 25 significant bits, so that it is always part of what is dropped.
pub fn round(negative: bool, significand: u128, exponent: i32, sticky: bool) -> f32 {
    if significand == 0 {
        return 0.0;
    }
    let top = exponent + 127 - significand.leading_zeros() as i32;
    let last = (top - 23).max(-149);
    let kept = match last - exponent {
        up @ ..=0 => significand << -up,
        129.. => 0,
        down => {
            let kept = if down == 128 { 0 } else { significand >> down };
            let dropped = significand << (128 - down);
            let half = 1u128 << 127;
            let away = dropped > half || dropped == half && (sticky || kept & 1 == 1);
            kept + u128::from(away)
        }
    };
    // The hidden bit of a normal number, and a carry out of the significand, both add one to the exponent field.
    let bits = (i64::from(last + 149) << 23) + kept as i64;
    let bits = bits.min(0x7f80_0000) as u32;
    f32::from_bits(bits | u32::from(negative) << 31)
}

/// `x`, with every NaN replaced by the quiet NaN 0x7fc00000, so that results do not depend on the host's NaN payloads.
#[inline(always)]
pub fn canonical(x: f32) -> f32 {
    if x.is_nan() { f32::from_bits(0x7fc0_0000) } else { x }
}

/// `2^exponent` as an exact `f64`, for exponents -1022 to 1023.
pub fn power_of_two(exponent: i32) -> f64 {
    debug_assert!((-1022..=1023).contains(&exponent), "2^{exponent} is not a normal f64");
    f64::from_bits(((exponent + 1023) as u64) << 52)
}
