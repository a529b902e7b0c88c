//! Tensor cores as plain data, and on the vector kernels: records whose sums are aligned and truncated, recognised by
//! their parts.

use super::operand::Prepared;
use super::record::{
    Arm, Codes, Datapath, ElementExponent, Group, Inputs, Joins, Node, Port, Product, Round, Subnormals, Sum, Unit,
    Zero,
};
use super::reference;
use crate::kernel::aligned::{Columns, Operands};
use crate::kernel::groups::GroupedColumns;
use crate::kernel::{Rows, simd::Path};
use interplay_formats::catalog::{E2M1, FP16};
use interplay_formats::{Encoding, Rounding, Specials, scalar};
use std::borrow::Cow;

pub use crate::kernel::aligned::{Accumulator, Aligned, Joins as Joined};
pub use crate::kernel::groups::Grouped;

/// A dot unit of a tensor core as plain data: what a fast kernel, here or on another device, needs to know of its sums.
/// The operands' formats, the depth of an instruction and the order of its positions are the record's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TensorUnit {
    /// Products and accumulator are aligned together: T-FDPA and ST-FDPA.
    Aligned(Aligned),
    /// Exact groups of products and the accumulator are aligned together: GST-FDPA.
    Grouped(Grouped),
}

impl Datapath {
    /// Whether kernels for GPUs compute what the record says: the host's own products, exact sums of integers or of blocks, and
    /// tensor cores with two dense operands that align and truncate. Everything else runs on the CPU only.
    ///
    /// ```
    /// use interplay_hw::Datapath;
    ///
    /// assert!(Datapath::by_name("block")?.has_gpu_kernel());
    /// assert!(!Datapath::by_name("ideal")?.has_gpu_kernel());
    /// # Ok::<(), interplay_hw::Error>(())
    /// ```
    pub fn has_gpu_kernel(&self) -> bool {
        let dense = !matches!(self.inputs, Inputs::Codes(Codes { sparse: Some(_), .. }));
        self.is_host() || self.exact_sums().is_some() || dense && self.tensor_unit().is_some()
    }

    /// The aligning and truncating unit that this record describes, recognised by the record's parts; none for records
    /// of other arithmetic, and for those that are wider than the fast kernels are proved for.
    ///
    /// ```
    /// use interplay_hw::{Datapath, datapath::tensor::TensorUnit};
    ///
    /// let Some(TensorUnit::Aligned(unit)) = Datapath::by_name("hopper.wgmma.e4m3.f32")?.tensor_unit() else { panic!() };
    /// assert_eq!((unit.step, unit.fraction_bits, unit.floor), (32, 13, -133));
    /// # Ok::<(), interplay_hw::Error>(())
    /// ```
    pub fn tensor_unit(&self) -> Option<TensorUnit> {
        let Inputs::Codes(codes) = self.inputs else { return None };
        let aligned = aligned(self, &codes).map(TensorUnit::Aligned);
        aligned.or_else(|| grouped(self, &codes).map(TensorUnit::Grouped))
    }
}

impl TensorUnit {
    /// Whether a step of zeros may change the accumulator: it keeps fewer bits of it than there are.
    fn cuts(&self) -> bool {
        let (kept, held) = match self {
            Self::Aligned(unit) => {
                let held = match unit.accumulator {
                    Accumulator::Single => 23,
                    Accumulator::E8M13 => 13,
                    Accumulator::Half => 10,
                };
                (unit.fraction_bits, held)
            }
            Self::Grouped(unit) => (unit.fraction_bits, 23),
        };
        kept < held
    }
}

/// Whether the vector kernels end before the last instruction does: they leave out its steps of nothing but padding,
/// unless its positions come in an order of their own, which they fill up.
fn skips_steps(datapath: &Datapath, k: usize) -> bool {
    let depth = datapath.depths.last().copied().unwrap_or(1);
    datapath.order.classes.len() < 2 && !k.is_multiple_of(depth)
}

/// Weights packed for a vector kernel.
#[derive(Clone, Debug)]
pub(super) enum Tensor {
    /// Products and accumulator aligned together.
    Aligned(Aligned, Columns),
    /// Exact groups and the accumulator aligned together.
    Grouped(Grouped, GroupedColumns),
}

impl Tensor {
    /// Packs weights for a record that a vector kernel covers.
    pub fn pack(datapath: &Datapath, w: &Rows<'_>) -> Option<Self> {
        let unit = datapath.tensor_unit()?;
        if unit.cuts() && skips_steps(datapath, w.k) {
            return None;
        }
        Some(match unit {
            TensorUnit::Aligned(unit) => {
                let rows = ordered(datapath, with_exponents(w));
                Self::Aligned(unit, Columns::pack(&rows, unit.emin.1))
            }
            TensorUnit::Grouped(unit) => Self::Grouped(unit, unit.pack(w)),
        })
    }

    /// `x w^T`; what a lane cannot vouch for is computed by the definition.
    pub fn run(
        &self,
        path: Path,
        datapath: &Datapath,
        (x, px): (&Rows<'_>, &Prepared),
        (w, pw): (&Rows<'_>, &Prepared),
    ) -> Vec<f32> {
        let definition = |row: usize, column: usize| reference::one(datapath, (x, px), (w, pw), (row, column));
        match self {
            Self::Aligned(unit, columns) => {
                let rows = ordered(datapath, with_exponents(x));
                unit.gemm(path, &Operands { rows: &rows, columns }, &definition)
            }
            Self::Grouped(unit, columns) => unit.gemm(path, x, columns, &definition),
        }
    }
}

/// The same rows with the exponents of their scales as notes.
fn with_exponents<'a>(rows: &'a Rows<'_>) -> Rows<'a> {
    let exponent = |&note: &f64| if note.is_nan() { note } else { f64::from((note.to_bits() >> 52) as i32 - 1023) };
    Rows {
        rows: rows.rows,
        k: rows.k,
        elements: Cow::Borrowed(&rows.elements),
        unit: None,
        notes: rows.notes.iter().map(exponent).collect(),
    }
}

/// The rows with the positions of each instruction in the order of its steps, filled with zeros to whole instructions.
fn ordered<'a>(datapath: &Datapath, rows: Rows<'a>) -> Rows<'a> {
    let depth = datapath.depths.last().copied().unwrap_or(1);
    if datapath.order.classes.len() < 2 {
        return rows;
    }
    let positions = datapath.order.positions(depth);
    let k = rows.k.next_multiple_of(depth);
    let mut elements = vec![0.0; rows.rows * k];
    for (out, row) in elements.chunks_mut(k.max(1)).zip(rows.elements.chunks(rows.k.max(1))) {
        for (instruction, out) in out.chunks_mut(depth).enumerate() {
            for (slot, &position) in out.iter_mut().zip(&positions) {
                *slot = row.get(instruction * depth + position).copied().unwrap_or(0.0);
            }
        }
    }
    Rows { k, elements: Cow::Owned(elements), ..rows }
}

/// What all of these units share.
fn plain(datapath: &Datapath) -> bool {
    let accumulator = datapath.accumulator;
    datapath.product == Product::EXACT
        && accumulator.subnormals == Subnormals::Kept
        && accumulator.zero == Zero::Positive
}

/// Positions of the reduction in a step: pruned ones are zeros, which present no more than the floor.
fn positions(datapath: &Datapath, codes: &Codes) -> Option<usize> {
    let Group::Of(group) = datapath.order.group else { return None };
    let stored = |positions: usize| codes.sparse.map_or(positions, |s| positions * s.n / s.m);
    let depth = datapath.depths.last().map_or(group, |&depth| stored(depth));
    Some(codes.sparse.map_or(1, |s| s.m / s.n) * group.min(depth))
}

/// The fraction bits of a sum whose arms are all truncated alike.
fn truncated(sum: &Sum) -> Option<u32> {
    let bits = sum.arms.first()?.fraction_bits;
    let alike = |arm: &Arm| arm.fraction_bits == bits && arm.rounding == Rounding::TowardZero && arm.reach.is_none();
    sum.arms.iter().all(alike).then_some(bits)
}

/// The kernel's accumulator of a rounding.
fn accumulator(round: &Round) -> Option<Accumulator> {
    let plain = round.unit == Unit::One && round.subnormals == Subnormals::Kept;
    let Encoding::Float { exponent_bits, mantissa_bits, bias, specials, .. } = round.format.encoding else {
        return None;
    };
    let narrow = (exponent_bits, mantissa_bits, bias, specials) == (8, 13, 127, Specials::Ieee);
    match round.rounding {
        _ if !plain => None,
        Rounding::TowardZero if round.format.encoding == scalar::FP32.encoding => Some(Accumulator::Single),
        Rounding::TowardZero if narrow => Some(Accumulator::E8M13),
        Rounding::NearestEven if round.format.encoding == FP16.encoding => Some(Accumulator::Half),
        _ => None,
    }
}

/// The least exponent of a port, if the kernel multiplies its elements: at most 12 significant bits inside FP32.
fn emin(port: Port) -> Option<i32> {
    let precision = port.format.grid().precision? - port.ignored_bits;
    let inside = port.format.emin() >= -126 && port.format.emax() <= 127;
    let own = port.exponent == ElementExponent::Own && port.subnormals == Subnormals::Kept;
    (precision <= 12 && inside && own).then(|| port.emin.unwrap_or(port.format.emin()))
}

/// The aligned kernel for a record.
fn aligned(datapath: &Datapath, codes: &Codes) -> Option<Aligned> {
    let nodes: Vec<Node> = datapath.sum.arms.iter().map(|arm| arm.node).collect();
    let [round] = datapath.sum.round else { return None };
    if !plain(datapath) || nodes != [Node::PRODUCTS, Node::Accumulator] {
        return None;
    }
    let step = positions(datapath, codes)?;
    let joins = match datapath.order.joins {
        Joins::First if datapath.order.classes.len() < 2 => Joined::First,
        // The addition at the end is FP32's or FP16's own.
        Joins::Last(last) if last.rounding == Rounding::NearestEven && last.format == datapath.accumulator.d => {
            Joined::Last { steps: datapath.depths.last()?.div_ceil(step) }
        }
        _ => return None,
    };
    let scale_block = match codes.scale {
        None => None,
        Some(scale) if scale.format == interplay_formats::catalog::E8M0 => Some(scale.block),
        Some(_) => return None,
    };
    // The rows of x meet the kernel first; where A is sparse, they are B's.
    let sides = if codes.sparse.is_some() { (codes.b, codes.a) } else { (codes.a, codes.b) };
    let unit = Aligned {
        step,
        fraction_bits: truncated(datapath.sum)?,
        floor: datapath.sum.align?.floor,
        emin: (emin(sides.0)?, emin(sides.1)?),
        accumulator: accumulator(round)?,
        joins,
        scale_block,
    };
    unit.is_covered().then_some(unit)
}

/// The grouped kernel for a record.
fn grouped(datapath: &Datapath, codes: &Codes) -> Option<Grouped> {
    let [groups, Arm { node: Node::Accumulator, .. }] = datapath.sum.arms else { return None };
    let Node::Runs { length, sum } = groups.node else { return None };
    let exact = sum.arms == [Arm::exact(Node::PRODUCTS)] && sum.align.is_none() && sum.round.is_empty();
    let scale = codes.scale.filter(|scale| scale.format.grid().precision.is_some_and(|bits| bits <= 4))?;
    let fp4 = [codes.a, codes.b].iter().all(|port| {
        port.format == E2M1 && port.exponent == ElementExponent::None && port.subnormals == Subnormals::Kept
    });
    let [round] = datapath.sum.round else { return None };
    let first = datapath.order.joins == Joins::First && datapath.order.classes.len() < 2;
    if !plain(datapath) || !exact || !fp4 || !first || accumulator(round)? != Accumulator::Single {
        return None;
    }
    let group = codes.sparse.map_or(1, |s| s.m / s.n) * length;
    let step = positions(datapath, codes)?;
    let unit = Grouped {
        group,
        groups: step / group.max(1),
        fraction_bits: truncated(datapath.sum)?,
        floor: datapath.sum.align?.floor,
        scale_emin: scale.format.emin(),
        scale_block: scale.block,
    };
    (unit.is_covered() && step.is_multiple_of(group)).then_some(unit)
}
