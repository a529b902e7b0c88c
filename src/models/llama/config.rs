//! `config.json` of a checkpoint of the LLaMA family.
//!
//! The members differ in their defaults and in the few facts that [`LlamaConfig::of`] lists; there is one implementation.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Pairs, Rotary, Scaling};
use crate::Error;
use crate::models::parts::wrong_epsilon;

/// The members of the family, as `model_type` spells them.
pub const FAMILY: [&str; 3] = ["llama", "mistral", "qwen2"];

/// The configuration; a key that is left out has the default of LLaMA itself, or through [`LlamaConfig::parse`] of the member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LlamaConfig {
    /// One of [`FAMILY`].
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
    /// Scaling of positions.
    #[serde(alias = "rope_parameters", skip_serializing_if = "Option::is_none")]
    pub rope_scaling: Option<RopeScaling>,
    /// How many positions a query looks at, its own among them.
    pub sliding_window: Option<usize>,
    /// Whether `sliding_window` holds; LLaMA has no window, Mistral always, Qwen2 where this says so.
    pub use_sliding_window: bool,
    /// Whether the head is the token embedding.
    pub tie_word_embeddings: bool,
    /// Biases in all of attention.
    pub attention_bias: bool,
    /// Biases of queries, keys and values alone: no key of a `config.json`, but a property of Qwen2.
    pub qkv_bias: bool,
    /// Biases in the feed-forward.
    pub mlp_bias: bool,
    /// What each frequency is divided by, one number for each pair of a head, where a file says so itself: no key of
    /// `config.json`, but a tensor of GGUF files.
    #[serde(skip)]
    pub frequency_factors: Option<Vec<f32>>,
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
            sliding_window: None,
            use_sliding_window: false,
            tie_word_embeddings: false,
            attention_bias: false,
            qkv_bias: false,
            mlp_bias: false,
            frequency_factors: None,
            pairs: Pairs::Halves,
        }
    }
}

/// `rope_scaling`, or `rope_parameters` as newer configurations say; which keys are needed depends on the type.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RopeScaling {
    /// `default`, `linear` or `llama3`.
    pub rope_type: Option<String>,
    /// The older name of `rope_type`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// How many times longer the context is than in training.
    pub factor: Option<f64>,
    /// `llama3`: wavelengths above the training context divided by this are scaled.
    pub low_freq_factor: Option<f64>,
    /// `llama3`: wavelengths below the training context divided by this stay as they are.
    pub high_freq_factor: Option<f64>,
    /// `llama3`: the training context.
    pub original_max_position_embeddings: Option<f64>,
    /// The base of the frequencies, in the newer spelling.
    pub rope_theta: Option<f64>,
}

impl RopeScaling {
    /// What is done to the frequencies, or what is wrong with the keys.
    fn resolve(&self) -> Result<Scaling, String> {
        let kind = self.rope_type.as_ref().or(self.kind.as_ref()).map_or("default", String::as_str);
        let positive = |key: &str, value: Option<f64>| {
            value
                .filter(|value| value.is_finite() && *value > 0.0)
                .ok_or_else(|| format!("rope_scaling of type `{kind}` needs a positive number `{key}`"))
        };
        match kind {
            "default" => Ok(Scaling::None),
            "linear" => Ok(Scaling::Linear { factor: positive("factor", self.factor)? }),
            "llama3" => {
                let low = positive("low_freq_factor", self.low_freq_factor)?;
                let high = positive("high_freq_factor", self.high_freq_factor)?;
                if low >= high {
                    return Err(format!("low_freq_factor {low} must be below high_freq_factor {high}"));
                }
                let context = positive("original_max_position_embeddings", self.original_max_position_embeddings)?;
                Ok(Scaling::Llama3 { factor: positive("factor", self.factor)?, low, high, context })
            }
            other => Err(format!(
                "rope_scaling of type `{other}` is not supported, only `default`, `linear` and `llama3`; use a checkpoint \
                 without it"
            )),
        }
    }
}

impl LlamaConfig {
    /// The defaults of a member of the family, which released configurations rely on; those of LLaMA for any other name.
    pub fn of(model_type: &str) -> Self {
        let llama = Self { model_type: model_type.to_owned(), ..Self::default() };
        match model_type {
            "mistral" => Self {
                intermediate_size: 14336,
                num_key_value_heads: Some(8),
                max_position_embeddings: 131_072,
                sliding_window: Some(4096),
                use_sliding_window: true,
                ..llama
            },
            "qwen2" => Self {
                vocab_size: 151_936,
                intermediate_size: 22016,
                num_key_value_heads: Some(32),
                max_position_embeddings: 32768,
                sliding_window: Some(4096),
                qkv_bias: true,
                ..llama
            },
            _ => llama,
        }
    }

    /// Reads a `config.json`; a key that is left out has the default of the member that `model_type` names.
    ///
    /// # Errors
    /// A key has a value of the wrong type.
    pub fn parse(config: Value) -> Result<Self, serde_json::Error> {
        let model_type = config.get("model_type").and_then(Value::as_str).unwrap_or("llama");
        let mut full = serde_json::to_value(Self::of(model_type))?;
        match (&mut full, config) {
            (Value::Object(full), Value::Object(given)) => full.extend(given),
            (full, other) => *full = other,
        }
        serde_json::from_value(full)
    }

    /// Key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// How many positions a query looks at; `None` for all before it.
    pub fn window(&self) -> Option<usize> {
        self.sliding_window.filter(|_| self.use_sliding_window)
    }

    /// The base of the rotary frequencies and what is done to them.
    fn frequencies(&self) -> Result<(f64, Scaling), String> {
        let theta = self.rope_scaling.as_ref().and_then(|s| s.rope_theta).unwrap_or(self.rope_theta);
        if !(theta > 0.0 && theta.is_finite()) {
            return Err(format!("rope_theta {theta} must be above 0 and finite, such as 10000"));
        }
        Ok((theta, self.rope_scaling.as_ref().map_or(Ok(Scaling::None), RopeScaling::resolve)?))
    }

    /// The rotation of this model's heads.
    ///
    /// # Errors
    /// Positions are scaled in a way that is not supported.
    pub fn rotary(&self) -> Result<Rotary, Error> {
        let (theta, scaling) = self.frequencies().map_err(|problem| invalid(&problem))?;
        let rotary = Rotary::new(self.pairs, self.head_dim(), theta, scaling);
        Ok(rotary.divided(self.frequency_factors.as_deref().unwrap_or_default()))
    }

    /// Refuses what this implementation does not compute.
    ///
    /// # Errors
    /// An unsupported variant, or sizes that cannot be.
    pub fn check(&self) -> Result<(), Error> {
        let (heads, kv_heads) = (self.num_attention_heads, self.kv_heads());
        let sizes = [self.vocab_size, self.hidden_size, self.intermediate_size, self.max_position_embeddings];
        let problem = if !FAMILY.contains(&self.model_type.as_str()) {
            format!("model_type `{}` is none of {}", self.model_type, FAMILY.join(", "))
        } else if sizes.contains(&0) {
            "vocab_size, hidden_size, intermediate_size and max_position_embeddings must be at least 1".into()
        } else if heads == 0 || kv_heads == 0 || !heads.is_multiple_of(kv_heads) {
            format!("num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}")
        } else if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(heads) {
            format!("hidden_size {} is not a multiple of num_attention_heads {heads}", self.hidden_size)
        } else if self.head_dim() == 0 || !self.head_dim().is_multiple_of(2) {
            format!("heads of width {} have no rotary pairs; the width must be even", self.head_dim())
        } else if heads.checked_mul(self.head_dim()).is_none() {
            format!("{heads} heads of width {} are more than memory can hold", self.head_dim())
        } else if self.hidden_act != "silu" {
            format!("hidden_act `{}` is not supported, only `silu`", self.hidden_act)
        } else if self.window() == Some(0) {
            "sliding_window must be at least 1, or null".into()
        } else if self.model_type == "qwen2" && self.window().is_some_and(|w| w < self.max_position_embeddings) {
            "a sliding window in some of Qwen2's layers is not supported; only use_sliding_window false is".into()
        } else if let Some(problem) = wrong_epsilon("rms_norm_eps", self.rms_norm_eps) {
            problem
        } else if let Some(factors) = self.frequency_factors.as_ref().filter(|f| f.len() != self.head_dim() / 2) {
            format!("{} frequency factors were given for {} rotary pairs", factors.len(), self.head_dim() / 2)
        } else if let Err(problem) = self.frequencies() {
            problem
        } else {
            return Ok(());
        };
        Err(invalid(&problem))
    }
}

fn invalid(problem: &str) -> Error {
    Error::Invalid(format!("LLaMA configuration: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<LlamaConfig, serde_json::Error> {
        LlamaConfig::parse(serde_json::from_str(text)?)
    }

    #[test]
    fn a_key_that_is_left_out_has_the_members_default() {
        let config = parsed(r#"{"model_type":"mistral","hidden_size":64}"#).expect("a configuration");
        assert_eq!((config.kv_heads(), config.window(), config.hidden_size), (8, Some(4096), 64));
        let config = parsed(r#"{"model_type":"mistral","sliding_window":null}"#).expect("a configuration");
        assert_eq!(config.window(), None);
        let config = parsed(r#"{"model_type":"qwen2"}"#).expect("a configuration");
        assert_eq!((config.qkv_bias, config.window(), config.vocab_size), (true, None, 151_936));
        assert!(parsed("7").is_err());
    }

    #[test]
    fn both_spellings_of_positions_are_read() {
        let older = r#"{"model_type":"llama","rope_theta":5e5,"rope_scaling":{"type":"linear","factor":2.0}}"#;
        let newer = r#"{"rope_parameters":{"rope_type":"linear","factor":2.0,"rope_theta":500000.0}}"#;
        let rotary = |text| format!("{:?}", parsed(text).expect("a configuration").rotary());
        assert_eq!(rotary(older), rotary(newer));
        assert_ne!(rotary(older), rotary(r#"{"rope_theta":500000.0}"#));
    }
}
