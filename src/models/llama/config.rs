//! `config.json` of a LLaMA checkpoint.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Pairs;
use crate::Error;

/// The configuration; a key that is left out has the architecture's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LlamaConfig {
    /// Always `llama`.
    pub model_type: String,
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward branch.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; as many as query heads where left out.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; `hidden_size / num_attention_heads` where left out.
    pub head_dim: Option<usize>,
    /// Activation of the gate; only `silu` is supported.
    pub hidden_act: String,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Added to the mean square in the norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Scaling of positions; only none is supported.
    pub rope_scaling: Option<Value>,
    /// Whether the head is the token embedding.
    pub tie_word_embeddings: bool,
    /// Biases in attention; only `false` is supported.
    pub attention_bias: bool,
    /// Biases in the feed-forward; only `false` is supported.
    pub mlp_bias: bool,
    /// Which values of a head rotate together: no key of `config.json`, but a property of the file format.
    #[serde(skip)]
    pub pairs: Pairs,
}

impl Default for LlamaConfig {
    fn default() -> Self {
        Self {
            model_type: "llama".into(),
            vocab_size: 32000,
            hidden_size: 4096,
            intermediate_size: 11008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            hidden_act: "silu".into(),
            max_position_embeddings: 2048,
            rms_norm_eps: 1e-6,
            rope_theta: 10000.0,
            rope_scaling: None,
            tie_word_embeddings: false,
            attention_bias: false,
            mlp_bias: false,
            pairs: Pairs::Halves,
        }
    }
}

impl LlamaConfig {
    /// Key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Refuses what this implementation does not compute.
    ///
    /// # Errors
    /// An unsupported variant, or sizes that cannot be.
    pub fn check(&self) -> Result<(), Error> {
        let (heads, kv_heads) = (self.num_attention_heads, self.kv_heads());
        let sizes = [self.vocab_size, self.hidden_size, self.intermediate_size, self.max_position_embeddings];
        let problem = if self.model_type != "llama" {
            format!("model_type `{}` is not `llama`", self.model_type)
        } else if sizes.contains(&0) {
            "vocab_size, hidden_size, intermediate_size and max_position_embeddings must be at least 1".into()
        } else if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            format!("num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}")
        } else if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            format!("hidden_size {} is not a multiple of num_attention_heads {heads}", self.hidden_size)
        } else if self.head_dim() == 0 || !self.head_dim().is_multiple_of(2) {
            format!("heads of width {} have no rotary pairs; the width must be even", self.head_dim())
        } else if self.hidden_act != "silu" {
            format!("hidden_act `{}` is not supported, only `silu`", self.hidden_act)
        } else if !self.plain_positions() {
            "rope_scaling is not supported; use a checkpoint without it, or its native context".into()
        } else if self.attention_bias || self.mlp_bias {
            "biased projections are not supported, only attention_bias and mlp_bias false".into()
        } else if !(self.rms_norm_eps > 0.0 && self.rope_theta > 0.0 && self.rope_theta.is_finite()) {
            "rms_norm_eps and rope_theta must be positive".into()
        } else {
            return Ok(());
        };
        Err(Error::Invalid(format!("LLaMA configuration: {problem}")))
    }

    /// Whether `rope_scaling` leaves positions as they are.
    fn plain_positions(&self) -> bool {
        let Some(scaling) = &self.rope_scaling else { return true };
        ["rope_type", "type"].iter().any(|key| scaling.get(key).and_then(Value::as_str) == Some("default"))
    }
}
