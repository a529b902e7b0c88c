//! The two theorems of arXiv 2405.20935 on the order of sparsification and quantisation.

use crate::laws::{Outcome, fake};
use crate::laws_bounds::{Unit, narrowed};
use interplay_formats::{Format, Order, Pattern, Pipeline};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

const PATTERNS: [&str; 8] = ["2:4", "1:4", "3:4", "4:8", "50%", "75%", "50%-row", "12.5%-row"];

fn failed(e: impl ToString) -> TestCaseError {
    TestCaseError::fail(e.to_string())
}

/// Element by element, |x - q(s(x))| <= |x - q(x)| + |x - s(x)|, s by magnitude.
pub fn element_by_element(pattern: &str, x: &[f32], k: usize, q: impl Fn(&[f32]) -> Quantise) -> Outcome {
    let pattern: Pattern = pattern.parse().map_err(failed)?;
    let (quantised, mut pruned) = (q(x)?, x.to_vec());
    pattern.magnitude_mask(x, k).and_then(|mask| mask.apply(&mut pruned)).map_err(failed)?;
    let both = q(&pruned)?;
    for i in 0..x.len() {
        let error = |got: f32| (f64::from(x[i]) - f64::from(got)).abs();
        let bound = error(quantised[i]) + error(pruned[i]);
        prop_assert!(error(both[i]) <= bound, "{pattern}, element {i}: {x:?} -> {both:?}");
    }
    Ok(())
}

/// The values of a quantised matrix.
type Quantise = Result<Vec<f32>, TestCaseError>;

/// Theorem 3.5, through the pipeline: the same values as by hand, and the bound.
pub fn sparsify_then_quantise(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    for pattern in PATTERNS {
        let pattern: Pattern = pattern.parse().map_err(failed)?;
        let stored = Pipeline::ordered(Order::Sq, pattern, format).and_then(|p| p.apply(x, k)).map_err(failed)?;
        let mut by_hand = x.to_vec();
        pattern.magnitude_mask(x, k).and_then(|m| m.apply(&mut by_hand)).map_err(failed)?;
        format.fake_quantize(&mut by_hand, k).map_err(failed)?;
        prop_assert_eq!(stored.values, by_hand);
    }
    PATTERNS.iter().try_for_each(|pattern| element_by_element(pattern, x, k, |x| fake(format, x, k)))
}

/// Theorem 3.5 with stochastic rounding, where both sides draw the same stream.
pub fn with_a_shared_stream(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    let stochastic = format.changed("stochastic-6").map_err(failed)?;
    let seeded = |x: &[f32]| stochastic.quantize_seeded(x, k, 99).map(|q| q.dequantize()).map_err(failed);
    PATTERNS.iter().try_for_each(|pattern| element_by_element(pattern, x, k, seeded))
}

/// Theorem 3.7 in its tight form for N:M and nearest rounding, where |v| is the sum of magnitudes:
/// |x - s(q(x))| <= |x - q(x)| + |x - s(x)| + sum over groups of step/2 * min(N, M - N), step the widest distance of
/// neighbours under the scales of the group.
pub fn quantise_then_sparsify(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    let x = &narrowed(format, x)[..];
    let q = format.quantize(x, k).map_err(failed)?;
    let grid = format.element.grid();
    let lsb = grid.precision.map_or(grid.lsb_min, |p| format.element.emax() + 1 - p as i32);
    let step = |i: usize| 2f64.powi(lsb) * Unit::of(&q, i / k, i % k).scale;
    let distance = |y: &[f32]| x.iter().zip(y).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum::<f64>();
    for (n, m) in [(2, 4), (1, 4), (3, 4), (4, 8)] {
        let pattern = Pattern::NofM { n, m };
        let run = |order, format| {
            let stored = Pipeline::ordered(order, pattern, format).and_then(|p| p.apply(x, k));
            stored.map(|s| s.values).map_err(failed)
        };
        let both = distance(&run(Order::Qs, format)?);
        let apart = distance(&q.dequantize()) + distance(&run(Order::None, Format::fp32())?);
        let widest = |group: usize| (group..group + m).map(step).fold(0.0, f64::max);
        let swaps: f64 = (0..x.len()).step_by(m).map(|group| widest(group) / 2.0 * n.min(m - n) as f64).sum();
        let bound = (apart + swaps) * (1.0 + 1e-6);
        prop_assert!(both <= bound, "{pattern}: {both:e}, bound {bound:e}");
    }
    Ok(())
}
