//! Recorded results of other people's libraries. Unmarked rows must agree bit for bit; marked rows, where the oracle is
//! known to be wrong, must follow the stated rule, which the reference path is held to.

use crate::support::{Pack, codes, oracle, same_bits};
use interplay_formats::{Codes, Format, Overflow, Pattern, Rounding, Scalar, Scales, Value, catalog};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let elements = [
        ("formats/e4m3fn", catalog::E4M3),
        ("formats/e5m2", catalog::E5M2),
        ("formats/e3m2", catalog::E3M2),
        ("formats/e2m3", catalog::E2M3),
        ("formats/e2m1", catalog::E2M1),
        ("formats/bf16", catalog::BF16),
        ("formats/fp16", catalog::FP16),
    ];
    let mut trials: Vec<Trial> =
        elements.into_iter().map(|(file, element)| oracle(file, move |pack| scalar(&pack, element))).collect();
    trials.push(oracle("blocks/mx_torchao", |pack| mx_torchao(&pack)));
    trials.push(oracle("blocks/mx_microxcaling", |pack| mx_microxcaling(&pack)));
    trials.push(oracle("blocks/hbfp", |pack| hbfp(&pack)));
    trials.push(oracle("blocks/int", |pack| int(&pack)));
    trials.push(oracle("sparse/masks", |pack| masks(&pack)));
    trials
}

fn format(name: &str) -> &'static Format {
    Format::by_name(name).unwrap_or_else(|e| panic!("{e}"))
}

/// Decode tables and encodings in every rounding (ml_dtypes, gfloat).
fn scalar(pack: &Pack, element: Scalar) {
    decode(pack, element);
    let columns = [
        ("rne_sat", Rounding::NearestEven, Overflow::Saturate),
        ("rna_sat", Rounding::NearestAway, Overflow::Saturate),
        ("rtz_sat", Rounding::TowardZero, Overflow::Saturate),
        ("ru_sat", Rounding::Up, Overflow::Saturate),
        ("rd_sat", Rounding::Down, Overflow::Saturate),
        ("odd_sat", Rounding::ToOdd, Overflow::Saturate),
        ("rne_nonsat", Rounding::NearestEven, Overflow::Infinity),
    ];
    let x = pack.floats("x");
    for (column, rounding, overflow) in columns {
        for (v, want) in x.iter().zip(pack.get(column)) {
            let got = element.encode(Value::from_f32(*v), rounding, overflow).map(|code| unsigned_nan(element, code));
            assert_eq!(got, Some(unsigned_nan(element, want)), "{v:e} ({:08x}) {column}", v.to_bits());
        }
    }
    if element.nan_code().is_some() {
        for (v, code) in pack.floats("x_nan").iter().zip(pack.get("rne_nonsat_nan")) {
            assert_eq!((Value::from_f32(*v), element.decode(code)), (Value::Nan, Value::Nan));
            let got = element.encode(Value::Nan, Rounding::NearestEven, Overflow::Infinity);
            assert_eq!(got, Some(unsigned_nan(element, code)));
        }
    }
}

/// Every code, NaN as 0x7FC00000.
///
/// The tables of bf16 and fp16 have an unmarked defect: codes of signalling NaNs (such as 0x7F81 of bf16) are given as
/// +infinity, those of quiet NaNs rightly as NaN. IEEE 754 is followed here, and nothing but that defect is let pass.
fn decode(pack: &Pack, element: Scalar) {
    let quiet = element.nan_code().unwrap_or(0);
    for (code, want) in pack.get("decode").into_iter().enumerate() {
        let got = u64::from(element.decode(code as u64).to_f32().to_bits());
        let signalling_nan = element.bits() == 16 && got == 0x7FC0_0000 && code as u64 & quiet != quiet;
        let defect = signalling_nan && want == 0x7F80_0000;
        assert!(got == want || defect, "code {code:#x}: {got:08x}, not {want:08x}");
    }
}

/// The canonical code of any NaN; other codes as they are.
fn unsigned_nan(element: Scalar, code: u64) -> u64 {
    if element.decode(code) == Value::Nan { element.nan_code().unwrap_or(code) } else { code }
}

/// Blocks of `len` values that are all finite; others are refused by our formats.
fn finite_blocks(x: &[f32], len: usize) -> impl Iterator<Item = (usize, &[f32])> {
    x.chunks(len).enumerate().filter(|(_, block)| block.iter().all(|v| v.is_finite()))
}

const MX: [(&str, &str); 5] =
    [("e4m3", "mxfp8"), ("e5m2", "mxfp8-e5m2"), ("e2m3", "mxfp6"), ("e3m2", "mxfp6-e3m2"), ("e2m1", "mxfp4")];

/// torchao's FLOOR mode. Flag 2: scale byte 0, where the library divides by 2^-126 or not at all.
fn mx_torchao(pack: &Pack) {
    let x = pack.floats("x");
    for (element, name) in MX {
        let column = |what: &str| format!("{element}/FLOOR/{what}");
        let (scale, code, flag) = (pack.get(&column("scale")), pack.get(&column("codes")), pack.get(&column("flag")));
        let dequant = pack.floats(&column("dequant"));
        let mut marked = 0;
        for (b, block) in finite_blocks(&x, 32) {
            let q = format(name).quantize(block, 32).expect("finite");
            assert_eq!(q.scales(), &Scales::E8M0(vec![scale[b] as u8]), "{name} block {b}: scale");
            if flag[b] == 0 {
                assert_eq!(codes(&q), code[b * 32..][..32], "{name} block {b}: codes");
                same_bits(&q.dequantize(), &dequant[b * 32..][..32], &format!("{name} block {b}"));
            } else {
                assert_eq!((flag[b], scale[b]), (2, 0), "{name} block {b}: the stated reason");
                assert_eq!(q, format(name).quantize_reference(block, 32).expect("finite"));
                marked += 1;
            }
        }
        assert!(marked < 40, "{name}: {marked} marked blocks");
    }
}

/// microxcaling without its bf16 step, in its roundings `even` and `nearest` (half away from zero, its default).
/// Flag 1: its floor(log2) is taken in FP32.
fn mx_microxcaling(pack: &Pack) {
    let x = pack.floats("x");
    for (element, name) in MX.into_iter().chain([("int8", "mxint8")]) {
        for (round, rounding) in [("even", Rounding::NearestEven), ("nearest", Rounding::NearestAway)] {
            // The pack has `even` for three of the elements only.
            if round == "even" && !["e4m3", "e2m1", "int8"].contains(&element) {
                continue;
            }
            let format: &'static Format = Box::leak(Box::new(Format { rounding, ..*format(name) }));
            let dequant = pack.floats(&format!("{element}/plain/{round}/dequant"));
            let flag = pack.get(&format!("{element}/plain/{round}/flag"));
            let mut agreed = 0;
            for (b, block) in finite_blocks(&x, 32).filter(|(b, _)| flag[*b] == 0) {
                let got = format.quantize(block, 32).expect("finite").dequantize();
                // This library writes +0 for -0 here and there; the pack says to compare by value.
                assert_eq!(got, dequant[b * 32..][..32], "{name} {round} block {b}");
                agreed += 1;
            }
            assert!(agreed > 280, "{name} {round}: only {agreed} blocks compared");
        }
    }
}

/// The exact integer rule of the HBFP pack.
fn hbfp(pack: &Pack) {
    let x = pack.floats("x");
    let exponent = pack.get("exact/exponent");
    for name in ["hbfp8", "hbfp6", "hbfp4"] {
        let mantissa = pack.get(&format!("exact/{name}/mantissa"));
        for (b, block) in finite_blocks(&x, 64) {
            let q = format(name).quantize(block, 64).expect("finite");
            let zero = block.iter().all(|v| *v == 0.0);
            let want = if zero { 0 } else { exponent[b] as i16 };
            assert_eq!(q.scales(), &Scales::Exponent(vec![want]), "{name} block {b}");
            assert_eq!(codes(&q), mantissa[b * 64..][..64], "{name} block {b}");
        }
    }
}

/// numpy's FP32 absmax rows.
fn int(pack: &Pack) {
    let w = pack.floats("w");
    for (name, scheme) in [("int8", "absmax_int8_row"), ("int4", "absmax_int4_row")] {
        let q = format(name).quantize(&w, 64).expect("finite");
        same_bits(q.row_scales().unwrap_or(&[]), &pack.floats(&format!("{scheme}/scale")), name);
        assert_eq!(codes(&q), pack.get(&format!("{scheme}/codes")), "{name}");
        assert!(matches!(q.codes(), Codes::I8(_)));
    }
}

/// numpy's stable sort.
fn masks(pack: &Pack) {
    let columns = [
        ("mask_1of4", "1:4"),
        ("mask_2of4", "2:4"),
        ("mask_2of8", "2:8"),
        ("mask_4of8", "4:8"),
        ("mask_half_per_matrix", "50%"),
        ("mask_half_per_row", "50%-row"),
    ];
    for kind in ["normal", "ties", "sparse", "heavy"] {
        let w = pack.floats(&format!("{kind}/w"));
        for (column, pattern) in columns {
            let pattern: Pattern = pattern.parse().expect("a pattern");
            let mask = pattern.magnitude_mask(&w, 64).expect("finite");
            let got: Vec<u64> = mask.kept().iter().map(|&k| u64::from(k)).collect();
            assert_eq!(got, pack.get(&format!("{kind}/{column}")), "{kind} {pattern}");
        }
    }
}
