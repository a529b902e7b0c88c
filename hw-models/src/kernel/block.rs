//! `block`: exact sums within a block, scaled, rounded to FP32 and added in FP32, blocks in increasing k.
//!
//! The notes of a row are its block scales. The three units differ in the register that holds a block's sum;
//! `Register::of` in `datapath/register.rs` proves which are exact for a pair of formats.

use super::{Left, NR, Panel, Unit, chain};
use crate::exact::Sum;

/// Block sums in FP32; exact when every sum of products has at most 24 bits and every factor is a normal FP32 number.
pub(crate) struct SingleBlocks {
    /// Elements in a block.
    pub length: usize,
}

impl Unit for SingleBlocks {
    type Lane = f32;

    /// The factor 2^(ea+eb) is an exact FP32 product, so `sum * factor` is the one rounding of the scaled block sum.
    #[inline(always)]
    fn tile<const MR: usize>(&self, left: &Left<f32, MR>, right: Panel<'_>, out: &mut [[f32; NR]; MR]) {
        let blocks = left.elements.chunks_exact(self.length).zip(right.elements.chunks_exact(self.length));
        let notes = left.notes.iter().zip(right.notes);
        for ((a, b), (scale_a, scale_b)) in blocks.zip(notes) {
            let mut sums = [[0.0f32; NR]; MR];
            chain(a, b, &mut sums);
            for r in 0..MR {
                for c in 0..NR {
                    out[r][c] += sums[r][c] * (scale_a[r] as f32 * scale_b[c] as f32);
                }
            }
        }
    }
}

/// Block sums in FP64; exact when every sum of products has at most 53 bits.
pub(crate) struct DoubleBlocks {
    /// Elements in a block.
    pub length: usize,
}

impl Unit for DoubleBlocks {
    type Lane = f64;

    /// Scaling by powers of two is exact in FP64 (their exponents stay far inside its range), so the conversion is the
    /// one rounding of the scaled block sum.
    #[inline(always)]
    fn tile<const MR: usize>(&self, left: &Left<f64, MR>, right: Panel<'_>, out: &mut [[f32; NR]; MR]) {
        let blocks = left.elements.chunks_exact(self.length).zip(right.elements.chunks_exact(self.length));
        let notes = left.notes.iter().zip(right.notes);
        for ((a, b), (scale_a, scale_b)) in blocks.zip(notes) {
            let mut sums = [[0.0f64; NR]; MR];
            chain(a, b, &mut sums);
            for r in 0..MR {
                for c in 0..NR {
                    out[r][c] += (sums[r][c] * (scale_a[r] * scale_b[c])) as f32;
                }
            }
        }
    }
}

/// Block sums in the long accumulator: exact for every format, and slow.
pub(crate) struct WideBlocks {
    /// Elements in a block.
    pub length: usize,
}

impl Unit for WideBlocks {
    type Lane = f32;

    fn tile<const MR: usize>(&self, left: &Left<f32, MR>, right: Panel<'_>, out: &mut [[f32; NR]; MR]) {
        let blocks = left.elements.chunks_exact(self.length).zip(right.elements.chunks_exact(self.length));
        let notes = left.notes.iter().zip(right.notes);
        for ((a, b), (scale_a, scale_b)) in blocks.zip(notes) {
            for r in 0..MR {
                for c in 0..NR {
                    let mut sum = Sum::new();
                    a.iter().zip(b).for_each(|(a, b)| sum.add_product(a[r], b[c]));
                    out[r][c] += sum.round(exponent(scale_a[r]) + exponent(scale_b[c]));
                }
            }
        }
    }
}

/// The exponent of a power of two.
fn exponent(scale: f64) -> i32 {
    (scale.to_bits() >> 52) as i32 - 1023
}
