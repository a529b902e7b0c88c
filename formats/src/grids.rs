//! The grids of a matrix: scales that are found, elements that are not yet rounded.
//!
//! Methods that round one column after the other, and move its error to the columns not yet rounded, fix the scales first.
//! Invariant: for the values that the scales were fitted on, rounding gives what [`Format::quantize`] gives.

mod nearest;

use crate::error::{Error, non_finite, rows_of};
use crate::nvfp4::TensorScale;
use crate::random::Stream;
use crate::reference::{Factor, Geometry};
use crate::tensor::{Codes, Quantized, Scales};
use crate::{Format, NonFinite};
use nearest::Nearest;
use rayon::prelude::*;
use std::ops::Range;

/// Blocks or rows that one parallel task has at least.
const TASK: usize = 64;

/// The scales of a matrix [rows, k] in a format.
///
/// Stochastic rounding draws the word of seed 0 at an element's place, as [`Format::quantize`] does.
#[derive(Clone, Debug)]
pub struct Grids {
    format: &'static Format,
    rows: usize,
    k: usize,
    geometry: Geometry,
    /// One a block, row-major; scalar formats have none.
    factors: Vec<Factor>,
    tensor: Option<TensorScale>,
    /// The quick way to round, where the format has one.
    nearest: Option<Nearest>,
}

impl Format {
    /// The scales that this format gives to `w`, row-major with rows of `k`.
    ///
    /// # Errors
    /// A NaN or an infinity, a length that `k` does not divide.
    pub fn grids(&'static self, w: &[f32], k: usize) -> Result<Grids, Error> {
        let rows = rows_of(w.len(), k)?;
        let geometry = Geometry::new(self, rows, k);
        let values = self.input.map(|_| w.iter().map(|&v| self.narrow(v)).collect::<Vec<f32>>());
        let tensor = self.tensor_scale(values.as_deref().unwrap_or(w));
        let blocks = if self.scaling.is_some() { geometry.count() } else { 0 };
        let nearest = Nearest::of(self);
        let mut grids = Grids { format: self, rows, k, geometry, factors: vec![Factor::One; blocks], tensor, nearest };
        grids.refit(0..k, w)?;
        Ok(grids)
    }
}

impl Grids {
    /// The format.
    pub fn format(&self) -> &'static Format {
        self.format
    }

    /// Fits the blocks that begin in `columns` again, on other values of the whole matrix. The scale of the whole tensor,
    /// where the format has one, stays as it is.
    ///
    /// # Errors
    /// A NaN or an infinity, a matrix of another shape.
    pub fn refit(&mut self, columns: Range<usize>, w: &[f32]) -> Result<(), Error> {
        self.check(w)?;
        let (format, tensor, geometry, k) = (self.format, self.tensor, self.geometry, self.k);
        let fit = |block: usize, factor: &mut Factor| {
            if columns.contains(&geometry.first_column(block)) {
                let values: Vec<f32> = geometry.elements(block).map(|(r, c)| format.narrow(w[r * k + c])).collect();
                *factor = format.factor(&values, tensor);
            }
        };
        self.factors.par_iter_mut().with_min_len(TASK).enumerate().for_each(|(block, factor)| fit(block, factor));
        Ok(())
    }

    /// What the format stores for `v` at a place under the scale that is there, as a value.
    ///
    /// # Panics
    /// If the matrix has no such row or column.
    pub fn round(&self, row: usize, column: usize, v: f32) -> f32 {
        let Self { rows, k, .. } = self;
        assert!(row < *rows && column < *k, "row {row}, column {column} of a matrix of {rows} x {k}");
        let (factor, at) = (self.factor(row, column), self.geometry.place(row, column));
        match self.nearest.and_then(|nearest| nearest.element(v, factor, at)) {
            Some(element) => Nearest::value(element, factor, at),
            None => self.format.decode_element(self.code_reference(row, column, v), factor, at),
        }
    }

    /// Rounds the first values of one column in place.
    ///
    /// # Panics
    /// If the matrix has no such column, or fewer rows than there are values.
    pub fn round_column(&self, column: usize, values: &mut [f32]) {
        values.iter_mut().enumerate().for_each(|(row, v)| *v = self.round(row, column, *v));
    }

    /// Codes every element under the scales that are there: values on the grid come back as they are.
    ///
    /// # Errors
    /// A NaN or an infinity, a matrix of another shape.
    pub fn quantize(&self, w: &[f32]) -> Result<Quantized, Error> {
        self.coded(w, |row, column, v| self.code(row, column, v))
    }

    /// [`Grids::quantize`] by exact arithmetic: the judge of the quick path.
    ///
    /// # Errors
    /// As [`Grids::quantize`].
    pub fn quantize_reference(&self, w: &[f32]) -> Result<Quantized, Error> {
        self.coded(w, |row, column, v| self.code_reference(row, column, v))
    }

    fn coded(&self, w: &[f32], code: impl Fn(usize, usize, f32) -> u64 + Sync) -> Result<Quantized, Error> {
        self.check(w)?;
        let (format, k, padded) = (self.format, self.k, self.format.padded(self.k));
        let code = &code;
        let rows = w.par_chunks(k.max(1)).with_min_len(TASK).enumerate();
        let coded: Vec<u64> = rows
            .flat_map_iter(|(row, line)| line.iter().enumerate().map(move |(column, &v)| code(row, column, v)))
            .collect();
        let mut codes = Codes::zeros(format.element, self.rows * padded);
        for (row, line) in coded.chunks(k.max(1)).enumerate() {
            line.iter().enumerate().for_each(|(column, &code)| codes.set(row * padded + column, code));
        }
        let mut scales = Scales::for_format(format);
        self.factors.iter().for_each(|&factor| scales.push(factor));
        let quantized = Quantized::new(format, self.rows, k, codes, scales);
        Ok(quantized.with_tensor_scale(self.tensor.map(|t| t.decode)))
    }

    /// The code of an element.
    fn code(&self, row: usize, column: usize, v: f32) -> u64 {
        let (factor, at) = (self.factor(row, column), self.geometry.place(row, column));
        let quick = self.nearest.and_then(|nearest| Some(nearest.code(nearest.element(v, factor, at)?, factor)));
        quick.unwrap_or_else(|| self.code_reference(row, column, v))
    }

    /// The code of an element, by the reference path.
    fn code_reference(&self, row: usize, column: usize, v: f32) -> u64 {
        let format = self.format;
        let draw = format.rounding.drawing(format.random(Stream::new(0), row * self.k + column));
        let at = self.geometry.place(row, column);
        format.encode_element(format.narrow(v), self.factor(row, column), at, draw)
    }

    /// The scale at a place.
    fn factor(&self, row: usize, column: usize) -> Factor {
        if self.factors.is_empty() { Factor::One } else { self.factors[self.geometry.block_of(row, column)] }
    }

    /// Refuses another shape and what is not finite; where the format narrows values first, also what that makes infinite.
    fn check(&self, w: &[f32]) -> Result<(), Error> {
        if w.len() != self.rows * self.k {
            return Err(Error::GridShape { grid_rows: self.rows, grid_k: self.k, len: w.len() });
        }
        let refused = self.format.non_finite == NonFinite::Refuse;
        let bad = |v: &f32| !v.is_finite() || (refused && !self.format.narrow(*v).is_finite());
        w.iter().position(bad).map_or(Ok(()), |at| Err(non_finite(w, self.k, at)))
    }
}
