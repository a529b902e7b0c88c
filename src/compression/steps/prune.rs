//! Pruning: a mask by scores, with or without the error moved to what stays.

use super::super::report::LayerReport;
use super::super::work::Work;
use super::{SEARCHED, hessian};
use crate::Error;
use crate::compress::recipe::{Prune, Scores};
use crate::compress::{
    Criterion, Layer, Permutation, Pruning, Solver, Statistics, cumulative_mask, output_error, permute,
    search_exponents,
};
use crate::formats::{Format, Mask, Pattern};

/// Prunes one layer.
pub(super) fn prune(step: &Prune, layer: &mut Layer, seen: &Statistics, report: &mut LayerReport) -> Result<(), Error> {
    // The order belongs to the mask that this one replaces.
    layer.order = None;
    let criterion = match &step.scores {
        Scores::Once(criterion) => *criterion,
        Scores::Cumulative => Criterion::Wanda,
        Scores::Searched => return Ok(()),
        Scores::Current => {
            let pruning = Pruning::Saliency { pattern: step.pattern, selection: step.selection };
            return solve(&step.update.unwrap_or_default(), pruning, step.joint, layer, seen, report);
        }
    };
    let scores = criterion.scores(layer, seen)?;
    let mask = match (&step.scores, step.permutation, step.pattern) {
        (Scores::Cumulative, _, Pattern::Unstructured { basis_points, .. }) => {
            cumulative_mask(&scores, layer.k, f64::from(basis_points) / 10_000.0)?.mask
        }
        (_, Permutation::None, pattern) => pattern.mask_by_scores(&scores, layer.k, step.selection)?,
        (_, permutation, Pattern::NofM { n, m }) => {
            let permuted = permute(&scores, layer.k, (n, m), permutation)?;
            layer.order = Some(permuted.permutation);
            permuted.mask
        }
        (_, _, pattern) => {
            return Err(Error::Invalid(format!(
                "inputs are permuted for patterns N:M such as 2:4, but this one is `{pattern}`"
            )));
        }
    };
    match &step.update {
        Some(solver) => solve(solver, Pruning::Fixed(&mask), step.joint, layer, seen, report),
        None => Ok(layer.apply_mask(mask)?),
    }
}

/// BaWA with the exponents by which the block's outputs change least.
pub(super) fn searched(work: &mut Work<'_>, step: &Prune) -> Result<(), Error> {
    let dense = work.layers.clone();
    let seen = std::mem::take(&mut work.seen);
    let pairs: Vec<(&Layer, &Statistics)> = dense.iter().zip(&seen).collect();
    let search = search_exponents(&pairs, step.pattern, step.selection, |weights| {
        for (layer, values) in work.layers.iter_mut().zip(weights) {
            layer.values.clone_from(values);
        }
        work.block_error(SEARCHED)
    })?;
    for (layer, (dense, seen)) in work.layers.iter_mut().zip(&pairs) {
        layer.clone_from(dense);
        let scores = search.criterion.scores(dense, seen)?;
        layer.apply_mask(step.pattern.mask_by_scores(&scores, dense.k, step.selection)?)?;
    }
    work.seen = seen;
    Ok(())
}

/// The column loop on a layer, with what it gained over the mask or the format alone.
pub(super) fn solve(
    solver: &Solver,
    pruning: Pruning<'_>,
    format: Option<&'static Format>,
    layer: &mut Layer,
    seen: &Statistics,
    report: &mut LayerReport,
) -> Result<(), Error> {
    let hessian = hessian(seen, "the column loop")?;
    let solved = solver.solve(&layer.values, layer.k, hessian, pruning, format)?;
    report.damping_raised = (solved.damping > solver.damping).then_some(solved.damping).or(report.damping_raised);
    report.without_update =
        Some(output_error(&layer.original, &bare(layer, solved.mask.as_ref(), format)?, layer.k, hessian));
    // Scales that columns share which are no neighbours have no stored form: the weights are kept as FP32.
    layer.quantized = solved.quantized.filter(|_| solved.stored_columns.is_none());
    layer.values = solved.weights;
    if let Some(mask) = solved.mask {
        layer.apply_mask(mask)?;
    }
    Ok(())
}

/// The layer's weights under the mask and rounded to nearest, no error moved.
fn bare(layer: &Layer, mask: Option<&Mask>, format: Option<&'static Format>) -> Result<Vec<f32>, Error> {
    let mut bare = layer.values.clone();
    if let Some(mask) = mask {
        mask.apply(&mut bare)?;
    }
    match format {
        Some(format) => Ok(format.quantize(&bare, layer.k)?.dequantize()),
        None => Ok(bare),
    }
}
