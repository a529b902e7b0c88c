//! Size of the whole model against perplexity: colour by pruner, shape by order, with the Pareto front.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::bench::Measured;
use super::entries::{NONE, PRUNERS};
use super::run::Model;
use crate::report::figure::{Log, bounds, short};
use crate::report::style::{self, FONT, FRONT, INK, Marker};
use crate::result::Cell;

const PANEL: (u32, u32) = (860, 600);
const LEGEND_WIDTH: u32 = 170;
/// Points further than this factor above the best perplexity are drawn at the upper edge.
const TALLEST: f64 = 3.0;
/// The width on the logarithmic axis over which marks of one size are spread.
const SPREAD: f64 = 0.07;

/// One colour a pruner, in the order of [`PRUNERS`]; the first is that of no pruner.
const COLOURS: [RGBColor; 9] = [
    RGBColor(30, 34, 40),
    RGBColor(150, 156, 166),
    RGBColor(16, 92, 178),
    RGBColor(70, 170, 220),
    RGBColor(0, 140, 90),
    RGBColor(160, 190, 40),
    RGBColor(214, 90, 20),
    RGBColor(240, 170, 40),
    RGBColor(140, 60, 170),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Error = DrawingAreaErrorKind<std::io::Error>;

/// Draws one panel a model.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub(super) fn draw(models: &[Model]) -> Result<String> {
    let width = PANEL.0 * models.len().max(1) as u32 + LEGEND_WIDTH;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, PANEL.1)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        let (panels, side) = root.split_horizontally(width - LEGEND_WIDTH);
        for (area, model) in panels.split_evenly((1, models.len().max(1))).iter().zip(models) {
            panel(area, model).map_err(|e| anyhow!("{e}"))?;
        }
        legend(&side).map_err(|e| anyhow!("{e}"))?;
        root.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

/// The place of a pruner among the colours; what is no pruner of the table has none.
fn hue(cell: &Cell) -> Option<usize> {
    let name = &cell.compression.as_ref()?.pruner;
    if name == NONE { Some(0) } else { PRUNERS.iter().position(|p| p.name == *name).map(|at| at + 1) }
}

fn marker(order: &str) -> Marker {
    match order {
        "sq" => Marker::Triangle,
        "qs" => Marker::Down,
        "joint" => Marker::Diamond,
        _ => Marker::Circle,
    }
}

/// Whether rounding was more than to the nearest value.
fn filled(cell: &Cell) -> bool {
    cell.compression.as_ref().is_none_or(|c| c.quantiser != "rtn")
}

fn kib(cell: &Cell) -> f64 {
    cell.footprint_bits.total as f64 / 8192.0
}

fn panel(area: &Area<'_>, model: &Model) -> Result<(), Error> {
    let cells: Vec<(&Cell, usize)> = model.cells.iter().filter_map(|m| Some((&m.cell, hue(&m.cell)?))).collect();
    let Some((first, _)) = cells.first() else { return Ok(()) };
    let best = cells.iter().map(|(c, _)| c.metric.value).fold(f64::INFINITY, f64::min);
    let y = |c: &Cell| if c.metric.value.is_finite() { c.metric.value.min(best * TALLEST) } else { best * TALLEST };
    let (x_low, x_high) = bounds(cells.iter().map(|(c, _)| kib(c)), 1.15);
    let (y_low, y_high) = bounds(cells.iter().map(|(c, _)| y(c)), 1.05);
    let title = format!("{}: perplexity on {} by method, order and size", first.model, first.data);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(Log::new(x_low, x_high), Log::new(y_low, y_high))?;
    style::mesh(&mut chart)
        .x_desc("whole model, KiB (compressed layers, and everything else as it is)")
        .y_desc("perplexity (lower is better)")
        .x_label_formatter(&short)
        .y_label_formatter(&short)
        .draw()?;
    chart.draw_series(LineSeries::new(front(&model.cells), FRONT.stroke_width(2)))?;
    let fp32 = first.fp32.value;
    chart.draw_series(DashedLineSeries::new([(x_low, fp32), (x_high, fp32)], 4, 4, INK.mix(0.5).stroke_width(1)))?;
    for (cell, hue) in cells {
        let aside = hue as f64 / COLOURS.len() as f64 - 0.5;
        let at = (kib(cell) * (SPREAD * aside).exp(), y(cell));
        chart.plotting_area().draw(&marker(&cell.order).draw(at, COLOURS[hue], filled(cell)))?;
    }
    Ok(())
}

/// The steps of the cells that no other beats in both size and perplexity.
fn front(cells: &[Measured]) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = cells.iter().map(|m| (kib(&m.cell), m.cell.metric.value)).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut best = f64::INFINITY;
    points.retain(|p| {
        p.1 < best && {
            best = p.1;
            true
        }
    });
    points
}

fn legend(area: &Area<'_>) -> Result<(), Error> {
    let mut y = 52;
    let mut line = |mark: Option<(Marker, RGBColor, bool)>, label: &str| -> Result<(), Error> {
        if let Some((marker, colour, filled)) = mark {
            area.draw(&marker.draw((14, y), colour, filled))?;
        }
        area.draw_text(label, &style::text(14), (if mark.is_some() { 28 } else { 4 }, y - 8))?;
        y += 22;
        Ok(())
    };
    line(None, "pruned by")?;
    let names = ["nobody"].into_iter().chain(PRUNERS.iter().map(|p| p.name));
    for (name, colour) in names.zip(COLOURS) {
        line(Some((Marker::Circle, colour, true)), name)?;
    }
    line(None, "order")?;
    for (order, label) in [("none", "one step, or none"), ("sq", "S→Q"), ("qs", "Q→S"), ("joint", "joint")] {
        line(Some((marker(order), INK, true)), label)?;
    }
    line(None, "rounding")?;
    line(Some((Marker::Circle, INK, true)), "GPTQ, AWQ, or none")?;
    line(Some((Marker::Circle, INK, false)), "to nearest")?;
    line(None, "grey: Pareto front")?;
    line(None, "dashed: FP32 dense")
}
