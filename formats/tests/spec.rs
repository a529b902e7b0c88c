//! The standards' tables and the contract's examples, transcribed.

use crate::laws_bounds::Unit;
use crate::support::{case, codes};
use interplay_formats::{Codes, Error, Exact, Format, Order, Pattern, Scales, Value, catalog};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("spec::element_ranges", element_ranges),
        case("spec::names_and_aliases", names_and_aliases),
        case("spec::hbfp_examples", hbfp_examples),
        case("spec::mx_examples", mx_examples),
        case("spec::mx_scale_bytes", mx_scale_bytes),
        case("spec::int_examples", int_examples),
        case("spec::int_scale_that_underflows", int_scale_that_underflows),
        case("spec::int_product_that_overflows", int_product_that_overflows),
        case("spec::ieee_overflow", ieee_overflow),
        case("spec::hbfp_below_fp32", hbfp_below_fp32),
        case("spec::elements_and_exponents", elements_and_exponents),
        case("spec::errors_say_what_to_do", errors_say_what_to_do),
        case("spec::record_as_json", record_as_json),
        case("spec::refused_names_stay_free", refused_names_stay_free),
        case("spec::tensor_scales_are_finite", tensor_scales_are_finite),
    ]
}

/// 2^exponent.
fn power(exponent: i32) -> f32 {
    Value::Finite(Exact::integer(1).scaled(exponent)).to_f32()
}

fn format(name: &str) -> &'static Format {
    Format::by_name(name).unwrap_or_else(|e| panic!("{e}"))
}

fn fake(name: &str, x: &[f32]) -> Vec<f32> {
    let mut values = x.to_vec();
    format(name).fake_quantize(&mut values, x.len()).unwrap_or_else(|e| panic!("{e}"));
    values
}

/// OCP MX v1.0 tables 1 to 6; IEEE 754-2019 table 3.5 for binary16.
fn element_ranges() {
    let table = [
        (catalog::E5M2, 57344.0, -14, -16, 15),
        (catalog::E4M3, 448.0, -6, -9, 8),
        (catalog::E3M2, 28.0, -2, -4, 4),
        (catalog::E2M3, 7.5, 0, -3, 2),
        (catalog::E2M1, 6.0, 0, -1, 2),
        (catalog::FP16, 65504.0, -14, -24, 15),
        (catalog::BF16, (2.0 - 1.0 / 128.0) * f64::from(power(127)), -126, -133, 127),
    ];
    for (element, max, emin, lsb_min, emax) in table {
        assert_eq!(Value::Finite(element.max()).to_f64(), max, "{}", element.name);
        assert_eq!((element.emin(), element.grid().lsb_min, element.emax()), (emin, lsb_min, emax), "{}", element.name);
    }
    let card = format("mxint8").card();
    assert_eq!((card.max, card.min_subnormal, card.emax), (1.0 + 63.0 / 64.0, 1.0 / 64.0, 0));
}

fn names_and_aliases() {
    for (alias, name) in [("mxfp8-e4m3", "mxfp8"), ("MXFP6-E2M3", "mxfp6"), ("HBFP8", "hbfp8"), (" fp32 ", "fp32")] {
        assert_eq!(format(alias).name, name);
    }
    let mut names: Vec<_> = Format::all().iter().flat_map(Format::names).collect();
    assert!(names.iter().all(|n| n.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')));
    names.sort_unstable();
    assert!(names.windows(2).all(|w| w[0] != w[1]), "a name is given once");
    for (typo, nearest) in [("mxpf8", "mxfp8"), ("bf-16", "bf16"), ("int-8", "int8")] {
        let error = Format::by_name(typo).expect_err("not a format");
        let Error::UnknownFormat { given, nearest: near } = &error else { panic!("{error}") };
        assert_eq!(given, typo);
        assert_eq!(*near, nearest, "{typo}");
    }
    for order in ["sq", "QS"] {
        assert_eq!(Format::by_name(order).err(), Some(Error::OrderForFormat(order.to_lowercase())));
    }
    assert!(format("fp32").is_exact() && Format::all().iter().filter(|f| f.is_exact()).count() == 1);
}

/// m = 7 and 5; an amax of exactly 2^k clips.
fn hbfp_examples() {
    let x = [1.0, 0.7, -0.3, 0.004];
    assert_eq!(fake("hbfp8", &x), [0.9921875, 0.703125, -0.296875, 0.0078125]);
    assert_eq!(fake("hbfp6", &x), [0.96875, 0.6875, -0.3125, 0.0]);
    assert_eq!(fake("hbfp8", &[0.25, 0.1, -0.05]), [127.0 / 512.0, 51.0 / 512.0, -26.0 / 512.0]);
    // Not idempotent: the second time amax is a power of two.
    let once = fake("hbfp8", &[1.0001]);
    assert_eq!((once[0], fake("hbfp8", &once)[0]), (1.0, 0.9921875));
}

fn mx_examples() {
    let x = [1.0, 0.7, -0.3, 0.004];
    assert_eq!(fake("mxfp8", &x), [1.0, 0.6875, -0.3125, 0.00390625]);
    assert_eq!(fake("mxfp6", &x), [1.0, 0.6875, -0.3125, 0.0]);
    assert_eq!(fake("mxfp6-e3m2", &x), [1.0, 0.75, -0.3125, 0.00390625]);
    assert_eq!(fake("mxfp4", &x), [1.0, 0.75, -0.25, 0.0]);
    // The rule floor lets amax saturate.
    assert_eq!(fake("mxfp8", &[1.9, 0.7]), [1.75, 0.6875]);
    assert_eq!(fake("mxfp6", &[1.95, 0.7]), [1.875, 0.6875]);
    assert_eq!(fake("mxint8", &[1.0, -1.99, 1.0 / 128.0, 3.0 / 128.0]), [1.0, -127.0 / 64.0, 0.0, 1.0 / 32.0]);
}

/// Floor's exponent is held to [-127, 127]; an all-zero block has byte 0.
fn mx_scale_bytes() {
    let byte = |name: &str, amax: f32| match format(name).quantize(&[amax], 1).map(|q| q.scales().clone()) {
        Ok(Scales::E8M0(bytes)) => bytes[0],
        other => panic!("{other:?}"),
    };
    assert_eq!(byte("mxfp8", 1.0), 127 - 8);
    assert_eq!((byte("mxfp8", 0.0), byte("mxfp4", 0.0), byte("mxint8", -0.0)), (0, 0, 0));
    assert_eq!((byte("mxfp8", f32::MAX), byte("mxint8", f32::MAX)), (254 - 8, 254));
    for subnormal in [f32::from_bits(1), f32::from_bits(0x007F_FFFF)] {
        assert_eq!((byte("mxfp8", subnormal), byte("mxint8", subnormal)), (0, 0));
    }
    // Element subnormals are exact: 2^-9 under 2^-127 is an FP32 subnormal.
    let smallest = f32::from_bits(1 << (149 - 136));
    assert_eq!(fake("mxfp8", &[smallest, -smallest]), [smallest, -smallest]);
}

fn int_examples() {
    let q = format("int8").quantize(&[1.27, -0.5, 0.005, 0.0, 0.0, 0.0], 3).expect("finite");
    assert_eq!(q.row_scales(), Some(&[1.27 / 127.0, 1.0][..]), "a row of zeros has scale 1");
    assert_eq!(q.codes(), &Codes::I8(vec![127, -50, 0, 0, 0, 0]));
    let q = format("int4").quantize(&[7.0, -7.0, 2.5, 3.5, -0.5, -0.6], 6).expect("finite");
    assert_eq!(q.codes(), &Codes::I8(vec![7, -7, 2, 4, 0, -1]), "ties go to even");
}

/// amax / 127 below half of FP32's smallest number: the row counts as all-zero, with scale 1.
fn int_scale_that_underflows() {
    let least = f32::from_bits(1);
    for multiple in [1, 63] {
        let q = format("int8").quantize(&[f32::from_bits(multiple), -least], 2).expect("finite");
        assert_eq!((q.row_scales(), codes(&q)), (Some(&[1.0][..]), vec![0, 0]), "{multiple}");
        assert_eq!(q.dequantize(), [0.0, 0.0]);
    }
    // From 64 units on the quotient rounds up to one unit, and the codes are the multiples themselves, clamped.
    let q = format("int8").quantize(&[f32::from_bits(190), f32::from_bits(64)], 2).expect("finite");
    assert_eq!((q.row_scales(), codes(&q)), (Some(&[least][..]), vec![127, 64]));
}

/// 127 * fl32(FLT_MAX / 127) exceeds FP32; the value is held to its largest number.
fn int_product_that_overflows() {
    assert!((f32::MAX / 127.0 * 127.0).is_infinite());
    assert_eq!(fake("int8", &[f32::MAX, -f32::MAX, 0.0]), [f32::MAX, -f32::MAX, 0.0]);
}

/// Scalar formats overflow as IEEE 754 says, block formats saturate.
fn ieee_overflow() {
    assert_eq!(fake("fp16", &[65519.0, 65520.0, -1e30]), [65504.0, f32::INFINITY, f32::NEG_INFINITY]);
    let largest = f32::from_bits(0x7F7F_0000);
    assert_eq!(fake("bf16", &[f32::from_bits(0x7F7F_7FFF), f32::MAX]), [largest, f32::INFINITY]);
    assert_eq!(fake("fp32", &[f32::MAX, 1e-45]), [f32::MAX, 1e-45]);
    assert_eq!(fake("fp16", &[power(-25), 3.0 * power(-25)]), [0.0, power(-23)]);
}

/// A block of FP32 subnormals has units below FP32's smallest: codes are exact, values are rounded once.
fn hbfp_below_fp32() {
    let least = f32::from_bits(1);
    let q = format("hbfp8").quantize(&[least, -least, 0.0], 3).expect("finite");
    assert_eq!(q.codes().len(), 64);
    assert_eq!(codes(&q)[..3], [127, -127i64 as u64, 0]);
    assert_eq!(q.block_exponents(), Some(vec![-149 - 7]));
    assert_eq!(q.dequantize(), [least, -least, 0.0]);
}

/// The value of an element is (element - zero point) * scale: exactly what is stored says so.
fn elements_and_exponents() {
    let x = [1.5, -0.375, 0.0, 0.01];
    for format in Format::all().iter().filter(|f| f.scaling.is_some()) {
        let q = format.quantize(&x, 2).expect("finite");
        assert_eq!((q.rows(), q.k(), q.k_padded() % q.block_len()), (2, 2, 0));
        let (elements, values) = (q.elements(), q.dequantize());
        for (i, value) in values.iter().enumerate() {
            let (row, column) = (i / q.k(), i % q.k());
            let unit = Unit::of(&q, row, column);
            let exact = (f64::from(elements[row * q.k_padded() + column]) - unit.zero) * unit.scale;
            assert_eq!(exact as f32, *value, "{} element {i}", format.name);
        }
    }
    let integers = format("hbfp8").quantize(&x, 4).expect("finite").elements();
    assert_eq!(integers[..4], [96.0, -24.0, 0.0, 1.0]);
}

fn errors_say_what_to_do() {
    let text = |e: Error| e.to_string();
    let at_7 = |v: f32| {
        let mut x = vec![1.0; 12];
        x[7] = v;
        x[9] = f32::NAN;
        x
    };
    for f in Format::all() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut x = at_7(bad);
            let errors = [
                f.quantize(&x, 4).map(drop),
                f.quantize_reference(&x, 4).map(drop),
                "50%".parse().and_then(|p: Pattern| p.magnitude_mask(&x, 4)).map(drop),
                f.fake_quantize(&mut x, 4),
            ];
            for error in errors {
                assert!(text(error.expect_err("not finite")).starts_with("row 1, column 3 is "), "{}", f.name);
            }
        }
        assert_eq!(f.quantize(&[1.0; 5], 3), Err(Error::Ragged { len: 5, k: 3 }));
        assert_eq!(f.fake_quantize(&mut [1.0; 5], 0), Err(Error::Ragged { len: 5, k: 0 }));
    }
    let two_of_four: Pattern = "2:4".parse().expect("a pattern");
    let pairs: Pattern = "2:4p".parse().expect("a pattern");
    let error = pairs.magnitude_mask(&[1.0; 6], 6).expect_err("no whole groups of pairs");
    assert!(text(error).starts_with("2:4p sparsity needs a matrix of whole tiles of 1 x 4"));
    let mask = two_of_four.magnitude_mask(&[1.0; 8], 8).expect("4 divides 8");
    assert!(matches!(mask.apply(&mut [1.0; 16]), Err(Error::MaskShape { mask_rows: 1, rows: 2, .. })));
    let q = format("int8").quantize(&[1.0; 8], 4).expect("finite");
    assert!(matches!(q.clone().apply_mask(&mask), Err(Error::MaskShape { mask_k: 8, k: 4, .. })));
    assert!(matches!(q.packed(Some(&mask)), Err(Error::MaskShape { .. })));
    assert!("qss".parse::<Order>().is_err());
    assert_eq!("QS".parse::<Order>().map(|o| o.to_string()), Ok("qs".to_owned()));
    assert!(text(Format::by_name("mxpf8").expect_err("unknown")).contains("did you mean `mxfp8`?"));
}

/// What is refused takes no name; what is kept takes it for good, and only the same again has it too.
fn refused_names_stay_free() {
    let text = |bits: u32| format!("[format]\nname = \"Spare-1\"\nbits = {bits}\nsource = \"a test\"");
    assert!(matches!(Format::declare(&text(1)), Err(Error::Record { .. })));
    assert!(Format::by_name("spare-1").is_err());
    let kept = Format::declare(&text(5)).expect("an integer of 5 bits");
    assert_eq!((kept.name, kept.element.name, kept.source), ("spare-1", "spare-1", "a test"));
    assert!(Format::declare(&text(5)).is_ok_and(|again| std::ptr::eq(again, kept)));
    assert!(matches!(Format::declare(&text(6)), Err(Error::Record { .. })));
    assert!(Format::by_name("spare-1@up@wrap").is_ok_and(|f| f.name == "spare-1@up@wrap"));
    let twice = Format::by_name(&("mxfp8@ceil@up".to_owned() + &"@even".repeat(1 << 20))).expect_err("two scale rules");
    assert!(twice.to_string().contains("`@ceil` names its scale rule already"), "{twice}");
    assert!(Format::by_name("hbfp8-b9999999").is_err_and(|e| e.to_string().contains("2^20")));
    assert!(Format::by_name("spare-2").is_err_and(|e| e.to_string().contains("spare-1")));
}

/// Found by fuzzing: a tensor scale of `amax / (largest element * largest block scale)` that is infinite.
fn tensor_scales_are_finite() {
    let text = |bias: i32| {
        format!(
            "[format]\nname = \"small-nv\"\nexponent_bits = 2\nmantissa_bits = 1\nbias = {bias}\nspecials = \"none\"\n\
             block = {{ run = 16 }}\nscale = {{ code = \"ue4m3\" }}\nrule = \"nvfp4-torchao\"\ntwo_level = true\nsource = \"x\""
        )
    };
    let refused = Format::declare(&text(12)).expect_err("exponents of -9 and 8").to_string();
    assert!(refused.contains("the exponents of the largest element and the largest block scale"), "{refused}");
    let kept = Format::declare(&text(11)).expect("exponents of -8 and 8");
    let largest = kept.quantize(&[f32::MAX, 0.0], 2).expect("finite");
    assert!(largest.tensor_scale().is_some_and(f32::is_finite));
}

fn record_as_json() {
    let json = serde_json::to_value(format("mxfp8")).expect("a record is plain data");
    let want = serde_json::json!({
        "name": "mxfp8", "aliases": ["mxfp8-e4m3"],
        "element": {"name": "e4m3", "encoding": {
            "kind": "float", "sign": "signed", "exponent_bits": 4, "mantissa_bits": 3, "bias": 7,
            "specials": "nan-only", "subnormals": true}},
        "scaling": {"block": {"run": 32}, "scale": "e8m0", "rule": "floor", "two_level": false},
        "input": null, "rounding": "nearest-even", "overflow": "saturate", "non_finite": "nan-block",
        "activations": null,
        "laws": {"theorem_3_5": true, "idempotent": true, "scale_invariant": true, "permutation_invariant": true},
        "source": format("mxfp8").source,
    });
    assert_eq!(json, want);
    for f in Format::all() {
        let json = serde_json::to_string(f).expect("a record is plain data");
        let back: Format = serde_json::from_str(&json).expect("what was written");
        assert_eq!(back, *f, "{}", f.name);
        assert!(back.adopt().is_ok_and(|known| std::ptr::eq(known, f)), "{}: the same record", f.name);
    }
    let card = serde_json::to_value(format("hbfp8").card()).expect("a card is plain data");
    assert_eq!(card["bits_per_element"], "8.15625");
    assert!(format("hbfp8").card().to_string().contains("64 elements along K, 10-bit exponent"));
}
