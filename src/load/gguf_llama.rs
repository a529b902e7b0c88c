//! A GGUF file of the LLaMA family as a checkpoint: its configuration, and its tensors under Hugging Face names.

use super::finite;
use super::gguf::Gguf;
use crate::Error;
use crate::models::Weights;
use crate::models::llama::{LlamaConfig, Pairs, RopeScaling};

/// The tensors outside the blocks: Hugging Face's name, then the file's.
const OUTSIDE: [(&str, &str); 3] = [
    ("model.embed_tokens.weight", "token_embd.weight"),
    ("model.norm.weight", "output_norm.weight"),
    ("lm_head.weight", "output.weight"),
];

/// The tensors of a block: behind `model.layers.N.` here, behind `blk.N.` in the file.
const INSIDE: [(&str, &str); 9] = [
    ("input_layernorm.weight", "attn_norm.weight"),
    ("self_attn.q_proj.weight", "attn_q.weight"),
    ("self_attn.k_proj.weight", "attn_k.weight"),
    ("self_attn.v_proj.weight", "attn_v.weight"),
    ("self_attn.o_proj.weight", "attn_output.weight"),
    ("post_attention_layernorm.weight", "ffn_norm.weight"),
    ("mlp.gate_proj.weight", "ffn_gate.weight"),
    ("mlp.up_proj.weight", "ffn_up.weight"),
    ("mlp.down_proj.weight", "ffn_down.weight"),
];

/// What the frequencies of the rotation are divided by; the configuration takes it, no stage asks for it.
const FACTORS: &str = "rope_freqs.weight";

/// The file's name of the tensor that Hugging Face calls `name`.
fn stored_name(name: &str) -> Option<String> {
    if let Some((_, stored)) = OUTSIDE.iter().find(|(hugging_face, _)| *hugging_face == name) {
        return Some((*stored).to_owned());
    }
    let (index, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (_, stored) = INSIDE.iter().find(|(hugging_face, _)| *hugging_face == rest)?;
    index.parse::<usize>().ok()?;
    Some(format!("blk.{index}.{stored}"))
}

impl Gguf {
    /// The configuration that the metadata describe.
    ///
    /// # Errors
    /// The architecture is not `llama`, a key is missing or malformed, or positions are scaled in an unknown way.
    pub fn llama_config(&self) -> Result<LlamaConfig, Error> {
        let architecture = self.text("general.architecture")?;
        if architecture != "llama" {
            let problem = format!("the architecture is `{architecture}`; only `llama` can be read from GGUF");
            return Err(self.malformed(problem));
        }
        let count = |key: &str| self.count_or(&format!("llama.{key}"), None);
        let (blocks, heads) = (count("block_count")?, count("attention.head_count")?);
        let tensors = self.names().count();
        if blocks > tensors {
            let problem = format!("llama.block_count is {blocks}, but the file has only {tensors} tensors");
            return Err(self.malformed(problem));
        }
        let embedding = self.shape("token_embd.weight")?;
        let mut config = LlamaConfig {
            vocab_size: embedding.first().copied().unwrap_or(0),
            hidden_size: count("embedding_length")?,
            intermediate_size: count("feed_forward_length")?,
            num_hidden_layers: blocks,
            num_attention_heads: heads,
            num_key_value_heads: Some(self.count_or("llama.attention.head_count_kv", Some(heads))?),
            head_dim: self.head_width()?,
            max_position_embeddings: count("context_length")?,
            rms_norm_eps: self.float_or("llama.attention.layer_norm_rms_epsilon", 1e-5)?,
            rope_theta: self.float_or("llama.rope.freq_base", 10000.0)?,
            tie_word_embeddings: !self.has_tensor("output.weight"),
            pairs: Pairs::Adjacent,
            ..LlamaConfig::default()
        };
        config.rope_scaling = self.rope_scaling(&config)?;
        config.frequency_factors = self.frequency_factors(config.head_dim() / 2)?;
        Ok(config)
    }

    /// The tensors of a model of `blocks` blocks that the file has, by Hugging Face's names.
    pub(crate) fn hugging_face_names(&self, blocks: usize) -> Vec<String> {
        let outside = OUTSIDE.iter().map(|(name, _)| (*name).to_owned());
        let inside =
            (0..blocks).flat_map(|block| INSIDE.iter().map(move |(name, _)| format!("model.layers.{block}.{name}")));
        outside.chain(inside).filter(|name| self.has(name)).collect()
    }

    fn head_width(&self) -> Result<Option<usize>, Error> {
        match self.has_key("llama.attention.key_length") {
            true => self.count_or("llama.attention.key_length", None).map(Some),
            false => Ok(None),
        }
    }

    /// How positions are scaled: the type that the file names, or `linear` where it has only the factor, as llama.cpp reads it.
    fn rope_scaling(&self, config: &LlamaConfig) -> Result<Option<RopeScaling>, Error> {
        let turned = self.count_or("llama.rope.dimension_count", Some(config.head_dim()))?;
        if turned != config.head_dim() {
            return Err(self.malformed(format!(
                "positions turn only {turned} of a head's {} values; only whole heads are supported",
                config.head_dim()
            )));
        }
        let older = self.float_or("llama.rope.scale_linear", 0.0)?;
        let factor = self.float_or("llama.rope.scaling.factor", older)?;
        let kind = match self.has_key("llama.rope.scaling.type") {
            true => self.text("llama.rope.scaling.type")?,
            false if factor == 0.0 => "none",
            false => "linear",
        };
        match kind {
            "none" => Ok(None),
            // No factor stands for 1.
            "linear" => Ok(Some(RopeScaling {
                rope_type: Some("linear".into()),
                factor: Some(if factor == 0.0 { 1.0 } else { factor }),
                ..RopeScaling::default()
            })),
            other => Err(self.malformed(format!(
                "llama.rope.scaling.type is `{other}`; `none` and `linear` can be read from GGUF, and LLaMA 3's scaling by its \
                 tensor `rope_freqs.weight`"
            ))),
        }
    }

    /// What LLaMA 3 divides each of the frequencies of `pairs` pairs by.
    fn frequency_factors(&self, pairs: usize) -> Result<Option<Vec<f32>>, Error> {
        if !self.has_tensor(FACTORS) {
            return Ok(None);
        }
        let factors = self.get(FACTORS, &[pairs])?;
        match factors.iter().find(|factor| **factor <= 0.0) {
            None => Ok(Some(factors)),
            Some(factor) => Err(self
                .malformed(format!("`{FACTORS}` has the factor {factor}, but a frequency is divided by more than 0"))),
        }
    }
}

impl Weights for Gguf {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let stored = stored_name(name).unwrap_or_else(|| name.to_owned());
        let given = self.shape(&stored)?;
        if given != shape {
            return Err(Error::Shape { name: stored, given: given.to_vec(), expected: shape.to_vec() });
        }
        let (values, _) = self.dequantised(&stored)?;
        finite(self.origin(), &stored, shape, values)
    }

    fn has(&self, name: &str) -> bool {
        stored_name(name).is_some_and(|stored| self.has_tensor(&stored))
    }

    fn canonical(&self, name: &str) -> String {
        stored_name(name).unwrap_or_else(|| name.to_owned())
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        Self::shape(self, &stored_name(name)?).ok().map(<[usize]>::to_vec)
    }

    fn names(&self) -> Vec<String> {
        Self::names(self).filter(|name| *name != FACTORS).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::stored_name;

    #[test]
    fn names_map_to_the_file() {
        assert_eq!(stored_name("model.layers.12.mlp.down_proj.weight").as_deref(), Some("blk.12.ffn_down.weight"));
        assert_eq!(stored_name("model.embed_tokens.weight").as_deref(), Some("token_embd.weight"));
        assert_eq!(stored_name("model.layers.x.mlp.down_proj.weight"), None);
        assert_eq!(stored_name("model.layers.1.mlp.down_proj.bias"), None);
    }
}
