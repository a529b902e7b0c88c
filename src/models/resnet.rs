//! Residual networks as Hugging Face keeps them: basic and bottleneck blocks, the stride in the 3x3 convolution.
//!
//! Module fields carry the checkpoint's names. Batch normalisation is the affine map of its running statistics. The last block
//! also pools, so that the head, as everywhere, takes rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use burn::module::Module;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use super::convolution::{Affine, Shape, pool};
use super::parts::{Source, images, is_image, no_stage, rows};
use super::{Checkpoint, Input, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};
use crate::emu::EmuLinear;

/// Epsilon of every batch normalisation: PyTorch's default, which the configuration cannot change.
const EPSILON: f64 = 1e-5;

/// More blocks than any network has.
const MOST_BLOCKS: usize = 10_000;

/// How many times narrower a bottleneck is inside.
const REDUCTION: usize = 4;

/// What a block is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayerType {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 and 1x1 convolutions, the middle one narrow.
    Bottleneck,
}

/// `config.json` of a ResNet checkpoint; a key that is left out has the architecture's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResnetConfig {
    /// Always `resnet`.
    pub model_type: String,
    /// Channels of an image.
    pub num_channels: usize,
    /// Channels of the stem.
    pub embedding_size: usize,
    /// Channels that each stage gives.
    pub hidden_sizes: Vec<usize>,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// What a block is made of.
    pub layer_type: LayerType,
    /// Activation; only `relu` is supported.
    pub hidden_act: String,
    /// Whether the first stage halves the image as the others do.
    pub downsample_in_first_stage: bool,
    /// Whether a bottleneck's stride is in its first 1x1 convolution instead of the 3x3.
    pub downsample_in_bottleneck: bool,
    /// Rows and columns of pixels. `config.json` does not say; a folder's `preprocessor_config.json` does.
    pub image_size: usize,
    /// Names of the classes by index; their number is the width of the head.
    pub id2label: BTreeMap<usize, String>,
}

impl Default for ResnetConfig {
    fn default() -> Self {
        Self {
            model_type: "resnet".into(),
            num_channels: 3,
            embedding_size: 64,
            hidden_sizes: vec![256, 512, 1024, 2048],
            depths: vec![3, 4, 6, 3],
            layer_type: LayerType::Bottleneck,
            hidden_act: "relu".into(),
            downsample_in_first_stage: false,
            downsample_in_bottleneck: false,
            image_size: 224,
            id2label: (0..2).map(|class| (class, format!("LABEL_{class}"))).collect(),
        }
    }
}

impl ResnetConfig {
    /// Refuses what this implementation does not compute.
    ///
    /// # Errors
    /// An unsupported variant, or sizes that cannot be.
    pub fn check(&self) -> Result<(), Error> {
        let sizes = [self.embedding_size, self.id2label.len()];
        let blocks = self.depths.iter().try_fold(0usize, |sum, &depth| sum.checked_add(depth));
        let problem = if self.model_type != "resnet" {
            format!("model_type `{}` is not `resnet`", self.model_type)
        } else if self.hidden_act != "relu" {
            format!("hidden_act `{}` is not supported, only `relu`", self.hidden_act)
        } else if self.hidden_sizes.len() != self.depths.len() {
            format!("{} hidden_sizes do not fit {} depths", self.hidden_sizes.len(), self.depths.len())
        } else if self.depths.is_empty() || [&self.depths[..], &self.hidden_sizes, &sizes].concat().contains(&0) {
            "depths, sizes and the number of labels must be at least 1".into()
        } else if !is_image(self.num_channels, self.image_size) || blocks.is_none_or(|blocks| blocks > MOST_BLOCKS) {
            let (channels, side) = (self.num_channels, self.image_size);
            format!("images of {channels} x {side} x {side} or depths {:?} are beyond what is ever run", self.depths)
        } else if self.layer_type == LayerType::Bottleneck && self.hidden_sizes.iter().any(|size| size % REDUCTION != 0)
        {
            format!("hidden_sizes {:?} of bottlenecks must be multiples of {REDUCTION}", self.hidden_sizes)
        } else {
            return Ok(());
        };
        Err(Error::Invalid(format!("ResNet configuration: {problem}")))
    }

    /// Stage and place in it of block `index`, counted over all stages.
    fn place(&self, index: usize) -> Option<(usize, usize)> {
        let mut rest = index;
        for (stage, &depth) in self.depths.iter().enumerate() {
            if rest < depth {
                return Some((stage, rest));
            }
            rest -= depth;
        }
        None
    }

    /// Channels in, channels out and stride of a block.
    fn flow(&self, stage: usize, layer: usize) -> (usize, usize, usize) {
        let output = self.hidden_sizes[stage];
        let before = if stage == 0 { self.embedding_size } else { self.hidden_sizes[stage - 1] };
        match layer {
            0 => (before, output, if stage > 0 || self.downsample_in_first_stage { 2 } else { 1 }),
            _ => (output, output, 1),
        }
    }
}

/// A convolution and its normalisation.
#[derive(Module, Debug)]
pub struct Convolution {
    convolution: Conv2d,
    normalization: Affine,
}

impl Convolution {
    fn load(source: Source<'_>, name: &str, shape: Shape) -> Result<Self, Error> {
        Ok(Self {
            convolution: source.convolution(&format!("{name}.convolution"), shape)?,
            normalization: source.batch_norm(&format!("{name}.normalization"), shape.output, EPSILON)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.normalization.forward(self.convolution.forward(x))
    }
}

/// Images to the input of the first block.
#[derive(Module, Debug)]
pub struct Stem {
    embedder: Convolution,
    pooler: MaxPool2d,
}

impl Stem {
    fn load(source: Source<'_>, config: &ResnetConfig) -> Result<Self, Error> {
        let shape = Shape::new(config.num_channels, config.embedding_size, 7, 2);
        let pooler = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]);
        Ok(Self {
            embedder: Convolution::load(source, "resnet.embedder.embedder", shape)?,
            pooler: pooler.with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)).init(),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.pooler.forward(relu(self.embedder.forward(images)))
    }
}

/// One residual block.
#[derive(Module, Debug)]
pub struct Block {
    layer: Vec<Convolution>,
    shortcut: Option<Convolution>,
}

impl Block {
    fn load(source: Source<'_>, config: &ResnetConfig, name: &str, place: (usize, usize)) -> Result<Self, Error> {
        let (input, output, stride) = config.flow(place.0, place.1);
        let inner = output / REDUCTION;
        let (first, second) = if config.downsample_in_bottleneck { (stride, 1) } else { (1, stride) };
        let shapes = match config.layer_type {
            LayerType::Basic => vec![Shape::new(input, output, 3, stride), Shape::new(output, output, 3, 1)],
            LayerType::Bottleneck => vec![
                Shape::new(input, inner, 1, first),
                Shape::new(inner, inner, 3, second),
                Shape::new(inner, output, 1, 1),
            ],
        };
        let load = |(i, shape)| Convolution::load(source, &format!("{name}.layer.{i}"), shape);
        let projects = input != output || stride != 1;
        let shortcut = Shape::new(input, output, 1, stride);
        Ok(Self {
            layer: shapes.into_iter().enumerate().map(load).collect::<Result<_, _>>()?,
            shortcut: projects.then(|| Convolution::load(source, &format!("{name}.shortcut"), shortcut)).transpose()?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let last = self.layer.len() - 1;
        let branch = self.layer.iter().enumerate().fold(x.clone(), |x, (i, layer)| {
            let x = layer.forward(x);
            if i < last { relu(x) } else { x }
        });
        let residual = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x),
            None => x,
        };
        relu(branch + residual)
    }
}

/// A ResNet checkpoint, cut in stages.
#[derive(Clone)]
pub struct ResnetCheckpoint {
    config: ResnetConfig,
    weights: Arc<dyn Weights>,
    device: Device,
}

impl ResnetCheckpoint {
    /// Joins a configuration and the tensors it describes; stages are built on the CPU backend.
    ///
    /// # Errors
    /// The configuration is not supported.
    pub fn new(config: ResnetConfig, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        config.check()?;
        Ok(Self { config, weights, device: Device::flex() })
    }

    /// The configuration.
    pub fn config(&self) -> &ResnetConfig {
        &self.config
    }

    fn head(&self, source: Source<'_>) -> Result<EmuLinear, Error> {
        let width = self.config.hidden_sizes.last().copied().unwrap_or(0);
        source.linear("classifier.1", width, self.config.id2label.len(), true)
    }
}

impl Checkpoint for ResnetCheckpoint {
    fn architecture(&self) -> &str {
        "resnet"
    }

    fn task(&self) -> Task {
        Task::ImageClassification
    }

    fn input(&self) -> Input {
        let ResnetConfig { num_channels, image_size, .. } = self.config;
        Input::Images { channels: num_channels, height: image_size, width: image_size }
    }

    fn stages(&self) -> usize {
        self.config.depths.iter().sum::<usize>() + 2
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source::new(&*self.weights, &self.device);
        let last = self.stages() - 1;
        if index == 0 {
            return Ok(Box::new(Piece::new("resnet.embedder", Stem::load(source, &self.config)?, |module, input| {
                Activation::Images(module.forward(images(input)))
            })));
        }
        if index == last {
            return Ok(Box::new(Piece::new("classifier.1", self.head(source)?, |module, input| {
                Activation::Rows(module.forward(rows(input)))
            })));
        }
        let place = self.config.place(index - 1).ok_or_else(|| no_stage(index, self.stages()))?;
        let name = format!("resnet.encoder.stages.{}.layers.{}", place.0, place.1);
        let block = Block::load(source, &self.config, &name, place)?;
        Ok(Box::new(if index + 1 < last {
            Piece::new(name, block, |module, input| Activation::Images(module.forward(images(input))))
        } else {
            Piece::new(name, block, |module, input| Activation::Rows(pool(module.forward(images(input)))))
        }))
    }
}
