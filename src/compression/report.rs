//! What is known of a layer after its recipe.

use serde::{Deserialize, Serialize};

/// One layer's numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerReport {
    /// The layer's name.
    pub layer: String,
    /// Outputs.
    pub rows: usize,
    /// Inputs.
    pub k: usize,
    /// The share of weights that are zero.
    pub sparsity: f64,
    /// `||W - W'|| / ||W||`.
    pub weight_error: f64,
    /// `||(W - W') X|| / ||W X||` on the calibration inputs; `None` where no step needed their Hessian.
    pub output_error: Option<f64>,
    /// The same for the mask or the format alone, where a step moved errors: what that gained.
    pub without_update: Option<f64>,
    /// Whether the weights are values of the format; `false` where they are kept as FP32 after rounding (a later step left
    /// the grid, or inputs share scales in another order than their own), `None` in FP32.
    pub on_grid: Option<bool>,
    /// The damping, as a share of the mean diagonal, that a singular Hessian asked for beyond the recipe's.
    pub damping_raised: Option<f64>,
}
