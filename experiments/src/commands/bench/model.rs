//! `interplay bench model`: FP32 tokens, images or texts a second, and the memory that it takes.

use std::time::Instant;

use anyhow::Result;
use interplay::burn::{Activation, Backend};
use interplay::eval::{for_each_logits, input};
use interplay::models::{Checkpoint, Input};
use serde::Serialize;

use crate::output::sayln;
use crate::progress::Progress;
use crate::report::table::Table;
use crate::subject::{Checksums, open_model};
use crate::watched;

/// Arguments of `bench model`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The inputs are made up: neither speed nor memory depends on them. The peak is that of the whole process, program and tokenizer
included, so one model is measured a run.

Examples:
  interplay bench model smollm2
  interplay bench model vit --rounds 20 --json")]
pub struct Args {
    /// `lm`, `vit`, a fetched model such as `smollm2`, a Hugging Face folder, or a GGUF file.
    #[arg(value_name = "NAME|PATH", default_value = "lm")]
    model: String,

    /// Tokens of the window or text, at most as many as the model takes.
    #[arg(long, value_name = "N", default_value_t = 512)]
    window: usize,

    /// Forward passes, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 5)]
    rounds: usize,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Row {
    model: String,
    /// What is counted: `tokens` or `images`.
    unit: &'static str,
    /// How many go through at once.
    batch: usize,
    per_second: f64,
    /// The FP32 weights, tied ones once.
    weights_bytes: u64,
    /// The most memory that the process ever had; `None` where the system does not say.
    peak_resident_bytes: Option<u64>,
}

/// Measures and prints.
///
/// # Errors
/// The model cannot be opened or run.
pub fn run(args: &Args) -> Result<()> {
    let (model, _) = open_model(&args.model, &mut Checksums::new())?;
    let (input, unit, batch) = made_up(&*model.checkpoint, args.window)?;
    let mut session = watched::session(crate::host::on(Backend::default()), &model.checkpoint)?;
    let mut seconds = Vec::new();
    // The first pass captures; it is not counted.
    let rounds = args.rounds.max(1);
    let mut progress = Progress::new(std::iter::repeat_n("pass".to_owned(), rounds + 1), false);
    for _ in 0..=rounds {
        progress.start("pass", "measuring");
        let start = Instant::now();
        for_each_logits(&mut session, std::slice::from_ref(&input), |_, _, _| ())?;
        seconds.push(start.elapsed().as_secs_f64());
        progress.finish_unit();
    }
    progress.clear();
    let peak_resident_bytes = crate::progress::peak_resident();
    seconds.remove(0);
    seconds.sort_by(f64::total_cmp);
    let per_second = batch as f64 / seconds[seconds.len() / 2];
    let weights_bytes = session.footprint()?.total.total() / 8;
    let row = Row { model: args.model.clone(), unit, batch, per_second, weights_bytes, peak_resident_bytes };
    if args.json {
        sayln!("{}", serde_json::to_string_pretty(&row)?);
    } else {
        print(&row);
    }
    Ok(())
}

fn print(row: &Row) {
    let mb = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    let mut table = Table::new("", ["model", "a pass", "a second", "weights, MB", "peak resident, MB"]);
    table.row([
        row.model.clone(),
        format!("{} {}", row.batch, row.unit),
        format!("{:.1} {}", row.per_second, row.unit),
        mb(row.weights_bytes),
        row.peak_resident_bytes.map_or_else(|| "n/a".to_owned(), mb),
    ]);
    table.print();
}

/// One input of a model, what it is counted in, and how many of those it is.
fn made_up(checkpoint: &dyn Checkpoint, window: usize) -> Result<(Activation, &'static str, usize)> {
    let ids = |vocabulary: usize, longest: usize| -> Vec<i64> {
        (0..window.clamp(1, longest)).map(|i| (i * 37 % vocabulary.max(1)) as i64).collect()
    };
    Ok(match checkpoint.input() {
        Input::Tokens { vocabulary, longest } => {
            let ids = ids(vocabulary, longest);
            (input::tokens(checkpoint, &ids, ids.len())?, "tokens", ids.len())
        }
        Input::Text { vocabulary, longest, .. } => {
            let ids = ids(vocabulary, longest);
            (input::text(checkpoint, &ids, &vec![0; ids.len()], ids.len())?, "tokens", ids.len())
        }
        Input::Images { channels, height, width } => {
            let pixels: Vec<f32> = (0..channels * height * width).map(|i| (i % 255) as f32 / 255.0).collect();
            (input::images(checkpoint, &pixels)?, "images", 1)
        }
    })
}
