//! The second reading of a record: the multipliers, adders, shifters and registers that compute what it says.
//!
//! Nothing is priced here. Widths follow from the record alone: an aligned term has its fraction bits and two bits above
//! them, an exact sum as many bits as its products span.

use super::record::{Codes, Datapath, ElementExponent, Group, Inputs, Node, Sum};
use interplay_formats::{Encoding, Format, Scalar, scalar};
use serde::Serialize;

/// What an operation is done once for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each executed multiply-accumulate.
    Mac,
    /// Each step of each output: a block, where blocks are steps.
    Block,
    /// Each output.
    Output,
}

/// An operation of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// The product of two significands.
    Multiply {
        /// Bits of the one, without sign.
        a: u32,
        /// Bits of the other.
        b: u32,
    },
    /// A whole FP32 multiplication.
    Fp32Multiply,
    /// A whole FP32 addition.
    Fp32Add,
    /// An addition in the tree of a sum.
    Add,
    /// An addition of exponents.
    ExponentAdd,
    /// The larger of two exponents.
    ExponentCompare,
    /// A term brought to the common exponent.
    Shift,
    /// A sum normalised and rounded.
    Convert,
    /// A floating-point addition with its rounding, to so many significand bits.
    FloatAdd {
        /// Bits of magnitude, hidden bit included.
        significand: u32,
    },
    /// The choice of an operand among several positions, for weights that are stored without their zeros.
    Select {
        /// Positions to choose from.
        ways: u32,
    },
}

/// One operation of a unit, how often it is done, and how wide it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Part {
    /// What it is for.
    pub what: &'static str,
    /// The operation.
    pub operation: Operation,
    /// What it is done for…
    pub per: Per,
    /// … so many times.
    pub count: u64,
    /// Width in bits.
    pub bits: u64,
}

/// Bits of a block's exponent.
const EXPONENT: u64 = 10;

/// The operands of a unit as the walk needs them.
struct Walk {
    a: Scalar,
    b: Scalar,
    /// Products of a step.
    group: u64,
    parts: Vec<Part>,
}

impl Datapath {
    /// The operations of the unit on operands of two formats, one output at a time; the accumulator register last in
    /// width is `accumulator.d`. Units that take codes say themselves what they take.
    pub fn inventory(&self, weight: &Format, activation: &Format) -> Vec<Part> {
        let (a, b) = self.elements(weight, activation);
        let mut walk = Walk { a, b, group: self.step(weight), parts: Vec::new() };
        if a == scalar::FP32 && b == scalar::FP32 && self.sum.align.is_none() {
            walk.part("FP32 multiply", Operation::Fp32Multiply, Per::Mac, 1, 32);
            walk.part("FP32 add", Operation::Fp32Add, Per::Mac, 1, 32);
            return walk.parts;
        }
        walk.part(
            "multiply",
            Operation::Multiply { a: significand(a), b: significand(b) },
            Per::Mac,
            1,
            u64::from(significand(a).max(significand(b)) + 1),
        );
        if let Inputs::Codes(Codes { sparse: Some(stored), b, .. }) = self.inputs {
            let ways = (stored.m.saturating_sub(stored.n) / stored.together.max(1) + 1) as u32;
            walk.part("operand select", Operation::Select { ways }, Per::Mac, 1, u64::from(b.format.bits()));
        }
        walk.sum(self.sum, self.step_of());
        self.scales(&mut walk);
        walk.parts
    }

    /// What is multiplied: elements of the formats, or what the unit says itself.
    pub(crate) fn elements(&self, weight: &Format, activation: &Format) -> (Scalar, Scalar) {
        match self.inputs {
            Inputs::Codes(Codes { a, b, .. }) => (a.format, b.format),
            // Values of a narrow float need no wider multiplier.
            Inputs::Host | Inputs::Values => {
                let narrow = |s: Scalar| matches!(s.encoding, Encoding::Float { .. }) && s.bits() < 32;
                let own = |format: &Format| match format.element {
                    element if format.scaling.is_none() && narrow(element) => element,
                    _ => scalar::FP32,
                };
                (own(weight), own(activation))
            }
            Inputs::Integers | Inputs::Blocks(_) => (weight.element, activation.element),
        }
    }

    /// Products of a step.
    pub(crate) fn step(&self, weight: &Format) -> u64 {
        let group = match self.order.group {
            Group::All => self.depths.last().copied().unwrap_or(1),
            Group::Block => weight.block_len(1),
            Group::Of(group) => group,
        };
        group.max(1) as u64
    }

    /// What the sums of products are called.
    fn step_of(&self) -> &'static str {
        match self.inputs {
            Inputs::Blocks(_) => "block sum add",
            Inputs::Integers => "integer add",
            _ => "add in the tree",
        }
    }

    /// Exponents of elements and blocks, and the scales of rows.
    fn scales(&self, walk: &mut Walk) {
        let (own, block) = match self.inputs {
            Inputs::Codes(codes) => (codes.a.exponent == ElementExponent::Own, codes.scale.is_some()),
            Inputs::Blocks(_) => (true, true),
            _ => (false, false),
        };
        let exponent = exponent_bits(walk.a).max(exponent_bits(walk.b));
        if own && exponent > 0 {
            walk.part("element exponent add", Operation::ExponentAdd, Per::Mac, 1, exponent + 1);
        }
        if block {
            walk.part("block exponent add", Operation::ExponentAdd, Per::Block, 1, EXPONENT);
        }
        if self.inputs == Inputs::Integers {
            walk.part("product of the two scales", Operation::Fp32Multiply, Per::Output, 1, 32);
            walk.part("scaling", Operation::Fp32Multiply, Per::Output, 1, 32);
        }
    }
}

impl Walk {
    fn part(&mut self, what: &'static str, operation: Operation, per: Per, count: u64, bits: u64) {
        self.parts.push(Part { what, operation, per, count, bits });
    }

    /// The operations of a sum and of those below it.
    fn sum(&mut self, sum: &Sum, name: &'static str) {
        let products = sum.arms.iter().any(|arm| matches!(arm.node, Node::Products { .. }));
        let others = sum.arms.iter().filter(|arm| !matches!(arm.node, Node::Products { .. })).count() as u64;
        for arm in sum.arms {
            match arm.node {
                Node::Sum(inner) | Node::Runs { sum: inner, .. } => self.sum(inner, name),
                Node::Products { .. } | Node::Accumulator => {}
            }
        }
        let integer = sum.round.last().filter(|round| matches!(round.format.encoding, Encoding::Integer { .. }));
        match (sum.align, sum.round.last()) {
            // One product and the accumulator: a fused multiply-add, which needs no window of the whole span.
            (None, Some(round)) if products && others > 0 && self.group == 1 && integer.is_none() => {
                let significand = significand(round.format);
                let bits = u64::from(round.format.bits());
                return self.part("floating-point add", Operation::FloatAdd { significand }, Per::Mac, 1, bits);
            }
            _ => {}
        }
        match sum.align {
            Some(_) => self.aligned(sum, products, others),
            None if products => {
                let bits = integer.map_or_else(|| self.span(), |round| u64::from(round.format.bits()));
                self.part(name, Operation::Add, Per::Mac, 1, bits);
                if integer.is_none() && exponent_bits(self.a).max(exponent_bits(self.b)) > 0 {
                    self.part("product shift", Operation::Shift, Per::Mac, 1, bits);
                }
            }
            None => return self.addition(sum, others.saturating_sub(1).max(1)),
        }
        for round in sum.round.iter().filter(|_| integer.is_none()) {
            let bits = u64::from(round.format.bits());
            self.part("conversion to the accumulator's format", Operation::Convert, Per::Block, 1, bits);
        }
    }

    /// A sum of rounded numbers: floating-point additions to the register's width, their rounding included.
    fn addition(&mut self, sum: &Sum, count: u64) {
        match sum.round.last().map(|round| round.format) {
            Some(format) if format.encoding != scalar::FP32.encoding => {
                let operation = Operation::FloatAdd { significand: significand(format) };
                self.part("floating-point add", operation, Per::Block, count, u64::from(format.bits()));
            }
            _ => self.part("FP32 add", Operation::Fp32Add, Per::Block, count, 32),
        }
    }

    /// The shifters, comparators and adders of an aligned sum.
    fn aligned(&mut self, sum: &Sum, products: bool, others: u64) {
        let kept = u64::from(sum.arms.iter().map(|arm| arm.fraction_bits).max().unwrap_or(0)) + 3;
        let terms = if products { self.group + others } else { others.max(2) };
        let bits = kept + u64::from(terms.max(1).ilog2()) + 1;
        let runs = sum.arms.iter().find_map(|arm| match arm.node {
            Node::Runs { length, .. } => Some(self.group.div_ceil(length.max(1) as u64)),
            _ => None,
        });
        let others = runs.map_or(others, |runs| runs + others.saturating_sub(1));
        if products {
            self.part("alignment", Operation::Shift, Per::Mac, 1, kept);
            self.part("largest exponent", Operation::ExponentCompare, Per::Mac, 1, EXPONENT);
            self.part("add in the tree", Operation::Add, Per::Mac, 1, bits);
        }
        if others > 0 {
            self.part("alignment of sums and accumulator", Operation::Shift, Per::Block, others, kept);
            self.part("largest exponent of sums", Operation::ExponentCompare, Per::Block, others, EXPONENT);
            self.part("add of sums", Operation::Add, Per::Block, others, bits);
        }
    }

    /// Bits of the exact sum of a step, sign included.
    fn span(&self) -> u64 {
        let reach = |format: Scalar| i64::from(format.emax() + 1 - format.grid().lsb_min);
        match (units(self.a), units(self.b)) {
            (Some(a), Some(b)) if a.checked_mul(b).and_then(|ab| ab.checked_mul(u128::from(self.group))).is_some() => {
                u64::from((a * b * u128::from(self.group)).ilog2()) + 2
            }
            _ => (reach(self.a) + reach(self.b)) as u64 + u64::from(self.group.ilog2()) + 2,
        }
    }
}

/// Units of the last place in the largest number, where 64 bits hold them.
fn units(format: Scalar) -> Option<u128> {
    let max = format.max();
    let shift = u32::try_from(max.exponent - format.grid().lsb_min).ok().filter(|shift| *shift < 64)?;
    Some(max.significand << shift).filter(|units| *units <= u128::from(u64::MAX))
}

/// Bits of magnitude, hidden bit included, without sign.
pub(crate) const fn significand(format: Scalar) -> u32 {
    match format.encoding {
        Encoding::Integer { bits, .. } => bits - 1 + (bits == 1) as u32,
        Encoding::Float { mantissa_bits, .. } => mantissa_bits + 1,
        _ => format.bits(),
    }
}

/// Bits of an element's own exponent.
pub(crate) const fn exponent_bits(format: Scalar) -> u64 {
    match format.encoding {
        Encoding::Float { exponent_bits, .. } => exponent_bits as u64,
        _ => 0,
    }
}
