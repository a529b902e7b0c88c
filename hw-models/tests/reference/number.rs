//! Numbers as integers without limits over one power of two, and the codes of the formats that units read and write.

use num_bigint::{BigInt, BigUint, Sign};

/// A one of the integers weighs `2^-BASE`: below the last place of every product of two FP64 numbers, so nothing is lost.
const BASE: i64 = 2300;
/// The exponent of a zero.
pub const NO_EXPONENT: i64 = -100_000;

/// A number, exact.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    Nan,
    /// Negative or not.
    Infinite(bool),
    /// In units of `2^-BASE`; the sign counts for zeros.
    Finite(BigInt, bool),
}

/// A number and the exponent that it is aligned by.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    pub number: Number,
    pub exponent: i64,
}

/// Which codes are no numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Specials {
    /// The last exponent: infinity and NaN.
    Ieee,
    /// All ones below the sign: NaN.
    LastNan,
    /// The code of -0: NaN.
    MinusZeroNan,
    None,
}

/// A binary format with a sign.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Format {
    pub exponent_bits: u32,
    pub mantissa: u32,
    pub bias: i64,
    pub specials: Specials,
}

const fn format(exponent_bits: u32, mantissa: u32, bias: i64, specials: Specials) -> Format {
    Format { exponent_bits, mantissa, bias, specials }
}

pub const F16: Format = format(5, 10, 15, Specials::Ieee);
pub const F32: Format = format(8, 23, 127, Specials::Ieee);
pub const F64: Format = format(11, 52, 1023, Specials::Ieee);
pub const E4M3: Format = format(4, 3, 7, Specials::LastNan);

impl Format {
    /// The format that instructions call by this name.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "f16" => F16,
            "bf16" => format(8, 7, 127, Specials::Ieee),
            "f32" | "tf32" | "xf32" => F32,
            "f64" => F64,
            "e5m2" => format(5, 2, 15, Specials::Ieee),
            "e4m3" => E4M3,
            "e3m2" => format(3, 2, 3, Specials::None),
            "e2m3" => format(2, 3, 1, Specials::None),
            "e2m1" => format(2, 1, 1, Specials::None),
            "e4m3fnuz" => format(4, 3, 8, Specials::MinusZeroNan),
            "e5m2fnuz" => format(5, 2, 16, Specials::MinusZeroNan),
            _ => return None,
        })
    }

    pub fn bits(self) -> u32 {
        1 + self.exponent_bits + self.mantissa
    }

    /// The least exponent of normal numbers.
    pub fn emin(self) -> i64 {
        1 - self.bias
    }

    /// The greatest field of the exponent that a number has.
    pub fn last_field(self) -> u64 {
        (1 << self.exponent_bits) - 1 - u64::from(self.specials == Specials::Ieee)
    }

    /// The number of a code, and its exponent, pinned at the least one for subnormals.
    pub fn decode(self, code: u64) -> Term {
        let sign = code >> (self.bits() - 1) & 1 == 1;
        let fraction = code & ((1 << self.mantissa) - 1);
        let field = code >> self.mantissa & ((1 << self.exponent_bits) - 1);
        let ones = (1 << self.exponent_bits) - 1;
        let special = |number| Term { number, exponent: NO_EXPONENT };
        match self.specials {
            Specials::Ieee if field == ones && fraction == 0 => return special(Number::Infinite(sign)),
            Specials::Ieee if field == ones => return special(Number::Nan),
            Specials::LastNan if field == ones && fraction == (1 << self.mantissa) - 1 => return special(Number::Nan),
            Specials::MinusZeroNan if sign && field == 0 && fraction == 0 => return special(Number::Nan),
            _ => {}
        }
        let exponent = field.max(1) as i64 - self.bias;
        let significand = if field == 0 { fraction } else { fraction | 1 << self.mantissa };
        let magnitude = BigInt::from(significand) << (exponent - i64::from(self.mantissa) + BASE) as u64;
        let units = if sign { -magnitude } else { magnitude };
        Term { number: Number::Finite(units, sign), exponent: if significand == 0 { NO_EXPONENT } else { exponent } }
    }

    /// The code of a number that the format has.
    pub fn encode(self, number: &Number) -> u64 {
        let signed = |negative: bool, rest: u64| u64::from(negative) << (self.bits() - 1) | rest;
        let infinity = (1u64 << (self.bits() - 1)) - (1 << self.mantissa);
        match number {
            Number::Nan => infinity | 1 << (self.mantissa - 1),
            Number::Infinite(negative) => signed(*negative, infinity),
            Number::Finite(units, negative) => {
                let Some(top) = leading(units) else { return signed(*negative, 0) };
                let exponent = top.max(self.emin());
                let significand = units.magnitude() >> (exponent - i64::from(self.mantissa) + BASE) as u64;
                let significand = significand.iter_u64_digits().next().unwrap_or(0);
                let field = if top < self.emin() { 0 } else { (exponent + self.bias) as u64 };
                signed(*negative, field << self.mantissa | significand & ((1 << self.mantissa) - 1))
            }
        }
    }
}

impl Number {
    pub fn zero() -> Self {
        Self::Finite(BigInt::from(0), false)
    }

    pub fn times(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Nan, _) | (_, Self::Nan) => Self::Nan,
            (Self::Finite(a, s), Self::Finite(b, t)) => Self::Finite((a * b) >> BASE as u64, s != t),
            (Self::Finite(x, _), Self::Infinite(_)) | (Self::Infinite(_), Self::Finite(x, _)) if is_zero(x) => {
                Self::Nan
            }
            (Self::Finite(_, s) | Self::Infinite(s), Self::Finite(_, t) | Self::Infinite(t)) => Self::Infinite(s != t),
        }
    }
}

impl Term {
    pub fn zero() -> Self {
        Self { number: Number::zero(), exponent: NO_EXPONENT }
    }

    /// The exact product; its exponent is the sum of both, not renormalised.
    pub fn times(&self, other: &Self) -> Self {
        let number = self.number.times(&other.number);
        let zero = !matches!(&number, Number::Finite(x, _) if !is_zero(x));
        Self { number, exponent: if zero { NO_EXPONENT } else { self.exponent + other.exponent } }
    }

    pub fn units(&self) -> BigInt {
        match &self.number {
            Number::Finite(units, _) => units.clone(),
            _ => BigInt::from(0),
        }
    }
}

/// `2^exponent`.
pub fn power(exponent: i64) -> Term {
    Term { number: Number::Finite(BigInt::from(1) << (exponent + BASE) as u64, false), exponent }
}

pub fn is_zero(x: &BigInt) -> bool {
    x.sign() == Sign::NoSign
}

/// The exponent of the first one.
pub fn leading(x: &BigInt) -> Option<i64> {
    (!is_zero(x)).then(|| x.bits() as i64 - 1 - BASE)
}

/// The result where an infinity or a NaN takes part in a sum.
pub fn special<'a>(numbers: impl IntoIterator<Item = &'a Number>) -> Option<Number> {
    let mut found = None;
    for number in numbers {
        found = match (number, found) {
            (Number::Nan, _) | (_, Some(Number::Nan)) => Some(Number::Nan),
            (Number::Infinite(s), Some(Number::Infinite(t))) if *s != t => Some(Number::Nan),
            (Number::Infinite(s), _) => Some(Number::Infinite(*s)),
            (Number::Finite(..), found) => found,
        };
    }
    found
}

/// The directions of roundings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Nearest,
    Zero,
    Down,
    Up,
}

/// The number without places below `2^last`.
pub fn cut(x: &BigInt, last: i64, mode: Mode) -> BigInt {
    let places = last + BASE;
    if places <= 0 {
        return x.clone();
    }
    let negative = x.sign() == Sign::Minus;
    let kept: BigUint = x.magnitude() >> places as u64;
    let rest = x.magnitude() - (&kept << places as u64);
    let half = BigUint::from(1u8) << (places - 1) as u64;
    let away = match mode {
        Mode::Zero => false,
        Mode::Down => negative && rest.bits() > 0,
        Mode::Up => !negative && rest.bits() > 0,
        Mode::Nearest => rest > half || rest == half && kept.bit(0),
    };
    let kept = BigInt::from((if away { kept + 1u8 } else { kept }) << places as u64);
    if negative { -kept } else { kept }
}

/// How results are rounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rho {
    pub mode: Mode,
    /// Fraction bits.
    pub mantissa: i64,
    pub emin: i64,
    pub emax: i64,
    /// Directed roundings stop at the largest number, as IEEE 754 says, instead of going to infinity.
    pub ieee: bool,
}

impl Rho {
    pub fn to(format: Format, mode: Mode) -> Self {
        Self { mode, mantissa: format.mantissa.into(), emin: format.emin(), emax: format.bias, ieee: false }
    }

    /// The finite number rounded; a zero keeps the sign that it has, or the number had.
    pub fn round(self, x: &BigInt, negative: bool) -> Number {
        let Some(top) = leading(x) else { return Number::Finite(x.clone(), negative) };
        let negative = x.sign() == Sign::Minus;
        let rounded = cut(x, top.max(self.emin) - self.mantissa, self.mode);
        if leading(&rounded).is_none_or(|top| top <= self.emax) {
            return Number::Finite(rounded, negative);
        }
        let inward = match self.mode {
            Mode::Nearest => false,
            Mode::Zero => true,
            Mode::Down => !negative,
            Mode::Up => negative,
        };
        if !(self.ieee && inward) {
            return Number::Infinite(negative);
        }
        let largest: BigInt =
            ((BigInt::from(1) << (self.mantissa + 1) as u64) - 1) << (self.emax - self.mantissa + BASE) as u64;
        Number::Finite(if negative { -largest } else { largest }, negative)
    }
}
