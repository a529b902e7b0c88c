//! Convolutions of one channel each: too thin for a product of matrices, so that rows of the output are the vectors.

use crate::exact::canonical;
use crate::kernel::Lane;
use crate::kernel::simd::{Path, Work, run};
use rayon::prelude::*;

/// The geometry of a depthwise convolution, the same for every channel; pairs are vertical, horizontal.
#[derive(Clone, Copy, Debug)]
pub struct Plane {
    /// Size of the input.
    pub input: [usize; 2],
    /// Size of the output.
    pub output: [usize; 2],
    /// Size of the kernel.
    pub kernel: [usize; 2],
    /// Steps between outputs.
    pub stride: [usize; 2],
    /// Steps between the kernel's taps.
    pub dilation: [usize; 2],
    /// Zeros above and left of the input.
    pub before: [usize; 2],
}

impl Plane {
    /// The size of an input with all zeros that windows reach.
    fn padded(&self) -> [usize; 2] {
        [0, 1].map(|i| {
            let reach = self.output[i].saturating_sub(1) * self.stride[i]
                + self.kernel[i].saturating_sub(1) * self.dilation[i]
                + 1;
            reach.max(self.input[i] + self.before[i])
        })
    }
}

/// Each plane of `x` `[images, channels, h, w]` convolved with its channel's taps, `[channels, kh, kw]`: taps in that order, padding as +0.
///
/// `multiplier` consecutive kernels read one channel, so that there are `channels * multiplier` of them, and as many output channels. False
/// where the lengths do not go together.
#[must_use]
pub fn depthwise(plane: &Plane, x: &[f32], taps: &[f32], multiplier: usize, out: &mut [f32]) -> bool {
    let size = |[h, w]: [usize; 2]| h * w;
    let (from, to, window) = (size(plane.input), size(plane.output), size(plane.kernel));
    if from == 0 || to == 0 || window == 0 || multiplier == 0 {
        return out.is_empty();
    }
    let kernels = taps.len() / window;
    let planes = out.len() / to;
    let whole = out.len().is_multiple_of(to) && taps.len().is_multiple_of(window);
    let whole = whole && kernels > 0 && planes.is_multiple_of(kernels);
    if !whole || !kernels.is_multiple_of(multiplier) || x.len() * multiplier != planes * from {
        return false;
    }
    let path = Path::best();
    out.par_chunks_mut(to).enumerate().for_each(|(index, out)| {
        let x = &x[index / multiplier * from..][..from];
        let taps = &taps[index % kernels * window..][..window];
        run(path, Convolve { plane, x, taps, out });
    });
    true
}

/// One plane.
struct Convolve<'a> {
    plane: &'a Plane,
    x: &'a [f32],
    taps: &'a [f32],
    out: &'a mut [f32],
}

impl Work for Convolve<'_> {
    const BYTES: usize = size_of::<f32>();

    #[inline(always)]
    fn run<const MR: usize, const FUSED: bool>(self) {
        let Plane { input, output, kernel, stride, dilation, before } = *self.plane;
        let [height, width] = self.plane.padded();
        let mut padded = vec![0.0; height * width];
        for (from, to) in self.x.chunks_exact(input[1]).zip(padded[before[0] * width..].chunks_mut(width)) {
            to[before[1]..][..input[1]].copy_from_slice(from);
        }
        for (y, sums) in self.out.chunks_exact_mut(output[1]).enumerate() {
            sums.fill(0.0);
            for (tap, weight) in self.taps.iter().enumerate() {
                let [i, j] = [tap / kernel[1], tap % kernel[1]];
                let row = &padded[(y * stride[0] + i * dilation[0]) * width + j * dilation[1]..];
                if stride[1] == 1 {
                    let pairs = sums.iter_mut().zip(row);
                    pairs.for_each(|(sum, x)| *sum = f32::fma::<FUSED>(*x, *weight, *sum));
                } else {
                    let pairs = sums.iter_mut().zip(row.iter().step_by(stride[1].max(1)));
                    pairs.for_each(|(sum, x)| *sum = f32::fma::<FUSED>(*x, *weight, *sum));
                }
            }
            sums.iter_mut().for_each(|sum| *sum = canonical(*sum));
        }
    }
}
