//! Fine-tuning a vision transformer on handwritten digits.

use burn::tensor::{Device, Tensor};

use super::learner::{Learner, Order};
use super::settings::Settings;
use crate::Error;
use crate::emu::Layers;
use crate::models::vit::{VitConfig, VitModel};
use crate::models::{Input, Weights};
use crate::train::digits::{CLASSES, Digit, SIDE, augmented, normalised};
use crate::train::engine::{Dropout, SHARDS};
use crate::train::random::SplitMix64;
use crate::train::vit::{Batch, evaluate};

/// The two sides of a set of digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits {
    /// What is learned from.
    pub train: Vec<Digit>,
    /// What is judged on.
    pub held_out: Vec<Digit>,
}

/// A vision transformer and its digits.
pub(super) struct Viewer<'a> {
    config: VitConfig,
    train: &'a [Digit],
    held_out: &'a [Digit],
    batch: usize,
    order: Order,
}

impl<'a> Viewer<'a> {
    /// Puts a model and digits together.
    ///
    /// # Errors
    /// The model does not take such images or has other classes, or there are no images.
    pub fn new(config: VitConfig, digits: &'a Digits, settings: &Settings) -> Result<Self, Error> {
        if config.input() != (Input::Images { channels: 1, height: SIDE, width: SIDE })
            || config.id2label.len() != CLASSES
        {
            return Err(Error::Invalid(format!(
                "the digits are {SIDE}x{SIDE} pixels of one channel in {CLASSES} classes, which is not what this model takes; give `vit` or a folder that `interplay train vit` wrote"
            )));
        }
        if digits.train.is_empty() || digits.held_out.is_empty() {
            return Err(Error::Invalid("there are no digits to train on, or none to judge on".into()));
        }
        let images = settings.held_out.unwrap_or(usize::MAX).min(digits.held_out.len());
        Ok(Self {
            config,
            train: &digits.train,
            held_out: &digits.held_out[..images],
            batch: settings.batch,
            order: Order { count: digits.train.len(), seed: settings.seed },
        })
    }

    /// The pixels and labels that the model is judged on.
    pub fn images(&self) -> (Vec<f32>, Vec<usize>) {
        let pixels =
            self.held_out.iter().flat_map(|digit| digit.pixels.iter().map(|&grey| normalised(f32::from(grey))));
        (pixels.collect(), self.held_out.iter().map(|digit| usize::from(digit.label)).collect())
    }
}

impl Learner for Viewer<'_> {
    type Model = VitModel;
    type Shard = Batch;

    const ARCHITECTURE: &'static str = "vit";
    const PREFIX: &'static str = "";

    fn model(&self, weights: &dyn Weights, device: &Device, layers: &Layers) -> Result<VitModel, Error> {
        VitModel::load_with(&self.config, weights, device, layers)
    }

    fn shards(&self, step: usize) -> Vec<Batch> {
        let places = self.order.at(step * self.batch..(step + 1) * self.batch);
        let mut stream = SplitMix64::new(self.order.seed, &format!("augmentation {step}"));
        let mut part = |places: &[(usize, usize)]| {
            let mut batch = Batch::default();
            for &(_, item) in places {
                let digit = &self.train[item];
                batch.push(augmented(&digit.pixels, &mut stream), digit.label);
            }
            batch
        };
        places.chunks_exact(self.batch / SHARDS).map(&mut part).collect()
    }

    fn logits(model: &VitModel, shard: &Batch, device: &Device, dropout: &mut Dropout) -> Tensor<2> {
        model.forward_with(shard.tensor(device), &mut |x| dropout.apply(x))
    }

    fn classes(shard: &Batch) -> &[u32] {
        shard.classes()
    }

    fn held_out_loss(&self, model: &VitModel) -> f64 {
        evaluate(model, self.held_out).cross_entropy
    }
}
