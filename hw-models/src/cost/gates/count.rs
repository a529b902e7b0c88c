//! Full-adder equivalents of operations.
//!
//! A multiplexer cell counts as a full adder: in placed shifters and selections wires take what transistors do not.

use super::{Constants, Share};
use crate::Datapath;
use crate::datapath::inventory::{exponent_bits, significand};
use crate::datapath::record::{Codes, Inputs};
use crate::datapath::{Operation, Part, Per};
use interplay_formats::{Encoding, Format, Scalar, math};

/// Area of a register bit over that of a full adder: 5.98 um2 over 278 / 32 um2 (Aladdin tables at 40 nm).
pub(super) const REGISTER_AREA: f64 = 5.98 / (278.0 / 32.0);

/// Bits below the significand that an addition keeps for rounding: guard, round, sticky.
const GUARD: u32 = 3;

/// A unit counted, for one multiply-accumulate.
pub(super) struct Counted {
    parts: Vec<Gates>,
    /// Register bits.
    pub register_bits: f64,
}

/// Full adders of one part: those that are there, and those that switch.
struct Gates {
    what: &'static str,
    there: f64,
    active: f64,
}

/// Aligner, adder, leading-zero count and normaliser of an addition to so many significand bits: `3 W log2 W`.
pub fn float_add(significand: u32) -> f64 {
    let width = f64::from(significand + GUARD);
    3.0 * width * math::log2(width)
}

impl Counted {
    pub fn of(unit: &Datapath, weight: &Format, activation: &Format, stages: u32) -> Self {
        let (a, b) = unit.elements(weight, activation);
        let step = unit.step(weight) as f64;
        let scaled = match unit.inputs {
            Inputs::Codes(Codes { scale: Some(scale), .. }) => scale.block.max(1) as f64,
            _ => step,
        };
        // Significant bits of a sum of a block's products: what a wide adder or shifter sees switching.
        let busy = f64::from(multiplier(a) + multiplier(b)) + math::log2(scaled.max(step));
        let mut parts: Vec<Gates> = Vec::new();
        for part in unit.inventory(weight, activation) {
            let share = match (part.per, part.operation) {
                (Per::Mac, _) => 1.0,
                (Per::Block, Operation::ExponentAdd) => 1.0 / scaled.max(step),
                (Per::Block, _) => 1.0 / step,
                (Per::Output, _) => continue,
            };
            let (there, active) = adders(part, (a, b), busy);
            let times = part.count as f64 * share;
            parts.push(Gates { what: part.what, there: there * times, active: active * times });
        }
        Self { parts, register_bits: registers(unit, (a, b), step, stages) }
    }

    /// Full adders that are there, and those that switch; registers aside.
    pub fn full_adders(&self) -> (f64, f64) {
        self.parts.iter().fold((0.0, 0.0), |(there, active), part| (there + part.there, active + part.active))
    }

    /// The parts at the constants of a node.
    pub fn shares(&self, constants: &Constants) -> Vec<Share> {
        let part = |part: &Gates| Share {
            what: part.what,
            full_adders: part.there,
            area_um2: part.there * constants.area_um2,
            energy_pj: part.active * constants.energy_pj,
        };
        let adders = self.register_bits * REGISTER_AREA;
        let registers = Share {
            what: "registers and clock",
            full_adders: adders,
            area_um2: adders * constants.area_um2,
            energy_pj: self.register_bits * constants.register_pj,
        };
        self.parts.iter().map(part).chain([registers]).collect()
    }
}

/// Full adders of an operation: those that are there, and those that switch when sums have `busy` significant bits.
/// Integer adders switch whole: the sign fills their upper bits.
fn adders(part: Part, (a, b): (Scalar, Scalar), busy: f64) -> (f64, f64) {
    let bits = part.bits as f64;
    let shifter = |width: f64| (width * math::log2(width.max(2.0)), width.min(busy) * math::log2(width.max(2.0)));
    let whole = |adders: f64| (adders, adders);
    match part.operation {
        Operation::Multiply { .. } => whole(f64::from(multiplier(a)) * f64::from(multiplier(b))),
        // 24 x 24 bits, two exponents, one rounding.
        Operation::Fp32Multiply => whole(24.0 * 24.0 + 2.0 * 8.0 + 24.0),
        Operation::Fp32Add => floating(24, busy),
        Operation::FloatAdd { significand } => floating(significand, busy),
        Operation::Add | Operation::ExponentAdd => whole(bits),
        // A subtraction and the choice.
        Operation::ExponentCompare => whole(2.0 * bits),
        Operation::Shift => shifter(bits),
        // Leading-zero count and normaliser: two thirds of an addition.
        Operation::Convert => {
            let (there, active) = shifter(bits);
            (2.0 * there, 2.0 * active)
        }
        Operation::Select { ways } => whole(bits * f64::from(ways)),
    }
}

fn floating(significand: u32, busy: f64) -> (f64, f64) {
    let (there, width) = (float_add(significand), f64::from(significand + GUARD));
    (there, there * busy.min(width) / width)
}

/// Bits that a multiplier takes of an operand: the sign belongs to an integer.
fn multiplier(format: Scalar) -> u32 {
    match format.encoding {
        Encoding::Integer { bits, .. } => bits,
        _ => significand(format),
    }
}

/// Register bits of a multiply-accumulate: a product with its exponent in every stage, the positions of stored weights,
/// and the accumulator, which the products of a step share.
fn registers(unit: &Datapath, (a, b): (Scalar, Scalar), step: f64, stages: u32) -> f64 {
    let exponent = exponent_bits(a).max(exponent_bits(b));
    let exponent = if exponent > 0 { exponent + 2 } else { 0 };
    let product = u64::from(multiplier(a) + multiplier(b)) + exponent;
    let position = match unit.inputs {
        Inputs::Codes(Codes { sparse: Some(stored), .. }) => math::log2(stored.m.max(2) as f64).ceil(),
        _ => 0.0,
    };
    let accumulator = if stages == 0 { 0.0 } else { f64::from(unit.accumulator.d.bits()) / step };
    (product as f64 + position) * f64::from(stages) + accumulator
}
