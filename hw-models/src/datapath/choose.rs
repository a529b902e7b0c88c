//! Which kernel computes what a record says: recognised by the record's parts, never by its name.

use super::operand::{BLOCKS, Prepared};
use super::record::{
    Arm, Codes, Datapath, Group, Inputs, Joins, Node, Order, Overflow, Port, Product, Round, Subnormals, Unit, Zero,
};
use super::register::{Register, largest_product};
use super::{Packed, Weights, reference};
use crate::Error;
use crate::exact::power_of_two;
use crate::kernel::{
    ByteBlocks, CertifiedSums, Dot, DoubleBlocks, Float, FmaChain, Integers, Registers, RoundedBlocks, Rows,
    SingleBlocks, SplitBlocks, gemm, gemm_bytes, mode, simd::Path,
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
    /// Integer sums in a register of another width, or one that is held to its range at every step.
    Registers(Registers),
    /// Exact block sums, converted to FP32 and added in FP32.
    Blocks(Register),
    /// The same in other formats, by the mode of the rounding.
    Rounded(u8, RoundedBlocks<0>),
    /// The interpreter of records.
    Evaluator,
}

impl Kernel {
    /// Whether a record may need the weights as they came.
    pub fn keeps_rows(datapath: &Datapath) -> bool {
        !chain(datapath) && !certified(datapath) && !blocks(datapath) && datapath.inputs != Inputs::Integers
    }

    /// Whether a kernel that reads panels may cover a record.
    pub fn reads_panels(datapath: &Datapath) -> bool {
        let integer = fused(datapath).is_some_and(|round| matches!(round.format.encoding, Encoding::Integer { .. }));
        chain(datapath) || certified(datapath) || integer || matches!(datapath.inputs, Inputs::Blocks(_))
    }

    /// Whether the kernel itself applies the scales of rows to the results of a record.
    pub fn is_scaled(self, datapath: &Datapath) -> bool {
        matches!(self, Self::Integers(_)) && datapath.inputs == Inputs::Integers
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
        Ok(match integers(datapath, x, w).or_else(|| rounded(datapath, x, w)) {
            Some(kernel) => kernel,
            None if chain(datapath) => Self::Chain,
            None if certified(datapath) => Self::Certified,
            None => Self::Evaluator,
        })
    }

    /// Computes `x w^T`, without the scales that are applied to results, but those of rows of integers.
    pub fn run(self, path: Path, datapath: &Datapath, (x, prepared): (&Rows<'_>, &Prepared), w: &Weights) -> Vec<f32> {
        let length = prepared.block_length;
        let evaluated = || match &w.rows {
            Some(rows) => reference::gemm(datapath, (x, prepared), (rows, &w.prepared)),
            None => Vec::new(),
        };
        let panels = match (&w.packed, &w.rows) {
            (Packed::Panels(panels), _) => panels,
            (Packed::Tensor(tensor), Some(rows)) => {
                return tensor.run(path, datapath, (x, prepared), (rows, &w.prepared));
            }
            _ => return evaluated(),
        };
        match self {
            Self::Chain => gemm(path, &FmaChain, x, panels),
            Self::Certified => gemm(path, &CertifiedSums, x, panels),
            Self::Integers(overflow) => gemm_bytes(path, &Integers { overflow }, x, panels),
            Self::Registers(registers) => gemm(path, &registers, x, panels),
            Self::Rounded(mode, RoundedBlocks { length, dot, sum, accumulator }) => match mode {
                1 => gemm(path, &RoundedBlocks::<1> { length, dot, sum, accumulator }, x, panels),
                2 => gemm(path, &RoundedBlocks::<2> { length, dot, sum, accumulator }, x, panels),
                _ => gemm(path, &RoundedBlocks::<0> { length, dot, sum, accumulator }, x, panels),
            },
            Self::Blocks(Register::Bytes { unit }) => gemm_bytes(path, &ByteBlocks { length, unit }, x, panels),
            Self::Blocks(Register::Single) => gemm(path, &SingleBlocks { length }, x, panels),
            Self::Blocks(Register::Double) => gemm(path, &DoubleBlocks { length }, x, panels),
            // The compiler lays its pairs of registers across rows with AVX-512, at a fifth of AVX2's speed.
            Self::Blocks(Register::Split { bias }) => {
                gemm(path.min(Path::Avx2), &SplitBlocks { length, bias }, x, panels)
            }
            Self::Evaluator => evaluated(),
        }
    }
}

/// Exact sums that kernels elsewhere compute too, with the parts that they depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExactSums {
    /// Products of integers in a register of 32 bits, whose factors scale the result.
    Integers {
        /// What the register does with a sum that it cannot hold.
        overflow: Overflow,
        /// Whether only the sum over all of K meets the register's range, or the range does not matter on the way.
        once: bool,
    },
    /// Sums over a block, times its scales, into an FP32 accumulator to nearest even.
    Blocks {
        /// Whether the accumulator is part of the exact sum; else the sum is rounded to FP32 and then added.
        fused: bool,
    },
}

impl Datapath {
    /// The exact sums that the record consists of, recognised by its parts; `None` for every other record.
    pub fn exact_sums(&self) -> Option<ExactSums> {
        if blocks(self) {
            return Some(ExactSums::Blocks { fused: false });
        }
        let round = fused(self)?;
        match self.inputs {
            Inputs::Blocks(_) if nearest_fp32(round) && self.order.group == Group::Block && self.depths.is_empty() => {
                Some(ExactSums::Blocks { fused: true })
            }
            Inputs::Integers if whole(round) == Some(32) => {
                Some(ExactSums::Integers { overflow: round.overflow, once: once(self, round) })
            }
            _ => None,
        }
    }
}

/// The bits of a register that holds integers as they are.
fn whole(round: Round) -> Option<u32> {
    let Encoding::Integer { range: Range::Full, bits, fraction_bits: 0 } = round.format.encoding else { return None };
    (round.unit == Unit::One && round.subnormals == Subnormals::Kept).then_some(bits)
}

/// Whether an integer register's range matters at the end only, or not at all on the way.
fn once(datapath: &Datapath, round: Round) -> bool {
    datapath.order.group == Group::All && datapath.depths.is_empty() || round.overflow == Overflow::Wrap
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

/// Exact integer sums in a register: one sum over all of K where 32 bits cannot overflow, or overflow at the end only.
fn integers(datapath: &Datapath, x: &Prepared, w: &Prepared) -> Option<Kernel> {
    let round = fused(datapath)?;
    let bits = whole(round)?;
    let integral = match datapath.inputs {
        Inputs::Integers => true,
        Inputs::Codes(Codes { a, b, scale: None, .. }) => {
            [a, b].iter().all(|port| matches!(port.format.encoding, Encoding::Integer { fraction_bits: 0, .. }))
        }
        _ => false,
    };
    let product = largest_product(x, w);
    let total = product.checked_mul(x.k as u128)?;
    // FP64 sums what is below; elements of 8 bits reach it beyond 2^39 products.
    if !integral || total >= 1 << 53 {
        return None;
    }
    let fits = total < 1 << (bits - 1);
    // The steps of a sparse side are not those of the positions; where no step can overflow, sums do not depend on them.
    if matches!(datapath.inputs, Inputs::Codes(Codes { sparse: Some(_), .. }))
        && !fits
        && round.overflow != Overflow::Wrap
    {
        return None;
    }
    if bits == 32 && (fits || once(datapath, round)) && x.bytes && w.bytes {
        return Some(Kernel::Integers(if fits { Overflow::Error } else { round.overflow }));
    }
    let depth = datapath.depths.last().copied().unwrap_or(x.k).max(1);
    let high = power_of_two(bits as i32 - 1);
    let register = Dot { units: 1.0, range: [-high, high - 1.0], wraps: round.overflow == Overflow::Wrap };
    let step = if fits { x.k.max(1) } else { datapath.order.group.length(depth, 1) };
    Some(Kernel::Registers(Registers { step, register }))
}

/// Exact block sums in other formats than FP32.
fn rounded(datapath: &Datapath, x: &Prepared, w: &Prepared) -> Option<Kernel> {
    let [accumulator, Arm { node: Node::Sum(inner), .. }] = datapath.sum.arms else { return None };
    let plain = matches!(datapath.inputs, Inputs::Blocks(_))
        && *accumulator == Arm::exact(Node::Accumulator)
        && datapath.order == Order { group: Group::Block, classes: &[], joins: Joins::First }
        && datapath.product == Product::EXACT
        && datapath.sum.align.is_none()
        && inner.align.is_none()
        && inner.arms == [Arm::exact(Node::PRODUCTS)]
        && datapath.accumulator.subnormals == Subnormals::Kept
        && datapath.accumulator.zero == Zero::Ieee;
    let (dot, sum) = match inner.round {
        [sum] => (None, sum),
        [dot, sum] => (Some(dot), sum),
        _ => return None,
    };
    let [last] = datapath.sum.round else { return None };
    if !plain || sum.rounding != last.rounding || matches!(Register::of(x, w)?, Register::Split { .. }) {
        return None;
    }
    let dot = match dot {
        Some(round) => Some(dot_register(round, x, w)?),
        None => None,
    };
    let kernel = RoundedBlocks { length: x.block_length, dot, sum: float(sum)?, accumulator: float(last)? };
    Some(Kernel::Rounded(mode(last.rounding)?, kernel))
}

/// A rounding to a float of at most FP32's width, as the kernel wants it.
fn float(round: &Round) -> Option<Float> {
    let max = interplay_formats::Value::Finite(round.format.max()).to_f64();
    let beyond = match (round.overflow, round.rounding) {
        (Overflow::Infinity, _) | (Overflow::Ieee, Rounding::NearestEven) => [f64::INFINITY, -f64::INFINITY],
        (Overflow::Ieee, Rounding::Up) => [f64::INFINITY, -max],
        (Overflow::Saturate, _) | (Overflow::Ieee, Rounding::TowardZero) => [max, -max],
        _ => return None,
    };
    let plain = round.unit == Unit::One && round.subnormals == Subnormals::Kept;
    // Infinity is another number where the format has none.
    let infinite = beyond.iter().all(|x| x.is_finite()) || round.format.infinity_code().is_some();
    (plain && infinite).then(|| Float::of(round.format, beyond)).flatten()
}

/// A register of a block's elements that rounds nothing.
fn dot_register(round: &Round, x: &Prepared, w: &Prepared) -> Option<Dot> {
    let Encoding::Integer { range: Range::Full, bits, fraction_bits } = round.format.encoding else { return None };
    let wraps = match round.overflow {
        Overflow::Wrap => true,
        Overflow::Saturate => false,
        _ => return None,
    };
    let coarse = x.last_place + w.last_place >= -(fraction_bits as i32);
    if !coarse || round.unit != Unit::Scale || !x.powers || !w.powers || fraction_bits > 60 {
        return None;
    }
    let high = power_of_two(bits as i32 - 1);
    Some(Dot { units: power_of_two(fraction_bits as i32), range: [-high, high - 1.0], wraps })
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
