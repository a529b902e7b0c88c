//! `int8` and its like: exact integer sums, then two FP32 multiplications.
//!
//! The note of a row is its scale.

use super::NR;
use super::bytes::{BytePanel, ByteUnit, Dot, RUN, Strip, singles};
use crate::datapath::Overflow;

/// Integer products summed exactly.
pub(crate) struct Integers {
    /// What the 32-bit accumulator does with a sum that it cannot hold.
    pub overflow: Overflow,
}

impl ByteUnit for Integers {
    fn run(&self) -> usize {
        RUN
    }

    /// The runs are added in FP64, exact up to 2^53, which takes 2^39 products.
    #[inline(always)]
    fn tile<D: Dot, const MR: usize>(
        &self,
        dot: D,
        left: &Strip<D::Quad, MR>,
        right: BytePanel<'_>,
        out: &mut [[f32; NR]; MR],
    ) {
        let (mut sums, mut totals) = ([[0; NR]; MR], [[0.0f64; NR]; MR]);
        for run in 0..left.runs() {
            left.sum(dot, right.quads, run, &mut sums);
            for (total, &sum) in totals.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                *total += f64::from(sum);
            }
        }
        let scales = singles(&right.notes[0], 1.0);
        for ((out, totals), scale_a) in out.iter_mut().zip(&totals).zip(&left.notes[0]) {
            for ((out, &total), scale_b) in out.iter_mut().zip(totals).zip(&scales[..right.columns]) {
                *out = scale_a * scale_b * self.overflow.accumulator(total);
            }
        }
    }
}
