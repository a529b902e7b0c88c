//! A model that this project has compressed: layers as codes and scales, everything else as F32.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Bytes;
use crate::Error;
use crate::formats::file::{FileError, QuantizedFile};
use crate::models::transposed;

/// What says beside a tensor which of its values are kept, and in which order of inputs.
const BESIDE: [&str; 2] = [".mask", ".order"];

/// An open packed file.
#[derive(Debug)]
pub(super) struct Packed {
    bytes: Bytes,
    /// The shape of every tensor as a model asks for it, and whether it is quantised.
    shapes: BTreeMap<String, (Vec<usize>, bool)>,
    /// The matrices for which a model asks as `[in, out]`; the file has them as `[out, in]`.
    turned: BTreeSet<String>,
}

impl Packed {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// It is missing, or is none of quantised tensors.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let bytes = Bytes::map(path)?;
        let file = parse(&bytes)?;
        let turned = file.note("transposed") == Some("true");
        let turn = |shape: &[usize]| match shape {
            [rows, columns] if turned => vec![*columns, *rows],
            other => other.to_vec(),
        };
        let layers: BTreeSet<String> = match file.note("layers").map(serde_json::from_str) {
            Some(Ok(layers)) => layers,
            _ => return Err(bytes.malformed("the metadata lack the list of compressed layers")),
        };
        let shape = |name: &str, shape: &[usize]| if layers.contains(name) { turn(shape) } else { shape.to_vec() };
        let quantised = file.tensors().map(|(name, given)| (name.to_owned(), (shape(name, given), true)));
        let beside =
            |name: &str| BESIDE.iter().any(|end| name.strip_suffix(end).is_some_and(|layer| layers.contains(layer)));
        let copied = file.copied().filter(|(name, _)| !beside(name));
        let copied = copied.map(|(name, view)| (name.to_owned(), (shape(name, &view.shape), false)));
        let shapes = quantised.chain(copied).collect();
        Ok(Self { shapes, turned: if turned { layers } else { BTreeSet::new() }, bytes })
    }

    pub(super) fn origin(&self) -> &Path {
        self.bytes.origin()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.shapes.keys().map(String::as_str)
    }

    /// The shape of tensor `name`; `None` where there is no such tensor.
    pub(super) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.shapes.get(name).map(|(shape, _)| shape.clone())
    }

    /// The values of tensor `name`.
    ///
    /// # Errors
    /// There is none, or its parts do not fit together.
    pub(super) fn floats(&self, name: &str) -> Result<Vec<f32>, Error> {
        self.bytes.check_length()?;
        let file = parse(&self.bytes)?;
        let Some((shape, quantised)) = self.shapes.get(name) else {
            return Err(self.bytes.malformed(format!("there is no tensor `{name}`")));
        };
        let values = match quantised {
            true => file.read(name).map_err(|e| refused(&self.bytes, e))?.dequantize(),
            false => {
                let view = file.copied().find(|(known, _)| *known == name).map(|(_, view)| view);
                let values = view.and_then(|view| view.floats());
                values.ok_or_else(|| self.bytes.malformed(format!("`{name}` is not F32")))?
            }
        };
        match shape.as_slice() {
            // The shape is the model's: the file's is the other way round.
            [columns, rows] if self.turned.contains(name) => Ok(transposed(&values, *rows, *columns)),
            _ => Ok(values),
        }
    }
}

fn parse(bytes: &Bytes) -> Result<QuantizedFile<'_>, Error> {
    QuantizedFile::parse(bytes).map_err(|e| refused(bytes, e))
}

fn refused(bytes: &Bytes, e: FileError) -> Error {
    bytes.malformed(e.to_string())
}
