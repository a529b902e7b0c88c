//! A token embedding that the head multiplies by as well.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use burn::module::Param;
use burn::nn::{Embedding, Linear};
use burn::tensor::Tensor;

use super::parts::Source;
use crate::Error;
use crate::emu::EmuLinear;

/// The matrix `[vocabulary, width]` of a checkpoint whose head is tied: there is one as long as a stage holds it, and it is read
/// again after that, so that a run from block to block never has it beside the blocks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tied(Arc<Mutex<Weak<Tensor<2>>>>);

impl Tied {
    /// `{name}.weight`; a stage made of it is to hold on to what this gives.
    ///
    /// # Errors
    /// The tensor is missing or malformed.
    pub fn matrix(&self, source: Source<'_>, name: &str, shape: [usize; 2]) -> Result<Arc<Tensor<2>>, Error> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(matrix) = held.upgrade() {
            return Ok(matrix);
        }
        let matrix = Arc::new(source.tensor(&format!("{name}.weight"), shape)?);
        *held = Arc::downgrade(&matrix);
        Ok(matrix)
    }
}

/// The matrix as a lookup table.
pub(crate) fn table(matrix: &Tensor<2>) -> Embedding {
    Embedding { weight: Param::from_tensor(matrix.clone()) }
}

/// The matrix as a head: Burn multiplies by its transposed view, so that nothing is copied.
pub(crate) fn head(matrix: &Tensor<2>) -> EmuLinear {
    Linear { weight: Param::from_tensor(matrix.clone().transpose()), bias: None }.into()
}
