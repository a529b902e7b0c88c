//! `int8` and its like: exact integer sums, then two FP32 multiplications.
//!
//! The note of a row is its scale.

use super::{Left, NR, Panel, Unit, chain};
use crate::datapath::Overflow;

/// Integer products summed exactly.
pub(crate) struct Integers {
    /// Products that an FP32 register sums without rounding: `steps * max|q_x| * max|q_w| <= 2^24`.
    pub steps: usize,
    /// What the 32-bit accumulator does with a sum that it cannot hold.
    pub overflow: Overflow,
}

impl Unit for Integers {
    type Lane = f32;

    /// Within `steps` products every partial sum is an integer of magnitude at most 2^24, hence exact in FP32 in any
    /// order. The runs are added in FP64, exact up to 2^53, which takes 2^39 products of int8.
    #[inline(always)]
    fn tile<const MR: usize>(&self, left: &Left<f32, MR>, right: Panel<'_>, out: &mut [[f32; NR]; MR]) {
        let mut totals = [[0.0f64; NR]; MR];
        for (a, b) in left.elements.chunks(self.steps).zip(right.elements.chunks(self.steps)) {
            let mut sums = [[0.0f32; NR]; MR];
            chain(a, b, &mut sums);
            for r in 0..MR {
                for c in 0..NR {
                    totals[r][c] += f64::from(sums[r][c]);
                }
            }
        }
        for r in 0..MR {
            for c in 0..NR {
                let scale = left.notes[0][r] as f32 * right.notes[0][c] as f32;
                out[r][c] = scale * self.overflow.accumulator(totals[r][c]);
            }
        }
    }
}
