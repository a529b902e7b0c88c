//! `block`: exact sums within a block, scaled, rounded to FP32 and added in FP32, blocks in increasing k.
//!
//! The notes of a row are its block scales. The four units differ in the register that holds a block's sum;
//! `Register::of` in `datapath/register.rs` proves which are exact for a pair of formats.

use super::bytes::{BytePanel, ByteUnit, Dot, Strip, singles};
use super::{Lane, Left, NR, Panel, Unit, chain};

/// Block sums in 32-bit integers; exact in FP32 too when they have at most 24 bits and every factor is a normal number.
pub(crate) struct ByteBlocks {
    /// Elements in a block, a multiple of four.
    pub length: usize,
    /// The product of the two last places, in which the sums are counted.
    pub unit: f64,
}

impl ByteUnit for ByteBlocks {
    fn run(&self) -> usize {
        self.length
    }

    /// Sum and factor are exact FP32 numbers, so `sum * factor` is the one rounding of the scaled block sum.
    #[inline(always)]
    fn tile<D: Dot, const MR: usize>(
        &self,
        dot: D,
        left: &Strip<D::Quad, MR>,
        right: BytePanel<'_>,
        out: &mut [[f32; NR]; MR],
    ) {
        let mut sums = [[0; NR]; MR];
        for (block, (scale_a, scale_b)) in left.notes.iter().zip(right.notes).enumerate() {
            left.sum(dot, right.quads, block, &mut sums);
            let scale_b = singles(scale_b, self.unit);
            for ((out, sums), scale_a) in out.iter_mut().zip(&sums).zip(scale_a) {
                for ((out, &sum), scale_b) in out.iter_mut().zip(sums).zip(&scale_b[..right.columns]) {
                    *out += sum as f32 * (scale_a * scale_b);
                }
            }
        }
    }
}

/// Block sums in FP32; exact when every sum of products has at most 24 bits and every factor is a normal FP32 number.
pub(crate) struct SingleBlocks {
    /// Elements in a block.
    pub length: usize,
}

impl Unit for SingleBlocks {
    type Lane = f32;

    /// The factor 2^(ea+eb) is an exact FP32 product, so `sum * factor` is the one rounding of the scaled block sum.
    #[inline(always)]
    fn tile<const MR: usize, const FUSED: bool>(
        &self,
        left: &Left<f32, MR>,
        right: Panel<'_>,
        out: &mut [[f32; NR]; MR],
    ) {
        let blocks = left.elements.chunks_exact(self.length).zip(right.elements.chunks_exact(self.length));
        let notes = left.notes.iter().zip(right.notes);
        for ((a, b), (scale_a, scale_b)) in blocks.zip(notes) {
            let mut sums = [[0.0f32; NR]; MR];
            chain::<_, MR, FUSED>(a, b, &mut sums);
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
    fn tile<const MR: usize, const FUSED: bool>(
        &self,
        left: &Left<f64, MR>,
        right: Panel<'_>,
        out: &mut [[f32; NR]; MR],
    ) {
        let blocks = left.elements.chunks_exact(self.length).zip(right.elements.chunks_exact(self.length));
        let notes = left.notes.iter().zip(right.notes);
        for ((a, b), (scale_a, scale_b)) in blocks.zip(notes) {
            let mut sums = [[0.0f64; NR]; MR];
            chain::<_, MR, FUSED>(a, b, &mut sums);
            for r in 0..MR {
                for c in 0..NR {
                    out[r][c] += (sums[r][c] * (scale_a[r] * scale_b[c])) as f32;
                }
            }
        }
    }
}

/// Block sums in two FP64 registers, a coarse and a fine one; exact for elements as wide as E5M2.
///
/// The coarse register starts at `bias = 1.5 * 2^(52 + SPLIT) * u`, `u` being the product of the two grids' last places.
/// As long as the sum stays below `2^(51 + SPLIT) u` in magnitude it remains in one binade, whose last place is
/// `2^SPLIT u`: each addition rounds its product to a multiple of that, and what is left, a multiple of `u` of at most
/// `2^(SPLIT - 1) u`, goes into the fine register, where up to `2^(53 - SPLIT)` of them add exactly.
pub(crate) struct SplitBlocks {
    /// Elements in a block.
    pub length: usize,
    /// Where the coarse register starts.
    pub bias: f64,
}

/// Columns that one pass of [`SplitBlocks`] computes, so that both registers of a tile fit the machine's.
const GROUP: usize = 8;

impl Unit for SplitBlocks {
    type Lane = f64;

    #[inline(always)]
    fn tile<const MR: usize, const FUSED: bool>(
        &self,
        left: &Left<f64, MR>,
        right: Panel<'_>,
        out: &mut [[f32; NR]; MR],
    ) {
        let blocks = left.elements.chunks_exact(self.length).zip(right.elements.chunks_exact(self.length));
        let notes = left.notes.iter().zip(right.notes);
        for ((a, b), (scale_a, scale_b)) in blocks.zip(notes) {
            for from in (0..NR).step_by(GROUP) {
                let (coarse, fine) = self.sums::<MR, FUSED>(a, b, from);
                for r in 0..MR {
                    for c in 0..GROUP {
                        // Where an infinity or a NaN came in, the fine register holds what is left of it, which is NaN.
                        let split = to_odd(coarse[r][c], fine[r][c]);
                        let sum = if coarse[r][c].is_finite() { split } else { coarse[r][c] };
                        out[r][from + c] += (sum * (scale_a[r] * scale_b[from + c])) as f32;
                    }
                }
            }
        }
    }
}

/// The two registers of a group of columns.
type Registers<const MR: usize> = [[f64; GROUP]; MR];

impl SplitBlocks {
    /// Sums of one block for the columns from `from` on.
    #[inline(always)]
    fn sums<const MR: usize, const FUSED: bool>(
        &self,
        a: &[[f64; MR]],
        b: &[[f32; NR]],
        from: usize,
    ) -> (Registers<MR>, Registers<MR>) {
        let (mut coarse, mut fine) = ([[self.bias; GROUP]; MR], [[0.0f64; GROUP]; MR]);
        for (a, b) in a.iter().zip(b) {
            for r in 0..MR {
                for c in 0..GROUP {
                    let b = b[from + c];
                    let next = f64::fma::<FUSED>(a[r], b, coarse[r][c]);
                    let rounded = next - coarse[r][c];
                    fine[r][c] += f64::fma::<FUSED>(a[r], b, -rounded);
                    coarse[r][c] = next;
                }
            }
        }
        coarse.as_flattened_mut().iter_mut().for_each(|sum| *sum -= self.bias);
        (coarse, fine)
    }
}

/// `a + b` rounded to odd: of the two FP64 numbers around an inexact sum the one whose last bit is 1.
///
/// Rounding that to FP32 equals rounding the sum itself (Boldo and Melquiond 2008), as 53 >= 24 + 2.
#[inline(always)]
pub(super) fn to_odd(a: f64, b: f64) -> f64 {
    let sum = a + b;
    // Knuth's two-sum: `a + b = sum + error` exactly.
    let part = sum - a;
    let error = (a - (sum - part)) + (b - part);
    let bits = sum.to_bits();
    // Away from zero when the error has the sign of the sum, else towards it.
    let away = (error > 0.0) == (sum > 0.0);
    let odd = if away { bits.wrapping_add(1) } else { bits.wrapping_sub(1) };
    // An infinity or a NaN has no error, or NaN.
    if error.abs() > 0.0 && bits & 1 == 0 { f64::from_bits(odd) } else { sum }
}
