//! A torch checkpoint (`.pth`, `.pt`, `.th`, `pytorch_model.bin`) as a source of weights.

use std::collections::BTreeMap;
use std::path::Path;

use super::bytes::Bytes;
use super::pickle::{self, Tensor};
use super::{finite, nearest};
use crate::Error;
use crate::models::Weights;

/// The tensors of one file. Its pickles are read by a list of allowed names; nothing in it is executed.
#[derive(Debug)]
pub struct TorchFile {
    bytes: Bytes,
    tensors: BTreeMap<String, Tensor>,
}

impl TorchFile {
    /// Maps and checks the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, is none that torch saved, or asks for what is not allowed.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::parse(Bytes::map(path)?)
    }

    /// Checks bytes; see [`TorchFile::open`].
    ///
    /// # Errors
    /// The bytes are no file that torch saved, or ask for what is not allowed.
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        let tensors = pickle::read(&bytes).map_err(|problem| bytes.malformed(problem))?;
        Ok(Self { bytes, tensors })
    }

    /// The names of all tensors, sorted; without the `module.` of a wrapped model.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }
}

impl TorchFile {
    /// The file.
    pub fn origin(&self) -> &Path {
        self.bytes.origin()
    }

    /// The elements of tensor `name` widened to `f32`, row-major, with its shape.
    ///
    /// # Errors
    /// There is no such tensor, or it holds integers.
    pub fn floats(&self, name: &str) -> Result<(Vec<f32>, &[usize]), Error> {
        let tensor = self.tensor(name)?;
        self.bytes.check_length()?;
        let values = tensor.floats(&self.bytes);
        let values = values.map_err(|problem| self.bytes.malformed(format!("tensor `{name}` {problem}")))?;
        self.bytes.release(&tensor.range());
        Ok((values, tensor.shape()))
    }

    fn tensor(&self, name: &str) -> Result<&Tensor, Error> {
        let missing = || Error::MissingTensor { name: name.to_owned(), near: nearest(name, self.names()) };
        self.tensors.get(name).ok_or_else(missing)
    }
}

impl Weights for TorchFile {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let given = self.tensor(name)?.shape();
        if given != shape {
            return Err(Error::Shape { name: name.to_owned(), given: given.to_vec(), expected: shape.to_vec() });
        }
        finite(self.origin(), name, shape, self.floats(name)?.0)
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|tensor| tensor.shape().to_vec())
    }
}
