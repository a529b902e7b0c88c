//! The figure: a row of panels a model. What each width costs in accuracy, and where the designs stand in area and energy.

use anyhow::{Result, anyhow};
use interplay_formats::math;
use plotters::prelude::*;

use super::MORE;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::figure::{Log, bounds, short};
use crate::report::front::undominated;
use crate::report::numbers::number;
use crate::report::style::{self, Area, Error, FONT, FRONT, INK, Marker};
use crate::studies::evaluated::COLUMNS;

const PANEL: (u32, u32) = (400, 380);
const LEGEND_WIDTH: u32 = 170;
/// Increases below this many percent, and decreases, are drawn at the lower edge.
const LEAST: f64 = 0.01;
/// Increases above this many percent are drawn at the upper edge.
const MOST: f64 = 1000.0;
/// Designs further than this factor above the best metric are not drawn: nobody builds them.
const TALLEST: f64 = 2.0;

/// One line of a panel: a format, and increases in percent at the values of the x axis.
type Line<'a> = (&'a str, Vec<(f64, f64)>);

/// Draws the figure.
pub(super) fn draw(frame: &Frame) -> Result<String> {
    frame.expect(&[&COLUMNS[..], &MORE].concat())?;
    let models = distinct(frame.rows(), "model");
    let size = (PANEL.0 * 5 + LEGEND_WIDTH, PANEL.1 * models.len().max(1) as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = || -> Result<(), Error> {
            root.fill(&WHITE)?;
            let (panels, area) = root.split_horizontally(size.0 - LEGEND_WIDTH);
            let panels = panels.split_evenly((models.len().max(1), 5));
            for (areas, model) in panels.chunks(5).zip(&models) {
                let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == *model).collect();
                let [accumulator, alignment, block, area, energy] = areas else { continue };
                lines(accumulator, model, "accumulator, bits", &accumulators(&rows), whole)?;
                lines(alignment, model, "alignment, fraction bits kept", &alignments(&rows), whole)?;
                lines(block, model, "elements a block", &blocks(&rows), power)?;
                scatter(area, &rows, "area of all multiply-accumulators, mm2", |row| row.number("units_mm2"))?;
                scatter(energy, &rows, "energy of an input's layers, uJ", |row| row.number("layers_pj") / 1e6)?;
            }
            legend(&area, frame)?;
            root.present()
        };
        drawn().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

/// The lines of one dimension: rows that vary nothing else, by format and by the value on the x axis.
pub(super) fn series<'a>(
    rows: &[Row<'a>],
    varies: impl Fn(&Row<'a>) -> bool,
    x: impl Fn(&Row<'a>) -> f64,
) -> Vec<(&'a str, Vec<(f64, Row<'a>)>)> {
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
    increases(series(rows, varies_accumulator, |row| row.number("bits")))
}

fn alignments<'a>(rows: &[Row<'a>]) -> Vec<Line<'a>> {
    increases(series(rows, varies_alignment, |row| row.number("bits")))
}

fn blocks<'a>(rows: &[Row<'a>]) -> Vec<Line<'a>> {
    increases(series(rows, |row| varies_block(rows, row), |row| math::log2(row.number("block"))))
}

fn increases<'a>(series: Vec<(&'a str, Vec<(f64, Row<'a>)>)>) -> Vec<Line<'a>> {
    let increase = |(x, row): (f64, Row)| (x, row.number("increase_percent"));
    series.into_iter().map(|(format, points)| (format, points.into_iter().map(increase).collect())).collect()
}

/// A whole number.
fn whole(x: &f64) -> String {
    format!("{x:.0}")
}

/// The power of two of a whole number; nothing at places between.
fn power(x: &f64) -> String {
    if x.fract() == 0.0 { format!("{:.0}", math::exp2(*x)) } else { String::new() }
}

/// Increase of the metric over the reference design by one dimension, a line a format.
fn lines(area: &Area<'_>, model: &str, x_axis: &str, lines: &[Line], label: fn(&f64) -> String) -> Result<(), Error> {
    let all = || lines.iter().flat_map(|(_, points)| points);
    let (low, high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (x, _)| (l.min(*x), h.max(*x)));
    if low >= high {
        return area.draw_text(&format!("{model}: no {x_axis} varied"), &style::text(14), (30, 30));
    }
    let height = |y: f64| if y.is_nan() { MOST } else { y.clamp(LEAST, MOST) };
    let top = all().map(|(_, y)| height(*y)).fold(10.0, f64::max) * 1.5;
    let margin = (high - low) * 0.04;
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{model}: {x_axis}"), (FONT, 17).into_font().color(&INK))
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(low - margin..high + margin, Log::new(LEAST / 1.3, top))?;
    style::mesh(&mut chart)
        .x_desc(x_axis)
        .y_desc("increase of the metric, %")
        .x_label_formatter(&label)
        .y_label_formatter(&short)
        .draw()?;
    let one_percent = DashedLineSeries::new([(low - margin, 1.0), (high + margin, 1.0)], 4, 4, INK.mix(0.5).into());
    chart.draw_series(one_percent)?;
    for (format, points) in lines {
        let colour = style::colour(format);
        let line = points.iter().map(|(x, y)| (*x, height(*y)));
        chart.draw_series(LineSeries::new(line, colour.stroke_width(2)))?;
        for (x, y) in points {
            let inside = (LEAST..=MOST).contains(y);
            chart.plotting_area().draw(&Marker::Circle.draw((*x, height(*y)), colour, inside))?;
        }
    }
    Ok(())
}

/// Metric of every design against what it takes, with the front of the two.
fn scatter(area: &Area<'_>, rows: &[Row], x_axis: &str, x: impl Fn(&Row) -> f64) -> Result<(), Error> {
    let best = rows.iter().map(|row| row.number("value")).fold(f64::INFINITY, f64::min);
    let shown = |row: &&Row| row.number("value") <= best * TALLEST && x(row) > 0.0;
    let points: Vec<(&Row, f64, f64)> =
        rows.iter().filter(shown).map(|row| (row, x(row), row.number("value"))).collect();
    let Some(&(first, ..)) = points.first() else { return Ok(()) };
    let (x_low, x_high) = bounds(points.iter().map(|p| p.1), 1.05);
    let (y_low, y_high) = bounds(points.iter().map(|p| p.2), 1.03);
    let metric = first.text("metric").replace('_', " ");
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: {}", first.text("model"), metric), (FONT, 17).into_font().color(&INK))
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(58)
        .build_cartesian_2d(Log::new(x_low, x_high), Log::new(y_low, y_high))?;
    style::mesh(&mut chart)
        .x_desc(x_axis)
        .y_desc(format!("{metric} (lower is better)"))
        .x_label_formatter(&short)
        .y_label_formatter(&|value| number(*value))
        .draw()?;
    let on = undominated(&points.iter().map(|p| vec![p.1, p.2]).collect::<Vec<_>>());
    let mut front: Vec<(f64, f64)> = points.iter().zip(on).filter(|(_, on)| *on).map(|(p, _)| (p.1, p.2)).collect();
    front.sort_by(|a, b| a.0.total_cmp(&b.0));
    chart.draw_series(LineSeries::new(front, FRONT.stroke_width(2)))?;
    for (row, x, y) in points {
        chart.plotting_area().draw(&shape(row).draw((x, y), style::colour(row.text("base_format")), true))?;
    }
    Ok(())
}

/// The marker of a design: how it sums, and whether it has blocks of another length.
fn shape(row: &Row) -> Marker {
    match (row.text("sum"), row.text("own_block")) {
        ("aligned", _) => Marker::Triangle,
        (_, "true") => Marker::Circle,
        _ => Marker::Square,
    }
}

fn legend(area: &Area<'_>, frame: &Frame) -> Result<(), Error> {
    let mut y = 50;
    let mut line = |mark: Option<(Marker, RGBColor, bool)>, label: &str| -> Result<(), Error> {
        if let Some((marker, colour, filled)) = mark {
            area.draw(&marker.draw((14, y), colour, filled))?;
        }
        area.draw_text(label, &style::text(14), (if mark.is_some() { 28 } else { 4 }, y - 8))?;
        y += 22;
        Ok(())
    };
    for format in distinct(frame.rows(), "base_format") {
        line(Some((Marker::Circle, style::colour(format), true)), format)?;
    }
    line(Some((Marker::Circle, INK, false)), "beyond the axis")?;
    line(None, "dashed: 1 %")?;
    line(None, "right two panels:")?;
    line(Some((Marker::Circle, INK, true)), "accumulator varied")?;
    line(Some((Marker::Square, INK, true)), "blocks varied")?;
    line(Some((Marker::Triangle, INK, true)), "alignment varied")?;
    line(None, "grey: Pareto front")
}
