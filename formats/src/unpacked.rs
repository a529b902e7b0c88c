//! A quantised matrix from its packed bytes: the inverse of [`Quantized::packed`] without a mask.

use crate::pack::{length, read};
use crate::reference::Geometry;
use crate::{Codes, Error, Format, Packed, PartsError, Quantized, Scale, Scales};

impl Quantized {
    /// The matrix [rows, k] whose packed bytes these are, as [`Format::pack`] and [`Quantized::packed`] without a mask
    /// make them. What is kept under a mask is read by [`sparse`](crate::sparse).
    ///
    /// # Errors
    /// [`Error::Parts`]: bytes of another length than the shape asks for, bits behind the last code or scale, and as
    /// [`Quantized::from_parts`].
    pub fn from_packed(format: &'static Format, rows: usize, k: usize, packed: &Packed) -> Result<Self, Error> {
        let refused = |problem| Error::Parts { format: format.name, problem };
        let bits = format.element.bits();
        let count = format.checked_padded(k).and_then(|padded| rows.checked_mul(padded));
        // A code and a scale have 64 bits at most, so that no length below overflows.
        let count =
            count.filter(|count| count.checked_mul(128).is_some()).ok_or(refused(PartsError::Size { rows, k }))?;
        whole("bytes of metadata", &packed.metadata, &[(0, 0)]).map_err(refused)?;
        whole("bytes of codes", &packed.values, &[(count, bits)]).map_err(refused)?;
        let mut codes = Codes::zeros(format.element, count);
        for (i, code) in read(&packed.values, bits, count).enumerate() {
            codes.set(i, format.element.sign_extended(code));
        }
        let (scales, tensor_scale) =
            scales(format, Geometry::new(format, rows, k).count(), k, packed).map_err(refused)?;
        Self::from_parts(format, rows, k, codes, scales, tensor_scale)
    }
}

/// Checks that bytes are so many numbers of so many bits, each list padded to a byte with zeros.
fn whole(part: &'static str, bytes: &[u8], lists: &[(usize, u32)]) -> Result<(), PartsError> {
    let wanted = lists.iter().map(|&(count, bits)| length(count, bits)).sum();
    if bytes.len() != wanted {
        return Err(PartsError::Length { part, given: bytes.len(), wanted });
    }
    let mut end = 0;
    for &(count, bits) in lists {
        end += length(count, bits);
        let used = count * bits as usize % 8;
        if let Some(&byte) = bytes[..end].last().filter(|&&byte| used > 0 && byte >> used != 0) {
            return Err(PartsError::End { part, byte, used });
        }
    }
    Ok(())
}

/// The scales of so many blocks, and the tensor's own.
fn scales(format: &Format, blocks: usize, k: usize, packed: &Packed) -> Result<(Scales, Option<f32>), PartsError> {
    const PART: &str = "bytes of scales";
    let Some(scaling) = format.scaling else {
        return whole(PART, &packed.scales, &[(0, 0)]).map(|()| (Scales::None, None));
    };
    let bits = scaling.scale_bits(format.block_len(k)) as u32;
    let (first, second) = if matches!(scaling.scale, Scale::Affine(_)) { (32, bits - 32) } else { (bits, 0) };
    let tensor = (usize::from(scaling.two_level), 32);
    whole(PART, &packed.scales, &[(blocks, first), (blocks, second), tensor])?;
    let (own, rest) = packed.scales.split_at(length(blocks, first));
    let (zeros, tensor) = rest.split_at(length(blocks, second));
    let words = read(own, first, blocks);
    let float = |bytes: &[u8; 4]| f32::from_le_bytes(*bytes);
    let floats = || own.as_chunks().0.iter().map(float).collect();
    let scales = match scaling.scale {
        Scale::E8M0 => Scales::E8M0(own.to_vec()),
        Scale::Code(_) => Scales::Code(words.map(|word| word as u8).collect()),
        Scale::Exponent(_) => Scales::Exponent(words.map(|word| signed(word, first)).collect()),
        Scale::Micro { .. } => Scales::Micro(words.map(|word| word as u32).collect()),
        Scale::Float32 => Scales::Float32(floats()),
        Scale::Affine(_) => Scales::Affine(floats(), read(zeros, second, blocks).map(|zero| zero as u8).collect()),
    };
    Ok((scales, tensor.first_chunk().map(float)))
}

/// An exponent of so many bits with its sign.
fn signed(word: u64, bits: u32) -> i16 {
    ((word << (64 - bits)) as i64 >> (64 - bits)) as i16
}
