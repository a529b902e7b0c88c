//! Chains of fused multiply-adds in IEEE 754's roundings.

use super::build::{lasting, operand, round, sum};
use crate::datapath::record::{
    Accumulator, Arm, Codes, Datapath, Group, Inputs, Joins, Nan, Node, Order, Overflow, Product, Proof, Subnormals,
    Zero,
};
use interplay_formats::Rounding;

/// The suffix of an accumulator and its rounding.
const ROUNDINGS: [(&str, Rounding); 4] =
    [("", Rounding::NearestEven), ("-rz", Rounding::TowardZero), ("-rm", Rounding::Down), ("-rp", Rounding::Up)];

/// A chain of fused multiply-adds: k increasing, `c = fma(a, b, c)`.
pub(super) fn chain(prefix: &str, input: &str, suffix: &str, rounding: Rounding) -> Datapath {
    let port = operand(input);
    let arms = vec![Arm::exact(Node::PRODUCTS), Arm::exact(Node::Accumulator)];
    Datapath {
        name: lasting(format!("{prefix}.{input}.{input}{suffix}")),
        about: "a chain of fused multiply-adds, k increasing",
        source: "IEEE 754-2019, 5.4.1",
        proof: Proof::Simulator,
        inputs: Inputs::Codes(Codes { a: port, b: port, scale: None, sparse: None }),
        depths: &[],
        order: Order { group: Group::Of(1), classes: &[], joins: Joins::First },
        product: Product::EXACT,
        sum: sum(arms, None, vec![round(port.format, rounding, Overflow::Ieee)]),
        accumulator: Accumulator {
            c: port.format,
            d: port.format,
            subnormals: Subnormals::Kept,
            nan: Nan::Any,
            zero: Zero::Ieee,
        },
        macs_per_cycle: None,
    }
}

/// FP32 and FP64 in four roundings.
pub(super) fn records() -> Vec<Datapath> {
    let inputs = ["f32", "f64"].into_iter();
    inputs.flat_map(|input| rounded("ieee.fma", input)).collect()
}

/// The chains of one input type, one a rounding.
pub(super) fn rounded(prefix: &'static str, input: &'static str) -> impl Iterator<Item = Datapath> {
    ROUNDINGS.into_iter().map(move |(suffix, rounding)| chain(prefix, input, suffix, rounding))
}
