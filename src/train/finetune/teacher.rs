//! Distillation: the dense FP32 model that a run starts from teaches the one in training.
//!
//! The targets of the cross-entropy lean from the right class towards the teacher's distribution (Hinton et al. 2015, at temperature 1):
//! with a share `s` the gradient is that of `(1 - s) * H(class, student) + s * H(teacher, student)`, whose minimum over the student at
//! `s = 1` is the teacher itself. A teacher costs a step one forward pass, without a tape.

use burn::tensor::Device;

use super::learner::Learner;
use crate::Error;
use crate::emu::Layers;
use crate::models::Weights;
use crate::train::engine::{Dropout, host_values};
use crate::train::loss::{cross_entropy, lean, softmax};

/// A model that is not trained, and how far targets lean towards what it says.
pub(super) struct Teacher<M> {
    model: M,
    share: f32,
}

impl<M> Teacher<M> {
    /// The model over `weights`, dense and in FP32; none where nothing leans towards it.
    ///
    /// # Errors
    /// The weights are not the model's.
    pub fn new<L: Learner<Model = M>>(learner: &L, weights: &dyn Weights, share: f64) -> Result<Option<Self>, Error> {
        let share = share as f32;
        if share == 0.0 {
            return Ok(None);
        }
        Ok(Some(Self { model: learner.model(weights, &Device::flex(), &Layers::plain())?, share }))
    }
}

/// The mean cross-entropy of a part's logits against the right classes, whatever the teacher says, and the gradient to follow.
pub(super) fn loss<L: Learner>(
    teacher: Option<&Teacher<L::Model>>,
    shard: &L::Shard,
    logits: &[f32],
) -> (f64, Vec<f32>) {
    let classes = L::classes(shard);
    let (loss, mut gradient) = cross_entropy(logits, classes);
    if let Some(Teacher { model, share }) = teacher {
        let taught = host_values(L::logits(model, shard, &Device::flex(), &mut Dropout::new(0.0, 0, 0, 0)));
        lean(&mut gradient, classes, *share, |row, out| softmax(&taught[row * out.len()..][..out.len()], out));
    }
    (loss, gradient)
}
