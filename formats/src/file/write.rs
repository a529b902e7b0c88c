//! Writing: first what the file will hold, then one tensor after the other, so that only one is in memory.

use super::{Dtype, FileError, Outline, Part, VERSION, arrays};
use crate::tensor::{Codes, Scales};
use crate::{Format, Quantized, pack};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{Seek, SeekFrom, Write};
use std::ops::Range;

/// What is written of a quantised tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Codes as one bit string instead of one an element.
    pub packed: bool,
    /// The values beside the codes.
    pub dequantized: bool,
}

/// A file of quantised tensors in the making: what it will hold.
#[derive(Clone, Debug)]
pub struct Export {
    format: &'static Format,
    options: Options,
    outline: Outline,
    shapes: BTreeMap<String, Vec<usize>>,
}

impl Export {
    /// A file without tensors.
    pub fn new(format: &'static Format, options: Options) -> Self {
        Self { format, options, outline: Outline::default(), shapes: BTreeMap::new() }
    }

    /// Announces a tensor that will be quantised.
    ///
    /// # Errors
    /// Another tensor has one of its names, or it is too large.
    pub fn quantized(&mut self, name: &str, shape: &[usize]) -> Result<(), FileError> {
        let arrays = arrays(self.format, shape, self.options.packed);
        for array in arrays.ok_or_else(|| FileError::TooLarge(name.to_owned()))? {
            if array.part != Part::Dequantized || self.options.dequantized {
                self.outline.tensor(&array.part.of(name), array.dtype, &array.shape)?;
            }
        }
        match self.shapes.insert(name.to_owned(), shape.to_vec()) {
            None => Ok(()),
            Some(_) => Err(FileError::Twice(name.to_owned())),
        }
    }

    /// Announces a tensor that will be copied.
    ///
    /// # Errors
    /// Another tensor has its name.
    pub fn copied(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<(), FileError> {
        self.outline.tensor(name, dtype, shape)
    }

    /// Adds a string of the caller's to the metadata; those of the layout keep their meaning.
    pub fn note(&mut self, key: &str, value: String) {
        self.outline.note(key, value);
    }

    /// Writes the header; tensors follow in any order by [`Writer::quantized`] and [`Writer::raw`].
    ///
    /// # Errors
    /// The file is too large, or `out` refuses.
    pub fn start<W: Write + Seek>(mut self, out: W) -> Result<Writer<W>, FileError> {
        self.outline.note("format", text("format", self.format)?);
        self.outline.note("shape", text("shape", &self.shapes)?);
        self.outline.note("packed", self.options.packed.to_string());
        self.outline.note("version", VERSION.to_owned());
        Ok(Writer { packed: self.options.packed, ..Writer::new(out, &self.outline)? })
    }
}

fn text(key: &'static str, value: &impl Serialize) -> Result<String, FileError> {
    serde_json::to_string(value).map_err(|e| FileError::Metadata { key, problem: e.to_string() })
}

/// Writes the tensors of an [`Outline`] or an [`Export`].
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    left: BTreeMap<String, Range<u64>>,
    packed: bool,
}

impl<W: Write + Seek> Writer<W> {
    /// Writes the header of `outline`.
    ///
    /// # Errors
    /// The file is too large, or `out` refuses.
    pub fn new(mut out: W, outline: &Outline) -> Result<Self, FileError> {
        let (header, left) = outline.header()?;
        out.write_all(&header)?;
        Ok(Self { out, left, packed: false })
    }

    /// Writes the bytes of one announced tensor.
    ///
    /// # Errors
    /// It was not announced, was written already or has another length, or `out` refuses.
    pub fn raw(&mut self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        let place = self.left.remove(name).ok_or_else(|| FileError::Unknown(name.to_owned()))?;
        let wanted = place.end - place.start;
        if bytes.len() as u64 != wanted {
            return Err(FileError::Bytes { array: name.to_owned(), given: bytes.len(), wanted });
        }
        self.out.seek(SeekFrom::Start(place.start))?;
        Ok(self.out.write_all(bytes)?)
    }

    /// Writes an announced tensor: its codes and scales, and `dequantized` where that was announced.
    ///
    /// # Errors
    /// As [`Writer::raw`].
    pub fn quantized(&mut self, name: &str, quantized: &Quantized, dequantized: &[f32]) -> Result<(), FileError> {
        let codes = if self.packed { packed(quantized) } else { plain(quantized.codes()) };
        self.raw(&Part::Codes.of(name), &codes)?;
        let (scales, zeros) = scales(quantized);
        if *quantized.scales() != Scales::None {
            self.raw(&Part::Scales.of(name), &scales)?;
        }
        if let Some(zeros) = zeros {
            self.raw(&Part::Zeros.of(name), zeros)?;
        }
        if let Some(scale) = quantized.tensor_scale() {
            self.raw(&Part::Scale2.of(name), &scale.to_le_bytes())?;
        }
        let values = Part::Dequantized.of(name);
        if self.left.contains_key(&values) {
            self.raw(&values, &bytes(dequantized, f32::to_le_bytes))?;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// A tensor was announced and never written, or `out` refuses.
    pub fn finish(mut self) -> Result<W, FileError> {
        if let Some(name) = self.left.into_keys().next() {
            return Err(FileError::Unwritten(name));
        }
        self.out.flush()?;
        Ok(self.out)
    }
}

fn bytes<T: Copy, const N: usize>(values: &[T], each: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    values.iter().flat_map(|&v| each(v)).collect()
}

fn packed(quantized: &Quantized) -> Vec<u8> {
    pack::codes(quantized.codes(), quantized.format().element.bits())
}

fn plain(codes: &Codes) -> Vec<u8> {
    match codes {
        Codes::U8(c) => c.clone(),
        Codes::I8(c) => bytes(c, i8::to_le_bytes),
        Codes::U16(c) => bytes(c, u16::to_le_bytes),
        Codes::I16(c) => bytes(c, i16::to_le_bytes),
        Codes::U32(c) => bytes(c, u32::to_le_bytes),
        Codes::U64(c) => bytes(c, u64::to_le_bytes),
    }
}

/// The scales' bytes, and the zero points where there are any.
fn scales(quantized: &Quantized) -> (Vec<u8>, Option<&[u8]>) {
    let format = quantized.format();
    match quantized.scales() {
        Scales::None => (Vec::new(), None),
        Scales::E8M0(s) | Scales::Code(s) => (s.clone(), None),
        Scales::Exponent(s) => (bytes(s, i16::to_le_bytes), None),
        Scales::Micro(s) if format.scaling.map(|s| super::scale_type(format, s)) == Some(Dtype::U16) => {
            (bytes(s, |word| (word as u16).to_le_bytes()), None)
        }
        Scales::Micro(s) => (bytes(s, u32::to_le_bytes), None),
        Scales::Float32(s) => (bytes(s, f32::to_le_bytes), None),
        Scales::Affine(s, zeros) => (bytes(s, f32::to_le_bytes), Some(zeros)),
    }
}
