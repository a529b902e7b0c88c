//! Perplexity by the size of the whole model, one band a size: colour and place by pruner, shape by order, with the Pareto front.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::entries::{NONE, PRUNERS};
use super::run::Model;
use crate::report::figure::{Log, bounds, short};
use crate::report::style::{self, Area, Error, FONT, FRONT, GRID, INK, Marker};
use crate::result::Cell;

const PANEL: (u32, u32) = (1180, 620);
const LEGEND_WIDTH: u32 = 170;
/// Points further than this factor above the best perplexity are drawn at the upper edge.
const TALLEST: f64 = 3.0;

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

/// Cells of one size, or nearly: the same format, stored so, and the same pattern.
struct Group {
    label: String,
    /// KiB of the whole model, of its smallest cell.
    kib: f64,
    /// Perplexity, pruner's place, the cell.
    cells: Vec<(f64, usize, Cell)>,
}

/// The groups by size.
fn groups(model: &Model) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for (m, hue) in model.cells.iter().filter_map(|m| Some((m, hue(&m.cell)?))) {
        let (cell, kib) = (m.cell.clone(), m.cell.footprint_bits.total as f64 / 8192.0);
        let label = format!("{} {}", if m.off_grid() { "fp32" } else { &cell.format }, cell.sparsity);
        let one = (cell.metric.value, hue, cell);
        match groups.iter_mut().find(|group| group.label == label) {
            Some(group) => {
                group.kib = group.kib.min(kib);
                group.cells.push(one);
            }
            None => groups.push(Group { label, kib, cells: vec![one] }),
        }
    }
    groups.sort_by(|a, b| a.kib.total_cmp(&b.kib));
    groups
}

fn panel(area: &Area<'_>, model: &Model) -> Result<(), Error> {
    let groups = groups(model);
    let all = || groups.iter().flat_map(|group| &group.cells);
    let Some((_, _, first)) = all().next() else { return Ok(()) };
    let best = all().map(|(value, ..)| *value).fold(f64::INFINITY, f64::min);
    let y = |value: f64| if value.is_finite() { value.min(best * TALLEST) } else { best * TALLEST };
    let (low, high) = bounds(all().map(|(value, ..)| y(*value)), 1.03);
    let title = format!("{}: perplexity on {} by size, method and order", first.model, first.data);
    let right = groups.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(64)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..right, Log::new(low, high))?;
    for at in (0..groups.len()).step_by(2) {
        let band = [(at as f64, low), (at as f64 + 1.0, high)];
        chart.plotting_area().draw(&Rectangle::new(band, GRID.mix(0.35).filled()))?;
    }
    style::mesh(&mut chart)
        .disable_x_mesh()
        .x_labels(0)
        .y_desc("perplexity (lower is better)")
        .y_label_formatter(&short)
        .draw()?;
    let fp32 = first.fp32.value;
    chart.draw_series(DashedLineSeries::new([(0.0, fp32), (right, fp32)], 4, 4, INK.mix(0.5).stroke_width(1)))?;
    chart.draw_series(LineSeries::new(front(&groups), FRONT.stroke_width(2)))?;
    for (at, group) in groups.iter().enumerate() {
        for (value, hue, cell) in &group.cells {
            let place = (at as f64 + (*hue as f64 + 1.0) / (COLOURS.len() as f64 + 1.0), y(*value));
            chart.plotting_area().draw(&marker(&cell.order).draw(place, COLOURS[*hue], filled(cell)))?;
        }
    }
    for (at, group) in groups.iter().enumerate() {
        let (x, bottom) = chart.plotting_area().map_coordinate(&(at as f64 + 0.5, low));
        let (left, top) = area.get_base_pixel();
        let centred = |size| style::text(size).pos(Pos::new(HPos::Center, VPos::Top));
        area.draw_text(&group.label, &centred(13), (x - left, bottom - top + 8))?;
        area.draw_text(&format!("{:.0} KiB", group.kib), &centred(13), (x - left, bottom - top + 26))?;
    }
    Ok(())
}

/// The best perplexity of each group that no smaller one reaches, as steps from group to group.
fn front(groups: &[Group]) -> Vec<(f64, f64)> {
    let mut best = f64::INFINITY;
    let mut steps = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let least = group.cells.iter().map(|(value, ..)| *value).fold(f64::INFINITY, f64::min);
        if least < best {
            steps.extend(best.is_finite().then_some((at as f64, best)));
            steps.push((at as f64, least));
            best = least;
        }
    }
    steps.extend(best.is_finite().then_some((groups.len() as f64, best)));
    steps
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
