//! Fine-tuning as a cell of a study: trains in a folder of its own that is gone afterwards, and gives the model.

use std::path::Path;

use anyhow::{Result, bail};
use interplay::catalogue;
use interplay::load::{self, Model};
use interplay::session::Session;
use interplay::train::engine::Decay;
use interplay::train::finetune::{Masks, Outcome, Settings, Subject as Trainee, run};
use serde::{Deserialize, Serialize};

use crate::cell::{Outcome as Judged, evaluate};
use crate::commands::finetune::data;
use crate::engine::key::digest_of;
use crate::interrupt;
use crate::output::Scratch;
use crate::subject::Subject;

/// The size of all runs of a study: the same budget for each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Steps of a language model.
    pub steps: usize,
    /// Steps on images.
    pub image_steps: usize,
    /// Windows a step.
    pub batch: usize,
    /// Images a step.
    pub image_batch: usize,
    /// The highest learning rate, in millionths; keys have no fractions.
    pub rate_millionths: u64,
}

/// What one run trains towards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Aim {
    /// `sq`, `qs` or `common`.
    pub recipe: String,
    /// The order, where the recipe has none of its own.
    pub order: Option<String>,
    /// The format of weights and activations.
    pub format: String,
    /// The pattern of the weights.
    pub sparsity: String,
    /// The format of gradients in the backward products; none is FP32.
    pub gradients: Option<String>,
    /// How far the targets lean towards the dense FP32 model, in percent.
    pub distill_percent: u64,
    /// The seed.
    pub seed: u64,
}

/// The settings of a run.
pub fn settings(subject: &Subject, preset: &str, aim: &Aim, budget: &Budget) -> Settings {
    let images = subject.window() == 0;
    let (steps, batch) = if images { (budget.image_steps, budget.image_batch) } else { (budget.steps, budget.batch) };
    Settings {
        model: subject.model_name.clone(),
        recipe: aim.recipe.clone(),
        format: aim.format.clone(),
        weights: None,
        activations: None,
        sparsity: aim.sparsity.clone(),
        order: aim.order.clone(),
        datapath: None,
        datapath_record: None,
        preset: preset.to_owned(),
        gradients: aim.gradients.clone(),
        mask: Masks::Recompute,
        steps,
        batch,
        window: (!images).then(|| subject.window()),
        rate: budget.rate_millionths as f64 * 1e-6,
        schedule: Decay::Linear,
        warmup: 0,
        weight_decay: 0.0,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        clip: Some(1.0),
        dropout: 0.0,
        distill: aim.distill_percent as f64 * 0.01,
        seed: aim.seed,
        // The study judges the result itself; what the run measures on the way is kept small.
        held_out: Some(4),
        evaluate_every: steps,
        checkpoint_every: steps,
    }
}

/// The data that a model is trained on: those of `interplay finetune`.
///
/// # Errors
/// They are not there, they are what the subject is judged on, or the model cannot be trained.
pub fn data(subject: &Subject) -> Result<Trainee> {
    let judge = subject.data_name.as_str();
    let same = |trained: &Path| {
        Path::new(judge).canonicalize().is_ok_and(|path| trained.canonicalize().is_ok_and(|t| t == path))
    };
    let trained =
        |name: &str| judge.eq_ignore_ascii_case(name) || catalogue::locate(name).is_ok_and(|path| same(&path));
    if let Some(name) = ["wiki", "mnist"].into_iter().find(|name| trained(name)) {
        bail!("models are trained on `{name}`, so they cannot be judged on it; give other data by --data");
    }
    data::subject(&subject.model_name, None, data::start(&subject.model_name)?)
}

/// The digest of those data, for the keys of cells.
///
/// # Errors
/// Those of [`data`].
pub fn digest(subject: &Subject) -> Result<String> {
    Ok(digest_of(data(subject)?.checksums.into_iter().map(|(name, sum)| format!("{name} {sum}"))))
}

/// Trains, and gives the model; none where the loss or a gradient was not finite.
///
/// # Errors
/// The run cannot begin or was interrupted.
pub fn train(subject: &Subject, settings: &Settings) -> Result<Option<Model>> {
    let folder = Scratch::within(&std::env::temp_dir())?;
    match run(settings, &data(subject)?, folder.path(), &mut |_| !interrupt::asked())? {
        Outcome::Finished(_) => Ok(Some(opened(folder.path())?)),
        Outcome::Diverged { .. } => Ok(None),
        Outcome::Stopped { step } => bail!("interrupted after step {step}"),
    }
}

/// The model in a folder, none of whose files is needed afterwards.
fn opened(folder: &Path) -> Result<Model> {
    Ok(load::open(folder)?)
}

/// How good a trained model is on the subject's held-out data under a plan.
///
/// # Errors
/// The model cannot run under the plan.
pub fn judge(subject: &Subject, session: &mut Session) -> Result<Judged> {
    evaluate(subject, session, None)
}
