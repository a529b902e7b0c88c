//! The OPT architecture: a decoder language model with learned positions, layer norms before each branch and a tied head.
//!
//! The same blocks serve as stages of a [`Checkpoint`] and as the whole [`OptModel`] that training differentiates. Module
//! fields carry the checkpoint's names, so a parameter's path is its name there. The variants that OPT-350m alone uses (norms
//! after the branches, projected embeddings) are refused by [`OptConfig::check`].

use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Embedding, LayerNorm, Linear};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::parts::{Source, attend, causal_mask, ids, rows, sequence, split_heads};
use super::{Checkpoint, Input, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};

/// Rows of the position table before position 0: the architecture's heritage of a padding row.
const POSITION_OFFSET: usize = 2;
/// OPT's layer norms leave the epsilon at the framework's default.
const EPSILON: f64 = 1e-5;

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
    /// Whether norms stand before the branches; only `true` is supported.
    pub do_layer_norm_before: bool,
    /// Width of the token embedding; only `hidden_size` is supported.
    pub word_embed_proj_dim: Option<usize>,
    /// Activation of the feed-forward branch; only `relu` is supported.
    pub activation_function: String,
    /// Whether linear layers have biases.
    pub enable_bias: bool,
    /// Whether layer norms have a scale and a shift; only `true` is supported.
    pub layer_norm_elementwise_affine: bool,
    /// Whether the head is the token embedding; only `true` is supported.
    pub tie_word_embeddings: bool,
    /// Whether the norm before the head is missing; only `false` is supported.
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
    /// Refuses what this implementation does not compute.
    ///
    /// # Errors
    /// An unsupported variant, or sizes that cannot be.
    pub fn check(&self) -> Result<(), Error> {
        let problem = if self.model_type != "opt" {
            format!("model_type `{}` is not `opt`", self.model_type)
        } else if !self.do_layer_norm_before || self.remove_final_layer_norm {
            "norms after the branches (as in OPT-350m) are not supported, only `do_layer_norm_before: true`".into()
        } else if self.word_embed_proj_dim.is_some_and(|width| width != self.hidden_size) {
            format!("projected embeddings are not supported: word_embed_proj_dim must be {}", self.hidden_size)
        } else if self.activation_function != "relu" {
            format!("activation_function `{}` is not supported, only `relu`", self.activation_function)
        } else if !self.tie_word_embeddings || !self.layer_norm_elementwise_affine {
            "only a tied head and norms with scale and shift are supported".into()
        } else if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            format!(
                "hidden_size {} is not a multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            )
        } else if [self.vocab_size, self.hidden_size, self.ffn_dim, self.max_position_embeddings].contains(&0) {
            "vocab_size, hidden_size, ffn_dim and max_position_embeddings must be at least 1".into()
        } else {
            return Ok(());
        };
        Err(Error::Invalid(format!("OPT configuration: {problem}")))
    }
}

/// The lookup tables: token ids to the input of the first block.
#[derive(Module, Debug)]
pub struct Embeddings {
    embed_tokens: Embedding,
    embed_positions: Embedding,
}

impl Embeddings {
    fn load(source: Source<'_>, config: &OptConfig, root: &str) -> Result<Self, Error> {
        let positions = config.max_position_embeddings + POSITION_OFFSET;
        Ok(Self {
            embed_tokens: source.embedding(&format!("{root}.embed_tokens"), config.vocab_size, config.hidden_size)?,
            embed_positions: source.embedding(&format!("{root}.embed_positions"), positions, config.hidden_size)?,
        })
    }

    /// Token ids `[B, T]` to `[B, T, D]`; `T` at most the configured positions.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, length] = ids.dims();
        let positions = self.embed_positions.weight.val().narrow(0, POSITION_OFFSET, length);
        self.embed_tokens.forward(ids) + positions.unsqueeze::<3>()
    }
}

/// Causal self-attention with biased projections.
#[derive(Module, Debug)]
pub struct Attention {
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    heads: usize,
}

impl Attention {
    fn load(source: Source<'_>, config: &OptConfig, name: &str) -> Result<Self, Error> {
        let width = config.hidden_size;
        let linear = |part: &str| source.linear(&format!("{name}.{part}"), width, width, config.enable_bias);
        Ok(Self {
            q_proj: linear("q_proj")?,
            k_proj: linear("k_proj")?,
            v_proj: linear("v_proj")?,
            out_proj: linear("out_proj")?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, length, width] = x.dims();
        let mask = causal_mask(length, &x.device());
        let scale = ((width / self.heads) as f64).sqrt().recip();
        let q = split_heads(self.q_proj.forward(x.clone()) * scale, self.heads);
        let k = split_heads(self.k_proj.forward(x.clone()), self.heads);
        let v = split_heads(self.v_proj.forward(x), self.heads);
        self.out_proj.forward(attend(q, k, v, Some(mask)))
    }
}

/// One decoder block.
#[derive(Module, Debug)]
pub struct Block {
    self_attn: Attention,
    self_attn_layer_norm: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    final_layer_norm: LayerNorm,
}

impl Block {
    fn load(source: Source<'_>, config: &OptConfig, name: &str) -> Result<Self, Error> {
        let (width, inner, bias) = (config.hidden_size, config.ffn_dim, config.enable_bias);
        Ok(Self {
            self_attn: Attention::load(source, config, &format!("{name}.self_attn"))?,
            self_attn_layer_norm: source.layer_norm(&format!("{name}.self_attn_layer_norm"), width, EPSILON)?,
            fc1: source.linear(&format!("{name}.fc1"), width, inner, bias)?,
            fc2: source.linear(&format!("{name}.fc2"), inner, width, bias)?,
            final_layer_norm: source.layer_norm(&format!("{name}.final_layer_norm"), width, EPSILON)?,
        })
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward_with(x, &mut |branch| branch)
    }

    /// As [`Block::forward`], with `regularise` applied to the result of each branch before it joins the residual stream.
    pub(crate) fn forward_with(&self, x: Tensor<3>, regularise: &mut dyn FnMut(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        let branch = self.self_attn.forward(self.self_attn_layer_norm.forward(x.clone()));
        let x = x + regularise(branch);
        let branch = self.fc2.forward(relu(self.fc1.forward(self.final_layer_norm.forward(x.clone()))));
        x + regularise(branch)
    }
}

/// The decoder's last norm, under its name in the checkpoint.
#[derive(Module, Debug)]
pub struct HeadNorm {
    final_layer_norm: LayerNorm,
}

/// The last norm and the tied head.
#[derive(Module, Debug)]
pub struct Head {
    decoder: HeadNorm,
    lm_head: Linear,
}

impl Head {
    fn load(source: Source<'_>, config: &OptConfig, root: &str) -> Result<Self, Error> {
        let (rows, width) = (config.vocab_size, config.hidden_size);
        let final_layer_norm = source.layer_norm(&format!("{root}.final_layer_norm"), width, EPSILON)?;
        let lm_head = source.linear(&format!("{root}.embed_tokens"), width, rows, false)?;
        Ok(Self { decoder: HeadNorm { final_layer_norm }, lm_head })
    }

    /// `[R, D]` to logits `[R, V]`.
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        self.lm_head.forward(self.decoder.final_layer_norm.forward(rows))
    }
}

/// The decoder's parameters under one name.
#[derive(Module, Debug)]
pub struct Decoder {
    embed_tokens: Embedding,
    embed_positions: Embedding,
    layers: Vec<Block>,
    final_layer_norm: LayerNorm,
}

/// The whole model in one module, the head tied to the token embedding: what training updates.
#[derive(Module, Debug)]
pub struct OptModel {
    decoder: Decoder,
}

impl OptModel {
    /// Builds the model from `weights` on `device`.
    ///
    /// # Errors
    /// The configuration is not supported, or a tensor is missing or malformed.
    pub fn load(config: &OptConfig, weights: &dyn Weights, device: &Device) -> Result<Self, Error> {
        config.check()?;
        let root = root(weights);
        let source = Source { weights, device };
        let Embeddings { embed_tokens, embed_positions } = Embeddings::load(source, config, root)?;
        let layers = (0..config.num_hidden_layers).map(|i| Block::load(source, config, &format!("{root}.layers.{i}")));
        let layers = layers.collect::<Result<_, _>>()?;
        let final_layer_norm = source.layer_norm(&format!("{root}.final_layer_norm"), config.hidden_size, EPSILON)?;
        Ok(Self { decoder: Decoder { embed_tokens, embed_positions, layers, final_layer_norm } })
    }

    /// Token ids `[B, T]` to logits `[B * T, V]`, with `regularise` applied to the embeddings and to every branch.
    pub(crate) fn forward_with(
        &self,
        ids: Tensor<2, Int>,
        regularise: &mut dyn FnMut(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<2> {
        let [batch, length] = ids.dims();
        let Decoder { embed_tokens, embed_positions, layers, final_layer_norm } = &self.decoder;
        let tables = Embeddings { embed_tokens: embed_tokens.clone(), embed_positions: embed_positions.clone() };
        let mut x = regularise(tables.forward(ids));
        for block in layers {
            x = block.forward_with(x, regularise);
        }
        let [_, _, width] = x.dims();
        let rows = final_layer_norm.forward(x).reshape([batch * length, width]);
        rows.matmul(embed_tokens.weight.val().transpose())
    }
}

/// An OPT checkpoint, cut in stages.
#[derive(Clone)]
pub struct OptCheckpoint {
    config: OptConfig,
    weights: Arc<dyn Weights>,
    device: Device,
}

impl OptCheckpoint {
    /// Joins a configuration and the tensors it describes; stages are built on the CPU backend.
    ///
    /// # Errors
    /// The configuration is not supported.
    pub fn new(config: OptConfig, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, weights, device: Device::flex() })
    }

    /// The configuration.
    pub fn config(&self) -> &OptConfig {
        &self.config
    }
}

impl Checkpoint for OptCheckpoint {
    fn architecture(&self) -> &str {
        "opt"
    }

    fn task(&self) -> Task {
        Task::CausalLm
    }

    fn input(&self) -> Input {
        Input::Tokens { vocabulary: self.config.vocab_size, longest: self.config.max_position_embeddings }
    }

    fn stages(&self) -> usize {
        self.config.num_hidden_layers + 2
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source { weights: &*self.weights, device: &self.device };
        let root = root(&*self.weights);
        let last = self.config.num_hidden_layers + 1;
        Ok(match index {
            0 => Box::new(Piece::new("decoder", Embeddings::load(source, &self.config, root)?, |module, input| {
                Activation::Sequence(module.forward(ids(input)))
            })),
            index if index < last => {
                let name = format!("layers.{}", index - 1);
                let block = Block::load(source, &self.config, &format!("{root}.{name}"))?;
                Box::new(Piece::new(format!("decoder.{name}"), block, |module, input| {
                    Activation::Sequence(module.forward(sequence(input)))
                }))
            }
            index if index == last => {
                Box::new(Piece::new("", Head::load(source, &self.config, root)?, |module, input| {
                    Activation::Rows(module.forward(rows(input)))
                }))
            }
            _ => return Err(Error::Invalid(format!("stage {index} of {}: give 0 to {last}", last + 1))),
        })
    }
}

/// The name that the decoder's tensors start with: with or without the language model's `model.`.
fn root(weights: &dyn Weights) -> &'static str {
    if weights.has("decoder.embed_tokens.weight") { "decoder" } else { "model.decoder" }
}
