//! Real checkpoints against what PyTorch computes from them in `f32`.

use std::path::Path;

use interplay::burn::Activation;
use interplay::catalogue::Item;
use interplay::eval::{Eager, Runner, for_each_logits, input, log_sum_exp, perplexity, windows};
use interplay::load::{self, Gguf, Model, SafeTensors, text};
use libtest_mimic::{Failed, Trial};

use crate::oracles::{case, case_with_fetched};

/// The largest difference of logits that is allowed: float32 noise is 2e-5, a wrong epsilon 1e-3.
pub const LOGITS: f32 = 1e-4;
/// The same for hidden states, as a fraction of the largest magnitude.
pub const HIDDEN: f32 = 1e-4;

/// Every case of this file.
pub fn cases() -> Vec<Trial> {
    vec![
        case("goldens::opt_pre_ln", "data/checkpoints/opt-pre-ln", language_model),
        case("goldens::llama_sharded", "data/checkpoints/llama-mha-untied-sharded", language_model),
        case("goldens::vit", "data/checkpoints/vit", image_classifier),
        case("goldens::tokenizer_opt", "data/checkpoints/opt-pre-ln", tokenizer),
        case("goldens::tokenizer_llama", "data/checkpoints/llama-mha-untied-sharded", tokenizer),
        case_with_fetched("goldens::smollm2_rows", "data/smollm2", "smollm2", smollm2_rows),
        case_with_fetched("goldens::smollm2_tokenizer", "data/smollm2", "smollm2", smollm2_tokenizer),
        case_with_fetched("goldens::smollm2_windows", "data/smollm2", "smollm2", smollm2_windows),
        case_with_fetched("goldens::smollm2_perplexity", "data/smollm2", "smollm2", smollm2_perplexity),
    ]
}

/// The largest difference as a fraction of the largest magnitude of `want`, and itself.
pub fn difference(got: &[f32], want: &[f32]) -> (f32, f32) {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(0f32, |m, x| m.max(x.abs()));
    let gap = got.iter().zip(want).fold(0f32, |m, (g, w)| m.max((g - w).abs()));
    assert!(got.iter().all(|x| x.is_finite()));
    (gap / largest, gap)
}

pub fn within(what: &str, given: f32, allowed: f32) -> Result<(), Failed> {
    // A NaN is not within anything.
    if given <= allowed { Ok(()) } else { Err(format!("{what}: difference {given:e}, at most {allowed:e}").into()) }
}

/// The input of the first block and the output of each, `[L + 1][B * T * D]`.
fn hidden_states(model: &Model, input: &Activation) -> Result<Vec<Vec<f32>>, Failed> {
    let mut runner = Eager::new(&*model.checkpoint);
    let mut activation = input.clone();
    let mut states = Vec::new();
    for stage in 0..model.checkpoint.stages() - 1 {
        runner.enter(stage)?;
        activation = runner.forward(activation)?;
        let Activation::Sequence(tensor) = &activation else { return Err("a block gave no sequence".into()) };
        states.push(tensor.clone().into_data().try_to_vec::<f32>().map_err(|e| format!("{e:?}"))?);
    }
    Ok(states)
}

pub fn all_logits(model: &Model, input: &Activation) -> Result<Vec<f32>, Failed> {
    let mut logits = Vec::new();
    let mut runner = Eager::new(&*model.checkpoint);
    for_each_logits(&mut runner, std::slice::from_ref(input), |_, _, row| logits.extend_from_slice(row))?;
    Ok(logits)
}

fn check_stages(model: &Model, golden: &SafeTensors, input: &Activation) -> Result<(), Failed> {
    let states = hidden_states(model, input)?;
    let want = golden.floats("hidden_states")?;
    assert_eq!(states.len() * states[0].len(), want.len());
    for (layer, (got, want)) in states.iter().zip(want.chunks_exact(states[0].len())).enumerate() {
        within(&format!("hidden state {layer}"), difference(got, want).0, HIDDEN)?;
    }
    within("logits", difference(&all_logits(model, input)?, &golden.floats("logits")?).1, LOGITS)
}

fn language_model(folder: &Path) -> Result<(), Failed> {
    let model = load::open(folder)?;
    let golden = SafeTensors::open(&folder.join("golden.safetensors"))?;
    let length = golden.shape("input_ids")?[1];
    let input = input::tokens(&*model.checkpoint, &golden.integers("input_ids")?, length)?;
    check_stages(&model, &golden, &input)
}

fn image_classifier(folder: &Path) -> Result<(), Failed> {
    let model = load::open(folder)?;
    let golden = SafeTensors::open(&folder.join("golden.safetensors"))?;
    let input = input::images(&*model.checkpoint, &golden.floats("pixel_values")?)?;
    check_stages(&model, &golden, &input)
}

fn json(path: &Path) -> Result<serde_json::Value, Failed> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn ids_of(value: &serde_json::Value) -> Result<Vec<u32>, Failed> {
    Ok(serde_json::from_value(value.clone())?)
}

fn tokenizer(folder: &Path) -> Result<(), Failed> {
    let tokenizer = load::open(folder)?.tokenizer.ok_or("no tokenizer")?;
    let cases = json(&folder.join("tokenization.json"))?;
    let cases = cases.as_array().ok_or("not a list of cases")?;
    assert!(cases.len() > 2);
    for case in cases {
        let text = case["text"].as_str().ok_or("no text")?;
        assert_eq!(tokenizer.encode(text, false)?, ids_of(&case["ids"])?, "{text}");
        assert_eq!(tokenizer.encode(text, true)?, ids_of(&case["ids_with_special"])?, "{text}");
        assert_eq!(tokenizer.decode(&ids_of(&case["ids"])?)?, case["decoded"].as_str().ok_or("no decoded")?);
    }
    Ok(())
}

fn smollm2_rows(folder: &Path, model: &Path) -> Result<(), Failed> {
    Item::by_name("smollm2")?.check(&std::fs::read(model)?, model)?;
    let (golden, file) = (SafeTensors::open(&folder.join("golden.safetensors"))?, Gguf::open(model)?);
    let names: Vec<_> = golden.names().filter_map(|name| name.strip_prefix("dequantised_rows.")).collect();
    assert_eq!(names.len(), 3);
    for name in names {
        let want = golden.floats(&format!("dequantised_rows.{name}"))?;
        let (got, _) = file.dequantised(name)?;
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&got[..want.len()]), bits(&want), "{name}");
    }
    Ok(())
}

fn smollm2_tokenizer(folder: &Path, model: &Path) -> Result<(), Failed> {
    let tokenizer = load::open(model)?.tokenizer.ok_or("no tokenizer")?;
    let cases = json(&folder.join("tokenization.json"))?;
    assert_eq!(tokenizer.encode(cases["text"].as_str().ok_or("no text")?, true)?, ids_of(&cases["ids"])?);
    let probes = cases["probes"].as_array().ok_or("no probes")?;
    assert!(!probes.is_empty());
    for probe in probes {
        let text = probe["text"].as_str().ok_or("no text")?;
        assert_eq!(tokenizer.encode(text, true)?, ids_of(&probe["ids"])?, "{text}");
    }
    Ok(())
}

/// Logits, losses and residual streams of two windows of 128 tokens.
fn smollm2_windows(folder: &Path, model: &Path) -> Result<(), Failed> {
    let (golden, model) = (SafeTensors::open(&folder.join("golden.safetensors"))?, load::open(model)?);
    let input = input::tokens(&*model.checkpoint, &golden.integers("window_ids")?, 128)?;
    let (top, want) = (golden.integers("topk_ids")?, golden.floats("topk_logits")?);
    let (total, mut worst) = (golden.floats("logsumexp")?, 0f32);
    let mut runner = Eager::new(&*model.checkpoint);
    for_each_logits(&mut runner, std::slice::from_ref(&input), |_, row, logits| {
        let range = row * 64..(row + 1) * 64;
        let got: Vec<f32> = top[range.clone()].iter().map(|&id| logits[id as usize]).collect();
        worst = worst.max(difference(&got, &want[range]).1);
        worst = worst.max((log_sum_exp(logits) as f32 - total[row]).abs());
    })?;
    within("top logits and their normaliser", worst, LOGITS)?;

    let (states, positions) = (hidden_states(&model, &input)?, golden.integers("hidden_positions")?);
    let want = golden.floats("hidden")?;
    let (width, stages) = (576, states.len());
    assert_eq!(want.len(), 2 * stages * positions.len() * width);
    for (at, want) in want.chunks_exact(width).enumerate() {
        let (window, stage, position) =
            (at / positions.len() / stages, at / positions.len() % stages, at % positions.len());
        let start = (window * 128 + positions[position] as usize) * width;
        let (relative, _) = difference(&states[stage][start..start + width], want);
        within(&format!("window {window}, stage {stage}, position {}", positions[position]), relative, HIDDEN)?;
    }
    Ok(())
}

/// The perplexity of eight windows of 512 tokens, and each token's loss.
fn smollm2_perplexity(folder: &Path, model: &Path) -> Result<(), Failed> {
    let (golden, model) = (SafeTensors::open(&folder.join("golden.safetensors"))?, load::open(model)?);
    let ids: Vec<u32> = golden.integers("ppl_ids")?.iter().map(|&id| id as u32).collect();
    if let Ok(wiki) = interplay::catalogue::locate("wiki") {
        let text = text::clean_wiki(&text::read(&wiki)?)?;
        let encoded = model.tokenizer.as_ref().ok_or("no tokenizer")?.encode(&text, true)?;
        assert_eq!(encoded.len(), 388_941);
        assert_eq!(encoded[..ids.len()], ids);
    }
    let result = perplexity(&mut Eager::new(&*model.checkpoint), &windows(&ids, 512, 8)?)?;
    let want = golden.floats("ppl_nll")?;
    let got: Vec<f32> = result.token_nll.iter().map(|&nll| nll as f32).collect();
    within("losses", difference(&got, &want).1, 2.0 * LOGITS)?;
    let relative = (result.value() / 21.135_552_081_905_363 - 1.0).abs();
    within("perplexity", relative as f32, 2e-5)
}
