//! FP32 to packed bytes without the codes between them.

use super::Call;
use super::plan::{Visit, Wrap, visit};
use crate::error::{Error, non_finite};
use crate::kernel::Kernel;
use crate::simd::Level;
use crate::sweep::Sweep;
use crate::tensor::Scales;
use crate::{Format, Packed, pack};

impl Format {
    /// The bytes that memory would hold: those of [`Format::quantize`] and [`Quantized::packed`] without a mask, in one
    /// sweep where rows are whole bytes.
    ///
    /// [`Quantized::packed`]: crate::Quantized::packed
    ///
    /// # Errors
    /// As [`Format::quantize`].
    pub fn pack(&'static self, x: &[f32], k: usize) -> Result<Packed, Error> {
        let mut packed = Packed { values: Vec::new(), scales: Vec::new(), metadata: Vec::new() };
        self.pack_into(x, k, &mut packed)?;
        Ok(packed)
    }

    /// [`Format::pack`] into buffers that are used again: on large matrices fresh pages cost more than packing.
    ///
    /// # Errors
    /// As [`Format::quantize`]; the contents of `packed` are then unspecified.
    pub fn pack_into(&'static self, x: &[f32], k: usize, packed: &mut Packed) -> Result<(), Error> {
        Call::new(self, Level::detect(), x.len(), k, 0)?.pack(x, packed)
    }
}

impl Call {
    pub(super) fn pack(&self, x: &[f32], packed: &mut Packed) -> Result<(), Error> {
        let Sweep { format, k, rows, .. } = self.sweep;
        packed.metadata.clear();
        if format.input.is_none() && self.sweep.packs() {
            let amax = self.amax(x)?;
            packed.values.resize(pack::length(rows * format.padded(k), format.element.bits()), 0);
            match visit(format, amax, Pack { sweep: self.sweep, x, out: &mut packed.values }) {
                Ok(Some(Ok(scales))) => {
                    let two_level = format.scaling.is_some_and(|s| s.two_level);
                    let tensor = self.tensor_scale(amax).filter(|_| two_level);
                    packed.scales = pack::scales(format, k, &scales, tensor);
                    return Ok(());
                }
                Ok(Some(Err(at))) => return Err(non_finite(x, k, at)),
                Ok(None) | Err(_) => {}
            }
        }
        *packed = self.quantize(x)?.packed(None)?;
        Ok(())
    }
}

/// Packs by a kernel.
struct Pack<'a> {
    sweep: Sweep,
    x: &'a [f32],
    out: &'a mut [u8],
}

impl Visit for Pack<'_> {
    /// `None` where the kernel does not pack.
    type Output = Option<Result<Scales, usize>>;

    fn visit<K: Kernel>(self, kernel: K, stored: Wrap<K>) -> Self::Output {
        if !K::COMMON {
            return None;
        }
        Some(self.sweep.pack(kernel, self.x, self.out).map(stored.scales))
    }
}
