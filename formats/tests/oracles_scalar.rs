//! vectors/formats: decode tables and encodings of scalar formats (ml_dtypes, gfloat, torch).

use crate::support::{Pack, oracle};
use interplay_formats::{Overflow, Rounding, Scalar, Value, catalog};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let elements = [
        ("formats/e4m3fn", catalog::E4M3),
        ("formats/e5m2", catalog::E5M2),
        ("formats/e4m3fnuz", catalog::E4M3FNUZ),
        ("formats/e5m2fnuz", catalog::E5M2FNUZ),
        ("formats/e4m3b11fnuz", catalog::E4M3B11FNUZ),
        ("formats/e3m4", catalog::E3M4),
        ("formats/e3m2", catalog::E3M2),
        ("formats/e2m3", catalog::E2M3),
        ("formats/e2m1", catalog::E2M1),
        ("formats/bf16", catalog::BF16),
        ("formats/fp16", catalog::FP16),
    ];
    let narrow = elements.into_iter().map(|(file, element)| oracle(file, move |pack| scalar(&pack, element)));
    let others = [oracle("formats/tf32", |pack| tf32(&pack)), oracle("formats/e8m0", |pack| e8m0(&pack))];
    narrow.chain(others).collect()
}

const COLUMNS: [(&str, Rounding, Overflow); 7] = [
    ("rne_sat", Rounding::NearestEven, Overflow::Saturate),
    ("rna_sat", Rounding::NearestAway, Overflow::Saturate),
    ("rtz_sat", Rounding::TowardZero, Overflow::Saturate),
    ("ru_sat", Rounding::Up, Overflow::Saturate),
    ("rd_sat", Rounding::Down, Overflow::Saturate),
    ("odd_sat", Rounding::ToOdd, Overflow::Saturate),
    ("rne_nonsat", Rounding::NearestEven, Overflow::Infinity),
];

fn scalar(pack: &Pack, element: Scalar) {
    decode(pack, element);
    let x = pack.floats("x");
    for (column, rounding, overflow) in COLUMNS {
        compare(&x, &pack.get(column), column, |v| element.encode(Value::from_f32(v), rounding, overflow));
    }
    let (nan, want) = (pack.floats("x_nan"), pack.get("rne_nonsat_nan"));
    assert_eq!((nan.len(), want.len()), (64, 64));
    for (v, want) in nan.iter().zip(want) {
        assert!(v.is_nan());
        let got = element.encode(Value::from_f32(*v), Rounding::NearestEven, Overflow::Infinity);
        match element.nan_code() {
            Some(nan) => assert_eq!((got, canonical(element, want)), (Some(nan), nan), "{:08x}", v.to_bits()),
            // ml_dtypes gives the formats without NaN a zero; here it is refused.
            None => assert_eq!((got, element.decode(want).to_f32()), (None, 0.0), "{:08x}", v.to_bits()),
        }
    }
}

#[track_caller]
fn compare(x: &[f32], want: &[u64], column: &str, encode: impl Fn(f32) -> Option<u64>) {
    assert_eq!(x.len(), want.len(), "{column}");
    for (v, want) in x.iter().zip(want) {
        assert_eq!(encode(*v), Some(*want), "{v:e} ({:08x}) {column}", v.to_bits());
    }
}

/// Every code, NaN as 0x7FC00000.
///
/// The tables of bf16 and fp16 have an unmarked defect: codes of signalling NaNs (such as 0x7F81 of bf16) are given as
/// +infinity, those of quiet NaNs rightly as NaN. IEEE 754 is followed here, and nothing but that defect is let pass.
fn decode(pack: &Pack, element: Scalar) {
    let table = pack.get("decode");
    assert_eq!(table.len(), 1 << element.bits());
    let quiet = element.nan_code().unwrap_or(0);
    for (code, want) in table.into_iter().enumerate() {
        let got = u64::from(element.decode(code as u64).to_f32().to_bits());
        let signalling_nan = element.bits() == 16 && got == 0x7FC0_0000 && code as u64 & quiet != quiet;
        let defect = signalling_nan && want == 0x7F80_0000;
        assert!(got == want || defect, "code {code:#x}: {got:08x}, not {want:08x}");
    }
}

/// The canonical code of any NaN; other codes as they are.
fn canonical(element: Scalar, code: u64) -> u64 {
    if element.decode(code) == Value::Nan { element.nan_code().unwrap_or(code) } else { code }
}

/// The pack has FP32 bits whose low 13 bits are zero.
fn tf32(pack: &Pack) {
    let x = pack.floats("x");
    let tensor_core = [
        ("truncated", Rounding::TowardZero, Overflow::Infinity),
        ("rna_nonsat", Rounding::NearestAway, Overflow::Infinity),
    ];
    for (column, rounding, overflow) in COLUMNS.into_iter().chain(tensor_core) {
        compare(&x, &pack.get(column), column, |v| {
            catalog::TF32.encode(Value::from_f32(v), rounding, overflow).map(|code| code << 13)
        });
    }
}

/// Floor and ceiling are the rules of scales. The casts of the libraries round halves up in value, and differ from
/// nearest, halves away, in the stated places only: zero, and the numbers between the two smallest powers.
fn e8m0(pack: &Pack) {
    let e8m0 = catalog::E8M0;
    for (code, want) in pack.get("decode").into_iter().enumerate() {
        assert_eq!(u64::from(e8m0.decode(code as u64).to_f32().to_bits()), want, "code {code:#x}");
    }
    let x = pack.floats("x");
    let encode = |v: f32, rounding| e8m0.encode(Value::from_f32(v), rounding, Overflow::Saturate);
    for (column, rounding) in
        [("floor_sat", Rounding::Down), ("floor_sat", Rounding::TowardZero), ("ceil_sat", Rounding::Up)]
    {
        compare(&x, &pack.get(column), column, |v| encode(v, rounding));
    }
    let least = e8m0.decode(0).to_f32();
    for (column, zero) in [("nearest_ml_dtypes", 0xFF), ("nearest_torch", 0)] {
        compare(&x, &pack.get(column), column, |v| match v {
            0.0 => Some(zero),
            v if v > least && v < f32::MIN_POSITIVE => Some(1),
            v if v >= f32::MAX / 4.0 * 3.0 => past_the_largest(v),
            v => encode(v, Rounding::NearestAway),
        });
    }
    // Negative numbers, infinities and NaN have no code.
    for (v, want) in pack.floats("x_other").into_iter().zip(pack.get("nearest_ml_dtypes_other")) {
        assert!(v.is_nan() || v.is_infinite() || v.is_sign_negative());
        let got = e8m0.encode(Value::from_f32(v), Rounding::NearestEven, Overflow::Nan);
        let wanted = if v == 0.0 { (0, 0xFF) } else { (0xFF, 0xFF) };
        assert_eq!((got, want), (Some(wanted.0), wanted.1), "{v}: -0 rounds to the smallest number here");
    }
}

/// From 1.5 * 2^127 on the libraries round up, to the NaN code 255.
fn past_the_largest(v: f32) -> Option<u64> {
    catalog::E8M0.encode(Value::from_f32(v), Rounding::NearestAway, Overflow::Nan)
}
