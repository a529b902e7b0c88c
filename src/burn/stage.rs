//! A stage: a Burn module with its forward function and the name that its layers have in the checkpoint.

use burn::module::Module;
use burn::tensor::{Int, Tensor};

/// What flows between stages.
#[derive(Debug, Clone)]
pub enum Activation {
    /// Token ids `[B, T]`.
    Ids(Tensor<2, Int>),
    /// Independent rows `[R, D]`.
    Rows(Tensor<2>),
    /// Sequences `[B, T, D]`.
    Sequence(Tensor<3>),
    /// Images `[B, C, H, W]`.
    Images(Tensor<4>),
}

/// One stage of a model, of whatever module type.
pub trait Stage: Send {
    /// The prefix of this stage's layer names (`decoder.layers.0`), empty where the module's paths are complete.
    fn prefix(&self) -> &str;

    /// Runs the module eagerly on the device it lives on.
    fn forward(&self, input: Activation) -> Activation;
}

/// A Burn module as a [`Stage`].
#[derive(Debug)]
pub struct Piece<M: Module> {
    prefix: String,
    module: M,
    forward: fn(&M, Activation) -> Activation,
}

impl<M: Module> Piece<M> {
    /// Joins a module, its forward function and the prefix of its layer names.
    pub fn new(prefix: impl Into<String>, module: M, forward: fn(&M, Activation) -> Activation) -> Self {
        Self { prefix: prefix.into(), module, forward }
    }
}

impl<M: Module + Send> Stage for Piece<M> {
    fn prefix(&self) -> &str {
        &self.prefix
    }

    fn forward(&self, input: Activation) -> Activation {
        (self.forward)(&self.module, input)
    }
}
