//! Berkeley SoftFloat 3 as a second opinion on IEEE conversions and operations, in all five roundings of IEEE 754.
//!
//! An operation is formed exactly here, in integers, and rounded once by the codec; SoftFloat has its own way. Its crate
//! has bf16 too, but cuts FP32 there without rounding, so that there is nothing to compare.

use crate::support::{Random, case, interesting};
use interplay_formats::{Encoding, Exact, Overflow, Rounding, Scalar, Value, catalog, scalar};
use libtest_mimic::Trial;
use softfloat_wrapper::{F16, F32, F64, Float, RoundingMode};

pub fn trials() -> Vec<Trial> {
    vec![
        case("softfloat::widening", widening),
        case("softfloat::from_fp32", from_fp32),
        case("softfloat::from_fp64", from_fp64),
        case("softfloat::operations_fp16", || operations::<F16>(catalog::FP16, 53)),
        case("softfloat::operations_fp32", || operations::<F32>(scalar::FP32, 59)),
        case("softfloat::operations_fp64", || operations::<F64>(scalar::FP64, 61)),
    ]
}

const ROUNDINGS: [(Rounding, RoundingMode); 5] = [
    (Rounding::NearestEven, RoundingMode::TiesToEven),
    (Rounding::NearestAway, RoundingMode::TiesToAway),
    (Rounding::TowardZero, RoundingMode::TowardZero),
    (Rounding::Up, RoundingMode::TowardPositive),
    (Rounding::Down, RoundingMode::TowardNegative),
];

/// A format whose numbers SoftFloat's crate has as a type.
trait Bits: Float {
    fn of(code: u64) -> Self;
    fn code(&self) -> u64;
}

macro_rules! bits {
    ($($type:ty: $word:ty),+) => {
        $(impl Bits for $type {
            fn of(code: u64) -> Self {
                Self::from_bits(code as $word)
            }

            fn code(&self) -> u64 {
                self.to_bits().into()
            }
        })+
    };
}

bits! { F16: u16, F32: u32, F64: u64 }

/// Asserts that SoftFloat's result is the code of `value`, with overflow by IEEE 754, 7.4. NaN has many codes there.
#[track_caller]
fn same(to: Scalar, value: Value, rounding: Rounding, by_softfloat: impl Bits, what: impl FnOnce() -> String) {
    let got = to.encode(value, rounding, Overflow::Infinity);
    let want = by_softfloat.code();
    let nan = value == Value::Nan && to.decode(want) == Value::Nan && got == to.nan_code();
    assert!(nan || got == Some(want), "{}, {rounding}: {got:x?}, not {want:#x}", what());
}

/// One number to a narrower or wider format in each rounding.
fn converted<F: Bits, T: Bits>(from: Scalar, code: u64, to: Scalar, convert: impl Fn(F, RoundingMode) -> T) {
    for (rounding, mode) in ROUNDINGS {
        let by_softfloat = convert(F::of(code), mode);
        same(to, from.decode(code), rounding, by_softfloat, || format!("{} {code:#x} to {}", from.name, to.name));
    }
}

/// All codes of FP16, both ways.
fn widening() {
    for code in 0..=0xFFFF {
        converted(catalog::FP16, code, scalar::FP32, |x: F16, mode| x.to_f32(mode));
        converted(catalog::FP16, code, scalar::FP64, |x: F16, mode| x.to_f64(mode));
        let value = catalog::FP16.decode(code);
        for (rounding, mode) in ROUNDINGS {
            let back = F32::of(scalar::FP32.encode(value, rounding, Overflow::Infinity).expect("IEEE has NaN"));
            same(catalog::FP16, value, rounding, back.to_f16(mode), || format!("fp16 {code:#x} and back"));
        }
    }
}

/// Any FP32 number, and each one beside a number or a tie of FP16.
fn from_fp32() {
    let check = |bits: u32| {
        converted(scalar::FP32, bits.into(), catalog::FP16, |x: F32, mode| x.to_f16(mode));
        converted(scalar::FP32, bits.into(), scalar::FP64, |x: F32, mode| x.to_f64(mode));
    };
    let mut random = Random(43);
    (0..200_000).for_each(|_| check(random.bits() as u32));
    interesting().into_iter().for_each(|v| check(v.to_bits()));
    for code in 0..0x7C00u64 {
        let low = scalar::FP32.encode(catalog::FP16.decode(code), Rounding::NearestEven, Overflow::Infinity);
        let high = scalar::FP32.encode(catalog::FP16.decode(code + 1), Rounding::NearestEven, Overflow::Infinity);
        let (Some(low), Some(high)) = (low, high) else { panic!("FP32 holds FP16") };
        let tie = low + (high.min(0x4780_0000) - low) / 2;
        for bits in [low.saturating_sub(1), low, low + 1, tie - 1, tie, tie + 1] {
            check(bits as u32);
            check(bits as u32 | 1 << 31);
        }
    }
}

/// Any FP64 number, and numbers near those of FP32 and FP16 and near their ties.
fn from_fp64() {
    let check = |bits: u64| {
        converted(scalar::FP64, bits, scalar::FP32, |x: F64, mode| x.to_f32(mode));
        converted(scalar::FP64, bits, catalog::FP16, |x: F64, mode| x.to_f16(mode));
    };
    let mut random = Random(47);
    for _ in 0..100_000 {
        let any = random.bits();
        let fp32 = f64::from(f32::from_bits(any as u32)).to_bits();
        let fp16 = catalog::FP16.decode(any & 0xFFFF).to_f64().to_bits();
        let beside = [0, 1, u64::MAX][(any >> 32) as usize % 3];
        let (half32, half16) = (1 << 28, 1 << 41);
        let near = [any, fp32, fp32.wrapping_add(half32), fp16, fp16.wrapping_add(half16)];
        near.into_iter().for_each(|bits| check(bits.wrapping_add(beside)));
    }
    // FP64's subnormals, and the ties among the smallest numbers of the others.
    for exponent in 0..1100u64 {
        [0, 1, (1 << 51) - 1, 1 << 51, (1 << 51) + 1].into_iter().for_each(|low| check(exponent << 52 | low));
    }
}

/// Sums, differences, products, fused products, quotients and roots of numbers far from and near each other.
fn operations<F: Bits + Copy>(format: Scalar, seed: u64) {
    let mut random = Random(seed);
    for _ in 0..60_000 {
        let [a, b, c] = operands(format, &mut random);
        let (x, y, z) = (number(format, a), number(format, b), number(format, c));
        let (fa, fb, fc) = (F::of(a), F::of(b), F::of(c));
        for (rounding, mode) in ROUNDINGS {
            let check = |exact: Exact, by_softfloat: F, name: &str| {
                let zero = exact.is_zero() && format.decode(by_softfloat.code()).finite().is_some_and(Exact::is_zero);
                // The sign of a sum that is zero is the operation's rule, not the rounding's.
                if !zero {
                    let what = || format!("{name} of {a:#x}, {b:#x}, {c:#x} in {}", format.name);
                    same(format, Value::Finite(exact), rounding, by_softfloat, what);
                }
            };
            check(sum(x, y), fa.add(fb, mode), "sum");
            check(sum(x, negated(y)), fa.sub(fb, mode), "difference");
            check(product(x, y), fa.mul(fb, mode), "product");
            check(sum(product(x, y), z), fa.fused_mul_add(fb, fc, mode), "fused product");
            if !y.is_zero() {
                check(quotient(x, y), fa.div(fb, mode), "quotient");
            }
            if !x.negative {
                check(root(x), fa.sqrt(mode), "root");
            }
        }
    }
}

fn number(format: Scalar, code: u64) -> Exact {
    format.decode(code).finite().expect("a finite number")
}

/// Three finite numbers: any, or with exponents near each other, or with short significands, or one the negated product
/// of the others, rounded, so that a fused product cancels.
fn operands(format: Scalar, random: &mut Random) -> [u64; 3] {
    let Some((mantissa, exponent)) = fields(format) else { panic!("{} is a float", format.name) };
    let centre = random.bits() % exponent;
    let kind = random.bits() % 4;
    let mut draw = || {
        let near = (centre + random.bits() % 8).min(exponent - 1);
        let field = if kind == 0 { random.bits() % exponent } else { near };
        let any = random.bits() & ((1 << mantissa) - 1);
        let significand = if kind == 2 { any >> (mantissa - 3) << (mantissa - 3) } else { any };
        (random.bits() & 1) << (format.bits() - 1) | field << mantissa | significand
    };
    let [a, b, c] = [draw(), draw(), draw()];
    if kind < 3 {
        return [a, b, c];
    }
    let near_product = negated(product(number(format, a), number(format, b)));
    let c = format.encode(Value::Finite(near_product), Rounding::NearestEven, Overflow::Saturate);
    [a, b, c.expect("a number")]
}

/// Bits of the mantissa, and how many values of the exponent's field are finite.
fn fields(format: Scalar) -> Option<(u32, u64)> {
    match format.encoding {
        Encoding::Float { exponent_bits, mantissa_bits, .. } => Some((mantissa_bits, (1 << exponent_bits) - 1)),
        _ => None,
    }
}

fn negated(x: Exact) -> Exact {
    Exact { negative: !x.negative, ..x }
}

fn product(x: Exact, y: Exact) -> Exact {
    let negative = x.negative != y.negative;
    Exact { negative, significand: x.significand * y.significand, exponent: x.exponent + y.exponent }
}

/// The number with its leading bit at place 120 of the significand. It has at most 106 bits, so that none is lost.
fn aligned(x: Exact) -> Exact {
    let shift = x.significand.leading_zeros() as i32 - 7;
    Exact { significand: x.significand << shift, exponent: x.exponent - shift, ..x }
}

/// The sum, exact but for what lies some 14 places or more below all bits of both: that is kept as one last bit, which is
/// all that a rounding asks about it.
fn sum(x: Exact, y: Exact) -> Exact {
    let (large, small) = if x.cmp_magnitude(y).is_lt() { (y, x) } else { (x, y) };
    if small.is_zero() {
        return large;
    }
    let (large, small) = (aligned(large), aligned(small));
    let moved = sticky(small.significand, large.exponent.abs_diff(small.exponent));
    let significand = if x.negative == y.negative { large.significand + moved } else { large.significand - moved };
    Exact { significand, ..large }
}

/// The significand moved down, its last bit set where something fell off.
fn sticky(significand: u128, places: u32) -> u128 {
    let kept = significand.checked_shr(places).unwrap_or(0);
    kept | u128::from(kept.checked_shl(places).unwrap_or(0) != significand)
}

/// At least 60 bits of the quotient, and one last bit for the rest.
fn quotient(x: Exact, y: Exact) -> Exact {
    let shift = x.significand.leading_zeros().min(127) as i32;
    let (top, below) = (x.significand << shift, y.significand);
    let significand = (top / below) | u128::from(top % below != 0);
    Exact { negative: x.negative != y.negative, significand, exponent: x.exponent - shift - y.exponent }
}

/// At least 60 bits of the square root, and one last bit for the rest.
fn root(x: Exact) -> Exact {
    let room = x.significand.leading_zeros().min(127) as i32;
    let shift = room - (room + x.exponent).rem_euclid(2);
    let square = x.significand << shift;
    let root = square.isqrt();
    Exact { significand: root | u128::from(root * root != square), exponent: (x.exponent - shift) / 2, ..x }
}
