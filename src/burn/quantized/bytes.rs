//! The bytes of a quantised `TensorData`: codes, then the scales of blocks (or of the tensor), then, where blocks have
//! scales, the scale of the whole tensor; nothing between them. As `QuantizedBytes` of burn-std 0.22.1 writes them on
//! little-endian machines.
//!
//! Codes in the store `Native` take a byte each, integers sign-extended; in `PackedU32` they fill words along the last
//! dimension, the first code in the lowest bits; in `PackedNative`, which only e2m1 has, two share a byte, the first in the
//! low half (`e2m1x2` of cubecl-common 0.11.3). On little-endian machines both packings are the same bytes.

use burn::tensor::quantization::{QuantMode, QuantScheme, QuantStore, QuantValue, ScaleDtype};
use burn::tensor::{Bytes, DType, TensorData};
use interplay_formats::Error as FormatError;
use interplay_formats::layout::{CodeLayout, NibbleOrder};

use crate::Error;

const NIBBLES: CodeLayout = CodeLayout::Nibbles(NibbleOrder::LowFirst);

/// A quantised tensor of Burn in plain parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// How Burn describes it.
    pub scheme: QuantScheme,
    /// Its shape.
    pub shape: Vec<usize>,
    /// One code a byte, row-major: integers in two's complement of 8 bits, others in the low bits.
    pub codes: Vec<u8>,
    /// The scale of each block, row-major, or the one of the tensor.
    pub scales: ScaleBytes,
    /// The scale of the whole tensor where blocks have theirs.
    pub tensor_scale: Option<f32>,
}

/// Scales as they are written.
#[derive(Clone, Debug, PartialEq)]
pub enum ScaleBytes {
    /// FP32 factors (`ScaleDtype::F32`).
    Float32(Vec<f32>),
    /// One byte each (`ScaleDtype::UE8M0` and `UE4M3`).
    Bytes(Vec<u8>),
}

impl ScaleBytes {
    fn len(&self) -> usize {
        match self {
            Self::Float32(s) => s.len(),
            Self::Bytes(s) => s.len(),
        }
    }
}

/// How many of what a scheme and a shape imply.
struct Counts {
    codes: usize,
    /// Bytes of codes.
    stored: usize,
    scales: usize,
    /// Bytes of one scale.
    width: usize,
    two_level: bool,
}

impl Stored {
    /// The `TensorData` that Burn loads.
    ///
    /// # Errors
    /// [`Error::Scheme`] for a scheme without these parts, [`Error::Length`] where they do not fit the shape, and an error
    /// of the formats crate for a code wider than the scheme's value.
    pub fn to_data(&self) -> Result<TensorData, Error> {
        let counts = counts(&self.scheme, &self.shape)?;
        same("codes", self.codes.len(), counts.codes)?;
        same("scales", self.scales.len(), counts.scales)?;
        same("bytes a scale", if matches!(self.scales, ScaleBytes::Float32(_)) { 4 } else { 1 }, counts.width)?;
        same("scales of the whole tensor", self.tensor_scale.iter().len(), usize::from(counts.two_level))?;
        let mut bytes = aligned(self.stored_codes()?);
        match &self.scales {
            ScaleBytes::Float32(s) => s.iter().for_each(|v| bytes.extend_from_byte_slice(&v.to_le_bytes())),
            ScaleBytes::Bytes(s) => bytes.extend_from_byte_slice(s),
        }
        if let Some(scale) = self.tensor_scale {
            bytes.extend_from_byte_slice(&scale.to_le_bytes());
        }
        TensorData::try_from_bytes(bytes, self.shape.clone(), DType::QFloat(self.scheme))
            .map_err(|e| Error::Invalid(e.to_string()))
    }

    /// The parts of what Burn holds.
    ///
    /// # Errors
    /// [`Error::Scheme`] for data that is not quantised or has no such parts, [`Error::Length`] where the bytes do not fit
    /// the shape.
    pub fn from_data(data: &TensorData) -> Result<Self, Error> {
        let DType::QFloat(scheme) = data.dtype() else {
            return Err(unsupported(data.dtype(), "this is no quantised tensor; quantise it first"));
        };
        let shape = data.shape().to_vec();
        let counts = counts(&scheme, &shape)?;
        let scale_bytes = counts.scales.checked_mul(counts.width).and_then(|s| s.checked_add(counts.stored));
        let ends = scale_bytes.zip(scale_bytes.and_then(|s| s.checked_add(if counts.two_level { 4 } else { 0 })));
        let (scales_end, end) = ends.ok_or_else(|| unsupported(scheme, TOO_LARGE))?;
        same("bytes", data.as_bytes().len(), end)?;
        let (codes, rest) = data.as_bytes().split_at(counts.stored);
        let (scales, tensor) = rest.split_at(scales_end - counts.stored);
        let scales = if counts.width == 4 {
            ScaleBytes::Float32(floats(scales).collect())
        } else {
            ScaleBytes::Bytes(scales.to_vec())
        };
        let codes = codes_of(&scheme, codes, counts.codes)?;
        Ok(Self { scheme, shape, codes, scales, tensor_scale: floats(tensor).next() })
    }

    /// The codes as the scheme's store holds them.
    fn stored_codes(&self) -> Result<Vec<u8>, Error> {
        check_width(self.scheme.value, &self.codes)?;
        if is_bytewise(&self.scheme) {
            return Ok(self.codes.clone());
        }
        // Sign-extended integers lose the copies of their sign.
        Ok(NIBBLES.store(&self.codes.iter().map(|c| c & 0xF).collect::<Vec<_>>())?)
    }
}

/// One code a byte out of a scheme's store.
fn codes_of(scheme: &QuantScheme, bytes: &[u8], count: usize) -> Result<Vec<u8>, Error> {
    let codes = match scheme.value {
        _ if is_bytewise(scheme) => bytes.to_vec(),
        QuantValue::E2M1 => NIBBLES.load(bytes, count)?,
        _ => NIBBLES.load(bytes, count)?.into_iter().map(|c| ((c << 4) as i8 >> 4) as u8).collect(),
    };
    check_width(scheme.value, &codes)?;
    Ok(codes)
}

/// Whether every code has a byte of its own.
fn is_bytewise(scheme: &QuantScheme) -> bool {
    matches!(scheme.store, QuantStore::Native) || scheme.value.size_bits() == 8
}

/// Whether codes of 4 bits fit in them: integers from -8 to 7, others below 16.
fn check_width(value: QuantValue, codes: &[u8]) -> Result<(), Error> {
    let fits = |c: u8| match value {
        _ if value.size_bits() == 8 => true,
        QuantValue::E2M1 => c < 16,
        _ => (-8..8).contains(&(c as i8)),
    };
    match codes.iter().position(|&c| !fits(c)) {
        Some(index) => Err(FormatError::CodeTooWide { index, code: codes[index], bits: 4 }.into()),
        None => Ok(()),
    }
}

const TOO_LARGE: &str = "the shape has more elements than memory can address";

/// What a scheme and a shape imply, or why Burn could not hold such a tensor.
fn counts(scheme: &QuantScheme, shape: &[usize]) -> Result<Counts, Error> {
    let refuse = |problem| Err(unsupported(scheme, problem));
    let codes = product(shape.iter().copied()).ok_or_else(|| unsupported(scheme, TOO_LARGE))?;
    let bits = scheme.value.size_bits();
    if scheme.mode != QuantMode::Symmetric || bits == 2 {
        return refuse("only symmetric values of 8 and 4 bits have a format here");
    }
    let per_store = match scheme.store {
        QuantStore::Native => 1,
        QuantStore::PackedU32(0) => 32 / bits,
        QuantStore::PackedNative(0) if scheme.value == QuantValue::E2M1 => 2,
        _ => {
            return refuse(
                "values must be `Native`, or packed along the last dimension (`PackedNative` for E2M1 only)",
            );
        }
    };
    if !shape.last().unwrap_or(&1).is_multiple_of(per_store) {
        return refuse("the last dimension does not fill whole words; use the store `Native`");
    }
    let width = match scheme.scale_dtype() {
        ScaleDtype::F32 => 4,
        ScaleDtype::UE8M0 | ScaleDtype::UE4M3 => 1,
        _ => return refuse("scales must be F32, UE8M0 or UE4M3"),
    };
    let two_level = scheme.block_scale().is_some() && scheme.tensor_scale().is_some();
    if two_level && scheme.tensor_scale() != Some(ScaleDtype::F32) {
        return refuse("the scale of the tensor over those of blocks must be F32");
    }
    let stored = if is_bytewise(scheme) { codes } else { codes / 2 };
    Ok(Counts { codes, stored, scales: scales(scheme, shape)?, width, two_level })
}

/// How many scales blocks need, or the tensor where there are no blocks.
fn scales(scheme: &QuantScheme, shape: &[usize]) -> Result<usize, Error> {
    let Some(block) = scheme.block_size() else { return Ok(1) };
    if block.len() > shape.len() {
        return Err(unsupported(scheme, "blocks have more dimensions than the tensor"));
    }
    let dims = shape.iter().zip(block.to_dim_vec(shape.len())).map(|(&d, b)| (d, usize::from(b)));
    if !dims.clone().all(|(dim, block)| block != 0 && dim.is_multiple_of(block)) {
        return Err(unsupported(scheme, "the tensor is not a whole number of blocks along every dimension"));
    }
    product(dims.map(|(dim, block)| dim / block)).ok_or_else(|| unsupported(scheme, TOO_LARGE))
}

/// The product of dimensions, where it fits.
fn product(mut dims: impl Iterator<Item = usize>) -> Option<usize> {
    dims.try_fold(1usize, |n, d| n.checked_mul(d))
}

/// Bytes that start at a word, which Burn needs to read packed codes.
fn aligned(bytes: Vec<u8>) -> Bytes {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut aligned = Bytes::from_elems(words.iter().map(|w| u32::from_le_bytes(*w)).collect());
    aligned.extend_from_byte_slice(rest);
    aligned
}

/// FP32 numbers.
fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
}

fn same(what: &'static str, given: usize, allowed: usize) -> Result<(), Error> {
    if given == allowed { Ok(()) } else { Err(Error::Length { what, given, allowed }) }
}

/// The error for a scheme that cannot be held.
pub(super) fn unsupported(scheme: impl std::fmt::Debug, problem: &'static str) -> Error {
    Error::Scheme { given: format!("{scheme:?}"), problem }
}
