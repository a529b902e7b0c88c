//! Everything that decides a run beside its model and its data, as one record.

use serde::{Deserialize, Serialize};

use super::optimizer::AdamW;
use super::recipe::Recipe;
use crate::Error;
use crate::formats::Format;
use crate::hw::Datapath;
use crate::load::nearest;
use crate::plan::{LayerSpec, Plan, Preset};
use crate::train::engine::{Decay, SHARDS, Schedule};

/// What becomes of the positions that are pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Masks {
    /// They are chosen again in every forward pass.
    Recompute,
    /// Those of the weights that the run starts from stay.
    Freeze,
}

/// The settings of a run. Names are kept as they were given, files by their text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The model as it was asked for.
    pub model: String,
    /// A name of [`super::RECIPES`].
    pub recipe: String,
    /// The format of weights and activations.
    pub format: String,
    /// The format of the weights, where it differs.
    pub weights: Option<String>,
    /// The format of the activations, where it differs.
    pub activations: Option<String>,
    /// The pattern of the weights.
    pub sparsity: String,
    /// `sq`, `qs`, or none where there is nothing to order.
    pub order: Option<String>,
    /// The unit's name; none is the natural one of the formats.
    pub datapath: Option<String>,
    /// The TOML text that declares the unit, where it is the user's own.
    pub datapath_record: Option<String>,
    /// Which layers are emulated.
    pub preset: String,
    /// The format of gradients in the backward products; none is FP32.
    pub gradients: Option<String>,
    /// What becomes of the positions that are pruned.
    pub mask: Masks,
    /// Steps.
    pub steps: usize,
    /// Windows or images a step.
    pub batch: usize,
    /// Tokens a window, of training and of evaluation; none for images.
    pub window: Option<usize>,
    /// The highest learning rate.
    pub rate: f64,
    /// How it falls to zero.
    pub schedule: Decay,
    /// Steps of warm-up.
    pub warmup: usize,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta_1: f64,
    /// Decay of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Largest norm of all gradients together; none leaves them as they are.
    pub clip: Option<f64>,
    /// Dropout on the embeddings and on every branch.
    pub dropout: f64,
    /// How far the targets lean from the right class to what the dense FP32 model that the run starts from says, 0 to 1; at 0 there is
    /// no teacher, and records do not say it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub distill: f64,
    /// Seed of the order of the data, of augmentation and of dropout.
    pub seed: u64,
    /// Held-out windows or images that are looked at; none is all.
    pub held_out: Option<usize>,
    /// Steps between two looks at the held-out loss.
    pub evaluate_every: usize,
    /// Steps between two checkpoints.
    pub checkpoint_every: usize,
}

impl Settings {
    /// The recipe.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn recipe(&self) -> Result<&'static Recipe, Error> {
        Recipe::by_name(&self.recipe)
    }

    /// The plan under which the result is evaluated.
    ///
    /// # Errors
    /// An unknown name, an order that is missing or that the recipe does not have.
    pub fn plan(&self) -> Result<Plan, Error> {
        let recipe = self.recipe()?;
        if let (Some(own), Some(given)) = (recipe.order, &self.order)
            && !given.trim().eq_ignore_ascii_case(own)
        {
            return Err(Error::Invalid(format!(
                "recipe `{}` is in the order `{own}`, not `{given}`; leave the order out, or take the recipe `common`",
                recipe.name
            )));
        }
        let unit = match &self.datapath_record {
            Some(text) => Some(Datapath::from_toml(text)?.name.to_owned()),
            None => self.datapath.clone(),
        };
        let spec = LayerSpec {
            format: Some(self.format.clone()),
            weights: self.weights.clone(),
            activations: self.activations.clone(),
            sparsity: Some(self.sparsity.clone()),
            order: recipe.order.map(str::to_owned).or_else(|| self.order.clone()),
            datapath: unit,
            low_rank: None,
        };
        Ok(Plan::new(Preset::by_name(&self.preset)?, spec.resolve()?))
    }

    /// The format that gradients are rounded to; `None` where they are not.
    ///
    /// # Errors
    /// An unknown name, or a format for a recipe that trains in FP32.
    pub fn gradient_format(&self) -> Result<Option<&'static Format>, Error> {
        let Some(name) = &self.gradients else { return Ok(None) };
        let (recipe, format) = (self.recipe()?, Format::by_name(name)?);
        if !recipe.rounds && !format.is_exact() {
            return Err(Error::Invalid(format!(
                "recipe `{}` trains in FP32, its gradients too; leave `{name}` out, or take the recipe `qs` or `common`",
                recipe.name
            )));
        }
        Ok(Some(format))
    }

    /// The learning rates.
    pub(super) fn rates(&self) -> Schedule {
        let (peak, warmup, steps, decay) = (self.rate, self.warmup, self.steps, self.schedule);
        Schedule { peak, floor: 0.0, warmup, steps, decay }
    }

    /// The optimizer.
    pub(super) fn optimizer(&self) -> AdamW {
        AdamW {
            beta_1: self.beta_1 as f32,
            beta_2: self.beta_2 as f32,
            epsilon: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
        }
    }

    /// Refuses settings that make no run.
    ///
    /// # Errors
    /// Which number is wrong, and what is allowed; an unknown name.
    pub fn check(&self) -> Result<(), Error> {
        self.plan()?;
        self.gradient_format()?;
        let share = |value: f64| (0.0..1.0).contains(&value);
        let problem = if self.batch == 0 || !self.batch.is_multiple_of(SHARDS) {
            format!("a batch of {} is not a multiple of {SHARDS}, the parts that it is cut into", self.batch)
        } else if self.steps == 0 || self.steps <= self.warmup {
            format!("{} steps are none or no more than the {} of the warm-up", self.steps, self.warmup)
        } else if self.evaluate_every == 0 || self.checkpoint_every == 0 || self.held_out == Some(0) {
            "steps between evaluations, steps between checkpoints and held-out inputs must be at least 1".into()
        } else if !(self.rate.is_finite() && self.rate > 0.0) {
            format!("a learning rate of {} is not a number above 0", self.rate)
        } else if ![self.beta_1, self.beta_2, self.dropout].into_iter().all(share) {
            let (one, two, dropout) = (self.beta_1, self.beta_2, self.dropout);
            format!("betas {one} and {two} and dropout {dropout} must be from 0 to below 1")
        } else if !(0.0..=1.0).contains(&self.distill) {
            format!("targets that lean towards the teacher by {} do not lean by 0 to 1", self.distill)
        } else if !(self.epsilon.is_finite() && self.epsilon > 0.0 && self.epsilon as f32 > 0.0) {
            format!("an epsilon of {} is not a number above 0", self.epsilon)
        } else if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            format!("a weight decay of {} is not a number from 0", self.weight_decay)
        } else if self.clip.is_some_and(|clip| !(clip.is_finite() && clip > 0.0)) {
            "the largest norm of gradients must be a number above 0".into()
        } else {
            return Ok(());
        };
        Err(Error::Invalid(format!("fine-tuning: {problem}")))
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

impl Masks {
    /// The choice of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        one_of(name, "masks", &[("recompute", Self::Recompute), ("freeze", Self::Freeze)])
    }
}

impl Decay {
    /// The way down of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        one_of(name, "schedule", &[("linear", Self::Linear), ("cosine", Self::Cosine)])
    }
}

/// The value of a name, or an error with the allowed ones and the nearest.
fn one_of<T: Copy>(name: &str, what: &str, known: &[(&str, T)]) -> Result<T, Error> {
    let wanted = name.trim().to_ascii_lowercase();
    known.iter().find(|(known, _)| *known == wanted).map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
        let near = nearest(&wanted, known.iter().map(|(name, _)| *name));
        let near = near.map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
        Error::Invalid(format!("unknown {what} `{name}`; it is {}{near}", names.join(" or ")))
    })
}
