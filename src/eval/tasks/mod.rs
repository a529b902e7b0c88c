//! Zero-shot multiple choice, as EleutherAI's lm-evaluation-harness scores it.
//!
//! A choice's score is the log-likelihood of its tokens after the prompt's, in nats. The right choice must have the largest
//! score, or the largest score a character of the choice (the harness' `acc` and `acc_norm`; it counts characters, not tokens,
//! so that vocabularies compare); the first of equal ones wins. Prompt and choice are tokenised together and cut where the
//! prompt's own tokens end; no token is put before them. What is longer than the model's longest sequence loses its beginning.
//!
//! Sequences go through the model one by one, never padded, so that no scale of an activation sees another item.

mod form;
mod item;

pub use form::{FORMS, Form};
pub use item::{Choice, Item, read};

use super::input;
use super::runner::{Runner, for_each_logits};
use super::stats::{Estimate, negative_log_likelihood};
use crate::Error;
use crate::load::Tokenizer;
use crate::models::Input;

/// How often a model is right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accuracy {
    /// Items.
    pub items: usize,
    /// By the largest log-likelihood.
    pub raw: Estimate,
    /// By the largest log-likelihood a character.
    pub normalised: Estimate,
}

/// Tokens of a prompt and a choice, of which the last `scored` are the choice's.
struct Sequence {
    tokens: Vec<i64>,
    scored: usize,
}

impl Sequence {
    fn of(tokenizer: &Tokenizer, choice: &Choice, longest: usize) -> Result<Self, Error> {
        // Blanks at the prompt's end belong to the next word's token.
        let context = choice.context.trim_end();
        let whole = format!("{}{}", choice.context, choice.continuation);
        let (before, tokens) = (tokenizer.encode(context, false)?.len(), tokenizer.encode(&whole, false)?);
        let scored = tokens.len().saturating_sub(before);
        if before == 0 || scored == 0 || scored > longest {
            return Err(Error::Invalid(format!(
                "`{}` after `{context}` has {scored} tokens after {before}; at least 1 before and 1 to {longest} after are \
                 needed",
                choice.continuation.trim()
            )));
        }
        // The last token is only predicted, so one more than the longest sequence can be used.
        let first = tokens.len().saturating_sub(longest + 1);
        Ok(Self { tokens: tokens[first..].iter().copied().map(i64::from).collect(), scored })
    }
}

/// The log-likelihood of every choice of `items`, in nats: one list an item.
///
/// # Errors
/// The model takes no tokens, a text cannot be tokenised or has nothing to score, a stage fails, or a score is not finite.
pub fn scores(runner: &mut dyn Runner, tokenizer: &Tokenizer, items: &[Item]) -> Result<Vec<Vec<f64>>, Error> {
    let Input::Tokens { longest, .. } = runner.checkpoint().input() else {
        return Err(Error::Invalid("this model takes images; multiple choice needs a language model".into()));
    };
    let choices = items.iter().flat_map(|item| &item.choices);
    let sequences = choices.map(|choice| Sequence::of(tokenizer, choice, longest)).collect::<Result<Vec<_>, _>>()?;
    // Sequences of one length stand together, because a session prepares its stages for a length.
    let mut order: Vec<usize> = (0..sequences.len()).collect();
    order.sort_by_key(|&at| sequences[at].tokens.len());
    let inputs = order.iter().map(|&at| {
        let ids = &sequences[at].tokens[..sequences[at].tokens.len() - 1];
        input::tokens(runner.checkpoint(), ids, ids.len())
    });
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let mut flat = vec![0.0; sequences.len()];
    for_each_logits(runner, &inputs, |index, position, logits| {
        let (at, target) = (order[index], position + 1);
        let Sequence { tokens, scored } = &sequences[at];
        if target >= tokens.len() - scored {
            flat[at] -= negative_log_likelihood(logits, tokens[target] as usize);
        }
    })?;
    if let Some(at) = flat.iter().position(|score| !score.is_finite()) {
        return Err(Error::Invalid(format!(
            "choice {at} of all has a log-likelihood of {}; the model's arithmetic overflowed",
            flat[at]
        )));
    }
    let mut flat = flat.into_iter();
    Ok(items.iter().map(|item| flat.by_ref().take(item.choices.len()).collect()).collect())
}

/// How often the scores of `items` name the right choice.
///
/// # Errors
/// There is no item, or another number of scores than of choices.
pub fn accuracy(items: &[Item], scores: &[Vec<f64>]) -> Result<Accuracy, Error> {
    let fits = |(item, scores): (&Item, &Vec<f64>)| item.choices.len() == scores.len();
    if items.is_empty() || items.len() != scores.len() || !items.iter().zip(scores).all(fits) {
        return Err(Error::Invalid(format!(
            "{} items with scores for {}: every choice has one",
            items.len(),
            scores.len()
        )));
    }
    let right = |judged: &dyn Fn(&Item, &[f64]) -> Vec<f64>| {
        let hits = items
            .iter()
            .zip(scores)
            .map(|(item, scores)| f64::from(u8::from(largest(&judged(item, scores)) == item.answer)));
        Estimate::of(&hits.collect::<Vec<_>>())
    };
    let normalised = |item: &Item, scores: &[f64]| -> Vec<f64> {
        scores.iter().zip(&item.choices).map(|(score, choice)| score / choice.length as f64).collect()
    };
    Ok(Accuracy { items: items.len(), raw: right(&|_, scores| scores.to_vec()), normalised: right(&normalised) })
}

/// The first of the largest.
fn largest(scores: &[f64]) -> usize {
    scores.iter().enumerate().fold(0, |best, (at, score)| if *score > scores[best] { at } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An item whose choices have texts of these lengths.
    fn item(lengths: &[usize], answer: usize) -> Item {
        let choice = |&length: &usize| Choice { context: "c".into(), continuation: " x".into(), length };
        Item { choices: lengths.iter().map(choice).collect(), answer }
    }

    #[test]
    fn a_long_choice_is_helped_by_its_length() {
        let items = [item(&[1, 4], 1), item(&[1, 4], 0), item(&[2, 2], 0)];
        // Item 0: -2 against -4, but -2 against -1 a character. The last is a tie, which the first wins.
        let found = accuracy(&items, &[vec![-2.0, -4.0], vec![-2.0, -4.0], vec![-3.0, -3.0]]).unwrap();
        assert_eq!(found.items, 3);
        assert_eq!(found.raw, Estimate::of(&[0.0, 1.0, 1.0]));
        assert_eq!(found.normalised, Estimate::of(&[1.0, 0.0, 1.0]));
    }

    #[test]
    fn scores_must_fit_the_choices() {
        assert!(accuracy(&[], &[]).is_err());
        assert!(accuracy(&[item(&[1, 1], 0)], &[vec![0.0]]).is_err());
    }
}
