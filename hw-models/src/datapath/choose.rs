//! Which kernel computes what a record says: recognised by the record's parts, never by its name.

use super::operand::{BLOCKS, Prepared};
use super::record::{
    Arm, Codes, Datapath, Group, Inputs, Joins, Node, Order, Overflow, Port, Product, Round, Subnormals, Unit,
};
use super::register::{Register, exact_run};
use super::{Weights, reference};
use crate::Error;
use crate::kernel::{
    CertifiedSums, DoubleBlocks, FmaChain, Integers, Rows, SingleBlocks, SplitBlocks, gemm, simd::Path,
};
use interplay_formats::{Encoding, Range, Rounding, scalar};

/// A way to compute a GEMM.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kernel {
    /// A chain of FP32 fused multiply-adds.
    Chain,
    /// Exact sums, rounded once to FP32.
    Certified,
    /// Exact integer sums.
    Integers(Overflow),
    /// Exact block sums, converted to FP32 and added in FP32.
    Blocks(Register),
    /// The interpreter of records.
    Evaluator,
}

impl Kernel {
    /// Whether a record may need the weights as they came.
    pub fn keeps_rows(datapath: &Datapath) -> bool {
        !chain(datapath) && !certified(datapath) && !blocks(datapath) && integers(datapath).is_none()
    }

    /// Whether the kernel itself applies the scales of rows.
    pub fn scales(self) -> bool {
        matches!(self, Self::Integers(_))
    }

    /// The kernel for a record and two operands.
    pub fn of(datapath: &Datapath, x: &Prepared, w: &Prepared) -> Result<Self, Error> {
        if blocks(datapath) {
            let register = Register::of(x, w).ok_or_else(|| Error::Unsupported {
                datapath: datapath.name.to_owned(),
                given: "elements of so many bits".to_owned(),
                allowed: BLOCKS.to_owned(),
            })?;
            return Ok(Self::Blocks(register));
        }
        Ok(match integers(datapath) {
            Some(overflow) => Self::Integers(overflow),
            None if chain(datapath) => Self::Chain,
            None if certified(datapath) => Self::Certified,
            None => Self::Evaluator,
        })
    }

    /// Computes `x w^T`, without the scales that are applied to results unless [`Kernel::scales`].
    pub fn run(self, path: Path, datapath: &Datapath, (x, prepared): (&Rows<'_>, &Prepared), w: &Weights) -> Vec<f32> {
        let length = prepared.block_length;
        match self {
            Self::Chain => gemm(path, &FmaChain, x, &w.panels),
            Self::Certified => gemm(path, &CertifiedSums, x, &w.panels),
            Self::Integers(overflow) => {
                gemm(path, &Integers { steps: exact_run(prepared, &w.prepared), overflow }, x, &w.panels)
            }
            Self::Blocks(Register::Single) => gemm(path, &SingleBlocks { length }, x, &w.panels),
            Self::Blocks(Register::Double) => gemm(path, &DoubleBlocks { length }, x, &w.panels),
            Self::Blocks(Register::Split { bias }) => gemm(path, &SplitBlocks { length, bias }, x, &w.panels),
            Self::Evaluator => match &w.rows {
                Some(rows) => reference::gemm(datapath, (x, prepared), (rows, &w.prepared)),
                None => Vec::new(),
            },
        }
    }
}

/// Whether a step is the exact sum of its products and the accumulator, each product exact, and how it is rounded.
fn fused(datapath: &Datapath) -> Option<Round> {
    let exact = |arm: &Arm, node| *arm == Arm::exact(node);
    let plain = datapath.product == Product::EXACT && datapath.order.classes.is_empty();
    match (datapath.sum.arms, datapath.sum.align, datapath.sum.round, datapath.order.joins) {
        ([a, b], None, &[round], Joins::First) if plain => {
            let either = exact(a, Node::PRODUCTS) && exact(b, Node::Accumulator)
                || exact(a, Node::Accumulator) && exact(b, Node::PRODUCTS);
            either.then_some(round)
        }
        _ => None,
    }
}

/// Whether a rounding is FP32's to nearest, infinity beyond the largest number.
fn nearest_fp32(round: Round) -> bool {
    let Round { format, rounding, overflow, subnormals, unit } = round;
    format == scalar::FP32
        && rounding == Rounding::NearestEven
        && matches!(overflow, Overflow::Infinity | Overflow::Ieee)
        && subnormals == Subnormals::Kept
        && unit == Unit::One
}

/// Whether operands are FP32 numbers as they are.
fn fp32_operands(datapath: &Datapath) -> bool {
    let plain = Port::plain(scalar::FP32);
    match datapath.inputs {
        Inputs::Values => true,
        Inputs::Codes(Codes { a, b, scale: None, sparse: None }) => a == plain && b == plain,
        _ => false,
    }
}

/// A chain of FP32 fused multiply-adds.
fn chain(datapath: &Datapath) -> bool {
    datapath.order.group == Group::Of(1) && fp32_operands(datapath) && fused(datapath).is_some_and(nearest_fp32)
}

/// One exact sum over all of K.
fn certified(datapath: &Datapath) -> bool {
    datapath.order.group == Group::All
        && datapath.depths.is_empty()
        && datapath.inputs == Inputs::Values
        && fused(datapath).is_some_and(nearest_fp32)
}

/// One exact integer sum over all of K, in a register of 32 bits.
fn integers(datapath: &Datapath) -> Option<Overflow> {
    let round = fused(datapath)?;
    let whole = datapath.inputs == Inputs::Integers && datapath.order.group == Group::All && datapath.depths.is_empty();
    let register = Encoding::Integer { range: Range::Full, bits: 32, fraction_bits: 0 };
    (whole && round.format.encoding == register).then_some(round.overflow)
}

/// Exact block sums, rounded to FP32 and added in FP32.
fn blocks(datapath: &Datapath) -> bool {
    let block = match datapath.sum.arms {
        [a, b] if *a == Arm::exact(Node::Accumulator) => b,
        _ => return false,
    };
    let Node::Sum(inner) = block.node else { return false };
    let converted = inner.arms == [Arm::exact(Node::PRODUCTS)] && inner.align.is_none();
    let rounds = [inner.round, datapath.sum.round];
    matches!(datapath.inputs, Inputs::Blocks(_))
        && datapath.order == Order { group: Group::Block, classes: &[], joins: Joins::First }
        && datapath.product == Product::EXACT
        && datapath.sum.align.is_none()
        && converted
        && rounds.iter().all(|rounds| matches!(rounds, [round] if nearest_fp32(*round)))
}
