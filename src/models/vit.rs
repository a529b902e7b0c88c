//! The vision transformer: patches by a strided convolution, a class token, learned positions, norms before each branch.
//!
//! The same blocks serve as stages of a [`Checkpoint`] and as the whole [`VitModel`] that training differentiates. Module
//! fields carry the checkpoint's names. The head reads the class token alone; there is no pooler.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::tensor::activation::gelu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::parts::{Source, attend, images, is_image, no_stage, rows, sequence, split_heads, wrong_epsilon};
use super::{Checkpoint, Input, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};
use crate::emu::{EmuLinear, Emulation, Layers, patches};

/// `config.json` of a ViT checkpoint; a key that is left out has the architecture's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VitConfig {
    /// Always `vit`.
    pub model_type: String,
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
    /// Epsilon of every norm.
    pub layer_norm_eps: f64,
    /// Rows and columns of pixels.
    pub image_size: usize,
    /// Rows and columns of a patch.
    pub patch_size: usize,
    /// Channels of an image.
    pub num_channels: usize,
    /// Whether the projections to queries, keys and values have biases.
    pub qkv_bias: bool,
    /// Names of the classes by index; their number is the width of the head.
    pub id2label: BTreeMap<usize, String>,
}

impl Default for VitConfig {
    fn default() -> Self {
        Self {
            model_type: "vit".into(),
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-12,
            image_size: 224,
            patch_size: 16,
            num_channels: 3,
            qkv_bias: true,
            id2label: (0..2).map(|class| (class, format!("LABEL_{class}"))).collect(),
        }
    }
}

impl VitConfig {
    /// The images that a model of this configuration takes.
    pub(crate) fn input(&self) -> Input {
        Input::Images { channels: self.num_channels, height: self.image_size, width: self.image_size }
    }

    /// Refuses what this implementation does not compute.
    ///
    /// # Errors
    /// An unsupported variant, or sizes that cannot be.
    pub fn check(&self) -> Result<(), Error> {
        self.check_as("vit")
    }

    /// [`VitConfig::check`] for an architecture of the same configuration.
    pub(crate) fn check_as(&self, model_type: &str) -> Result<(), Error> {
        let problem = if self.model_type != model_type {
            format!("model_type `{}` is not `{model_type}`", self.model_type)
        } else if self.hidden_act != "gelu" {
            format!("hidden_act `{}` is not supported, only `gelu`", self.hidden_act)
        } else if self.num_attention_heads == 0 || !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            let (width, heads) = (self.hidden_size, self.num_attention_heads);
            format!("hidden_size {width} is not a multiple of num_attention_heads {heads}")
        } else if self.patch_size == 0 || self.image_size == 0 || !self.image_size.is_multiple_of(self.patch_size) {
            format!("image_size {} is not a multiple of patch_size {}", self.image_size, self.patch_size)
        } else if [self.hidden_size, self.intermediate_size, self.id2label.len()].contains(&0) {
            "hidden_size, intermediate_size and the number of labels must be at least 1".into()
        } else if !is_image(self.num_channels, self.image_size) {
            let (channels, side) = (self.num_channels, self.image_size);
            format!("images of {channels} x {side} x {side} are empty or beyond what is ever run")
        } else if let Some(problem) = wrong_epsilon("layer_norm_eps", self.layer_norm_eps) {
            problem
        } else {
            return Ok(());
        };
        Err(Error::Invalid(format!("ViT configuration: {problem}")))
    }

    /// Positions of a sequence: the patches and the class token.
    pub fn positions(&self) -> usize {
        self.patches() + 1
    }

    /// Patches of an image.
    pub fn patches(&self) -> usize {
        let side = self.image_size / self.patch_size;
        side * side
    }
}

/// The patch convolution, under its name in the checkpoint.
#[derive(Module, Debug)]
pub struct Patches {
    projection: Conv2d,
    #[module(skip)]
    emulation: Option<Emulation>,
}

impl Patches {
    pub(crate) fn load(source: Source<'_>, config: &VitConfig, name: &str) -> Result<Self, Error> {
        let (width, patch, channels) = (config.hidden_size, config.patch_size, config.num_channels);
        let convolution = Conv2dConfig::new([channels, width], [patch, patch]).with_stride([patch, patch]);
        let mut projection = convolution.init(source.device);
        projection.weight = source.param(&format!("{name}.projection.weight"), [width, channels, patch, patch])?;
        projection.bias = Some(source.param(&format!("{name}.projection.bias"), [width])?);
        let emulation = source.layers.patches(&format!("{name}.projection"), &projection.weight.val())?;
        Ok(Self { projection, emulation })
    }

    /// Images `[B, C, H, W]` to `[B, patches, D]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        if let Some(emulation) = &self.emulation {
            let bias = self.projection.bias.as_ref().map(Param::val);
            return patches(images, self.projection.weight.val(), bias, emulation);
        }
        let patches: Tensor<3> = self.projection.forward(images).flatten(2, 3);
        patches.swap_dims(1, 2)
    }
}

/// Images to the input of the first block.
#[derive(Module, Debug)]
pub struct Embeddings {
    cls_token: Param<Tensor<3>>,
    position_embeddings: Param<Tensor<3>>,
    patch_embeddings: Patches,
}

impl Embeddings {
    fn load(source: Source<'_>, config: &VitConfig) -> Result<Self, Error> {
        let width = config.hidden_size;
        Ok(Self {
            cls_token: source.param("vit.embeddings.cls_token", [1, 1, width])?,
            position_embeddings: source.param("vit.embeddings.position_embeddings", [1, config.positions(), width])?,
            patch_embeddings: Patches::load(source, config, "vit.embeddings.patch_embeddings")?,
        })
    }

    /// Images `[B, C, H, W]` to `[B, positions, D]`, the class token first.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let patches = self.patch_embeddings.forward(images);
        let [batch, _, width] = patches.dims();
        let class = self.cls_token.val().expand([batch, 1, width]);
        Tensor::cat(vec![class, patches], 1) + self.position_embeddings.val()
    }
}

/// The three input projections of attention.
#[derive(Module, Debug)]
pub struct Projections {
    query: EmuLinear,
    key: EmuLinear,
    value: EmuLinear,
}

/// A linear layer that the checkpoint calls `dense`.
#[derive(Module, Debug)]
pub struct Dense {
    dense: EmuLinear,
}

impl Dense {
    fn load(source: Source<'_>, name: &str, input: usize, output: usize) -> Result<Self, Error> {
        Ok(Self { dense: source.linear(&format!("{name}.dense"), input, output, true)? })
    }
}

/// Self-attention over all positions.
#[derive(Module, Debug)]
pub struct Attention {
    attention: Projections,
    output: Dense,
    heads: usize,
}

impl Attention {
    fn load(source: Source<'_>, config: &VitConfig, name: &str) -> Result<Self, Error> {
        let width = config.hidden_size;
        let linear = |part: &str| source.linear(&format!("{name}.attention.{part}"), width, width, config.qkv_bias);
        Ok(Self {
            attention: Projections { query: linear("query")?, key: linear("key")?, value: linear("value")? },
            output: Dense::load(source, &format!("{name}.output"), width, width)?,
            heads: config.num_attention_heads,
        })
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let [_, _, width] = x.dims();
        let scale = ((width / self.heads) as f64).sqrt().recip();
        let q = split_heads(self.attention.query.forward(x.clone()) * scale, self.heads);
        let k = split_heads(self.attention.key.forward(x.clone()), self.heads);
        let v = split_heads(self.attention.value.forward(x), self.heads);
        self.output.dense.forward(attend(q, k, v, None))
    }
}

/// One encoder block.
#[derive(Module, Debug)]
pub struct Block {
    attention: Attention,
    intermediate: Dense,
    output: Dense,
    layernorm_before: LayerNorm,
    layernorm_after: LayerNorm,
}

impl Block {
    pub(crate) fn load(source: Source<'_>, config: &VitConfig, name: &str) -> Result<Self, Error> {
        let (width, inner, epsilon) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let name = |part: &str| format!("{name}.{part}");
        Ok(Self {
            attention: Attention::load(source, config, &name("attention"))?,
            intermediate: Dense::load(source, &name("intermediate"), width, inner)?,
            output: Dense::load(source, &name("output"), inner, width)?,
            layernorm_before: source.layer_norm(&name("layernorm_before"), width, epsilon)?,
            layernorm_after: source.layer_norm(&name("layernorm_after"), width, epsilon)?,
        })
    }

    /// `[B, T, D]` to `[B, T, D]`.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.forward_with(x, &mut |branch| branch)
    }

    /// As [`Block::forward`], with `regularise` applied to the result of each branch before it joins the residual stream.
    pub(crate) fn forward_with(&self, x: Tensor<3>, regularise: &mut dyn FnMut(Tensor<3>) -> Tensor<3>) -> Tensor<3> {
        let branch = self.attention.forward(self.layernorm_before.forward(x.clone()));
        let x = x + regularise(branch);
        let inner = gelu(self.intermediate.dense.forward(self.layernorm_after.forward(x.clone())));
        x + regularise(self.output.dense.forward(inner))
    }
}

fn block_name(index: usize) -> String {
    format!("vit.encoder.layer.{index}")
}

/// The last norm, under its name in the checkpoint.
#[derive(Module, Debug)]
pub struct HeadNorm {
    layernorm: LayerNorm,
}

/// The last norm and the classifier.
#[derive(Module, Debug)]
pub struct Head {
    vit: HeadNorm,
    classifier: EmuLinear,
}

impl Head {
    fn load(source: Source<'_>, config: &VitConfig) -> Result<Self, Error> {
        let layernorm = source.layer_norm("vit.layernorm", config.hidden_size, config.layer_norm_eps)?;
        let classifier = source.linear("classifier", config.hidden_size, config.id2label.len(), true)?;
        Ok(Self { vit: HeadNorm { layernorm }, classifier })
    }

    /// Class tokens `[R, D]` to logits `[R, classes]`.
    pub fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        self.classifier.forward(self.vit.layernorm.forward(rows))
    }
}

/// The blocks, under their name in the checkpoint.
#[derive(Module, Debug)]
pub struct Encoder {
    layer: Vec<Block>,
}

/// Everything but the classifier.
#[derive(Module, Debug)]
pub struct Backbone {
    embeddings: Embeddings,
    encoder: Encoder,
    layernorm: LayerNorm,
}

/// The whole model in one module: what training updates.
#[derive(Module, Debug)]
pub struct VitModel {
    vit: Backbone,
    classifier: EmuLinear,
}

impl VitModel {
    /// Builds the model from `weights` on `device`.
    ///
    /// # Errors
    /// The configuration is not supported, or a tensor is missing or malformed.
    pub fn load(config: &VitConfig, weights: &dyn Weights, device: &Device) -> Result<Self, Error> {
        Self::load_with(config, weights, device, &Layers::plain())
    }

    /// The same with the linear layers that `layers` says.
    ///
    /// # Errors
    /// Those of [`VitModel::load`]; a layer that cannot be emulated so.
    pub fn load_with(
        config: &VitConfig,
        weights: &dyn Weights,
        device: &Device,
        layers: &Layers,
    ) -> Result<Self, Error> {
        config.check()?;
        let source = Source::new(weights, device).emulating(layers);
        let embeddings = Embeddings::load(source, config)?;
        let layer = (0..config.num_hidden_layers).map(|index| Block::load(source, config, &block_name(index)));
        let encoder = Encoder { layer: layer.collect::<Result<_, _>>()? };
        let Head { vit: HeadNorm { layernorm }, classifier } = Head::load(source, config)?;
        Ok(Self { vit: Backbone { embeddings, encoder, layernorm }, classifier })
    }

    /// Images `[B, C, H, W]` to logits `[B, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.forward_with(images, &mut |branch| branch)
    }

    /// The same with `regularise` applied to the embeddings and to every branch.
    pub(crate) fn forward_with(
        &self,
        images: Tensor<4>,
        regularise: &mut dyn FnMut(Tensor<3>) -> Tensor<3>,
    ) -> Tensor<2> {
        let mut x = regularise(self.vit.embeddings.forward(images));
        for block in &self.vit.encoder.layer {
            x = block.forward_with(x, regularise);
        }
        let class: Tensor<2> = x.narrow(1, 0, 1).squeeze_dim(1);
        self.classifier.forward(self.vit.layernorm.forward(class))
    }
}

/// A ViT checkpoint, cut in stages.
#[derive(Clone)]
pub struct VitCheckpoint {
    config: VitConfig,
    weights: Arc<dyn Weights>,
    device: Device,
}

impl VitCheckpoint {
    /// Joins a configuration and the tensors it describes; stages are built on the CPU backend.
    ///
    /// # Errors
    /// The configuration is not supported.
    pub fn new(config: VitConfig, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, weights, device: Device::flex() })
    }

    /// The configuration.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }
}

impl Checkpoint for VitCheckpoint {
    fn architecture(&self) -> &str {
        "vit"
    }

    fn task(&self) -> Task {
        Task::ImageClassification
    }

    fn input(&self) -> Input {
        self.config.input()
    }

    fn stages(&self) -> usize {
        self.config.num_hidden_layers + 2
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source::new(&*self.weights, &self.device);
        let last = self.config.num_hidden_layers + 1;
        Ok(match index {
            0 => Box::new(Piece::new("vit.embeddings", Embeddings::load(source, &self.config)?, |module, input| {
                Activation::Sequence(module.forward(images(input)))
            })),
            index if index < last => {
                let name = block_name(index - 1);
                let block = Block::load(source, &self.config, &name)?;
                Box::new(Piece::new(name, block, |module, input| Activation::Sequence(module.forward(sequence(input)))))
            }
            index if index == last => Box::new(Piece::new("", Head::load(source, &self.config)?, |module, input| {
                Activation::Rows(module.forward(rows(input)))
            })),
            _ => return Err(no_stage(index, last + 1)),
        })
    }
}
