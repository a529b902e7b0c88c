//! DeiT: the vision transformer with a distillation token beside the class token, and one head or two.
//!
//! Blocks and configuration are those of [`super::vit`]. A checkpoint that was fine-tuned without a teacher has one `classifier`
//! over the class token; one with a teacher has a head over each token, and its logits are their mean. The last norm and the
//! choice of the tokens are a stage of their own, so that the head, as everywhere, takes rows.

use std::sync::Arc;

use burn::module::{Module, Param};
use burn::nn::LayerNorm;
use burn::tensor::{Device, Tensor};

use super::parts::{Source, images, no_stage, rows, sequence};
use super::vit::{Block, Patches, VitConfig};
use super::{Checkpoint, Input, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};
use crate::emu::EmuLinear;

/// The tokens before the patches: class and distillation.
const TOKENS: usize = 2;

/// Images to the input of the first block.
#[derive(Module, Debug)]
pub struct Embeddings {
    cls_token: Param<Tensor<3>>,
    distillation_token: Param<Tensor<3>>,
    position_embeddings: Param<Tensor<3>>,
    patch_embeddings: Patches,
}

impl Embeddings {
    fn load(source: Source<'_>, config: &VitConfig) -> Result<Self, Error> {
        let (width, name) = (config.hidden_size, |part: &str| format!("deit.embeddings.{part}"));
        let positions = config.patches() + TOKENS;
        Ok(Self {
            cls_token: source.param(&name("cls_token"), [1, 1, width])?,
            distillation_token: source.param(&name("distillation_token"), [1, 1, width])?,
            position_embeddings: source.param(&name("position_embeddings"), [1, positions, width])?,
            patch_embeddings: Patches::load(source, config, &name("patch_embeddings"))?,
        })
    }

    /// Images `[B, C, H, W]` to `[B, positions, D]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let patches = self.patch_embeddings.forward(images);
        let [batch, _, width] = patches.dims();
        let token = |token: &Param<Tensor<3>>| token.val().expand([batch, 1, width]);
        let (class, distillation) = (token(&self.cls_token), token(&self.distillation_token));
        Tensor::cat(vec![class, distillation, patches], 1) + self.position_embeddings.val()
    }
}

/// The last norm, over the tokens that the head reads.
#[derive(Module, Debug)]
pub struct Readout {
    layernorm: LayerNorm,
    tokens: usize,
}

impl Readout {
    /// `[B, T, D]` to the first tokens of each image in one row, `[B, tokens * D]`.
    fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let [batch, _, width] = x.dims();
        self.layernorm.forward(x.narrow(1, 0, self.tokens)).reshape([batch, self.tokens * width])
    }
}

/// The heads of a model with a teacher.
#[derive(Module, Debug)]
pub struct Heads {
    cls_classifier: EmuLinear,
    distillation_classifier: EmuLinear,
}

impl Heads {
    /// Class and distillation tokens `[B, 2 * D]` to logits `[B, classes]`.
    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        let width = rows.dims()[1] / TOKENS;
        let class = self.cls_classifier.forward(rows.clone().narrow(1, 0, width));
        (class + self.distillation_classifier.forward(rows.narrow(1, width, width))) / 2.0
    }
}

/// A DeiT checkpoint, cut in stages.
#[derive(Clone)]
pub struct DeitCheckpoint {
    config: VitConfig,
    weights: Arc<dyn Weights>,
    device: Device,
}

impl DeitCheckpoint {
    /// Joins a configuration and the tensors it describes; stages are built on the CPU backend.
    ///
    /// # Errors
    /// The configuration is not supported.
    pub fn new(config: VitConfig, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        config.check_as("deit")?;
        Ok(Self { config, weights, device: Device::flex() })
    }

    /// The configuration.
    pub fn config(&self) -> &VitConfig {
        &self.config
    }

    /// Whether the checkpoint has a head for each token.
    fn has_teacher(&self) -> bool {
        self.weights.has("cls_classifier.weight")
    }

    fn head(&self, source: Source<'_>) -> Result<Box<dyn Stage>, Error> {
        let load = |name: &str| source.linear(name, self.config.hidden_size, self.config.id2label.len(), true);
        Ok(if self.has_teacher() {
            let (cls_classifier, distillation_classifier) = (load("cls_classifier")?, load("distillation_classifier")?);
            let heads = Heads { cls_classifier, distillation_classifier };
            Box::new(Piece::new("", heads, |module, input| Activation::Rows(module.forward(rows(input)))))
        } else {
            let head = load("classifier")?;
            Box::new(Piece::new("classifier", head, |module, input| Activation::Rows(module.forward(rows(input)))))
        })
    }
}

impl Checkpoint for DeitCheckpoint {
    fn architecture(&self) -> &str {
        "deit"
    }

    fn task(&self) -> Task {
        Task::ImageClassification
    }

    fn input(&self) -> Input {
        self.config.input()
    }

    fn stages(&self) -> usize {
        self.config.num_hidden_layers + 3
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source::new(&*self.weights, &self.device);
        let blocks = self.config.num_hidden_layers;
        if index == 0 {
            let embeddings = Embeddings::load(source, &self.config)?;
            Ok(Box::new(Piece::new("deit.embeddings", embeddings, |module, input| {
                Activation::Sequence(module.forward(images(input)))
            })))
        } else if index <= blocks {
            let name = format!("deit.encoder.layer.{}", index - 1);
            let block = Block::load(source, &self.config, &name)?;
            Ok(Box::new(Piece::new(name, block, |module, input| Activation::Sequence(module.forward(sequence(input))))))
        } else if index == blocks + 1 {
            let (width, epsilon) = (self.config.hidden_size, self.config.layer_norm_eps);
            let layernorm = source.layer_norm("deit.layernorm", width, epsilon)?;
            let readout = Readout { layernorm, tokens: if self.has_teacher() { TOKENS } else { 1 } };
            Ok(Box::new(Piece::new("deit", readout, |module, input| Activation::Rows(module.forward(sequence(input))))))
        } else if index == blocks + 2 {
            self.head(source)
        } else {
            Err(no_stage(index, self.stages()))
        }
    }
}
