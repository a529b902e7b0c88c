//! A number that is not known exactly.

use serde::{Deserialize, Serialize};
use std::iter::Sum;
use std::ops::{Add, Mul};

/// A number with the range that its sources leave open: `low <= typical <= high`.
///
/// Sums add the ends: what is uncertain here is mostly common to all parts (node, library, supply), so nothing averages
/// out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The figure to print.
    pub typical: f64,
    /// The least that a source supports.
    pub low: f64,
    /// The most that a source supports.
    pub high: f64,
}

impl Band {
    /// A number without doubt.
    pub const fn exact(typical: f64) -> Self {
        Self { typical, low: typical, high: typical }
    }

    /// A number between `low * typical` and `high * typical`.
    pub const fn within(typical: f64, low: f64, high: f64) -> Self {
        Self { typical, low: typical * low, high: typical * high }
    }

    /// The product with a factor that is not known exactly either.
    pub const fn scaled(self, factor: Self) -> Self {
        Self { typical: self.typical * factor.typical, low: self.low * factor.low, high: self.high * factor.high }
    }

    /// Whether the three are finite, not negative and in order.
    pub fn is_sound(self) -> bool {
        0.0 <= self.low && self.low <= self.typical && self.typical <= self.high && self.high.is_finite()
    }
}

impl Add for Band {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { typical: self.typical + other.typical, low: self.low + other.low, high: self.high + other.high }
    }
}

impl Sum for Band {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}

/// So many of it; a factor below zero has no meaning here.
impl Mul<f64> for Band {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self { typical: self.typical * factor, low: self.low * factor, high: self.high * factor }
    }
}
