//! What quantising leaves on the device.

use super::launch::per_row;
use crate::Error;
use crate::operand::DeviceOperand;
use cubecl::client::Client;
use cubecl::server::Handle;
use interplay_formats::{Format, Scale};

/// A matrix `[rows, k]` in a format, on the device; every part is of 32-bit words, row-major.
#[derive(Clone, Debug)]
pub struct DeviceQuantized {
    /// The format.
    pub format: &'static Format,
    /// FP32 bits of the elements without their scales, `[rows, k_padded]`, zeros from `k` on. Under a zero point the
    /// distance from it, so that a value is element * scale there too.
    pub elements: Handle,
    /// The code of each element, `[rows, k_padded]`, zeros from `k` on; an integer's sign is repeated above its width. Codes
    /// of formats of more than 32 bits are those of FP32.
    pub codes: Handle,
    /// The scale of each block, `[ceil(rows / block_rows), k_padded / block]`: the exponent of a power of two as an i32,
    /// `0x8000_0000` for NaN; of microexponents the stored word; FP32 bits of a factor; the code of a narrow float. None
    /// for formats without.
    pub scales: Option<Handle>,
    /// The zero point of each block, where the format has such.
    pub zeros: Option<Handle>,
    /// FP32 bits of the tensor's decode scale, once a row, `[rows]`, where the format has one.
    pub tensor_scale: Option<Handle>,
    /// Rows.
    pub rows: usize,
    /// Length of a row.
    pub k: usize,
    /// Length of a stored row: whole blocks.
    pub k_padded: usize,
    /// Elements along K that share a scale, 1 for formats without.
    pub block: usize,
    /// Rows that share a scale, 1 for formats without.
    pub block_rows: usize,
}

impl DeviceQuantized {
    /// The matrix as kernels of units read it, with one scale a block of a row or one factor a row; codes are let go.
    ///
    /// # Errors
    /// [`Error::Operand`] for scales that no unit reads: with a zero point, one a column, several FP32 factors a row,
    /// microexponents.
    pub fn into_operand(self, client: &Client) -> Result<DeviceOperand, Error> {
        let (rows, across) = (self.rows, self.k_padded.div_ceil(self.block.max(1)));
        let stored = rows.div_ceil(self.block_rows.max(1)) * across;
        let shared = |scales: &Handle| match self.block_rows {
            1 => scales.clone(),
            n => per_row(client, (scales, stored, 0), (n, across), rows),
        };
        let by_row = self.scales.as_ref().filter(|_| stored > 0).map(shared);
        let (scales, factors) = match self.format.scaling.map(|s| s.scale) {
            None => (None, None),
            Some(Scale::E8M0 | Scale::Exponent(_)) => (by_row, None),
            Some(Scale::Code(_)) => (by_row, self.tensor_scale),
            Some(Scale::Float32) if across <= 1 => (None, by_row),
            Some(_) => {
                return Err(Error::Operand {
                    side: "an operand",
                    given: format!("in format `{}`", self.format.name),
                    wanted: "elements with one scale a block or one factor a row".to_owned(),
                });
            }
        };
        Ok(DeviceOperand {
            elements: self.elements,
            scales,
            factors,
            format: self.format,
            rows,
            k: self.k,
            k_padded: self.k_padded,
            block: self.block,
        })
    }
}

/// A word in which kernels note what values they met: [`REFUSED`](super::REFUSED), [`NOT_FINITE`](super::NOT_FINITE).
/// One serves any number of calls.
#[derive(Clone, Debug)]
pub struct Status(Handle);

impl Status {
    /// A word of zeros.
    pub fn new(client: &Client) -> Self {
        Self(client.create_from_slice(&[0; 4]))
    }

    /// Its buffer.
    pub(crate) const fn word(&self) -> &Handle {
        &self.0
    }

    /// The word, which waits for all that was launched.
    ///
    /// # Errors
    /// [`Error::Device`] where the device cannot say.
    pub fn read(&self, client: &Client) -> Result<u32, Error> {
        let failed = |reason: String| Error::Device { device: client.name().to_owned(), reason };
        let bytes = client.read_one(self.0.clone()).map_err(|e| failed(e.to_string()))?;
        let word = bytes.first_chunk().ok_or_else(|| failed("an empty buffer".to_owned()))?;
        Ok(u32::from_le_bytes(*word))
    }
}
