//! Perplexity by windows of equal length.
//!
//! The text is tokenised once and cut into windows that begin a stride apart; the remainder is dropped and nothing is carried
//! over. No token is predicted twice: the first window predicts its last `length - 1` tokens, each further one the last
//! `stride` of them (`length - 1` where windows do not overlap, because nothing stands before the first token). The perplexity is
//! the exponential of the mean loss over predicted tokens; its standard error is over windows.

use super::input;
use super::runner::{Runner, for_each_logits};
use super::stats::{Estimate, negative_log_likelihood};
use crate::Error;
use crate::formats::math;

/// The losses of a text's windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Perplexity {
    /// The negative log-likelihood of every predicted token, in the order of the text.
    pub token_nll: Vec<f64>,
    /// The mean of each window.
    pub window_nll: Vec<f64>,
    /// The predicted tokens of each window.
    pub window_tokens: Vec<usize>,
}

impl Perplexity {
    /// The mean loss over predicted tokens, with its standard error over windows.
    pub fn nll(&self) -> Estimate {
        let first = self.window_tokens.first().map_or(1.0, |&tokens| tokens as f64);
        // Weights relative to the first, so that windows of one size have weights of exactly 1.
        let weights: Vec<f64> = self.window_tokens.iter().map(|&tokens| tokens as f64 / first).collect();
        Estimate::weighted(&self.window_nll, &weights)
    }

    /// `exp` of the mean loss.
    pub fn value(&self) -> f64 {
        math::exp(self.nll().mean)
    }

    /// Predicted tokens.
    pub fn tokens(&self) -> usize {
        self.token_nll.len()
    }
}

/// The first windows of `length` tokens of `ids`, one after the other, at most `count` of them.
///
/// # Errors
/// Those of [`strided_windows`].
pub fn windows(ids: &[u32], length: usize, count: usize) -> Result<Vec<Vec<i64>>, Error> {
    strided_windows(ids, length, length, count)
}

/// The first windows of `length` tokens of `ids` that begin `stride` tokens apart, at most `count` of them.
///
/// # Errors
/// `length` is below 2 (nothing would be predicted), the stride is 0 or leaves tokens out, or not one window or none is asked
/// for.
pub fn strided_windows(ids: &[u32], length: usize, stride: usize, count: usize) -> Result<Vec<Vec<i64>>, Error> {
    if length < 2 {
        return Err(Error::Invalid(format!("a window of {length} tokens predicts nothing; give at least 2")));
    }
    check_stride(length, stride)?;
    if count == 0 {
        return Err(Error::Invalid("0 windows were asked for; give at least 1".into()));
    }
    if ids.len() < length {
        return Err(Error::Invalid(format!(
            "{count} windows of {length} tokens were asked for, but the text has {} tokens; give a shorter window or a longer text",
            ids.len()
        )));
    }
    let windows = ids.windows(length).step_by(stride).take(count);
    Ok(windows.map(|window| window.iter().copied().map(i64::from).collect()).collect())
}

fn check_stride(length: usize, stride: usize) -> Result<(), Error> {
    if (1..=length).contains(&stride) {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "a stride of {stride} does not fit windows of {length} tokens; give 1 to {length}, which is without overlap"
    )))
}

/// How many tokens window `index` predicts.
pub fn predicted(index: usize, length: usize, stride: usize) -> usize {
    let most = length.saturating_sub(1);
    if index == 0 { most } else { stride.min(most) }
}

/// The perplexity of `runner`'s model on `windows` of equal length that do not overlap.
///
/// # Errors
/// The model takes no tokens, a window does not fit it, or a stage fails.
pub fn perplexity(runner: &mut dyn Runner, windows: &[Vec<i64>]) -> Result<Perplexity, Error> {
    strided_perplexity(runner, windows, windows.first().map_or(1, Vec::len))
}

/// The perplexity of `runner`'s model on `windows` of equal length that begin `stride` tokens apart.
///
/// # Errors
/// Those of [`perplexity`], or a stride that does not fit the windows.
pub fn strided_perplexity(runner: &mut dyn Runner, windows: &[Vec<i64>], stride: usize) -> Result<Perplexity, Error> {
    let length = windows.first().map_or(1, Vec::len);
    check_stride(length, stride)?;
    let inputs =
        windows.iter().map(|ids| input::tokens(runner.checkpoint(), ids, length)).collect::<Result<Vec<_>, _>>()?;
    let window_tokens: Vec<usize> = (0..windows.len()).map(|index| predicted(index, length, stride)).collect();
    let mut losses: Vec<Vec<f64>> = window_tokens.iter().map(|&tokens| Vec::with_capacity(tokens)).collect();
    for_each_logits(runner, &inputs, |window, position, logits| {
        let target = position + 1;
        if (length - window_tokens[window]..length).contains(&target) {
            losses[window].push(negative_log_likelihood(logits, windows[window][target] as usize));
        }
    })?;
    let window_nll: Vec<f64> = losses.iter().map(|nll| Estimate::of(nll).mean).collect();
    if let Some(window) = window_nll.iter().position(|nll| !nll.is_finite()) {
        return Err(Error::Invalid(format!(
            "window {window} has a loss of {}; the model's arithmetic overflowed",
            window_nll[window]
        )));
    }
    Ok(Perplexity { token_nll: losses.concat(), window_nll, window_tokens })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remainder_is_dropped() {
        let ids: Vec<u32> = (0..11).collect();
        assert_eq!(windows(&ids, 4, 9).unwrap(), [[0, 1, 2, 3], [4, 5, 6, 7]]);
        assert_eq!(windows(&ids, 4, 1).unwrap().len(), 1);
    }

    #[test]
    fn windows_overlap_by_a_stride() {
        let ids: Vec<u32> = (0..9).collect();
        assert_eq!(strided_windows(&ids, 4, 2, 9).unwrap(), [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]);
        assert_eq!([0, 1, 2].map(|index| predicted(index, 4, 2)), [3, 2, 2]);
        assert_eq!([0, 1, 2].map(|index| predicted(index, 4, 4)), [3, 3, 3]);
        for stride in [0, 5] {
            assert!(strided_windows(&ids, 4, stride, 9).unwrap_err().to_string().contains("give 1 to 4"));
        }
    }

    #[test]
    fn losses_count_by_their_tokens() {
        let losses =
            Perplexity { token_nll: vec![1.0, 1.0, 1.0, 3.0], window_nll: vec![1.0, 3.0], window_tokens: vec![3, 1] };
        assert_eq!((losses.nll().mean, losses.value()), (1.5, math::exp(1.5)));
    }

    #[test]
    fn nothing_to_predict_is_an_error() {
        assert!(windows(&[1, 2, 3], 1, 1).unwrap_err().to_string().contains("at least 2"));
        assert!(windows(&[1, 2, 3], 4, 1).unwrap_err().to_string().contains("3 tokens"));
        assert!(windows(&[1, 2, 3], 2, 0).unwrap_err().to_string().contains("at least 1"));
    }
}
