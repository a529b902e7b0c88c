//! `interplay finetune`: a trained model, trained on through the emulation of what it will run on.
//!
//! Checkpoints are in `DIR/.checkpoints`; a killed run is finished by the same command.

pub mod data;
mod figure;
mod job;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use interplay::train::engine::Decay;
use interplay::train::finetune::{Masks, RECIPES, Recipe, Settings};

use crate::commands::define;

/// Arguments of `finetune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  interplay fetch wiki && interplay finetune                       # the embedded language model, sparse in FP32, then HBFP8
  interplay finetune --recipe qs --format hbfp6 --sparsity 50% --out lm-qs
  interplay finetune --recipe common --order sq --format mxfp4 --sparsity 2:4 --mask freeze --out lm-mxfp4
  interplay finetune --recipe common --sparsity dense --format hbfp6 --datapath acc16.toml --out lm-acc16
  interplay fetch mnist && interplay finetune --model vit --recipe qs --format hbfp4 --out vit-hbfp4
  interplay finetune --model ./opt-125m --data wiki.utf8 --batch 8 --window 512 --steps 1000 --rate 1e-4 --out opt-sq
  interplay eval --model lm-qs --data heldout --format hbfp6 --sparsity 50% --order qs

Recipes:
  sq      sparse training in FP32, then one-shot quantisation, sparsify first
  qs      quantise, then sparsify in every forward pass; activations and gradients quantised too
  common  the same training for both orders: what --order says, in every forward pass

A run that was killed goes on where it was when the same command is given again, and ends with the same bytes. Exit code 1: the loss or
a gradient was not finite; the last good checkpoint is kept.")]
pub struct Args {
    /// `lm`, `vit`, or a folder of a model of OPT's architecture or of one that `interplay train` wrote.
    #[arg(long, alias = "models", default_value = "lm")]
    model: String,

    /// Training data, as `train` takes them; their training side is learned from, their held-out side measured [default: what
    /// `interplay fetch wiki` or `fetch mnist` fetched].
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,

    /// `sq`, `qs` or `common`.
    #[arg(long, default_value = RECIPES[0].name, value_parser = recipe)]
    recipe: &'static Recipe,

    /// Format of weights and activations.
    #[arg(long, alias = "formats", value_name = "FORMAT", default_value = "hbfp8")]
    format: String,

    /// Format of the weights, where it differs.
    #[arg(long, value_name = "FORMAT")]
    weights: Option<String>,

    /// Format of the activations, where it differs.
    #[arg(long, value_name = "FORMAT")]
    activations: Option<String>,

    /// Pattern of the weights: `dense`, `50%`, `2:4`, …
    #[arg(long, value_name = "PATTERN", default_value = "2:4")]
    sparsity: String,

    /// For the recipe `common`: `sq` (sparsify, then quantise) or `qs`.
    #[arg(long, alias = "orders")]
    order: Option<String>,

    /// The unit that multiplies, in training and in evaluation: a name, or a TOML file that declares one; `auto` is the natural one.
    #[arg(long, alias = "datapaths", value_name = "NAME|FILE.toml", default_value = "auto")]
    datapath: String,

    /// Which layers are emulated: `paper` (as in the publication) or `all`.
    #[arg(long, default_value = "paper")]
    preset: String,

    /// Format that output gradients are rounded to before the backward products, or `none` [default: --format, for `sq` none].
    #[arg(long, value_name = "FORMAT|none")]
    gradients: Option<String>,

    /// Whether the positions that are pruned are chosen again in every forward pass or stay: `recompute` or `freeze`.
    #[arg(long, default_value = "recompute", value_parser = |text: &str| Masks::by_name(text))]
    mask: Masks,

    #[command(flatten)]
    training: Training,

    /// The folder to write, which `interplay eval --model DIR` takes [default: finetuned/MODEL-RECIPE].
    #[arg(long, alias = "output", value_name = "DIR")]
    out: Option<PathBuf>,

    /// Begin anew where a run is in the way.
    #[arg(long)]
    restart: bool,

    /// Print one JSON object, the same as finetune.json.
    #[arg(long)]
    json: bool,
}

/// How long, how fast, and on how much.
#[derive(Debug, clap::Args)]
struct Training {
    /// Steps [default: 200 for a language model, 100 for images].
    #[arg(long, value_name = "N")]
    steps: Option<usize>,

    /// Windows or images a step [default: 8 windows, 64 images].
    #[arg(long, value_name = "N")]
    batch: Option<usize>,

    /// Tokens a window [default: 256, or the model's longest sequence where that is shorter].
    #[arg(long, value_name = "N")]
    window: Option<usize>,

    /// The highest learning rate.
    #[arg(long, value_name = "RATE", default_value_t = 5e-4)]
    rate: f64,

    /// How the learning rate falls to zero: `linear` or `cosine`.
    #[arg(long, default_value = "linear", value_parser = |text: &str| Decay::by_name(text))]
    schedule: Decay,

    /// Steps over which the learning rate rises at first.
    #[arg(long, value_name = "N", default_value_t = 0)]
    warmup: usize,

    /// AdamW: decoupled weight decay.
    #[arg(long, value_name = "X", default_value_t = 0.0)]
    weight_decay: f64,

    /// AdamW: decay of the first moment.
    #[arg(long, value_name = "X", default_value_t = 0.9)]
    beta1: f64,

    /// AdamW: decay of the second moment.
    #[arg(long, value_name = "X", default_value_t = 0.999)]
    beta2: f64,

    /// AdamW: added to the root of the second moment.
    #[arg(long, value_name = "X", default_value_t = 1e-8)]
    epsilon: f64,

    /// Largest norm of all gradients together, or `none`.
    #[arg(long, value_name = "X|none", default_value = "1")]
    clip: String,

    /// Dropout on the embeddings and on every branch.
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    dropout: f64,

    /// How far the targets lean from the right class to what the dense FP32 model says that the run starts from, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    distill: f64,

    /// Seed of the order of the data, of augmentation and of dropout.
    #[arg(long, alias = "seeds", default_value_t = 1)]
    seed: u64,

    /// Held-out windows or images to measure on [default: 40 windows, all images].
    #[arg(long, value_name = "N")]
    held_out: Option<usize>,

    /// Steps between two looks at the held-out loss.
    #[arg(long, value_name = "N", default_value_t = 25)]
    evaluate_every: usize,

    /// Steps between two checkpoints.
    #[arg(long, value_name = "N", default_value_t = 25)]
    checkpoint_every: usize,
}

fn recipe(name: &str) -> Result<&'static Recipe, String> {
    Recipe::by_name(name).map_err(|error| error.to_string())
}

/// What differs between kinds of models where the command line says nothing.
struct Defaults {
    steps: usize,
    batch: usize,
    window: Option<usize>,
    held_out: Option<usize>,
}

impl Args {
    /// The settings of the run.
    ///
    /// # Errors
    /// A datapath's file or a number cannot be read.
    fn settings(&self, defaults: &Defaults) -> Result<Settings> {
        let auto = self.datapath.trim().eq_ignore_ascii_case("auto");
        let unit = if auto { None } else { Some(define::datapath(&self.datapath)?.name.to_owned()) };
        let training = &self.training;
        let clip = match training.clip.trim() {
            word if word.eq_ignore_ascii_case("none") => None,
            number => {
                Some(number.parse().map_err(|_| anyhow::anyhow!("--clip {number}: give a number above 0, or `none`"))?)
            }
        };
        let gradients = match self.gradients.as_deref() {
            Some(word) if word.trim().eq_ignore_ascii_case("none") => None,
            Some(name) => Some(name.to_owned()),
            None => self.recipe.rounds.then(|| self.format.clone()),
        };
        let settings = Settings {
            model: self.model.clone(),
            recipe: self.recipe.name.to_owned(),
            format: self.format.clone(),
            weights: self.weights.clone(),
            activations: self.activations.clone(),
            sparsity: self.sparsity.clone(),
            order: self.recipe.order.map(str::to_owned).filter(|_| self.order.is_none()).or_else(|| self.order.clone()),
            datapath: unit,
            datapath_record: define::declaration(&self.datapath)?,
            preset: self.preset.clone(),
            gradients,
            mask: self.mask,
            steps: training.steps.unwrap_or(defaults.steps),
            batch: training.batch.unwrap_or(defaults.batch),
            window: training.window.or(defaults.window),
            rate: training.rate,
            schedule: training.schedule,
            warmup: training.warmup,
            weight_decay: training.weight_decay,
            beta_1: training.beta1,
            beta_2: training.beta2,
            epsilon: training.epsilon,
            clip,
            dropout: training.dropout,
            distill: training.distill,
            seed: training.seed,
            held_out: training.held_out.or(defaults.held_out),
            evaluate_every: training.evaluate_every,
            checkpoint_every: training.checkpoint_every,
        };
        settings.check()?;
        Ok(settings)
    }
}

/// Runs the command.
///
/// # Errors
/// Bad use, a model or data that cannot be opened, a folder that holds something else or cannot be written.
pub fn run(args: &Args) -> Result<ExitCode> {
    job::run(args)
}
