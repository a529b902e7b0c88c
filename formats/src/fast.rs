//! The fast path.
use crate::{Error, Format, Quantized};

impl Format {
    /// Quantises a row-major matrix with rows of `k`.
    ///
    /// # Errors
    /// A NaN or an infinity, a length that `k` does not divide.
    pub fn quantize(&'static self, x: &[f32], k: usize) -> Result<Quantized, Error> {
        self.quantize_reference(x, k)
    }

    /// Rounds a row-major matrix with rows of `k` in place: the bits of quantising and dequantising.
    ///
    /// # Errors
    /// A NaN or an infinity, a length that `k` does not divide.
    pub fn fake_quantize(&'static self, x: &mut [f32], k: usize) -> Result<(), Error> {
        let values = self.quantize_reference(x, k)?.dequantize();
        x.copy_from_slice(&values);
        Ok(())
    }
}

impl Quantized {
    /// The FP32 values [rows, k].
    pub fn dequantize(&self) -> Vec<f32> {
        self.dequantize_reference()
    }

    /// The elements without their scales [rows, k_padded], exact in FP32.
    pub fn elements(&self) -> Vec<f32> {
        (0..self.codes().len()).map(|i| self.format().element.decode(self.codes().get(i)).to_f32()).collect()
    }
}
