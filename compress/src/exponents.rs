//! A search for BaWA's exponents.
//!
//! BaWA (ICML 2025) optimises its exponents without gradients; how is not published. This grid and the choice by the loss of
//! whatever the caller reconstructs (a transformer block, as a rule) are ours.

use crate::formats::{Pattern, Selection};
use crate::{Criterion, Error, Layer, Statistics};

/// The exponents of output norm, input norm and activations: the published 1, 1, 0.5 and the neighbours of each.
pub const EXPONENTS: [[f64; 3]; 27] = grid([0.5, 1.0, 1.5], [0.25, 0.5, 1.0]);

const fn grid(norms: [f64; 3], activations: [f64; 3]) -> [[f64; 3]; 27] {
    let mut all = [[0.0; 3]; 27];
    let mut at = 0;
    while at < all.len() {
        all[at] = [norms[at / 9], norms[at / 3 % 3], activations[at % 3]];
        at += 1;
    }
    all
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// BaWA with the best exponents.
    pub criterion: Criterion,
    /// The loss of each entry of [`EXPONENTS`].
    pub losses: Vec<f64>,
}

/// Prunes the layers, which belong together, with each triple of [`EXPONENTS`] and takes the one whose `loss` is least, of equal
/// ones the first. `loss` sees the pruned weights of every layer, in the order of `layers`.
///
/// # Errors
/// What scoring or pruning refuses, what `loss` returns, and losses that are all NaN or infinite.
pub fn search_exponents<E: From<Error>>(
    layers: &[(&Layer, &Statistics)],
    pattern: Pattern,
    selection: Selection,
    mut loss: impl FnMut(&[Vec<f32>]) -> Result<f64, E>,
) -> Result<Search, E> {
    let mut losses = Vec::with_capacity(EXPONENTS.len());
    for exponents in EXPONENTS {
        let criterion = bawa(exponents);
        let pruned = layers.iter().map(|(layer, seen)| pruned(layer, seen, criterion, pattern, selection));
        losses.push(loss(&pruned.collect::<Result<Vec<_>, Error>>()?)?);
    }
    let finite = losses.iter().zip(EXPONENTS).filter(|(loss, _)| loss.is_finite());
    let best = finite.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, exponents)| bawa(exponents));
    let none = || Error::Invalid("no exponents of BaWA give a finite loss; check the calibration inputs".to_owned());
    Ok(Search { criterion: best.ok_or_else(none)?, losses })
}

fn bawa([output, input, activations]: [f64; 3]) -> Criterion {
    Criterion::Bawa { output, input, activations }
}

fn pruned(
    layer: &Layer,
    seen: &Statistics,
    criterion: Criterion,
    pattern: Pattern,
    selection: Selection,
) -> Result<Vec<f32>, Error> {
    let mask = pattern.mask_by_scores(&criterion.scores(layer, seen)?, layer.k, selection)?;
    let mut values = layer.values.clone();
    mask.apply(&mut values)?;
    Ok(values)
}
