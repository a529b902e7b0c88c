//! EfficientNet-Lite0: inverted residual blocks of depthwise convolutions with ReLU6, without squeeze and excitation.
//!
//! The architecture is a list of rows (Tan and Le, arXiv 1905.11946, Table 1; the Lite variants leave out the attention and
//! keep stem and head at their width). Convolutions pad as TensorFlow does. Names are those of the PyTorch port. Images are the
//! central square of 224/256 of the shorter side, resized bicubically to 224x224, bytes b as (b - 127) / 128.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor};

use super::convolution::{Affine, Shape, pool};
use super::parts::{Source, images, is_image, no_stage, rows};
use super::{Checkpoint, Input, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};
use crate::emu::EmuLinear;

/// Epsilon of every batch normalisation.
const EPSILON: f64 = 1e-3;

/// A run of equal blocks; only the first has the stride and changes the width.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Blocks.
    pub blocks: usize,
    /// Rows and columns of the depthwise kernel.
    pub kernel: usize,
    /// Stride of the first block.
    pub stride: usize,
    /// How many times wider a block is inside; 1 leaves the widening convolution out.
    pub expansion: usize,
    /// Channels that the blocks give.
    pub width: usize,
}

/// A network of the family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EfficientNetConfig {
    /// Channels of the stem.
    pub stem: usize,
    /// The blocks.
    pub rows: Vec<Row>,
    /// Channels before the pooling.
    pub head: usize,
    /// Width of the classifier.
    pub classes: usize,
    /// Rows and columns of pixels, of three channels each.
    pub image_size: usize,
}

impl EfficientNetConfig {
    /// Lite0 with that many classes.
    pub fn lite0(classes: usize) -> Self {
        let row = |blocks, kernel, stride, expansion, width| Row { blocks, kernel, stride, expansion, width };
        Self {
            stem: 32,
            rows: vec![
                row(1, 3, 1, 1, 16),
                row(2, 3, 2, 6, 24),
                row(2, 5, 2, 6, 40),
                row(3, 3, 2, 6, 80),
                row(3, 5, 1, 6, 112),
                row(4, 5, 2, 6, 192),
                row(1, 3, 1, 6, 320),
            ],
            head: 1280,
            classes,
            image_size: 224,
        }
    }

    /// Lite0, where the tensors have its names; their shapes are checked when a stage is built.
    pub fn infer(weights: &dyn Weights) -> Option<Self> {
        weights.shape("_conv_stem.weight")?;
        Some(Self::lite0(*weights.shape("_fc.weight")?.first()?))
    }

    fn blocks(&self) -> usize {
        self.rows.iter().map(|row| row.blocks).sum()
    }

    /// The row of block `index`, its stride, and the channels that go in.
    fn block(&self, index: usize) -> Option<(Row, usize, usize)> {
        let (mut first, mut input) = (0, self.stem);
        for &row in &self.rows {
            if index == first {
                return Some((row, row.stride, input));
            } else if index < first + row.blocks {
                return Some((row, 1, row.width));
            }
            (first, input) = (first + row.blocks, row.width);
        }
        None
    }
}

/// Values below 0 become 0, those above 6 become 6.
fn relu6(x: Tensor<4>) -> Tensor<4> {
    x.clamp(0.0, 6.0)
}

/// A convolution that keeps the size of the image up to its stride.
fn same(input: usize, output: usize, kernel: usize, stride: usize) -> Shape {
    Shape { same: true, ..Shape::new(input, output, kernel, stride) }
}

/// Images to the input of the first block.
#[derive(Module, Debug)]
pub struct Stem {
    _conv_stem: Conv2d,
    _bn0: Affine,
}

impl Stem {
    fn load(source: Source<'_>, config: &EfficientNetConfig) -> Result<Self, Error> {
        Ok(Self {
            _conv_stem: source.convolution("_conv_stem", same(3, config.stem, 3, 2))?,
            _bn0: source.batch_norm("_bn0", config.stem, EPSILON)?,
        })
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        relu6(self._bn0.forward(self._conv_stem.forward(images)))
    }
}

/// One inverted residual block.
#[derive(Module, Debug)]
pub struct Block {
    _expand_conv: Option<Conv2d>,
    _bn0: Option<Affine>,
    _depthwise_conv: Conv2d,
    _bn1: Affine,
    _project_conv: Conv2d,
    _bn2: Affine,
    residual: bool,
}

impl Block {
    fn load(source: Source<'_>, index: usize, (row, stride, input): (Row, usize, usize)) -> Result<Self, Error> {
        let name = |part: &str| format!("_blocks.{index}.{part}");
        let (inner, output, widens) = (input * row.expansion, row.width, row.expansion != 1);
        let expand = || source.convolution(&name("_expand_conv"), same(input, inner, 1, 1));
        let depthwise = Shape { groups: inner, ..same(inner, inner, row.kernel, stride) };
        Ok(Self {
            _expand_conv: widens.then(expand).transpose()?,
            _bn0: widens.then(|| source.batch_norm(&name("_bn0"), inner, EPSILON)).transpose()?,
            _depthwise_conv: source.convolution(&name("_depthwise_conv"), depthwise)?,
            _bn1: source.batch_norm(&name("_bn1"), inner, EPSILON)?,
            _project_conv: source.convolution(&name("_project_conv"), same(inner, output, 1, 1))?,
            _bn2: source.batch_norm(&name("_bn2"), output, EPSILON)?,
            residual: stride == 1 && input == output,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let inner = match (&self._expand_conv, &self._bn0) {
            (Some(convolution), Some(norm)) => relu6(norm.forward(convolution.forward(x.clone()))),
            _ => x.clone(),
        };
        let inner = relu6(self._bn1.forward(self._depthwise_conv.forward(inner)));
        let branch = self._bn2.forward(self._project_conv.forward(inner));
        if self.residual { branch + x } else { branch }
    }
}

/// The last convolution and the pooling.
#[derive(Module, Debug)]
pub struct Last {
    _conv_head: Conv2d,
    _bn1: Affine,
}

impl Last {
    fn load(source: Source<'_>, config: &EfficientNetConfig) -> Result<Self, Error> {
        let input = config.rows.last().map_or(config.stem, |row| row.width);
        Ok(Self {
            _conv_head: source.convolution("_conv_head", same(input, config.head, 1, 1))?,
            _bn1: source.batch_norm("_bn1", config.head, EPSILON)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        pool(relu6(self._bn1.forward(self._conv_head.forward(x))))
    }
}

/// The checkpoint of such a network, cut in stages.
#[derive(Clone)]
pub struct EfficientNetCheckpoint {
    config: EfficientNetConfig,
    weights: Arc<dyn Weights>,
    device: Device,
}

impl EfficientNetCheckpoint {
    /// Joins an architecture and the tensors it describes; stages are built on the CPU backend.
    ///
    /// # Errors
    /// Sizes that cannot be.
    pub fn new(config: EfficientNetConfig, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        let rows = config.rows.iter().flat_map(|row| [row.blocks, row.kernel, row.stride, row.expansion, row.width]);
        let sizes = rows.chain([config.stem, config.head, config.classes]).collect::<Vec<_>>();
        if !is_image(3, config.image_size) || sizes.contains(&0) || sizes.iter().any(|&size| size > LARGEST) {
            let problem =
                format!("EfficientNet: every size must be 1 to {LARGEST} and the image at most 1 GiB: {config:?}");
            return Err(Error::Invalid(problem));
        }
        Ok(Self { config, weights, device: Device::flex() })
    }

    /// The architecture.
    pub fn config(&self) -> &EfficientNetConfig {
        &self.config
    }
}

/// More than any size of such a network.
const LARGEST: usize = 1 << 20;

impl Checkpoint for EfficientNetCheckpoint {
    fn architecture(&self) -> &str {
        "efficientnet-lite"
    }

    fn task(&self) -> Task {
        Task::ImageClassification
    }

    fn input(&self) -> Input {
        Input::Images { channels: 3, height: self.config.image_size, width: self.config.image_size }
    }

    fn stages(&self) -> usize {
        self.config.blocks() + 3
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source::new(&*self.weights, &self.device);
        let blocks = self.config.blocks();
        if index == 0 {
            Ok(Box::new(Piece::new("", Stem::load(source, &self.config)?, |module, input| {
                Activation::Images(module.forward(images(input)))
            })))
        } else if let Some(block) = self.config.block(index - 1) {
            let block = Block::load(source, index - 1, block)?;
            Ok(Box::new(Piece::new(format!("_blocks.{}", index - 1), block, |module, input| {
                Activation::Images(module.forward(images(input)))
            })))
        } else if index == blocks + 1 {
            Ok(Box::new(Piece::new("", Last::load(source, &self.config)?, |module, input| {
                Activation::Rows(module.forward(images(input)))
            })))
        } else if index == blocks + 2 {
            let head: EmuLinear = source.linear("_fc", self.config.head, self.config.classes, true)?;
            Ok(Box::new(Piece::new("_fc", head, |module, input| Activation::Rows(module.forward(rows(input))))))
        } else {
            Err(no_stage(index, self.stages()))
        }
    }
}
