//! The study's tables: the metric by sparsity and order like the paper's, then what each point costs.

use crate::report::figure::in_order;
use crate::report::table::Table;
use crate::result::Cell;

/// A cell with the loss of each window or image, in the order of the data, for paired comparisons.
pub struct Measured {
    /// What is printed and stored.
    pub cell: Cell,
    /// The loss of each window or image.
    pub losses: Vec<f64>,
}

/// All tables of one model's cells.
pub fn all(cells: &[Measured]) -> Vec<Table> {
    let Some(first) = cells.first() else { return Vec::new() };
    let c = &first.cell;
    let unit = if c.window == 0 { "an image" } else { "a window" };
    let kib = |bits: u64| format!("{:.1}", bits as f64 / 8192.0);
    let linears = |c: &Cell| c.footprint_bits.values + c.footprint_bits.scales + c.footprint_bits.metadata;
    vec![
        metric(cells),
        by_pattern(cells, "compressed layers, KiB (values, scales, metadata)", |c| kib(linears(c))),
        by_pattern(cells, "whole model, KiB", |c| kib(c.footprint_bits.total)),
        by_pattern(cells, &format!("cycles {unit}, model {}", c.cycles.model), |c| c.cycles.total.to_string()),
        by_pattern(cells, &format!("energy {unit}, uJ, prices {}", c.energy_pj.prices), |c| {
            format!("{:.2}", c.energy_pj.total / 1e6)
        }),
    ]
}

/// The metric, one row a pattern and order, and under each pair of orders their difference with its paired standard error.
fn metric(cells: &[Measured]) -> Table {
    let c = &cells[0].cell;
    let formats = in_order(cells.iter().map(|m| m.cell.format.clone()));
    let patterns = in_order(cells.iter().map(|m| m.cell.sparsity.clone()));
    let size = match c.window {
        0 => format!("{} images", c.windows),
        window => format!("{} windows of {window} tokens", c.windows),
    };
    let title = format!(
        "{}: {} on {} ({size}); FP32 {}; lower is better",
        c.model,
        c.metric.name.replace('_', " "),
        c.data,
        number(c.fp32.value)
    );
    let mut table = Table::new(title, ["".to_owned()].into_iter().chain(formats.iter().cloned()));
    for pattern in &patterns {
        let find = |format: &String, order: &str| {
            cells.iter().find(|m| {
                m.cell.sparsity == *pattern
                    && m.cell.format == *format
                    && (m.cell.order == order || (m.cell.order == "none" && order == "sq"))
            })
        };
        let row = |order: &str| formats.iter().map(move |f| find(f, order)).collect::<Vec<_>>();
        let (sq, qs) = (row("sq"), row("qs"));
        let value = |m: &Option<&Measured>| m.map_or_else(String::new, |m| number(m.cell.metric.value));
        if pattern == "dense" {
            table.row(["dense".to_owned()].into_iter().chain(sq.iter().map(value)));
            continue;
        }
        table.row([format!("{pattern} S→Q")].into_iter().chain(sq.iter().map(value)));
        table.row([format!("{pattern} Q→S")].into_iter().chain(qs.iter().map(value)));
        let gaps = sq.iter().zip(&qs).map(|pair| match pair {
            (Some(sq), Some(qs)) => gap(sq, qs),
            _ => String::new(),
        });
        table.row([format!("{pattern} Q→S − S→Q, %")].into_iter().chain(gaps));
    }
    table
}

/// By how many percent Q→S is worse, with the standard error of the paired difference: both orders see the same windows, so
/// the spread between windows cancels.
fn gap(sq: &Measured, qs: &Measured) -> String {
    let paired = Paired::of(&sq.losses, &qs.losses);
    // A perplexity is the exponential of the mean loss, so a small loss difference is a relative change of it; a
    // cross-entropy is the loss itself.
    let scale = if sq.cell.metric.name == "perplexity" { 100.0 } else { 100.0 / sq.cell.metric.value };
    let mean = if sq.cell.metric.name == "perplexity" { paired.mean.exp_m1() * 100.0 } else { paired.mean * scale };
    format!("{mean:+.2} ±{:.2}", paired.stderr * scale)
}

/// The mean of paired differences with its standard error.
pub struct Paired {
    /// Mean of `b - a`.
    pub mean: f64,
    /// Its standard error.
    pub stderr: f64,
}

impl Paired {
    /// Differences of samples of the same windows in the same order.
    pub fn of(a: &[f64], b: &[f64]) -> Self {
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
        let estimate = interplay::eval::Estimate::of(&differences);
        Self { mean: estimate.mean, stderr: estimate.stderr }
    }
}

/// One row a pattern; both orders have the same cost, so it is printed once.
fn by_pattern(cells: &[Measured], title: &str, text: impl Fn(&Cell) -> String) -> Table {
    let formats = in_order(cells.iter().map(|m| m.cell.format.clone()));
    let patterns = in_order(cells.iter().map(|m| m.cell.sparsity.clone()));
    let mut table = Table::new(title, ["".to_owned()].into_iter().chain(formats.iter().cloned()));
    for pattern in &patterns {
        let cell = |f: &String| cells.iter().map(|m| &m.cell).find(|c| c.format == *f && c.sparsity == *pattern);
        let texts = formats.iter().map(|f| cell(f).map_or_else(String::new, &text));
        table.row([pattern.clone()].into_iter().chain(texts));
    }
    table
}

/// Four significant digits, and exponents only where a reader would want them.
pub fn number(value: f64) -> String {
    match value {
        v if !v.is_finite() => v.to_string(),
        v if v >= 1e6 => format!("{v:.2e}"),
        v if v >= 1000.0 => format!("{v:.0}"),
        v if v >= 100.0 => format!("{v:.1}"),
        v if v >= 10.0 => format!("{v:.2}"),
        v => format!("{v:.4}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_spread_cancels_in_the_paired_difference() {
        let a = [1.0, 5.0, 9.0];
        let b = [1.5, 5.5, 9.5];
        let paired = Paired::of(&a, &b);
        assert_eq!((paired.mean, paired.stderr), (0.5, 0.0));
    }

    #[test]
    fn numbers_keep_four_digits() {
        assert_eq!(number(21.1356), "21.14");
        assert_eq!(number(0.07391), "0.0739");
        assert_eq!(number(12345.6), "12346");
        assert_eq!(number(f64::INFINITY), "inf");
    }
}
