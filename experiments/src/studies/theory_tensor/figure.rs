//! How near Q→S comes to the bounds of theorem 3.7, and how often it exceeds the sum at all: one line a recipe.

use anyhow::{Result, anyhow};
use interplay_formats::math;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::frame::COLUMNS;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::figure::Log;
use crate::report::style::{self, Area, Error, FONT, GRID, INK, Marker};

/// Pixels of a line.
const LINE: u32 = 17;
const HEAD: u32 = 44;
const FOOT: u32 = 48;
const NAMES: u32 = 200;
const PANEL: u32 = 460;
const LEGEND: u32 = 200;
/// The left end of the axis of shares: one block among all that a recipe sees by default is more.
const LEAST: f64 = 1e-5;

/// One colour a source, in order of appearance.
const COLOURS: [RGBColor; 7] = [
    RGBColor(52, 132, 216),
    RGBColor(0, 140, 90),
    RGBColor(40, 44, 52),
    RGBColor(226, 110, 30),
    RGBColor(158, 70, 190),
    RGBColor(190, 30, 60),
    RGBColor(150, 150, 60),
];

/// What one source says of one recipe, over all patterns.
struct Mark {
    line: usize,
    colour: RGBColor,
    tightness: f64,
    paper: f64,
    share: f64,
}

pub(super) fn draw(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let rows: Vec<Row> = frame.rows().filter(|row| row.number("bounded_blocks") > 0.0).collect();
    let (formats, sources) = (distinct(rows.iter().copied(), "format"), distinct(rows.iter().copied(), "source"));
    let unclaimed: Vec<bool> = formats.iter().map(|format| !claimed(&rows, format)).collect();
    let marks = marks(&rows, &formats, &sources);
    let (width, height) = (NAMES + 2 * PANEL + LEGEND, HEAD + FOOT + LINE * formats.len().max(6) as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        let (left, rest) = root.split_horizontally(NAMES + PANEL);
        let (right, side) = rest.split_horizontally(PANEL);
        tightness(&left, &formats, &unclaimed, &marks).map_err(|e| anyhow!("{e}"))?;
        shares(&right, formats.len(), &marks).map_err(|e| anyhow!("{e}"))?;
        legend(&side, &sources).map_err(|e| anyhow!("{e}"))?;
        root.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

/// Whether theorem 3.5 is claimed for a recipe under any pattern.
fn claimed(rows: &[Row], format: &str) -> bool {
    rows.iter().any(|row| row.is(&[("format", format), ("reason", "")]))
}

fn colour(source: usize) -> RGBColor {
    COLOURS[source % COLOURS.len()]
}

fn marks(rows: &[Row], formats: &[&str], sources: &[&str]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (line, format) in formats.iter().enumerate() {
        for (place, source) in sources.iter().enumerate() {
            let own = || rows.iter().filter(|row| row.is(&[("format", format), ("source", source)]));
            let largest = |column: &str| own().map(|row| row.number(column)).fold(0.0, f64::max);
            let sum = |column: &str| own().map(|row| row.number(column)).sum::<f64>();
            // Where nothing exceeds there is nothing to draw.
            if sum("exceeding") > 0.0 {
                marks.push(Mark {
                    line,
                    colour: colour(place),
                    tightness: largest("tightness"),
                    paper: largest("paper_tightness"),
                    share: sum("exceeding") / sum("bounded_blocks"),
                });
            }
        }
    }
    marks
}

fn tightness(area: &Area<'_>, formats: &[&str], unclaimed: &[bool], marks: &[Mark]) -> Result<(), Error> {
    let lines = formats.len().max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption("largest excess of Q→S over the sum / its bound", (FONT, 17).into_font().color(&INK))
        .margin_right(12)
        .x_label_area_size(FOOT)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(0.0..1.04, lines..0.0)?;
    stripes(&chart, lines, (0.0, 1.04))?;
    style::mesh(&mut chart)
        .disable_y_mesh()
        .y_labels(0)
        .x_desc("1: the bound is reached")
        .x_label_formatter(&|v| format!("{v:.1}"))
        .draw()?;
    for mark in marks {
        let y = mark.line as f64 + 0.5;
        chart.plotting_area().draw(&small((mark.paper, y), mark.colour, false))?;
        chart.plotting_area().draw(&small((mark.tightness, y), mark.colour, true))?;
    }
    let right = style::text(13).pos(Pos::new(HPos::Right, VPos::Center));
    for (line, (format, unclaimed)) in formats.iter().zip(unclaimed).enumerate() {
        let (x, y) = chart.plotting_area().map_coordinate(&(0.0, line as f64 + 0.5));
        let name = format!("{format}{}", if *unclaimed { " *" } else { "" });
        let (left, top) = area.get_base_pixel();
        area.draw_text(&name, &right, (x - left - 8, y - top))?;
    }
    Ok(())
}

fn shares(area: &Area<'_>, lines: usize, marks: &[Mark]) -> Result<(), Error> {
    let lines = lines.max(1) as f64;
    let mut chart = ChartBuilder::on(area)
        .caption("share of blocks whose error exceeds the sum", (FONT, 17).into_font().color(&INK))
        .margin_right(16)
        .margin_left(16)
        .x_label_area_size(FOOT)
        .build_cartesian_2d(Log::new(LEAST, 1.0), lines..0.0)?;
    stripes(&chart, lines, (LEAST, 1.0))?;
    style::mesh(&mut chart)
        .disable_y_mesh()
        .y_labels(0)
        .x_labels(6)
        .x_desc("by Q→S, both tie orders; no mark: none")
        .x_label_formatter(&|v: &f64| match math::log10(*v) {
            power if (power - power.round()).abs() < 1e-9 => format!("{v:e}"),
            _ => String::new(),
        })
        .draw()?;
    for mark in marks {
        let at = (mark.share.max(LEAST), mark.line as f64 + 0.5);
        chart.plotting_area().draw(&small(at, mark.colour, true))?;
    }
    Ok(())
}

/// Every other line in grey.
fn stripes<X: Ranged<ValueType = f64>>(
    chart: &ChartContext<'_, SVGBackend<'_>, Cartesian2d<X, plotters::coord::types::RangedCoordf64>>,
    lines: f64,
    ends: (f64, f64),
) -> Result<(), Error> {
    for line in (0..lines as usize).step_by(2) {
        let band = [(ends.0, line as f64), (ends.1, line as f64 + 1.0)];
        chart.plotting_area().draw(&Rectangle::new(band, GRID.mix(0.45).filled()))?;
    }
    Ok(())
}

/// A dot that leaves room for its neighbours.
fn small(at: (f64, f64), colour: RGBColor, filled: bool) -> Circle<(f64, f64), i32> {
    Circle::new(at, 4, if filled { colour.mix(0.8).filled() } else { colour.stroke_width(1) })
}

fn legend(area: &Area<'_>, sources: &[&str]) -> Result<(), Error> {
    let mut y = 58;
    let mut line = |mark: Option<(RGBColor, bool)>, label: &str| -> Result<(), Error> {
        if let Some((colour, filled)) = mark {
            area.draw(&Marker::Circle.draw((14, y), colour, filled))?;
        }
        area.draw_text(label, &style::text(14), (if mark.is_some() { 28 } else { 4 }, y - 8))?;
        y += 22;
        Ok(())
    };
    line(None, "blocks")?;
    for (place, source) in sources.iter().enumerate() {
        line(Some((colour(place), true)), source)?;
    }
    line(None, "bound")?;
    line(Some((INK, true)), "tight: step/2 a swap")?;
    line(Some((INK, false)), "the paper's")?;
    line(None, "* theorem 3.5 not")?;
    line(None, "   claimed by the record")
}
