//! One record on the weights of one source, under every pattern.

use anyhow::{Result, ensure};
use interplay::compress::theory::blocks::Family;
use interplay::compress::theory::ranking::{Pairs, Ranking, compare};
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
    /// Parts are batches of drawn rows, not layers.
    pub(super) drawn: bool,
    pub(super) parts: Vec<Part>,
    /// Pairs of one row.
    pub(super) rows: Pairs,
    pub(super) patterns: Vec<ByPattern>,
}

/// One layer or one batch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Part {
    pub(super) name: String,
    pub(super) positions: u64,
    /// The mean of tau-b over its rows.
    pub(super) row_tau: f64,
}

/// What one pattern shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct ByPattern {
    pub(super) sparsity: String,
    /// Positions of each part in which the masks differ.
    pub(super) disagreeing: Vec<u64>,
    /// Pairs of one group.
    pub(super) groups: Pairs,
}

/// Measures the cell of a key.
///
/// # Errors
/// The model cannot be opened, or a weight is not finite.
pub(super) fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let format = Format::by_name(key.text("format")?)?;
    let block = key.number("block").ok();
    let record = Sized { format, block: block.map(|size| size as usize) }.record()?;
    let patterns = key.text("sparsity")?.split(',').map(|text| Ok(text.parse()?)).collect::<Result<Vec<Pattern>>>()?;
    let mut parts = Parts { record, patterns, parts: Vec::new(), rankings: Vec::new() };
    let drawn = key.number("batches").is_ok();
    if drawn {
        let (k, rows) = (key.number("k")? as usize, key.number("rows")?);
        let mut w = vec![0.0; k * rows as usize];
        for batch in 0..key.number("batches")? {
            Family::Gaussian.fill(key.number("seed")?, k, batch * rows, &mut w);
            parts.add(&format!("batch {batch}"), &w, k)?;
        }
    } else {
        let (_, subject) = worker.bench.subject(key.text("source")?)?;
        let preset = Preset::by_name(key.text("preset")?)?;
        let checkpoint = &*subject.model.checkpoint;
        operands(checkpoint, preset, None, &mut |layer| parts.add(layer.layer, layer.weights, layer.k))?;
        ensure!(!parts.parts.is_empty(), "the preset covers no linear layer of the model");
    }
    let by_pattern = |(at, pattern): (usize, &Pattern)| {
        let own = || parts.rankings.iter().map(|rankings| &rankings[at]);
        let disagreeing = own().map(|ranking| ranking.disagreeing).collect();
        ByPattern { sparsity: pattern.to_string(), disagreeing, groups: pooled(own().map(|ranking| &ranking.groups)) }
    };
    Ok(serde_json::to_value(Measured {
        format: format.name.to_owned(),
        block,
        own: record == format,
        source: key.text("source")?.to_owned(),
        drawn,
        rows: pooled(parts.rankings.iter().filter_map(|rankings| Some(&rankings.first()?.rows))),
        patterns: parts.patterns.iter().enumerate().map(by_pattern).collect(),
        parts: parts.parts,
    })?)
}

/// The parts of a source so far.
struct Parts {
    record: &'static Format,
    patterns: Vec<Pattern>,
    parts: Vec<Part>,
    /// Of each part, one a pattern.
    rankings: Vec<Vec<Ranking>>,
}

impl Parts {
    fn add(&mut self, name: &str, w: &[f32], k: usize) -> Result<(), interplay::Error> {
        let compared = self.patterns.iter().map(|pattern| compare(w, k, self.record, *pattern));
        let rankings = compared.collect::<Result<Vec<_>, _>>()?;
        let row_tau = rankings.first().map_or(0.0, |ranking| ranking.rows.tau);
        self.parts.push(Part { name: name.to_owned(), positions: w.len() as u64, row_tau });
        self.rankings.push(rankings);
        Ok(())
    }
}

/// Pairs of several parts together; tau is the mean over all lists in which it is defined.
fn pooled<'a>(parts: impl Iterator<Item = &'a Pairs>) -> Pairs {
    let mut all = Pairs::default();
    for part in parts {
        all.lists += part.lists;
        all.pairs += part.pairs;
        all.distinct += part.distinct;
        all.equalised += part.equalised;
        all.discordant += part.discordant;
        all.defined += part.defined;
        all.tau += part.tau * part.defined as f64;
    }
    all.tau = if all.defined == 0 { 0.0 } else { all.tau / all.defined as f64 };
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_weigh_alike_whatever_part_they_are_in() {
        let part =
            |defined, tau| Pairs { lists: defined, pairs: 10, distinct: 8, equalised: 2, discordant: 1, defined, tau };
        let both = pooled([part(1, 0.5), part(3, 0.9)].iter());
        assert!((both.tau - 0.8).abs() < 1e-12);
        assert_eq!((both.lists, both.pairs, both.equalised), (4, 20, 4));
        assert_eq!(pooled([].iter()), Pairs::default());
    }
}
