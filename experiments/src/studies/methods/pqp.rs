//! Two questions about PQP: its table beside ours, and whether pruning after rounding is right (row 20 of the ambiguities).

use anyhow::Result;
use interplay_formats::{Format, Pattern, Scope};

use super::entries::{NONE, On, Point};

/// The format of PQP's table, which does not state it: weights of 4 bits with a scale and a zero a row fit the gaps.
pub(super) const FORMAT: &str = "int4-asym";

/// The part of the cells that only these questions ask for.
pub(super) const PART: &str = "pqp";

/// Columns of the published table: LLaMA 1, 2 and 3.1 by size.
pub(super) const MODELS: [&str; 8] = ["L1-7B", "L1-13B", "L1-30B", "L1-65B", "L2-7B", "L2-13B", "L2-70B", "L3.1-8B"];

/// A row of PQP's table.
pub(super) struct Published {
    /// The method as the table calls it.
    pub(super) method: &'static str,
    /// The pruner's name here.
    pruner: &'static str,
    /// How PQP's code ran it, with GPTQ.
    steps: &'static [&'static str],
    /// WikiText-2 perplexity at windows of 2048.
    pub(super) perplexity: [f64; 8],
    /// Whether `--quick` runs it.
    quick: bool,
}

const fn row(
    method: &'static str,
    pruner: &'static str,
    steps: &'static [&'static str],
    quick: bool,
    perplexity: [f64; 8],
) -> Published {
    Published { method, pruner, steps, perplexity, quick }
}

/// PQP's table (its README, read on the project's reference), half of the weights pruned.
pub(super) const TABLE: [Published; 8] = [
    row("SparseGPT", "sparsegpt", &["sparsegpt({p},{f})"], true, [9.21, 6.50, 5.55, 4.84, 7.72, 6.29, 4.48, 92.41]),
    row("Wanda", "wanda", &["gptq({f})", "wanda({p})"], true, [7.98, 6.58, 5.60, 4.92, 7.53, 6.40, 4.58, 11.67]),
    row("RIA", "ria", &["gptq({f})", "ria({p}-row)"], true, [8.21, 6.60, 5.55, 4.91, 7.67, 6.35, 4.61, 11.41]),
    row("BESA", "besa", &["gptq({f})", "besa({p})"], false, [7.38, 6.40, 5.34, 4.67, 7.55, 6.19, 4.47, 11.01]),
    row("BaWA", "bawa", &["gptq({f})", "bawa({p})"], true, [8.10, 6.65, 5.55, 4.91, 7.58, 6.33, 4.59, 11.02]),
    row("JSQ", "jsq", &["jsq({p})", "gptq({f})"], true, [7.84, 6.52, 5.76, 5.10, 7.56, 6.41, 4.61, 11.12]),
    row(
        "PQP layer-wise",
        "pqp",
        &["gptq({f})", "pqp({p},group=layer)"],
        false,
        [7.67, 6.31, 5.30, 4.61, 7.17, 6.03, 4.29, 11.47],
    ),
    row("PQP row-wise", "pqp", &["gptq({f})", "pqp({p})"], true, [7.08, 6.07, 5.10, 4.45, 6.89, 5.84, 4.23, 9.67]),
];

/// Why our numbers are not the table's.
pub(super) const REASONS: &str = "Absolute numbers differ, because everything but the methods does: other models (the table's have 7 \
to 70 billion weights); a bit width that the table does not state (4 bits with a scale and a zero a row, rounded by GPTQ, is inferred \
from its gaps); windows of another length; another calibration set (128 x 2048 tokens of C4 there); learning options that its scripts \
do not publish. Compare ranks and ratios down a column, not numbers across. Each method runs in the order in which PQP's code ran it: \
all after rounding, but SparseGPT, which rounds in its own pass, and JSQ, which prunes first.";

/// Weights of the loss of the quantisation error; 1 is the default, 0 leaves it out.
pub(super) const ERRORS: [&str; 3] = ["0", "1", "10"];

/// Half of the weights, as in PQP's table.
pub(super) fn half() -> Pattern {
    Pattern::Unstructured { basis_points: 5000, scope: Scope::Matrix }
}

fn point(pruner: &'static str, quantiser: &'static str, format: &'static Format, steps: &[&str]) -> Result<Point> {
    let pattern = half();
    Point { part: PART, pruner, quantiser, format, pattern, recipe: None, on: None }.with(steps)
}

impl Published {
    /// The cell that stands beside the row.
    pub(super) fn point(&self, format: &'static Format) -> Result<Point> {
        point(self.pruner, if self.steps.len() == 1 { "joint" } else { "gptq" }, format, self.steps)
    }
}

/// PQP's metric for one format: its masks from the given and from the rounded weights, each on the given weights, on weights rounded
/// after pruning, and on weights rounded before.
pub(super) struct Metric {
    /// Masks from the given weights: FP32, S→Q, and put on rounded weights.
    pub(super) given: [Point; 3],
    /// Masks from the rounded weights: put on FP32, put on weights that are rounded afterwards, and Q→S as PQP does.
    pub(super) rounded: [Point; 3],
    /// The same two orders with GPTQ: S→Q, Q→S.
    pub(super) gptq: [Point; 2],
}

impl Metric {
    /// The points of a format.
    ///
    /// # Errors
    /// The metric does not take the format.
    pub(super) fn of(format: &'static Format) -> Result<Self> {
        const M: &str = "pqp-metric({p})";
        let with = |quantiser, steps: &[&str]| point("pqp-metric", quantiser, format, steps);
        let alone = Point { format: Format::fp32(), quantiser: NONE, ..with(NONE, &[M])? };
        let qs = with("rtn", &["rtn({f})", M])?;
        let put = |from: &Point, on| Point { quantiser: "rtn", format, on: Some(on), ..from.clone() };
        let on_given = Point { format: Format::fp32(), quantiser: NONE, ..put(&qs, On::Given) };
        Ok(Self {
            given: [alone.clone(), with("rtn", &[M, "rtn({f})"])?, put(&alone, On::RoundedBefore)],
            rounded: [on_given, put(&qs, On::RoundedAfter), qs],
            gptq: [with("gptq", &[M, "gptq({f})"])?, with("gptq", &["gptq({f})", M])?],
        })
    }
}

/// Learned sparsity with GPTQ: BESA and PQP in both orders, and PQP by the weight of its loss of the quantisation error.
pub(super) struct Learned {
    /// BESA: S→Q, Q→S.
    pub(super) besa: [Point; 2],
    /// PQP: S→Q, Q→S.
    pub(super) pqp: [Point; 2],
    /// PQP Q→S by the weight of the loss, as [`ERRORS`].
    pub(super) errors: Vec<Point>,
}

impl Learned {
    /// The points of a format.
    ///
    /// # Errors
    /// A method does not take the format.
    pub(super) fn of(format: &'static Format) -> Result<Self> {
        let both = |pruner: &'static str| -> Result<[Point; 2]> {
            let step = format!("{pruner}({{p}})");
            let with = |steps: &[&str]| point(pruner, "gptq", format, steps);
            Ok([with(&[&step, "gptq({f})"])?, with(&["gptq({f})", &step])?])
        };
        let error = |weight: &&str| {
            // The default is the row of the table above.
            let step = if *weight == "1" { "pqp({p})".to_owned() } else { format!("pqp({{p}},error={weight})") };
            point("pqp", "gptq", format, &["gptq({f})", &step])
        };
        Ok(Self { besa: both("besa")?, pqp: both("pqp")?, errors: ERRORS.iter().map(error).collect::<Result<_>>()? })
    }
}

/// Every cell that the two questions need and `there` does not have.
///
/// # Errors
/// A method does not take a format.
pub(super) fn points(formats: &[&'static Format], quick: bool, there: &[Point]) -> Result<Vec<Point>> {
    let four = Format::by_name(FORMAT)?;
    let mut all = Vec::new();
    for row in TABLE.iter().filter(|row| row.quick || !quick) {
        all.push(row.point(four)?);
    }
    for format in formats.iter().take(if quick { 1 } else { usize::MAX }) {
        let Metric { given, rounded, gptq } = Metric::of(format)?;
        all.extend(given.into_iter().chain(rounded).chain(gptq));
    }
    if !quick {
        let Learned { besa, pqp, errors } = Learned::of(four)?;
        all.extend(besa.into_iter().chain(pqp).chain(errors));
    }
    let mut known: Vec<String> = there.iter().map(Point::text).collect();
    all.retain(|point| {
        let text = point.text();
        let new = !known.contains(&text);
        known.push(text);
        new
    });
    Ok(all)
}
