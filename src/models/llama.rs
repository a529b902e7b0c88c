//! The LLaMA family: RMS norms, rotary positions, grouped key/value heads and a gated feed-forward.
//!
//! LLaMA 1 to 3, Mistral (a sliding window, honoured) and Qwen2 (biased queries, keys and values). Module fields carry the Hugging
//! Face names. Two conventions of rotary pairs exist: Hugging Face checkpoints pair the first half of a head with the second, GGUF
//! files keep adjacent pairs; the weights stay as stored and [`Rotary`] follows them. Position scaling other than `linear` and
//! `llama3` is refused, not approximated.

mod config;
mod rotary;

use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Embedding, RmsNorm};
use burn::tensor::activation::silu;
use burn::tensor::{Device, Tensor};

use super::parts::{Source, attend, causal_mask, ids, no_stage, rows, sequence, split_heads};
use super::tied::{self, Tied};
use super::{Checkpoint, Input, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};
use crate::emu::EmuLinear;

pub use config::{FAMILY, LlamaConfig, RopeScaling};
pub use rotary::{Pairs, Rotary, Scaling};

/// Token ids to the input of the first block.
#[derive(Module, Debug)]
pub struct Embeddings {
    embed_tokens: Embedding,
}

/// Causal self-attention with `heads` query heads in groups that share one of `kv_heads` keys and values.
#[derive(Module, Debug)]
pub struct Attention {
    q_proj: EmuLinear,
    k_proj: EmuLinear,
    v_proj: EmuLinear,
    o_proj: EmuLinear,
    rotary: Rotary,
    heads: usize,
    kv_heads: usize,
    #[module(skip)]
    window: Option<usize>,
}

impl Attention {
    fn load(source: Source<'_>, config: &LlamaConfig, name: &str) -> Result<Self, Error> {
        let (width, head) = (config.hidden_size, config.head_dim());
        let (heads, kv_heads) = (config.num_attention_heads, config.kv_heads());
        let biased = config.qkv_bias || config.attention_bias;
        let linear = |part: &str, input, output, bias| source.linear(&format!("{name}.{part}"), input, output, bias);
        Ok(Self {
            q_proj: linear("q_proj", width, heads * head, biased)?,
            k_proj: linear("k_proj", width, kv_heads * head, biased)?,
            v_proj: linear("v_proj", width, kv_heads * head, biased)?,
            o_proj: linear("o_proj", heads * head, width, config.attention_bias)?,
            rotary: config.rotary()?,
            heads,
            kv_heads,
            window: config.window(),
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, positions, _] = x.dims();
        let q = split_heads(self.q_proj.forward(x.clone()), self.heads);
        let k = split_heads(self.k_proj.forward(x.clone()), self.kv_heads);
        let v = split_heads(self.v_proj.forward(x.clone()), self.kv_heads);
        let [_, _, _, head] = q.dims();
        let tables = self.rotary.tables(positions, &x.device());
        let q = self.rotary.rotate(q, &tables) * (head as f64).sqrt().recip();
        let k = self.rotary.rotate(k, &tables);
        let group = self.heads / self.kv_heads;
        let mask = causal_mask(positions, self.window, &x.device());
        self.o_proj.forward(attend(q, repeat_heads(k, group), repeat_heads(v, group), Some(mask)))
    }
}

/// `silu(gate(x)) * up(x)`, projected down.
#[derive(Module, Debug)]
pub struct Mlp {
    gate_proj: EmuLinear,
    up_proj: EmuLinear,
    down_proj: EmuLinear,
}

/// One decoder block.
#[derive(Module, Debug)]
pub struct Block {
    input_layernorm: RmsNorm,
    self_attn: Attention,
    post_attention_layernorm: RmsNorm,
    mlp: Mlp,
}

impl Block {
    fn load(source: Source<'_>, config: &LlamaConfig, name: &str) -> Result<Self, Error> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        let mlp =
            |part: &str, input, output| source.linear(&format!("{name}.mlp.{part}"), input, output, config.mlp_bias);
        Ok(Self {
            input_layernorm: rms_norm(source, &format!("{name}.input_layernorm"), config)?,
            self_attn: Attention::load(source, config, &format!("{name}.self_attn"))?,
            post_attention_layernorm: rms_norm(source, &format!("{name}.post_attention_layernorm"), config)?,
            mlp: Mlp {
                gate_proj: mlp("gate_proj", width, inner)?,
                up_proj: mlp("up_proj", width, inner)?,
                down_proj: mlp("down_proj", inner, width)?,
            },
        })
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.self_attn.forward(self.input_layernorm.forward(x));
        let y = self.post_attention_layernorm.forward(x.clone());
        let gated = silu(self.mlp.gate_proj.forward(y.clone())) * self.mlp.up_proj.forward(y);
        x + self.mlp.down_proj.forward(gated)
    }
}

/// The last norm and the head, tied to the embeddings or of its own.
#[derive(Module, Debug)]
pub struct Head {
    norm: RmsNorm,
    lm_head: EmuLinear,
}

impl Head {
    fn load(source: Source<'_>, config: &LlamaConfig, lm_head: EmuLinear) -> Result<Self, Error> {
        Ok(Self { norm: rms_norm(source, "model.norm", config)?, lm_head })
    }

    /// `[R, D]` to logits `[R, V]`.
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        self.lm_head.forward(self.norm.forward(rows))
    }
}

fn rms_norm(source: Source<'_>, name: &str, config: &LlamaConfig) -> Result<RmsNorm, Error> {
    let gamma = source.param(&format!("{name}.weight"), [config.hidden_size])?;
    Ok(RmsNorm { gamma, epsilon: config.rms_norm_eps })
}

/// Each of the heads of `[B, heads, T, width]` `group` times in a row.
fn repeat_heads(x: Tensor<4>, group: usize) -> Tensor<4> {
    if group == 1 {
        return x;
    }
    let [batch, heads, positions, width] = x.dims();
    x.unsqueeze_dim::<5>(2).expand([batch, heads, group, positions, width]).reshape([
        batch,
        heads * group,
        positions,
        width,
    ])
}

/// A checkpoint of the family, cut in stages.
#[derive(Clone)]
pub struct LlamaCheckpoint {
    config: LlamaConfig,
    weights: Arc<dyn Weights>,
    device: Device,
    tied: Tied,
}

impl LlamaCheckpoint {
    /// Joins a configuration and the tensors it describes; stages are built on the CPU backend.
    ///
    /// # Errors
    /// The configuration is not supported.
    pub fn new(config: LlamaConfig, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, weights, device: Device::flex(), tied: Tied::default() })
    }

    /// The configuration.
    pub fn config(&self) -> &LlamaConfig {
        &self.config
    }
}

impl Checkpoint for LlamaCheckpoint {
    fn architecture(&self) -> &str {
        &self.config.model_type
    }

    fn task(&self) -> Task {
        Task::CausalLm
    }

    fn input(&self) -> Input {
        Input::Tokens { vocabulary: self.config.vocab_size, longest: self.config.max_position_embeddings }
    }

    fn stages(&self) -> usize {
        self.config.num_hidden_layers.saturating_add(2)
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source::new(&*self.weights, &self.device);
        let config = &self.config;
        let last = config.num_hidden_layers.saturating_add(1);
        let tokens = || self.tied.matrix(source, "model.embed_tokens", [config.vocab_size, config.hidden_size]);
        Ok(match index {
            0 => {
                let tokens = tokens()?;
                let embeddings = Embeddings { embed_tokens: tied::table(&tokens) };
                let forward =
                    |module: &Embeddings, input| Activation::Sequence(module.embed_tokens.forward(ids(input)));
                Box::new(Piece::new("", embeddings, forward).holding(tokens))
            }
            index if index < last => {
                let name = format!("layers.{}", index - 1);
                let block = Block::load(source, config, &format!("model.{name}"))?;
                Box::new(Piece::new(name, block, |module, input| Activation::Sequence(module.forward(sequence(input)))))
            }
            index if index == last => {
                let forward = |module: &Head, input| Activation::Rows(module.forward(rows(input)));
                if config.tie_word_embeddings {
                    let tokens = tokens()?;
                    let head = Head::load(source, config, tied::head(&tokens))?;
                    Box::new(Piece::new("", head, forward).holding(tokens))
                } else {
                    let lm_head = source.linear("lm_head", config.hidden_size, config.vocab_size, false)?;
                    Box::new(Piece::new("", Head::load(source, config, lm_head)?, forward))
                }
            }
            _ => return Err(no_stage(index, self.stages())),
        })
    }
}
