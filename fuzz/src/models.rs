//! The configurations that are files of their own, included as they are; beside them stands what they ask of files that name Burn.

#![allow(dead_code)]

use arbitrary::{Result, Unstructured};

#[path = "../../src/models/opt/config.rs"]
mod opt;

#[path = "../../src/models/llama/config.rs"]
mod llama;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Pairs {
    #[default]
    Halves,
    Adjacent,
}

enum Scaling {
    None,
    Linear { factor: f64 },
    Llama3 { factor: f64, low: f64, high: f64, context: f64 },
}

mod parts {
    pub fn wrong_epsilon(_: &str, value: f64) -> Option<String> {
        (value <= 0.0 || !value.is_finite()).then(String::new)
    }
}

struct Rotary;

impl Rotary {
    fn new(_: Pairs, _: usize, _: f64, _: Scaling) -> Self {
        Self
    }

    fn divided(self, _: &[f32]) -> Self {
        self
    }
}

/// Reads a configuration, and asks what holds of every one that is let in.
pub fn read_config(text: &[u8]) {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(text) else { return };
    if let Ok(config) = llama::LlamaConfig::parse(value.clone())
        && config.check().is_ok()
    {
        assert!(
            config.num_attention_heads * config.head_dim() > 0 && config.num_attention_heads % config.kv_heads() == 0
        );
        assert!(config.rotary().is_ok());
    }
    if let Ok(config) = serde_json::from_value::<opt::OptConfig>(value)
        && config.check().is_ok()
    {
        assert!(config.embedding() > 0);
        config.is_projected();
    }
}

const KEYS: [&str; 18] = [
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "max_position_embeddings",
    "rms_norm_eps",
    "rope_theta",
    "sliding_window",
    "use_sliding_window",
    "ffn_dim",
    "word_embed_proj_dim",
    "hidden_act",
    "activation_function",
    "do_layer_norm_before",
    "tie_word_embeddings",
];
const VALUES: [&str; 20] = [
    "0",
    "1",
    "2",
    "3",
    "4",
    "8",
    "64",
    "-1",
    "4294967296",
    "18446744073709551615",
    "1e-5",
    "1e308",
    "0.5",
    "null",
    "true",
    "false",
    "\"silu\"",
    "\"relu\"",
    "[1, 2]",
    "{}",
];
const SCALING: [&str; 6] =
    ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings", "rope_theta", "a"];

pub fn any_config(u: &mut Unstructured) -> Result<Vec<u8>> {
    let kind = *u.choose(&["llama", "mistral", "qwen2", "opt"])?;
    let mut fields = vec![format!(r#""model_type":"{kind}""#)];
    for _ in 0..u.int_in_range(0..=10)? {
        fields.push(format!(r#""{}":{}"#, u.choose(&KEYS)?, u.choose(&VALUES)?));
    }
    if u.arbitrary()? {
        let mut scaling = vec![format!(r#""rope_type":"{}""#, u.choose(&["default", "linear", "llama3", "yarn"])?)];
        for _ in 0..u.int_in_range(0..=5)? {
            scaling.push(format!(r#""{}":{}"#, u.choose(&SCALING)?, u.choose(&VALUES)?));
        }
        fields.push(format!(r#""rope_scaling":{{{}}}"#, scaling.join(",")));
    }
    Ok(format!("{{{}}}", fields.join(",")).into_bytes())
}
