//! Cross-entropy with its gradient in one pass over the logits.
//!
//! Differentiating `log_softmax` on the tape costs a dozen passes over a `[rows, vocabulary]` tensor. Here the value and
//! the gradient are computed together on the host, and the tape sees only a product with that gradient.

use burn::tensor::{Tensor, TensorData};

/// The mean cross-entropy of `logits` `[R, C]` against one class a row, and its gradient, row-major `[R, C]`.
pub fn cross_entropy(logits: &[f32], classes: &[u32]) -> (f64, Vec<f32>) {
    let width = logits.len() / classes.len().max(1);
    let share = 1.0 / classes.len() as f32;
    let mut gradient = vec![0.0; logits.len()];
    let mut sum = 0.0;
    for ((row, out), &class) in logits.chunks_exact(width).zip(gradient.chunks_exact_mut(width)).zip(classes) {
        let normaliser = exponentials(row, out);
        sum += f64::from(normaliser.ln() + maximum(row) - row[class as usize]);
        let factor = share / normaliser;
        out.iter_mut().for_each(|value| *value *= factor);
        out[class as usize] -= share;
    }
    (sum / classes.len() as f64, gradient)
}

/// Moves the targets behind a [`cross_entropy`] gradient a `share` of the way from the right class to a teacher's distribution,
/// which `teacher` writes for the row it is given.
pub fn lean(gradient: &mut [f32], classes: &[u32], share: f32, mut teacher: impl FnMut(usize, &mut [f32])) {
    let width = gradient.len() / classes.len().max(1);
    let factor = share / classes.len() as f32;
    let mut distribution = vec![0.0; width];
    for (index, (row, &class)) in gradient.chunks_exact_mut(width).zip(classes).enumerate() {
        teacher(index, &mut distribution);
        row.iter_mut().zip(&distribution).for_each(|(value, probability)| *value -= factor * probability);
        row[class as usize] += factor;
    }
}

/// The distribution that a row of logits stands for.
pub fn softmax(row: &[f32], out: &mut [f32]) {
    let normaliser = exponentials(row, out);
    out.iter_mut().for_each(|value| *value /= normaliser);
}

/// The cross-entropies of the rows of `logits` `[R, C]`, in nats.
pub fn negative_log_likelihoods(logits: &[f32], classes: &[u32]) -> Vec<f64> {
    let width = logits.len() / classes.len().max(1);
    let mut scratch = vec![0.0; width];
    let rows = logits.chunks_exact(width).zip(classes);
    rows.map(|(row, &class)| f64::from(exponentials(row, &mut scratch).ln() + maximum(row) - row[class as usize]))
        .collect()
}

/// A scalar tensor with no useful value whose gradient with respect to `logits` is `gradient`.
pub fn surrogate(logits: Tensor<2>, gradient: Vec<f32>) -> Tensor<1> {
    let gradient = Tensor::<2>::from_data(TensorData::new(gradient, logits.dims()), &logits.device());
    (logits * gradient).sum()
}

/// Writes `exp(x - max)` of a row and returns the sum.
fn exponentials(row: &[f32], out: &mut [f32]) -> f32 {
    let maximum = maximum(row);
    let mut sum = 0.0;
    for (&x, out) in row.iter().zip(out) {
        *out = (x - maximum).exp();
        sum += *out;
    }
    sum
}

fn maximum(row: &[f32]) -> f32 {
    row.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_and_gradient_by_hand() {
        let ln3 = 3f32.ln();
        let (loss, gradient) = cross_entropy(&[0.0, ln3, 5.0, 5.0], &[1, 0]);
        assert!((loss - (0.75f64.ln() + 0.5f64.ln()) / -2.0).abs() < 1e-6);
        for (got, want) in gradient.iter().zip([0.125, -0.125, -0.25, 0.25]) {
            assert!((got - want).abs() < 1e-6, "{gradient:?}");
        }
        let mut leant = gradient.clone();
        lean(&mut leant, &[1, 0], 0.5, |_, out| out.copy_from_slice(&[0.5, 0.5]));
        for (got, want) in leant.iter().zip([0.0, 0.0, -0.125, 0.125]) {
            assert!((got - want).abs() < 1e-6, "{leant:?}");
        }
        let each = negative_log_likelihoods(&[0.0, ln3, 5.0, 5.0], &[1, 0]);
        assert!((each.iter().sum::<f64>() / 2.0 - loss).abs() < 1e-7);
    }
}
