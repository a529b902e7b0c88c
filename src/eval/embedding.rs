//! Texts as vectors.

use super::input;
use super::runner::{Runner, for_each_logits};
use crate::Error;

/// One vector of unit length for each of `texts`, given as token ids with the special tokens of the model's tokenizer around them;
/// every token is of segment 0. The similarity of two texts is the sum of the products of their vectors' values.
///
/// Texts run one by one, each at its own length: a vector does not depend on the others.
///
/// # Errors
/// The model is no sentence encoder, a text does not fit it, or a stage fails.
pub fn embeddings(runner: &mut dyn Runner, texts: &[Vec<i64>]) -> Result<Vec<Vec<f32>>, Error> {
    let inputs = texts.iter().map(|ids| input::text(runner.checkpoint(), ids, &vec![0; ids.len()], ids.len()));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let mut vectors = vec![Vec::new(); texts.len()];
    for_each_logits(runner, &inputs, |text, _, row| vectors[text] = row.to_vec())?;
    Ok(vectors)
}
