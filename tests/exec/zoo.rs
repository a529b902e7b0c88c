//! Every architecture and variant of the zoo with generated weights: with the hook off, a session gives the bits of eager Burn.

use std::path::Path;
use std::sync::Arc;

use interplay::Error;
use interplay::burn::Activation;
use interplay::eval::{Eager, Runner, for_each_logits};
use interplay::load::hf;
use interplay::models::{Checkpoint, Input, Weights};
use interplay::plan::Plan;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::host::burns;
use super::modules::{tensor, values};

pub fn cases() -> Vec<Trial> {
    let mut cases = vec![
        Trial::test("exec::zoo_names_layers_as_the_contract_does", names),
        Trial::test("exec::zoo_presets_leave_heads_alone", presets),
    ];
    cases.extend(ZOO.iter().map(|(name, config)| {
        Trial::test(format!("exec::zoo_in_fp32_equals_eager_{name}"), || equals_eager(&open(config)?))
    }));
    cases
}

/// The sizes that the LLaMA family shares.
macro_rules! llama {
    ($rest:literal) => {
        concat!(
            r#"{"vocab_size":40,"hidden_size":32,"intermediate_size":48,"num_hidden_layers":2,"num_attention_heads":4,"#,
            r#""num_key_value_heads":2,"max_position_embeddings":16,"#,
            $rest
        )
    };
}

/// One configuration a variant.
pub const ZOO: [(&str, &str); 8] = [
    ("bert", BERT),
    ("gpt2", GPT2),
    ("llama", llama!(r#""model_type":"llama"}"#)),
    (
        "llama3",
        llama!(
            r#""model_type":"llama","tie_word_embeddings":true,"rope_scaling":{"rope_type":"llama3","factor":8,
            "low_freq_factor":1,"high_freq_factor":4,"original_max_position_embeddings":8}}"#
        ),
    ),
    ("mistral", llama!(r#""model_type":"mistral","sliding_window":3}"#)),
    ("qwen2", llama!(r#""model_type":"qwen2","tie_word_embeddings":true}"#)),
    ("opt_350m", OPT_350M),
    (
        "vit",
        r#"{"model_type":"vit","hidden_size":32,"num_hidden_layers":1,"num_attention_heads":4,"intermediate_size":64,
        "image_size":8,"patch_size":4,"num_channels":1}"#,
    ),
];

const BERT: &str = r#"{"model_type":"bert","vocab_size":40,"hidden_size":32,"num_hidden_layers":2,"num_attention_heads":4,
    "intermediate_size":64,"max_position_embeddings":16}"#;

const GPT2: &str = r#"{"model_type":"gpt2","vocab_size":40,"n_embd":32,"n_layer":2,"n_head":4,"n_positions":16}"#;

const OPT_350M: &str = r#"{"model_type":"opt","vocab_size":40,"hidden_size":32,"num_hidden_layers":2,"num_attention_heads":4,
    "ffn_dim":64,"max_position_embeddings":16,"do_layer_norm_before":false,"word_embed_proj_dim":16}"#;

/// Weights that follow from their names.
pub struct Generated;

impl Weights for Generated {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let seed = name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        Ok(values(shape.iter().product(), seed).into_iter().map(|v| v / 4.0).collect())
    }

    fn has(&self, name: &str) -> bool {
        !name.starts_with("model.")
    }
}

pub fn open(config: &str) -> Result<Arc<dyn Checkpoint>, Failed> {
    Ok(hf::checkpoint(Path::new("generated/config.json"), config, Arc::new(Generated))?)
}

/// The bits of all logits.
pub fn logits(runner: &mut dyn Runner, input: Activation) -> Result<Vec<u32>, Failed> {
    let mut bits = Vec::new();
    for_each_logits(runner, &[input], |_, _, row| bits.extend(row.iter().map(|v| v.to_bits())))?;
    Ok(bits)
}

/// Two sequences of `length`, or two images, of whatever the model takes.
pub fn example(checkpoint: &dyn Checkpoint, length: usize) -> Activation {
    let ids: Vec<i64> = (0..2 * length as i64).map(|i| i * 7 % 40).collect();
    match checkpoint.input() {
        Input::Tokens { .. } => Activation::ids(&ids, length),
        Input::Text { .. } => Activation::text(&ids, &ids.iter().map(|id| id % 2).collect::<Vec<_>>(), length),
        Input::Images { channels, height, width } => Activation::Images(tensor([2, channels, height, width], 2)),
    }
}

fn equals_eager(checkpoint: &Arc<dyn Checkpoint>) -> Result<(), Failed> {
    let mut off = Session::on(burns(), checkpoint.clone(), Plan::fp32())?;
    let mut fp32 = Session::on(burns(), checkpoint.clone(), Plan::from_toml("preset = \"all\"")?)?;
    for length in [5, 9] {
        let input = example(&**checkpoint, length);
        let eager = logits(&mut Eager::new(&**checkpoint), input.clone())?;
        assert!(eager.iter().all(|bits| f32::from_bits(*bits).is_finite()) && !eager.is_empty());
        assert_eq!(logits(&mut off, input.clone())?, eager);
        assert_eq!(logits(&mut fp32, input)?, eager);
    }
    Ok(())
}

/// `path.name` for each of `names`.
fn under(path: &str, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("{path}.{name}")).collect()
}

/// `{path}.{block}` for two blocks and the layers in each.
fn blocks(path: &str, layers: &[String]) -> Vec<String> {
    (0..2).flat_map(|i| layers.iter().map(move |layer| format!("{path}.{i}.{layer}"))).collect()
}

fn names() -> Result<(), Failed> {
    let check = |config: &str, expected: &[Vec<String>]| -> Result<(), Failed> {
        assert_eq!(Session::new(open(config)?, Plan::fp32())?.layer_names(), expected.concat());
        Ok(())
    };
    let head = vec!["lm_head".to_owned()];
    let layers = [under("attn", &["c_attn", "qk", "pv", "c_proj"]), under("mlp", &["c_fc", "c_proj"])].concat();
    check(GPT2, &[blocks("h", &layers), head.clone()])?;
    let layers = [
        under("attention.self", &["query", "key", "value", "qk", "pv"]),
        ["attention.output.dense", "intermediate.dense", "output.dense"].map(str::to_owned).to_vec(),
    ];
    check(BERT, &[blocks("encoder.layer", &layers.concat())])?;
    let layers = [
        under("self_attn", &["q_proj", "k_proj", "v_proj", "qk", "pv", "out_proj"]),
        ["fc1", "fc2"].map(str::to_owned).to_vec(),
    ];
    let [before, after] = ["project_in", "project_out"].map(|name| under("decoder", &[name]));
    check(OPT_350M, &[before, blocks("decoder.layers", &layers.concat()), after, head])
}

/// The published choice is the linear layers of the blocks, whatever the architecture calls them.
fn presets() -> Result<(), Failed> {
    for (name, config) in ZOO.iter().filter(|(name, _)| *name != "vit") {
        let mut session = Session::new(open(config)?, Plan::from_toml("format = \"int8\"")?)?;
        let placed = session.placements()?.into_iter().filter(|p| p.footprint.is_some());
        let placed: Vec<_> = placed.map(|p| p.layer).collect();
        let each = match *name {
            "gpt2" => 4,
            "bert" | "opt_350m" => 6,
            _ => 7,
        };
        assert_eq!(placed.len(), 2 * each, "{name}: {placed:?}");
        assert!(placed.iter().all(|layer| layer.contains(".0.") || layer.contains(".1.")), "{name}: {placed:?}");
    }
    Ok(())
}
