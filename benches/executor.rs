//! What the plug costs: a session against Burn's eager execution of the same model, one window of 512 tokens.
//!
//! `cargo bench -p interplay --bench executor [-- ROUNDS]`. The model is SmolLM2-135M where `interplay fetch smollm2` has brought
//! it, else four blocks of its size with generated weights. Rounds are interleaved, so that a busy machine disturbs all alike;
//! the medians of one run and their ratios to eager are printed.
//!
//! Targets: `off burn` and `off` at most 1.05, `fake` with weights quantised once and activations at every product at most 1.25. What
//! bounds them: `off burn` replays the very operations of eager execution and adds only a lookup an operation, so it stays at 1 within
//! noise. The others have the fixed host, whose products run on all threads where Burn's have one: on `n` threads at best `1 / n`.
//! `fake` adds one pass over each product's activations, at most `bytes / bandwidth` beside a product of `2 n` operations an element,
//! so a few per cent for the widths of a language model; quantised weights cost nothing at run time. Modelled units are listed for
//! scale and have no target here. Measured on SmolLM2 with two hardware threads and nothing beside it, 5 rounds, as ratios to eager:
//! `off burn` 0.97, `off` 0.52 (bound 0.50), `fake` 0.53 to 0.54, 0.56 with attention, `int8` and `block` 0.40.

use std::sync::Arc;
use std::time::Instant;

use interplay::Error;
use interplay::burn::{Activation, Backend, Host, Stage};
use interplay::catalogue::locate;
use interplay::eval::{Runner, for_each_logits};
use interplay::models::llama::{LlamaCheckpoint, LlamaConfig};
use interplay::models::{Checkpoint, Weights};
use interplay::plan::Plan;
use interplay::session::Session;

/// Tokens of one window.
const WINDOW: usize = 512;

/// The variants beside eager execution: a label, the plan, the highest ratio that is accepted.
const VARIANTS: [(&str, &str, Option<f64>); 8] = [
    ("off burn", "preset = \"none\"", Some(1.05)),
    ("off", "preset = \"none\"", Some(1.05)),
    ("fake int8", "format = \"int8\"\ndatapath = \"fake\"", Some(1.25)),
    ("fake mxfp8", "format = \"mxfp8\"\ndatapath = \"fake\"", Some(1.25)),
    ("fake hbfp8", "format = \"hbfp8\"\ndatapath = \"fake\"", Some(1.25)),
    ("fake hbfp8, attention too", "preset = \"all\"\nformat = \"hbfp8\"\ndatapath = \"fake\"", Some(1.25)),
    ("int8", "format = \"int8\"", None),
    ("block hbfp8", "format = \"hbfp8\"", None),
];

/// Who computes what no unit does, in the variant of that label.
fn host(label: &str) -> Host {
    if label.ends_with("burn") { Host::Burn } else { Host::Fixed }
}

/// Weights that follow from their names, small enough for activations to stay finite.
struct Generated;

impl Weights for Generated {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let mut state = name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / 8_388_608.0 - 1.0) / 16.0
        };
        Ok((0..shape.iter().product()).map(|_| next()).collect())
    }

    fn has(&self, _name: &str) -> bool {
        true
    }
}

/// Eager execution with every stage kept, as a session keeps them.
struct Eager {
    checkpoint: Arc<dyn Checkpoint>,
    stages: Vec<Box<dyn Stage>>,
    current: usize,
}

impl Runner for Eager {
    fn checkpoint(&self) -> &dyn Checkpoint {
        &*self.checkpoint
    }

    fn enter(&mut self, index: usize) -> Result<(), Error> {
        self.current = index;
        Ok(())
    }

    fn forward(&mut self, input: Activation) -> Result<Activation, Error> {
        Ok(self.stages[self.current].forward(input))
    }
}

fn model() -> Result<(String, Arc<dyn Checkpoint>), Error> {
    if let Ok(file) = locate("smollm2") {
        return Ok(("SmolLM2-135M".into(), interplay::load::open(&file)?.checkpoint));
    }
    let config = LlamaConfig {
        vocab_size: 4096,
        hidden_size: 576,
        intermediate_size: 1536,
        num_hidden_layers: 4,
        num_attention_heads: 9,
        num_key_value_heads: Some(3),
        ..LlamaConfig::default()
    };
    Ok(("4 generated blocks of SmolLM2's size".into(), Arc::new(LlamaCheckpoint::new(config, Arc::new(Generated))?)))
}

/// Seconds of one forward pass, and a checksum so that nothing is left out.
fn time(runner: &mut dyn Runner, input: &Activation) -> Result<f64, Error> {
    let start = Instant::now();
    let mut sum = 0.0;
    for_each_logits(runner, std::slice::from_ref(input), |_, _, row| sum += f64::from(row[0]))?;
    let seconds = start.elapsed().as_secs_f64();
    if sum.is_finite() { Ok(seconds) } else { Err(Error::Invalid("the logits are not finite".into())) }
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<(), Error> {
    let rounds = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(5usize).max(1);
    let (name, checkpoint) = model()?;
    let ids: Vec<i64> = (0..WINDOW as i64).map(|i| i * 37 % 4096).collect();
    let input = Activation::ids(&ids, WINDOW);
    let stages = (0..checkpoint.stages()).map(|i| checkpoint.stage(i)).collect::<Result<_, _>>()?;
    let mut eager = Eager { checkpoint: checkpoint.clone(), stages, current: 0 };
    println!("{name}, one window of {WINDOW} tokens, median of {rounds} interleaved rounds");
    for (label, plan, target) in VARIANTS {
        // One session at a time: sessions of all variants would need seven times the weights.
        let mut session =
            Session::on(Backend::default().hosted(host(label)), checkpoint.clone(), Plan::from_toml(plan)?)?;
        time(&mut session, &input)?;
        let (mut own, mut base) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            base.push(time(&mut eager, &input)?);
            own.push(time(&mut session, &input)?);
        }
        let mut ratios: Vec<_> = own.iter().zip(&base).map(|(own, base)| own / base).collect();
        let target = target.map_or_else(String::new, |t| format!("   target <= {t}"));
        let (own, base, ratio) = (median(&mut own), median(&mut base), median(&mut ratios));
        println!("{label:28} {own:>8.3} s   eager {base:>8.3} s   x {ratio:.3}{target}");
    }
    Ok(())
}
