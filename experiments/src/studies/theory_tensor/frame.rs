//! The rows of `data.csv`: one for each recipe, pattern and source of blocks, and one for each search.

use anyhow::Result;
use interplay::compress::theory::tensor::Norms;
use serde_json::Value;

use super::KIND;
use super::measure::{Counted, Measured, Place, Shown};
use crate::engine::frame::{Frame, field};
use crate::engine::run::typed;

/// The columns; what does not apply to a row is empty.
pub(super) const COLUMNS: [&str; 27] = [
    "part",
    "format",
    "source",
    "sparsity",
    // Why theorem 3.5 is not claimed, or why the recipe is left out.
    "reason",
    "sq_blocks",
    "sq_overflow",
    "sq_element",
    "sq_l1",
    "sq_l2",
    "sq_linf",
    "sq_equal",
    "sq_unexplained",
    "qs_blocks",
    "qs_element",
    "qs_l1",
    "qs_l2",
    "qs_linf",
    "bounded_blocks",
    "exceeding",
    "tight_violations",
    "paper_violations",
    "tightness",
    "paper_tightness",
    "draws",
    "excess",
    // `place: x → q / s / both`, for the values that are not zero.
    "example",
];

/// Values of an example that are written out.
const SHOWN: usize = 6;

pub(super) fn frame(results: &[Value]) -> Result<Frame> {
    let mut frame = Frame::new(&COLUMNS);
    for result in results {
        match typed(result)? {
            Measured::Counted { format, source, rows } => {
                rows.iter().try_for_each(|row| frame.push(KIND.name, counted(&format, &source, row)))?;
            }
            Measured::Searched { format, sparsity, tie, draws, example } => {
                let mut row = padded(["search", &format, &tie, &sparsity, ""].map(str::to_owned));
                row.truncate(COLUMNS.len() - 3);
                row.push(draws.to_string());
                row.extend(shown(example.as_ref()));
                frame.push(KIND.name, row)?;
            }
            Measured::LeftOut { format, sparsity, reason } => {
                frame.push(KIND.name, padded(["left-out", &format, "", &sparsity, &reason].map(str::to_owned)))?;
            }
        }
    }
    Ok(frame)
}

fn counted(format: &str, source: &str, row: &Counted) -> Vec<String> {
    let reason = row.unclaimed.as_deref().unwrap_or_default();
    let (first, last, bound) = (&row.theorem_3_5, &row.theorem_3_6, &row.theorem_3_7);
    let norms = |n: Norms<u64>| [n.element, n.l1, n.l2, n.linf];
    let counts = [&[first.blocks, first.left_out][..], &norms(first.violations), &[first.equal, first.unexplained]];
    let counts = [&counts.concat()[..], &[last.blocks], &norms(last.violations)].concat();
    let bounds = [bound.blocks, bound.exceeding, bound.violations, bound.paper_violations];
    let texts = ["counted", format, source, &row.sparsity, reason].map(str::to_owned).into_iter();
    let texts = texts.chain(counts.iter().chain(&bounds).map(u64::to_string));
    let tightness = [bound.tightness, bound.paper_tightness].map(|t| if bound.blocks == 0 { f64::NAN } else { t });
    let example = row.example.as_ref().or(bound.example.as_ref());
    texts.chain(tightness.map(field)).chain([String::new()]).chain(shown(example)).collect()
}

/// A row with these texts and nothing else.
fn padded(texts: [String; 5]) -> Vec<String> {
    let empty = COLUMNS.len() - texts.len();
    texts.into_iter().chain(std::iter::repeat_n(String::new(), empty)).collect()
}

/// The excess and the values of an example.
fn shown(example: Option<&Shown>) -> [String; 2] {
    let Some(example) = example else { return [String::new(), String::new()] };
    let value = |v: f32| if v == 0.0 || (1e-3..1e5).contains(&v.abs()) { format!("{v}") } else { format!("{v:e}") };
    let place = |p: &Place| format!("{}: {} → {} / {} / {}", p.at, value(p.x), value(p.q), value(p.s), value(p.both));
    let mut text = example.values.iter().take(SHOWN).map(place).collect::<Vec<_>>().join("; ");
    if example.values.len() > SHOWN {
        text += &format!("; … {} values in all", example.values.len());
    }
    [example.excess.to_string(), text]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_every_column() {
        let place = |at| Place { at, x: 3.6, q: 4.0, s: 0.0, both: 4.0 };
        let example = Shown { excess: 0.4, values: (0..8).map(place).collect() };
        let search = |example| Measured::Searched {
            format: "s4".to_owned(),
            sparsity: "1:2".to_owned(),
            tie: "higher".to_owned(),
            draws: 7,
            example,
        };
        let reason = "nothing is rounded".to_owned();
        let left_out = Measured::LeftOut { format: "fp32".to_owned(), sparsity: String::new(), reason };
        let results = [search(Some(example)), search(None), left_out].map(|m| serde_json::to_value(m).unwrap());
        let frame = frame(&results).unwrap();
        let rows: Vec<_> = frame.rows().collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[0].is(&[("source", "higher"), ("draws", "7"), ("excess", "0.4")]));
        assert!(rows[0].text("example").starts_with("0: 3.6 → 4 / 0 / 4; 1: "));
        assert!(rows[0].text("example").ends_with("8 values in all"));
        assert!(rows[1].is(&[("draws", "7"), ("excess", ""), ("example", "")]));
        assert!(rows[2].is(&[("part", "left-out"), ("reason", "nothing is rounded"), ("sparsity", "")]));
    }
}
