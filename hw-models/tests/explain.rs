//! Explanations: what they say is what was computed, and they name the rule that makes two units differ.

use crate::support::{Random, case};
use interplay_formats::{Overflow, Rounding, Value};
use interplay_hw::explain::{Explanation, Number};
use interplay_hw::verify::Options;
use interplay_hw::{Datapath, Operands, Words, explain, explain_against};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("explain::nothing_is_lost", nothing_is_lost),
        case("explain::hopper_two_ways", hopper_two_ways),
        case("explain::cdna3_floors", cdna3_floors),
        case("explain::scales_and_sparsity", scales_and_sparsity),
        case("explain::rules_decide", rules_decide),
        case("explain::same_arithmetic", same_arithmetic),
        case("explain::refusals", refusals),
    ]
}

fn unit(name: &str) -> &'static Datapath {
    Datapath::by_name(name).unwrap()
}

fn floats<'a>(a: &[f32], b: &[f32], c: f32) -> Operands<'a> {
    Operands { c: Some(Words::from(&[c][..])), ..Operands::rows(1, a.len(), Words::from(a), Words::from(b)) }
}

/// On random operands: the result is the unit's, every term is what is kept and what is dropped, every total is the sum of
/// what is kept. FP64 holds the numbers of these units without rounding.
fn nothing_is_lost() {
    let mut random = Random(11);
    for name in [
        "hopper.wgmma.e4m3.f32",
        "ampere.mma.f16.f16",
        "cdna3.mfma.e5m2fnuz.f32",
        "cdna3.mfma.f16.f32",
        "hopper.mma.e5m2.f16",
    ] {
        let datapath = unit(name);
        let format = datapath.codes().unwrap().a.format;
        for _ in 0..20 {
            let mut some = || -> Vec<f32> {
                let value = |random: &mut Random| {
                    f32::from_bits((random.bits() as u32 & 0x8060_0000) | (120 + random.below(12) as u32) << 23)
                };
                (0..40).map(|_| value(&mut random)).collect()
            };
            let (a, b) = (some(), some());
            assert!(
                a.iter()
                    .all(|&x| format.encode(Value::from_f32(x), Rounding::NearestEven, Overflow::Infinity).is_some())
            );
            let operands = floats(&a, &b, a[0]);
            let explanation = explain(datapath, &operands, 0, &Options::default()).unwrap();
            let want = datapath.outputs(&operands, &Options::default()).unwrap()[0];
            assert_eq!(explanation.d.bits, Some(format!("{want:08x}")), "{name}");
            check(&explanation);
        }
    }
}

fn check(explanation: &Explanation) {
    for sum in explanation.instructions.iter().flat_map(|instruction| &instruction.sums) {
        let value = |number: &Number| number.value;
        for term in &sum.terms {
            let Some(aligned) = &term.aligned else { continue };
            assert_eq!(value(&aligned.kept) + value(&aligned.dropped), value(&term.value), "{explanation}");
        }
        let kept = |term: &interplay_hw::explain::Part| value(term.aligned.as_ref().map_or(&term.value, |a| &a.kept));
        assert_eq!(sum.terms.iter().map(kept).sum::<f64>(), value(&sum.total), "{explanation}");
    }
}

/// FP8 on Hopper: `wgmma` keeps 13 fraction bits, `mma` widens to FP16 and keeps 25.
fn hopper_two_ways() {
    let a = [1.75, -0.4375, 240.0, 0.001953125, 3.5, -1.125];
    let b = [0.875, 7.0, 1.25, 0.001953125, -0.015625, 2.0];
    let (operands, options) = (floats(&a, &b, 0.1), Options::default());
    let units = (unit("hopper.wgmma.e4m3.f32"), unit("hopper.mma.e4m3.f32"));
    let comparison = explain_against(units, &operands, 0, &options).unwrap();
    insta::assert_snapshot!("hopper_two_ways", comparison.to_string());
    let json = serde_json::to_value(&comparison).unwrap();
    let term = &json["a"]["instructions"][0]["sums"][0]["terms"][4];
    assert_eq!(term["aligned"]["dropped"]["hex"], "-0x1p-7");
    assert_eq!(json["decisive"][0].as_array().unwrap().len(), 3);
}

/// CDNA3 sums the products first, then floors the negative accumulator instead of truncating it.
fn cdna3_floors() {
    let a = [1.0, 1.5, 0.25, -2.0];
    let b = [1.0, 0.5, 1.25, 1.0];
    let operands = floats(&a, &b, -1.0 / 3.0 * 1e-7);
    let explanation =
        explain(unit("cdna3.mfma.f16.f32"), &operands, 0, &Options { depth: Some(4), ..Options::default() });
    insta::assert_snapshot!("cdna3_floors", explanation.unwrap().to_string());
}

/// Scales stand beside their elements; positions are those of the operands, in the order of the kernel.
fn scales_and_sparsity() {
    let nvf4 = unit("b200.tcgen05.nvf4.f32");
    let operands = Operands {
        scale_a: Some(vec![0x38u8, 0x40].into()),
        scale_b: Some(vec![0x38u8, 0x30].into()),
        ..Operands::rows(1, 32, vec![2u8; 32], vec![3u8; 32])
    };
    let k_order: Vec<usize> = (16..32).chain(0..16).collect();
    let text = explain(nvf4, &operands, 0, &Options { k_order, ..Options::default() }).unwrap().to_string();
    assert!(text.contains("k 16") && text.contains("1*2") && text.contains("1.5*0.5"), "{text}");
    let sparse = unit("ampere.mma-sp-h1.f16.f32");
    let operands = Operands {
        metadata: Some(vec![0b1001u8, 0b1110].into()),
        ..Operands::rows(1, 8, vec![0x3C00u16; 4], vec![0x4000u16; 8])
    };
    let explanation = explain(sparse, &operands, 0, &Options::default()).unwrap();
    let places: Vec<usize> = explanation.instructions[0].products.iter().map(|product| product.k).collect();
    assert_eq!(places, [1, 2, 6, 7]);
}

/// Pairs of units, operands on which they differ, and the rule that does it.
fn rules_decide() {
    let tiny = f32::from_bits(0x3380_0000); // 2^-24
    type Case = (&'static str, &'static str, Vec<f32>, Vec<f32>, f32, &'static str);
    let cases: [Case; 6] = [
        (
            "ampere.mma.f16.f32",
            "hopper.mma.f16.f32",
            vec![1.0, 2.0 * tiny],
            vec![1.0, 0.25],
            -1.0,
            "fraction bits kept",
        ),
        ("ieee.fma.f32.f32", "ieee.fma.f32.f32-rz", vec![1.0], vec![1.0], 1.5 * tiny, "rounding of sums"),
        ("hopper.wgmma.e4m3.f32", "ada.mma.e4m3.f32", e4m3_steps().0, e4m3_steps().1, 0.0, "products a step"),
        ("cdna1.mfma.f16.f32", "cdna2.mfma.f16.f32", vec![2.0 * tiny; 4], vec![0.0; 4], 1e-40, "accumulator"),
        ("ieee.fma.f32.f32", "ideal", vec![1.0, tiny, tiny], vec![1.0; 3], 0.0, "products a step"),
        ("cdna3.mfma.f16.f32", "cdna1.mfma.f16.f32", vec![1.0], vec![1.0], -tiny / 64.0, "adder tree"),
    ];
    for (a, b, x, y, c, rule) in cases {
        let options = Options::default();
        let comparison = explain_against((unit(a), unit(b)), &floats(&x, &y, c), 0, &options).unwrap();
        let named = comparison.decisive.iter().any(|rules| rules.contains(&rule));
        assert!(!comparison.same && named, "{comparison}");
    }
}

/// One large product in the first half of an instruction, small ones in the second: one step of 32 drops them, two steps
/// of 16 do as well, but align them with each other first.
fn e4m3_steps() -> (Vec<f32>, Vec<f32>) {
    let mut a = vec![0.0; 32];
    (a[0], a[1]) = (16.0, -16.0);
    a[16..].fill(0.001953125);
    (a, vec![0.046875; 32])
}

/// `wgmma` and `mma` of Hopper are one arithmetic in FP16.
fn same_arithmetic() {
    let units = (unit("hopper.wgmma.f16.f32"), unit("hopper.wgmma.f16.f32"));
    let comparison = explain_against(units, &floats(&[1.0], &[2.0], 3.0), 0, &Options::default()).unwrap();
    assert!(comparison.same && comparison.differences.is_empty(), "{comparison}");
    let units = (unit("hopper.wgmma.f16.f32"), unit("hopper.mma.f16.f32"));
    let options = Options { depth: Some(16), ..Options::default() };
    let comparison = explain_against(units, &floats(&[1.0], &[2.0], 3.0), 0, &options).unwrap();
    assert!(comparison.same && comparison.to_string().contains("one arithmetic"), "{comparison}");
}

fn refusals() {
    let operands = floats(&[1.0], &[2.0], 3.0);
    let error = explain(unit("ideal"), &operands, 1, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("no output 1") && error.contains("have 1"), "{error}");
    assert!(explain(unit("fake"), &operands, 0, &Options::default()).is_err());
}
