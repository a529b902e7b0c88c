//! The code of a narrow scalar to what it stands for.

use super::fields::INFINITY;
use crate::bits::{FP32, NAN, round, wrapping_neg};
use cubecl::prelude::*;
use interplay_formats::{Encoding, Range, Scalar, Sign, Specials};

/// How the codes of a scalar are read: the constants of one kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decode {
    integer: bool,
    /// Fraction bits; of integers all bits.
    mantissa_bits: u32,
    /// The exponent of the smallest position.
    lsb_min: i32,
    /// Whether exponent field 0 is for zero and the subnormal numbers.
    subnormals: bool,
    /// The sign bit, 0 where there is none.
    sign: u32,
    /// The other bits.
    magnitude: u32,
    /// Codes of magnitudes above this are no numbers; this one, if any, is infinity.
    max_code: u32,
    infinity: u32,
    /// Whether the code of -0 is a NaN.
    fnuz: bool,
}

impl Decode {
    /// The constants; `None` for floats of more than 22 fraction or 32 code bits and for integers of more than 24 bits.
    pub fn new(scalar: Scalar) -> Option<Self> {
        let bits = scalar.bits();
        let (max_code, lsb_min) = (scalar.max_code() as u32, scalar.grid().lsb_min);
        match scalar.encoding {
            Encoding::Float { sign, mantissa_bits, specials, subnormals, exponent_bits, .. }
                if mantissa_bits <= 22 && bits <= 32 =>
            {
                let magnitude = u32::MAX >> (32 - exponent_bits - mantissa_bits);
                Some(Self {
                    integer: false,
                    mantissa_bits,
                    lsb_min,
                    subnormals,
                    sign: if matches!(sign, Sign::Signed) { magnitude + 1 } else { 0 },
                    magnitude,
                    max_code,
                    infinity: scalar.infinity_code().map_or(u32::MAX, |code| code as u32),
                    fnuz: specials == Specials::Fnuz,
                })
            }
            Encoding::Integer { range, bits, .. } if bits <= 24 => Some(Self {
                integer: true,
                mantissa_bits: bits,
                lsb_min,
                subnormals: true,
                sign: if range == Range::Unsigned { 0 } else { 1 << (bits - 1) },
                magnitude: u32::MAX >> (32 - bits),
                max_code,
                infinity: u32::MAX,
                fnuz: false,
            }),
            _ => None,
        }
    }
}

/// What a code stands for: `significand * 2^exponent`, or what `special` says where that is not 0.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The sign, of zero too.
    pub negative: bool,
    /// The significand, of at most 24 bits.
    pub significand: u32,
    /// The exponent of its lowest bit.
    pub exponent: i32,
    /// The FP32 bits of an infinity or a NaN without their sign, or 0.
    pub special: u32,
}

/// What a code stands for; bits above the scalar's width are ignored.
#[cube]
pub fn decode(code: u32, #[comptime] of: Decode) -> Decoded {
    let low = code & comptime!(of.magnitude);
    let negative = code & comptime!(of.sign) != 0u32;
    if comptime!(of.integer) {
        let size = select(negative, wrapping_neg(low) & comptime!(of.magnitude), low);
        Decoded { negative, significand: size, exponent: comptime!(of.lsb_min).runtime(), special: 0u32.runtime() }
    } else {
        let field = low >> comptime!(of.mantissa_bits);
        let hidden = comptime!(1u32 << of.mantissa_bits);
        let fraction = low & (hidden - 1u32);
        let mut significand = fraction | hidden;
        let mut steps = field;
        if comptime!(of.subnormals) {
            significand = select(field == 0u32, fraction, significand);
            steps = max(field, 1u32) - 1u32;
        }
        let nan = low > comptime!(of.max_code) || (comptime!(of.fnuz) && negative && low == 0u32);
        let special = select(low == comptime!(of.infinity), INFINITY, select(nan, NAN, 0u32));
        Decoded { negative, significand, exponent: steps as i32 + comptime!(of.lsb_min), special }
    }
}

/// A code as it is stored: an integer's sign is repeated above its width.
#[cube]
pub fn extended(code: u32, #[comptime] of: Decode) -> u32 {
    let low = code & comptime!(of.magnitude | of.sign);
    let negative = comptime!(of.integer) && code & comptime!(of.sign) != 0u32;
    select(negative, low | !comptime!(of.magnitude), low)
}

/// The FP32 bits of a decoded number times 2^`power`, to nearest even; a NaN is 0x7fc00000.
#[cube]
pub fn value(number: &Decoded, power: i32) -> u32 {
    let finite = round(number.negative, number.significand, number.exponent + power, FP32);
    let sign = select(number.negative && number.special == INFINITY, 0x8000_0000u32, 0u32);
    select(number.special == 0u32, finite, number.special | sign)
}
