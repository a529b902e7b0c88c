//! Numbers as tables print them, and differences that are known better than their terms.

use interplay::eval::Estimate;

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

impl Paired {
    /// Differences of samples of the same windows in the same order.
    pub fn of(a: &[f64], b: &[f64]) -> Self {
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
        let estimate = Estimate::of(&differences);
        Self { mean: estimate.mean, stderr: if differences.len() > 1 { estimate.stderr } else { f64::NAN } }
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
    fn numbers_keep_four_digits() {
        assert_eq!(number(21.1356), "21.14");
        assert_eq!(number(0.07391), "0.0739");
        assert_eq!(number(12345.6), "12346");
        assert_eq!(number(f64::INFINITY), "inf");
    }
}
