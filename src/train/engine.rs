//! What every training run shares: the learning-rate schedule, seeded dropout, and steps split over fixed shards.
//!
//! A batch is cut into [`SHARDS`] equal parts that are differentiated on their own threads and summed in order. The number of
//! shards is part of the recipe and not of the machine, so the result has the same bits on any number of cores.

use burn::module::{Module, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::grad_clipping::GradientClippingConfig;
use burn::optim::{AdamWConfig, AdjustLrFn, GradientsAccumulator, GradientsParams, ModuleOptimizer, MuonConfig};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::loss::surrogate;
use super::random::SplitMix64;
use crate::Error;

/// Parts that a batch is cut into.
pub const SHARDS: usize = 2;

/// How a learning rate falls from its highest value to its floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// Half a cosine.
    #[default]
    Cosine,
    /// A straight line.
    Linear,
}

impl Decay {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The share of the way down that is still to go after a share `done` of the steps.
    fn left(self, done: f64) -> f64 {
        match self {
            Self::Cosine => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Self::Linear => 1.0 - done,
        }
    }
}

/// Linear warm-up, then a way down to a floor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The highest learning rate, reached at the end of the warm-up.
    pub peak: f64,
    /// The learning rate of the last step, as a share of the highest.
    pub floor: f64,
    /// Steps of warm-up.
    pub warmup: usize,
    /// Steps in all.
    pub steps: usize,
    /// The way down; records that do not say it are of cosines.
    #[serde(default, skip_serializing_if = "Decay::is_default")]
    pub decay: Decay,
}

impl Schedule {
    /// The same shape over another number of steps; the warm-up is at most a tenth of them.
    pub fn over(self, steps: usize) -> Self {
        Self { warmup: self.warmup.min(steps / 10), steps, ..self }
    }

    /// The learning rate of step `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let span = (self.steps - self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / span).min(1.0);
        let share = self.floor + (1.0 - self.floor) * self.decay.left(done);
        self.peak * share
    }
}

/// The optimizers' settings: Muon for the matrices inside blocks where it is wanted, AdamW for everything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimizer {
    /// AdamW: decay of the first moment.
    pub beta_1: f64,
    /// AdamW: decay of the second moment.
    pub beta_2: f64,
    /// AdamW: added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay of both.
    pub weight_decay: f64,
    /// Largest norm of one parameter's gradient.
    pub clip: f64,
    /// A regular expression of the paths of parameters that Muon updates (Jordan 2024; its step is scaled to AdamW's size by
    /// the rule of Liu et al. 2025).
    pub muon: Option<String>,
}

impl Optimizer {
    fn init(&self) -> Result<ModuleOptimizer, Error> {
        let clip = GradientClippingConfig::Norm(self.clip as f32);
        let optimizer = AdamWConfig::new()
            .with_beta_1(self.beta_1 as f32)
            .with_beta_2(self.beta_2 as f32)
            .with_epsilon(self.epsilon as f32)
            .with_weight_decay(self.weight_decay as f32)
            .with_grad_clipping(Some(clip))
            .init();
        let Some(paths) = &self.muon else { return Ok(optimizer) };
        let group = ParamGroup::from_regex(paths)
            .map_err(|error| Error::Invalid(format!("optimizer.muon `{paths}` is no regular expression: {error:?}")))?;
        let muon = MuonConfig::new()
            .with_weight_decay(Some(WeightDecayConfig { penalty: self.weight_decay as f32 }))
            .with_adjust_lr_fn(AdjustLrFn::MatchRmsAdamW);
        Ok(optimizer.with_group(group, muon.build(), None))
    }
}

/// Inverted dropout whose masks depend on a label alone.
#[derive(Debug)]
pub struct Dropout {
    probability: f32,
    stream: SplitMix64,
}

impl Dropout {
    /// Masks for one shard of one step.
    pub fn new(probability: f32, seed: u64, step: usize, shard: usize) -> Self {
        Self { probability, stream: SplitMix64::new(seed, &format!("dropout {step} {shard}")) }
    }

    /// Zeroes each value with the given probability and scales the others up.
    pub fn apply<const D: usize>(&mut self, x: Tensor<D>) -> Tensor<D> {
        if self.probability == 0.0 {
            return x;
        }
        let shape = x.dims();
        let threshold = (self.probability * 65536.0) as u64;
        let scale = 65536.0 / (65536.0 - threshold as f32);
        let count: usize = shape.iter().product();
        let mut mask = Vec::with_capacity(count + 3);
        while mask.len() < count {
            let bits = self.stream.next_u64();
            mask.extend([0, 16, 32, 48].map(|shift| if (bits >> shift) & 0xffff < threshold { 0.0 } else { scale }));
        }
        mask.truncate(count);
        let mask = Tensor::from_data(TensorData::new(mask, shape), &x.device());
        x * mask
    }
}

/// A model in training: its parameters, the optimizer's state and the schedule.
pub struct Engine<M: Module> {
    model: M,
    optimizer: ModuleOptimizer,
    schedule: Schedule,
    device: Device,
    step: usize,
}

impl<M: Module + Sync + Send> Engine<M> {
    /// Starts with `model`, whose parameters live on `device` (an autodiff device).
    ///
    /// # Errors
    /// The optimizer's settings name no valid paths.
    pub fn new(model: M, optimizer: &Optimizer, schedule: Schedule, device: Device) -> Result<Self, Error> {
        Ok(Self { model, optimizer: optimizer.init()?, schedule, device, step: 0 })
    }

    /// The parameters as they are now.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Steps done.
    pub fn steps_done(&self) -> usize {
        self.step
    }

    /// One update from [`SHARDS`] shards: `logits` maps a shard to logits `[R, C]`, `loss` maps those to the mean loss and its
    /// gradient. Returns the mean loss before the update.
    pub fn step<S: Sync>(
        &mut self,
        shards: &[S],
        logits: impl Fn(&M, &S, &mut Dropout) -> Tensor<2> + Sync,
        loss: impl Fn(&S, &[f32]) -> (f64, Vec<f32>) + Sync,
        dropout: impl Fn(usize, usize) -> Dropout + Sync,
    ) -> f64 {
        let (loss, gradients) = gradients(&self.model, &self.device, self.step, shards, logits, loss, dropout);
        let rate = self.schedule.rate(self.step);
        self.model = self.optimizer.step(rate, self.model.clone(), gradients);
        self.step += 1;
        loss
    }
}

/// The mean loss of `shards` and its gradients, for step `step`: each shard is differentiated on its own thread, and they are summed in
/// order. Arguments are those of [`Engine::step`].
pub fn gradients<M: Module + Sync + Send, S: Sync>(
    model: &M,
    device: &Device,
    step: usize,
    shards: &[S],
    logits: impl Fn(&M, &S, &mut Dropout) -> Tensor<2> + Sync,
    loss: impl Fn(&S, &[f32]) -> (f64, Vec<f32>) + Sync,
    dropout: impl Fn(usize, usize) -> Dropout + Sync,
) -> (f64, GradientsParams) {
    let results: Vec<(f64, GradientsParams)> = shards
        .par_iter()
        .enumerate()
        .map(|(index, shard)| {
            // A fork has a graph of its own, so that shards do not wait for each other.
            let fork = model.clone().fork(device);
            let logits = logits(&fork, shard, &mut dropout(step, index));
            let (loss, mut gradient) = loss(shard, &host_values(logits.clone().inner()));
            let share = 1.0 / shards.len() as f32;
            gradient.iter_mut().for_each(|value| *value *= share);
            let gradients = surrogate(logits, gradient).backward();
            (loss, GradientsParams::from_grads(gradients, &fork))
        })
        .collect();
    let mut accumulator = GradientsAccumulator::new();
    let mut loss = 0.0;
    for (shard_loss, gradients) in results {
        loss += shard_loss / shards.len() as f64;
        accumulator.accumulate(model, gradients);
    }
    (loss, accumulator.grads())
}

/// The values of a tensor, row-major.
pub fn host_values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap_or_else(|error| unreachable!("an f32 tensor holds f32 values: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedule_rises_and_falls() {
        let schedule = Schedule { peak: 1.0, floor: 0.1, warmup: 10, steps: 110, decay: Decay::Cosine };
        assert!((schedule.rate(0) - 0.1).abs() < 1e-12);
        assert!((schedule.rate(9) - 1.0).abs() < 1e-12);
        assert!((schedule.rate(10) - 1.0).abs() < 1e-12);
        assert!((schedule.rate(60) - 0.55).abs() < 1e-12);
        assert!((schedule.rate(110) - 0.1).abs() < 1e-12);
        let short = schedule.clone().over(20);
        assert_eq!((short.warmup, short.steps), (2, 20));
        assert_eq!(schedule.clone().over(110), schedule);
        let linear = Schedule { decay: Decay::Linear, ..schedule };
        assert!((linear.rate(10) - 1.0).abs() < 1e-12);
        assert!((linear.rate(35) - 0.775).abs() < 1e-12);
        assert!((linear.rate(110) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn dropout_keeps_the_mean_and_repeats() {
        let device = Device::flex();
        let ones = Tensor::<2>::ones([100, 100], &device);
        let drop = |step| host_values(Dropout::new(0.25, 7, step, 0).apply(ones.clone()));
        let once = drop(1);
        assert_eq!(once, drop(1));
        assert_ne!(once, drop(2));
        assert!((once.iter().sum::<f32>() / 1e4 - 1.0).abs() < 0.03);
    }
}
