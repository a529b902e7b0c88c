//! Architectures that are known by their tensors alone: files of them come without a configuration.

use std::sync::Arc;

use crate::Error;
use crate::models::efficientnet::{EfficientNetCheckpoint, EfficientNetConfig};
use crate::models::resnet_cifar::{ResnetCifarCheckpoint, ResnetCifarConfig};
use crate::models::{Checkpoint, Weights};

/// What is said of a file whose tensors are of no such architecture.
pub(crate) const UNKNOWN: &str = "without a config.json only EfficientNet-Lite0 (`_conv_stem.weight` …) and the ResNets of CIFAR \
                                  (`conv1.weight`, `layer1.0.conv1.weight` …) are known by their tensors; give a folder with \
                                  config.json and model.safetensors";

/// The checkpoint that `weights` are of; `None` where no known architecture has such tensors.
///
/// # Errors
/// The architecture is known, but this variant of it is not supported.
pub(crate) fn checkpoint(weights: Arc<dyn Weights>) -> Result<Option<Arc<dyn Checkpoint>>, Error> {
    if let Some(config) = ResnetCifarConfig::infer(&*weights) {
        return Ok(Some(Arc::new(ResnetCifarCheckpoint::new(config, weights)?)));
    }
    if let Some(config) = EfficientNetConfig::infer(&*weights) {
        return Ok(Some(Arc::new(EfficientNetCheckpoint::new(config, weights)?)));
    }
    Ok(None)
}
