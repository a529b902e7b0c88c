//! Configurations and folders that do not fit the text architectures.

use std::fs;
use std::path::Path;

use interplay::eval::input;
use interplay::load;
use interplay::models::Checkpoint;
use libtest_mimic::{Failed, Trial};
use tempfile::TempDir;

use super::container::{message, says};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("bad_input::checkpoints_of_another_model", other_models),
        Trial::test("bad_input::variants_that_are_not_computed", variants),
        Trial::test("bad_input::sentence_modules", modules),
        Trial::test("bad_input::texts_with_segments", segments),
    ]
}

/// A BERT of one block.
const BERT: &str = r#"{"model_type":"bert","vocab_size":8,"hidden_size":4,"num_hidden_layers":1,"num_attention_heads":2,
    "intermediate_size":8,"max_position_embeddings":6}"#;

/// A copy of the committed checkpoint `name` whose configuration has `to` instead of `from`.
fn copy(name: &str, from: &str, to: &str) -> Result<TempDir, Failed> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo").join(name);
    let folder = tempfile::tempdir()?;
    fs::copy(place.join("model.safetensors"), folder.path().join("model.safetensors"))?;
    let config = fs::read_to_string(place.join("config.json"))?;
    assert!(config.contains(from), "{name} has no {from}");
    fs::write(folder.path().join("config.json"), config.replacen(from, to, 1))?;
    Ok(folder)
}

fn build_all(checkpoint: &dyn Checkpoint) -> Result<(), interplay::Error> {
    (0..checkpoint.stages()).try_for_each(|stage| checkpoint.stage(stage).map(drop))
}

fn other_models() -> Result<(), Failed> {
    let cases: [(&str, &str, &str, &[&str]); 7] = [
        ("llama3-gqa", "_layers\": 2", "_layers\": 1", &["config.json", "`model.layers.1.", "does not use", "blocks"]),
        ("llama3-gqa", "_layers\": 2", "_layers\": 3", &["no tensor `model.layers.2.", "nearest"]),
        ("qwen2", "\"qwen2\"", "\"llama\"", &["`model.layers.0.self_attn.k_proj.bias`", "does not use", "biases"]),
        ("llama3-gqa", "\"llama\"", "\"qwen2\"", &["no tensor `model.layers.0.self_attn.q_proj.bias`"]),
        ("opt-post-ln", "_before\": false", "_before\": true", &["no tensor `decoder.final_layer_norm.weight`"]),
        ("opt-post-ln", "_dim\": 16", "_dim\": 32", &["embed_tokens.weight", "[96, 16]", "[96, 32]"]),
        ("mistral", "key_value_heads\": 2", "key_value_heads\": 4", &["k_proj.weight", "[16, 32]", "[32, 32]"]),
    ];
    for (name, from, to, parts) in cases {
        let folder = copy(name, from, to)?;
        let model = load::open(folder.path())?;
        says(&message(build_all(&*model.checkpoint))?, parts)?;
        // Asking again does not make it right.
        says(&message(build_all(&*model.checkpoint))?, parts)?;
    }
    let same = copy("mistral", "mistral", "mistral")?;
    let model = load::open(same.path())?;
    build_all(&*model.checkpoint)?;
    Ok(build_all(&*model.checkpoint)?)
}

fn variants() -> Result<(), Failed> {
    let gpt2 = |key: &str| format!("{{\"model_type\":\"gpt2\",{key}}}");
    let bert = |key: &str| format!("{{\"model_type\":\"bert\",{key}}}");
    let most = u64::MAX;
    let huge = format!(r#"{{"model_type":"llama","num_attention_heads":{},"head_dim":{}}}"#, 1u64 << 40, 1u64 << 40);
    let cases: [(String, &[&str]); 16] = [
        (bert(r#""layer_norm_eps":-1"#), &["layer_norm_eps -1", "above 0"]),
        (gpt2(r#""layer_norm_epsilon":0"#), &["layer_norm_epsilon 0", "above 0"]),
        (r#"{"model_type":"vit","layer_norm_eps":-1e-5}"#.into(), &["layer_norm_eps -0.00001", "above 0"]),
        (r#"{"model_type":"llama","rms_norm_eps":-1}"#.into(), &["rms_norm_eps -1", "above 0"]),
        (r#"{"model_type":"llama","rope_theta":0}"#.into(), &["rope_theta 0", "above 0"]),
        (huge, &["1099511627776 heads", "more than memory can hold"]),
        (gpt2(r#""activation_function":"relu""#), &["GPT-2", "`relu`", "gelu_new"]),
        (gpt2(r#""n_head":0"#), &["n_embd 768", "n_head 0"]),
        (gpt2(r#""n_positions":0"#), &["n_positions", "at least 1"]),
        (gpt2(r#""tie_word_embeddings":false"#), &["only a tied head"]),
        (gpt2(r#""scale_attn_by_inverse_layer_idx":true"#), &["other scalings are not supported"]),
        (bert(r#""hidden_act":"relu""#), &["BERT", "`relu`", "gelu"]),
        (bert(r#""position_embedding_type":"relative_key""#), &["`relative_key`", "absolute"]),
        (bert(r#""is_decoder":true"#), &["only an encoder"]),
        (bert(r#""num_attention_heads":7"#), &["hidden_size 768 is not a multiple"]),
        (bert(r#""type_vocab_size":0"#), &["type_vocab_size", "at least 1"]),
    ];
    let folder = copy("mistral", "mistral", "mistral")?;
    for (config, parts) in cases {
        fs::write(folder.path().join("config.json"), config)?;
        says(&message(load::open(folder.path()))?, parts)?;
    }
    // Sizes that no checkpoint has are seen when its first tensor is looked up.
    for config in [
        gpt2(&format!(r#""n_layer":{most},"n_embd":{most},"n_head":1"#)),
        bert(&format!(r#""num_hidden_layers":{most},"vocab_size":{most}"#)),
        format!(r#"{{"model_type":"opt","num_hidden_layers":{most},"max_position_embeddings":{most}}}"#),
        format!(r#"{{"model_type":"qwen2","num_hidden_layers":{most},"vocab_size":{most}}}"#),
    ] {
        fs::write(folder.path().join("config.json"), config)?;
        message(build_all(&*load::open(folder.path())?.checkpoint))?;
    }
    Ok(())
}

fn modules() -> Result<(), Failed> {
    let folder = copy("mistral", "mistral", "mistral")?;
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
    write("config.json", BERT)?;
    load::open(folder.path())?;
    fs::create_dir(folder.path().join("1_Pooling"))?;
    let pooling =
        |path: &str| format!(r#"[{{"type":"a.Transformer","path":""}},{{"type":"a.Pooling","path":"{path}"}}]"#);
    let cases: [(&str, &str, &[&str]); 7] = [
        ("nonsense", "{}", &["modules.json", "not JSON"]),
        ("{}", "{}", &["modules.json", "not a list"]),
        (r#"[{"type":"a.Dense","path":"2_Dense"}]"#, "{}", &["`a.Dense`", "only Transformer, Pooling and Normalize"]),
        (&pooling("../1_Pooling"), "{}", &["`../1_Pooling`", "not the name of a folder in this folder"]),
        (&pooling("absent"), "{}", &["absent"]),
        (&pooling("1_Pooling"), "{}", &["1_Pooling", "[]", "exactly one"]),
        (
            &pooling("1_Pooling"),
            r#"{"pooling_mode_mean_tokens":true,"pooling_mode_max_tokens":true}"#,
            &["pooling_mode_max_tokens", "exactly one", "pooling_mode_cls_token"],
        ),
    ];
    for (modules, config, parts) in cases {
        write("modules.json", modules)?;
        write("1_Pooling/config.json", config)?;
        says(&message(load::open(folder.path()))?, parts)?;
    }
    write("1_Pooling/config.json", r#"{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":false}"#)?;
    Ok(load::open(folder.path()).map(drop)?)
}

fn segments() -> Result<(), Failed> {
    let folder = copy("mistral", "mistral", "mistral")?;
    let llama = load::open(folder.path())?;
    fs::write(folder.path().join("config.json"), BERT)?;
    let bert = load::open(folder.path())?;
    let (llama, bert) = (&*llama.checkpoint, &*bert.checkpoint);
    assert_eq!(input::text(bert, &[0, 7, 3, 1], &[0, 1, 0, 0], 2)?.shape(), [2, 2, 2]);
    says(&message(input::text(bert, &[0, 8], &[0, 0], 2))?, &["token id 8", "position 1", "0 to 7"])?;
    says(&message(input::text(bert, &[0, 1], &[0, 2], 2))?, &["segment 2", "position 1", "0 to 1"])?;
    says(&message(input::text(bert, &[0, 1], &[0], 2))?, &["1 segments for 2 token ids"])?;
    says(&message(input::text(bert, &[0; 7], &[0; 7], 7))?, &["7 tokens", "1 to 6"])?;
    says(&message(input::text(bert, &[], &[], 0))?, &["0 tokens", "1 to 6"])?;
    says(&message(input::tokens(bert, &[0], 1))?, &["bert", "token ids with segments"])?;
    says(&message(input::text(llama, &[0], &[0], 1))?, &["mistral", "token ids"])
}
