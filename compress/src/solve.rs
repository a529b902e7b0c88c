//! Rounding and pruning one column after the other, with the error of each moved to the columns that are still free.
//!
//! One loop is SparseGPT (a mask and no format), GPTQ (a format and no mask), both at once, and reconstruction under a mask
//! that something else chose. With U^T U = H^-1 for the damped Hessian H, column i of error e = (w - q) / U_ii moves the
//! columns j > i by -e U_ij; the sum of the squares of all e is the loss, and equals tr(D H D^T) for the change D of the
//! weights whose dead columns are zero.
//!
//! Invariants: rows are independent but for the choice of a mask, so that work is split by bands of rows of a fixed height
//! and no sum depends on threads. Weights of inputs that are always zero are set to zero: after scales of whole rows are
//! fitted, before all others.

mod choose;
mod columns;
mod scales;

use crate::formats::{Format, Mask, Pattern, Quantized, Selection};
use crate::{Error, hessian};
use choose::Choice;
use columns::Columns;
use scales::ColumnScales;

/// In which order columns are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they are.
    #[default]
    Natural,
    /// By falling diagonal of the Hessian, equal ones as they are (GPTQ's act-order).
    ByDiagonal,
}

/// Where the mask comes from.
#[derive(Clone, Copy, Debug)]
pub enum Pruning<'a> {
    /// Nothing is pruned.
    None,
    /// A mask that is there; scales are fitted on what it keeps.
    Fixed(&'a Mask),
    /// SparseGPT's: by (w / U_ii)^2, on weights as errors have moved them. A fraction is taken of each block of columns, at
    /// its beginning; groups of N:M, pairs and tiles choose when the first of their columns comes.
    Saliency {
        /// The pattern; the scope `Row` takes the fraction of each row of a block.
        pattern: Pattern,
        /// What a fraction means exactly.
        selection: Selection,
    },
}

/// The column loop's parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Solver {
    /// Columns whose errors are moved at once to all later ones.
    pub block: usize,
    /// What is added to the Hessian's diagonal, as a share of its mean; ten times as much, up to 1, where H is singular.
    pub damping: f64,
    /// In which order columns are taken.
    pub order: Order,
    /// Whether scales of blocks along K are those of the weights at the start. They are otherwise fitted on the weights as
    /// they stand when the solver's block of columns begins, and shared by columns that follow each other in `order`.
    pub static_scales: bool,
}

impl Default for Solver {
    fn default() -> Self {
        Self { block: 128, damping: hessian::DAMPING, order: Order::Natural, static_scales: false }
    }
}

/// What the loop leaves.
#[derive(Clone, Debug)]
pub struct Solved {
    /// The weights, `[rows, k]`.
    pub weights: Vec<f32>,
    /// The mask that they follow.
    pub mask: Option<Mask>,
    /// Their stored form, which dequantises to them; see `stored_columns`.
    pub quantized: Option<Quantized>,
    /// The order in which columns were taken.
    pub order: Vec<usize>,
    /// Where scales were found on the way in another order than the columns' own: which column each stored one is.
    pub stored_columns: Option<Vec<usize>>,
    /// The sum of the squares of all scaled column errors.
    pub loss: f64,
    /// The damping that it took: more than was asked for where the Hessian was singular.
    pub damping: f64,
}

impl Solver {
    /// Prunes and rounds `w` `[rows, k]` so that the layer's outputs change little on inputs of this Hessian `[k, k]`.
    ///
    /// # Errors
    /// Weights that are not finite or not whole rows, a Hessian or a mask of another shape, [`Error::Singular`], a pattern or a
    /// format whose groups along K do not lie in the solver's blocks, a pattern of groups in another order of columns.
    pub fn solve(
        &self,
        w: &[f32],
        k: usize,
        hessian: &[f32],
        pruning: Pruning,
        format: Option<&'static Format>,
    ) -> Result<Solved, Error> {
        self.check(w, k, pruning)?;
        let order = self.columns(hessian, k)?;
        let factor = hessian::upper_factor(hessian, k, &order, self.damping)?;
        let choice = Choice::new(pruning, w.len() / k.max(1), k, self.block, self.order)?;
        let fixed = match pruning {
            Pruning::Fixed(mask) => Some(mask),
            Pruning::None | Pruning::Saliency { .. } => None,
        };
        let start = scales::Start { w, k, fixed, dead: &hessian::dead(hessian, k) };
        let mut scales = format.map(|format| ColumnScales::new(format, &start, &order, self)).transpose()?;
        let mut columns = Columns::new(&start, &order, &factor.upper);
        let mut loss = 0.0;
        for first in (0..k).step_by(self.block) {
            let block = first..(first + self.block).min(k);
            columns.choose(&choice, block.clone());
            if let Some(scales) = &mut scales {
                scales.refit(block.clone(), &columns)?;
            }
            loss += columns.solve(&choice, scales.as_ref(), block)?;
        }
        let mut weights = columns.ordered_back(&order, &columns.values);
        let mask = match (pruning, fixed) {
            (Pruning::Saliency { pattern, .. }, _) => {
                Some(Mask::from_kept(pattern, k, columns.ordered_back(&order, &columns.kept))?)
            }
            (_, fixed) => fixed.cloned(),
        };
        let stored_columns = scales.as_ref().and_then(|s| s.moved().then(|| order.clone()));
        let quantized = scales.map(|scales| scales.finish(&weights, &order)).transpose()?;
        if let Some(quantized) = &quantized {
            let stored = quantized.dequantize();
            weights = if stored_columns.is_some() { columns.ordered_back(&order, &stored) } else { stored };
        }
        Ok(Solved { weights, mask, quantized, order, stored_columns, loss, damping: factor.damping })
    }

    fn check(&self, w: &[f32], k: usize, pruning: Pruning) -> Result<(), Error> {
        if self.block == 0 {
            return Err(Error::Invalid("a solver's block has at least 1 column; 128 is usual".to_owned()));
        }
        if !(0.0..=1.0).contains(&self.damping) {
            let problem = format!("a damping of {} is not a share of the mean diagonal; give 0 to 1", self.damping);
            return Err(Error::Invalid(problem));
        }
        // The mask of everything: refuses ragged rows, NaN and infinities.
        let all = Pattern::Dense.magnitude_mask(w, k)?;
        match pruning {
            Pruning::Fixed(mask) if (mask.rows(), mask.k()) != (all.rows(), k) => {
                let (mask_rows, mask_k) = (mask.rows(), mask.k());
                Err(crate::formats::Error::MaskShape { mask_rows, mask_k, rows: all.rows(), k }.into())
            }
            _ => Ok(()),
        }
    }

    /// The order of columns.
    fn columns(&self, hessian: &[f32], k: usize) -> Result<Vec<usize>, Error> {
        if hessian.len() != k * k {
            return Err(Error::Length { what: "the Hessian", given: hessian.len(), expected: k * k });
        }
        let mut order: Vec<usize> = (0..k).collect();
        if self.order == Order::ByDiagonal {
            let diagonal = hessian::diagonal(hessian, k);
            order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
        }
        Ok(order)
    }
}
