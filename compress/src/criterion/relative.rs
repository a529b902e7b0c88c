//! Relative importance: a weight as a share of its row and of its column (RIA, BaWA, PQP).

use super::each;

/// RIA: |w| / (sum of its column) + |w| / (sum of its row), times the column's factor.
pub(super) fn importance(w: &[f32], k: usize, factors: &[f64]) -> Vec<f32> {
    let (rows, columns) = sums(w, k, |w| w);
    each(w, k, |i, j, w| (w / columns[j] + w / rows[i]) * factors[j])
}

/// BaWA: the same with L2 norms, each to a power.
pub(super) fn balanced(w: &[f32], k: usize, (output, input): (f64, f64), factors: &[f64]) -> Vec<f32> {
    let (rows, columns) = sums(w, k, |w| w * w);
    let norms = |squares: Vec<f64>, power: f64| super::powers(&squares, power / 2.0);
    let (rows, columns) = (norms(rows, output), norms(columns, input));
    each(w, k, |i, j, w| (w / rows[i] + w / columns[j]) * factors[j])
}

/// RIA scaled so that its smallest value is 0 and its largest 1; all are 0 where they are alike.
///
/// DIFFERENCE: one NaN makes every value of PQP's code one. Here an all-zero column is the only NaN, and the others are scaled
/// without it.
pub(super) fn scaled(w: &[f32], k: usize, factors: &[f64]) -> Vec<f64> {
    let (rows, columns) = sums(w, k, |w| w);
    let value = |(at, w): (usize, &f32)| {
        let (i, j, w) = (at / k, at % k, f64::from(w.abs()));
        (w / columns[j] + w / rows[i]) * factors[j]
    };
    let values: Vec<f64> = w.iter().enumerate().map(value).collect();
    let (low, high) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
    let range = high - low;
    values.iter().map(|v| if range == 0.0 { 0.0 * v } else { (v - low) / range }).collect()
}

/// Sums over each row and over each column of a function of the magnitudes; columns from the first row to the last.
fn sums(w: &[f32], k: usize, of: impl Fn(f64) -> f64) -> (Vec<f64>, Vec<f64>) {
    let mut columns = vec![0.0; k];
    let row = |w: &[f32]| {
        let mut sum = 0.0;
        for (column, w) in columns.iter_mut().zip(w) {
            let value = of(f64::from(w.abs()));
            *column += value;
            sum += value;
        }
        sum
    };
    let rows = w.chunks(k).map(row).collect();
    (rows, columns)
}
