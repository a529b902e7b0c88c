//! Datapaths declared in TOML: what they compute, and what is refused.

use crate::support::{Kind, Random, case, quantized, same_bits};
use interplay_hw::datapath::{Group, Overflow, Unit};
use interplay_hw::{Datapath, Operand, Row};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("declare::same_as_catalogue", same_as_catalogue),
        case("declare::base", base),
        case("declare::narrow_accumulator", narrow_accumulator),
        case("declare::dot_register", dot_register),
        case("declare::systolic", systolic),
        case("declare::refused", refused),
    ]
}

/// A declaration that says what a record of the catalogue says is that record, its name aside.
fn same_as_catalogue() {
    let pairs = [
        (
            "hopper.mma.f16.f32",
            "a = \"fp16\"\ndepths = [8, 16]\ngroup = 16\nfraction_bits = 25\nfloor = -133\nrounding = \"toward-zero\"",
        ),
        (
            "ampere.mma.bf16.f32",
            "a = \"bf16\"\ndepths = [8, 16]\ngroup = 8\nfraction_bits = 24\nfloor = -132\nrounding = \"toward-zero\"",
        ),
        ("cdna1.mfma.f16.f32", "a = \"fp16\"\ndepths = [4, 8, 16]\ngroup = 4"),
    ];
    for (i, (name, text)) in pairs.into_iter().enumerate() {
        let own = Datapath::from_toml(&format!("[datapath]\nname = \"own-{i}\"\n{text}")).unwrap();
        let record = Datapath::by_name(name).unwrap();
        assert_eq!(
            (own.inputs, own.depths, own.order, own.sum),
            (record.inputs, record.depths, record.order, record.sum)
        );
    }
}

/// What is not said stays as the base has it.
fn base() {
    let base = Datapath::by_name("hopper.wgmma.e4m3.f32").unwrap();
    let wide = Datapath::from_toml("[datapath]\nname = \"wide\"\nbase = \"hopper.wgmma.e4m3.f32\"\nfraction_bits = 20")
        .unwrap();
    assert_eq!((wide.order, wide.sum.align, wide.sum.round), (base.order, base.sum.align, base.sum.round));
    assert!(wide.sum.arms.iter().all(|arm| arm.fraction_bits == 20));
    let steps =
        Datapath::from_toml("[datapath]\nname = \"steps\"\nbase = \"hopper.wgmma.e4m3.f32\"\ngroup = 16").unwrap();
    assert_eq!((steps.order.group, steps.sum), (Group::Of(16), base.sum));
    let last =
        Datapath::from_toml("[datapath]\nname = \"last\"\nbase = \"b200.mma.e4m3.f32\"\nfraction_bits = 13").unwrap();
    assert_eq!(last.order.classes.len(), 2, "the base's order of steps");
}

/// HBFP6 with a 20-bit accumulator (sign, 8, 11) that truncates: a sum by hand.
fn narrow_accumulator() {
    let text =
        "[datapath]\nname = \"hbfp-20\"\ninputs = \"blocks\"\naccumulator = \"e8m11\"\nrounding = \"toward-zero\"";
    let unit = Datapath::from_toml(text).unwrap();
    let k = 96;
    // Elements of 1, 2^-4 and 2^-7 are 31/32 of that, so the block sums are 961/1024 times 1, 2^-8 and 2^-14. With 12
    // significant bits the register counts in 2^-12 near 1: 961 * 257 / 2^6 is cut to 3859, and the last sum is out of reach.
    let row: Vec<f32> = [1.0f32, 0.0625, 0.0078125].iter().flat_map(|&x| [vec![x], vec![0.0; 31]].concat()).collect();
    let x = quantized("hbfp6-b32", &row, k);
    let got = unit.gemm(Operand::Quantized(&x), &unit.prepare(Operand::Quantized(&x)).unwrap()).unwrap();
    assert_eq!(got, [3859.0 / 4096.0]);
    let block = Datapath::by_name("block").unwrap();
    let exact = block.gemm(Operand::Quantized(&x), &block.prepare(Operand::Quantized(&x)).unwrap()).unwrap();
    assert!(exact[0] > got[0], "the wide accumulator keeps the last block");
    for kind in Kind::ALL {
        let (x, w) = (kind.matrix(5, k, &mut Random(5)), kind.matrix(7, k, &mut Random(6)));
        let (x, w) = (quantized("hbfp6-b32", &x, k), quantized("hbfp6-b32", &w, k));
        let (x, w) = (Operand::Quantized(&x), Operand::Quantized(&w));
        let got = unit.gemm(x, &unit.prepare(w).unwrap()).unwrap();
        same_bits(&got, &unit.gemm_reference(x, w).unwrap(), &format!("{kind:?}"));
    }
}

/// A dot register of stated width holds elements before their scales: 32 products of 31 * 31 saturate 14 bits.
fn dot_register() {
    let text = |bits: u32, overflow: &str| {
        format!(
            "[datapath]\nname = \"dot-{bits}-{overflow}\"\ninputs = \"blocks\"\ndot = \"s{bits}\"\ndot_overflow = \"{overflow}\""
        )
    };
    let x = quantized("hbfp6-b32", &[1.0f32; 32], 32);
    let scale = x.dequantize()[0] / 31.0;
    let run = |bits, overflow| {
        let unit = Datapath::from_toml(&text(bits, overflow)).unwrap();
        assert_eq!(unit.sum.arms.len(), 2);
        let operand = Operand::Quantized(&x);
        unit.gemm(operand, &unit.prepare(operand).unwrap()).unwrap()[0] / (scale * scale)
    };
    let exact = 32 * 31 * 31;
    assert_eq!(run(16, "saturate"), exact as f32);
    assert_eq!(run(14, "saturate"), 8191.0);
    assert_eq!(run(14, "wrap"), ((exact + 8192) % 16384 - 8192) as f32);
    let unit = Datapath::from_toml(&text(14, "wrap")).unwrap();
    assert!(
        matches!(unit.sum.arms[1].node, interplay_hw::datapath::Node::Sum(sum) if sum.round[0].unit == Unit::Scale)
    );
}

/// A systolic INT8 array whose W-bit accumulators saturate at each step, or wrap.
fn systolic() {
    let unit = |overflow: &str| {
        let name = format!("systolic-20-{overflow}");
        let text = format!(
            "[datapath]\nname = \"{name}\"\ninputs = \"integers\"\ngroup = 1\naccumulator = \"s20\"\noverflow = \"{overflow}\""
        );
        Datapath::from_toml(&text).unwrap()
    };
    let k = 64;
    let up: Vec<f32> = (0..k).map(|i| if i < 48 { 1.0 } else { -1.0 }).collect();
    let (x, w) = (quantized("int8", &up, k), quantized("int8", &vec![1.0; k], k));
    let (x, w) = (Operand::Quantized(&x), Operand::Quantized(&w));
    let run = |unit: &Datapath| unit.gemm(x, &unit.prepare(w).unwrap()).unwrap()[0] * (127.0 * 127.0);
    // 48 * 127^2 is beyond 2^19 - 1 = 524287, from where 16 * 127^2 are taken away.
    assert_eq!(run(unit("saturate")).round(), (524_287 - 16 * 127 * 127) as f32);
    assert_eq!(run(unit("wrap")).round(), (32 * 127 * 127) as f32);
    assert_eq!(unit("wrap").sum.round[0].overflow, Overflow::Wrap);
}

/// Every contradiction names its field.
fn refused() {
    let cases = [
        ("group = 0\ninputs = \"blocks\"", "group"),
        ("a = \"e4m3\"\ndepths = [32]\ngroup = 12", "group: 12 does not divide the 32"),
        ("inputs = \"blocks\"\na = \"e4m3\"", "not both"),
        ("inputs = \"values\"\nfloor = 3", "floor"),
        ("a = \"e4m3\"\naccumulate = \"aligned\"", "fraction_bits"),
        ("a = \"e4m3\"\nfraction_bits = 200", "0 to 80"),
        ("a = \"e4m3\"\nfraction_bits = -1", "fraction_bits"),
        ("inputs = \"integers\"\naccumulator = \"fp32\"", "integer register"),
        ("inputs = \"integers\"\naccumulator = \"s99\"", "1 to 32 bits"),
        ("a = \"e4m3\"\naccumulator = \"e9m99\"", "mantissa_bits is 0 to 52"),
        ("a = \"e4m4m\"", "is no register"),
        ("a = \"e4m3\"\nsparse = \"3:7\"", "sparse"),
        ("a = \"e4m3\"\nscale = { format = \"e8m0\", block = 0 }", "scale"),
        ("inputs = \"blocks\"\nrounding = \"stochastic-8\"", "random"),
        ("inputs = \"blocks\"\noverflow = \"wrap\"", "wrap"),
        ("inputs = \"values\"\nwidth = 3", "unknown field"),
        ("base = \"hopper.mma.f15.f32\"", "did you mean"),
        ("base = \"fake\"", "fake"),
        ("order = [[0, 2]]\na = \"e4m3\"", "classes"),
        ("", "inputs"),
    ];
    for (text, word) in cases {
        let error = Datapath::from_toml(&format!("[datapath]\nname = \"wrong\"\n{text}")).expect_err(text);
        assert!(error.to_string().contains(word), "`{text}`: `{error}` does not say `{word}`");
    }
    for name in ["", "auto", "a name", "ä"] {
        let text = format!("[datapath]\nname = \"{name}\"\ninputs = \"values\"");
        assert!(Datapath::from_toml(&text).unwrap_err().to_string().contains("1 to 64 letters"), "{name}");
    }
    assert!(Datapath::from_toml("[datapath]\nname = \"block\"\ninputs = \"values\"").is_err());
    assert!(Datapath::by_name("wrong").is_err(), "nothing that was refused is kept");
    let fp32 = Datapath::by_name("fp32").unwrap();
    assert_eq!(fp32.dot(Row { a: &[0x3f80_0000], b: &[0x4000_0000], ..Row::default() }, None).unwrap(), 0x4000_0000);
}
