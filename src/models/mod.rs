//! The model zoo: Burn modules cut into stages, and the two traits that join a checkpoint to them.
//!
//! A model is a list of stages: the embeddings, the blocks, the head. Stages are built one at a time from a [`Weights`]
//! source, so that a model never needs more memory than its evaluation does.

mod convolution;
pub mod deit;
pub mod efficientnet;
pub mod embedded;
pub mod llama;
pub mod opt;
mod parts;
pub mod resnet;
pub mod resnet_cifar;
pub mod vit;

pub(crate) use parts::transposed;

use crate::Error;
use crate::burn::Stage;

/// A source of checkpoint tensors by their Hugging Face names.
pub trait Weights: Send + Sync {
    /// The tensor `name` as row-major `f32` in PyTorch's layout (a linear layer is `[out, in]`).
    ///
    /// # Errors
    /// The tensor is missing, has another shape than `shape`, or holds a NaN.
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error>;

    /// Whether the source has a tensor of this name.
    fn has(&self, name: &str) -> bool;

    /// The shape of tensor `name`; `None` where there is no such tensor, or where the source cannot tell without reading it.
    fn shape(&self, _name: &str) -> Option<Vec<usize>> {
        None
    }
}

/// What a model reads and predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Token ids `[B, T]` to next-token logits.
    CausalLm,
    /// Images `[B, C, H, W]` to class logits.
    ImageClassification,
}

/// What a model accepts, so that a caller can refuse an input before any tensor is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Token ids below `vocabulary`, at most `longest` in a sequence.
    Tokens {
        /// Rows of the token embedding.
        vocabulary: usize,
        /// The longest sequence that the positions allow.
        longest: usize,
    },
    /// Images of `channels` x `height` x `width` values.
    Images {
        /// Channels.
        channels: usize,
        /// Rows of pixels.
        height: usize,
        /// Pixels a row.
        width: usize,
    },
}

/// A model as a list of stages that are built on demand.
pub trait Checkpoint: Send + Sync {
    /// The architecture's name as in `config.json` (`opt`, `vit`, `llama`).
    fn architecture(&self) -> &str;

    /// What goes in and what comes out.
    fn task(&self) -> Task;

    /// The inputs that the model accepts.
    fn input(&self) -> Input;

    /// The number of stages: 1 for the embeddings, one a block, 1 for the head.
    fn stages(&self) -> usize;

    /// Builds stage `index`. Stage 0 takes [`crate::burn::Activation::Ids`] or `Images` and gives a `Sequence` `[B, T, D]`; blocks map
    /// `Sequence` to `Sequence`; the head takes `Rows` `[R, D]` and gives `Rows` `[R, V]` (for image classification one row an
    /// image). A convolutional network hands on `Images`; where the last block gives `Rows`, the head reads them as they are,
    /// else every position of a text or the class token of an image.
    ///
    /// # Errors
    /// A tensor is missing or malformed.
    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error>;
}
