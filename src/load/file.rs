//! One file of tensors, in either of the two forms that Hugging Face folders have, or in this project's packed form.

use std::path::Path;

use super::packed::Packed;
use super::safetensors::SafeTensors;
use super::torch::TorchFile;
use crate::Error;
use crate::models::Weights;

/// An open file of tensors.
#[derive(Debug)]
pub(super) enum File {
    SafeTensors(SafeTensors),
    Torch(TorchFile),
    Packed(Packed),
}

impl File {
    /// Opens the file at `path`: torch's where it is called `.bin`, packed where it says so, safetensors otherwise.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        if path.file_name().is_some_and(|name| name == super::hf::PACKED) {
            return Packed::open(path).map(Self::Packed);
        }
        match path.extension().is_some_and(|extension| extension == "bin") {
            true => TorchFile::open(path).map(Self::Torch),
            false => SafeTensors::open(path).map(Self::SafeTensors),
        }
    }

    pub(super) fn origin(&self) -> &Path {
        match self {
            Self::SafeTensors(file) => file.origin(),
            Self::Torch(file) => file.origin(),
            Self::Packed(file) => file.origin(),
        }
    }

    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::SafeTensors(file) => file.names().collect(),
            Self::Torch(file) => file.names().collect(),
            Self::Packed(file) => file.names().collect(),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::SafeTensors(file) => file.has(name),
            Self::Torch(file) => file.has(name),
            Self::Packed(file) => file.shape(name).is_some(),
        }
    }

    /// The shape of tensor `name`; `None` where there is no such tensor.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        match self {
            Self::SafeTensors(file) => file.shape(name).ok().map(<[usize]>::to_vec),
            Self::Torch(file) => file.shape(name),
            Self::Packed(file) => file.shape(name),
        }
    }

    /// The elements of tensor `name` widened to `f32`.
    pub(super) fn floats(&self, name: &str) -> Result<Vec<f32>, Error> {
        match self {
            Self::SafeTensors(file) => file.floats(name),
            Self::Torch(file) => file.floats(name).map(|(values, _)| values),
            Self::Packed(file) => file.floats(name),
        }
    }
}
