//! A decoder of two blocks on a text in which every token follows from the one before, and a vision transformer of one on bars.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::Device;
use interplay::models::opt::{OptConfig, OptModel};
use interplay::models::vit::VitModel;
use interplay::train::digits::{Digit, PIXELS};
use interplay::train::engine::Decay;
use interplay::train::export::{json_bytes, parameters, safetensors_bytes};
use interplay::train::finetune::{Data, Digits, Event, Masks, Outcome, Settings, Start, Subject, Text, run};
use interplay::train::initial::Initial;
use interplay::train::vit;
use libtest_mimic::Failed;
use serde_json::{Value, json};

/// Ten steps at a rate that is felt.
pub fn settings(recipe: &str) -> Settings {
    Settings {
        model: "small".into(),
        recipe: recipe.into(),
        format: "hbfp6".into(),
        weights: None,
        activations: None,
        sparsity: "50%".into(),
        order: (recipe == "common").then(|| "sq".into()),
        datapath: None,
        datapath_record: None,
        preset: "paper".into(),
        gradients: (recipe != "sq").then(|| "hbfp6".into()),
        mask: Masks::Recompute,
        steps: 10,
        batch: 4,
        window: Some(16),
        rate: 5e-3,
        schedule: Decay::Linear,
        warmup: 0,
        weight_decay: 0.01,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        clip: Some(1.0),
        dropout: 0.1,
        distill: 0.0,
        seed: 1,
        held_out: Some(3),
        evaluate_every: 3,
        checkpoint_every: 2,
    }
}

fn folder(path: &Path, config: Value, tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Result<Start, Failed> {
    fs::create_dir_all(path)?;
    fs::write(path.join("model.safetensors"), safetensors_bytes(tensors)?)?;
    fs::write(path.join("config.json"), json_bytes(&config)?)?;
    Ok(Start::open(path)?)
}

/// The decoder, written to `path` and opened again, with its text.
pub fn decoder(path: &Path) -> Result<Subject, Failed> {
    let config = OptConfig {
        vocab_size: 16,
        hidden_size: 32,
        num_hidden_layers: 2,
        ffn_dim: 64,
        num_attention_heads: 2,
        max_position_embeddings: 16,
        word_embed_proj_dim: Some(32),
        ..OptConfig::default()
    };
    let model = OptModel::load(&config, &Initial::new(1, 2, &["out_proj", "fc2"]), &Device::flex())?;
    let start = folder(path, serde_json::to_value(&config)?, &parameters(&model, "model"))?;
    let cycle = |length: u32| (0..length).map(|i| i * 5 % 16).collect();
    let text = Text { train: cycle(400), held_out: cycle(64) };
    Ok(Subject { start, data: Data::Text(text), checksums: BTreeMap::from([("text".into(), "a cycle".into())]) })
}

/// The vision transformer, written to `path` and opened again, with its bars.
pub fn viewer(path: &Path) -> Result<Subject, Failed> {
    let config = vit::Recipe { width: 32, layers: 1, heads: 2, inner: 64, ..vit::Recipe::default() }.config();
    let model = VitModel::load(&config, &Initial::new(1, 1, &["output.dense"]), &Device::flex())?;
    let start = folder(path, serde_json::to_value(&config)?, &parameters(&model, ""))?;
    let bar = |label: u8| (0..PIXELS).map(|i| if i / 28 / 3 == usize::from(label) { 255 } else { 0 }).collect();
    let digits: Vec<Digit> = (0..40).map(|i| Digit { pixels: bar(i % 10), label: i % 10 }).collect();
    let digits = Digits { held_out: digits[..10].to_vec(), train: digits };
    Ok(Subject { start, data: Data::Digits(digits), checksums: BTreeMap::new() })
}

/// Runs to the end, or fails.
pub fn whole(settings: &Settings, subject: &Subject, out: &Path) -> Result<Value, Failed> {
    described(run(settings, subject, out, &mut |_| true)?)
}

/// A finished run's numbers and checksums as JSON.
pub fn described(outcome: Outcome) -> Result<Value, Failed> {
    let Outcome::Finished(done) = outcome else { return Err(format!("the run ended with {outcome:?}").into()) };
    Ok(json!({ "before": done.before, "after": done.after, "curve": done.curve, "files": done.files }))
}

/// Runs and asks to stop after each of `steps`, then goes on to the end.
pub fn stopped_at(steps: &[usize], settings: &Settings, subject: &Subject, out: &Path) -> Result<Value, Failed> {
    for &stop in steps {
        let ended = run(settings, subject, out, &mut |event| !matches!(event, Event::Step(now) if now.step == stop))?;
        assert_eq!(ended, Outcome::Stopped { step: stop });
    }
    whole(settings, subject, out)
}
