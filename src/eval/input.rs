//! Host values as the activations that a model accepts, refused before anything runs.

use burn::tensor::{Device, Tensor, TensorData};

use crate::Error;
use crate::burn::Activation;
use crate::models::{Checkpoint, Input};

/// Token ids `[rows, length]`, row-major, for `checkpoint`.
///
/// # Errors
/// The model is no language model, a sequence is empty or too long, or an id is outside of the vocabulary.
pub fn tokens(checkpoint: &dyn Checkpoint, ids: &[i64], length: usize) -> Result<Activation, Error> {
    let Input::Tokens { vocabulary, longest } = checkpoint.input() else { return Err(other_kind(checkpoint)) };
    check(ids, length, longest)?;
    within(ids, length, vocabulary, "token id", "the vocabulary")?;
    Ok(Activation::ids(ids, length))
}

/// Token ids `[rows, length]`, row-major, with the segment of each, for `checkpoint`.
///
/// # Errors
/// The model is no encoder of texts, a sequence is empty or too long, or an id or a segment is outside of its table.
pub fn text(checkpoint: &dyn Checkpoint, ids: &[i64], segments: &[i64], length: usize) -> Result<Activation, Error> {
    let Input::Text { vocabulary, segments: kinds, longest } = checkpoint.input() else {
        return Err(other_kind(checkpoint));
    };
    check(ids, length, longest)?;
    within(ids, length, vocabulary, "token id", "the vocabulary")?;
    if segments.len() != ids.len() {
        return Err(Error::Invalid(format!("{} segments for {} token ids; give one each", segments.len(), ids.len())));
    }
    within(segments, length, kinds, "segment", "the segments")?;
    Ok(Activation::text(ids, segments, length))
}

fn other_kind(checkpoint: &dyn Checkpoint) -> Error {
    let wanted = match checkpoint.input() {
        Input::Tokens { .. } => "token ids",
        Input::Text { .. } => "token ids with segments",
        Input::Images { .. } => "images",
    };
    Error::Invalid(format!("this {} model takes {wanted}, and was given something else", checkpoint.architecture()))
}

/// Refuses a length that the model cannot take or that `ids` are no multiple of.
fn check(ids: &[i64], length: usize, longest: usize) -> Result<(), Error> {
    if !(1..=longest).contains(&length) {
        return Err(Error::Invalid(format!(
            "a sequence of {length} tokens was given; this model takes 1 to {longest}"
        )));
    }
    if ids.is_empty() || !ids.len().is_multiple_of(length) {
        return Err(Error::Invalid(format!("{} token ids are no whole number of sequences of {length}", ids.len())));
    }
    Ok(())
}

/// Refuses a value that is not below `limit`.
fn within(values: &[i64], length: usize, limit: usize, what: &str, table: &str) -> Result<(), Error> {
    match values.iter().position(|&value| usize::try_from(value).map_or(true, |value| value >= limit)) {
        None => Ok(()),
        Some(at) => Err(Error::Invalid(format!(
            "{what} {} at sequence {}, position {} is outside of {table} 0 to {}",
            values[at],
            at / length,
            at % length,
            limit - 1
        ))),
    }
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
