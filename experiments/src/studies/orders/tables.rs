//! The caption: the metric by sparsity and order like the paper's table, what the orders differ by, and what each point costs.

use std::fmt::Write;

use anyhow::Result;

use super::MORE;
use crate::engine::frame::{Frame, Row, distinct};
use crate::published::{self, Setup};
use crate::report::numbers::{self, number};
use crate::report::table::Table;
use crate::studies::evaluated::{self, linear_bits};

const INTRODUCTION: &str = "\
`figure.svg`: stored size of the compressed layers against the metric, both axes logarithmic, with the Pareto front; one panel a model. \
Filled marks: dense, or sparsified before quantising (S→Q); hollow marks: quantised first (Q→S); bars: one standard \
error. Nothing was trained: every cell is one shot.\n\n\
Both orders of one format and pattern store the same bits and take the same cycles. Differences between the orders carry the standard \
error of the paired difference over windows or images. The orthogonality bound is the dense FP32 metric plus what rounding alone and \
pruning alone add to it; S→Q above it means that the two errors compound.\n\n";

/// The caption without its title.
pub(super) fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&evaluated::needed(&MORE))?;
    let mut text = INTRODUCTION.to_owned();
    text.push_str(&evaluated::machine(frame, ""));
    for model in distinct(frame.rows(), "model") {
        let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        let _ = writeln!(text, "{}", verdict(&rows));
        for table in tables(&rows) {
            let _ = writeln!(text, "{}", table.markdown());
        }
    }
    let ours: Vec<Setup> = frame.rows().map(setup).collect();
    text.push_str(&published::markdown(&published::beside(&ours)));
    Ok(text)
}

/// A row as a published number is held against it: one shot, by magnitude.
fn setup(row: Row<'_>) -> Setup<'_> {
    Setup {
        model: row.text("model"),
        data: row.text("data"),
        window: row.text("window").parse().unwrap_or(0),
        whole: false,
        metric: row.text("metric"),
        fine_tuned: false,
        format: row.text("format"),
        sparsity: row.text("sparsity"),
        order: row.text("order"),
        method: "magnitude",
        calibration: "none",
        value: row.number("value"),
    }
}

/// The answer in plain words, one entry a model.
pub(super) fn summary(frame: &Frame) -> Vec<String> {
    let models = distinct(frame.rows(), "model").into_iter();
    let said = models.map(|model| {
        let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        format!("{model}: {}{}", orders(&rows), smallest(&rows))
    });
    said.collect()
}

/// The least that a model can be stored in without losing much; nothing where every cell loses more.
fn smallest(rows: &[Row]) -> String {
    let good = rows.iter().filter(|row| row.number("value") <= 1.01 * row.number("fp32_value"));
    let Some(row) = good.min_by(|a, b| linear_bits(**a).total_cmp(&linear_bits(**b))) else { return String::new() };
    let order = match row.text("order") {
        "sq" => " S→Q",
        "qs" => " Q→S",
        _ => "",
    };
    format!(
        " The smallest within 1 % of FP32's {}: {} {}{order}, {:.1} KiB.",
        row.text("metric").replace('_', " "),
        row.text("format"),
        row.text("sparsity"),
        linear_bits(*row) / 8192.0
    )
}

/// What the table says, in words: which pairs of orders differ by more than two standard errors, and which way.
fn verdict(rows: &[Row]) -> String {
    let model = rows.first().map_or("", |row| row.text("model"));
    let over =
        rows.iter().filter(|r| r.text("order") == "sq" && r.number("excess") > 2.0 * r.number("excess_stderr")).count();
    let all = rows.iter().filter(|r| r.text("order") == "sq" && !r.number("excess").is_nan()).count();
    format!(
        "**{model}**: {} S→Q exceeds the orthogonality bound by more than two standard errors in {over} of {all} cells.\n",
        orders(rows)
    )
}

/// How the orders compare, and the pair that differs most.
fn orders(rows: &[Row]) -> String {
    let pairs: Vec<&Row> = rows.iter().filter(|row| !row.number("gap_percent").is_nan()).collect();
    if pairs.is_empty() {
        return "there is no pair of orders to compare.".to_owned();
    }
    let beyond = |row: &&&Row, sign: f64| sign * row.number("gap_percent") > 2.0 * row.number("gap_stderr");
    let (worse, better) =
        (pairs.iter().filter(|r| beyond(r, 1.0)).count(), pairs.iter().filter(|r| beyond(r, -1.0)).count());
    let mut text = format!(
        "of {} pairs, Q→S is worse by more than two standard errors in {worse} and better in {better}.",
        pairs.len()
    );
    if pairs.iter().any(|row| row.number("gap_stderr").is_nan()) {
        text.push_str(" Which is which cannot be told, because one input has no standard error.");
    }
    if let Some(row) = largest(&pairs) {
        let _ = write!(
            text,
            " The largest gap is {} % ({}, {}).",
            spread(row, "gap_percent", "gap_stderr"),
            row.text("format"),
            row.text("sparsity")
        );
    }
    text
}

/// The pair whose orders differ most, whichever is better.
fn largest<'a, 'b>(pairs: &[&'b Row<'a>]) -> Option<&'b Row<'a>> {
    let size = |row: &Row| row.number("gap_percent").abs();
    pairs.iter().copied().max_by(|a, b| size(a).total_cmp(&size(b)))
}

/// All tables of one model's rows.
fn tables(rows: &[Row]) -> Vec<Table> {
    let Some(first) = rows.first() else { return Vec::new() };
    let unit = if first.text("window") == "0" { "an image" } else { "a window" };
    let kib = |bits: f64| format!("{:.1}", bits / 8192.0);
    vec![
        metric(rows),
        bound(rows),
        by_pattern(rows, "compressed layers, KiB (values, scales, metadata)", |row| kib(linear_bits(*row))),
        by_pattern(rows, "whole model, KiB", |row| kib(row.number("total_bits"))),
        by_pattern(rows, &format!("cycles {unit}, model {}", first.text("cycle_model")), |row| {
            row.text("cycles").to_owned()
        }),
        by_pattern(rows, &format!("energy {unit}, uJ, prices {}", first.text("prices")), |row| {
            format!("{:.2}", row.number("energy_pj") / 1e6)
        }),
    ]
}

fn find<'a, 'b>(rows: &'b [Row<'a>], pattern: &str, format: &str, order: &str) -> Option<&'b Row<'a>> {
    let alone = |row: &&Row| row.text("order") == "none" && order == "sq";
    rows.iter()
        .find(|row| row.is(&[("sparsity", pattern), ("format", format)]) && (row.text("order") == order || alone(row)))
}

/// The metric, one row a pattern and order, and under each pair of orders their difference with its paired standard error.
fn metric(rows: &[Row]) -> Table {
    let first = &rows[0];
    let formats = distinct(rows.iter().copied(), "format");
    let size = evaluated::size(*first);
    let title = format!(
        "{}: {} on {} ({size}); FP32 {}; lower is better",
        first.text("model"),
        first.text("metric").replace('_', " "),
        first.text("data"),
        number(first.number("fp32_value"))
    );
    let mut table = Table::new(title, [""].into_iter().chain(formats.iter().copied()));
    for pattern in distinct(rows.iter().copied(), "sparsity") {
        let mut line = |label: String, order: &str, text: &dyn Fn(&Row) -> String| {
            let cells = formats.iter().map(|format| find(rows, pattern, format, order).map_or_else(String::new, text));
            table.row([label].into_iter().chain(cells));
        };
        let value = |row: &Row| number(row.number("value"));
        if pattern == "dense" {
            line("dense".to_owned(), "sq", &value);
            continue;
        }
        line(format!("{pattern} S→Q"), "sq", &value);
        line(format!("{pattern} Q→S"), "qs", &value);
        line(format!("{pattern} Q→S − S→Q, %"), "qs", &|row| spread(row, "gap_percent", "gap_stderr"));
    }
    table
}

/// A signed value with its standard error; nothing where there is none.
fn spread(row: &Row, value: &str, stderr: &str) -> String {
    numbers::spread(row.number(value), row.number(stderr), 2)
}

/// The orthogonality bound and how far S→Q is above it.
fn bound(rows: &[Row]) -> Table {
    let formats: Vec<&str> = distinct(rows.iter().filter(|row| !row.number("bound").is_nan()).copied(), "format");
    let title = "orthogonality bound, and S→Q above it (in the metric's unit)";
    let mut table = Table::new(title, [""].into_iter().chain(formats.iter().copied()));
    for pattern in distinct(rows.iter().copied(), "sparsity").into_iter().filter(|pattern| *pattern != "dense") {
        let mut line = |label: String, text: &dyn Fn(&Row) -> String| {
            let cells = formats.iter().map(|format| find(rows, pattern, format, "sq").map_or_else(String::new, text));
            table.row([label].into_iter().chain(cells));
        };
        line(format!("{pattern} bound"), &|row| number(row.number("bound")));
        line(format!("{pattern} S→Q − bound"), &|row| spread(row, "excess", "excess_stderr"));
    }
    table
}

/// One row a pattern; both orders have the same cost, so it is printed once.
fn by_pattern(rows: &[Row], title: &str, text: impl Fn(&Row) -> String) -> Table {
    let formats = distinct(rows.iter().copied(), "format");
    let mut table = Table::new(title, [""].into_iter().chain(formats.iter().copied()));
    for pattern in distinct(rows.iter().copied(), "sparsity") {
        let cell = |format: &&str| rows.iter().find(|row| row.is(&[("format", format), ("sparsity", pattern)]));
        let texts = formats.iter().map(|format| cell(format).map_or_else(String::new, &text));
        table.row([pattern.to_owned()].into_iter().chain(texts));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_gap_is_the_largest_either_way() {
        let mut frame = Frame::new(&["model", "format", "sparsity", "order", "gap_percent", "gap_stderr"]);
        for (format, gap) in [("int8", "2"), ("mxfp4", "-9.5"), ("hbfp6", "")] {
            frame.push("orders", ["m", format, "2:4", "qs", gap, "1"]).unwrap();
        }
        let rows: Vec<Row> = frame.rows().collect();
        assert!(orders(&rows).contains("of 2 pairs") && orders(&rows).contains("-9.50 ±1.00 % (mxfp4, 2:4)"));
        assert!(verdict(&rows).starts_with("**m**: of 2 pairs"));
        assert_eq!(orders(&rows[2..]), "there is no pair of orders to compare.");
    }
}
