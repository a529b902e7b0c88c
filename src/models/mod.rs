//! The model zoo: Burn modules cut into stages, and the two traits that join a checkpoint to them.
//!
//! A model is a list of stages: the embeddings, the blocks, the head. Stages are built one at a time from a [`Weights`]
//! source, so that a model never needs more memory than its evaluation does.

pub mod bert;
mod convolution;
pub mod deit;
pub mod efficientnet;
pub mod embedded;
pub mod gpt2;
pub mod llama;
pub mod opt;
mod parts;
pub mod resnet;
pub mod resnet_cifar;
mod tied;
pub mod vit;

pub(crate) use parts::{no_stage, transposed};

use crate::Error;
use crate::burn::{Activation, Stage};

/// A source of checkpoint tensors by their Hugging Face names.
pub trait Weights: Send + Sync {
    /// The tensor `name` as row-major `f32` in PyTorch's layout (a linear layer is `[out, in]`).
    ///
    /// # Errors
    /// The tensor is missing, has another shape than `shape`, or holds a NaN.
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error>;

    /// Whether the source has a tensor of this name.
    fn has(&self, name: &str) -> bool;

    /// The name under which the source keeps what [`Weights::get`] finds as `name`.
    fn canonical(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Every tensor, by its canonical name; none where the source cannot tell.
    fn names(&self) -> Vec<String> {
        Vec::new()
    }

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
    /// Token ids and segments `[B, 2, T]` to one vector of unit length a text.
    SentenceEmbedding(Pooling),
}

/// How the positions of a text become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// The mean over positions.
    Mean,
    /// The first position alone.
    First,
    /// The first position through the checkpoint's own pooler.
    Pooler,
}

impl Task {
    /// What the head reads of the last block's output: every position, an image's class token, or what stands for a text.
    pub(crate) fn head_input(self, sequence: Activation) -> Activation {
        match self {
            Self::CausalLm => sequence.into_all_rows(),
            Self::ImageClassification | Self::SentenceEmbedding(Pooling::First | Pooling::Pooler) => {
                sequence.into_first_rows()
            }
            Self::SentenceEmbedding(Pooling::Mean) => sequence.into_mean_rows(),
        }
    }
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
    /// Token ids below `vocabulary`, each in a segment below `segments`, at most `longest` in a sequence.
    Text {
        /// Rows of the token embedding.
        vocabulary: usize,
        /// Rows of the segment embedding.
        segments: usize,
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

    /// Builds stage `index`. Stage 0 takes [`Activation::Ids`], `Text` or `Images` and gives a `Sequence` `[B, T, D]`; blocks map
    /// `Sequence` to `Sequence`; the head takes `Rows` `[R, D]` and gives `Rows` `[R, V]` (one row an image
    /// or a text where the positions are pooled). A convolutional network hands on `Images`; where the last block gives `Rows`, the
    /// head reads them as they are.
    ///
    /// # Errors
    /// A tensor is missing or malformed.
    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error>;
}
