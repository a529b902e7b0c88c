//! Scalar formats: how one number is written in a few bits.
//!
//! A [`Scalar`] holds facts only (field widths, bias, which codes are special); ranges, grids and extreme codes are
//! derived by `const fn`, so that a fact is written once. Codes lie in the low bits of a `u64`; `codec` turns them
//! into values and back. Scales are not its business: see [`Format`](crate::Format).

use crate::name::{Name, interned};
use crate::{Exact, Grid};
use serde::{Deserialize, Serialize};

/// IEEE 754 binary32: the interchange type of this crate.
pub const FP32: Scalar = Scalar::float("fp32", 8, 23, 127, Specials::Ieee);
/// IEEE 754 binary64: used to print exact values.
pub const FP64: Scalar = Scalar::float("fp64", 11, 52, 1023, Specials::Ieee);

/// A scalar format: a name and an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Scalar {
    /// The encoding's own name (`e4m3`, `int8`).
    #[serde(deserialize_with = "interned")]
    pub name: Name,
    /// How codes stand for numbers.
    pub encoding: Encoding,
}

/// How codes stand for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Encoding {
    /// Sign, biased exponent, fraction with a hidden bit.
    Float {
        /// What the bit above the exponent field is.
        sign: Sign,
        /// Width of the exponent field.
        exponent_bits: u32,
        /// Stored fraction bits.
        mantissa_bits: u32,
        /// Subtracted from the exponent field.
        bias: i32,
        /// Which codes are not numbers.
        specials: Specials,
        /// Whether exponent field 0 holds zero and the subnormals; if not, it is an exponent as any other, and the
        /// format has no zero: what rounds to zero becomes the smallest number.
        subnormals: bool,
    },
    /// Two's complement or plain binary.
    Integer {
        /// Which integers are produced.
        range: Range,
        /// Width, with sign where there is one.
        bits: u32,
        /// The value is the integer times 2^-`fraction_bits`.
        fraction_bits: u32,
    },
}

/// The sign of a float format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// The highest bit, 1 = negative.
    Signed,
    /// There is none: the highest bit belongs to the exponent.
    Unsigned,
    /// The highest bit is there and means nothing: written 0, ignored when read (UE4M3).
    Ignored,
}

/// The integers that a format produces. Every code is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Range {
    /// Two's complement without the most negative code.
    Symmetric,
    /// All of two's complement.
    Full,
    /// 0 to 2^bits - 1.
    Unsigned,
}

/// Which codes of a float format are not numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Specials {
    /// The highest exponent field: infinities at fraction 0, NaN elsewhere (IEEE 754).
    Ieee,
    /// Only the highest code of each sign, a NaN; no infinity (OCP E4M3, "FN").
    NanOnly,
    /// One NaN, in the place of -0, which does not exist; no infinity ("FNUZ").
    Fnuz,
    /// None: every code is a number (OCP FP6 and FP4).
    None,
}

impl Scalar {
    /// A signed float format with subnormals.
    ///
    /// # Panics
    /// Where [`Scalar::problem`] has one.
    pub const fn float(
        name: &'static str,
        exponent_bits: u32,
        mantissa_bits: u32,
        bias: i32,
        specials: Specials,
    ) -> Self {
        Self::any_float(name, Sign::Signed, exponent_bits, mantissa_bits, bias, specials, true)
    }

    /// Any float format.
    pub(crate) const fn any_float(
        name: &'static str,
        sign: Sign,
        exponent_bits: u32,
        mantissa_bits: u32,
        bias: i32,
        specials: Specials,
        subnormals: bool,
    ) -> Self {
        let encoding = Encoding::Float { sign, exponent_bits, mantissa_bits, bias, specials, subnormals };
        Self { name, encoding }.checked()
    }

    /// A symmetric two's-complement format.
    ///
    /// # Panics
    /// Where [`Scalar::problem`] has one.
    pub const fn integer(name: &'static str, bits: u32, fraction_bits: u32) -> Self {
        Self { name, encoding: Encoding::Integer { range: Range::Symmetric, bits, fraction_bits } }.checked()
    }

    /// An integer format of another range.
    ///
    /// # Panics
    /// Where [`Scalar::problem`] has one.
    pub const fn ranged(name: &'static str, range: Range, bits: u32, fraction_bits: u32) -> Self {
        Self { name, encoding: Encoding::Integer { range, bits, fraction_bits } }.checked()
    }

    /// The record, if it is one: a wrong one in the catalogue does not compile.
    const fn checked(self) -> Self {
        assert!(self.problem().is_none(), "an impossible scalar record");
        self
    }

    /// Why the record cannot be, if it cannot.
    pub const fn problem(self) -> Option<&'static str> {
        match self.encoding {
            Encoding::Float { exponent_bits, .. } if exponent_bits < 1 || exponent_bits > 11 => {
                Some("exponent_bits is 1 to 11")
            }
            Encoding::Float { mantissa_bits: 53.., .. } => Some("mantissa_bits is 0 to 52"),
            Encoding::Float { bias: ..-1023 | 2048.., .. } => Some("bias is -1023 to 2047"),
            Encoding::Float { mantissa_bits: 0, specials: Specials::Ieee, .. } => {
                Some("specials = ieee needs at least 1 mantissa bit, to tell NaN from infinity")
            }
            Encoding::Float { exponent_bits: 1, specials: Specials::Ieee, .. } => {
                Some("specials = ieee needs at least 2 exponent bits, or no normal number is left")
            }
            Encoding::Float { mantissa_bits: 0, subnormals: true, exponent_bits: 1, .. } => {
                Some("one exponent bit without mantissa and with subnormals leaves no number but zero")
            }
            Encoding::Float { sign: Sign::Unsigned | Sign::Ignored, specials: Specials::Fnuz, .. } => {
                Some("specials = fnuz needs a sign: its NaN is the code of -0")
            }
            Encoding::Float { subnormals: false, specials: Specials::Fnuz, .. } => {
                Some("specials = fnuz needs a zero: its NaN is the code of -0")
            }
            Encoding::Float { exponent_bits, mantissa_bits, sign, .. }
                if exponent_bits + mantissa_bits + !matches!(sign, Sign::Unsigned) as u32 > 64 =>
            {
                Some("a code has at most 64 bits")
            }
            Encoding::Integer { bits: 0 | 33.., .. } => Some("an integer has 1 to 32 bits"),
            Encoding::Integer { range: Range::Symmetric | Range::Full, bits: 1, .. } => {
                Some("an integer with sign has at least 2 bits")
            }
            Encoding::Integer { fraction_bits: 65.., .. } => Some("fraction_bits is 0 to 64"),
            Encoding::Float { .. } | Encoding::Integer { .. } => None,
        }
    }

    /// Width of a code in bits.
    pub const fn bits(self) -> u32 {
        match self.encoding {
            Encoding::Float { sign: Sign::Unsigned, .. } | Encoding::Integer { .. } => self.magnitude_bits(),
            Encoding::Float { .. } => 1 + self.magnitude_bits(),
        }
    }

    /// Width of a code without a float's sign bit.
    pub(crate) const fn magnitude_bits(self) -> u32 {
        match self.encoding {
            Encoding::Float { exponent_bits, mantissa_bits, .. } => exponent_bits + mantissa_bits,
            Encoding::Integer { bits, .. } => bits,
        }
    }

    /// Whether negative numbers can be written.
    pub const fn is_signed(self) -> bool {
        match self.encoding {
            Encoding::Float { sign, .. } => matches!(sign, Sign::Signed),
            Encoding::Integer { range, .. } => !matches!(range, Range::Unsigned),
        }
    }

    /// Whether -0 has a code of its own.
    pub const fn has_negative_zero(self) -> bool {
        match self.encoding {
            Encoding::Float { sign, specials, subnormals, .. } => {
                matches!(sign, Sign::Signed) && !matches!(specials, Specials::Fnuz) && subnormals
            }
            Encoding::Integer { .. } => false,
        }
    }

    /// Whether the lowest magnitude of a float, zero or not, has a code for each sign.
    pub(crate) const fn signs_lowest(self) -> bool {
        match self.encoding {
            Encoding::Float { sign, specials, .. } => {
                matches!(sign, Sign::Signed) && !matches!(specials, Specials::Fnuz)
            }
            Encoding::Integer { .. } => false,
        }
    }

    /// The representable numbers, range aside.
    pub const fn grid(self) -> Grid {
        match self.encoding {
            Encoding::Float { mantissa_bits, .. } => {
                Grid { precision: Some(mantissa_bits + 1), lsb_min: self.emin() - mantissa_bits as i32 }
            }
            Encoding::Integer { fraction_bits, .. } => Grid { precision: None, lsb_min: -(fraction_bits as i32) },
        }
    }

    /// The code of the largest finite number.
    pub const fn max_code(self) -> u64 {
        let all = u64::MAX >> (64 - self.magnitude_bits());
        match self.encoding {
            Encoding::Float { mantissa_bits, specials: Specials::Ieee, .. } => all - (1 << mantissa_bits),
            Encoding::Float { specials: Specials::NanOnly, .. } => all - 1,
            Encoding::Float { specials: Specials::Fnuz | Specials::None, .. } => all,
            Encoding::Integer { range: Range::Unsigned, .. } => all,
            Encoding::Integer { range: Range::Symmetric | Range::Full, .. } => all >> 1,
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
            Encoding::Float { bias, subnormals: true, .. } => 1 - bias,
            Encoding::Float { bias, subnormals: false, .. } => -bias,
            Encoding::Integer { fraction_bits, .. } => -(fraction_bits as i32),
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
            Encoding::Float { specials: Specials::Fnuz, .. } => Some(self.max_code() + 1),
            Encoding::Float { specials: Specials::None, .. } | Encoding::Integer { .. } => None,
        }
    }

    /// The number that a sign-less code up to [`Scalar::max_code`] stands for.
    pub(crate) const fn magnitude(self, code: u64) -> Exact {
        match self.encoding {
            Encoding::Float { mantissa_bits, bias, subnormals, .. } => {
                let hidden = 1u64 << mantissa_bits;
                let (field, fraction) = ((code >> mantissa_bits) as i32, code & (hidden - 1));
                let gradual = field == 0 && subnormals;
                let (significand, field) = if gradual { (fraction, 1) } else { (fraction | hidden, field) };
                Exact {
                    negative: false,
                    significand: significand as u128,
                    exponent: field - bias - mantissa_bits as i32,
                }
            }
            Encoding::Integer { fraction_bits, .. } => Exact::integer(code as i64).scaled(-(fraction_bits as i32)),
        }
    }
}
