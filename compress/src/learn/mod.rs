//! Learned sparsity: how much of each row, or of each linear, goes, found by gradients of a block's output error.
//!
//! BESA (Xu et al., ICLR 2024) asks for the reconstruction loss alone; PQP adds what the masked quantisation error alone makes of the
//! block. Weights stay as they are: which of a row go first is given, as an order; only the counts are learned.
//!
//! Invariant: parameters, losses and sums are FP64 and no sum depends on threads; weights and an objective's gradients are FP32. The
//! model is behind [`Objective`]: this module runs none and differentiates none.

mod groups;
mod learner;
mod linear;
mod optimizer;
mod options;

pub use learner::{Learned, Learner, Step, learn};
pub use linear::{Linear, ascending};
pub use optimizer::{AdamW, Prodigy, Scale};
pub use options::{Granularity, Optimizer, Options, Smoothing, candidates};

/// What a block's output is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The reference output.
    Reference,
    /// Zero: the block's weights are quantisation errors, and what they make of the input is all error.
    Zero,
}

/// A block of linears that says how wrong it is, one calibration sample at a time.
///
/// The loss of an output `y` is `(1 / channels) * sum(((target - y) / c)^2)` over tokens and channels, where `c` is the L2 norm over
/// tokens of each channel of the sample's *reference* output, whatever the target.
pub trait Objective {
    /// What can go wrong.
    type Error: From<crate::Error>;

    /// How many calibration samples there are.
    fn samples(&self) -> usize;

    /// The loss with these weights in place of the linears', each `[rows, k]`, in the order of the problem's linears.
    ///
    /// # Errors
    /// Whatever keeps the block from running.
    fn loss(&mut self, sample: usize, weights: &[Vec<f32>], target: Target) -> Result<f64, Self::Error>;

    /// The loss and its derivative by each of the weights.
    ///
    /// # Errors
    /// As [`Objective::loss`].
    fn slope(
        &mut self,
        sample: usize,
        weights: &[Vec<f32>],
        target: Target,
    ) -> Result<(f64, Vec<Vec<f32>>), Self::Error>;
}
