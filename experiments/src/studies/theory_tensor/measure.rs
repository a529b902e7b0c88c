//! One recipe, one source of blocks, every pattern.

use anyhow::{Context, Result, bail};
use interplay::compress::theory::blocks::{Family, cut};
use interplay::compress::theory::tensor::{
    Case, Example, Findings, Norms, Shape, Source, Tally, Tie, examine, search, shrink, sparsify_first,
};
use interplay::plan::Preset;
use interplay::session::operands;
use interplay_formats::{Format, Pattern};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::bench::Worker;
use crate::engine::key::Key;

/// The result of a cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "part", rename_all = "kebab-case")]
pub(super) enum Measured {
    /// Blocks were examined.
    Counted { format: String, source: String, rows: Vec<Counted> },
    /// A counterexample of theorem 3.6 was sought.
    Searched {
        format: String,
        sparsity: String,
        /// Which of two equal values is pruned: that of the lower or of the higher index.
        tie: String,
        draws: u64,
        example: Option<Shown>,
    },
    /// Nothing can be examined.
    LeftOut { format: String, sparsity: String, reason: String },
}

/// What blocks under one pattern said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) sparsity: String,
    /// Why theorem 3.5 is not asserted, where it is not.
    pub(super) unclaimed: Option<String>,
    pub(super) theorem_3_5: Summary,
    /// The smallest violation of theorem 3.5.
    pub(super) example: Option<Shown>,
    /// Both tie orders together.
    pub(super) theorem_3_6: Summary,
    pub(super) theorem_3_7: Bounds,
}

/// A [`Tally`] without its examples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) blocks: u64,
    pub(super) left_out: u64,
    pub(super) violations: Norms<u64>,
    pub(super) equal: u64,
    pub(super) unexplained: u64,
}

/// How far the excess of Q→S went, in both tie orders; no blocks where no bound is claimed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Bounds {
    pub(super) blocks: u64,
    pub(super) exceeding: u64,
    pub(super) violations: u64,
    pub(super) paper_violations: u64,
    pub(super) tightness: f64,
    pub(super) paper_tightness: f64,
    /// The block of the largest tightness, where a bound is violated.
    pub(super) example: Option<Shown>,
}

/// A block without its zeros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Shown {
    /// The error of both less the sum of the errors of each.
    pub(super) excess: f64,
    pub(super) values: Vec<Place>,
}

/// A value and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) at: usize,
    pub(super) x: f32,
    pub(super) q: f32,
    pub(super) s: f32,
    pub(super) both: f32,
}

/// Measures the cell of a key.
///
/// # Errors
/// The model cannot be opened, or a weight is not finite.
pub(super) fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let name = key.text("format")?;
    let format = Format::by_name(name)?;
    let measured = match key.text("part")? {
        "drawn" => {
            let source = Source::Drawn(family(key.text("source")?)?, key.number("seed")?);
            let (both, blocks) = (key.number("both")?, key.number("blocks")?);
            counted_cell(key, format, |case| counted(&case, source, both, blocks))?
        }
        "weights" => {
            let blocks = weights(worker, key, Shape::of(format))?;
            let all = (blocks.len() / Shape::of(format).len()) as u64;
            counted_cell(key, format, |case| counted(&case, Source::Given(&blocks), all, all))?
        }
        "search" => {
            let case = Case::new(format, key.text("sparsity")?.parse()?)?;
            searched(&case, key.text("tie")?, key.number("seed")?, key.number("draws")?)?
        }
        "left-out" => Measured::LeftOut {
            format: name.to_owned(),
            sparsity: key.text("sparsity")?.to_owned(),
            reason: key.text("reason")?.to_owned(),
        },
        other => bail!("the study has no part `{other}`"),
    };
    Ok(serde_json::to_value(measured)?)
}

fn family(name: &str) -> Result<Family> {
    Family::ALL.into_iter().find(|f| f.name() == name).with_context(|| format!("there is no family `{name}`"))
}

fn cases(key: &Key, format: &'static Format) -> Result<Vec<Case>> {
    let patterns = key.text("sparsity")?.split(',');
    patterns.map(|text| Ok(Case::new(format, text.parse::<Pattern>()?)?)).collect()
}

fn counted_cell(key: &Key, format: &'static Format, count: impl Fn(Case) -> Result<Counted>) -> Result<Measured> {
    let rows = cases(key, format)?.into_iter().map(count).collect::<Result<_>>()?;
    Ok(Measured::Counted { format: format.name.to_owned(), source: key.text("source")?.to_owned(), rows })
}

/// The first `both` blocks in both orders, and where theorem 3.5 is claimed as many as `blocks` by S→Q.
fn counted(case: &Case, source: Source, both: u64, blocks: u64) -> Result<Counted> {
    let found = examine(case, source, 0..both)?;
    let unclaimed = case.unclaimed();
    let more = if unclaimed.is_none() { sparsify_first(case, source, both..blocks)? } else { Tally::default() };
    let Findings { theorem_3_5, theorem_3_6, theorem_3_6_reversed, theorem_3_7: bound } = found;
    let first = theorem_3_5.merge(more);
    Ok(Counted {
        sparsity: case.pattern.to_string(),
        unclaimed: unclaimed.map(str::to_owned),
        theorem_3_5: Summary::of(&first),
        example: smallest(case, first)?,
        theorem_3_6: Summary::of(&theorem_3_6.merge(theorem_3_6_reversed)),
        theorem_3_7: Bounds {
            blocks: bound.blocks,
            exceeding: bound.exceeding,
            violations: bound.violations,
            paper_violations: bound.paper_violations,
            tightness: bound.tightness,
            paper_tightness: bound.paper_tightness,
            example: bound.example.filter(|_| bound.violations > 0).as_ref().map(Shown::of),
        },
    })
}

/// The smallest violation of theorem 3.5 in sums of magnitudes, else element by element; values of it are set to zero, one after the
/// other from the first, as long as it stays one.
fn smallest(case: &Case, tally: Tally) -> Result<Option<Shown>> {
    let by_sum = tally.examples.l1.is_some();
    let violation = |tally: Tally| if by_sum { tally.examples.l1 } else { tally.examples.element };
    let Some(mut example) = violation(tally) else { return Ok(None) };
    loop {
        let before = example.nonzero;
        for i in 0..example.x.len() {
            let mut x = example.x.clone();
            if std::mem::take(&mut x[i]) != 0.0 {
                let smaller = violation(sparsify_first(case, Source::Given(&x), 0..1)?);
                example = smaller.unwrap_or(example);
            }
        }
        if example.nonzero == before {
            return Ok(Some(Shown::of(&example)));
        }
    }
}

/// Looks for a counterexample of theorem 3.6 among adversarial blocks, and makes it small.
fn searched(case: &Case, tie: &str, seed: u64, draws: u64) -> Result<Measured> {
    let order = if tie == "higher" { Tie::Higher } else { Tie::Lower };
    let found = search(case, Source::Drawn(Family::Adversarial, seed), order, draws)?;
    let example = found.example.map(|example| shrink(case, &example)).transpose()?;
    Ok(Measured::Searched {
        format: case.format.name.to_owned(),
        sparsity: case.pattern.to_string(),
        tie: tie.to_owned(),
        draws: found.draws,
        example: example.as_ref().map(Shown::of),
    })
}

/// Blocks of every linear layer of a model, as many of each as the key says, evenly spaced.
fn weights(worker: &Worker<'_>, key: &Key, shape: Shape) -> Result<Vec<f32>> {
    let (_, subject) = worker.bench.subject(key.text("source")?)?;
    let (preset, wanted) = (Preset::by_name(key.text("preset")?)?, key.number("blocks")? as usize);
    let mut blocks = Vec::new();
    operands(&*subject.model.checkpoint, preset, None, &mut |layer| {
        let all = cut(layer.weights, layer.k, (shape.rows, shape.k));
        let count = all.len() / shape.len();
        let taken = wanted.min(count);
        blocks.extend((0..taken).flat_map(|i| &all[i * count / taken * shape.len()..][..shape.len()]));
        Ok(())
    })?;
    Ok(blocks)
}

impl Summary {
    fn of(tally: &Tally) -> Self {
        let Tally { blocks, left_out, violations, equal, unexplained, .. } = *tally;
        Self { blocks, left_out, violations, equal, unexplained }
    }
}

impl Shown {
    fn of(example: &Example) -> Self {
        let place =
            |at: usize| Place { at, x: example.x[at], q: example.q[at], s: example.s[at], both: example.both[at] };
        let there = |place: &Place| [place.x, place.q, place.both].iter().any(|v| *v != 0.0);
        Self { excess: example.excess, values: (0..example.x.len()).map(place).filter(there).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(format: &str, pattern: &str) -> Case {
        Case::new(Format::by_name(format).unwrap(), pattern.parse().unwrap()).unwrap()
    }

    #[test]
    fn an_example_of_theorem_3_5_becomes_small_and_stays_one() {
        let case = case("interplay-int8", "2:4");
        let tally = sparsify_first(&case, Source::Drawn(Family::Adversarial, 3), 0..2_000).unwrap();
        let first = tally.examples.l1.clone().unwrap();
        let small = smallest(&case, tally).unwrap().unwrap();
        assert!(small.values.len() < first.nonzero, "{small:?}");
        let sum = |y: fn(&Place) -> f32| small.values.iter().map(|p| f64::from((p.x - y(p)).abs())).sum::<f64>();
        assert!(sum(|p| p.both) > sum(|p| p.q) + sum(|p| p.s), "{small:?}");
        assert!(small.excess > 0.0);
    }

    #[test]
    fn bulk_goes_where_the_theorem_is_claimed() {
        let source = Source::Drawn(Family::Adversarial, 1);
        let claimed = counted(&case("mxfp4", "2:4"), source, 50, 200).unwrap();
        assert_eq!((claimed.unclaimed, claimed.theorem_3_5.blocks, claimed.theorem_3_7.blocks), (None, 200, 100));
        assert!(claimed.example.is_none());
        let other = counted(&case("int4-asym", "2:4"), source, 50, 200).unwrap();
        assert!(other.unclaimed.is_some() && other.theorem_3_5.blocks == 50);
    }
}
