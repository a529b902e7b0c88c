//! Fine-tuning a decoder of the OPT architecture on windows of a text.

use burn::tensor::{Device, Tensor};

use super::learner::{Learner, Order};
use super::settings::Settings;
use crate::Error;
use crate::emu::Layers;
use crate::load::Tokenizer;
use crate::models::Weights;
use crate::models::opt::{OptConfig, OptModel};
use crate::train::engine::{Dropout, SHARDS};
use crate::train::lm::{Windows, evaluate};
use crate::train::random::SplitMix64;
use crate::train::text::{Document, join, split};

/// The two sides of a text, as tokens of the model's own tokenizer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// What is learned from.
    pub train: Vec<u32>,
    /// What is judged on.
    pub held_out: Vec<u32>,
}

impl Text {
    /// The sides of a text extract in `<doc>` markup, split by document as `interplay train lm` splits it.
    ///
    /// # Errors
    /// The extract has no held-out document, or the tokenizer refuses.
    pub fn from_extract(extract: &str, tokenizer: &Tokenizer) -> Result<Self, Error> {
        let split = split(extract);
        if split.held_out.is_empty() {
            return Err(Error::Invalid(
                "the text has fewer than ten documents in `<doc id=\"…\" title=\"…\">` markup; give wiki.utf8".into(),
            ));
        }
        let encode = |documents: &[Document]| tokenizer.encode(&join(documents), false);
        Ok(Self { train: encode(&split.train)?, held_out: encode(&split.held_out)? })
    }
}

/// A decoder and its text.
pub(super) struct Decoder<'a> {
    config: OptConfig,
    train: &'a [u32],
    held_out: &'a [u32],
    window: usize,
    batch: usize,
    order: Order,
}

impl<'a> Decoder<'a> {
    /// Puts a model and a text together.
    ///
    /// # Errors
    /// The window is longer than the model takes, or a side of the text is too short for one batch or one window.
    pub fn new(config: OptConfig, text: &'a Text, settings: &Settings) -> Result<Self, Error> {
        let (longest, train) = (config.max_position_embeddings, text.train.len());
        let window = settings.window.unwrap_or(longest.min(256));
        if !(2..=longest).contains(&window) {
            return Err(Error::Invalid(format!(
                "a window of {window} tokens is not in 2 to {longest}, what the model takes"
            )));
        }
        // The cut moves by up to a window from one time around to the next, so one window and a token are never part of it.
        let count = (train / window).saturating_sub(1);
        if count < settings.batch || text.held_out.len() < window {
            return Err(Error::Invalid(format!(
                "{train} tokens to train on and {} held out are too few for {} windows of {window}; give a smaller batch, a shorter window or more text",
                text.held_out.len(),
                settings.batch
            )));
        }
        let windows = settings.held_out.unwrap_or(usize::MAX).min(text.held_out.len() / window);
        Ok(Self {
            config,
            train: &text.train,
            held_out: &text.held_out[..windows * window],
            window,
            batch: settings.batch,
            order: Order { count, seed: settings.seed },
        })
    }

    /// The windows that the model is judged on.
    pub fn windows(&self) -> Vec<Vec<i64>> {
        let window = |ids: &[u32]| ids.iter().copied().map(i64::from).collect();
        self.held_out.chunks_exact(self.window).map(window).collect()
    }
}

impl Learner for Decoder<'_> {
    type Model = OptModel;
    type Shard = Windows;

    const ARCHITECTURE: &'static str = "opt";
    const PREFIX: &'static str = "model";

    fn model(&self, weights: &dyn Weights, device: &Device, layers: &Layers) -> Result<OptModel, Error> {
        OptModel::load_with(&self.config, weights, device, layers)
    }

    fn shards(&self, step: usize) -> Vec<Windows> {
        let places = self.order.at(step * self.batch..(step + 1) * self.batch);
        // Another cut into windows every time around.
        let start = |&(epoch, item): &(usize, usize)| {
            let mut stream = SplitMix64::new(self.order.seed, &format!("cut {epoch}"));
            stream.below(self.window) + item * self.window
        };
        let starts: Vec<usize> = places.iter().map(start).collect();
        let parts = starts.chunks_exact(self.batch / SHARDS);
        parts.map(|starts| Windows::cut(self.train, starts, self.window)).collect()
    }

    fn logits(model: &OptModel, shard: &Windows, device: &Device, dropout: &mut Dropout) -> Tensor<2> {
        model.forward_with(shard.tensor(device), &mut |x| dropout.apply(x))
    }

    fn classes(shard: &Windows) -> &[u32] {
        shard.next()
    }

    fn held_out_loss(&self, model: &OptModel) -> f64 {
        evaluate(model, self.held_out, self.window)
    }
}
