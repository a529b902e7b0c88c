//! Training the language model: an OPT-architecture decoder on byte-level BPE tokens of Wikipedia.
//!
//! The run keeps the parameters of the best held-out loss. Everything it draws (weights, order of windows, dropout) comes
//! from the recipe's seed.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use serde::{Deserialize, Serialize};

use super::engine::{Decay, Dropout, Engine, Optimizer, SHARDS, Schedule, host_values};
use super::export::{HostTensor, parameters};
use super::initial::{Initial, Waves};
use super::kneser_ney::KneserNey;
use super::loss::{cross_entropy, lean, negative_log_likelihoods};
use super::random::SplitMix64;
use super::{Point, Progress};
use crate::Error;
use crate::models::opt::{OptConfig, OptModel};

/// Everything that decides a run beside its texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// Seed of every random stream.
    pub seed: u64,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Width of the residual stream.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads a block.
    pub heads: usize,
    /// Width of the feed-forward branch.
    pub inner: usize,
    /// Tokens of a window.
    pub context: usize,
    /// Windows of a batch.
    pub batch: usize,
    /// Dropout on the embeddings and on every branch.
    pub dropout: f64,
    /// Share of the trigram model's distribution in the targets of the first step.
    pub teacher_first: f64,
    /// The same at the end; linear in between.
    pub teacher_last: f64,
    /// Steps between two looks at the held-out loss.
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
            vocabulary: 2048,
            width: 192,
            layers: 3,
            heads: 6,
            inner: 768,
            context: 256,
            batch: 8,
            dropout: 0.1,
            teacher_first: 1.0,
            teacher_last: 0.2,
            evaluate_every: 250,
            schedule: Schedule { peak: 8e-3, floor: 0.02, warmup: 100, steps: 4000, decay: Decay::Cosine },
            optimizer: Optimizer {
                beta_1: 0.9,
                beta_2: 0.98,
                epsilon: 1e-8,
                weight_decay: 0.1,
                clip: 1.0,
                muon: Some(r"^decoder\.layers\..*\.weight$".into()),
            },
        }
    }
}

impl Recipe {
    /// The model's `config.json`.
    pub fn config(&self) -> OptConfig {
        OptConfig {
            vocab_size: self.vocabulary,
            hidden_size: self.width,
            num_hidden_layers: self.layers,
            ffn_dim: self.inner,
            num_attention_heads: self.heads,
            max_position_embeddings: self.context,
            word_embed_proj_dim: Some(self.width),
            ..OptConfig::default()
        }
    }

    fn check(&self, train: usize, held_out: usize) -> Result<(), Error> {
        let problem = if self.batch == 0 || !self.batch.is_multiple_of(SHARDS) {
            format!("batch {} is not a multiple of {SHARDS}", self.batch)
        } else if self.context < 2 || self.evaluate_every == 0 || self.schedule.steps <= self.schedule.warmup {
            "context must be at least 2, evaluate_every at least 1, steps more than the warm-up".into()
        } else if train < self.context * (self.batch + 1) + 1 || held_out < self.context {
            format!("{train} training and {held_out} held-out tokens are too few for one batch")
        } else {
            return self.config().check();
        };
        Err(Error::Invalid(format!("training recipe: {problem}")))
    }
}

/// A trained model.
#[derive(Debug)]
pub struct Trained {
    /// Parameters of the best held-out loss, by checkpoint name.
    pub tensors: BTreeMap<String, HostTensor>,
    /// Number of parameters.
    pub parameters: usize,
    /// The loss curve.
    pub curve: Vec<Point>,
    /// The point that `tensors` are from.
    pub best: Point,
}

/// A shard of a batch: windows of ids and the token after each of them.
pub(crate) struct Windows {
    ids: Vec<i32>,
    next: Vec<u32>,
    context: usize,
}

impl Windows {
    /// The windows of `context` tokens that begin at `starts`; a token follows each.
    pub(crate) fn cut(tokens: &[u32], starts: &[usize], context: usize) -> Self {
        let (mut ids, mut next) = (Vec::new(), Vec::new());
        for &start in starts {
            ids.extend(tokens[start..start + context].iter().map(|&id| id as i32));
            next.extend_from_slice(&tokens[start + 1..=start + context]);
        }
        Self { ids, next, context }
    }

    /// The token after each.
    pub(crate) fn next(&self) -> &[u32] {
        &self.next
    }

    /// Ids `[windows, context]`.
    pub(crate) fn tensor(&self, device: &Device) -> Tensor<2, Int> {
        let shape = [self.ids.len() / self.context, self.context];
        Tensor::from_data(TensorData::new(self.ids.clone(), shape), device)
    }

    /// Up to two tokens of the same window that stand before the target of row `row`.
    fn history(&self, row: usize) -> Vec<u32> {
        let first = if row.is_multiple_of(self.context) { row } else { row - 1 };
        self.ids[first..=row].iter().map(|&id| id as u32).collect()
    }
}

/// Windows in a seeded order: every epoch shifts the cut by a random offset and shuffles.
struct Sampler<'a> {
    tokens: &'a [u32],
    context: usize,
    stream: SplitMix64,
    starts: Vec<usize>,
}

impl<'a> Sampler<'a> {
    fn new(tokens: &'a [u32], context: usize, seed: u64) -> Self {
        Self { tokens, context, stream: SplitMix64::new(seed, "windows"), starts: Vec::new() }
    }

    fn start(&mut self) -> usize {
        if self.starts.is_empty() {
            let offset = self.stream.below(self.context);
            let last = self.tokens.len() - self.context - 1;
            self.starts = (offset..=last).step_by(self.context).collect();
            self.stream.shuffle(&mut self.starts);
        }
        self.starts.pop().unwrap_or(0)
    }

    fn shard(&mut self, windows: usize) -> Windows {
        let starts: Vec<usize> = (0..windows).map(|_| self.start()).collect();
        Windows::cut(self.tokens, &starts, self.context)
    }
}

/// Trains on `train` and keeps the parameters that predict `held_out` best.
///
/// `teacher` is a trigram model of the same training text: the targets lean towards its smoothed distributions, less and less
/// as the run goes on, which spares a small model on a small text much of the noise of single observations.
///
/// `report` is called after every step and may stop the run by returning `false`; the best parameters so far are kept.
///
/// # Errors
/// The recipe does not fit the texts, or the model diverged before its first evaluation.
pub fn train(
    recipe: &Recipe,
    teacher: &KneserNey,
    train: &[u32],
    held_out: &[u32],
    report: &mut dyn FnMut(Progress) -> bool,
) -> Result<Trained, Error> {
    recipe.check(train.len(), held_out.len())?;
    let device = Device::flex().autodiff();
    let waves = Waves::new(recipe.seed, recipe.width / recipe.heads);
    let initial = Initial::new(recipe.seed, recipe.layers, &["out_proj", "fc2"]).with_waves(waves);
    let model = OptModel::load(&recipe.config(), &initial, &device)?;
    let count = model.num_params();
    let mut engine = Engine::new(model, &recipe.optimizer, recipe.schedule.clone(), device.clone())?;
    let mut sampler = Sampler::new(train, recipe.context, recipe.seed);
    let mut best: Option<(Point, BTreeMap<String, HostTensor>)> = None;
    let (mut curve, mut since, mut running) = (Vec::new(), 0usize, 0.0);
    let steps = recipe.schedule.steps;
    let mut going = true;
    while going && engine.steps_done() < steps {
        running += one_step(recipe, &mut engine, &mut sampler, teacher, &device);
        since += 1;
        let step = engine.steps_done();
        let mut point = None;
        if step.is_multiple_of(recipe.evaluate_every) || step == steps {
            let loss = evaluate(engine.model(), held_out, recipe.context);
            let now = Point { step, train_loss: running / since as f64, held_out_loss: loss };
            if loss.is_finite() && best.as_ref().is_none_or(|(point, _)| loss < point.held_out_loss) {
                best = Some((now, parameters(engine.model(), "model")));
            }
            curve.push(now);
            point = Some(now);
            (running, since) = (0.0, 0);
        }
        going = report(Progress { step, steps, point });
    }
    let (best, tensors) =
        best.ok_or_else(|| Error::Invalid("training ended before an evaluation was finite".into()))?;
    Ok(Trained { tensors, parameters: count, curve, best })
}

fn one_step(
    recipe: &Recipe,
    engine: &mut Engine<OptModel>,
    sampler: &mut Sampler,
    teacher: &KneserNey,
    device: &Device,
) -> f64 {
    let done = engine.steps_done() as f64 / recipe.schedule.steps as f64;
    let share = (recipe.teacher_first + (recipe.teacher_last - recipe.teacher_first) * done) as f32;
    let shards: Vec<_> = (0..SHARDS).map(|_| sampler.shard(recipe.batch / SHARDS)).collect();
    engine.step(
        &shards,
        |model, shard, dropout| model.forward_with(shard.tensor(device), &mut |x| dropout.apply(x)),
        |shard, logits| {
            let (loss, mut gradient) = cross_entropy(logits, &shard.next);
            lean(&mut gradient, &shard.next, share, |row, out| teacher.distribution(&shard.history(row), out));
            (loss, gradient)
        },
        |step, shard| Dropout::new(recipe.dropout as f32, recipe.seed, step, shard),
    )
}

/// The mean loss over the non-overlapping windows of `context` tokens, each on its own and its first token not predicted.
pub fn evaluate(model: &OptModel, tokens: &[u32], context: usize) -> f64 {
    use rayon::prelude::*;
    let model = model.valid();
    let windows: Vec<&[u32]> = tokens.chunks_exact(context).collect();
    let losses: Vec<f64> = windows
        .par_chunks(4)
        .flat_map_iter(|windows| {
            let ids: Vec<i32> = windows.iter().flat_map(|window| &window[..context - 1]).map(|&id| id as i32).collect();
            let next: Vec<u32> = windows.iter().flat_map(|window| &window[1..]).copied().collect();
            let ids = Windows { ids, next, context: context - 1 };
            let logits = model.forward_with(ids.tensor(&Device::flex()), &mut |x| x);
            negative_log_likelihoods(&host_values(logits), &ids.next)
        })
        .collect();
    losses.iter().sum::<f64>() / losses.len() as f64
}
