//! Scales of inputs, folded into what makes them: SmoothQuant's by a formula, AWQ's by a search.

use rayon::prelude::*;

use super::super::structure::{Feeder, Group};
use super::super::work::{Work, values};
use super::SEARCHED;
use crate::Error;
use crate::compress::{Layer, quantize, smooth};
use crate::formats::{Format, math};

/// The largest relative change of a block's outputs that scaling may cause: it moves values by rounding only, and a block whose structure is
/// not what the table says moves them by their size.
const SAME: f64 = 1e-3;

/// SmoothQuant on every group that a norm feeds.
pub(super) fn smoothquant(work: &mut Work<'_>, alpha: f64, last_maxima: bool) -> Result<(), Error> {
    let groups: Vec<&Group> = work.groups.iter().filter(|group| matches!(group.feeder, Feeder::Norm(_))).collect();
    if groups.is_empty() {
        return Err(unknown());
    }
    let before = first_output(work)?;
    for group in groups {
        let Some(places) = work.places(group) else { continue };
        let Some(&first) = places.first() else { continue };
        let seen = &work.seen[first];
        let maxima = if last_maxima { &seen.last_maxima } else { &seen.maxima };
        let weights: Vec<&[f32]> = places.iter().map(|&place| work.layers[place].values.as_slice()).collect();
        let scales = smooth::smoothquant(maxima, &weights, alpha as f32)?;
        work.rescale(group, &scales)?;
    }
    unchanged(work, &before)
}

/// AWQ's scales: of each group the candidate with which the enclosing module's outputs change least. Every search is on the block as it is
/// before any scale is applied.
pub(super) fn awq(work: &mut Work<'_>, format: &'static Format) -> Result<(), Error> {
    if work.groups.is_empty() {
        return Err(unknown());
    }
    let before = first_output(work)?;
    let mut found = Vec::new();
    for group in work.groups {
        let Some(places) = work.places(group).filter(|places| fits(work, group, places)) else { continue };
        let Some(module) = work.block.find(group.module) else { continue };
        found.push((group, search(work, &places, module, format)?));
    }
    for (group, scales) in found {
        work.rescale(group, &scales)?;
    }
    unchanged(work, &before)
}

/// Whether a group can be scaled: a linear feeder must have an output for every input (grouped values have not).
fn fits(work: &Work<'_>, group: &Group, places: &[usize]) -> bool {
    match group.feeder {
        Feeder::Norm(_) => true,
        Feeder::Linear(name) => {
            work.block.find(name).is_some_and(|feeder| work.layers[feeder].rows() == work.layers[places[0]].k)
        }
    }
}

fn search(work: &mut Work<'_>, places: &[usize], module: usize, format: &'static Format) -> Result<Vec<f32>, Error> {
    let magnitudes = work.seen[places[0]].mean_magnitudes();
    work.load();
    let want = outputs(work, module)?;
    let mut best: Option<(f64, Vec<f32>)> = None;
    for candidate in 0..smooth::AWQ_RATIOS {
        let scales = smooth::awq_candidate(&magnitudes, candidate);
        for &place in places {
            let rounded = scaled_and_rounded(&work.layers[place], &scales, format)?;
            work.block.set_weight(place, &rounded);
        }
        let got = outputs(work, module)?;
        let error: f64 = got.iter().zip(&want).map(|(&g, &w)| math::powi(f64::from(g) - f64::from(w), 2)).sum();
        if error.is_finite() && best.as_ref().is_none_or(|(least, _)| error < *least) {
            best = Some((error, scales));
        }
    }
    work.load();
    best.map(|(_, scales)| scales).ok_or_else(|| Error::Invalid("no scale of AWQ gives finite outputs".into()))
}

/// Q(W s) / s.
fn scaled_and_rounded(layer: &Layer, scales: &[f32], format: &'static Format) -> Result<Vec<f32>, Error> {
    let mut w = layer.values.clone();
    smooth::multiply_columns(&mut w, scales)?;
    let mut w = quantize::awq(format, &w, layer.k)?.dequantize();
    w.chunks_exact_mut(layer.k).for_each(|row| row.iter_mut().zip(scales).for_each(|(w, s)| *w /= s));
    Ok(w)
}

/// The outputs of one linear layer on the first sequences.
fn outputs(work: &Work<'_>, linear: usize) -> Result<Vec<f32>, Error> {
    let inputs = work.inputs.get(..SEARCHED).unwrap_or(work.inputs);
    let outputs = inputs.par_iter().map(|input| {
        let mut all = Vec::new();
        work.block.run(input.clone(), &mut |at, _, y| {
            if at == linear {
                all.extend_from_slice(y);
            }
            Ok(())
        })?;
        Ok(all)
    });
    Ok(outputs.collect::<Result<Vec<_>, Error>>()?.concat())
}

/// The block's outputs on the first sequence, its layers as they are.
fn first_output(work: &mut Work<'_>) -> Result<Vec<f32>, Error> {
    work.load();
    match work.inputs.first() {
        Some(input) => values(work.block.run(input.clone(), &mut |_, _, _| Ok(()))?),
        None => Ok(Vec::new()),
    }
}

/// Refuses a block whose outputs scaling has changed: it is not built as its architecture's table says.
fn unchanged(work: &mut Work<'_>, before: &[f32]) -> Result<(), Error> {
    let after = first_output(work)?;
    let (error, norm) = after.iter().zip(before).fold((0.0, 0.0), |(error, norm), (&a, &b)| {
        (error + math::powi(f64::from(a) - f64::from(b), 2), norm + math::powi(f64::from(b), 2))
    });
    if error <= norm * SAME * SAME {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "scaling changed the block's outputs by {:.3} of their size: its norms do not feed these layers; leave smoothing and AWQ's scales out",
        (error / norm).sqrt()
    )))
}

fn unknown() -> Error {
    Error::Invalid(
        "nothing is known of what feeds the layers of this architecture; leave smoothing and AWQ's scales out".into(),
    )
}
