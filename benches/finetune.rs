//! What the emulation costs in training: a step of the embedded language model, 8 windows of 256 tokens, through units and formats against
//! the same step in FP32.
//!
//! `cargo bench -p interplay --bench finetune [-- ROUNDS]`. Rounds are interleaved, so that a busy machine disturbs all alike; the medians
//! of one run and their ratios to FP32 are printed. Target: HBFP8 weights and activations with quantised gradients at most 2.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use interplay::Error;
use interplay::models::embedded;
use interplay::train::engine::Decay;
use interplay::train::finetune::{Data, Event, Masks, Settings, Start, Subject, Text, run};

/// Steps of a round whose times count, behind one that does not.
const STEPS: usize = 4;

/// A label, recipe, format, sparsity, and the highest ratio that is accepted.
const VARIANTS: [(&str, &str, &str, &str, Option<f64>); 6] = [
    ("FP32", "sq", "hbfp8", "dense", None),
    ("FP32, 2:4", "sq", "hbfp8", "2:4", None),
    ("hbfp8, gradients too", "common", "hbfp8", "dense", Some(2.0)),
    ("hbfp8, 2:4, gradients too", "qs", "hbfp8", "2:4", None),
    ("mxfp8, gradients too", "common", "mxfp8", "dense", None),
    ("int8, gradients too", "common", "int8", "dense", None),
];

fn settings(recipe: &str, format: &str, sparsity: &str) -> Settings {
    Settings {
        model: "lm".into(),
        recipe: recipe.into(),
        format: format.into(),
        weights: None,
        activations: None,
        sparsity: sparsity.into(),
        order: None,
        datapath: None,
        datapath_record: None,
        preset: "paper".into(),
        gradients: (recipe != "sq").then(|| format.into()),
        mask: Masks::Recompute,
        steps: STEPS + 2,
        batch: 8,
        window: Some(256),
        rate: 1e-4,
        schedule: Decay::Linear,
        warmup: 0,
        weight_decay: 0.0,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        clip: Some(1.0),
        dropout: 0.0,
        distill: 0.0,
        seed: 1,
        held_out: Some(1),
        evaluate_every: STEPS + 2,
        checkpoint_every: STEPS + 2,
    }
}

fn subject() -> Result<Subject, Error> {
    let start = Start::embedded(&embedded::lm(), Vec::new())?;
    let ids = start.tokenizer()?.encode(embedded::heldout_text(), false)?;
    let data = Data::Text(Text { held_out: ids[..256].to_vec(), train: ids });
    Ok(Subject { start, data, checksums: BTreeMap::new() })
}

/// Milliseconds of the steps of one run; the first one warms up, and the last one looks at held-out data.
fn round(settings: &Settings, subject: &Subject, out: &Path) -> Result<Vec<f64>, Error> {
    let (mut times, mut since) = (Vec::new(), Instant::now());
    run(settings, subject, out, &mut |event| {
        if let Event::Step(now) = event {
            if (2..=STEPS + 1).contains(&now.step) {
                times.push(since.elapsed().as_secs_f64() * 1e3);
            }
            since = Instant::now();
        }
        true
    })?;
    Ok(times)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<(), Error> {
    let rounds = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(3usize).max(1);
    let subject = subject()?;
    let io = |source| Error::Io { path: "a temporary folder".into(), source };
    let mut times = vec![Vec::new(); VARIANTS.len()];
    for _ in 0..rounds {
        for ((_, recipe, format, sparsity, _), times) in VARIANTS.iter().zip(&mut times) {
            let folder = tempfile::tempdir().map_err(io)?;
            times.extend(round(&settings(recipe, format, sparsity), &subject, folder.path())?);
        }
    }
    println!("the embedded language model, 8 windows of 256 tokens a step, median of {} steps", times[0].len());
    let plain = median(&mut times[0]);
    for ((label, .., target), times) in VARIANTS.iter().zip(&mut times) {
        let (time, target) = (median(times), target.map_or_else(String::new, |t| format!("  (at most {t:.2})")));
        println!("  {label:<28}{time:>8.0} ms  {:>5.2} of FP32{target}", time / plain);
    }
    Ok(())
}
