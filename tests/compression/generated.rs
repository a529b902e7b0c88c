//! Small models with generated weights, one an architecture.

use std::path::Path;
use std::sync::Arc;

use interplay::Error;
use interplay::load::hf;
use interplay::models::{Checkpoint, Weights};
use libtest_mimic::Failed;

/// The sizes that the LLaMA family shares.
macro_rules! llama {
    ($rest:literal) => {
        concat!(
            r#"{"vocab_size":40,"hidden_size":32,"intermediate_size":64,"num_hidden_layers":2,"num_attention_heads":4,"#,
            r#""max_position_embeddings":16,"#,
            $rest
        )
    };
}

pub const LLAMA: &str = llama!(r#""model_type":"llama"}"#);

/// Every architecture of which it is known what feeds what.
pub const DECODERS: [(&str, &str); 6] = [
    ("llama", LLAMA),
    ("llama_grouped", llama!(r#""model_type":"llama","num_key_value_heads":2}"#)),
    ("mistral", llama!(r#""model_type":"mistral","num_key_value_heads":2,"sliding_window":3}"#)),
    ("qwen2", llama!(r#""model_type":"qwen2","num_key_value_heads":2,"tie_word_embeddings":true}"#)),
    ("gpt2", r#"{"model_type":"gpt2","vocab_size":40,"n_embd":32,"n_layer":2,"n_head":4,"n_positions":16}"#),
    (
        "opt",
        r#"{"model_type":"opt","vocab_size":40,"hidden_size":32,"num_hidden_layers":2,"num_attention_heads":4,
        "ffn_dim":64,"max_position_embeddings":16,"word_embed_proj_dim":32}"#,
    ),
];

/// Its norms stand behind the branches and feed nothing alone.
pub const POST_NORM: &str = r#"{"model_type":"opt","vocab_size":40,"hidden_size":32,"num_hidden_layers":2,
    "num_attention_heads":4,"ffn_dim":64,"max_position_embeddings":16,"do_layer_norm_before":false,"word_embed_proj_dim":32}"#;

/// No language model.
pub const BERT: &str = r#"{"model_type":"bert","vocab_size":40,"hidden_size":32,"num_hidden_layers":2,
    "num_attention_heads":4,"intermediate_size":64,"max_position_embeddings":16}"#;

/// Weights that follow from their names; gains of norms are about 1, `dead` of them 0.
struct Generated {
    dead: usize,
}

impl Weights for Generated {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let seed = name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let count = shape.iter().product();
        let norm = ["norm.weight", "ln_1.weight", "ln_2.weight", "ln_f.weight"].iter().any(|end| name.ends_with(end));
        let gain = |(i, v): (usize, f32)| if i < self.dead { 0.0 } else { 1.0 + v / 2.0 };
        let values = random(count, seed).into_iter();
        Ok(if norm { values.enumerate().map(gain).collect() } else { values.map(|v| v / 4.0).collect() })
    }

    fn has(&self, name: &str) -> bool {
        !name.starts_with("model.")
    }
}

pub fn model(config: &str) -> Result<Arc<dyn Checkpoint>, Failed> {
    with_dead(config, 0)
}

/// The model whose norms give `dead` zeros.
pub fn with_dead(config: &str, dead: usize) -> Result<Arc<dyn Checkpoint>, Failed> {
    Ok(hf::checkpoint(Path::new("generated/config.json"), config, Arc::new(Generated { dead }))?)
}

/// Token ids that do not repeat each other's order.
pub fn ids(count: usize, vocabulary: i64, seed: i64) -> Vec<i64> {
    random(count, seed as u64).into_iter().map(|v| ((v + 1.0) / 2.0 * vocabulary as f32) as i64 % vocabulary).collect()
}

/// Reproducible values in about -1..1.
fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count).map(|_| (next() >> 40) as f32 / 8_388_608.0 - 1.0).collect()
}
