//! JSQ's sensitivity: how far an output ranges over the positions of a sequence once a weight is gone.
//!
//! The published code runs one product of matrices for each column. Output i without weight (i, j) at position t is
//! Y_ti - Xbar_tj W_ij with Y = Xbar W^T, so that one pass over positions, rows and columns is all of it.

use rayon::prelude::*;

/// What the published code puts where a range is infinite.
const INFINITE: f32 = 100.0;

/// max_t - min_t of Y_ti - Xbar_tj W_ij for each weight; `positions` is Xbar, `[positions, k]`.
pub(super) fn ranges(w: &[f32], k: usize, positions: &[f32]) -> Vec<f32> {
    let mut ranges = vec![0.0; w.len()];
    let lines = ranges.par_chunks_mut(k).zip(w.par_chunks(k));
    lines.for_each(|(ranges, w)| row(ranges, w, positions));
    ranges
}

fn row(ranges: &mut [f32], w: &[f32], positions: &[f32]) {
    let w: Vec<f64> = w.iter().map(|w| f64::from(*w)).collect();
    let mut low = vec![f64::INFINITY; w.len()];
    let mut high = vec![f64::NEG_INFINITY; w.len()];
    for x in positions.chunks(w.len()) {
        let y: f64 = x.iter().zip(&w).map(|(x, w)| f64::from(*x) * w).sum();
        for (((low, high), x), w) in low.iter_mut().zip(&mut high).zip(x).zip(&w) {
            let rest = y - f64::from(*x) * w;
            *low = if rest < *low { rest } else { *low };
            *high = if rest > *high { rest } else { *high };
        }
    }
    for (range, (low, high)) in ranges.iter_mut().zip(low.iter().zip(&high)) {
        let value = (high - low) as f32;
        *range = if value.is_infinite() { INFINITE } else { value };
    }
}
