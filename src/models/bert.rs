//! The BERT encoder: learned positions and segments, a layer norm after each branch, every position looks at every other.
//!
//! Read as a sentence encoder, as MiniLM and its kin are: one vector of unit length a text. Texts of different lengths do not share
//! a batch, so nothing is ever padded and no attention mask is needed; what masked attention gives for a padded batch is the same,
//! and a format whose scale covers a whole sequence does not see padding. Module fields carry the checkpoint's names, but for the
//! norms.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Embedding, LayerNorm};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};

use super::parts::{Source, attend, no_stage, rows, sequence, split_heads, text, wrong_epsilon};
use super::{Checkpoint, Input, Pooling, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};
use crate::emu::EmuLinear;

/// Below this length a vector is not scaled up, as in PyTorch's `normalize`.
const SHORTEST: f64 = 1e-12;

/// `config.json` of a BERT checkpoint; a key that is left out has the architecture's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// Always `bert`.
    pub model_type: String,
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Attention heads a block.
    pub num_attention_heads: usize,
    /// Width of the feed-forward branch.
    pub intermediate_size: usize,
    /// Activation of the feed-forward branch; only `gelu` (by the error function) is supported.
    pub hidden_act: String,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Rows of the segment embedding.
    pub type_vocab_size: usize,
    /// Epsilon of every norm.
    pub layer_norm_eps: f64,
    /// How positions are told apart; only `absolute` is supported.
    pub position_embedding_type: String,
    /// Whether positions look only back; only `false` is supported.
    pub is_decoder: bool,
}

impl Default for BertConfig {
    fn default() -> Self {
        Self {
            model_type: "bert".into(),
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".into(),
            max_position_embeddings: 512,
            type_vocab_size: 2,
            layer_norm_eps: 1e-12,
            position_embedding_type: "absolute".into(),
            is_decoder: false,
        }
    }
}

impl BertConfig {
    /// Refuses what this implementation does not compute.
    ///
    /// # Errors
    /// An unsupported variant, or sizes that cannot be.
    pub fn check(&self) -> Result<(), Error> {
        let sizes = [self.vocab_size, self.hidden_size, self.intermediate_size, self.max_position_embeddings];
        let problem = if self.model_type != "bert" {
            format!("model_type `{}` is not `bert`", self.model_type)
        } else if self.hidden_act != "gelu" {
            format!("hidden_act `{}` is not supported, only `gelu`", self.hidden_act)
        } else if self.position_embedding_type != "absolute" {
            format!("position_embedding_type `{}` is not supported, only `absolute`", self.position_embedding_type)
        } else if self.is_decoder {
            "is_decoder true is not supported, only an encoder".into()
        } else if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let (width, heads) = (self.hidden_size, self.num_attention_heads);
            format!("hidden_size {width} is not a multiple of num_attention_heads {heads}")
        } else if sizes.contains(&0) || self.type_vocab_size == 0 {
            "vocab_size, hidden_size, intermediate_size, max_position_embeddings and type_vocab_size must be at least 1"
                .into()
        } else if let Some(problem) = wrong_epsilon("layer_norm_eps", self.layer_norm_eps) {
            problem
        } else {
            return Ok(());
        };
        Err(Error::Invalid(format!("BERT configuration: {problem}")))
    }
}

/// The lookup tables: token ids and segments to the input of the first block.
#[derive(Module, Debug)]
pub struct Embeddings {
    word_embeddings: Embedding,
    position_embeddings: Embedding,
    token_type_embeddings: Embedding,
    layer_norm: LayerNorm,
}

impl Embeddings {
    fn load(source: Source<'_>, config: &BertConfig) -> Result<Self, Error> {
        let width = config.hidden_size;
        let table = |part: &str, rows| source.embedding(&format!("embeddings.{part}"), rows, width);
        Ok(Self {
            word_embeddings: table("word_embeddings", config.vocab_size)?,
            position_embeddings: table("position_embeddings", config.max_position_embeddings)?,
            token_type_embeddings: table("token_type_embeddings", config.type_vocab_size)?,
            layer_norm: source.layer_norm("embeddings.LayerNorm", width, config.layer_norm_eps)?,
        })
    }

    /// Token ids and segments `[B, 2, T]` to `[B, T, D]`; `T` at most the configured positions.
    pub fn forward(&self, text: Tensor<3, Int>) -> Tensor<3> {
        let [_, _, length] = text.dims();
        let plane = |i: usize| text.clone().narrow(1, i, 1).squeeze_dim::<2>(1);
        let tokens = self.word_embeddings.forward(plane(0)) + self.token_type_embeddings.forward(plane(1));
        let positions = self.position_embeddings.weight.val().narrow(0, 0, length);
        self.layer_norm.forward(tokens + positions.unsqueeze::<3>())
    }
}

/// The three input projections of attention.
#[derive(Module, Debug)]
pub struct Projections {
    query: EmuLinear,
    key: EmuLinear,
    value: EmuLinear,
}

/// The end of a branch: a projection, and the norm over its sum with the residual stream.
#[derive(Module, Debug)]
pub struct Output {
    dense: EmuLinear,
    layer_norm: LayerNorm,
}

impl Output {
    fn load(source: Source<'_>, config: &BertConfig, name: &str, input: usize) -> Result<Self, Error> {
        let width = config.hidden_size;
        Ok(Self {
            dense: source.linear(&format!("{name}.dense"), input, width, true)?,
            layer_norm: source.layer_norm(&format!("{name}.LayerNorm"), width, config.layer_norm_eps)?,
        })
    }

    fn forward(&self, branch: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
        self.layer_norm.forward(self.dense.forward(branch) + x)
    }
}

/// Self-attention over all positions. `self` is no name for a Rust field: paths leave the underscore out.
#[derive(Module, Debug)]
pub struct Attention {
    self_: Projections,
    output: Output,
    heads: usize,
}

impl Attention {
    fn load(source: Source<'_>, config: &BertConfig, name: &str) -> Result<Self, Error> {
        let width = config.hidden_size;
        let linear = |part: &str| source.linear(&format!("{name}.self.{part}"), width, width, true);
        Ok(Self {
            self_: Projections { query: linear("query")?, key: linear("key")?, value: linear("value")? },
            output: Output::load(source, config, &format!("{name}.output"), width)?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = x.dims();
        let scale = ((width / self.heads) as f64).sqrt().recip();
        let q = split_heads(self.self_.query.forward(x.clone()) * scale, self.heads);
        let k = split_heads(self.self_.key.forward(x.clone()), self.heads);
        let v = split_heads(self.self_.value.forward(x.clone()), self.heads);
        self.output.forward(attend(q, k, v, None), x)
    }
}

/// A linear layer that the checkpoint calls `dense`.
#[derive(Module, Debug)]
pub struct Dense {
    dense: EmuLinear,
}

/// One encoder block.
#[derive(Module, Debug)]
pub struct Block {
    attention: Attention,
    intermediate: Dense,
    output: Output,
}

impl Block {
    fn load(source: Source<'_>, config: &BertConfig, name: &str) -> Result<Self, Error> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        Ok(Self {
            attention: Attention::load(source, config, &format!("{name}.attention"))?,
            intermediate: Dense { dense: source.linear(&format!("{name}.intermediate.dense"), width, inner, true)? },
            output: Output::load(source, config, &format!("{name}.output"), inner)?,
        })
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.attention.forward(x);
        self.output.forward(gelu(self.intermediate.dense.forward(x.clone())), x)
    }
}

/// The pooler, where it is asked for, and the scaling to unit length: similarity is the cosine of an angle.
#[derive(Module, Debug)]
pub struct Head {
    pooler: Option<Dense>,
}

impl Head {
    fn load(source: Source<'_>, config: &BertConfig, pooling: Pooling) -> Result<Self, Error> {
        let dense = || source.linear("pooler.dense", config.hidden_size, config.hidden_size, true);
        let pooler = (pooling == Pooling::Pooler).then(dense).transpose()?;
        Ok(Self { pooler: pooler.map(|dense| Dense { dense }) })
    }

    /// Pooled rows `[R, D]` to embeddings `[R, D]`.
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let rows = match &self.pooler {
            Some(pooler) => pooler.dense.forward(rows).tanh(),
            None => rows,
        };
        let length = (rows.clone() * rows.clone()).sum_dim(1).sqrt().clamp_min(SHORTEST);
        rows / length
    }
}

/// A BERT checkpoint, cut in stages.
#[derive(Clone)]
pub struct BertCheckpoint {
    config: BertConfig,
    pooling: Pooling,
    weights: Arc<dyn Weights>,
    device: Device,
}

impl BertCheckpoint {
    /// Joins a configuration, the way from positions to one vector, and the tensors; stages are built on the CPU backend.
    ///
    /// # Errors
    /// The configuration is not supported.
    pub fn new(config: BertConfig, pooling: Pooling, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, pooling, weights, device: Device::flex() })
    }

    /// The configuration.
    pub fn config(&self) -> &BertConfig {
        &self.config
    }
}

impl Checkpoint for BertCheckpoint {
    fn architecture(&self) -> &str {
        "bert"
    }

    fn task(&self) -> Task {
        Task::SentenceEmbedding(self.pooling)
    }

    fn input(&self) -> Input {
        let BertConfig { vocab_size, type_vocab_size, max_position_embeddings, .. } = self.config;
        Input::Text { vocabulary: vocab_size, segments: type_vocab_size, longest: max_position_embeddings }
    }

    fn stages(&self) -> usize {
        self.config.num_hidden_layers.saturating_add(2)
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source::new(&*self.weights, &self.device);
        let config = &self.config;
        let last = config.num_hidden_layers.saturating_add(1);
        Ok(match index {
            0 => Box::new(Piece::new("embeddings", Embeddings::load(source, config)?, |module, input| {
                Activation::Sequence(module.forward(text(input)))
            })),
            index if index < last => {
                let name = format!("encoder.layer.{}", index - 1);
                let block = Block::load(source, config, &name)?;
                Box::new(Piece::new(name, block, |module, input| Activation::Sequence(module.forward(sequence(input)))))
            }
            index if index == last => {
                Box::new(Piece::new("", Head::load(source, config, self.pooling)?, |module, input| {
                    Activation::Rows(module.forward(rows(input)))
                }))
            }
            _ => return Err(no_stage(index, self.stages())),
        })
    }
}
