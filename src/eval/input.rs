//! Host values as the activations that a model accepts, refused before anything runs.

use burn::tensor::{Device, Tensor, TensorData};

use crate::Error;
use crate::burn::Activation;
use crate::models::{Checkpoint, Input};

/// Token ids `[rows, length]`, row-major, for `checkpoint`.
///
/// # Errors
/// The model takes images, a sequence is empty or too long, or an id is outside of the vocabulary.
pub fn tokens(checkpoint: &dyn Checkpoint, ids: &[i64], length: usize) -> Result<Activation, Error> {
    let Input::Tokens { vocabulary, longest } = checkpoint.input() else {
        return Err(Error::Invalid(format!("a {} model takes images, not token ids", checkpoint.architecture())));
    };
    if !(1..=longest).contains(&length) {
        return Err(Error::Invalid(format!(
            "a sequence of {length} tokens was given; this model takes 1 to {longest}"
        )));
    }
    if ids.is_empty() || !ids.len().is_multiple_of(length) {
        return Err(Error::Invalid(format!("{} token ids are no whole number of sequences of {length}", ids.len())));
    }
    if let Some(at) = ids.iter().position(|&id| usize::try_from(id).map_or(true, |id| id >= vocabulary)) {
        return Err(Error::Invalid(format!(
            "token id {} at sequence {}, position {} is outside of the vocabulary 0 to {}",
            ids[at],
            at / length,
            at % length,
            vocabulary - 1
        )));
    }
    let data = TensorData::new(ids.to_vec(), [ids.len() / length, length]);
    Ok(Activation::Ids(Tensor::from_data(data, &Device::flex())))
}

/// Images `[N, C, H, W]`, row-major, for `checkpoint`.
///
/// # Errors
/// The model takes tokens, the values are no whole number of images, or a value is not finite.
pub fn images(checkpoint: &dyn Checkpoint, pixels: &[f32]) -> Result<Activation, Error> {
    let Input::Images { channels, height, width } = checkpoint.input() else {
        return Err(Error::Invalid(format!("a {} model takes token ids, not images", checkpoint.architecture())));
    };
    let size = channels * height * width;
    if pixels.is_empty() || !pixels.len().is_multiple_of(size) {
        return Err(Error::Invalid(format!(
            "{} values are no whole number of images of {channels} x {height} x {width}",
            pixels.len()
        )));
    }
    if let Some(at) = pixels.iter().position(|value| !value.is_finite()) {
        return Err(Error::Invalid(format!("image {} holds {}; pixels must be finite", at / size, pixels[at])));
    }
    let data = TensorData::new(pixels.to_vec(), [pixels.len() / size, channels, height, width]);
    Ok(Activation::Images(Tensor::from_data(data, &Device::flex())))
}
