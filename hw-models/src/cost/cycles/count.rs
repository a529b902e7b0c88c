//! Whole numbers that remember an overflow, so that a closed form reads as one and is checked once, at its end.

use super::Refusal;
use std::ops::{Add, Mul, Sub};

/// A count, or the knowledge that it was too large (or below zero) somewhere on the way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(Option<u128>);

impl Count {
    /// The 64-bit number, or what did not fit.
    pub fn of(self, quantity: &'static str) -> Result<u64, Refusal> {
        self.0.and_then(|count| count.try_into().ok()).ok_or(Refusal::TooLarge(quantity))
    }

    /// Quotient rounded up.
    pub fn div_ceil(self, by: impl Into<Self>) -> Self {
        self.zip(by.into(), |a, b| (b > 0).then(|| a.div_ceil(b)))
    }

    /// Quotient rounded down.
    pub fn div(self, by: impl Into<Self>) -> Self {
        self.zip(by.into(), u128::checked_div)
    }

    fn zip(self, other: Self, join: impl Fn(u128, u128) -> Option<u128>) -> Self {
        Self(self.0.zip(other.0).and_then(|(a, b)| join(a, b)))
    }
}

impl From<u64> for Count {
    fn from(count: u64) -> Self {
        Self(Some(count.into()))
    }
}

impl<T: Into<Self>> Add<T> for Count {
    type Output = Self;

    fn add(self, other: T) -> Self {
        self.zip(other.into(), u128::checked_add)
    }
}

impl<T: Into<Self>> Sub<T> for Count {
    type Output = Self;

    fn sub(self, other: T) -> Self {
        self.zip(other.into(), u128::checked_sub)
    }
}

impl<T: Into<Self>> Mul<T> for Count {
    type Output = Self;

    fn mul(self, other: T) -> Self {
        self.zip(other.into(), u128::checked_mul)
    }
}
