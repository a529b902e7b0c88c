//! The figure and the caption.

use std::fmt::Write;

use anyhow::Result;
use interplay_formats::math;

use super::COLUMNS;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::chart::{Curve, Item, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::{self, interval, number};
use crate::report::scale::{Axis, Scale};
use crate::report::style::{self, INK, Look, Shape};
use crate::report::table::Table;

const ORDERS: [(&str, &str); 2] = [("sq", "S→Q"), ("qs", "Q→S")];

/// The rows of one part and model.
fn of<'a>(frame: &'a Frame, part: &str, model: &str) -> Vec<Row<'a>> {
    frame.rows().filter(|row| row.is(&[("part", part), ("model", model)])).collect()
}

/// A part of the study, the name of its x axis, and the points of one line.
struct Part {
    name: &'static str,
    x: &'static str,
    points: fn(&[Row]) -> Vec<Value>,
}

/// A point of a line with the ends of its error.
type Value = ((f64, f64), (f64, f64));

const PARTS: [Part; 2] = [
    Part { name: "low-rank", x: "compressed layers with correction, KiB", points: by_rank },
    Part { name: "distillation", x: "lean towards the teacher, %", points: by_lean },
];

pub(super) fn figure(frame: &Frame) -> Result<Figure> {
    frame.expect(&COLUMNS)?;
    let mut row: Vec<Panel> = Vec::new();
    for model in distinct(frame.rows(), "model") {
        for part in &PARTS {
            let rows = of(frame, part.name, model);
            if !rows.is_empty() {
                row.push(panel(model, part, &rows));
            }
        }
    }
    let formats = distinct(frame.rows(), "format").into_iter().map(|f| (Sample::Line(style::colour(f)), f));
    let words = "distillation: of the mean over seeds; low-rank: over windows, which all points share";
    let dot = |order| Sample::Mark(Look::new(Shape::Circle, INK).order(order));
    let legend = vec![
        Group::new("format", formats),
        Group::new("order", [(dot("sq"), "S→Q, solid"), (dot("qs"), "Q→S, dashed")]),
        Group::new("", [(Sample::Bar, format!("± one standard error; {words}"))]),
    ];
    Ok(Figure::new(vec![row], 330.0, legend))
}

fn panel(model: &str, part: &Part, rows: &[Row]) -> Panel {
    let metric = rows.first().map_or("", |row| row.text("metric")).replace('_', " ");
    let patterns = distinct(rows.iter().copied(), "sparsity");
    let mut curves = Vec::new();
    for sparsity in &patterns {
        for format in distinct(rows.iter().copied(), "format") {
            for (order, _) in ORDERS {
                let wanted = [("sparsity", *sparsity), ("format", format), ("order", order)];
                let own: Vec<Row> = rows.iter().filter(|row| row.is(&wanted)).copied().collect();
                let (points, errors) = (part.points)(&own).into_iter().unzip();
                let (colour, dashed) = (style::colour(format), order == "qs");
                let dot = Some(Look::new(Shape::Circle, colour).order(order).radius(3.4));
                curves.push(Curve { colour, dashed, points, errors, dot });
            }
        }
    }
    let heights =
        || curves.iter().flat_map(|c| c.points.iter().map(|p| p.1).chain(c.errors.iter().flat_map(|e| [e.0, e.1])));
    let places = curves.iter().flat_map(|c| c.points.iter().map(|p| p.0));
    Panel {
        title: format!("{model}, {}: {}", patterns.join(", "), part.name),
        x: Axis::new(part.x, Scale::linear(places, 0.04)),
        y: Axis::new(format!("{metric} (lower is better)"), Scale::log(heights(), 1.02)),
        items: curves.into_iter().map(Item::Curve).collect(),
        beyond: String::new(),
    }
}

/// One point a rank.
fn by_rank(rows: &[Row]) -> Vec<Value> {
    let point = |row: &Row| {
        let value = row.number("value");
        let error = interval(row.text("metric"), value, row.number("stderr")).unwrap_or((f64::NAN, f64::NAN));
        ((row.number("linear_bits") / 8192.0, value), error)
    };
    rows.iter().map(point).collect()
}

/// The mean over seeds at each share of the teacher.
fn by_lean(rows: &[Row]) -> Vec<Value> {
    let point = |share: &&str| {
        let own = rows.iter().filter(|row| row.text("distill_percent") == *share);
        let (mean, stderr) = numbers::mean(&own.map(|row| row.number("value")).collect::<Vec<_>>());
        Some(((share.parse().ok()?, mean), (mean - stderr, mean + stderr)))
    };
    distinct(rows.iter().copied(), "distill_percent").iter().filter_map(point).collect()
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
         `figure.svg`: left the metric against what the compressed layers store, one point a rank; right the mean metric over seeds against the lean. Lower is better. What was trained is Burn's own arithmetic, so that its last bits depend on the machine.\n\n\
         *recovered* is the fall of the mean loss against the same point without correction, with the standard error of the paired difference over inputs.\n\n",
    );
    for model in distinct(frame.rows(), "model") {
        let rows = of(frame, "low-rank", model);
        if !rows.is_empty() {
            let _ = writeln!(text, "{}\n{}", gaps(model, &rows), ranks(model, &rows).markdown());
        }
        let rows = of(frame, "distillation", model);
        if !rows.is_empty() {
            let _ = writeln!(text, "{}", shares(model, &rows).markdown());
        }
    }
    Ok(text)
}

/// The answer in plain words: what the correction leaves of the gap, and what the teacher brings.
pub(super) fn summary(frame: &Frame) -> Vec<String> {
    let mut said = Vec::new();
    for model in distinct(frame.rows(), "model") {
        let gaps = gaps(model, &of(frame, "low-rank", model));
        said.extend(gaps.lines().map(|line| line.trim_start_matches("- ").to_owned()));
    }
    said
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
