//! What records of machines share: scalar formats by the names that instructions use, roundings, sums.

use crate::datapath::record::{
    Accumulator, Align, Arm, ElementExponent, Nan, Node, Overflow, Port, Round, Subnormals, Sum, Unit, Zero,
};
use interplay_formats::catalog::{BF16, E2M1, E2M3, E3M2, E4M3, E4M3FNUZ, E5M2, E5M2FNUZ, FP16};
use interplay_formats::{Encoding, Range, Rounding, Scalar, Specials, scalar};

/// FP32 with 13 fraction bits, stored in FP32: the results of the narrow FP8 units.
pub(super) const E8M13: Scalar = Scalar::float("e8m13", 8, 13, 127, Specials::Ieee);
/// FP32 with 31 fraction bits: the sums of CDNA3 before their last rounding.
pub(super) const E8M31: Scalar = Scalar::float("e8m31", 8, 31, 127, Specials::Ieee);
/// 32-bit integers.
pub(super) const S32: Scalar = Scalar::ranged("s32", Range::Full, 32, 0);

/// To nearest FP32, ties to even.
pub(super) const NEAREST_FP32: Round = round(scalar::FP32, Rounding::NearestEven, Overflow::Infinity);
/// Toward zero, infinity beyond the largest number: the accumulators of NVIDIA's tensor cores.
pub(super) const TRUNCATED_FP32: Round = round(scalar::FP32, Rounding::TowardZero, Overflow::Infinity);
/// The same to 13 fraction bits.
pub(super) const TRUNCATED_E8M13: Round = round(E8M13, Rounding::TowardZero, Overflow::Infinity);
/// To nearest FP16, ties to even.
pub(super) const NEAREST_FP16: Round = round(FP16, Rounding::NearestEven, Overflow::Infinity);

/// A rounding that keeps subnormals.
pub(super) const fn round(format: Scalar, rounding: Rounding, overflow: Overflow) -> Round {
    Round { format, rounding, overflow, subnormals: Subnormals::Kept, unit: Unit::One }
}

/// An accumulator of NVIDIA's: canonical NaN, zeros are +0.
pub(super) const fn accumulator(c: Scalar, d: Scalar) -> Accumulator {
    Accumulator { c, d, subnormals: Subnormals::Kept, nan: Nan::Ones, zero: Zero::Positive }
}

/// Codes as they are.
pub(super) const fn port(format: Scalar) -> Port {
    Port { format, emin: None, ignored_bits: 0, subnormals: Subnormals::Kept, exponent: ElementExponent::Own }
}

/// An input that is cut to so many fraction bits below the common exponent.
pub(super) const fn aligned(node: Node, fraction_bits: u32, rounding: Rounding) -> Arm {
    Arm { node, fraction_bits, rounding, reach: None }
}

/// A sum that lasts as long as the program, as records do.
pub(super) fn sum(arms: Vec<Arm>, align: Option<i32>, round: Vec<Round>) -> &'static Sum {
    let align = align.map(|floor| Align { floor });
    Box::leak(Box::new(Sum { arms: arms.leak(), align, round: round.leak() }))
}

/// Products and accumulator aligned together and truncated (T-FDPA of MMA-Sim).
pub(super) fn truncating(fraction_bits: u32, floor: i32, round: Round) -> &'static Sum {
    let arm = |node| aligned(node, fraction_bits, Rounding::TowardZero);
    sum(vec![arm(Node::PRODUCTS), arm(Node::Accumulator)], Some(floor), vec![round])
}

/// An integer operand with all codes of its width.
const fn integer(name: &'static str, range: Range, bits: u32) -> Port {
    port(Scalar { name, encoding: Encoding::Integer { range, bits, fraction_bits: 0 } })
}

/// An FP32 register whose low 13 bits the unit does not read.
const REGISTER: Port = Port { ignored_bits: 13, ..port(scalar::FP32) };

/// Operands by the names that instructions use.
const OPERANDS: [(&str, Port); 18] = [
    ("f16", port(FP16)),
    ("bf16", port(BF16)),
    ("tf32", REGISTER),
    ("xf32", REGISTER),
    ("f32", port(scalar::FP32)),
    ("f64", port(scalar::FP64)),
    ("e4m3", port(E4M3)),
    ("e5m2", port(E5M2)),
    ("e3m2", port(E3M2)),
    ("e2m3", port(E2M3)),
    ("e2m1", port(E2M1)),
    ("e4m3fnuz", port(E4M3FNUZ)),
    ("e5m2fnuz", port(E5M2FNUZ)),
    ("s8", integer("s8", Range::Full, 8)),
    ("u8", integer("u8", Range::Unsigned, 8)),
    ("s4", integer("s4", Range::Full, 4)),
    ("u4", integer("u4", Range::Unsigned, 4)),
    ("u1", integer("u1", Range::Unsigned, 1)),
];

/// The operand of that name.
pub(super) fn operand(name: &str) -> Port {
    let found = OPERANDS.iter().find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no operand `{name}`: the catalogue's own tables are wrong")).1
}

/// The name of a pair of operands: one where both are alike, else both joined by `x`.
pub(super) fn pair(a: &str, b: &str) -> String {
    if a == b { a.to_owned() } else { format!("{a}x{b}") }
}

/// A text that lasts as long as the program, as records do.
pub(super) fn lasting(text: String) -> &'static str {
    text.leak()
}
