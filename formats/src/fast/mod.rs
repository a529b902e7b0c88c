//! The fast path: quantise, fake-quantise and pack by blocks, vectorised and on all threads.
//!
//! Invariant: the bits are those of the reference path for any thread count, CPU and shape; tests compare them. Records
//! that no [`Kernel`] covers take the reference path, so that a new catalogue entry works before it is fast.

mod input;
mod packed;
mod plan;

use crate::error::{Error, non_finite, rows_of};
use crate::kernel::Kernel;
use crate::nvfp4::TensorScale;
use crate::random::Stream;
use crate::simd::Level;
use crate::sweep::{Sweep, amax, first_non_finite};
use crate::tensor::{Codes, Scales};
use crate::{Format, Quantized, Scale, scalar};
use plan::{Visit, Wrap, visit};
use rayon::prelude::*;

impl Format {
    /// Quantises a row-major matrix with rows of `k`: the bits of [`Format::quantize_reference`].
    ///
    /// A short last block of a row is padded with zeros.
    ///
    /// # Errors
    /// A NaN or an infinity (the first one, by row and column), a length that `k` does not divide.
    pub fn quantize(&'static self, x: &[f32], k: usize) -> Result<Quantized, Error> {
        self.quantize_seeded(x, k, 0)
    }

    /// Quantises with the random bits of `seed`, which only stochastic rounding draws: the word of an element depends
    /// on the seed and on its place in the matrix, so that a pruned matrix draws the same.
    ///
    /// # Errors
    /// As [`Format::quantize`].
    pub fn quantize_seeded(&'static self, x: &[f32], k: usize, seed: u64) -> Result<Quantized, Error> {
        Call::new(self, Level::detect(), x.len(), k, seed)?.quantize(x)
    }

    /// Quantises whatever there is: NaN and infinities become what the record's `non_finite` says.
    ///
    /// # Errors
    /// A NaN or an infinity where the record refuses them or has no code for them; a length that `k` does not divide.
    pub fn quantize_any(&'static self, x: &[f32], k: usize, seed: u64) -> Result<Quantized, Error> {
        match first_non_finite(x) {
            None => self.quantize_seeded(x, k, seed),
            Some(_) => Call::new(self, Level::detect(), x.len(), k, seed)?.quantize_any(x),
        }
    }

    /// Rounds a row-major matrix with rows of `k` in place: the bits of quantising and dequantising.
    ///
    /// # Errors
    /// As [`Format::quantize`]; the contents of `x` are then unspecified.
    pub fn fake_quantize(&'static self, x: &mut [f32], k: usize) -> Result<(), Error> {
        self.fake_quantize_seeded(x, k, 0)
    }

    /// Rounds in place with the random bits of `seed`, as [`Format::quantize_seeded`] draws them.
    ///
    /// # Errors
    /// As [`Format::fake_quantize`].
    pub fn fake_quantize_seeded(&'static self, x: &mut [f32], k: usize, seed: u64) -> Result<(), Error> {
        Call::new(self, Level::detect(), x.len(), k, seed)?.fake(x)
    }
}

/// One call: a format, a matrix's shape, and how to go about it.
#[derive(Clone, Copy)]
pub(crate) struct Call {
    sweep: Sweep,
}

impl Call {
    pub(crate) fn new(format: &'static Format, level: Level, len: usize, k: usize, seed: u64) -> Result<Self, Error> {
        let rows = rows_of(len, k)?;
        Ok(Self { sweep: Sweep { format, level, stream: Stream::new(seed), rows, k } })
    }

    /// The largest magnitude, where the kernel wants it before it starts.
    fn amax(&self, x: &[f32]) -> Result<f32, Error> {
        match self.sweep.format.scaling {
            Some(scaling) if scaling.two_level => {
                amax(self.sweep.level, x).map_err(|at| non_finite(x, self.sweep.k, at))
            }
            _ => Ok(0.0),
        }
    }

    /// The stored scale of the whole tensor, where the format has one.
    fn tensor_scale(&self, amax: f32) -> Option<f32> {
        let Some(Scale::Code(scale)) = self.sweep.format.scaling.map(|s| s.scale) else { return None };
        Some(TensorScale::new(self.sweep.format, scale, amax).decode)
    }

    pub(crate) fn quantize(&self, x: &[f32]) -> Result<Quantized, Error> {
        let Sweep { format, k, rows, .. } = self.sweep;
        if let Some(narrow) = self.narrowed(x)? {
            return match first_non_finite(&narrow) {
                None => self.quantize_narrow(&narrow),
                Some(_) => format.interpret(x, k, self.sweep.stream),
            };
        }
        if format.element.encoding == scalar::FP64.encoding && format.scaling.is_none() {
            first_non_finite(x).map_or(Ok(()), |at| Err(non_finite(x, k, at)))?;
            let codes = Codes::U64(x.par_iter().map(|&v| f64::from(v).to_bits()).collect());
            return Ok(Quantized::new(format, rows, k, codes, Scales::None));
        }
        self.quantize_narrow(x)
    }

    /// The values are in the record's input type.
    fn quantize_narrow(&self, x: &[f32]) -> Result<Quantized, Error> {
        let Sweep { format, k, .. } = self.sweep;
        let amax = self.amax(x)?;
        match visit(format, amax, Quantize { sweep: self.sweep, x }) {
            Ok(Ok(quantized)) => Ok(quantized.with_tensor_scale(self.tensor_scale(amax))),
            Ok(Err(at)) => Err(non_finite(x, k, at)),
            Err(_) => {
                first_non_finite(x).map_or(Ok(()), |at| Err(non_finite(x, k, at)))?;
                format.interpret(x, k, self.sweep.stream)
            }
        }
    }

    fn fake(&self, x: &mut [f32]) -> Result<(), Error> {
        let Sweep { format, k, stream, .. } = self.sweep;
        if let Some(narrow) = self.narrowed(x)? {
            if first_non_finite(&narrow).is_some() {
                x.copy_from_slice(&format.interpret(x, k, stream)?.dequantize());
                return Ok(());
            }
            x.copy_from_slice(&narrow);
        }
        let unchanged = format.is_exact() || format.element.encoding == scalar::FP64.encoding;
        if unchanged && format.scaling.is_none() {
            return first_non_finite(x).map_or(Ok(()), |at| Err(non_finite(x, k, at)));
        }
        let amax = self.amax(x)?;
        match visit(format, amax, Fake { sweep: self.sweep, x, tensor: self.tensor_scale(amax) }) {
            Ok(None) => Ok(()),
            // Blocks before the bad one are rounded; it is as it was.
            Ok(Some((x, at))) => Err(non_finite(x, k, at)),
            Err(Fake { x, .. }) => {
                first_non_finite(x).map_or(Ok(()), |at| Err(non_finite(x, k, at)))?;
                let values = format.interpret(x, k, stream)?.dequantize();
                x.copy_from_slice(&values);
                Ok(())
            }
        }
    }
}

/// Quantises by a kernel.
struct Quantize<'a> {
    sweep: Sweep,
    x: &'a [f32],
}

impl Visit for Quantize<'_> {
    type Output = Result<Quantized, usize>;

    fn visit<K: Kernel>(self, kernel: K, stored: Wrap<K>) -> Self::Output {
        let Sweep { format, rows, k, .. } = self.sweep;
        let (codes, scales) = self.sweep.encode(kernel, self.x)?;
        let codes = (stored.codes)(format.element, codes);
        Ok(Quantized::new(format, rows, k, codes, (stored.scales)(scales)))
    }
}

/// Fake-quantises by a kernel.
struct Fake<'a> {
    sweep: Sweep,
    x: &'a mut [f32],
    tensor: Option<f32>,
}

impl<'a> Visit for Fake<'a> {
    type Output = Option<(&'a [f32], usize)>;

    fn visit<K: Kernel>(self, kernel: K, stored: Wrap<K>) -> Self::Output {
        let Self { sweep, x, tensor } = self;
        let bad = if K::COMMON {
            sweep.fake(kernel, x)
        } else {
            let quantized = Quantize { sweep, x }.visit(kernel, stored);
            let put = |q: Quantized| x.copy_from_slice(&q.with_tensor_scale(tensor).dequantize());
            quantized.map(put).err()
        };
        bad.map(|at| (&*x, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Packed;

    /// Every level of this CPU gives the bits of the baseline; the reference path judges that in `tests/fast.rs`.
    #[test]
    fn levels_agree() {
        let mut bits = 0x1234_5678u32;
        let mut next = || {
            bits = bits.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f32::from_bits(if bits & 0x7F80_0000 == 0x7F80_0000 { bits ^ 0x4000_0000 } else { bits })
        };
        let levels = Level::all();
        for k in [1, 33, 64, 200, 4096] {
            let x: Vec<f32> = (0..k * 24).map(|_| next()).collect();
            let call = |format, level, k| Call::new(format, level, x.len(), k, 7);
            for format in Format::all() {
                let fake = |level| {
                    let mut values = x.clone();
                    call(format, level, k).and_then(|c| c.fake(&mut values)).map(|()| values)
                };
                let bits = |values: Result<Vec<f32>, Error>| -> Result<Vec<u32>, Error> {
                    values.map(|v| v.iter().map(|v| v.to_bits()).collect())
                };
                for &level in &levels {
                    assert_eq!(bits(fake(level)), bits(fake(levels[0])), "{} {level:?} {k}", format.name);
                    let quantized = |level| call(format, level, k).and_then(|c| c.quantize(&x));
                    assert!(quantized(level) == quantized(levels[0]), "{} {level:?} {k}", format.name);
                    let packed = |level| {
                        let mut packed = Packed { values: Vec::new(), scales: Vec::new(), metadata: Vec::new() };
                        call(format, level, k).and_then(|c| c.pack(&x, &mut packed)).map(|()| packed)
                    };
                    assert!(packed(level) == packed(levels[0]), "{} {level:?} {k}, packed", format.name);
                }
            }
        }
    }

    /// Packing tells of the first value that is not finite as encoding does, in whichever part of a row it lies.
    #[test]
    fn packing_finds_the_first_bad_value() {
        let format = Format::by_name("mxfp4").expect("a format of the catalogue");
        let k = 3 * 1024 + 200;
        for at in [0, 1023, 1024, 2500, 3 * 1024, k - 1, k, 2 * k - 1] {
            let mut x = vec![1.0; 2 * k];
            x[at..].fill(f32::INFINITY);
            assert_eq!(format.pack(&x, k).err(), format.quantize(&x, k).err(), "{at}");
        }
    }
}
