//! The GPT-2 architecture: learned positions, a layer norm before each branch, one matrix for queries, keys and values, a tied head.
//!
//! The original's `Conv1D` layers are stored `[in, out]`, which is how Burn multiplies: they are taken as they are and never
//! transposed. Module fields carry the checkpoint's names.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Embedding, LayerNorm};
use burn::tensor::activation::gelu_approximate;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::parts::{Source, attend, causal_mask, ids, no_stage, rows, sequence, split_heads, wrong_epsilon};
use super::tied::{self, Tied};
use super::{Checkpoint, Input, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};
use crate::emu::EmuLinear;

/// `config.json` of a GPT-2 checkpoint; a key that is left out has the architecture's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gpt2Config {
    /// Always `gpt2`.
    pub model_type: String,
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Longest sequence.
    pub n_positions: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Number of blocks.
    pub n_layer: usize,
    /// Attention heads a block.
    pub n_head: usize,
    /// Width of the feed-forward branch; four times `n_embd` where left out.
    pub n_inner: Option<usize>,
    /// Activation of the feed-forward branch; only `gelu_new` (by the hyperbolic tangent) is supported.
    pub activation_function: String,
    /// Epsilon of every norm.
    pub layer_norm_epsilon: f64,
    /// Whether the head is the token embedding; only `true` is supported.
    pub tie_word_embeddings: bool,
    /// Whether scores are divided by the root of the head's width; only `true` is supported.
    pub scale_attn_weights: bool,
    /// Whether scores are also divided by the block's number; only `false` is supported.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Whether blocks also look at an encoder; only `false` is supported.
    pub add_cross_attention: bool,
}

impl Default for Gpt2Config {
    fn default() -> Self {
        Self {
            model_type: "gpt2".into(),
            vocab_size: 50257,
            n_positions: 1024,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            activation_function: "gelu_new".into(),
            layer_norm_epsilon: 1e-5,
            tie_word_embeddings: true,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            add_cross_attention: false,
        }
    }
}

impl Gpt2Config {
    /// Width of the feed-forward branch.
    pub fn inner(&self) -> usize {
        self.n_inner.unwrap_or(self.n_embd.saturating_mul(4))
    }

    /// Refuses what this implementation does not compute.
    ///
    /// # Errors
    /// An unsupported variant, or sizes that cannot be.
    pub fn check(&self) -> Result<(), Error> {
        let problem = if self.model_type != "gpt2" {
            format!("model_type `{}` is not `gpt2`", self.model_type)
        } else if self.activation_function != "gelu_new" {
            format!("activation_function `{}` is not supported, only `gelu_new`", self.activation_function)
        } else if !self.tie_word_embeddings || self.add_cross_attention {
            "only a tied head and no cross-attention are supported".into()
        } else if !self.scale_attn_weights || self.scale_attn_by_inverse_layer_idx {
            "scores are divided by the root of a head's width and by nothing else; other scalings are not supported"
                .into()
        } else if self.n_head == 0 || !self.n_embd.is_multiple_of(self.n_head) {
            format!("n_embd {} is not a multiple of n_head {}", self.n_embd, self.n_head)
        } else if [self.vocab_size, self.n_positions, self.n_embd, self.inner()].contains(&0) {
            "vocab_size, n_positions, n_embd and n_inner must be at least 1".into()
        } else if let Some(problem) = wrong_epsilon("layer_norm_epsilon", self.layer_norm_epsilon) {
            problem
        } else {
            return Ok(());
        };
        Err(Error::Invalid(format!("GPT-2 configuration: {problem}")))
    }
}

/// The lookup tables: token ids to the input of the first block.
#[derive(Module, Debug)]
pub struct Embeddings {
    wte: Embedding,
    wpe: Embedding,
}

impl Embeddings {
    fn load(source: Source<'_>, config: &Gpt2Config, tokens: &Tensor<2>) -> Result<Self, Error> {
        Ok(Self {
            wte: tied::table(tokens),
            wpe: source.embedding("transformer.wpe", config.n_positions, config.n_embd)?,
        })
    }

    /// Token ids `[B, T]` to `[B, T, D]`; `T` at most the configured positions.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, length] = ids.dims();
        let positions = self.wpe.weight.val().narrow(0, 0, length);
        self.wte.forward(ids) + positions.unsqueeze::<3>()
    }
}

/// Causal self-attention whose queries, keys and values are thirds of one product.
#[derive(Module, Debug)]
pub struct Attention {
    c_attn: EmuLinear,
    c_proj: EmuLinear,
    heads: usize,
}

impl Attention {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, length, width] = x.dims();
        let mask = causal_mask(length, None, &x.device());
        let joined = self.c_attn.forward(x);
        let third = |i: usize| joined.clone().narrow(2, i * width, width);
        let scale = ((width / self.heads) as f64).sqrt().recip();
        let q = split_heads(third(0) * scale, self.heads);
        let [k, v] = [1, 2].map(|i| split_heads(third(i), self.heads));
        self.c_proj.forward(attend(q, k, v, Some(mask)))
    }
}

/// The feed-forward branch.
#[derive(Module, Debug)]
pub struct Mlp {
    c_fc: EmuLinear,
    c_proj: EmuLinear,
}

/// One decoder block.
#[derive(Module, Debug)]
pub struct Block {
    ln_1: LayerNorm,
    attn: Attention,
    ln_2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn load(source: Source<'_>, config: &Gpt2Config, name: &str) -> Result<Self, Error> {
        let (width, inner) = (config.n_embd, config.inner());
        let norm = |part: &str| source.layer_norm(&format!("{name}.{part}"), width, config.layer_norm_epsilon);
        let linear = |part: &str, input, output| source.conv1d(&format!("{name}.{part}"), input, output);
        Ok(Self {
            ln_1: norm("ln_1")?,
            attn: Attention {
                c_attn: linear("attn.c_attn", width, width.saturating_mul(3))?,
                c_proj: linear("attn.c_proj", width, width)?,
                heads: config.n_head,
            },
            ln_2: norm("ln_2")?,
            mlp: Mlp { c_fc: linear("mlp.c_fc", width, inner)?, c_proj: linear("mlp.c_proj", inner, width)? },
        })
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = x.clone() + self.attn.forward(self.ln_1.forward(x));
        let inner = gelu_approximate(self.mlp.c_fc.forward(self.ln_2.forward(x.clone())));
        x + self.mlp.c_proj.forward(inner)
    }
}

/// The last norm and the tied head.
#[derive(Module, Debug)]
pub struct Head {
    ln_f: LayerNorm,
    lm_head: EmuLinear,
}

impl Head {
    fn load(source: Source<'_>, config: &Gpt2Config, tokens: &Tensor<2>) -> Result<Self, Error> {
        Ok(Self {
            ln_f: source.layer_norm("transformer.ln_f", config.n_embd, config.layer_norm_epsilon)?,
            lm_head: tied::head(tokens),
        })
    }

    /// `[R, D]` to logits `[R, V]`.
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        self.lm_head.forward(self.ln_f.forward(rows))
    }
}

/// A GPT-2 checkpoint, cut in stages.
#[derive(Clone)]
pub struct Gpt2Checkpoint {
    config: Gpt2Config,
    weights: Arc<dyn Weights>,
    device: Device,
    tied: Tied,
}

impl Gpt2Checkpoint {
    /// Joins a configuration and the tensors it describes; stages are built on the CPU backend.
    ///
    /// # Errors
    /// The configuration is not supported.
    pub fn new(config: Gpt2Config, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, weights, device: Device::flex(), tied: Tied::default() })
    }

    /// The configuration.
    pub fn config(&self) -> &Gpt2Config {
        &self.config
    }
}

impl Checkpoint for Gpt2Checkpoint {
    fn architecture(&self) -> &str {
        "gpt2"
    }

    fn task(&self) -> Task {
        Task::CausalLm
    }

    fn input(&self) -> Input {
        Input::Tokens { vocabulary: self.config.vocab_size, longest: self.config.n_positions }
    }

    fn stages(&self) -> usize {
        self.config.n_layer.saturating_add(2)
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source::new(&*self.weights, &self.device);
        let last = self.config.n_layer.saturating_add(1);
        let tokens = || self.tied.matrix(source, "transformer.wte", [self.config.vocab_size, self.config.n_embd]);
        Ok(match index {
            0 => {
                let tokens = tokens()?;
                let embeddings = Embeddings::load(source, &self.config, &tokens)?;
                let forward = |module: &Embeddings, input| Activation::Sequence(module.forward(ids(input)));
                Box::new(Piece::new("", embeddings, forward).holding(tokens))
            }
            index if index < last => {
                let name = format!("h.{}", index - 1);
                let block = Block::load(source, &self.config, &format!("transformer.{name}"))?;
                Box::new(Piece::new(name, block, |module, input| Activation::Sequence(module.forward(sequence(input)))))
            }
            index if index == last => {
                let tokens = tokens()?;
                let head = Head::load(source, &self.config, &tokens)?;
                let forward = |module: &Head, input| Activation::Rows(module.forward(rows(input)));
                Box::new(Piece::new("", head, forward).holding(tokens))
            }
            _ => return Err(no_stage(index, self.stages())),
        })
    }
}
