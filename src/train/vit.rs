//! Training the vision transformer on handwritten digits.
//!
//! The parameters of the last step are kept: the test set is looked at for the loss curve only and decides nothing.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::digits::{CLASSES, Digit, SIDE, augmented, normalised};
use super::engine::{Decay, Dropout, Engine, Optimizer, SHARDS, Schedule, host_values};
use super::export::{HostTensor, parameters};
use super::initial::Initial;
use super::loss::{cross_entropy, negative_log_likelihoods};
use super::random::SplitMix64;
use super::{Point, Progress};
use crate::Error;
use crate::models::vit::{VitConfig, VitModel};

/// Everything that decides a run beside its images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Seed of every random stream.
    pub seed: u64,
    /// Width of the residual stream.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads a block.
    pub heads: usize,
    /// Width of the feed-forward branch.
    pub inner: usize,
    /// Rows and columns of a patch.
    pub patch: usize,
    /// Images of a batch.
    pub batch: usize,
    /// Test images of each class.
    pub test_per_class: usize,
    /// Dropout on the embeddings and on every branch.
    pub dropout: f64,
    /// Steps between two looks at the test loss.
    pub evaluate_every: usize,
    /// Learning rates.
    pub schedule: Schedule,
    /// Optimizer.
    pub optimizer: Optimizer,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 1,
            width: 128,
            layers: 5,
            heads: 4,
            inner: 512,
            patch: 4,
            batch: 64,
            test_per_class: 100,
            dropout: 0.0,
            evaluate_every: 281,
            schedule: Schedule { peak: 3e-3, floor: 0.01, warmup: 100, steps: 2248, decay: Decay::Cosine },
            optimizer: Optimizer {
                beta_1: 0.9,
                beta_2: 0.99,
                epsilon: 1e-8,
                weight_decay: 0.05,
                clip: 1.0,
                muon: Some(r"^vit\.encoder\..*\.weight$".into()),
            },
        }
    }
}

impl Recipe {
    /// The model's `config.json`.
    pub fn config(&self) -> VitConfig {
        VitConfig {
            hidden_size: self.width,
            num_hidden_layers: self.layers,
            num_attention_heads: self.heads,
            intermediate_size: self.inner,
            image_size: SIDE,
            patch_size: self.patch,
            num_channels: 1,
            id2label: (0..CLASSES).map(|class| (class, class.to_string())).collect(),
            ..VitConfig::default()
        }
    }

    fn check(&self, train: usize, test: usize) -> Result<(), Error> {
        let problem = if self.batch == 0 || !self.batch.is_multiple_of(SHARDS) {
            format!("batch {} is not a multiple of {SHARDS}", self.batch)
        } else if self.evaluate_every == 0 || self.schedule.steps <= self.schedule.warmup {
            "evaluate_every must be at least 1 and steps more than the warm-up".into()
        } else if train == 0 || test == 0 {
            format!("{train} training and {test} test images are too few")
        } else {
            return self.config().check();
        };
        Err(Error::Invalid(format!("training recipe: {problem}")))
    }
}

/// How a model does on labelled images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Mean cross-entropy, nats.
    pub cross_entropy: f64,
    /// Images whose highest logit is the label's.
    pub correct: usize,
    /// Images.
    pub images: usize,
}

/// A trained model.
#[derive(Debug)]
pub struct Trained {
    /// Parameters by checkpoint name.
    pub tensors: BTreeMap<String, HostTensor>,
    /// Number of parameters.
    pub parameters: usize,
    /// The loss curve.
    pub curve: Vec<Point>,
    /// The result on the test images.
    pub score: Score,
}

/// A shard of a batch: images as the model reads them, and their classes.
#[derive(Default)]
pub(crate) struct Batch {
    pixels: Vec<f32>,
    classes: Vec<u32>,
}

impl Batch {
    /// Adds an image as the model reads it.
    pub(crate) fn push(&mut self, pixels: Vec<f32>, label: u8) {
        self.pixels.extend(pixels);
        self.classes.push(u32::from(label));
    }

    /// The class of each image.
    pub(crate) fn classes(&self) -> &[u32] {
        &self.classes
    }

    /// Images `[N, 1, 28, 28]`.
    pub(crate) fn tensor(&self, device: &Device) -> Tensor<4> {
        Tensor::from_data(TensorData::new(self.pixels.clone(), [self.classes.len(), 1, SIDE, SIDE]), device)
    }
}

/// Images in a seeded order, every epoch another, each bent in its own way.
struct Sampler<'a> {
    digits: &'a [Digit],
    stream: SplitMix64,
    order: Vec<usize>,
}

impl Sampler<'_> {
    fn batch(&mut self, images: usize) -> Batch {
        let mut batch = Batch::default();
        for _ in 0..images {
            if self.order.is_empty() {
                self.order = (0..self.digits.len()).collect();
                self.stream.shuffle(&mut self.order);
            }
            let digit = &self.digits[self.order.pop().unwrap_or(0)];
            batch.push(augmented(&digit.pixels, &mut self.stream), digit.label);
        }
        batch
    }
}

/// Trains on `train`; `test` is for the loss curve and the score. `report` is called after every step and may stop the run by
/// returning `false`.
///
/// # Errors
/// The recipe does not fit the images.
pub fn train(
    recipe: &Recipe,
    train: &[Digit],
    test: &[Digit],
    report: &mut dyn FnMut(Progress) -> bool,
) -> Result<Trained, Error> {
    recipe.check(train.len(), test.len())?;
    let device = Device::flex().autodiff();
    let initial = Initial::new(recipe.seed, recipe.layers, &["output.dense"]);
    let model = VitModel::load(&recipe.config(), &initial, &device)?;
    let parameter_count = model.num_params();
    let mut engine = Engine::new(model, &recipe.optimizer, recipe.schedule.clone(), device.clone())?;
    let mut sampler = Sampler { digits: train, stream: SplitMix64::new(recipe.seed, "images"), order: Vec::new() };
    let steps = recipe.schedule.steps;
    let (mut curve, mut since, mut running, mut going) = (Vec::new(), 0usize, 0.0, true);
    while going && engine.steps_done() < steps {
        running += one_step(recipe, &mut engine, &mut sampler, &device);
        since += 1;
        let step = engine.steps_done();
        let mut point = None;
        if step.is_multiple_of(recipe.evaluate_every) || step == steps {
            let held_out_loss = evaluate(engine.model(), test).cross_entropy;
            let now = Point { step, train_loss: running / since as f64, held_out_loss };
            curve.push(now);
            point = Some(now);
            (running, since) = (0.0, 0);
        }
        going = report(Progress { step, steps, point });
    }
    let score = evaluate(engine.model(), test);
    Ok(Trained { tensors: parameters(engine.model(), ""), parameters: parameter_count, curve, score })
}

fn one_step(recipe: &Recipe, engine: &mut Engine<VitModel>, sampler: &mut Sampler, device: &Device) -> f64 {
    let shards: Vec<_> = (0..SHARDS).map(|_| sampler.batch(recipe.batch / SHARDS)).collect();
    engine.step(
        &shards,
        |model, shard, dropout| model.forward_with(shard.tensor(device), &mut |x| dropout.apply(x)),
        |shard, logits| cross_entropy(logits, &shard.classes),
        |step, shard| Dropout::new(recipe.dropout as f32, recipe.seed, step, shard),
    )
}

/// Scores a model on images as they are.
pub fn evaluate(model: &VitModel, digits: &[Digit]) -> Score {
    let model = model.valid();
    let results: Vec<(f64, usize)> = digits
        .par_chunks(50)
        .map(|digits| {
            let pixels = digits.iter().flat_map(|digit| digit.pixels.iter().map(|&grey| normalised(f32::from(grey))));
            let classes: Vec<u32> = digits.iter().map(|digit| u32::from(digit.label)).collect();
            let batch = Batch { pixels: pixels.collect(), classes };
            let logits = host_values(model.forward_with(batch.tensor(&Device::flex()), &mut |x| x));
            let losses = negative_log_likelihoods(&logits, &batch.classes);
            let rows = logits.chunks_exact(CLASSES).zip(&batch.classes);
            (losses.iter().sum(), rows.filter(|(row, class)| highest(row) == **class as usize).count())
        })
        .collect();
    let (loss, correct) = results.iter().fold((0.0, 0), |sum, result| (sum.0 + result.0, sum.1 + result.1));
    Score { cross_entropy: loss / digits.len() as f64, correct, images: digits.len() }
}

/// The index of the first highest value.
fn highest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, index| if row[index] > row[best] { index } else { best })
}
