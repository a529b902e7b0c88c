//! The rows of `data.csv`: one for each format, block size, source and pattern; positions, lists and pairs of all layers together.

use anyhow::Result;
use interplay::compress::theory::ranking::{Pairs, Ranking};
use interplay::eval::Estimate;
use serde_json::Value;

use super::KIND;
use super::measure::{ByPattern, Measured};
use crate::engine::frame::{Frame, field};
use crate::engine::run::typed;

/// The columns; shares, not percent.
pub(super) const COLUMNS: [&str; 20] = [
    "format",
    // Values under one scale; empty where it is a row, a tensor or one value.
    "block",
    // Whether the recipe has this block by itself: `own` or `other`.
    "size",
    "source",
    "sparsity",
    "parts",
    "positions",
    "disagreement",
    // Over batches of drawn rows; a model's weights are all there are.
    "stderr",
    "lowest",
    "lowest_part",
    "highest",
    "highest_part",
    "group_tau",
    "group_equalised",
    "group_discordant",
    "row_tau",
    "row_tau_stderr",
    "row_equalised",
    "row_discordant",
];

pub(super) fn frame(results: &[Value]) -> Result<Frame> {
    let mut frame = Frame::new(&COLUMNS);
    for result in results {
        let measured: Measured = typed(result)?;
        for pattern in &measured.patterns {
            frame.push(KIND.name, row(&measured, pattern))?;
        }
    }
    Ok(frame)
}

fn row(of: &Measured, pattern: &ByPattern) -> Vec<String> {
    let rankings = || pattern.parts.iter().map(|part| &part.ranking);
    let positions: u64 = rankings().map(|r| r.positions).sum();
    let disagreeing: u64 = rankings().map(|r| r.disagreeing).sum();
    let by_share = |a: &&super::measure::Part, b: &&super::measure::Part| {
        a.ranking.disagreement().total_cmp(&b.ranking.disagreement())
    };
    let (lowest, highest) = (pattern.parts.iter().min_by(by_share), pattern.parts.iter().max_by(by_share));
    let extreme = |part: Option<&super::measure::Part>| {
        let share = part.map_or(f64::NAN, |part| part.ranking.disagreement());
        [field(share), part.map_or_else(String::new, |part| part.name.clone())]
    };
    let stderr = |value: &dyn Fn(&Ranking) -> f64| {
        let values: Vec<f64> = rankings().map(value).collect();
        if of.drawn { Estimate::of(&values).stderr } else { f64::NAN }
    };
    let (groups, rows) = (pooled(rankings().map(|r| &r.groups)), pooled(rankings().map(|r| &r.rows)));
    let shares = |pairs: &Pairs| [pairs.equalised_share(), share(pairs.discordant, pairs.distinct)];
    let mut texts = vec![
        of.format.clone(),
        of.block.map_or_else(String::new, |block| block.to_string()),
        if of.own { "own" } else { "other" }.to_owned(),
        of.source.clone(),
        pattern.sparsity.clone(),
        pattern.parts.len().to_string(),
        positions.to_string(),
        field(share(disagreeing, positions)),
        field(stderr(&Ranking::disagreement)),
    ];
    texts.extend(extreme(lowest).into_iter().chain(extreme(highest)));
    let there = |value: f64| if groups.pairs == 0 { f64::NAN } else { value };
    texts.push(field(there(groups.tau)));
    texts.extend(shares(&groups).map(|v| field(there(v))));
    texts.extend([rows.tau, stderr(&|r| r.rows.tau)].map(field));
    texts.extend(shares(&rows).map(field));
    texts
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
    all.tau = if all.defined == 0 { f64::NAN } else { all.tau / all.defined as f64 };
    all
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { f64::NAN } else { part as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::super::measure::Part;
    use super::*;

    #[test]
    fn layers_are_pooled_by_what_they_hold() {
        let part = |name: &str, positions, disagreeing, defined, tau| Part {
            name: name.to_owned(),
            ranking: Ranking {
                positions,
                disagreeing,
                groups: Pairs::default(),
                rows: Pairs { lists: defined, pairs: 10, distinct: 8, equalised: 2, discordant: 1, defined, tau },
            },
        };
        let parts = vec![part("small", 100, 20, 1, 0.5), part("large", 900, 30, 3, 0.9)];
        let pattern = ByPattern { sparsity: "50%".to_owned(), parts };
        let measured = Measured {
            format: "int4".to_owned(),
            block: None,
            own: true,
            source: "lm".to_owned(),
            drawn: false,
            patterns: vec![pattern],
        };
        let frame = frame(&[serde_json::to_value(&measured).unwrap()]).unwrap();
        let row = frame.rows().next().unwrap();
        assert_eq!((row.number("disagreement"), row.number("row_tau")), (0.05, 0.8));
        assert_eq!((row.number("row_equalised"), row.number("row_discordant")), (0.25, 0.125));
        let told =
            [("highest_part", "small"), ("lowest_part", "large"), ("stderr", ""), ("block", ""), ("group_tau", "")];
        assert!(row.is(&told), "{row:?}");
    }
}
