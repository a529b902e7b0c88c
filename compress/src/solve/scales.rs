//! The scales under which columns are rounded, and when they are fitted.

use super::columns::Columns;
use super::{Order, Solver};
use crate::Error;
use crate::formats::{Format, Grids, Mask, Quantized};
use std::ops::Range;

/// What a solver starts with.
pub(super) struct Start<'a> {
    pub(super) w: &'a [f32],
    pub(super) k: usize,
    pub(super) fixed: Option<&'a Mask>,
    pub(super) dead: &'a [bool],
}

impl Start<'_> {
    /// The weights that scales are fitted on, columns in `order`.
    fn fitted(&self, order: &[usize], without_dead: bool) -> Vec<f32> {
        let rows = (0..self.w.len()).step_by(self.k.max(1));
        let places = rows.flat_map(|row| order.iter().map(move |&j| (row + j, j)));
        let gone = |at: usize, j: usize| without_dead && self.dead[j] || self.fixed.is_some_and(|m| !m.kept()[at]);
        places.map(|(at, j)| if gone(at, j) { 0.0 } else { self.w[at] }).collect()
    }
}

/// The scales of all columns.
pub(super) struct ColumnScales {
    grids: Grids,
    /// The column of the grids that each column of the loop is.
    places: Vec<usize>,
    /// What blocks of columns are fitted on as they begin; `None` where scales stay.
    fitted: Option<Vec<f32>>,
    moved: bool,
}

impl ColumnScales {
    pub(super) fn new(format: &'static Format, start: &Start, order: &[usize], solver: &Solver) -> Result<Self, Error> {
        let k = start.k;
        let (len, natural) = (format.block_len(k), (0..k).collect::<Vec<_>>());
        let whole_rows = len >= k && format.scaling.is_some();
        if whole_rows || format.scaling.is_none() || solver.static_scales {
            let grids = format.grids(&start.fitted(&natural, !whole_rows), k)?;
            return Ok(Self { grids, places: order.to_vec(), fitted: None, moved: false });
        }
        if !solver.block.is_multiple_of(len) && solver.block < k {
            let problem = format!(
                "blocks of {} columns cut the groups of {}; give a multiple of {len}, or static scales",
                solver.block, format.name
            );
            return Err(Error::Invalid(problem));
        }
        let fitted = start.fitted(order, true);
        let moved = solver.order != Order::Natural;
        Ok(Self { grids: format.grids(&fitted, k)?, places: natural, fitted: Some(fitted), moved })
    }

    /// Whether the grids have the columns in the order of the loop, and that is not their own.
    pub(super) fn moved(&self) -> bool {
        self.moved
    }

    /// Fits the scales of a block that begins, on the weights as they stand without what is known to be pruned.
    pub(super) fn refit(&mut self, block: Range<usize>, columns: &Columns) -> Result<(), Error> {
        let Some(fitted) = &mut self.fitted else { return Ok(()) };
        let k = columns.k;
        let lines = columns.values.chunks_exact(k).zip(columns.kept.chunks_exact(k));
        for (to, (values, kept)) in fitted.chunks_exact_mut(k).zip(lines) {
            let now = values.iter().zip(kept).map(|(&w, &kept)| if kept { w } else { 0.0 });
            to.iter_mut().zip(now).take(block.end).skip(block.start).for_each(|(to, w)| *to = w);
        }
        Ok(self.grids.refit(block, fitted)?)
    }

    /// The value stored for `v` in a column of the loop.
    pub(super) fn round(&self, row: usize, column: usize, v: f32) -> f32 {
        self.grids.round(row, self.places[column], v)
    }

    /// The stored form of weights in their own order of columns.
    pub(super) fn finish(self, weights: &[f32], order: &[usize]) -> Result<Quantized, Error> {
        if !self.moved {
            return Ok(self.grids.quantize(weights)?);
        }
        let rows = weights.chunks_exact(order.len().max(1));
        let moved: Vec<f32> = rows.flat_map(|row| order.iter().map(|&j| row[j])).collect();
        Ok(self.grids.quantize(&moved)?)
    }
}
