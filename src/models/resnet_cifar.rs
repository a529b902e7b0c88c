//! The residual networks of CIFAR: a 3x3 stem, stages of basic blocks, shortcuts without parameters.
//!
//! Such files come without a configuration, so it is read off the tensors: how many stages and blocks there are, how wide, and
//! how many classes. Where a block halves the image and widens, its shortcut takes every second pixel and adds channels of
//! zeros, half of them before and half behind.

use std::sync::Arc;

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, s};

use super::convolution::{Affine, Shape, pool};
use super::parts::{Source, images, is_image, no_stage, rows};
use super::{Checkpoint, Input, Task, Weights};
use crate::Error;
use crate::burn::{Activation, Piece, Stage};
use crate::emu::EmuLinear;

/// Epsilon of every batch normalisation: PyTorch's default.
const EPSILON: f64 = 1e-5;

/// Rows and columns of pixels.
const IMAGE_SIZE: usize = 32;

/// The shape of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResnetCifarConfig {
    /// Channels of an image.
    pub channels: usize,
    /// Channels of each stage; the stem has those of the first.
    pub widths: Vec<usize>,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Width of the head.
    pub classes: usize,
}

impl ResnetCifarConfig {
    /// Reads the shape off the tensors; `None` where they are no such network's.
    pub fn infer(weights: &dyn Weights) -> Option<Self> {
        let stem = weights.shape("conv1.weight")?;
        let classes = *weights.shape("linear.weight")?.first()?;
        let (mut widths, mut depths) = (Vec::new(), Vec::new());
        while let Some(kernel) = weights.shape(&format!("layer{}.0.conv1.weight", widths.len() + 1)) {
            let stage = widths.len() + 1;
            let depth = (1..).take_while(|block| weights.has(&format!("layer{stage}.{block}.conv1.weight"))).count();
            widths.push(*kernel.first()?);
            depths.push(depth + 1);
        }
        (!widths.is_empty()).then_some(Self { channels: *stem.get(1)?, widths, depths, classes })
    }

    /// Stage and place in it of block `index`, counted over all stages.
    fn place(&self, index: usize) -> Option<(usize, usize)> {
        let places =
            self.depths.iter().enumerate().flat_map(|(stage, &depth)| (0..depth).map(move |block| (stage, block)));
        places.into_iter().nth(index)
    }
}

/// Images to the input of the first block.
#[derive(Module, Debug)]
pub struct Stem {
    conv1: Conv2d,
    bn1: Affine,
}

impl Stem {
    fn load(source: Source<'_>, config: &ResnetCifarConfig) -> Result<Self, Error> {
        let width = config.widths[0];
        Ok(Self {
            conv1: source.convolution("conv1", Shape::new(config.channels, width, 3, 1))?,
            bn1: source.batch_norm("bn1", width, EPSILON)?,
        })
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        relu(self.bn1.forward(self.conv1.forward(images)))
    }
}

/// One basic block.
#[derive(Module, Debug)]
pub struct Block {
    conv1: Conv2d,
    bn1: Affine,
    conv2: Conv2d,
    bn2: Affine,
}

impl Block {
    fn load(source: Source<'_>, config: &ResnetCifarConfig, (stage, block): (usize, usize)) -> Result<Self, Error> {
        let (width, name) = (config.widths[stage], block_name(stage, block));
        let (input, stride) = if stage > 0 && block == 0 { (config.widths[stage - 1], 2) } else { (width, 1) };
        Ok(Self {
            conv1: source.convolution(&format!("{name}.conv1"), Shape::new(input, width, 3, stride))?,
            bn1: source.batch_norm(&format!("{name}.bn1"), width, EPSILON)?,
            conv2: source.convolution(&format!("{name}.conv2"), Shape::new(width, width, 3, 1))?,
            bn2: source.batch_norm(&format!("{name}.bn2"), width, EPSILON)?,
        })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let branch = relu(self.bn1.forward(self.conv1.forward(x.clone())));
        let branch = self.bn2.forward(self.conv2.forward(branch));
        let width = branch.dims()[1];
        relu(branch + shortcut(x, width, self.conv1.stride[0]))
    }
}

/// Every `stride`-th pixel of `x` `[B, C, H, W]`, with channels of zeros around up to `width`.
fn shortcut(x: Tensor<4>, width: usize, stride: usize) -> Tensor<4> {
    let x = if stride == 2 { x.slice(s![.., .., ..;2, ..;2]) } else { x };
    let [batch, channels, height, columns] = x.dims();
    let zeros = |channels| Tensor::zeros([batch, channels, height, columns], &x.device());
    let added = width.saturating_sub(channels);
    if added == 0 {
        return x;
    }
    Tensor::cat(vec![zeros(added / 2), x.clone(), zeros(added - added / 2)], 1)
}

fn block_name(stage: usize, block: usize) -> String {
    format!("layer{}.{block}", stage + 1)
}

/// The checkpoint of such a network, cut in stages.
#[derive(Clone)]
pub struct ResnetCifarCheckpoint {
    config: ResnetCifarConfig,
    weights: Arc<dyn Weights>,
    device: Device,
}

impl ResnetCifarCheckpoint {
    /// Joins a shape and the tensors it describes; stages are built on the CPU backend.
    ///
    /// # Errors
    /// Shortcuts with parameters, stages that get narrower, or sizes that cannot be.
    pub fn new(config: ResnetCifarConfig, weights: Arc<dyn Weights>) -> Result<Self, Error> {
        let ResnetCifarConfig { channels, widths, depths, classes } = &config;
        let parametric = (1..=widths.len()).map(|stage| format!("layer{stage}.0.shortcut.0.weight"));
        let problem = if let Some(name) = parametric.into_iter().find(|name| weights.has(name)) {
            format!("a shortcut has parameters (`{name}`); only shortcuts without are supported")
        } else if widths.is_empty() || widths.len() != depths.len() || !widths.is_sorted() {
            format!("stages of widths {widths:?} and depths {depths:?}; both need one entry a stage, and none narrower")
        } else if [&depths[..], widths, &[*channels, *classes]].concat().contains(&0)
            || !is_image(*channels, IMAGE_SIZE)
        {
            format!("{channels} channels, {classes} classes; both must be at least 1, and an image at most 1 GiB")
        } else {
            return Ok(Self { config, weights, device: Device::flex() });
        };
        Err(Error::Invalid(format!("CIFAR ResNet: {problem}")))
    }

    /// The shape.
    pub fn config(&self) -> &ResnetCifarConfig {
        &self.config
    }

    fn head(&self, source: Source<'_>) -> Result<EmuLinear, Error> {
        source.linear("linear", self.config.widths.last().copied().unwrap_or(0), self.config.classes, true)
    }
}

impl Checkpoint for ResnetCifarCheckpoint {
    fn architecture(&self) -> &str {
        "resnet-cifar"
    }

    fn task(&self) -> Task {
        Task::ImageClassification
    }

    fn input(&self) -> Input {
        Input::Images { channels: self.config.channels, height: IMAGE_SIZE, width: IMAGE_SIZE }
    }

    fn stages(&self) -> usize {
        self.config.depths.iter().sum::<usize>() + 2
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        let source = Source::new(&*self.weights, &self.device);
        let last = self.stages() - 1;
        if index == 0 {
            return Ok(Box::new(Piece::new("", Stem::load(source, &self.config)?, |module, input| {
                Activation::Images(module.forward(images(input)))
            })));
        }
        if index == last {
            return Ok(Box::new(Piece::new("linear", self.head(source)?, |module, input| {
                Activation::Rows(module.forward(rows(input)))
            })));
        }
        let place = self.config.place(index - 1).ok_or_else(|| no_stage(index, self.stages()))?;
        let (name, block) = (block_name(place.0, place.1), Block::load(source, &self.config, place)?);
        Ok(Box::new(if index + 1 < last {
            Piece::new(name, block, |module, input| Activation::Images(module.forward(images(input))))
        } else {
            Piece::new(name, block, |module, input| Activation::Rows(pool(module.forward(images(input)))))
        }))
    }
}
