//! Rounding a layer's weights to a format.

use super::super::report::LayerReport;
use super::prune::solve;
use crate::Error;
use crate::compress::recipe::{Quantize, Rounder};
use crate::compress::{Layer, Pruning, Statistics, quantize};

/// Rounds one layer; what was pruned before stays zero.
pub(super) fn round(
    step: &Quantize,
    layer: &mut Layer,
    seen: &Statistics,
    report: &mut LayerReport,
) -> Result<(), Error> {
    let (format, k) = (step.format, layer.k);
    if format.is_exact() {
        return Ok(());
    }
    match &step.method {
        Rounder::Gptq(solver) => {
            let mask = layer.mask.clone();
            let pruning = mask.as_ref().map_or(Pruning::None, Pruning::Fixed);
            return solve(solver, pruning, Some(format), layer, seen, report);
        }
        Rounder::Nearest => layer.set_quantized(format.quantize(&layer.values, k)?),
        Rounder::LeastSquares => {
            let grids = quantize::clip_by_weights(format, &layer.values, k)?;
            layer.set_quantized(grids.quantize(&layer.values)?);
        }
        Rounder::Awq { clip, .. } => {
            if let (true, Some(samples)) = (
                *clip && !report.layer.ends_with(QUERY_OR_KEY[0]) && !report.layer.ends_with(QUERY_OR_KEY[1]),
                &seen.samples,
            ) {
                let limits = quantize::clip_by_outputs(format, &layer.values, k, samples)?;
                quantize::clip(format, &mut layer.values, k, &limits)?;
            }
            layer.set_quantized(quantize::awq(format, &layer.values, k)?);
        }
    }
    // Zero is a value of every format, so that what a mask pruned stays zero; a zero's sign may not.
    if let Some(mask) = layer.mask.take() {
        layer.apply_mask(mask)?;
    }
    Ok(())
}

/// AWQ clips no queries and keys: their product is not the output that the search compares.
const QUERY_OR_KEY: [&str; 2] = ["q_proj", "k_proj"];
