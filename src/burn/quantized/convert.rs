//! Quantised matrices to Burn's quantised tensors and back, where both hold the same numbers.

use burn::tensor::TensorData;

use super::bytes::unsupported;
use super::{Correspondence, ScaleBytes, Stored};
use crate::Error;
use crate::formats::{Codes, Encoding, Format, Quantized, Scale, Scales};

/// A matrix `[rows, k]` as the data of a quantised Burn tensor.
///
/// # Errors
/// [`Error::Scheme`] for a format that Burn does not have, for rows that are not whole blocks and for rows beyond 255 under
/// one scale.
pub fn to_burn(matrix: &Quantized) -> Result<TensorData, Error> {
    let name = matrix.format().name;
    let scheme = Correspondence::of_format(name)?.scheme(matrix.k())?;
    if matrix.k_padded() != matrix.k() {
        return Err(unsupported(name, "Burn's blocks are whole; pad the rows with zeros first"));
    }
    let codes = match matrix.codes() {
        Codes::U8(codes) => codes.clone(),
        Codes::I8(codes) => codes.iter().map(|&c| c as u8).collect(),
        _ => return Err(unsupported(name, "Burn's codes have at most 8 bits")),
    };
    let scales = match matrix.scales() {
        Scales::Float32(scales) => ScaleBytes::Float32(scales.clone()),
        Scales::E8M0(scales) | Scales::Code(scales) => ScaleBytes::Bytes(scales.clone()),
        _ => return Err(unsupported(name, "Burn's scales are FP32, UE8M0 or UE4M3")),
    };
    let shape = vec![matrix.rows(), matrix.k()];
    Stored { scheme, shape, codes, scales, tensor_scale: matrix.tensor_scale() }.to_data()
}

/// The matrix that a quantised Burn tensor holds; leading dimensions are rows.
///
/// # Errors
/// [`Error::Scheme`] where no format is stored so, [`Error::Length`] for bytes of another length than the shape's,
/// [`Error::Format`] for codes or scales that the format does not have.
pub fn from_burn(data: &TensorData) -> Result<Quantized, Error> {
    let stored = Stored::from_data(data)?;
    let k = stored.shape.last().copied().unwrap_or(0);
    let rows = stored.codes.len().checked_div(k).unwrap_or(0);
    let format = Format::by_name(Correspondence::of_scheme(&stored.scheme, k)?.format)?;
    let codes = if matches!(format.element.encoding, Encoding::Integer { .. }) {
        Codes::I8(stored.codes.iter().map(|&c| c as i8).collect())
    } else {
        Codes::U8(stored.codes)
    };
    let scales = match (stored.scales, format.scaling.map(|s| s.scale)) {
        (ScaleBytes::Float32(scales), _) => Scales::Float32(scales),
        (ScaleBytes::Bytes(scales), Some(Scale::E8M0)) => Scales::E8M0(scales),
        (ScaleBytes::Bytes(scales), _) => Scales::Code(scales),
    };
    Ok(Quantized::from_parts(format, rows, k, codes, scales, stored.tensor_scale)?)
}
