//! Hugging Face folders with something missing or wrong.

use std::fs;
use std::path::Path;

use interplay::eval::{Eager, input, perplexity};
use interplay::load::{self, text};
use interplay::models::Checkpoint;
use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;

use super::container::{message, safetensors, says};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("bad_input::paths", paths),
        Trial::test("bad_input::configurations", configurations),
        Trial::test("bad_input::indices", indices),
        Trial::test("bad_input::tokenizers", tokenizers),
        Trial::test("bad_input::tensors_of_a_folder", tensors_of_a_folder),
        Trial::test("bad_input::inputs", inputs),
        Trial::test("bad_input::texts", texts),
    ]
}

/// A LLaMA of one block, two heads and four tokens; every weight is one of a few small values.
const CONFIG: &str = r#"{"model_type":"llama","vocab_size":4,"hidden_size":4,"intermediate_size":8,"num_hidden_layers":1,
    "num_attention_heads":2,"max_position_embeddings":8,"tie_word_embeddings":true}"#;

/// The tensors of [`CONFIG`], without the prefix `model.`.
const TENSORS: [(&str, &[usize]); 11] = [
    ("embed_tokens.weight", &[4, 4]),
    ("norm.weight", &[4]),
    ("layers.0.input_layernorm.weight", &[4]),
    ("layers.0.post_attention_layernorm.weight", &[4]),
    ("layers.0.self_attn.q_proj.weight", &[4, 4]),
    ("layers.0.self_attn.k_proj.weight", &[4, 4]),
    ("layers.0.self_attn.v_proj.weight", &[4, 4]),
    ("layers.0.self_attn.o_proj.weight", &[4, 4]),
    ("layers.0.mlp.gate_proj.weight", &[8, 4]),
    ("layers.0.mlp.up_proj.weight", &[8, 4]),
    ("layers.0.mlp.down_proj.weight", &[4, 8]),
];

/// The file of [`TENSORS`] after `change` has seen each tensor's name, shape and values; `None` leaves it out.
fn weights(change: impl Fn(&str, &mut Vec<f32>) -> Option<String>) -> Vec<u8> {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (name, shape) in TENSORS {
        let count: usize = shape.iter().product();
        let mut values: Vec<f32> = (0..count).map(|i| (i % 5) as f32 / 4.0 - 0.5).collect();
        let Some(name) = change(name, &mut values) else { continue };
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        header.push(format!(r#""{name}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{}]}}"#, data.len()));
    }
    safetensors(&format!("{{{}}}", header.join(",")), &data)
}

fn untouched(name: &str, _: &mut Vec<f32>) -> Option<String> {
    Some(name.to_owned())
}

/// A folder of `config` and `weights`.
fn folder(config: &str, weights: &[u8]) -> Result<TempDir, Failed> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("config.json"), config)?;
    fs::write(folder.path().join("model.safetensors"), weights)?;
    Ok(folder)
}

fn build_all(checkpoint: &dyn Checkpoint) -> Result<(), interplay::Error> {
    (0..checkpoint.stages()).try_for_each(|stage| checkpoint.stage(stage).map(drop))
}

fn paths() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    says(&message(load::open(&folder.path().join("nowhere")))?, &["nowhere", "no such folder or GGUF file"])?;
    says(&message(load::open(folder.path()))?, &["config.json"])?;
    fs::write(folder.path().join("config.json"), CONFIG)?;
    let none = message(load::open(folder.path()))?;
    says(&none, &["model.safetensors, model.safetensors.index.json, pytorch_model.bin", "fetch"])?;
    fs::write(folder.path().join("pytorch_model.bin"), b"nothing")?;
    says(&message(load::open(folder.path()))?, &["pytorch_model.bin", "neither of the two forms"])?;
    let index = folder.path().join("pytorch_model.bin.index.json");
    fs::write(&index, r#"{"weight_map":{"norm.weight":"pytorch_model-00001-of-00002.bin"}}"#)?;
    says(&message(load::open(folder.path()))?, &["pytorch_model.bin.index.json", "00001-of-00002.bin` is not in the"])?;
    // Biases that the configuration announces and the tensors lack.
    let biased = self::folder(&CONFIG.replacen('{', "{\"mlp_bias\":true,", 1), &weights(untouched))?;
    says(
        &message(build_all(&*load::open(biased.path())?.checkpoint))?,
        &["no tensor `model.layers.0.mlp.gate_proj.bias`"],
    )
}

fn configurations() -> Result<(), Failed> {
    let file = weights(untouched);
    let with = |from: &str, to: &str| CONFIG.replacen(from, to, 1);
    let cases: [(String, &[&str]); 14] = [
        ("{".into(), &["config.json", "not JSON"]),
        ("{}".into(), &["no `model_type`", "bert, deit, gpt2, llama, mistral, opt, qwen2, resnet, vit"]),
        (with("\"llama\"", "\"lama\""), &["`lama` is not known", "nearest is `llama`"]),
        (with("\"vocab_size\":4", "\"vocab_size\":\"four\""), &["wrong type", "four"]),
        (with("\"vocab_size\":4", "\"vocab_size\":-4"), &["wrong type", "-4"]),
        (with("\"num_attention_heads\":2", "\"num_attention_heads\":0"), &["num_attention_heads 0"]),
        (with("\"num_attention_heads\":2", "\"num_attention_heads\":3"), &["hidden_size 4 is not a multiple"]),
        (with("{", "{\"hidden_act\":\"gelu\","), &["hidden_act `gelu`", "silu"]),
        (with("{", "{\"rope_scaling\":{\"rope_type\":\"yarn\"},"), &["`yarn` is not supported", "llama3"]),
        (with("{", "{\"rope_scaling\":{\"rope_type\":\"llama3\"},"), &["`llama3` needs", "`low_freq_factor`"]),
        (with("{", "{\"rope_scaling\":{\"type\":\"linear\",\"factor\":0},"), &["`linear` needs", "`factor`"]),
        (with("{", "{\"rope_scaling\":{},\"rope_parameters\":{},"), &["duplicate field"]),
        (
            with("\"llama\"", "\"qwen2\",\"num_key_value_heads\":2,\"use_sliding_window\":true,\"sliding_window\":2"),
            &["sliding window", "Qwen2", "use_sliding_window false"],
        ),
        (
            with("\"llama\"", "\"mistral\",\"num_key_value_heads\":2,\"sliding_window\":0"),
            &["sliding_window must be at least 1"],
        ),
    ];
    for (config, parts) in cases {
        says(&message(load::open(folder(&config, &file)?.path()))?, parts)?;
    }
    // Sizes that do not fit the tensors are seen when a stage is built, before anything of that size is allocated.
    let huge = folder(&with("\"vocab_size\":4", "\"vocab_size\":4000000000000"), &file)?;
    let model = load::open(huge.path())?;
    says(&message(build_all(&*model.checkpoint))?, &["embed_tokens.weight", "[4, 4]", "4000000000000"])
}

fn indices() -> Result<(), Failed> {
    let folder = folder(CONFIG, &weights(untouched))?;
    let index = |text: &str| fs::write(folder.path().join("model.safetensors.index.json"), text);
    let cases: [(&str, &[&str]); 9] = [
        ("nonsense", &["index.json", "not JSON"]),
        ("{}", &["no `weight_map`"]),
        (r#"{"weight_map":{"a":"../model.safetensors"}}"#, &["`a`", "not the name of a file in this folder"]),
        (r#"{"weight_map":{"a":"absent.safetensors"}}"#, &["index.json", "`absent.safetensors` is not in the folder"]),
        (r#"{"weight_map":{"a":"/model.safetensors"}}"#, &["`a`", "not the name of a file in this folder"]),
        (r#"{"weight_map":{"a":".."}}"#, &["`a`", "not the name of a file in this folder"]),
        (r#"{"weight_map":{"a":7}}"#, &["`a`", "not the name of a file in this folder"]),
        (r#"{"weight_map":[]}"#, &["no `weight_map`"]),
        (r#"{"weight_map":{"absent":"model.safetensors"}}"#, &["does not have tensor `absent`"]),
    ];
    for (text, parts) in cases {
        index(text)?;
        says(&message(load::open(folder.path()))?, parts)?;
    }
    index(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)))?;
    says(&message(load::open(folder.path()))?, &["index.json", "not JSON", "recursion"])?;
    // A shard that a broken download left short, and one tensor in two shards.
    let whole = weights(untouched);
    fs::write(folder.path().join("shard.safetensors"), &whole[..whole.len() - 8])?;
    index(r#"{"weight_map":{"norm.weight":"shard.safetensors"}}"#)?;
    says(&message(load::open(folder.path()))?, &["shard.safetensors", "truncated", "fetch it again"])?;
    fs::write(folder.path().join("shard.safetensors"), &whole)?;
    index(r#"{"weight_map":{"norm.weight":"shard.safetensors","embed_tokens.weight":"model.safetensors"}}"#)?;
    says(&message(load::open(folder.path()))?, &["in two files"])
}

fn tokenizers() -> Result<(), Failed> {
    let folder = folder(CONFIG, &weights(untouched))?;
    for text in ["", "{", "{}", r#"{"version":"1.0","model":{"type":"BPE","vocab":{"a":0},"merges":[["a","b"]]}}"#] {
        fs::write(folder.path().join("tokenizer.json"), text)?;
        says(&message(load::open(folder.path()))?, &["tokenizer.json", "not a tokenizer.json that can be read"])?;
    }
    // One id more than the token embedding has rows.
    let vocabulary = r#"{"version":"1.0","model":{"type":"BPE","vocab":{"a":0,"b":4},"merges":[]}}"#;
    fs::write(folder.path().join("tokenizer.json"), vocabulary)?;
    says(&message(load::open(folder.path()))?, &["ids up to 4", "4 rows", "same model"])?;
    fs::write(folder.path().join("tokenizer.json"), vocabulary.replace('4', "3"))?;
    load::open(folder.path())?;
    Ok(())
}

fn tensors_of_a_folder() -> Result<(), Failed> {
    let build = |weights: Vec<u8>| -> Result<String, Failed> {
        message(build_all(&*load::open(folder(CONFIG, &weights)?.path())?.checkpoint))
    };
    let prefixed = weights(|name, _| Some(format!("model.{name}")));
    for good in [weights(untouched), prefixed] {
        build_all(&*load::open(folder(CONFIG, &good)?.path())?.checkpoint)?;
    }
    let without = |absent: &'static str| weights(move |name, _| (name != absent).then(|| name.to_owned()));
    let text = build(without("layers.0.mlp.up_proj.weight"))?;
    says(&text, &["no tensor `model.layers.0.mlp.up_proj.weight`", "nearest", "proj.weight"])?;
    for (value, spelled) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf")] {
        let text = build(weights(|name, values| {
            if name == "layers.0.self_attn.k_proj.weight" {
                values[6] = value;
            }
            Some(name.to_owned())
        }))?;
        says(&text, &["`layers.0.self_attn.k_proj.weight`", spelled, "row 1, column 2"])?;
    }
    let file = weights(untouched);
    says(&message(load::open(folder(CONFIG, &file[..file.len() - 3])?.path()))?, &["truncated"])
}

fn inputs() -> Result<(), Failed> {
    let folder = folder(CONFIG, &weights(untouched))?;
    let model = load::open(folder.path())?;
    let checkpoint = &*model.checkpoint;
    says(&message(input::tokens(checkpoint, &[0, 1, 4], 3))?, &["token id 4", "position 2", "0 to 3"])?;
    says(&message(input::tokens(checkpoint, &[0, -1], 2))?, &["token id -1"])?;
    says(&message(input::tokens(checkpoint, &[0; 9], 9))?, &["9 tokens", "1 to 8"])?;
    says(&message(input::tokens(checkpoint, &[0; 5], 2))?, &["whole number of sequences"])?;
    says(&message(input::images(checkpoint, &[0.0; 4]))?, &["llama", "token ids, not images"])?;
    says(&message(checkpoint.stage(3))?, &["stage 3", "0 to 2"])?;
    let good = perplexity(&mut Eager::new(checkpoint), &[vec![0, 1, 2, 3], vec![3, 2, 1, 0]])?;
    assert_eq!((good.tokens(), good.window_nll.len()), (6, 2));
    Ok(())
}

fn texts() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let write = |bytes: &[u8]| -> Result<_, Failed> {
        let path = folder.path().join("text");
        fs::write(&path, bytes)?;
        Ok(path)
    };
    says(&message(text::read(Path::new("nowhere.txt")))?, &["nowhere.txt"])?;
    says(&message(text::read(&write(b"ab\xff")?))?, &["byte 2 is not UTF-8"])?;
    says(&message(text::read(&write(b"")?))?, &["the text is empty"])
}
