//! Calibration: which inputs a model is compressed on.

use crate::Error;
use crate::burn::Activation;
use crate::models::{Checkpoint, Input};
use crate::train::random::SplitMix64;

/// Sequences where the caller does not say.
pub const SAMPLES: usize = 32;
/// Tokens a sequence where the caller does not say; less where the model's longest sequence is.
pub const LENGTH: usize = 512;

/// Sequences of token ids of equal length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calibration {
    sequences: Vec<Vec<i64>>,
}

impl Calibration {
    /// The sequences as they are.
    ///
    /// # Errors
    /// There is none, or they are not of one length.
    pub fn of(sequences: Vec<Vec<i64>>) -> Result<Self, Error> {
        let length = sequences.first().map_or(0, Vec::len);
        if length == 0 || sequences.iter().any(|s| s.len() != length) {
            return Err(Error::Invalid("calibration needs at least one sequence, all of one length".into()));
        }
        Ok(Self { sequences })
    }

    /// `samples` sequences of `length` tokens that begin at random places of `ids`; the same seed draws the same places.
    ///
    /// # Errors
    /// The text is shorter than a sequence, or nothing is asked for.
    pub fn draw(ids: &[u32], samples: usize, length: usize, seed: u64) -> Result<Self, Error> {
        if samples == 0 || length == 0 {
            return Err(Error::Invalid("calibration needs at least one sequence of at least one token".into()));
        }
        if ids.is_empty() {
            return Err(Error::Invalid("the calibration text has no tokens; give a longer text".into()));
        }
        let Some(places) = ids.len().checked_sub(length) else {
            return Err(Error::Invalid(format!(
                "calibration asks for sequences of {length} tokens, but the text has {}; give a longer text or `--length {}`",
                ids.len(),
                ids.len()
            )));
        };
        let mut random = SplitMix64::new(seed, "calibration");
        let sequence = |start: usize| ids[start..start + length].iter().copied().map(i64::from).collect();
        Self::of((0..samples).map(|_| sequence(random.below(places + 1))).collect())
    }

    /// Sequences.
    pub fn samples(&self) -> usize {
        self.sequences.len()
    }

    /// Tokens a sequence.
    pub fn length(&self) -> usize {
        self.sequences.first().map_or(0, Vec::len)
    }

    /// The token ids, sequence by sequence.
    pub fn ids(&self) -> impl Iterator<Item = i64> {
        self.sequences.iter().flatten().copied()
    }

    /// One activation a sequence.
    ///
    /// # Errors
    /// The model takes no tokens, a sequence is too long for it, or a token has no embedding.
    pub(super) fn inputs(&self, checkpoint: &dyn Checkpoint) -> Result<Vec<Activation>, Error> {
        let Input::Tokens { vocabulary, longest } = checkpoint.input() else {
            return Err(Error::Invalid("only language models can be compressed: calibration is text".into()));
        };
        if self.length() > longest {
            return Err(Error::Invalid(format!(
                "calibration sequences have {} tokens, but the model takes at most {longest}; give `--length {longest}` or less",
                self.length()
            )));
        }
        if let Some(id) = self.ids().find(|id| usize::try_from(*id).map_or(true, |id| id >= vocabulary)) {
            return Err(Error::Invalid(format!(
                "calibration has the token {id}, but the model's vocabulary has {vocabulary}"
            )));
        }
        Ok(self.sequences.iter().map(|ids| Activation::ids(ids, ids.len())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_places() {
        let ids: Vec<u32> = (0..100).collect();
        let draw = |seed| Calibration::draw(&ids, 4, 10, seed).expect("enough tokens");
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_eq!((draw(1).samples(), draw(1).length()), (4, 10));
    }

    #[test]
    fn a_short_text_is_an_error() {
        let error = Calibration::draw(&[1, 2, 3], 1, 4, 0).expect_err("too short").to_string();
        assert!(error.contains("--length 3"), "{error}");
    }
}
