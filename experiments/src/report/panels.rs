//! A grid of line charts with one legend beside it.

use anyhow::{Result, anyhow};
use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

use crate::report::figure::{Log, bounds, short};
use crate::report::style::{self, Area, Error, FONT, INK};

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Its colour.
    pub colour: RGBColor,
    /// Whether it is dashed.
    pub dashed: bool,
    /// (x, y); on a logarithmic axis only positive ones are drawn.
    pub points: Vec<(f64, f64)>,
}

/// One chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Panel {
    /// What stands above; empty for nothing.
    pub title: String,
    /// The name of the x axis.
    pub x: String,
    /// The name of the y axis.
    pub y: String,
    /// Whether the y axis is logarithmic.
    pub logarithmic: bool,
    /// The lines.
    pub curves: Vec<Curve>,
}

/// One line of the legend: a colour, or text alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The colour of the sample; none for text alone.
    pub colour: Option<RGBColor>,
    /// The text.
    pub text: String,
}

impl Entry {
    /// A line of that colour.
    pub fn line(colour: RGBColor, text: impl Into<String>) -> Self {
        Self { colour: Some(colour), text: text.into() }
    }

    /// Text alone.
    pub fn text(text: impl Into<String>) -> Self {
        Self { colour: None, text: text.into() }
    }
}

const PANEL: (u32, u32) = (600, 290);
const LEGEND_WIDTH: u32 = 170;

/// Draws `rows` of panels, each row with as many.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub fn figure(rows: &[Vec<Panel>], legend: &[Entry]) -> Result<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let width = PANEL.0 * columns as u32 + LEGEND_WIDTH;
    let mut svg = String::new();
    {
        let size = (width, PANEL.1 * rows.len().max(1) as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        let (panels, side) = root.split_horizontally(width - LEGEND_WIDTH);
        let areas = panels.split_evenly((rows.len().max(1), columns));
        for (row, areas) in rows.iter().zip(areas.chunks(columns)) {
            for (panel, area) in row.iter().zip(areas) {
                draw(area, panel).map_err(|e| anyhow!("{e}"))?;
            }
        }
        draw_legend(&side, legend).map_err(|e| anyhow!("{e}"))?;
        root.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

fn draw(area: &Area<'_>, panel: &Panel) -> Result<(), Error> {
    let points = || panel.curves.iter().flat_map(|curve| curve.points.iter().copied());
    let (left, right) = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, r), p| (l.min(p.0), r.max(p.0)));
    let (left, right) = if left < right { (left, right) } else { (0.0, 1.0) };
    let mut builder = ChartBuilder::on(area);
    if !panel.title.is_empty() {
        builder.caption(&panel.title, (FONT, 18).into_font().color(&INK));
    }
    builder.margin(12).x_label_area_size(42).y_label_area_size(68);
    if panel.logarithmic {
        let (low, high) = bounds(points().map(|p| p.1), 1.2);
        return lines(builder.build_cartesian_2d(left..right, Log::new(low, high))?, panel);
    }
    let finite = points().map(|p| p.1).filter(|y| y.is_finite());
    let (low, high) = finite.fold((0.0_f64, 0.0_f64), |(low, high), y| (low.min(y), high.max(y)));
    let pad = ((high - low) * 0.08).max(1e-3);
    let mut chart = builder.build_cartesian_2d(left..right, low - pad..high + pad)?;
    chart.draw_series(LineSeries::new([(left, 0.0), (right, 0.0)], INK.mix(0.6).stroke_width(1)))?;
    lines(chart, panel)
}

/// The axes and the lines.
fn lines<Y>(
    mut chart: ChartContext<'_, SVGBackend<'_>, Cartesian2d<plotters::coord::types::RangedCoordf64, Y>>,
    panel: &Panel,
) -> Result<(), Error>
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    // A tick between two whole numbers, as of layers, would be labelled with one of them.
    let whole = |x: &f64| if x.fract().abs() < 1e-9 { format!("{x:.0}") } else { String::new() };
    style::mesh(&mut chart)
        .x_desc(panel.x.as_str())
        .y_desc(panel.y.as_str())
        .x_label_formatter(&whole)
        .y_label_formatter(&short)
        .draw()?;
    for curve in &panel.curves {
        let drawn = curve.points.iter().copied().filter(|p| p.1.is_finite() && (p.1 > 0.0 || !panel.logarithmic));
        let style = curve.colour.stroke_width(2);
        if curve.dashed {
            chart.draw_series(DashedLineSeries::new(drawn, 6, 4, style))?;
        } else {
            chart.draw_series(LineSeries::new(drawn.clone(), style))?;
            chart.draw_series(drawn.map(|at| Circle::new(at, 2, curve.colour.filled())))?;
        }
    }
    Ok(())
}

fn draw_legend(area: &Area<'_>, entries: &[Entry]) -> Result<(), Error> {
    for (i, entry) in entries.iter().enumerate() {
        let y = 52 + 22 * i as i32;
        if let Some(colour) = entry.colour {
            area.draw(&PathElement::new([(6, y), (26, y)], colour.stroke_width(3)))?;
        }
        area.draw_text(&entry.text, &style::text(14), (if entry.colour.is_some() { 34 } else { 6 }, y - 8))?;
    }
    Ok(())
}
