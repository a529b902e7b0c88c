//! The figure and the caption.

use std::fmt::Write;

use anyhow::Result;
use interplay_formats::math;

use super::COLUMNS;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::numbers::{self, number};
use crate::report::panels::{self, Curve, Entry, Panel};
use crate::report::style;
use crate::report::table::Table;

const ORDERS: [(&str, &str); 2] = [("sq", "S→Q"), ("qs", "Q→S")];

/// The rows of one part and model.
fn of<'a>(frame: &'a Frame, part: &str, model: &str) -> Vec<Row<'a>> {
    frame.rows().filter(|row| row.is(&[("part", part), ("model", model)])).collect()
}

pub(super) fn figure(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let mut grid: Vec<Vec<Panel>> = vec![Vec::new()];
    for model in distinct(frame.rows(), "model") {
        for (part, x) in
            [("low-rank", "compressed layers with correction, KiB"), ("distillation", "lean towards the teacher, %")]
        {
            let rows = of(frame, part, model);
            if rows.is_empty() {
                continue;
            }
            let metric = rows[0].text("metric").replace('_', " ");
            grid[0].push(Panel {
                title: format!("{model}, {}: {part}", distinct(rows.iter().copied(), "sparsity").join(", ")),
                x: x.to_owned(),
                y: metric,
                logarithmic: true,
                curves: curves(&rows, part),
            });
        }
    }
    let formats = distinct(frame.rows(), "format");
    let lines = formats.iter().map(|format| Entry::line(style::colour(format), *format));
    let legend: Vec<Entry> = lines.chain(["solid: S→Q", "dashed: Q→S"].map(Entry::text)).collect();
    panels::figure(&grid, &legend)
}

fn curves(rows: &[Row], part: &str) -> Vec<Curve> {
    let mut curves = Vec::new();
    for sparsity in distinct(rows.iter().copied(), "sparsity") {
        for format in distinct(rows.iter().copied(), "format") {
            for (order, _) in ORDERS {
                let wanted = [("sparsity", sparsity), ("format", format), ("order", order)];
                let own: Vec<Row> = rows.iter().filter(|row| row.is(&wanted)).copied().collect();
                let points = if part == "low-rank" {
                    own.iter().map(|row| (row.number("linear_bits") / 8192.0, row.number("value"))).collect()
                } else {
                    let shares = distinct(own.iter().copied(), "distill_percent");
                    shares.iter().filter_map(|share| Some((share.parse().ok()?, mean(&own, share).0))).collect()
                };
                curves.push(Curve { colour: style::colour(format), dashed: order == "qs", points });
            }
        }
    }
    curves
}

/// The mean and the standard deviation over seeds of the metric at a share of the teacher.
fn mean(rows: &[Row], share: &str) -> (f64, f64) {
    spread(rows.iter().filter(|row| row.text("distill_percent") == share).map(|row| row.number("value")).collect())
}

fn spread(values: Vec<f64>) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| math::powi(value - mean, 2)).sum::<f64>();
    (mean, (squares / (count - 1.0)).sqrt())
}

pub(super) fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let mut text = String::from(
        "**Low-rank correction**, one shot: beside the compressed weights C(W) each layer stores the best approximation of W − C(W) of some rank, as two factors in \
         bf16, and adds their product with its input. Its bits, cycles and energy are counted with the layer's. **Distillation**: the common recipe of the study `finetune` with targets that lean from \
         the right class towards what the dense FP32 model says.\n\n\
         `figure.svg`: left the metric against what the compressed layers store, one point a rank; right the mean metric over seeds against the lean. Lower is better.\n\n\
         *recovered* is the fall of the mean loss against the same point without correction, with the standard error of the paired difference over inputs.\n\n",
    );
    for model in distinct(frame.rows(), "model") {
        let rows = of(frame, "low-rank", model);
        if !rows.is_empty() {
            let _ = writeln!(text, "{}\n{}\n", ranks(model, &rows).markdown(), gaps(model, &rows));
        }
        let rows = of(frame, "distillation", model);
        if !rows.is_empty() {
            let _ = writeln!(text, "{}", shares(model, &rows).markdown());
        }
    }
    Ok(text)
}

/// The sweep over ranks.
fn ranks(model: &str, rows: &[Row]) -> Table {
    let title = format!("{model}: low-rank correction; dense FP32 {}", number(rows[0].number("fp32_value")));
    let header =
        ["format, pattern, rank", "S→Q", "Q→S", "recovered S→Q, nats", "recovered Q→S, nats", "KiB", "energy, uJ"];
    let mut table = Table::new(title, header);
    for sparsity in distinct(rows.iter().copied(), "sparsity") {
        for format in distinct(rows.iter().copied(), "format") {
            for rank in distinct(rows.iter().copied(), "rank") {
                let wanted = [("sparsity", sparsity), ("format", format), ("rank", rank)];
                let of = |order: &str| rows.iter().find(|row| row.is(&wanted) && row.text("order") == order);
                let orders = ORDERS.map(|(order, _)| of(order));
                let say = |text: &dyn Fn(&Row) -> String| orders.map(|row| row.map_or_else(String::new, text));
                let value = say(&|row| number(row.number("value")));
                let back = say(&|row| numbers::spread(row.number("recovered"), row.number("recovered_stderr"), 4));
                let first = orders.into_iter().flatten().next();
                let of_both = |column: &str, unit: f64| {
                    first.map_or_else(String::new, |row| format!("{:.1}", row.number(column) / unit))
                };
                let costs = [of_both("linear_bits", 8192.0), of_both("energy_pj", 1e6)];
                table.row(
                    std::iter::once(format!("{format}, {sparsity}, {rank}")).chain(value).chain(back).chain(costs),
                );
            }
        }
    }
    table
}

/// Whether the correction closes the gap between the orders, in words.
fn gaps(model: &str, rows: &[Row]) -> String {
    let mut text = String::new();
    for sparsity in distinct(rows.iter().copied(), "sparsity") {
        for format in distinct(rows.iter().copied(), "format") {
            let ranks = distinct(rows.iter().copied(), "rank");
            let gap = |rank: &str| {
                let wanted = [("sparsity", sparsity), ("format", format), ("rank", rank)];
                let of = |order: &str| {
                    let row = rows.iter().find(|row| row.is(&wanted) && row.text("order") == order);
                    row.map(|row| row.number("value"))
                };
                Some((of("qs")? / of("sq")? - 1.0) * 100.0)
            };
            let (Some(first), Some(last)) = (ranks.first(), ranks.last()) else { continue };
            if let (Some(before), Some(after)) = (gap(first), gap(last)) {
                let _ = writeln!(
                    text,
                    "- {model}, {format}, {sparsity}: Q→S is {before:+.2} % from S→Q at rank {first} and {after:+.2} % at rank {last}."
                );
            }
        }
    }
    text
}

/// Distillation: means over seeds.
fn shares(model: &str, rows: &[Row]) -> Table {
    let steps = rows[0].text("steps");
    let seeds = distinct(rows.iter().copied(), "seed").len();
    let title = format!("{model}: after {steps} steps, mean ± standard deviation over {seeds} seeds");
    let leans = distinct(rows.iter().copied(), "distill_percent");
    let header = leans.iter().map(|lean| format!("lean {lean} %"));
    let mut table =
        Table::new(title, ["format, pattern, order".to_owned()].into_iter().chain(header).chain(["change".to_owned()]));
    for sparsity in distinct(rows.iter().copied(), "sparsity") {
        for format in distinct(rows.iter().copied(), "format") {
            for (order, name) in ORDERS {
                let wanted = [("sparsity", sparsity), ("format", format), ("order", order)];
                let own: Vec<Row> = rows.iter().filter(|row| row.is(&wanted)).copied().collect();
                let say = |(mean, deviation): (f64, f64)| match deviation.is_finite() {
                    true => format!("{} ±{deviation:.3}", number(mean)),
                    false => number(mean),
                };
                let means = leans.iter().map(|lean| say(mean(&own, lean)));
                let change = change(&own, leans.first().copied(), leans.last().copied());
                table.row(std::iter::once(format!("{format}, {sparsity}, {name}")).chain(means).chain([change]));
            }
        }
    }
    table
}

/// By how much the metric changes from one lean to another, seed by seed.
fn change(rows: &[Row], from: Option<&str>, to: Option<&str>) -> String {
    let (Some(from), Some(to)) = (from, to) else { return String::new() };
    let at = |lean: &str, seed: &str| {
        let row = rows.iter().find(|row| row.is(&[("distill_percent", lean), ("seed", seed)]));
        row.map(|row| row.number("value"))
    };
    let seeds = distinct(rows.iter().copied(), "seed");
    let changes: Vec<f64> = seeds.iter().filter_map(|seed| Some(at(to, seed)? - at(from, seed)?)).collect();
    let (mean, deviation) = spread(changes);
    numbers::spread(mean, if deviation.is_finite() { deviation } else { f64::NAN }, 3)
}
