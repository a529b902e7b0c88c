//! Real checkpoints against what PyTorch computes from them in `f32`.

use std::path::Path;
use std::sync::Arc;

use interplay::burn::Activation;
use interplay::catalogue::Item;
use interplay::eval::{Runner, embeddings, for_each_logits, input, log_sum_exp, perplexity, windows};
use interplay::load::hf::Tensors;
use interplay::load::{self, Gguf, Model, SafeTensors, Tokenizer, text};
use interplay::models::Pooling;
use interplay::models::bert::BertCheckpoint;
use interplay::plan::Plan;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use crate::oracles::{case, case_with_fetched};

/// The largest difference of logits that is allowed: float32 noise is 2e-5, a wrong epsilon 1e-3.
pub const LOGITS: f32 = 1e-4;
/// The same for hidden states, as a fraction of the largest magnitude.
pub const HIDDEN: f32 = 1e-4;

/// Every case of this file.
pub fn cases() -> Vec<Trial> {
    let committed = COMMITTED.map(|name| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo").join(name);
        Trial::test(format!("goldens::{}", name.replace('-', "_")), move || language_model(&folder))
    });
    let mut cases = oracles();
    cases.extend(committed);
    cases
}

/// The checkpoints that are committed with their goldens, see `tests/data/zoo/README.md`.
pub const COMMITTED: [&str; 6] = ["llama-biased-bin", "llama-linear", "llama3-gqa", "mistral", "opt-post-ln", "qwen2"];

fn oracles() -> Vec<Trial> {
    vec![
        case("goldens::opt_pre_ln", "data/checkpoints/opt-pre-ln", language_model),
        case("goldens::llama_sharded", "data/checkpoints/llama-mha-untied-sharded", language_model),
        case("goldens::gpt2", "data/checkpoints/gpt2", language_model),
        case("goldens::bert", "data/checkpoints/bert-encoder", encoder),
        case("goldens::bert_embeddings", "data/checkpoints/bert-encoder", embedding),
        case("goldens::vit", "data/checkpoints/vit", image_classifier),
        case("goldens::tokenizer_opt", "data/checkpoints/opt-pre-ln", tokenizer),
        case("goldens::tokenizer_llama", "data/checkpoints/llama-mha-untied-sharded", tokenizer),
        case("goldens::tokenizer_gpt2", "data/checkpoints/gpt2", tokenizer),
        case("goldens::tokenizer_bert", "data/checkpoints/bert-encoder", tokenizer),
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

/// The model on the fixed host, dense and in FP32.
pub fn session(model: &Model) -> Result<Session, Failed> {
    Ok(Session::new(Arc::clone(&model.checkpoint), Plan::fp32())?)
}

pub fn within(what: &str, given: f32, allowed: f32) -> Result<(), Failed> {
    // A NaN is not within anything.
    if given <= allowed { Ok(()) } else { Err(format!("{what}: difference {given:e}, at most {allowed:e}").into()) }
}

/// The input of the first block and the output of each, `[L + 1][B * T * D]`.
fn hidden_states(model: &Model, input: &Activation) -> Result<Vec<Vec<f32>>, Failed> {
    let mut runner = session(model)?;
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
    let mut runner = session(model)?;
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

/// The positions whose mask is 1 of each text, run at its own length: what masked attention gives for the padded batch.
fn encoder(folder: &Path) -> Result<(), Failed> {
    let golden = SafeTensors::open(&folder.join("golden.safetensors"))?;
    let [texts, length] = *golden.shape("input_ids")? else { return Err("input_ids are not [2, T]".into()) };
    let (ids, segments) = (golden.integers("input_ids")?, golden.integers("token_type_ids")?);
    let (mask, states) = (golden.integers("attention_mask")?, golden.floats("hidden_states")?);
    let (last, mean) = (golden.floats("last_hidden_state")?, golden.floats("mean_pooled")?);
    let (normalised, pooler) = (golden.floats("mean_pooled_normalised")?, golden.floats("pooler_output")?);
    let width = golden.shape("mean_pooled")?[1];
    let (model, tensors) = (load::open(folder)?, Arc::new(Tensors::open(folder)?));
    for text in 0..texts {
        let start = text * length;
        let kept = mask[start..start + length].iter().filter(|&&kept| kept == 1).count();
        let positions = start..start + kept;
        let input = input::text(&*model.checkpoint, &ids[positions.clone()], &segments[positions], kept)?;
        for (layer, got) in hidden_states(&model, &input)?.iter().enumerate() {
            let at = (layer * texts + text) * length * width;
            let (relative, _) = difference(got, &states[at..at + kept * width]);
            within(&format!("text {text}, hidden state {layer}"), relative, HIDDEN)?;
        }
        let row = text * width..(text + 1) * width;
        within("embedding", difference(&all_logits(&model, &input)?, &normalised[row.clone()]).1, LOGITS)?;
        let first = &last[start * width..(start + 1) * width];
        for (pooling, want) in
            [(Pooling::Mean, &mean[row.clone()]), (Pooling::First, first), (Pooling::Pooler, &pooler[row])]
        {
            let config = serde_json::from_slice(&std::fs::read(folder.join("config.json"))?)?;
            let checkpoint = Arc::new(BertCheckpoint::new(config, pooling, tensors.clone())?);
            let norm = want.iter().map(|x| x * x).sum::<f32>().sqrt();
            let want: Vec<f32> = want.iter().map(|x| x / norm).collect();
            let got = all_logits(&Model { checkpoint, tokenizer: None, files: Vec::new() }, &input)?;
            within(&format!("{pooling:?}"), difference(&got, &want).1, LOGITS)?;
        }
    }
    Ok(())
}

/// A text's vector does not depend on what else is embedded with it.
fn embedding(folder: &Path) -> Result<(), Failed> {
    let model = load::open(folder)?;
    let tokenizer = model.tokenizer.as_ref().ok_or("no tokenizer")?;
    let texts = ["The river rose 3 feet.", "a clock", "a river rose"].map(|text| tokenizer.encode(text, true));
    let texts = texts.into_iter().map(|ids| Ok(ids?.into_iter().map(i64::from).collect()));
    let texts = texts.collect::<Result<Vec<Vec<i64>>, Failed>>()?;
    let together = embeddings(&mut session(&model)?, &texts)?;
    for (text, vector) in texts.iter().zip(&together) {
        let alone = embeddings(&mut session(&model)?, std::slice::from_ref(text))?;
        assert_eq!(alone, std::slice::from_ref(vector));
        // 64 squares of f32, each within one rounding, and the root and quotient before.
        assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 64.0 * f32::EPSILON);
    }
    Ok(())
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
    tokenization(&load::open(folder)?.tokenizer.ok_or("no tokenizer")?, folder)
}

/// The cases of `tokenization.json` in `folder`.
pub fn tokenization(tokenizer: &Tokenizer, folder: &Path) -> Result<(), Failed> {
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
    let mut runner = session(&model)?;
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
    let result = perplexity(&mut session(&model)?, &windows(&ids, 512, 8)?)?;
    let want = golden.floats("ppl_nll")?;
    let got: Vec<f32> = result.token_nll.iter().map(|&nll| nll as f32).collect();
    within("losses", difference(&got, &want).1, 2.0 * LOGITS)?;
    let relative = (result.value() / 21.135_552_081_905_363 - 1.0).abs();
    within("perplexity", relative as f32, 2e-5)
}
