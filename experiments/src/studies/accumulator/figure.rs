//! The figure: a column of panels a model. What each width costs in accuracy, and where the designs stand in area and energy.

use anyhow::Result;

use super::MORE;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::chart::{Curve, Item, Mark, Panel};
use crate::report::figure::Figure;
use crate::report::front::undominated;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::interval;
use crate::report::scale::{Axis, Scale};
use crate::report::style::{self, INK, Look, SOFT, Shape};
use crate::studies::evaluated;

/// Increases below this many percent, either way, are on a linear scale.
const NEAR: f64 = 1.0;
/// Designs further than this factor above the best metric stand in a strip above the axis.
const TALLEST: f64 = 2.0;

/// One line of a panel: a format, and its rows at the values of the x axis.
type Line<'a> = (&'a str, Vec<(f64, Row<'a>)>);

/// Draws the figure.
pub(super) fn draw(frame: &Frame) -> Result<Figure> {
    frame.expect(&evaluated::needed(&MORE))?;
    let mut rows: [Vec<Panel>; 5] = Default::default();
    for model in distinct(frame.rows(), "model") {
        let own: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        let whole =
            |lines: &[Line]| Scale::whole(lines.iter().flat_map(|(_, points)| points.iter().map(|p| p.0)), 0.04);
        let (accumulators, alignments, (sizes, blocks)) = (accumulators(&own), alignments(&own), blocks(&own));
        rows[0].extend(increases(model, "accumulator, bits", &accumulators, whole(&accumulators)));
        rows[1].extend(increases(model, "alignment, fraction bits kept", &alignments, whole(&alignments)));
        rows[2].extend(increases(model, "elements a block", &blocks, Scale::Names(sizes)));
        let area = "area of all multiply-accumulators, mm²";
        rows[3].extend(scatter(&own, area, |row| row.number("units_mm2")));
        rows[4].extend(scatter(&own, "energy of an input's layers, µJ", |row| row.number("layers_pj") / 1e6));
    }
    let rows = rows.into_iter().filter(|panels| !panels.is_empty()).collect();
    Ok(Figure::new(rows, 280.0, legend(frame)))
}

/// The lines of one dimension: rows that vary nothing else, by format and by the value on the x axis.
pub(super) fn series<'a>(
    rows: &[Row<'a>],
    varies: impl Fn(&Row<'a>) -> bool,
    x: impl Fn(&Row<'a>) -> f64,
) -> Vec<Line<'a>> {
    let formats = distinct(rows.iter().copied(), "base_format");
    let line = |format: &'a str| {
        let of = rows.iter().filter(|row| row.text("base_format") == format && varies(row));
        let mut points: Vec<(f64, Row)> = of.map(|row| (x(row), *row)).filter(|(x, _)| x.is_finite()).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        (format, points)
    };
    formats.into_iter().map(line).filter(|(_, points)| points.len() > 1).collect()
}

/// Whether a row is a design with an accumulator that is varied alone.
pub(super) fn varies_accumulator(row: &Row) -> bool {
    row.is(&[("sum", "accumulated"), ("own_block", "true")])
}

/// Whether a row is a design with an alignment that is varied alone.
pub(super) fn varies_alignment(row: &Row) -> bool {
    row.is(&[("sum", "aligned"), ("own_block", "true")])
}

/// Whether a row is a design with blocks that are varied alone: the accumulator is the widest of `rows`.
pub(super) fn varies_block(rows: &[Row], row: &Row) -> bool {
    let widest = rows.iter().filter(|row| varies_accumulator(row)).map(|row| row.number("bits")).fold(0.0, f64::max);
    row.text("sum") == "accumulated" && row.number("bits") == widest
}

fn accumulators<'a>(rows: &[Row<'a>]) -> Vec<Line<'a>> {
    series(rows, varies_accumulator, |row| row.number("bits"))
}

fn alignments<'a>(rows: &[Row<'a>]) -> Vec<Line<'a>> {
    series(rows, varies_alignment, |row| row.number("bits"))
}

/// Lengths of blocks from short to long, and the lines at their places.
fn blocks<'a>(rows: &[Row<'a>]) -> (Vec<String>, Vec<Line<'a>>) {
    let mut lines = series(rows, |row| varies_block(rows, row), |row| row.number("block"));
    let mut sizes: Vec<f64> = lines.iter().flat_map(|(_, points)| points.iter().map(|p| p.0)).collect();
    sizes.sort_by(f64::total_cmp);
    sizes.dedup();
    for point in lines.iter_mut().flat_map(|(_, points)| points) {
        point.0 = sizes.partition_point(|size| *size < point.0) as f64;
    }
    (sizes.iter().map(f64::to_string).collect(), lines)
}

/// Increase of the metric over the reference design by one dimension, a line a format; none where nothing was varied.
fn increases(model: &str, x_axis: &str, lines: &[Line], x: Scale) -> Option<Panel> {
    let value = |row: &Row| row.number("increase_percent");
    let ends = |row: &Row| {
        let stderr = row.number("increase_stderr");
        if stderr.is_finite() { (value(row) - stderr, value(row) + stderr) } else { (f64::NAN, f64::NAN) }
    };
    let all = || lines.iter().flat_map(|(_, points)| points.iter().map(|(_, row)| row));
    let heights = all().flat_map(|row| [value(row), ends(row).0, ends(row).1]);
    let y = Scale::symlog(heights.filter(|v| v.is_finite()), NEAR, 1.15);
    let mut items = vec![Item::Level(0.0), Item::Level(1.0)];
    items.extend(lines.iter().map(|(format, points)| {
        let colour = style::colour(format);
        Item::Curve(Curve {
            colour,
            dashed: false,
            points: points.iter().map(|(x, row)| (*x, value(row))).collect(),
            errors: points.iter().map(|(_, row)| ends(row)).collect(),
            dot: Some(Look::new(Shape::Circle, colour).radius(3.0)),
        })
    }));
    (!lines.is_empty()).then(|| Panel {
        title: format!("{model}: {x_axis}"),
        x: Axis::new(x_axis, x),
        y: Axis::new("increase of the metric, %", y),
        items,
        beyond: if all().any(|row| !value(row).is_finite()) { "no number" } else { "" }.to_owned(),
    })
}

/// Metric of every design against what it takes, with the front of the two.
fn scatter(rows: &[Row], x_axis: &str, x: impl Fn(&Row) -> f64) -> Option<Panel> {
    let best = rows.iter().map(|row| row.number("value")).fold(f64::INFINITY, f64::min);
    let points: Vec<(&Row, f64, f64)> =
        rows.iter().filter(|row| x(row) > 0.0).map(|row| (row, x(row), row.number("value"))).collect();
    let first = points.first()?.0;
    let metric = first.text("metric").replace('_', " ");
    let on = undominated(&points.iter().map(|p| vec![p.1, p.2]).collect::<Vec<_>>());
    let mut front: Vec<(f64, f64)> = points.iter().zip(&on).filter(|(_, on)| **on).map(|(p, _)| (p.1, p.2)).collect();
    front.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut items =
        vec![Item::Curve(Curve { colour: SOFT, dashed: false, points: front, errors: Vec::new(), dot: None })];
    items.extend(points.iter().zip(&on).map(|((row, x, y), on)| {
        let look = Look::new(shape(row), style::colour(row.text("base_format"))).radius(3.6);
        let error = interval(row.text("metric"), *y, row.number("stderr")).filter(|_| *on);
        Item::Mark(Mark { at: (*x, *y), error, look })
    }));
    let shown = points.iter().map(|p| p.2).filter(|y| *y <= best * TALLEST);
    let above = points.iter().any(|p| p.2.is_nan() || p.2 > best * TALLEST);
    Some(Panel {
        title: format!("{}: {metric}", first.text("model")),
        x: Axis::new(x_axis, Scale::log(points.iter().map(|p| p.1), 1.05)),
        y: Axis::new(format!("{metric} (lower is better)"), Scale::log(shown, 1.05)),
        items,
        beyond: if above { "above" } else { "" }.to_owned(),
    })
}

/// The shape of a design: how it sums, and whether it has blocks of another length.
fn shape(row: &Row) -> Shape {
    match (row.text("sum"), row.text("own_block")) {
        ("aligned", _) => Shape::Triangle,
        (_, "true") => Shape::Circle,
        _ => Shape::Square,
    }
}

fn legend(frame: &Frame) -> Vec<Group> {
    let mark = |shape| Sample::Mark(Look::new(shape, INK));
    let colour = |format: &str| Sample::Mark(Look::new(Shape::Circle, style::colour(format)));
    vec![
        Group::new("format", distinct(frame.rows(), "base_format").into_iter().map(|f| (colour(f), f))),
        Group::new(
            "varied (area, energy)",
            [
                (mark(Shape::Circle), "accumulator"),
                (mark(Shape::Square), "block"),
                (mark(Shape::Triangle), "alignment"),
            ],
        ),
        Group::new(
            "lines",
            [
                (Sample::Line(SOFT), "Pareto front"),
                (Sample::Dashed(SOFT), "0 and 1 % increase"),
                (Sample::Bar, "± one standard error (area, energy: of the front alone)"),
            ],
        ),
        Group::new(
            "",
            [(
                Sample::Nothing,
                "increases: about linear within ±1 %, logarithmic beyond; strip above a broken axis: over twice the best",
            )],
        ),
    ]
}
