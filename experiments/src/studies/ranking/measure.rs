//! One record on the weights of one source, under every pattern.

use anyhow::{Context, Result};
use interplay::compress::theory::blocks::Family;
use interplay::compress::theory::ranking::{Ranking, compare};
use interplay::plan::Preset;
use interplay::session::operands;
use interplay_formats::{Format, Pattern};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Sized;
use crate::engine::bench::Worker;
use crate::engine::key::Key;

/// The result of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) format: String,
    /// Values under one scale; none where it is a row, a tensor or one value.
    pub(super) block: Option<u64>,
    /// Whether the recipe has this block by itself.
    pub(super) own: bool,
    pub(super) source: String,
    /// The deviations between parts are those of draws.
    pub(super) drawn: bool,
    pub(super) patterns: Vec<ByPattern>,
}

/// What one pattern shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ByPattern {
    pub(super) sparsity: String,
    /// Layers, or batches of drawn rows.
    pub(super) parts: Vec<Part>,
}

/// One layer or one batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) ranking: Ranking,
}

/// Measures the cell of a key.
///
/// # Errors
/// The model cannot be opened, or a weight is not finite.
pub(super) fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let format = Format::by_name(key.text("format")?)?;
    let block = key.number("block").ok();
    let sized = Sized { format, block: block.map(|size| size as usize) };
    let record = sized.record()?;
    let patterns = key.text("sparsity")?.split(',').map(|text| Ok(text.parse()?)).collect::<Result<Vec<Pattern>>>()?;
    let mut by_pattern: Vec<ByPattern> =
        patterns.iter().map(|p| ByPattern { sparsity: p.to_string(), parts: Vec::new() }).collect();
    let mut add = |name: &str, w: &[f32], k: usize| -> Result<(), interplay::Error> {
        for (pattern, own) in patterns.iter().zip(&mut by_pattern) {
            let ranking = compare(w, k, record, *pattern)?;
            own.parts.push(Part { name: name.to_owned(), ranking });
        }
        Ok(())
    };
    let drawn = key.number("batches").is_ok();
    if drawn {
        let (k, rows) = (key.number("k")? as usize, key.number("rows")?);
        let mut w = vec![0.0; k * rows as usize];
        for batch in 0..key.number("batches")? {
            Family::Gaussian.fill(key.number("seed")?, k, batch * rows, &mut w);
            add(&format!("batch {batch}"), &w, k)?;
        }
    } else {
        let (_, subject) = worker.bench.subject(key.text("source")?)?;
        let preset = Preset::by_name(key.text("preset")?)?;
        let checkpoint = &*subject.model.checkpoint;
        operands(checkpoint, preset, None, &mut |layer| add(layer.layer, layer.weights, layer.k))?;
        by_pattern.first().filter(|p| !p.parts.is_empty()).context("the preset covers no linear layer of the model")?;
    }
    Ok(serde_json::to_value(Measured {
        format: format.name.to_owned(),
        block,
        own: record == format,
        source: key.text("source")?.to_owned(),
        drawn,
        patterns: by_pattern,
    })?)
}
