//! Our own results, committed, so that a change of bits on any machine shows without other files: what agreed with the
//! recorded libraries when it was written (`oracles`) is proved again wherever the tests run.
//!
//! `INTERPLAY_UPDATE=1 cargo test -p interplay-formats --test formats packs` writes them anew; do so only after the
//! oracle tests have passed.

use crate::brute;
use crate::support::{Random, case, codes};
use interplay_formats::{Exact, Format, Overflow, Pattern, Rounding, Scalar, Scales, Value};
use libtest_mimic::Trial;
use std::fmt::Write;
use std::path::Path;

pub fn trials() -> Vec<Trial> {
    vec![
        case("packs::checksums", || compare("checksums", computed())),
        case("packs::decode", || compare("decode", decoded())),
        case("packs::encode", || compare("encode", encoded())),
        case("packs::blocks", || compare("blocks", quantised())),
    ]
}

/// 64-bit FNV-1a.
fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

/// 64 rows of 100: a short last block, rows of every magnitude, a row of zeros.
fn input() -> Vec<f32> {
    let mut random = Random(2026);
    let mut x: Vec<f32> =
        (0..64).flat_map(|row| (0..100).map(move |_| row * 4 - 140)).map(|e| random.near(e)).collect();
    x[300..400].fill(0.0);
    x
}

/// One line a format: its name; packed bytes dense and 2:4; values.
fn computed() -> String {
    let x = input();
    let two_of_four: Pattern = "2:4".parse().expect("a pattern");
    let mask = two_of_four.magnitude_mask(&x, 100).expect("4 divides 100");
    let line = |format: &'static Format| {
        let q = format.quantize(&x, 100).expect("finite");
        let packed = |mask| {
            let p = q.packed(mask).expect("the same shape");
            fnv([p.values, p.scales, p.metadata].concat())
        };
        let values = fnv(q.dequantize().iter().flat_map(|v| v.to_bits().to_le_bytes()));
        format!("{} {:016x} {:016x} {values:016x}\n", format.name, packed(None), packed(Some(&mask)))
    };
    Format::all().iter().map(line).collect()
}

/// Compares line by line with the committed file, or writes it.
fn compare(name: &str, got: String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/packs/{name}.txt"));
    if std::env::var("INTERPLAY_UPDATE").is_ok_and(|v| v == "1") {
        std::fs::write(&path, &got).expect("the tests' own folder is writable");
    }
    let want = std::fs::read_to_string(&path).expect("the pack is committed");
    for (got, want) in got.lines().zip(want.lines()) {
        assert_eq!(got, want);
    }
    assert_eq!(got.lines().count(), want.lines().count(), "a format came or went: update the pack");
}

/// Hexadecimal numbers, a blank before each.
fn hex(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().fold(String::new(), |mut line, n| {
        write!(line, " {n:x}").expect("a string takes all");
        line
    })
}

/// One line a format of at most 8 bits: its name, and the FP32 bits of every code.
fn decoded() -> String {
    let line = |e: &Scalar| {
        let bits = (0..1 << e.bits()).map(|code| e.decode(code).to_f32().to_bits().into());
        format!("{}{}\n", e.name, hex(bits))
    };
    brute::elements().iter().filter(|e| e.bits() <= 8).map(line).collect()
}

/// Around the ends of a format, around ties, and anywhere: 40 numbers.
fn edges(element: Scalar) -> Vec<f32> {
    let (max, least) = (element.max(), Exact::integer(1).scaled(element.grid().lsb_min));
    let near = |x: Exact, eighths: i64| {
        let step = Exact { significand: x.significand * (8 + eighths) as u128, exponent: x.exponent - 3, ..x };
        Value::Finite(step).to_f32()
    };
    let ends = [max, least, Exact::integer(1).scaled(element.emin())];
    let mut numbers: Vec<f32> = ends.iter().flat_map(|&x| [-4, -1, 0, 1, 4, 12].map(|e| near(x, e))).collect();
    let mut random = Random(element.bits().into());
    numbers.extend((0..14).map(|i| random.near(element.emax().min(100) - i)));
    numbers.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, -f32::MAX, 1.0, -1.0]);
    numbers
}

/// For each format a line of FP32 bits, and one of codes for each rounding, with both overflows.
fn encoded() -> String {
    let mut text = String::new();
    for element in brute::elements() {
        let x = edges(element);
        let line = |what: &str, numbers: Vec<u64>| format!("{} {what}{}\n", element.name, hex(numbers));
        text += &line("x", x.iter().map(|v| v.to_bits().into()).collect());
        for rounding in Rounding::ALL.into_iter().chain([Rounding::Stochastic(8)]) {
            for overflow in [Overflow::Saturate, Overflow::Infinity] {
                let draw = rounding.drawing(0x9E37_79B9);
                let code = |v: &f32| element.encode(Value::from_f32(*v), draw, overflow).expect("no NaN");
                text += &line(&format!("{rounding} {overflow:?}"), x.iter().map(code).collect());
            }
        }
    }
    text
}

/// For each format with scales: two rows of 32, the second far smaller; scales and codes.
fn quantised() -> String {
    let mut random = Random(77);
    let x: Vec<f32> = (0..64).map(|i| random.near(if i < 32 { 2 } else { -9 })).collect();
    let mut text = format!("x{}\n", hex(x.iter().map(|v| v.to_bits().into())));
    for format in Format::all().iter().filter(|f| f.scaling.is_some()) {
        let q = format.quantize(&x, 32).expect("finite");
        let bits = |s: &[f32]| s.iter().map(|s| s.to_bits().into()).collect::<Vec<u64>>();
        let scales: Vec<u64> = match q.scales() {
            Scales::E8M0(s) | Scales::Code(s) => s.iter().map(|&s| s.into()).collect(),
            Scales::Exponent(s) => s.iter().map(|&s| (s as u16).into()).collect(),
            Scales::Micro(s) => s.iter().map(|&s| s.into()).collect(),
            Scales::Float32(s) => bits(s),
            Scales::Affine(s, zeros) => bits(s).into_iter().chain(zeros.iter().map(|&z| z.into())).collect(),
            other => panic!("{}: {other:?}", format.name),
        };
        let mask = u64::MAX >> (64 - format.element.bits());
        let second = q.tensor_scale().map(|s| s.to_bits().into());
        writeln!(text, "{} scales{}", format.name, hex(scales.into_iter().chain(second))).expect("a string takes all");
        writeln!(text, "{} codes{}", format.name, hex(codes(&q).iter().map(|c| c & mask))).expect("a string takes all");
    }
    text
}
