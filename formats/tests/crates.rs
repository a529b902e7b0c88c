//! Other people's crates as second opinions: each is an implementation that shares no code with this one.
//!
//! `half` (bf16, fp16), `microfloat` and `minifloat` (8 bits and less), `rustc_apfloat` (LLVM's APFloat: IEEE
//! conversions in all roundings, sums and products). `softfloat.rs` has SoftFloat, `rounding.rs` big integers.

use crate::support::{Random, case, interesting};
use interplay_formats::{Exact, Overflow, Rounding, Scalar, Value, catalog, scalar};
use libtest_mimic::Trial;
use microfloat as micro;
use minifloat as mini;
use rustc_apfloat::{Float, FloatConvert, Round, ieee};

pub fn trials() -> Vec<Trial> {
    vec![
        case("crates::half", by_half),
        case("crates::microfloat", by_microfloat),
        case("crates::minifloat", by_minifloat),
        case("crates::e8m0_by_microfloat", e8m0_by_microfloat),
        case("crates::apfloat_conversions", apfloat_conversions),
        case("crates::apfloat_widening", apfloat_widening),
        case("crates::apfloat_sums_and_products", apfloat_sums_and_products),
    ]
}

/// FP32 numbers of all kinds: ties and neighbours of every bf16 number, infinities, random bits.
fn inputs() -> Vec<f32> {
    let mut random = Random(31);
    let bits = (0..200_000).map(|_| f32::from_bits(random.bits() as u32)).filter(|v| !v.is_nan());
    let infinities = [f32::INFINITY, f32::NEG_INFINITY];
    bits.chain(infinities).chain(interesting()).collect()
}

/// What a crate offers for a format: the value of every code, and the code of a number, nearest even.
fn agree(element: Scalar, overflow: Overflow, decode: impl Fn(u64) -> f32, encode: impl Fn(f32) -> u64) {
    for code in 0..1u64 << element.bits() {
        let (got, want) = (element.decode(code).to_f32(), decode(code));
        let same = got.to_bits() == want.to_bits() || (got.is_nan() && want.is_nan());
        assert!(same, "{} code {code:#x}: {got:e}, not {want:e}", element.name);
    }
    for v in inputs() {
        let got = element.encode(Value::from_f32(v), Rounding::NearestEven, overflow);
        assert_eq!(got, Some(encode(v)), "{} of {v:e} ({:08x})", element.name, v.to_bits());
    }
    let nan = element.encode(Value::Nan, Rounding::NearestEven, Overflow::Infinity);
    assert_eq!(nan.map(|code| element.decode(code)), nan.map(|_| Value::Nan));
    if nan.is_some() {
        assert!(decode(encode(f32::NAN)).is_nan(), "{}", element.name);
    }
}

fn by_half() {
    agree(
        catalog::BF16,
        Overflow::Infinity,
        |code| half::bf16::from_bits(code as u16).to_f32(),
        |v| half::bf16::from_f32(v).to_bits().into(),
    );
    agree(
        catalog::FP16,
        Overflow::Infinity,
        |code| half::f16::from_bits(code as u16).to_f32(),
        |v| half::f16::from_f32(v).to_bits().into(),
    );
}

/// Calls `agree` for types with `from_bits`, `to_bits`, `from_f32`, `to_f32`.
macro_rules! by_type {
    ($overflow:expr, $encode:expr; $($element:expr => $type:ty),+ $(,)?) => {
        $(agree(
            $element,
            $overflow,
            |code| <$type>::from_bits(code as _).to_f32(),
            |v| $encode($element, v, u64::from(<$type>::from_f32(v).to_bits())),
        );)+
    };
}

/// Overflow to infinity or NaN.
///
/// The crate takes the tie between the largest number and the next one to overflow in all formats. That is even in all
/// but E4M3, whose largest code ends in 0: 464 is 448 there, as ml_dtypes has it.
fn by_microfloat() {
    let mended = |element: Scalar, v: f32, code: u64| match (element.name, v.abs()) {
        ("e4m3", 464.0) => {
            assert_eq!(code & 0x7F, 0x7F, "the crate has been mended");
            code - 1
        }
        _ => code,
    };
    by_type! {
        Overflow::Infinity, mended;
        catalog::E4M3 => micro::f8e4m3fn,
        catalog::E5M2 => micro::f8e5m2,
        catalog::E4M3FNUZ => micro::f8e4m3fnuz,
        catalog::E5M2FNUZ => micro::f8e5m2fnuz,
        catalog::E4M3B11FNUZ => micro::f8e4m3b11fnuz,
        catalog::E3M4 => micro::f8e3m4,
        catalog::E2M3 => micro::f6e2m3fn,
        catalog::E3M2 => micro::f6e3m2fn,
        catalog::E2M1 => micro::f4e2m1fn,
    }
}

/// Overflow to infinity where there is one, to the largest number elsewhere.
fn by_minifloat() {
    let as_it_is = |_, _, code| code;
    by_type! {
        Overflow::Infinity, as_it_is;
        catalog::E5M2 => mini::F8E5M2,
        catalog::E3M4 => mini::F8E3M4,
        catalog::BF16 => mini::BF16,
        catalog::FP16 => mini::F16,
    }
    by_type! {
        Overflow::Saturate, as_it_is;
        catalog::E4M3 => mini::F8E4M3FN,
        catalog::E4M3FNUZ => mini::F8E4M3FNUZ,
        catalog::E5M2FNUZ => mini::F8E5M2FNUZ,
        catalog::E4M3B11FNUZ => mini::F8E4M3B11FNUZ,
        catalog::E2M3 => mini::F6E2M3FN,
        catalog::E3M2 => mini::F6E3M2FN,
        catalog::E2M1 => mini::F4E2M1FN,
    }
}

/// Halves go up in value; numbers below the smallest power become it, those above the largest stay there.
fn e8m0_by_microfloat() {
    let e8m0 = catalog::E8M0;
    for code in 0..=u8::MAX {
        let (got, want) = (e8m0.decode(code.into()).to_f32(), micro::f8e8m0fnu::from_bits(code).to_f32());
        assert!(got == want || (got.is_nan() && want.is_nan()), "code {code:#x}: {got:e}, not {want:e}");
    }
    for v in inputs().into_iter().filter(|v| *v > 0.0 && v.is_finite()) {
        let got = e8m0.encode(Value::from_f32(v), Rounding::NearestAway, Overflow::Saturate);
        assert_eq!(got, Some(micro::f8e8m0fnu::from_f32(v).to_bits().into()), "{v:e}");
    }
}

const ROUNDINGS: [(Rounding, Round); 5] = [
    (Rounding::NearestEven, Round::NearestTiesToEven),
    (Rounding::NearestAway, Round::NearestTiesToAway),
    (Rounding::TowardZero, Round::TowardZero),
    (Rounding::Up, Round::TowardPositive),
    (Rounding::Down, Round::TowardNegative),
];

/// One conversion from `$from` bits to `$to` by APFloat and by the codec, in every rounding, with IEEE overflow.
macro_rules! converts {
    ($bits:expr, $from:expr => $from_type:ty, $to:expr => $to_type:ty) => {
        for (rounding, round) in ROUNDINGS {
            let source = <$from_type>::from_bits(u128::from($bits));
            let converted: $to_type = source.convert_r(round, &mut false).value;
            let got = $to.encode($from.decode($bits), rounding, Overflow::Infinity);
            if source.is_nan() {
                assert_eq!(got, $to.nan_code());
            } else {
                assert_eq!(got, Some(converted.to_bits() as u64), "{:#x} to {} {rounding}", $bits, $to.name);
            }
        }
    };
}

/// FP32 and FP64 to all narrower IEEE formats, overflow by IEEE 754, 7.4 included.
fn apfloat_conversions() {
    for v in inputs().into_iter().step_by(3) {
        let bits = u64::from(v.to_bits());
        converts!(bits, scalar::FP32 => ieee::Single, catalog::FP16 => ieee::Half);
        converts!(bits, scalar::FP32 => ieee::Single, catalog::BF16 => ieee::BFloat);
        converts!(bits, scalar::FP32 => ieee::Single, catalog::E5M2 => ieee::Float8E5M2);
        converts!(bits, scalar::FP32 => ieee::Single, scalar::FP64 => ieee::Double);
    }
    let mut random = Random(37);
    for _ in 0..100_000 {
        // Half of them inside the range of FP32, and near its ties.
        let any = random.bits();
        let near = f64::from(f32::from_bits(any as u32)).to_bits() + random.bits() % 3 + (1 << 28);
        for bits in [any, near] {
            converts!(bits, scalar::FP64 => ieee::Double, scalar::FP32 => ieee::Single);
            converts!(bits, scalar::FP64 => ieee::Double, catalog::FP16 => ieee::Half);
            converts!(bits, scalar::FP64 => ieee::Double, catalog::BF16 => ieee::BFloat);
        }
    }
}

/// All 2^16 codes of the narrow formats to FP32 and between each other.
fn apfloat_widening() {
    for bits in 0..=0xFFFFu64 {
        converts!(bits, catalog::FP16 => ieee::Half, scalar::FP32 => ieee::Single);
        converts!(bits, catalog::BF16 => ieee::BFloat, scalar::FP32 => ieee::Single);
        converts!(bits, catalog::FP16 => ieee::Half, catalog::BF16 => ieee::BFloat);
        converts!(bits, catalog::BF16 => ieee::BFloat, catalog::FP16 => ieee::Half);
    }
}

/// Exact sums and products of FP32 numbers, formed in integers and rounded once by the codec.
fn apfloat_sums_and_products() {
    let mut random = Random(41);
    for _ in 0..100_000 {
        let exponent = (random.bits() % 200) as i32 - 90;
        let (a, b) = (random.near(exponent), random.near(exponent));
        let (x, y) = (Value::from_f32(a).finite(), Value::from_f32(b).finite());
        let (Some(x), Some(y)) = (x, y) else { panic!("finite numbers") };
        let by_apfloat = |v: f32| ieee::Single::from_bits(v.to_bits().into());
        for (rounding, round) in ROUNDINGS {
            let encode = |exact| scalar::FP32.encode(Value::Finite(exact), rounding, Overflow::Infinity);
            let product = by_apfloat(a).mul_r(by_apfloat(b), round).value.to_bits();
            assert_eq!(encode(multiplied(x, y)).map(u128::from), Some(product), "{a:e} * {b:e} {rounding}");
            let sum = by_apfloat(a).add_r(by_apfloat(b), round).value;
            match added(x, y) {
                exact if exact.is_zero() => assert!(sum.is_zero(), "{a:e} + {b:e}: the sign is IEEE's business"),
                exact => assert_eq!(encode(exact).map(u128::from), Some(sum.to_bits()), "{a:e} + {b:e} {rounding}"),
            }
        }
    }
}

fn multiplied(x: Exact, y: Exact) -> Exact {
    let negative = x.negative != y.negative;
    Exact { negative, significand: x.significand * y.significand, exponent: x.exponent + y.exponent }
}

/// The exponents of both are within some 40 of each other.
fn added(x: Exact, y: Exact) -> Exact {
    let exponent = x.exponent.min(y.exponent);
    let signed = |v: Exact| {
        let magnitude = (v.significand as i128) << (v.exponent - exponent);
        if v.negative { -magnitude } else { magnitude }
    };
    let sum = signed(x) + signed(y);
    Exact { negative: sum < 0, significand: sum.unsigned_abs(), exponent }
}
