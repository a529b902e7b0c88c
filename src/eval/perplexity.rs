//! Perplexity by non-overlapping windows.
//!
//! The text is tokenised once and cut into windows of equal length; the remainder is dropped and nothing is carried over. A
//! window's loss is the mean over its `length - 1` predicted tokens; the perplexity is the exponential of the mean over windows.

use super::input;
use super::runner::{Runner, for_each_logits};
use super::stats::{Estimate, negative_log_likelihood};
use crate::Error;

/// The losses of a text's windows.
#[derive(Debug, Clone, PartialEq)]
pub struct Perplexity {
    /// The negative log-likelihood of every predicted token, `[windows, length - 1]` row-major.
    pub token_nll: Vec<f64>,
    /// The mean of each window.
    pub window_nll: Vec<f64>,
}

impl Perplexity {
    /// The mean loss over windows, with its standard error.
    pub fn nll(&self) -> Estimate {
        Estimate::of(&self.window_nll)
    }

    /// `exp` of the mean loss.
    pub fn value(&self) -> f64 {
        self.nll().mean.exp()
    }

    /// Predicted tokens.
    pub fn tokens(&self) -> usize {
        self.token_nll.len()
    }
}

/// The first windows of `length` tokens of `ids`, at most `count` of them.
///
/// # Errors
/// `length` is below 2 (nothing would be predicted), or not one window or none is asked for.
pub fn windows(ids: &[u32], length: usize, count: usize) -> Result<Vec<Vec<i64>>, Error> {
    if length < 2 {
        return Err(Error::Invalid(format!("a window of {length} tokens predicts nothing; give at least 2")));
    }
    let available = ids.len() / length;
    if count == 0 || available == 0 {
        return Err(Error::Invalid(format!(
            "{count} windows of {length} tokens were asked for, but the text has {} tokens; give a shorter window or a longer text",
            ids.len()
        )));
    }
    Ok(ids.chunks_exact(length).take(count).map(|window| window.iter().copied().map(i64::from).collect()).collect())
}

/// The perplexity of `runner`'s model on `windows` of equal length.
///
/// # Errors
/// The model takes no tokens, a window does not fit it, or a stage fails.
pub fn perplexity(runner: &mut dyn Runner, windows: &[Vec<i64>]) -> Result<Perplexity, Error> {
    let length = windows.first().map_or(0, Vec::len);
    let inputs =
        windows.iter().map(|ids| input::tokens(runner.checkpoint(), ids, length)).collect::<Result<Vec<_>, _>>()?;
    let predicted = length.saturating_sub(1);
    let mut token_nll = vec![0.0; windows.len() * predicted];
    for_each_logits(runner, &inputs, |window, position, logits| {
        if position < predicted {
            let target = windows[window][position + 1] as usize;
            token_nll[window * predicted + position] = negative_log_likelihood(logits, target);
        }
    })?;
    let window_nll: Vec<f64> = token_nll.chunks_exact(predicted.max(1)).map(|nll| Estimate::of(nll).mean).collect();
    if let Some(window) = window_nll.iter().position(|nll| !nll.is_finite()) {
        return Err(Error::Invalid(format!(
            "window {window} has a loss of {}; the model's arithmetic overflowed",
            window_nll[window]
        )));
    }
    Ok(Perplexity { token_nll, window_nll })
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
    fn nothing_to_predict_is_an_error() {
        assert!(windows(&[1, 2, 3], 1, 1).unwrap_err().to_string().contains("at least 2"));
        assert!(windows(&[1, 2, 3], 4, 1).unwrap_err().to_string().contains("3 tokens"));
        assert!(windows(&[1, 2, 3], 2, 0).is_err());
    }
}
