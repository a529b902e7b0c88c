//! AMD's matrix cores: MMA-Sim 2.1.1's description, as records.
//!
//! No recorded silicon is at hand; the proof is the other simulator. NaN payloads and the signs of zeros are not
//! specified.

use super::build::{E8M31, NEAREST_FP32, aligned, lasting, operand, pair, round, sum};
use super::ieee;
use crate::datapath::record::{
    Accumulator, Arm, Codes, Datapath, Group, Inputs, Joins, Nan, Node, Order, Overflow, Port, Product, Proof, Round,
    Subnormals, Sum, Zero,
};
use interplay_formats::{Rounding, scalar};

/// Where the descriptions come from.
const SOURCE: &str = "MMA-Sim 2.1.1, AMD models";
/// A zero product of CDNA3 presents no exponent.
const NO_FLOOR: i32 = -999;
/// FP32 whose subnormals become the zero of their sign.
const FLUSHED_FP32: Round = Round { subnormals: Subnormals::Flushed, ..NEAREST_FP32 };

/// Every record.
pub(super) fn records() -> Vec<Datapath> {
    let chains = ["cdna1", "cdna2", "cdna3"].map(|arch| fma(arch, "f32"));
    let doubles = ["cdna2", "cdna3"].map(|arch| fma(arch, "f64"));
    let mut all = Vec::from(chains);
    all.extend(doubles);
    all.extend([("f16", 4, &[4, 8, 16]), ("bf16", 2, &[2, 4, 8])].map(|(input, group, depths)| Datapath {
        about: "the exact sum of a step and the accumulator, rounded once",
        ..record("cdna1", input, input, group, depths, fused())
    }));
    all.extend(
        [("f16", "f16", 4, &[4, 8, 16]), ("bf16", "bf16", 4, &[4, 8, 16]), ("bf16-p2", "bf16", 2, &[2, 4, 8])]
            .map(|(name, input, group, depths)| flushing(name, input, group, depths)),
    );
    all.extend(
        [("f16", 8, &[4, 8, 16][..]), ("bf16", 8, &[4, 8, 16]), ("xf32", 4, &[4, 8])]
            .map(|(input, group, depths)| late(record("cdna3", input, input, group, depths, products_first()))),
    );
    let bytes = ["e4m3fnuz", "e5m2fnuz"];
    for (a, b) in bytes.into_iter().flat_map(|a| bytes.map(|b| (a, b))) {
        all.push(late(record("cdna3", a, b, 16, &[16, 32], halves_first())));
    }
    all
}

/// A chain of fused multiply-adds.
fn fma(arch: &str, input: &str) -> Datapath {
    Datapath { source: SOURCE, ..ieee::chain(&format!("{arch}.mfma"), input, "", Rounding::NearestEven) }
}

/// A unit with an FP32 accumulator.
fn record(arch: &str, a: &str, b: &str, group: usize, depths: &'static [usize], sum: &'static Sum) -> Datapath {
    Datapath {
        name: lasting(format!("{arch}.mfma.{}.f32", pair(a, b))),
        about: "",
        source: SOURCE,
        proof: Proof::Simulator,
        inputs: Inputs::Codes(Codes { a: operand(a), b: operand(b), scale: None, sparse: None }),
        depths,
        order: Order { group: Group::Of(group), classes: &[], joins: Joins::First },
        product: Product::EXACT,
        sum,
        accumulator: Accumulator {
            c: scalar::FP32,
            d: scalar::FP32,
            subnormals: Subnormals::Kept,
            nan: Nan::Any,
            zero: Zero::Either,
        },
        macs_per_cycle: None,
    }
}

/// CDNA1 (E-FDPA): exact sum, one rounding.
fn fused() -> &'static Sum {
    sum(vec![Arm::exact(Node::PRODUCTS), Arm::exact(Node::Accumulator)], None, vec![NEAREST_FP32])
}

/// CDNA2: subnormals are flushed everywhere; products and sums of pairs are FP32 operations.
fn flushing(name: &str, input: &str, group: usize, depths: &'static [usize]) -> Datapath {
    let port = Port { subnormals: Subnormals::Flushed, ..operand(input) };
    let pairs = sum(vec![Arm::exact(Node::PRODUCTS)], None, vec![FLUSHED_FP32]);
    let step = if group == 2 {
        pairs
    } else {
        sum(vec![Arm::exact(Node::Runs { length: 2, sum: pairs })], None, vec![FLUSHED_FP32])
    };
    let tree = sum(vec![Arm::exact(Node::Accumulator), Arm::exact(Node::Sum(step))], None, vec![FLUSHED_FP32]);
    let base = record("cdna2", input, input, group, depths, tree);
    Datapath {
        name: lasting(format!("cdna2.mfma.{name}.f32")),
        about: "FP32 products and pairwise FP32 sums, subnormals flushed to zero",
        inputs: Inputs::Codes(Codes { a: port, b: port, scale: None, sparse: None }),
        product: Product { round: Some(FLUSHED_FP32), ..Product::EXACT },
        accumulator: Accumulator { subnormals: Subnormals::Flushed, ..base.accumulator },
        ..base
    }
}

/// What the units of CDNA3 share: products beyond FP32's exponents are infinite.
fn late(record: Datapath) -> Datapath {
    Datapath {
        about: "products summed first, then the accumulator, with floors",
        product: Product { infinite_from: Some(128), ..Product::EXACT },
        ..record
    }
}

/// CDNA3's last stage: the sum of products and the accumulator are floored to different widths, then rounded twice.
fn with_accumulator(products: &'static Sum, reach: Option<u32>) -> &'static Sum {
    let arms = vec![
        aligned(Node::Sum(products), 32, Rounding::Down),
        Arm { reach, ..aligned(Node::Accumulator, 24, Rounding::Down) },
    ];
    let floor = round(E8M31, Rounding::Down, Overflow::Unbounded);
    sum(arms, Some(-126), vec![floor, NEAREST_FP32])
}

/// CDNA3's 16-bit formats and XF32 (TR-FDPA).
fn products_first() -> &'static Sum {
    let products = aligned(Node::PRODUCTS, 24, Rounding::TowardZero);
    with_accumulator(sum(vec![products], Some(NO_FLOOR), vec![]), None)
}

/// CDNA3's 8-bit formats (GTR-FDPA): even and odd positions on their own.
fn halves_first() -> &'static Sum {
    let half = |first| {
        let products = aligned(Node::Products { first, every: 2 }, 24, Rounding::TowardZero);
        aligned(Node::Sum(sum(vec![products], Some(NO_FLOOR), vec![])), 24, Rounding::Down)
    };
    with_accumulator(sum(vec![half(0), half(1)], Some(NO_FLOOR), vec![]), Some(25))
}
