//! The OPT architecture: a decoder language model with learned positions, a layer norm before each branch and a tied head.
//!
//! OPT-350m alone has its norms after the branches, none before the head, and a narrower token embedding that is projected. The
//! same blocks serve as stages of a [`Checkpoint`] and as the whole [`OptModel`] that training differentiates. Module fields carry
//! the checkpoint's names, so a parameter's path is its name there.

mod config;

use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Embedding, LayerNorm};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Int, Tensor};

use super::parts::{Source, attend, causal_mask, ids, no_stage, rows, sequence, split_heads};
use super::tied::{self, Tied};
use super::{Checkpoint, Input, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};
use crate::emu::{EmuLinear, Layers};

pub use config::OptConfig;

/// Rows of the position table before position 0: the architecture's heritage of a padding row.
const POSITION_OFFSET: usize = 2;
/// OPT's layer norms leave the epsilon at the framework's default.
const EPSILON: f64 = 1e-5;

/// The lookup tables: token ids to the input of the first block.
#[derive(Module, Debug)]
pub struct Embeddings {
    embed_tokens: Embedding,
    embed_positions: Embedding,
    project_in: Option<EmuLinear>,
}

impl Embeddings {
    fn load(source: Source<'_>, config: &OptConfig, root: &str, tokens: &Tensor<2>) -> Result<Self, Error> {
        let (width, inner) = (config.hidden_size, config.embedding());
        let positions = config.max_position_embeddings.saturating_add(POSITION_OFFSET);
        let project_in = || source.linear(&format!("{root}.project_in"), inner, width, false);
        Ok(Self {
            embed_tokens: tied::table(tokens),
            embed_positions: source.embedding(&format!("{root}.embed_positions"), positions, width)?,
            project_in: config.is_projected().then(project_in).transpose()?,
        })
    }

    /// Token ids `[B, T]` to `[B, T, D]`; `T` at most the configured positions.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, length] = ids.dims();
        let positions = self.embed_positions.weight.val().narrow(0, POSITION_OFFSET, length);
        let tokens = self.embed_tokens.forward(ids);
        let tokens = match &self.project_in {
            Some(projection) => projection.forward(tokens),
            None => tokens,
        };
        tokens + positions.unsqueeze::<3>()
    }
}

/// Causal self-attention with biased projections.
#[derive(Module, Debug)]
pub struct Attention {
    q_proj: EmuLinear,
    k_proj: EmuLinear,
    v_proj: EmuLinear,
    out_proj: EmuLinear,
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
        let mask = causal_mask(length, None, &x.device());
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
    fc1: EmuLinear,
    fc2: EmuLinear,
    final_layer_norm: LayerNorm,
    norms_first: bool,
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
            norms_first: config.do_layer_norm_before,
        })
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward_with(x, &mut |branch| branch)
    }

    /// As [`Block::forward`], with `regularise` applied to the result of each branch before it joins the residual stream.
    pub(crate) fn forward_with(&self, x: Tensor<3>, regularise: &mut dyn FnMut(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        let (attention, feed_forward) = (&self.self_attn_layer_norm, &self.final_layer_norm);
        let mlp = |x: Tensor<3>| self.fc2.forward(relu(self.fc1.forward(x)));
        if self.norms_first {
            let x = x.clone() + regularise(self.self_attn.forward(attention.forward(x)));
            x.clone() + regularise(mlp(feed_forward.forward(x)))
        } else {
            let x = attention.forward(x.clone() + regularise(self.self_attn.forward(x)));
            feed_forward.forward(x.clone() + regularise(mlp(x)))
        }
    }
}

/// What the decoder does after its blocks, under its names in the checkpoint.
#[derive(Module, Debug)]
pub struct Exit {
    final_layer_norm: Option<LayerNorm>,
    project_out: Option<EmuLinear>,
}

impl Exit {
    fn load(source: Source<'_>, config: &OptConfig, root: &str) -> Result<Self, Error> {
        let (width, inner) = (config.hidden_size, config.embedding());
        let final_layer_norm = || source.layer_norm(&format!("{root}.final_layer_norm"), width, EPSILON);
        let project_out = || source.linear(&format!("{root}.project_out"), width, inner, false);
        Ok(Self {
            final_layer_norm: config.do_layer_norm_before.then(final_layer_norm).transpose()?,
            project_out: config.is_projected().then(project_out).transpose()?,
        })
    }

    /// Rows of the residual stream to rows of the width of the token embedding.
    fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let x = match &self.final_layer_norm {
            Some(norm) => norm.forward(x),
            None => x,
        };
        match &self.project_out {
            Some(projection) => projection.forward(x),
            None => x,
        }
    }
}

/// The decoder's exit and the tied head.
#[derive(Module, Debug)]
pub struct Head {
    decoder: Exit,
    lm_head: EmuLinear,
}

impl Head {
    fn load(source: Source<'_>, config: &OptConfig, root: &str, tokens: &Tensor<2>) -> Result<Self, Error> {
        Ok(Self { decoder: Exit::load(source, config, root)?, lm_head: tied::head(tokens) })
    }

    /// `[R, D]` to logits `[R, V]`.
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        self.lm_head.forward(self.decoder.forward(rows))
    }
}

/// The decoder's parameters under one name.
#[derive(Module, Debug)]
pub struct Decoder {
    embed_tokens: Embedding,
    embed_positions: Embedding,
    project_in: Option<EmuLinear>,
    layers: Vec<Block>,
    final_layer_norm: Option<LayerNorm>,
    project_out: Option<EmuLinear>,
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
        Self::load_with(config, weights, device, &Layers::plain())
    }

    /// The same with the linear layers that `layers` says.
    ///
    /// # Errors
    /// Those of [`OptModel::load`]; a layer that cannot be emulated so.
    pub fn load_with(
        config: &OptConfig,
        weights: &dyn Weights,
        device: &Device,
        layers: &Layers,
    ) -> Result<Self, Error> {
        config.check()?;
        let root = root(weights);
        let source = Source::new(weights, device).emulating(layers);
        let tokens = source.tensor(&format!("{root}.embed_tokens.weight"), [config.vocab_size, config.embedding()])?;
        let Embeddings { embed_tokens, embed_positions, project_in } = Embeddings::load(source, config, root, &tokens)?;
        let layers = (0..config.num_hidden_layers).map(|i| Block::load(source, config, &format!("{root}.layers.{i}")));
        let layers = layers.collect::<Result<_, _>>()?;
        let Exit { final_layer_norm, project_out } = Exit::load(source, config, root)?;
        let decoder = Decoder { embed_tokens, embed_positions, project_in, layers, final_layer_norm, project_out };
        Ok(Self { decoder })
    }

    /// Token ids `[B, T]` to logits `[B * T, V]`.
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<2> {
        self.forward_with(ids, &mut |branch| branch)
    }

    /// The same with `regularise` applied to the embeddings and to every branch.
    pub(crate) fn forward_with(
        &self,
        ids: Tensor<2, Int>,
        regularise: &mut dyn FnMut(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<2> {
        let [batch, length] = ids.dims();
        let decoder = self.decoder.clone();
        let Decoder { embed_tokens, embed_positions, project_in, layers, final_layer_norm, project_out } = decoder;
        let head = embed_tokens.weight.val().transpose();
        let mut x = regularise(Embeddings { embed_tokens, embed_positions, project_in }.forward(ids));
        for block in layers {
            x = block.forward_with(x, regularise);
        }
        let [_, _, width] = x.dims();
        let rows = x.reshape([batch * length, width]);
        Exit { final_layer_norm, project_out }.forward(rows).matmul(head)
    }
}

/// An OPT checkpoint, cut in stages.
#[derive(Clone)]
pub struct OptCheckpoint {
    config: OptConfig,
    weights: Arc<dyn Weights>,
    device: Device,
    tied: Tied,
}

impl OptCheckpoint {
    /// Joins a configuration and the tensors it describes; stages are built on the CPU backend.
    ///
    /// # Errors
    /// The configuration is not supported.
    pub fn new(config: OptConfig, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, weights, device: Device::flex(), tied: Tied::default() })
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
        self.config.num_hidden_layers.saturating_add(2)
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source::new(&*self.weights, &self.device);
        let root = root(&*self.weights);
        let last = self.config.num_hidden_layers.saturating_add(1);
        let shape = [self.config.vocab_size, self.config.embedding()];
        let tokens = || self.tied.matrix(source, &format!("{root}.embed_tokens"), shape);
        Ok(match index {
            0 => {
                let tokens = tokens()?;
                let embeddings = Embeddings::load(source, &self.config, root, &tokens)?;
                let forward = |module: &Embeddings, input| Activation::Sequence(module.forward(ids(input)));
                Box::new(Piece::new("decoder", embeddings, forward).holding(tokens))
            }
            index if index < last => {
                let name = format!("layers.{}", index - 1);
                let block = Block::load(source, &self.config, &format!("{root}.{name}"))?;
                Box::new(Piece::new(format!("decoder.{name}"), block, |module, input| {
                    Activation::Sequence(module.forward(sequence(input)))
                }))
            }
            index if index == last => {
                let tokens = tokens()?;
                let head = Head::load(source, &self.config, root, &tokens)?;
                let forward = |module: &Head, input| Activation::Rows(module.forward(rows(input)));
                Box::new(Piece::new("", head, forward).holding(tokens))
            }
            _ => return Err(no_stage(index, self.stages())),
        })
    }
}

/// The name that the decoder's tensors start with: with or without the language model's `model.`.
fn root(weights: &dyn Weights) -> &'static str {
    if weights.has("decoder.embed_tokens.weight") { "decoder" } else { "model.decoder" }
}
