//! `config.json` of an OPT checkpoint.

use serde::{Deserialize, Serialize};

use crate::Error;

/// `config.json` of an OPT checkpoint; a key that is left out has the architecture's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OptConfig {
    /// Always `opt`.
    pub model_type: String,
    /// Rows of the token embedding, at least the tokenizer's size.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Width of the feed-forward branch.
    pub ffn_dim: usize,
    /// Attention heads a block.
    pub num_attention_heads: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Whether norms stand before the branches, with one more before the head; else they stand after the branches.
    pub do_layer_norm_before: bool,
    /// Width of the token embedding, projected where it is not `hidden_size`.
    pub word_embed_proj_dim: Option<usize>,
    /// Activation of the feed-forward branch; only `relu` is supported.
    pub activation_function: String,
    /// Whether linear layers have biases.
    pub enable_bias: bool,
    /// Whether layer norms have a scale and a shift; only `true` is supported.
    pub layer_norm_elementwise_affine: bool,
    /// Whether the head is the token embedding; only `true` is supported.
    pub tie_word_embeddings: bool,
    /// Whether the norm before the head is missing although norms stand before the branches; only `false` is supported.
    #[serde(rename = "_remove_final_layer_norm")]
    pub remove_final_layer_norm: bool,
}

impl Default for OptConfig {
    fn default() -> Self {
        Self {
            model_type: "opt".into(),
            vocab_size: 50272,
            hidden_size: 768,
            num_hidden_layers: 12,
            ffn_dim: 3072,
            num_attention_heads: 12,
            max_position_embeddings: 2048,
            do_layer_norm_before: true,
            word_embed_proj_dim: None,
            activation_function: "relu".into(),
            enable_bias: true,
            layer_norm_elementwise_affine: true,
            tie_word_embeddings: true,
            remove_final_layer_norm: false,
        }
    }
}

impl OptConfig {
    /// Width of the token embedding.
    pub fn embedding(&self) -> usize {
        self.word_embed_proj_dim.unwrap_or(self.hidden_size)
    }

    /// Whether the embedding has another width than the residual stream.
    pub fn is_projected(&self) -> bool {
        self.embedding() != self.hidden_size
    }

    /// Refuses what this implementation does not compute.
    ///
    /// # Errors
    /// An unsupported variant, or sizes that cannot be.
    pub fn check(&self) -> Result<(), Error> {
        let sizes = [self.vocab_size, self.hidden_size, self.embedding(), self.ffn_dim, self.max_position_embeddings];
        let problem = if self.model_type != "opt" {
            format!("model_type `{}` is not `opt`", self.model_type)
        } else if self.do_layer_norm_before && self.remove_final_layer_norm {
            "`_remove_final_layer_norm: true` with norms before the branches is not supported".into()
        } else if self.activation_function != "relu" {
            format!("activation_function `{}` is not supported, only `relu`", self.activation_function)
        } else if !self.tie_word_embeddings || !self.layer_norm_elementwise_affine {
            "only a tied head and norms with scale and shift are supported".into()
        } else if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            )
        } else if sizes.contains(&0) {
            "vocab_size, hidden_size, word_embed_proj_dim, ffn_dim and max_position_embeddings must be at least 1"
                .into()
        } else {
            return Ok(());
        };
        Err(Error::Invalid(format!("OPT configuration: {problem}")))
    }
}
