//! Elements and scales as the kernels' integers.

use super::unit::{Element, Scale};
use crate::operand::NAN_SCALE;
use cubecl::prelude::*;

/// No number: a NaN.
pub const NAN: u32 = 1;
/// No number: an infinity.
pub const INFINITE: u32 = 2;
/// Of a prepared scale: the block has elements that are no numbers.
pub const SPECIAL: u32 = 0x100;
/// Of a prepared scale: it is NaN, and so is the sum.
pub const NAN_BLOCK: u32 = 0x200;
/// Of an integer word: [`NAN`] or [`INFINITE`] are its lowest bits; no element is so large.
const NO_NUMBER: u32 = 0x4000_0000;
/// The places of a packed word that is no number.
const NO_PLACE: u32 = 255;

/// An element: `significand * 2^places` in units of its format's last place.
#[derive(CubeType, CubeTypeMut, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// With the sign.
    pub significand: i32,
    /// Places that it is moved up.
    pub places: u32,
    /// The sign, which a zero and an infinity have too.
    pub negative: bool,
    /// 0, [`NAN`] or [`INFINITE`].
    pub special: u32,
}

/// The element that FP32 bits stand for.
#[cube]
pub fn decode(bits: u32, #[comptime] of: Element) -> Part {
    let magnitude = bits & 0x7FFF_FFFFu32;
    let field = (magnitude >> 23u32) as i32;
    let digits = (magnitude & 0x7F_FFFFu32) | select(field > 0i32, 0x80_0000u32, 0u32);
    let own = max(field, 1i32) - 127i32;
    let least = comptime!(of.last_place + of.precision - 1);
    let mut exponent = max(own, least);
    if comptime!(of.fixed) {
        exponent = comptime!(i32::new(least as i64));
    }
    let precision = of.precision;
    let drop = clamp(comptime!(24 - precision) + exponent - own, 0i32, 31i32) as u32;
    let finite = magnitude < 0x7F80_0000u32;
    let size = select(finite, digits >> drop, 0u32) as i32;
    let negative = bits >= 0x8000_0000u32;
    let special = select(finite, 0u32, select(magnitude > 0x7F80_0000u32, NAN, INFINITE));
    let places = clamp(exponent - least, 0i32, 127i32) as u32;
    Part {
        significand: select(negative, 0i32 - size, size),
        places: select(finite && size != 0i32, places, 0u32),
        negative,
        special,
    }
}

/// The element in one word: the integer itself, or the significand above 8 bits of places. A packed -0 has a place.
#[cube]
pub fn word(part: &Part, #[comptime] packed: bool) -> u32 {
    let mut word =
        select(part.special != 0u32, NO_NUMBER | part.special, (part.significand << (part.places as i32)) as u32);
    if comptime!(packed) {
        let zero = select(part.negative, 1u32, 0u32);
        let finite = ((part.significand << 8i32) as u32) | select(part.significand == 0i32, zero, part.places);
        let infinite = select(part.negative, 0xFFFF_FF00u32, 0x100u32) | NO_PLACE;
        word = select(part.special == 0u32, finite, select(part.special == NAN, NO_PLACE, infinite));
    }
    word
}

/// The element that [`word`] made, as far as sums need it that are no numbers: its places are not given.
#[cube]
pub fn unpack(word: u32, #[comptime] packed: bool) -> Part {
    let signed = word as i32;
    let odd = signed >= 0x4000_0000i32;
    let mut part = Part {
        significand: select(odd, 0i32, signed),
        places: 0u32,
        negative: signed < 0i32,
        special: select(odd, word & 3u32, 0u32),
    };
    if comptime!(packed) {
        let (significand, places) = (signed >> 8i32, word & 0xFFu32);
        let no_number = places == NO_PLACE;
        part = Part {
            significand: select(no_number, 0i32, significand),
            places: 0u32,
            negative: significand < 0i32 || (significand == 0i32 && places == 1u32),
            special: select(no_number, select(significand == 0i32, NAN, INFINITE), 0u32),
        };
    }
    part
}

/// The scale of a block in one word: a significand of 8 bits below flags and an exponent.
///
/// The scale of a block of zeros does not matter; its own may be arbitrary.
#[cube]
pub fn scale(stored: u32, table: &[u32], first: usize, zeros: bool, #[comptime] of: Scale) -> u32 {
    let mut exponent = stored as i32;
    let mut significand = 1u32;
    let mut nan = stored == NAN_SCALE;
    if comptime!(matches!(of, Scale::Code(_))) {
        let down = comptime!(if let Scale::Code(bits) = of { 24 - bits } else { 0 });
        let bits = table[first + ((stored & 0xFFu32) as usize)];
        let field = ((bits >> 23u32) & 0xFFu32) as i32;
        let digits = (bits & 0x7F_FFFFu32) | select(field > 0i32, 0x80_0000u32, 0u32);
        significand = digits >> comptime!(down as u32);
        exponent = field - 150i32 + down;
        nan = field == 255i32;
    }
    let known = clamp(select(nan, 0i32, exponent), -0x4000i32, 0x3FFFi32);
    let word = ((known << 16i32) as u32) | (significand & 0xFFu32) | select(nan, NAN_BLOCK, 0u32);
    select(zeros, 1u32, word)
}
