//! What quantising leaves on the device.

use crate::Error;
use cubecl::client::Client;
use cubecl::server::Handle;

/// A matrix `[rows, k]` in a format, on the device; every part is of 32-bit words, row-major.
#[derive(Clone, Debug)]
pub struct DeviceQuantized {
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
