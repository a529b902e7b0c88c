//! Numbers as tables print them, and differences that are known better than their terms.

use interplay::eval::{Estimate, Scale};

/// The mean of paired differences with its standard error.
pub struct Paired {
    /// Mean of `b - a`.
    pub mean: f64,
    /// Its standard error; NaN for a single pair, which says nothing about the spread.
    pub stderr: f64,
}

/// A signed value with its standard error, where there are any.
pub fn spread(value: f64, stderr: f64, digits: usize) -> String {
    match (value.is_nan(), stderr.is_nan()) {
        (true, _) => String::new(),
        (_, true) => format!("{value:+.digits$}"),
        _ => format!("{value:+.digits$} ±{stderr:.digits$}"),
    }
}

/// A metric minus and plus one standard error; none where that is not known. The error of a perplexity is one of its
/// logarithm.
pub fn interval(metric: &str, value: f64, stderr: f64) -> Option<(f64, f64)> {
    let (low, high) = Scale::of(metric).interval(value, stderr);
    (low.is_finite() && high.is_finite()).then_some((low, high))
}

/// The mean of values with its standard error over them: NaN for a single value.
pub fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>();
    (mean, (squares / (count - 1.0) / count).sqrt())
}

/// Distinct values in order of appearance.
pub fn in_order(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for v in values {
        if !seen.contains(&v) {
            seen.push(v);
        }
    }
    seen
}

impl Paired {
    /// Differences of samples of the same windows in the same order.
    pub fn of(a: &[f64], b: &[f64]) -> Self {
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
        let estimate = Estimate::of(&differences);
        Self { mean: estimate.mean, stderr: estimate.stderr.unwrap_or(f64::NAN) }
    }
}

/// Four significant digits, and exponents only where a reader would want them.
pub fn number(value: f64) -> String {
    match value {
        v if v.is_nan() => String::new(),
        v if v.is_infinite() => v.to_string(),
        v if v >= 1e6 => format!("{v:.2e}"),
        v if v >= 1000.0 => format!("{v:.0}"),
        v if v >= 100.0 => format!("{v:.1}"),
        v if v >= 10.0 => format!("{v:.2}"),
        v => format!("{v:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_spread_cancels_in_the_paired_difference() {
        let a = [1.0, 5.0, 9.0];
        let b = [1.5, 5.5, 9.5];
        let paired = Paired::of(&a, &b);
        assert_eq!((paired.mean, paired.stderr), (0.5, 0.0));
        assert!(Paired::of(&a[..1], &b[..1]).stderr.is_nan());
        assert_eq!(spread(0.5, f64::NAN, 2), "+0.50");
    }

    #[test]
    fn the_error_of_a_perplexity_is_one_of_its_logarithm() {
        let (low, high) = interval("perplexity", 50.0, 0.1).unwrap();
        assert!((low * high - 2500.0).abs() < 1e-9 && low < 46.0, "{low} {high}");
        assert_eq!(interval("cross_entropy", 0.5, 0.25), Some((0.25, 0.75)));
        assert_eq!(interval("cross_entropy", 0.5, f64::NAN), None);
        assert_eq!(mean(&[1.0, 3.0]), (2.0, 1.0));
        assert!(mean(&[1.0]).1.is_nan());
    }

    #[test]
    fn numbers_keep_four_digits() {
        assert_eq!(number(21.1356), "21.14");
        assert_eq!(number(0.07391), "0.0739");
        assert_eq!(number(12345.6), "12346");
        assert_eq!(number(f64::INFINITY), "inf");
    }
}
