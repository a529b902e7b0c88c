//! The caption: the narrowest design of each format that costs nothing, and one table a dimension.

use std::fmt::Write;

use anyhow::Result;

use super::MORE;
use super::figure::{series, varies_accumulator, varies_alignment, varies_block};
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::numbers::{number, spread};
use crate::report::table::Table;
use crate::studies::evaluated;

const INTRODUCTION: &str = "\
`figure.svg`: by how much the metric is above that of the reference design, against bits of the accumulator, fraction bits that an \
aligned sum keeps, and elements a block (three rows; the axis of increases is near to linear within ±1 % and \
logarithmic beyond), and where the designs stand in area and energy (two rows; the grey line is the front of the two quantities shown; \
designs above twice the best metric stand in a strip above a broken axis). Bars are one standard error. The reference is \
the widest accumulator, or the widest alignment, with the format's own blocks; one dimension is varied at a time. Weights and \
activations are dense, nothing was trained.\n\n\
A design with blocks sums the products of a block exactly, rounds the sum to the accumulator's format and adds it with one rounding \
more; an accumulator is a sign, 8 bits of exponent and a mantissa (32 bits: FP32). Integers are added one by one to a register that \
saturates. An aligned sum cuts products and accumulator at one exponent, as tensor cores do. Differences are paired over windows or \
images, with their standard error.\n\n\
Area is that of all multiply-accumulators of the machine if each is of the design (gate model, no memories), energy that of the \
layers on this unit for one input: the unit by the same gates at the machine's node, memories at the price list's. Partial sums are counted with 32 bits in memory at every width. Cycles do not \
depend on these dimensions except through the bits that blocks add to what is moved.\n\n";

/// A dimension of the study.
struct Dimension {
    name: &'static str,
    /// What is said of the narrowest good value.
    unit: &'static str,
    column: &'static str,
}

const DIMENSIONS: [Dimension; 3] = [
    Dimension { name: "accumulator", unit: "bits of accumulator", column: "bits" },
    Dimension { name: "alignment", unit: "fraction bits of alignment", column: "bits" },
    Dimension { name: "block", unit: "elements a block", column: "block" },
];

/// The caption without its title.
pub(super) fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&evaluated::needed(&MORE))?;
    let mut text = INTRODUCTION.to_owned();
    text.push_str(&evaluated::machine(frame, " with its unit replaced"));
    for model in distinct(frame.rows(), "model") {
        let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        let _ = writeln!(text, "## {model}\n\n{}", setting(&rows));
        for dimension in &DIMENSIONS {
            let lines = of(dimension, &rows);
            for (format, points) in &lines {
                let _ = writeln!(text, "- {}", verdict(dimension, format, points));
            }
        }
        let _ = writeln!(text, "\n{}", front(&rows));
        for dimension in &DIMENSIONS {
            for table in tables(dimension, &of(dimension, &rows)) {
                let _ = writeln!(text, "{}", table.markdown());
            }
        }
        if let Some(grid) = grid(&rows) {
            let _ = writeln!(text, "{}", grid.markdown());
        }
    }
    Ok(text)
}

/// The answer in plain words: the narrowest accumulators and alignments that cost nothing, one entry a model.
pub(super) fn summary(frame: &Frame) -> Vec<String> {
    let said = |model: &str| {
        let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        let dimensions = DIMENSIONS.iter().filter(|dimension| dimension.name != "block").filter_map(|dimension| {
            let free = |points: &[(f64, Row)]| narrowest(points, |row| row.number("increase_stderr"));
            let lines = of(dimension, &rows);
            let least = lines.iter().filter_map(|(format, points)| Some(format!("{} ({format})", free(points)?)));
            let least: Vec<String> = least.collect();
            (!least.is_empty()).then(|| format!("{} {}", least.join(", "), dimension.unit))
        });
        let dimensions: Vec<String> = dimensions.collect();
        let front = rows.iter().filter(|row| row.text("front") == "true").count();
        let first = match dimensions.is_empty() {
            true => "no width that was tried is without a cost beyond one standard error".to_owned(),
            false => format!("without a cost beyond one standard error from {} on", dimensions.join(", and from ")),
        };
        format!("{model}: {first}; {front} of {} designs are on the front of metric, area and energy.", rows.len())
    };
    distinct(frame.rows(), "model").into_iter().map(said).collect()
}

type Lines<'a> = Vec<(&'a str, Vec<(f64, Row<'a>)>)>;

fn of<'a>(dimension: &Dimension, rows: &[Row<'a>]) -> Lines<'a> {
    let x = |row: &Row| row.number(dimension.column);
    match dimension.name {
        "accumulator" => series(rows, varies_accumulator, x),
        "alignment" => series(rows, varies_alignment, x),
        _ => series(rows, |row| varies_block(rows, row), x),
    }
}

fn setting(rows: &[Row]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let size = evaluated::size(*first);
    format!(
        "{} on {} ({size}); dense FP32 on the host: {}; lower is better.\n",
        first.text("metric").replace('_', " "),
        first.text("data"),
        number(first.number("fp32_value"))
    )
}

/// The least value of a dimension from which on no increase exceeds `limit`; none where the widest one does.
fn narrowest(points: &[(f64, Row)], limit: impl Fn(&Row) -> f64) -> Option<f64> {
    let good = |row: &Row| row.number("increase_percent") <= limit(row);
    points.iter().rev().take_while(|(_, row)| good(row)).last().map(|(x, _)| *x)
}

/// What a line says, in words.
fn verdict(dimension: &Dimension, format: &str, points: &[(f64, Row)]) -> String {
    if dimension.name == "block" {
        // Short blocks are the accurate ones: there is a longest good length instead.
        let said = |limit: &dyn Fn(&Row) -> f64| match longest(points, limit) {
            Some(length) => format!("up to {length} {}", dimension.unit),
            None => "at no length tried".to_owned(),
        };
        let (free, cheap) = (said(&|row| row.number("increase_stderr")), said(&|_| 1.0));
        return format!("{format}: without a cost beyond one standard error {free}, within 1 % {cheap}.");
    }
    let said = |limit: &dyn Fn(&Row) -> f64| match narrowest(points, limit) {
        Some(width) => format!("from {width} {} on", dimension.unit),
        None => "at no width tried".to_owned(),
    };
    let (free, cheap) = (said(&|row| row.number("increase_stderr")), said(&|_| 1.0));
    format!("{format}: without a cost beyond one standard error {free}, within 1 % {cheap}.")
}

/// The longest block up to which no increase over the format's own blocks exceeds `limit`.
fn longest(points: &[(f64, Row)], limit: impl Fn(&Row) -> f64) -> Option<f64> {
    let good = |row: &Row| row.number("increase_percent") <= limit(row);
    points.iter().take_while(|(_, row)| good(row)).last().map(|(x, _)| *x)
}

/// The designs that no other beats in metric, area and energy.
fn front(rows: &[Row]) -> String {
    let mut on: Vec<&Row> = rows.iter().filter(|row| row.text("front") == "true").collect();
    on.sort_by(|a, b| a.number("units_mm2").total_cmp(&b.number("units_mm2")));
    let mut table = Table::new(
        format!("Pareto front of metric, area and energy: {} of {} designs", on.len(), rows.len()),
        ["design", "metric", "increase, %", "units, mm2 (range)", "layers, uJ"],
    );
    for row in on {
        table.row([
            format!("{} {}", row.text("format"), row.text("unit")),
            number(row.number("value")),
            increase(row),
            area(row),
            format!("{:.2}", row.number("layers_pj") / 1e6),
        ]);
    }
    table.markdown()
}

fn area(row: &Row) -> String {
    let mm2 = |column| row.number(column);
    format!("{:.3} ({:.3} to {:.3})", mm2("units_mm2"), mm2("units_mm2_low"), mm2("units_mm2_high"))
}

fn increase(row: &Row) -> String {
    let (value, stderr) = (row.number("increase_percent"), row.number("increase_stderr"));
    if value.is_nan() { "no number".to_owned() } else { spread(value, stderr, 2) }
}

/// Accuracy, area and energy by one dimension, one row a value, one column a format.
fn tables(dimension: &Dimension, lines: &Lines) -> Vec<Table> {
    if lines.is_empty() {
        return Vec::new();
    }
    let mut values: Vec<f64> = lines.iter().flat_map(|(_, points)| points.iter().map(|(x, _)| *x)).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let by = |title: &str, text: &dyn Fn(&Row) -> String| {
        let mut table = Table::new(title, [dimension.unit].into_iter().chain(lines.iter().map(|(format, _)| *format)));
        for value in &values {
            let cell = |(_, points): &(&str, Vec<(f64, Row)>)| {
                points.iter().find(|(x, _)| x == value).map_or_else(String::new, |(_, row)| text(row))
            };
            table.row([value.to_string()].into_iter().chain(lines.iter().map(cell)));
        }
        table
    };
    let name = dimension.name;
    vec![
        by(&format!("{name}: increase of the metric, %"), &increase),
        by(&format!("{name}: area of the units, mm2"), &|row| format!("{:.3}", row.number("units_mm2"))),
        by(&format!("{name}: energy of the unit, pJ a multiply-accumulate"), &|row| {
            format!("{:.4}", row.number("unit_pj_per_mac"))
        }),
        by(&format!("{name}: energy of the layers, uJ an input"), &|row| {
            format!("{:.2}", row.number("layers_pj") / 1e6)
        }),
    ]
}

/// The grid of accumulators and blocks, where there is one: increases of the metric.
fn grid(rows: &[Row]) -> Option<Table> {
    let off = |row: &&Row| row.text("own_block") == "false" && !varies_block(rows, row);
    let formats = distinct(rows.iter().filter(off).copied(), "base_format");
    let of_grid: Vec<&Row> = rows
        .iter()
        .filter(|row| row.text("sum") == "accumulated" && formats.contains(&row.text("base_format")))
        .collect();
    let mut widths: Vec<f64> = of_grid.iter().map(|row| row.number("bits")).collect();
    widths.sort_by(f64::total_cmp);
    widths.dedup();
    let mut pairs: Vec<(&str, f64)> = of_grid.iter().map(|r| (r.text("base_format"), r.number("block"))).collect();
    pairs.sort_by(|a, b| a.0.cmp(b.0).then(a.1.total_cmp(&b.1)));
    pairs.dedup();
    let header = ["blocks".to_owned()].into_iter().chain(widths.iter().map(|bits| format!("{bits} bits")));
    let mut table = Table::new("blocks by accumulator: increase of the metric over the reference, %", header);
    for (format, block) in &pairs {
        let at = |bits: &f64| {
            let same = |row: &&&Row| row.text("base_format") == *format && row.number("block") == *block;
            of_grid
                .iter()
                .filter(same)
                .find(|row| row.number("bits") == *bits)
                .map_or_else(String::new, |row| increase(row))
        };
        table.row([format!("{format}, {block}")].into_iter().chain(widths.iter().map(at)));
    }
    (!pairs.is_empty()).then_some(table)
}
