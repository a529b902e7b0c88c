//! A quantised matrix on the device.

use crate::Error;
use crate::device::check_size;
use cubecl::client::Client;
use cubecl::server::Handle;
use interplay_formats::{Format, Quantized, Scale, Scales};

/// The exponent of a NaN scale.
pub const NAN_SCALE: u32 = 0x8000_0000;

/// Codes and scales of a matrix `[rows, k]` as kernels read them: one 32-bit word each, row-major.
#[derive(Clone)]
pub struct DeviceOperand {
    /// FP32 bits of the elements without their scales, `[rows, k_padded]`, zeros from `k` on.
    pub elements: Handle,
    /// The scale of each block, `[rows, k_padded / block]`, where a format has such: the exponent of a power of two as an
    /// i32, [`NAN_SCALE`] for NaN; or the code of a narrow float.
    pub scales: Option<Handle>,
    /// FP32 bits of the factor that the results of a row are scaled by, `[rows]`: the scale of a row of integers, or the
    /// scale of the tensor that a row is part of, once a row; none where there is no such factor.
    pub factors: Option<Handle>,
    /// The format.
    pub format: &'static Format,
    /// Rows.
    pub rows: usize,
    /// Length of a row.
    pub k: usize,
    /// Length of a stored row: whole blocks.
    pub k_padded: usize,
    /// Elements that share a scale; all of a row where a row has one factor.
    pub block: usize,
}

impl DeviceOperand {
    /// Copies what was quantised on the CPU to a device.
    ///
    /// # Errors
    /// [`Error::Memory`] for a matrix that no buffer holds; [`Error::Operand`] for a format whose scales no kernel reads.
    pub fn upload(client: &Client, q: &Quantized) -> Result<Self, Error> {
        let (rows, k_padded) = (q.rows(), q.k_padded());
        check_size(client, "an operand", (rows as u64).saturating_mul(k_padded as u64))?;
        let put = |words: Vec<u32>| client.create_from_slice(&bytes(&words));
        let factors = match (q.row_scales(), q.tensor_scale()) {
            (Some(scales), _) if scales.len() == rows => Some(scales.iter().map(|scale| scale.to_bits()).collect()),
            (None, Some(scale)) => Some(vec![scale.to_bits(); rows]),
            (None, None) => None,
            (Some(_), _) => return Err(unread(q)),
        };
        let scales = match (q.scales(), q.format().scaling.map(|scaling| scaling.scale), q.block_exponents()) {
            (Scales::None | Scales::Float32(_), ..) => None,
            (Scales::Code(codes), Some(Scale::Code(_)), _) => Some(codes.iter().map(|&code| u32::from(code)).collect()),
            (Scales::E8M0(codes), _, Some(exponents)) => {
                let scale = |(&code, e): (&u8, i32)| if code == u8::MAX { NAN_SCALE } else { e as u32 };
                Some(codes.iter().zip(exponents).map(scale).collect())
            }
            (Scales::Exponent(_), _, Some(exponents)) => Some(exponents.into_iter().map(|e| e as u32).collect()),
            _ => return Err(unread(q)),
        };
        let elements = q.elements().into_iter().map(f32::to_bits).collect();
        Ok(Self {
            elements: put(elements),
            scales: scales.map(put),
            factors: factors.map(put),
            format: q.format(),
            rows,
            k: q.k(),
            k_padded,
            block: q.block_len(),
        })
    }
}

fn unread(q: &Quantized) -> Error {
    Error::Operand {
        side: "an operand",
        given: format!("in format `{}`", q.format().name),
        wanted: "elements with one scale a block or one factor a row".to_owned(),
    }
}

/// Words as a buffer holds them.
pub(crate) fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
