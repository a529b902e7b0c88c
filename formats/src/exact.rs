//! Exact real values: sign x integer x 2^exponent.
//!
//! Invariant: nothing in this module rounds. A value becomes narrower only in [`Grid::round`](crate::Grid::round).
//! Arithmetic on these values is not offered: formats need scaling by powers of two, comparison and rounding, no more.

use crate::{Overflow, Rounding, scalar};
use std::cmp::Ordering;

/// A finite real number `(-1)^negative * significand * 2^exponent`. Zero keeps its sign.
///
/// Two different triples may be the same number (`1 * 2^1` and `2 * 2^0`); compare with [`Exact::same_value`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exact {
    /// The sign; also set for -0.
    pub negative: bool,
    /// The magnitude's integer part of the product.
    pub significand: u128,
    /// The power of two.
    pub exponent: i32,
}

impl Exact {
    /// Positive zero.
    pub const ZERO: Self = Self { negative: false, significand: 0, exponent: 0 };

    /// The integer `value`.
    pub const fn integer(value: i64) -> Self {
        Self { negative: value < 0, significand: value.unsigned_abs() as u128, exponent: 0 }
    }

    /// Whether the number is +0 or -0.
    pub const fn is_zero(self) -> bool {
        self.significand == 0
    }

    /// The exponent of the leading bit, floor(log2 |x|); `None` for zero.
    pub const fn leading_exponent(self) -> Option<i32> {
        match self.significand.checked_ilog2() {
            Some(top) => Some(self.exponent.saturating_add(top as i32)),
            None => None,
        }
    }

    /// The number times 2^`power`: exact, since only the exponent moves.
    pub const fn scaled(self, power: i32) -> Self {
        Self { exponent: self.exponent.saturating_add(power), ..self }
    }

    /// Orders by magnitude, whatever the signs.
    pub fn cmp_magnitude(self, other: Self) -> Ordering {
        let aligned = |x: Self| x.significand << x.significand.leading_zeros().min(127);
        self.leading_exponent().cmp(&other.leading_exponent()).then_with(|| aligned(self).cmp(&aligned(other)))
    }

    /// Whether both are the same real number (+0 equals -0).
    pub fn same_value(self, other: Self) -> bool {
        self.cmp_magnitude(other).is_eq() && (self.negative == other.negative || self.is_zero())
    }
}

/// What a code can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A real number.
    Finite(Exact),
    /// An infinity.
    Infinite {
        /// The sign.
        negative: bool,
    },
    /// Not a number; payloads are not kept.
    Nan,
}

impl Value {
    /// The exact value of an FP32 number.
    pub fn from_f32(x: f32) -> Self {
        scalar::FP32.decode(u64::from(x.to_bits()))
    }

    /// The nearest FP32 number, ties to even; beyond the largest one an infinity.
    pub fn to_f32(self) -> f32 {
        let code = scalar::FP32.encode(self, Rounding::NearestEven, Overflow::Infinity);
        code.map_or(f32::NAN, |c| f32::from_bits(c as u32))
    }

    /// The nearest FP64 number, ties to even; beyond the largest one an infinity.
    pub fn to_f64(self) -> f64 {
        let code = scalar::FP64.encode(self, Rounding::NearestEven, Overflow::Infinity);
        code.map_or(f64::NAN, f64::from_bits)
    }

    /// The real number, if it is one.
    pub const fn finite(self) -> Option<Exact> {
        match self {
            Self::Finite(x) => Some(x),
            Self::Infinite { .. } | Self::Nan => None,
        }
    }
}
