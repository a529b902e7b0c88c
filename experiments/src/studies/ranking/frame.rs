//! The rows of `data.csv`: one for each format, block size, source and pattern; positions, lists and pairs of all layers together.

use anyhow::Result;
use interplay::compress::theory::ranking::Pairs;
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
    let parts = of.parts.iter().zip(&pattern.disagreeing);
    let shares: Vec<(f64, &str)> = parts.map(|(part, n)| (share(*n, part.positions), part.name.as_str())).collect();
    let by_share = |a: &&(f64, &str), b: &&(f64, &str)| a.0.total_cmp(&b.0);
    let extreme =
        |part: Option<&(f64, &str)>| part.map_or([String::new(), String::new()], |p| [field(p.0), p.1.to_owned()]);
    let (lowest, highest) = (shares.iter().min_by(by_share), shares.iter().max_by(by_share));
    let stderr = |values: Vec<f64>| if of.drawn { Estimate::of(&values).stderr.unwrap_or(f64::NAN) } else { f64::NAN };
    let positions: u64 = of.parts.iter().map(|part| part.positions).sum();
    let disagreement = share(pattern.disagreeing.iter().sum(), positions);
    let texts = [
        of.format.clone(),
        of.block.map_or_else(String::new, |block| block.to_string()),
        if of.own { "own" } else { "other" }.to_owned(),
        of.source.clone(),
        pattern.sparsity.clone(),
        of.parts.len().to_string(),
        positions.to_string(),
        field(disagreement),
        field(stderr(shares.iter().map(|(share, _)| *share).collect())),
    ];
    let pairs = |pairs: &Pairs, stderr: Option<f64>| {
        let tau = if pairs.defined == 0 { f64::NAN } else { pairs.tau };
        let shares = [share(pairs.equalised, pairs.distinct), share(pairs.discordant, pairs.distinct)];
        [Some(tau), stderr, Some(shares[0]), Some(shares[1])].into_iter().flatten().map(field).collect::<Vec<_>>()
    };
    let row_stderr = stderr(of.parts.iter().map(|part| part.row_tau).collect());
    let texts = texts.into_iter().chain(extreme(lowest)).chain(extreme(highest));
    texts.chain(pairs(&pattern.groups, None)).chain(pairs(&of.rows, Some(row_stderr))).collect()
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { f64::NAN } else { part as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::super::measure::Part;
    use super::*;

    fn measured(drawn: bool) -> Measured {
        let part = |name: &str, positions| Part { name: name.to_owned(), positions, row_tau: 0.9 };
        Measured {
            format: "int4".to_owned(),
            block: None,
            own: true,
            source: "lm".to_owned(),
            drawn,
            parts: vec![part("small", 100), part("large", 900)],
            rows: Pairs { lists: 4, pairs: 20, distinct: 16, equalised: 4, discordant: 2, defined: 4, tau: 0.8 },
            patterns: vec![ByPattern {
                sparsity: "50%".to_owned(),
                disagreeing: vec![20, 30],
                groups: Pairs::default(),
            }],
        }
    }

    #[test]
    fn layers_are_pooled_by_their_positions() {
        let frame = frame(&[measured(false), measured(true)].map(|m| serde_json::to_value(m).unwrap())).unwrap();
        let rows: Vec<_> = frame.rows().collect();
        assert_eq!((rows[0].number("disagreement"), rows[0].number("row_tau")), (0.05, 0.8));
        assert_eq!((rows[0].number("row_equalised"), rows[0].number("row_discordant")), (0.25, 0.125));
        let told =
            [("highest_part", "small"), ("lowest_part", "large"), ("stderr", ""), ("block", ""), ("group_tau", "")];
        assert!(rows[0].is(&told), "{:?}", rows[0]);
        // A fifth and a thirtieth: half their difference.
        assert!((rows[1].number("stderr") - 1.0 / 12.0).abs() < 1e-12, "{:?}", rows[1]);
    }
}
