//! Reading: every array is held to the layout that the tensor's shape asks for before its bytes are looked at.

use super::{Array, Container, Dtype, FileError, Part, VERSION, View, arrays, matrix};
use crate::tensor::{Codes, Scales};
use crate::{Format, Quantized, Scale, pack};
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};

/// A file of quantised tensors in memory.
#[derive(Clone, Debug)]
pub struct QuantizedFile<'a> {
    container: Container<'a>,
    format: &'static Format,
    shapes: BTreeMap<String, Vec<usize>>,
    packed: bool,
}

impl<'a> QuantizedFile<'a> {
    /// Reads the header and the metadata. A format that the program does not know yet is known from now on.
    ///
    /// # Errors
    /// Not a safetensors file, a damaged one, or one without the metadata of a quantised file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FileError> {
        let container = Container::parse(bytes)?;
        let version: u64 = metadata(&container, "version")?;
        if version.to_string() != VERSION {
            let problem = format!("this file has layout {version}, but only layout {VERSION} can be read");
            return Err(FileError::Metadata { key: "version", problem });
        }
        let format: Format = metadata(&container, "format")?;
        let adopted = format.adopt();
        let format = adopted.map_err(|e| FileError::Metadata { key: "format", problem: e.to_string() })?;
        let shapes = metadata(&container, "shape")?;
        let packed = metadata(&container, "packed")?;
        Ok(Self { container, format, shapes, packed })
    }

    /// The format of the quantised tensors.
    pub fn format(&self) -> &'static Format {
        self.format
    }

    /// A string of the metadata.
    pub fn note(&self, key: &str) -> Option<&str> {
        self.container.metadata().get(key).map(String::as_str)
    }

    /// The names and shapes of the quantised tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice()))
    }

    /// The arrays that belong to no quantised tensor: what was copied.
    pub fn copied(&self) -> impl Iterator<Item = (&str, &View<'a>)> {
        let parts = [Part::Codes, Part::Scales, Part::Zeros, Part::Scale2, Part::Dequantized];
        let of_quantized = |name: &String| parts.map(|part| part.of(name));
        let own: BTreeSet<String> = self.shapes.keys().flat_map(of_quantized).collect();
        self.container.tensors().filter(move |(name, _)| !own.contains(*name))
    }

    /// The quantised tensor of this name, as a matrix.
    ///
    /// # Errors
    /// There is none, an array is missing or has another type or shape than the layout's, or its codes or scales are
    /// none of the format.
    pub fn read(&self, name: &str) -> Result<Quantized, FileError> {
        let shape = self.shapes.get(name).ok_or_else(|| FileError::Unknown(name.to_owned()))?;
        let too_large = || FileError::TooLarge(name.to_owned());
        let (rows, k) = matrix(shape).ok_or_else(too_large)?;
        let arrays = arrays(self.format, shape, self.packed).ok_or_else(too_large)?;
        let part = |part| arrays.iter().find(|a| a.part == part).map(|a| self.array(name, a)).transpose();
        let codes = self.codes(name, part(Part::Codes)?.unwrap_or_default(), &arrays)?;
        let zeros = part(Part::Zeros)?.unwrap_or_default();
        let scales = self.scales(part(Part::Scales)?.unwrap_or_default(), zeros);
        let tensor_scale = part(Part::Scale2)?.and_then(|b| b.first_chunk().copied()).map(f32::from_le_bytes);
        let quantized = Quantized::from_parts(self.format, rows, k, codes, scales, tensor_scale);
        quantized.map_err(|problem| FileError::Tensor { tensor: name.to_owned(), problem })
    }

    /// The values that were written beside the codes of a tensor; `None` where they were left out.
    ///
    /// # Errors
    /// There is no such tensor, or its values have another type or shape.
    pub fn dequantized(&self, name: &str) -> Result<Option<Vec<f32>>, FileError> {
        let shape = self.shapes.get(name).ok_or_else(|| FileError::Unknown(name.to_owned()))?;
        if self.container.tensor(&Part::Dequantized.of(name)).is_none() {
            return Ok(None);
        }
        let array = Array { part: Part::Dequantized, dtype: Dtype::F32, shape: shape.clone() };
        Ok(Some(numbers(self.array(name, &array)?, f32::from_le_bytes)))
    }

    /// The bytes of an array of the layout.
    fn array(&self, tensor: &str, wanted: &Array) -> Result<&'a [u8], FileError> {
        let array = wanted.part.of(tensor);
        let Some(view) = self.container.tensor(&array) else {
            return Err(FileError::Missing { tensor: tensor.to_owned(), array });
        };
        if view.dtype != wanted.dtype {
            return Err(FileError::Type { array, given: view.dtype, wanted: wanted.dtype });
        }
        if view.shape != wanted.shape {
            return Err(FileError::Shape { array, given: view.shape.clone(), wanted: wanted.shape.clone() });
        }
        Ok(view.bytes)
    }

    fn codes(&self, tensor: &str, bytes: &[u8], arrays: &[Array]) -> Result<Codes, FileError> {
        if self.packed {
            return self.unpacked(tensor, bytes, arrays);
        }
        Ok(match Codes::zeros(self.format.element, 0) {
            Codes::U8(_) => Codes::U8(bytes.to_vec()),
            Codes::I8(_) => Codes::I8(numbers(bytes, i8::from_le_bytes)),
            Codes::U16(_) => Codes::U16(numbers(bytes, u16::from_le_bytes)),
            Codes::I16(_) => Codes::I16(numbers(bytes, i16::from_le_bytes)),
            Codes::U32(_) => Codes::U32(numbers(bytes, u32::from_le_bytes)),
            Codes::U64(_) => Codes::U64(numbers(bytes, u64::from_le_bytes)),
        })
    }

    fn unpacked(&self, tensor: &str, bytes: &[u8], arrays: &[Array]) -> Result<Codes, FileError> {
        let values = arrays.iter().find(|a| a.part == Part::Dequantized).map_or(&[][..], |a| &a.shape);
        // `arrays` counted both before.
        let count = matrix(values).map_or(0, |(rows, k)| rows * self.format.padded(k));
        let (element, bits) = (self.format.element, self.format.element.bits());
        let used = (count as u128 * u128::from(bits) % 8) as u32;
        if let Some(&byte) = bytes.last().filter(|&&byte| used > 0 && byte >> used != 0) {
            return Err(FileError::PackedEnd { array: Part::Codes.of(tensor), byte, used });
        }
        let mut codes = Codes::zeros(element, count);
        for (i, code) in pack::read(bytes, bits, count).enumerate() {
            codes.set(i, element.sign_extended(code));
        }
        Ok(codes)
    }

    fn scales(&self, bytes: &[u8], zeros: &[u8]) -> Scales {
        match self.format.scaling.map(|s| s.scale) {
            None => Scales::None,
            Some(Scale::E8M0) => Scales::E8M0(bytes.to_vec()),
            Some(Scale::Code(_)) => Scales::Code(bytes.to_vec()),
            Some(Scale::Exponent(_)) => Scales::Exponent(numbers(bytes, i16::from_le_bytes)),
            Some(Scale::Float32) => Scales::Float32(numbers(bytes, f32::from_le_bytes)),
            Some(Scale::Affine(_)) => Scales::Affine(numbers(bytes, f32::from_le_bytes), zeros.to_vec()),
            Some(Scale::Micro { .. }) => {
                let words = match self.format.scaling.map(|s| super::scale_type(self.format, s)) {
                    Some(Dtype::U16) => numbers(bytes, |b| u32::from(u16::from_le_bytes(b))),
                    _ => numbers(bytes, u32::from_le_bytes),
                };
                Scales::Micro(words)
            }
        }
    }
}

/// A value of `__metadata__`, written as JSON.
fn metadata<T: DeserializeOwned>(container: &Container<'_>, key: &'static str) -> Result<T, FileError> {
    let problem = |problem: String| FileError::Metadata { key, problem };
    let text = container.metadata().get(key).ok_or_else(|| problem("it is missing".to_owned()))?;
    serde_json::from_str(text).map_err(|e| problem(e.to_string()))
}

/// The numbers of `N` bytes each; the length was checked with the header.
fn numbers<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|&chunk| number(chunk)).collect()
}
