//! What each step of a recipe does to a block.

mod learn;
mod prune;
mod round;
mod smooth;

use super::report::LayerReport;
use super::work::Work;
use crate::Error;
use crate::burn::Stage;
use crate::compress::recipe::{Quantize, Rounder, Scores, Step};
use crate::compress::{Criterion, Layer, Needs, Statistics};

/// Sequences on which block-level searches compare outputs: AWQ's scales and BaWA's exponents.
const SEARCHED: usize = 8;

/// What calibration must gather for a step.
pub(super) fn needs(step: &Step) -> Needs {
    let hessian = Needs { hessian: true, ..Needs::default() };
    match step {
        Step::Prune(prune) => {
            let scores = match &prune.scores {
                Scores::Once(criterion) => criterion.needs(),
                Scores::Current => hessian,
                Scores::Cumulative | Scores::Searched => Criterion::Wanda.needs(),
            };
            if prune.update.is_some() { scores.and(hessian) } else { scores }
        }
        Step::Quantize(Quantize { method: Rounder::Gptq(_), .. }) => hessian,
        Step::Quantize(Quantize { method: Rounder::Awq { clip: true, samples, .. }, .. }) => {
            Needs { samples: *samples, ..Needs::default() }
        }
        Step::Learn { criterion, .. } => criterion.needs(),
        Step::Quantize(_) | Step::Smooth { .. } | Step::Forward | Step::Activations(_) => Needs::default(),
    }
}

/// Does a step to every layer of a block; `forward` and `activations` change no layer.
///
/// # Errors
/// [`Error::Layer`] with the name of the layer that a method refuses.
pub(super) fn apply(
    step: &Step,
    work: &mut Work<'_>,
    stage: &dyn Stage,
    reports: &mut [LayerReport],
) -> Result<(), Error> {
    let block = block_name(reports);
    let whole = |done: Result<(), Error>| done.map_err(|e| of_layer(&block, e));
    match step {
        Step::Smooth { alpha, last_maxima } => whole(smooth::smoothquant(work, *alpha, *last_maxima)),
        Step::Prune(prune) if prune.scores == Scores::Searched => whole(prune::searched(work, prune)),
        Step::Prune(step) => {
            work.was_rounded.iter_mut().for_each(|rounded| *rounded |= step.joint.is_some());
            each(work, reports, |layer, seen, report| prune::prune(step, layer, seen, report))
        }
        Step::Quantize(step) => {
            if let Rounder::Awq { scale: true, .. } = step.method {
                whole(smooth::awq(work, step.format))?;
            }
            work.was_rounded.iter_mut().for_each(|rounded| *rounded |= !step.format.is_exact());
            each(work, reports, |layer, seen, report| round::round(step, layer, seen, report))
        }
        Step::Learn { criterion, options } => whole(learn::learn(work, stage, *criterion, options)),
        Step::Forward | Step::Activations(_) => Ok(()),
    }
}

/// One layer after the other, so that only one needs its solver's memory.
fn each(
    work: &mut Work<'_>,
    reports: &mut [LayerReport],
    mut step: impl FnMut(&mut Layer, &Statistics, &mut LayerReport) -> Result<(), Error>,
) -> Result<(), Error> {
    for ((layer, seen), report) in work.layers.iter_mut().zip(&work.seen).zip(reports) {
        step(layer, seen, report).map_err(|e| of_layer(&report.layer, e))?;
    }
    Ok(())
}

/// An error of the layer, or of the block, of that name.
fn of_layer(name: &str, e: Error) -> Error {
    match e {
        Error::Layer { .. } => e,
        source => Error::Layer { layer: name.to_owned(), source: Box::new(source) },
    }
}

/// The beginning that the names of a block's layers share (`layers.0`).
fn block_name(reports: &[LayerReport]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    let shared = |end: &usize| reports.iter().all(|report| report.layer.get(..*end) == first.layer.get(..*end));
    let end = first.layer.match_indices('.').map(|(at, _)| at).rev().find(shared);
    first.layer[..end.unwrap_or(first.layer.len())].to_owned()
}

/// The Hessian that calibration gathered.
fn hessian<'a>(seen: &'a Statistics, method: &'static str) -> Result<&'a [f32], Error> {
    let missing = crate::compress::Error::Missing { method, what: "the Hessian of its inputs" };
    Ok(seen.hessian.as_deref().ok_or(missing)?)
}
