//! Training in small, and the shipped models against the records of the runs that made them.

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use interplay::load::{SafeTensors, text::sha256};
use interplay::models::embedded;
use interplay::models::opt::{OptConfig, OptModel};
use interplay::models::vit::{VitConfig, VitModel};
use interplay::train::digits::{Digit, PIXELS};
use interplay::train::engine::{Decay, Schedule};
use interplay::train::export::HostTensor;
use interplay::train::kneser_ney::KneserNey;
use interplay::train::{Point, lm, vit};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

/// Every case of this file.
pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("train::language_model_learns_and_repeats", language_model_learns_and_repeats),
        Trial::test("train::vision_transformer_learns_and_repeats", vision_transformer_learns_and_repeats),
        Trial::test("train::recipes_that_do_not_fit_are_errors", recipes_that_do_not_fit_are_errors),
        Trial::test("train::shipped_files_are_the_recorded_ones", shipped_files_are_the_recorded_ones),
        Trial::test("train::shipped_language_model_scores_as_recorded", shipped_language_model_scores_as_recorded),
        Trial::test(
            "train::shipped_vision_transformer_scores_as_recorded",
            shipped_vision_transformer_scores_as_recorded,
        ),
    ]
}

type Bits = Vec<(String, Vec<u32>)>;

fn bits<'a>(tensors: impl IntoIterator<Item = (&'a String, &'a HostTensor)>) -> Bits {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    tensors.into_iter().map(|(name, (_, values))| (name.clone(), bits(values))).collect()
}

fn small_lm() -> lm::Recipe {
    let schedule = Schedule { peak: 1e-2, floor: 0.1, warmup: 2, steps: 12, decay: Decay::Cosine };
    let (vocabulary, width, layers, heads, inner) = (16, 32, 2, 2, 64);
    let sizes = lm::Recipe { vocabulary, width, layers, heads, inner, context: 16, batch: 4, ..lm::Recipe::default() };
    lm::Recipe { evaluate_every: 1, schedule, ..sizes }
}

/// A text in which every token follows from the one before.
fn cycle(length: usize) -> Vec<u32> {
    (0..length as u32).map(|i| i * 5 % 16).collect()
}

fn train_lm(recipe: &lm::Recipe) -> Result<(Bits, Vec<Point>), Failed> {
    let (train, held_out) = (cycle(400), cycle(64));
    let teacher = KneserNey::train(&train, recipe.vocabulary);
    let trained = lm::train(recipe, &teacher, &train, &held_out, &mut |_| true)?;
    Ok((bits(&trained.tensors), trained.curve))
}

fn language_model_learns_and_repeats() -> Result<(), Failed> {
    let (tensors, curve) = train_lm(&small_lm())?;
    assert!(curve[1].held_out_loss < curve[0].held_out_loss, "{curve:?}");
    assert!(curve[11].held_out_loss < 0.8 * curve[0].held_out_loss, "{curve:?}");
    // The same bits again, and on one thread.
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    assert!(single.install(|| train_lm(&small_lm()))?.0 == tensors);
    assert!(train_lm(&lm::Recipe { seed: 2, ..small_lm() })?.0 != tensors);
    Ok(())
}

fn train_vit() -> Result<(Bits, Vec<Point>), Failed> {
    // Digits that a glance tells apart: a bar whose row is the label.
    let bar = |label: u8| (0..PIXELS).map(|i| if i / 28 / 3 == usize::from(label) { 255 } else { 0 }).collect();
    let digits: Vec<Digit> = (0..40).map(|i| Digit { pixels: bar(i % 10), label: i % 10 }).collect();
    let schedule = Schedule { peak: 3e-3, floor: 0.1, warmup: 2, steps: 12, decay: Decay::Cosine };
    let sizes = vit::Recipe { width: 32, layers: 1, heads: 2, inner: 64, batch: 20, ..vit::Recipe::default() };
    let recipe = vit::Recipe { evaluate_every: 6, schedule, ..sizes };
    let trained = vit::train(&recipe, &digits, &digits[..10], &mut |_| true)?;
    Ok((bits(&trained.tensors), trained.curve))
}

fn vision_transformer_learns_and_repeats() -> Result<(), Failed> {
    let (tensors, curve) = train_vit()?;
    assert!(curve[1].held_out_loss < curve[0].held_out_loss, "{curve:?}");
    assert!(train_vit()?.0 == tensors);
    Ok(())
}

fn recipes_that_do_not_fit_are_errors() -> Result<(), Failed> {
    for (recipe, part) in [
        (lm::Recipe { batch: 3, ..small_lm() }, "batch 3"),
        (lm::Recipe { heads: 3, ..small_lm() }, "num_attention_heads 3"),
        (lm::Recipe { context: 300, ..small_lm() }, "too few"),
        (lm::Recipe { context: 1, ..small_lm() }, "context"),
    ] {
        let message = train_lm(&recipe).err().ok_or(part)?;
        let message = message.message().unwrap_or_default().to_owned();
        assert!(message.contains(part), "{message}");
    }
    Ok(())
}

fn record(folder: &str) -> Result<Value, Failed> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join("training.json");
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

fn shipped_files_are_the_recorded_ones() -> Result<(), Failed> {
    for folder in ["models/lm", "models/vit"] {
        let record = record(folder)?;
        let files = record["files_sha256"].as_object().ok_or("no checksums")?;
        assert!(files.contains_key("model.safetensors"), "{folder}");
        for (name, sum) in files {
            let content = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name))?;
            assert_eq!(Some(&*sha256(&content)), sum.as_str(), "{folder}/{name}");
        }
    }
    Ok(())
}

fn shipped_language_model_scores_as_recorded() -> Result<(), Failed> {
    let record = record("models/lm")?;
    let model = embedded::lm();
    let config: OptConfig = serde_json::from_str(model.config)?;
    let weights = SafeTensors::from_bytes("model.safetensors", model.weights.to_vec())?;
    let weights = interplay::load::hf::Tensors::single(weights)?;
    let module = OptModel::load(&config, &weights, &Device::flex())?;
    let ids = model.open()?.tokenizer.ok_or("no tokenizer")?.encode(embedded::heldout_text(), false)?;
    let loss = lm::evaluate(&module, &ids, config.max_position_embeddings);
    let recorded = record["result"]["perplexity"].as_f64().ok_or("no perplexity")?;
    assert!((loss.exp() / recorded - 1.0).abs() < 1e-4, "{} instead of {recorded}", loss.exp());
    let baseline = record["result"]["kneser_ney_perplexity"].as_f64().ok_or("no baseline")?;
    assert!(recorded < baseline, "{recorded} does not beat the trigram's {baseline}");
    Ok(())
}

fn shipped_vision_transformer_scores_as_recorded() -> Result<(), Failed> {
    let record = record("models/vit")?;
    let model = embedded::vit();
    let config: VitConfig = serde_json::from_str(model.config)?;
    let weights = SafeTensors::from_bytes("model.safetensors", model.weights.to_vec())?;
    let module = VitModel::load(&config, &interplay::load::hf::Tensors::single(weights)?, &Device::flex())?;
    let images = SafeTensors::from_bytes("test.safetensors", embedded::heldout_images().to_vec())?;
    let labels = images.integers("labels")?;
    let pixels = images.octets("images_u8")?.chunks_exact(PIXELS);
    let digits: Vec<Digit> =
        pixels.zip(&labels).map(|(pixels, &label)| Digit { pixels: pixels.to_vec(), label: label as u8 }).collect();
    assert!(digits.len() >= 1000);
    assert!((0..10).all(|class| 10 * labels.iter().filter(|&&label| label == class).count() == digits.len()));
    let score = vit::evaluate(&module, &digits);
    assert_eq!(Some(score.correct as u64), record["result"]["score"]["correct"].as_u64());
    assert!(100 * score.correct >= 97 * score.images, "{score:?}");
    Ok(())
}
