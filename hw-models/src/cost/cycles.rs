//! Cycles of a systolic array, in closed form.

use super::{Cycles, Gemm, Ratio};
use crate::{Error, names};
use serde::Serialize;

/// A systolic array of `rows * columns` processing elements, one multiply-accumulate a cycle each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Array {
    /// Rows, at least 1.
    pub rows: u64,
    /// Columns, at least 1.
    pub columns: u64,
    /// Which operand stays in place.
    pub dataflow: Dataflow,
}

/// Which operand stays in the array while the others stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dataflow {
    /// Outputs.
    OutputStationary,
    /// Weights.
    WeightStationary,
    /// Activations.
    InputStationary,
}

impl Dataflow {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutputStationary => "output-stationary",
            Self::WeightStationary => "weight-stationary",
            Self::InputStationary => "input-stationary",
        }
    }

    /// Which dimension lies along the array's rows, its columns, and time (as in SCALE-Sim 3.0.0).
    pub(super) const fn mapped(self, m: u64, k: u64, n: u64) -> (u64, u64, u64) {
        match self {
            Self::OutputStationary => (m, n, k),
            Self::WeightStationary => (k, n, m),
            Self::InputStationary => (k, m, n),
        }
    }
}

impl Array {
    /// Multiply-accumulates over what the array could do in `cycles`, at most 1.
    ///
    /// The bound is reached only on a 1x1 output-stationary array, whose `scalesim` count is one below its work.
    pub fn utilisation(&self, macs: u64, cycles: Cycles) -> f64 {
        let capacity = self.rows as f64 * self.columns as f64 * cycles.0 as f64;
        if macs == 0 { 0.0 } else { (macs as f64 / capacity).min(1.0) }
    }
}

/// A closed form for the cycles of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CycleModel {
    /// SCALE-Sim 3.0.0, bit for bit: folds run strictly one after the other, edge folds are padded to the whole array,
    /// and the count is the index of the last cycle, one less than the number of cycles.
    Scalesim,
    /// The next weights are loaded while the present ones work (weight-stationary only; the rule of ONNXim's core).
    /// Its accumulators are taken to hold all M rows.
    DoubleBuffered,
}

impl CycleModel {
    /// Every model.
    pub const ALL: [Self; 2] = [Self::Scalesim, Self::DoubleBuffered];

    /// The model of that name, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        names::find("cycle model", name, &Self::ALL.map(|model| (model.name(), model)))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalesim => "scalesim",
            Self::DoubleBuffered => "double-buffered",
        }
    }

    /// Cycles of all `count` executions. With `skip` only that share of K is stored and multiplied.
    ///
    /// # Errors
    /// [`Error::ZeroDimension`], [`Error::TooLarge`], [`Error::Dataflow`].
    pub fn cycles(self, gemm: &Gemm, array: &Array, skip: Option<Ratio>) -> Result<Cycles, Error> {
        gemm.check()?;
        let k = skip.map_or(gemm.k, |ratio| ratio.kept(gemm.k));
        let once = match (self, array.dataflow) {
            (Self::Scalesim, dataflow) => scalesim(dataflow.mapped(gemm.m, k, gemm.n), array),
            (Self::DoubleBuffered, Dataflow::WeightStationary) => double_buffered((gemm.m, k, gemm.n), array),
            (Self::DoubleBuffered, other) => {
                return Err(Error::Dataflow { model: self.name(), dataflow: other.name() });
            }
        };
        let cycles = once.and_then(|once| once.checked_mul(gemm.count));
        cycles.map(Cycles).ok_or_else(|| Error::TooLarge { layer: gemm.name.clone(), quantity: "cycles" })
    }
}

/// `F * P - 1`: a fold of an output-stationary array fills R + C - 2 cycles long, the others load R rows first.
fn scalesim((along_rows, along_columns, time): (u64, u64, u64), array: &Array) -> Option<u64> {
    let folds = along_rows.div_ceil(array.rows).checked_mul(along_columns.div_ceil(array.columns))?;
    let load = if array.dataflow == Dataflow::OutputStationary { 0 } else { array.rows };
    let fold = load.checked_add(array.rows)?.checked_add(array.columns)?.checked_add(time)? - 2;
    folds.checked_mul(fold)?.checked_sub(1)
}

/// `(2R - 1) + (t - 1) max(M, R, 4) + (R + C - 2 + max(M, 4))` for `t` weight tiles: the first load, one slot for every
/// further tile, and the last tile until it has drained.
fn double_buffered((m, k, n): (u64, u64, u64), array: &Array) -> Option<u64> {
    let tiles = k.div_ceil(array.rows).checked_mul(n.div_ceil(array.columns))?;
    let first = array.rows.checked_mul(2)? - 1;
    let slots = (tiles - 1).checked_mul(m.max(array.rows).max(4))?;
    let last = array.rows.checked_add(array.columns)?.checked_add(m.max(4))? - 2;
    first.checked_add(slots)?.checked_add(last)
}
