//! Means with their standard errors, and the logarithm of a softmax's denominator.

use serde::Serialize;

use crate::formats::math;

/// A mean with the standard error of that mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The mean.
    pub mean: f64,
    /// Its standard error; none of a single sample, which says nothing about the spread.
    pub stderr: Option<f64>,
}

/// The scale on which a metric's standard error is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// The metric's own: the interval is `value ± stderr`.
    Linear,
    /// That of its natural logarithm: the interval is `value * exp(±stderr)`.
    Log,
}

impl Scale {
    /// That of a metric by its name: a perplexity is the exponential of a mean loss, every other metric is a mean itself.
    pub fn of(metric: &str) -> Self {
        if metric == "perplexity" { Self::Log } else { Self::Linear }
    }

    /// The value less and plus one standard error, on the metric's own scale.
    pub fn interval(self, value: f64, stderr: f64) -> (f64, f64) {
        match self {
            Self::Linear => (value - stderr, value + stderr),
            Self::Log => (value * math::exp(-stderr), value * math::exp(stderr)),
        }
    }
}

impl Estimate {
    /// The mean of `samples`, which must not be empty, summed in order.
    pub fn of(samples: &[f64]) -> Self {
        Self::weighted(samples, &vec![1.0; samples.len()])
    }

    /// The mean of `samples`, each counted as often as its weight says: `sum(w x) / sum(w)`.
    ///
    /// The standard error is that of a ratio of two sums over independent samples, to first order:
    /// `sqrt(sum(w^2 (x - mean)^2) / (n (n - 1))) / mean(w)`; for equal weights it is the usual one.
    pub fn weighted(samples: &[f64], weights: &[f64]) -> Self {
        let n = samples.len() as f64;
        let total = weights.iter().sum::<f64>();
        let mean = samples.iter().zip(weights).map(|(x, w)| w * x).sum::<f64>() / total;
        let square = |x: f64| x * x;
        let spread = samples.iter().zip(weights).map(|(x, w)| square(w * (x - mean))).sum::<f64>();
        let stderr = (samples.len() > 1).then(|| (spread / (n - 1.0) / n).sqrt() / (total / n));
        Self { mean, stderr }
    }
}

/// `ln(sum(exp(logits)))` in `f64`, shifted by the largest logit so that nothing overflows.
pub fn log_sum_exp(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let largest = f64::from(largest);
    let sum: f64 = logits.iter().map(|&logit| math::exp(f64::from(logit) - largest)).sum();
    largest + math::ln(sum)
}

/// The negative log-likelihood of class `target` under `logits`.
pub fn negative_log_likelihood(logits: &[f32], target: usize) -> f64 {
    log_sum_exp(logits) - f64::from(logits[target])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimate_of_known_samples() {
        let estimate = Estimate::of(&[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(estimate.mean, 2.5);
        assert!((estimate.stderr.unwrap() - (5.0f64 / 3.0 / 4.0).sqrt()).abs() < 1e-15);
        assert_eq!(Estimate::of(&[7.0]), Estimate { mean: 7.0, stderr: None });
    }

    #[test]
    fn weights_count_as_often() {
        let estimate = Estimate::weighted(&[1.0, 4.0], &[3.0, 1.0]);
        assert_eq!(estimate.mean, 1.75);
        // Deviations 3 * -0.75 and 1 * 2.25, over 2 * 1, and the mean weight 2.
        assert!((estimate.stderr.unwrap() - (2.0 * 2.25f64 * 2.25 / 2.0).sqrt() / 2.0).abs() < 1e-15);
        let samples = [0.1, 0.7, 0.2, 0.9];
        assert_eq!(Estimate::of(&samples), Estimate::weighted(&samples, &[1.0; 4]));
    }

    #[test]
    fn the_interval_of_a_perplexity_is_one_of_its_logarithm() {
        let (low, high) = Scale::of("perplexity").interval(50.0, 0.1);
        assert!((low * high - 2500.0).abs() < 1e-9 && low < 46.0, "{low} {high}");
        assert_eq!(Scale::of("top1").interval(0.5, 0.25), (0.25, 0.75));
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert!((log_sum_exp(&[1e30, 1e30]) - 1e30f32 as f64).abs() <= f64::from(1e30f32) * 1e-15);
        assert!((negative_log_likelihood(&[0.0; 4], 2) - math::ln(4.0)).abs() < 1e-15);
    }
}
