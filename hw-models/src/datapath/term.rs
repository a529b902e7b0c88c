//! What flows through a unit: a value and the exponent that it is aligned by.

use super::record::{ElementExponent, Overflow, Port, Round, Subnormals};
use interplay_formats::{Encoding, Exact, Lost, Range, Rounding, Scalar, Value};

/// The exponent of a zero: below every other.
pub(crate) const NO_EXPONENT: i32 = i32::MIN / 4;

/// A value on its way, exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Term {
    /// The value.
    pub value: Value,
    /// What it is aligned by; [`NO_EXPONENT`] for zeros, infinities and NaN.
    pub exponent: i32,
}

impl Term {
    /// +0.
    pub const ZERO: Self = Self { value: Value::Finite(Exact::ZERO), exponent: NO_EXPONENT };

    /// A value of a format: subnormals have the exponent of the smallest normal number.
    pub fn of(value: Value, emin: i32) -> Self {
        let leading = value.finite().and_then(Exact::leading_exponent);
        Self { value, exponent: leading.map_or(NO_EXPONENT, |e| e.max(emin)) }
    }

    /// The exact product.
    pub fn times(self, other: Self) -> Self {
        let value = match (self.value, other.value) {
            (Value::Finite(a), Value::Finite(b)) => {
                // Without trailing zeros two FP64 numbers, or an element and its scale, need 106 bits at most.
                let (a, b) = (odd(a), odd(b));
                Value::Finite(Exact {
                    negative: a.negative != b.negative,
                    significand: a.significand * b.significand,
                    exponent: a.exponent + b.exponent,
                })
            }
            (Value::Infinite { negative }, Value::Finite(x)) | (Value::Finite(x), Value::Infinite { negative })
                if !x.is_zero() =>
            {
                Value::Infinite { negative: negative != x.negative }
            }
            (Value::Infinite { negative: a }, Value::Infinite { negative: b }) => Value::Infinite { negative: a != b },
            _ => Value::Nan,
        };
        let zero = value.finite().is_none_or(Exact::is_zero);
        Self { value, exponent: if zero { NO_EXPONENT } else { self.exponent + other.exponent } }
    }
}

impl Port {
    /// The element that a code stands for, as this port reads it.
    pub(crate) fn read(&self, code: u64) -> Term {
        self.term(self.format.decode(code >> self.ignored_bits << self.ignored_bits))
    }

    /// A value of the format as this port reads it.
    pub(crate) fn term(&self, value: Value) -> Term {
        let emin = self.format.emin();
        let subnormal = value.finite().and_then(Exact::leading_exponent).is_some_and(|leading| leading < emin);
        if subnormal && self.subnormals == Subnormals::Flushed {
            return Term::ZERO;
        }
        let term = Term::of(value, self.emin.unwrap_or(emin));
        match self.exponent {
            ElementExponent::Own => term,
            ElementExponent::None if term.exponent == NO_EXPONENT => term,
            ElementExponent::None => Term { exponent: 0, ..term },
        }
    }
}

impl Round {
    /// The value rounded, and what rounding to the grid would have lost by truncation.
    pub(crate) fn apply(&self, value: Value) -> (Value, Lost) {
        let Value::Finite(x) = value else { return (value, Lost::Nothing) };
        let (rounded, lost) = self.format.grid().round(x, self.rounding);
        let below = rounded.leading_exponent().is_some_and(|leading| leading < self.format.emin());
        if below && self.subnormals == Subnormals::Flushed {
            return (Value::Finite(Exact { negative: x.negative, ..Exact::ZERO }), lost);
        }
        if self.fits(rounded) {
            return (Value::Finite(rounded), lost);
        }
        (self.beyond(rounded), lost)
    }

    /// Whether the number is in range.
    fn fits(&self, x: Exact) -> bool {
        if self.overflow == Overflow::Unbounded {
            return true;
        }
        let largest = match self.format.encoding {
            Encoding::Integer { range: Range::Unsigned, .. } if x.negative => Exact::ZERO,
            Encoding::Integer { range: Range::Full, bits, fraction_bits } if x.negative => {
                Exact { negative: true, significand: 1 << (bits - 1), exponent: -(fraction_bits as i32) }
            }
            _ => self.format.max(),
        };
        x.cmp_magnitude(largest).is_le()
    }

    /// What becomes of a number that does not fit.
    fn beyond(&self, x: Exact) -> Value {
        let away = match self.rounding {
            Rounding::TowardZero | Rounding::ToOdd => false,
            Rounding::Up => !x.negative,
            Rounding::Down => x.negative,
            _ => true,
        };
        let policy = match self.overflow {
            Overflow::Infinity => interplay_formats::Overflow::Infinity,
            Overflow::Ieee if away => interplay_formats::Overflow::Infinity,
            Overflow::Wrap => interplay_formats::Overflow::Wrap,
            Overflow::Ieee | Overflow::Saturate | Overflow::Error | Overflow::Unbounded => {
                interplay_formats::Overflow::Saturate
            }
        };
        let infinity = policy == interplay_formats::Overflow::Infinity;
        if infinity && self.format.infinity_code().is_some() {
            return Value::Infinite { negative: x.negative };
        }
        // The number is on the grid, so that the rounding given here rounds nothing.
        let code = self.format.encode(Value::Finite(x), Rounding::NearestEven, policy);
        code.map_or(Value::Nan, |code| self.format.decode(code))
    }
}

/// The least exponent of a format's normal numbers; integers align by their leading bit.
pub(crate) fn emin(format: Scalar) -> i32 {
    match format.encoding {
        Encoding::Float { .. } => format.emin(),
        _ => NO_EXPONENT,
    }
}

/// The same number with an odd significand, or zero.
const fn odd(x: Exact) -> Exact {
    if x.significand == 0 {
        return x;
    }
    let zeros = x.significand.trailing_zeros();
    Exact { significand: x.significand >> zeros, exponent: x.exponent + zeros as i32, ..x }
}
