//! FP32 bits to the code of a narrow scalar, with any rounding and any overflow, on 32-bit integers only.
//!
//! The number is `significand * 2^(field - 150)`; the scalar keeps multiples of 2^lsb with lsb = max(lsb_min, leading
//! exponent - mantissa bits). What lies above 2^lsb is `kept`; what lies below becomes a binary fraction of 32 bits, and a
//! rounding is a number added to the fraction whose carry is the growth of `kept`. The code of a float is `kept` with its
//! hidden bit plus (lsb - lsb_min) exponent steps: a carry out of the fraction is the next exponent, and a subnormal has
//! no hidden bit, so that neither is a case of its own.

use super::fields::{FRACTION, HIDDEN, INFINITY, MAGNITUDE};
use crate::bits::{wrapping_add, wrapping_neg};
use cubecl::prelude::*;
use interplay_formats::{Draw, Encoding, Exact, Overflow, Range, Rounding, Scalar, Sign, Value};

/// What a scalar, a rounding and an overflow come to: the constants of one kernel.
///
/// Pairs are for positive and for negative numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cast {
    /// The exponent of the smallest position.
    pub(crate) lsb_min: i32,
    mantissa_bits: i32,
    /// More exponent steps than this are out of range anyway.
    most_steps: i32,
    integer: bool,
    /// Integers beyond the range are cut to their low bits.
    wraps: bool,
    /// What a positive and a negative number adds to its fraction: where `kept` is even and where it is odd.
    positive: [u32; 2],
    negative: [u32; 2],
    /// Which bits of a random word join.
    random: u32,
    /// 1 where the fraction's last bit stands for all that lie below it.
    sticky: u32,
    /// The code of the smallest number where there is no zero.
    hidden: u32,
    /// Whether negative numbers but zero are out of range.
    barred: bool,
    /// The largest magnitude.
    most: [u32; 2],
    /// The codes of greater magnitudes, of infinities, and of NaN.
    beyond: [u32; 2],
    infinite: [u32; 2],
    nan: u32,
    /// Whether a NaN has a code.
    pub(crate) has_nan: bool,
    /// The sign bit, and what of it the lowest magnitude has.
    sign: u32,
    sign_of_lowest: u32,
    /// All bits of a code.
    mask: u32,
}

impl Cast {
    /// The constants; `None` for floats of more than 22 fraction or 32 code bits and for integers of more than 24 bits.
    pub fn new(scalar: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        // The codes of extremes come from the exact encoder; the draw of random bits is of no account there.
        let draw: Draw = rounding.into();
        let code = |value: Value| scalar.encode(value, draw, overflow).unwrap_or(0) as u32;
        let both = |value: fn(bool) -> Value| [code(value(false)), code(value(true))];
        let (integer, mantissa_bits, most_steps, hidden, sign_bits, barred) = match scalar.encoding {
            Encoding::Float { sign, exponent_bits, mantissa_bits, subnormals, .. }
                if mantissa_bits <= 22 && scalar.bits() <= 32 =>
            {
                let hidden = if subnormals { 0 } else { 1 << mantissa_bits };
                let signed = matches!(sign, Sign::Signed);
                (false, mantissa_bits as i32, 1 << exponent_bits, hidden, u32::from(signed), !signed)
            }
            Encoding::Integer { range, bits, .. } if bits <= 24 => (true, 0, 0, 0, 0, matches!(range, Range::Unsigned)),
            _ => return None,
        };
        let max = scalar.max_code() as u32;
        let least = match scalar.encoding {
            Encoding::Integer { range: Range::Full, .. } => max + 1,
            Encoding::Integer { range: Range::Unsigned, .. } => 0,
            _ => max,
        };
        let bits = scalar.bits();
        let sign = if sign_bits == 1 { 1 << (bits - 1) } else { 0 };
        // Of -0 and of what a format without zero has in its place.
        let lowest = scalar.encode(Value::Finite(Exact { negative: true, ..Exact::ZERO }), draw, overflow);
        let (positive, negative, random) = addends(rounding)?;
        Some(Self {
            lsb_min: scalar.grid().lsb_min,
            mantissa_bits,
            most_steps,
            integer,
            wraps: integer && overflow == Overflow::Wrap,
            positive,
            negative,
            random,
            sticky: u32::from(rounding.is_deterministic()),
            hidden,
            barred,
            most: [max, least],
            beyond: both(|negative| Value::Finite(Exact { negative, significand: 1, exponent: 1 << 13 })),
            infinite: both(|negative| Value::Infinite { negative }),
            nan: code(Value::Nan),
            has_nan: scalar.encode(Value::Nan, draw, overflow).is_some(),
            sign,
            sign_of_lowest: lowest.unwrap_or(0) as u32 & sign,
            mask: u32::MAX >> (32 - bits),
        })
    }
}

/// What a rounding adds to the fraction: of positive and of negative numbers, where `kept` is even and where it is odd;
/// and which random bits. `None` for a rounding that is not known here.
const fn addends(rounding: Rounding) -> Option<([u32; 2], [u32; 2], u32)> {
    const HALF: u32 = 1 << 31;
    const ALL: u32 = u32::MAX;
    Some(match rounding {
        Rounding::NearestEven => ([HALF - 1, HALF], [HALF - 1, HALF], 0),
        Rounding::NearestAway => ([HALF; 2], [HALF; 2], 0),
        Rounding::TowardZero => ([0; 2], [0; 2], 0),
        Rounding::Up => ([ALL; 2], [0; 2], 0),
        Rounding::Down => ([0; 2], [ALL; 2], 0),
        Rounding::ToOdd => ([ALL, 0], [ALL, 0], 0),
        Rounding::Stochastic(bits @ 1..=32) => ([0; 2], [0; 2], ALL << (32 - bits)),
        _ => return None,
    })
}

/// What rounding keeps of a magnitude.
#[derive(CubeType, Clone, Copy, Debug)]
pub struct Kept {
    /// Units of the last position, rounded.
    pub units: u32,
    /// The exponent of that position above the smallest.
    pub steps: i32,
    /// Whether an integer is beyond 31 bits.
    pub vast: bool,
}

/// Rounds the number of these finite FP32 bits to the grid whose smallest position is 2^`lsb_min`.
#[cube]
pub fn kept(bits: u32, lsb_min: i32, random: u32, #[comptime] cast: Cast) -> Kept {
    let magnitude = bits & MAGNITUDE;
    let negative = bits > MAGNITUDE;
    let fraction = magnitude & FRACTION;
    let stored = magnitude >> 23;
    // A subnormal number is normalised: of the 9 or more zeros above its leading bit, 8 are above the hidden bit's place.
    let up = select(stored == 0, (fraction | 1).leading_zeros() - 8, 0);
    let field = select(stored == 0, 1 - up as i32, stored as i32);
    let significand = select(stored == 0, fraction << up, fraction | HIDDEN);
    let mut lsb = lsb_min;
    if comptime!(!cast.integer) {
        lsb = max(field - 127 - comptime!(cast.mantissa_bits), lsb_min);
    }
    // The significand goes right by `shift`; left where that is negative, which only integers have.
    let shift = lsb - field + 150;
    let mut whole = select(shift > 31, 0, significand >> (clamp(shift, 0, 31) as u32));
    if comptime!(cast.integer) {
        let left = significand << (clamp(-shift, 0, 31) as u32);
        whole = select(shift < -31, 0, select(shift < 0, left, whole));
    }
    let lift = 32 - shift;
    let below = (significand << (clamp(lift, 0, 31) as u32)) >> (clamp(-lift, 0, 31) as u32);
    let lost = select(lift < 0 && significand != 0, comptime!(cast.sticky), 0);
    let tail = select(lift > 31, 0, below | lost);
    let odd = whole & 1 == 1;
    let positive = select(odd, comptime!(cast.positive[1]), comptime!(cast.positive[0]));
    let addend = select(negative, select(odd, comptime!(cast.negative[1]), comptime!(cast.negative[0])), positive);
    // The sum of both carries where the tail is above what is missing to 2^32.
    let carry = select(tail > !(addend | (random & comptime!(cast.random))), 1u32, 0u32);
    Kept {
        units: wrapping_add(whole, carry),
        steps: select(significand == 0, 0, lsb - lsb_min),
        vast: shift < -7 && significand != 0,
    }
}

/// The code of the number `v / 2^(lsb_min - cast.lsb_min)`, `bits` being those of v; a NaN without a code becomes 0.
///
/// Integers with sign are two's complement in the low bits of the code, zeros above.
#[cube]
pub fn encode(bits: u32, lsb_min: i32, random: u32, #[comptime] cast: Cast) -> u32 {
    let magnitude = bits & MAGNITUDE;
    let negative = bits > MAGNITUDE;
    let kept = kept(bits, lsb_min, random, cast);
    let code = if comptime!(cast.integer) {
        let mut size = kept.units;
        if comptime!(!cast.wraps) {
            let most = select(negative, comptime!(cast.most[1]), comptime!(cast.most[0]));
            size = select(kept.vast, most, min(kept.units, most));
        }
        select(negative, wrapping_neg(size), size) & comptime!(cast.mask)
    } else {
        let steps = min(kept.steps, comptime!(cast.most_steps)) as u32;
        let low = kept.units + (steps << comptime!(cast.mantissa_bits as u32));
        let held = max(low, comptime!(cast.hidden)) - comptime!(cast.hidden);
        let sign = select(held == 0, comptime!(cast.sign_of_lowest), comptime!(cast.sign));
        let signed = select(negative, held | sign, held);
        let barred = comptime!(cast.barred) && negative && kept.units != 0;
        let beyond = select(negative, comptime!(cast.beyond[1]), comptime!(cast.beyond[0]));
        select(held > comptime!(cast.most[0]) || barred, beyond, signed)
    };
    let infinite = select(negative, comptime!(cast.infinite[1]), comptime!(cast.infinite[0]));
    let special = select(magnitude > INFINITY, comptime!(cast.nan), infinite);
    select(magnitude >= INFINITY, special, code)
}
