//! Scalar formats: how one number is written in a few bits.
//!
//! A [`Scalar`] holds facts only (field widths, bias, which codes are special); ranges, grids and extreme codes are
//! derived by `const fn`, so that a fact is written once. Codes lie in the low bits of a `u64`.
//! Scales are not its business: see [`Format`](crate::Format).

use crate::{Exact, Grid, Overflow, Rounding, Value};
use serde::Serialize;

/// IEEE 754 binary32: the interchange type of this crate.
pub const FP32: Scalar = Scalar::float("fp32", 8, 23, 127, Specials::Ieee);
/// IEEE 754 binary64: used to print exact values.
pub const FP64: Scalar = Scalar::float("fp64", 11, 52, 1023, Specials::Ieee);

/// A scalar format: a name and an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scalar {
    /// The encoding's own name (`e4m3`, `int8`).
    pub name: &'static str,
    /// How codes stand for numbers.
    pub encoding: Encoding,
}

/// How codes stand for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Encoding {
    /// Sign, biased exponent, fraction with a hidden bit; exponent field 0 holds zero and the subnormals.
    Float {
        /// Width of the exponent field.
        exponent_bits: u32,
        /// Stored fraction bits.
        mantissa_bits: u32,
        /// Subtracted from the exponent field.
        bias: i32,
        /// Which codes are not numbers.
        specials: Specials,
    },
    /// Two's complement, used symmetrically: the most negative code is decoded but never produced.
    Integer {
        /// Width with sign.
        bits: u32,
        /// The value is the integer times 2^-`fraction_bits`.
        fraction_bits: u32,
    },
}

/// Which codes of a float format are not numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Specials {
    /// The highest exponent field: infinities at fraction 0, NaN elsewhere (IEEE 754).
    Ieee,
    /// Only the highest code of each sign, a NaN; no infinity (OCP E4M3, "FN").
    NanOnly,
    /// None: every code is a number (OCP FP6 and FP4).
    None,
}

impl Scalar {
    /// A float format.
    pub const fn float(
        name: &'static str,
        exponent_bits: u32,
        mantissa_bits: u32,
        bias: i32,
        specials: Specials,
    ) -> Self {
        assert!(exponent_bits >= 1 && exponent_bits <= 11, "an exponent field has 1 to 11 bits");
        assert!(mantissa_bits >= 1 && mantissa_bits <= 52, "a fraction has 1 to 52 bits");
        assert!(bias >= 0 && bias < 1 << exponent_bits, "the bias lies inside the exponent field");
        Self { name, encoding: Encoding::Float { exponent_bits, mantissa_bits, bias, specials } }
    }

    /// A symmetric two's-complement format.
    pub const fn integer(name: &'static str, bits: u32, fraction_bits: u32) -> Self {
        assert!(bits >= 2 && bits <= 16, "an integer has 2 to 16 bits");
        assert!(fraction_bits < bits, "an integer has fewer fraction bits than bits");
        Self { name, encoding: Encoding::Integer { bits, fraction_bits } }
    }

    /// Width of a code in bits.
    pub const fn bits(self) -> u32 {
        match self.encoding {
            Encoding::Float { exponent_bits, mantissa_bits, .. } => 1 + exponent_bits + mantissa_bits,
            Encoding::Integer { bits, .. } => bits,
        }
    }

    /// The representable numbers, range aside.
    pub const fn grid(self) -> Grid {
        match self.encoding {
            Encoding::Float { mantissa_bits, bias, .. } => {
                Grid { precision: Some(mantissa_bits + 1), lsb_min: 1 - bias - mantissa_bits as i32 }
            }
            Encoding::Integer { fraction_bits, .. } => Grid { precision: None, lsb_min: -(fraction_bits as i32) },
        }
    }

    /// The code of the largest finite number.
    pub const fn max_code(self) -> u64 {
        match self.encoding {
            Encoding::Float { mantissa_bits, specials, .. } => {
                let end = 1u64 << (self.bits() - 1);
                match specials {
                    Specials::Ieee => end - (1 << mantissa_bits) - 1,
                    Specials::NanOnly => end - 2,
                    Specials::None => end - 1,
                }
            }
            Encoding::Integer { bits, .. } => (1 << (bits - 1)) - 1,
        }
    }

    /// The largest finite number.
    pub const fn max(self) -> Exact {
        self.magnitude(self.max_code())
    }

    /// The exponent of the largest finite number: floor(log2 max).
    pub const fn emax(self) -> i32 {
        match self.max().leading_exponent() {
            Some(e) => e,
            None => panic!("the largest number of a format is not zero"),
        }
    }

    /// The exponent of the smallest normal number; for integers that of one unit.
    pub const fn emin(self) -> i32 {
        match self.encoding {
            Encoding::Float { bias, .. } => 1 - bias,
            Encoding::Integer { .. } => self.grid().lsb_min,
        }
    }

    /// The code of +infinity, where there is one.
    pub const fn infinity_code(self) -> Option<u64> {
        match self.encoding {
            Encoding::Float { specials: Specials::Ieee, .. } => Some(self.max_code() + 1),
            Encoding::Float { .. } | Encoding::Integer { .. } => None,
        }
    }

    /// The code of the positive quiet NaN, where there is one (IEEE 754: the highest fraction bit set).
    pub const fn nan_code(self) -> Option<u64> {
        match self.encoding {
            Encoding::Float { specials: Specials::Ieee, mantissa_bits, .. } => {
                Some(self.max_code() + 1 + (1 << (mantissa_bits - 1)))
            }
            Encoding::Float { specials: Specials::NanOnly, .. } => Some(self.max_code() + 1),
            Encoding::Float { .. } | Encoding::Integer { .. } => None,
        }
    }

    /// The number that a sign-less code up to [`Scalar::max_code`] stands for.
    const fn magnitude(self, code: u64) -> Exact {
        match self.encoding {
            Encoding::Float { mantissa_bits, bias, .. } => {
                let hidden = 1u64 << mantissa_bits;
                let (field, fraction) = ((code >> mantissa_bits) as i32, code & (hidden - 1));
                let (significand, field) = if field == 0 { (fraction, 1) } else { (fraction | hidden, field) };
                Exact {
                    negative: false,
                    significand: significand as u128,
                    exponent: field - bias - mantissa_bits as i32,
                }
            }
            Encoding::Integer { fraction_bits, .. } => Exact::integer(code as i64).scaled(-(fraction_bits as i32)),
        }
    }

    /// What a code stands for. Bits above the format's width are ignored.
    pub fn decode(self, code: u64) -> Value {
        let sign = 1u64 << (self.bits() - 1);
        let (negative, low) = (code & sign != 0, code & (sign - 1));
        match self.encoding {
            Encoding::Float { .. } if low > self.max_code() => {
                if self.infinity_code() == Some(low) {
                    Value::Infinite { negative }
                } else {
                    Value::Nan
                }
            }
            Encoding::Float { .. } => Value::Finite(Exact { negative, ..self.magnitude(low) }),
            Encoding::Integer { .. } => {
                let magnitude = if negative { sign - low } else { low };
                Value::Finite(Exact { negative, ..self.magnitude(magnitude) })
            }
        }
    }

    /// The code of `value`, rounded once; `None` where a NaN meets a format without one.
    ///
    /// Total otherwise: `overflow` answers for numbers beyond the largest and for infinities.
    pub fn encode(self, value: Value, rounding: Rounding, overflow: Overflow) -> Option<u64> {
        match value {
            Value::Nan => self.nan_code(),
            Value::Infinite { negative } => Some(self.signed(negative, self.overflowed(overflow))),
            Value::Finite(x) => {
                let (rounded, _) = self.grid().round(x, rounding);
                let fits = rounded.cmp_magnitude(self.max()).is_le();
                let low = if fits { self.magnitude_code(rounded) } else { self.overflowed(overflow) };
                Some(self.signed(x.negative, low))
            }
        }
    }

    /// An integer code with its sign repeated above the format's width; a float code as it is.
    pub(crate) const fn sign_extended(self, code: u64) -> u64 {
        match self.encoding {
            Encoding::Float { .. } => code,
            Encoding::Integer { bits, .. } => ((code << (64 - bits)) as i64 >> (64 - bits)) as u64,
        }
    }

    /// The sign-less code for what lies beyond the largest finite number.
    fn overflowed(self, overflow: Overflow) -> u64 {
        match overflow {
            Overflow::Saturate => self.max_code(),
            Overflow::Special => self.infinity_code().or(self.nan_code()).unwrap_or(self.max_code()),
        }
    }

    /// The sign-less code of a number that is on the grid and in range.
    fn magnitude_code(self, x: Exact) -> u64 {
        let Some(leading) = x.leading_exponent() else { return 0 };
        let units = |lsb: i32| {
            let significand = if x.exponent >= lsb {
                x.significand << (x.exponent - lsb)
            } else {
                x.significand >> (lsb - x.exponent)
            };
            significand as u64
        };
        match self.encoding {
            Encoding::Float { mantissa_bits, bias, .. } if leading >= self.emin() => {
                let field = (leading + bias) as u64;
                let hidden = 1u64 << mantissa_bits;
                (field << mantissa_bits) + (units(leading - mantissa_bits as i32) - hidden)
            }
            Encoding::Float { .. } | Encoding::Integer { .. } => units(self.grid().lsb_min),
        }
    }

    /// A sign-less code with its sign; integers have one zero.
    const fn signed(self, negative: bool, low: u64) -> u64 {
        let sign = 1u64 << (self.bits() - 1);
        match self.encoding {
            Encoding::Float { .. } => low | if negative { sign } else { 0 },
            Encoding::Integer { .. } if negative => low.wrapping_neg() & (2 * sign - 1),
            Encoding::Integer { .. } => low,
        }
    }
}
