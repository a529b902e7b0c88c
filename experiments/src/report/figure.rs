//! Footprint against accuracy, one panel a model, with the Pareto front.

use anyhow::{Result, anyhow};
use interplay_formats::math;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::engine::frame::Row;
use crate::report::style::{self, Area, Error, FONT, FRONT, INK, Marker};

const PANEL: (u32, u32) = (620, 560);
/// The width that [`draw_legend`] needs.
pub const LEGEND_WIDTH: u32 = 150;
/// Points further than this factor above the best metric are drawn at the upper edge: nobody ships them.
const TALLEST: f64 = 30.0;

/// The x axis of stored sizes.
pub const STORED: &str = "compressed layers, KiB (values, scales, metadata)";

/// One point of the figure: a configuration of a model with what it takes and how well it does.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The model.
    pub model: String,
    /// The data.
    pub data: String,
    /// The metric's name; lower is better.
    pub metric: String,
    /// The format.
    pub format: String,
    /// The sparsity pattern.
    pub sparsity: String,
    /// `sq`, `qs` or `none`.
    pub order: String,
    /// The machine, where marks of several are in one panel: each has a front of its own.
    pub machine: String,
    /// Whether the mark is drawn faintly.
    pub faint: bool,
    /// Where it stands on the x axis.
    pub x: f64,
    /// The metric.
    pub value: f64,
    /// The same of the dense FP32 model.
    pub fp32: f64,
}

impl Mark {
    /// The mark of a row of evaluated cells, at the stored KiB of its compressed layers.
    pub fn of(row: Row<'_>) -> Self {
        let text = |column: &str| row.text(column).to_owned();
        Self {
            model: text("model"),
            data: text("data"),
            metric: text("metric"),
            format: text("format"),
            sparsity: text("sparsity"),
            order: text("order"),
            machine: String::new(),
            faint: false,
            x: ["values_bits", "scales_bits", "metadata_bits"].map(|c| row.number(c)).iter().sum::<f64>() / 8192.0,
            value: row.number("value"),
            fp32: row.number("fp32_value"),
        }
    }
}

/// Draws one panel a model. The x axis is the stored size of the compressed layers in KiB, the y axis the metric (lower is
/// better), both logarithmic.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub fn pareto(cells: &[Mark]) -> Result<String> {
    let models = models(cells);
    let width = PANEL.0 * models.len().max(1) as u32 + LEGEND_WIDTH;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, PANEL.1)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        let (panels, legend) = root.split_horizontally(width - LEGEND_WIDTH);
        for (area, model) in panels.split_evenly((1, models.len().max(1))).iter().zip(&models) {
            let of_model: Vec<&Mark> = cells.iter().filter(|c| &c.model == model).collect();
            panel(area, &of_model, STORED).map_err(|e| anyhow!("{e}"))?;
        }
        draw_legend(&legend, cells).map_err(|e| anyhow!("{e}"))?;
        root.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

/// The models in order of appearance.
pub fn models(cells: &[Mark]) -> Vec<String> {
    in_order(cells.iter().map(|c| c.model.clone()))
}

/// Distinct values in order of appearance.
pub fn in_order(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = Vec::new();
    for v in values {
        if !seen.contains(&v) {
            seen.push(v);
        }
    }
    seen
}

/// The cells that no other cell beats in both size and metric, by size.
pub fn front<'a>(cells: &[&'a Mark]) -> Vec<&'a Mark> {
    let mut sorted: Vec<&Mark> = cells.iter().copied().filter(|c| c.value.is_finite()).collect();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.value.total_cmp(&b.value)));
    let mut best = f64::INFINITY;
    sorted.retain(|c| {
        c.value < best && {
            best = c.value;
            true
        }
    });
    sorted
}

/// One panel of one model: marks, the front of x and metric, and the metric of dense FP32.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub fn panel(area: &Area<'_>, cells: &[&Mark], x_axis: &str) -> Result<(), Error> {
    let Some(first) = cells.first() else { return Ok(()) };
    let best = cells.iter().map(|c| c.value).fold(f64::INFINITY, f64::min);
    let ceiling = best * TALLEST;
    let y = |c: &Mark| if c.value.is_finite() { c.value.min(ceiling) } else { ceiling };
    let (x_low, x_high) = bounds(cells.iter().map(|c| c.x), 1.15);
    let (y_low, y_high) = bounds(cells.iter().map(|c| y(c)), 1.08);
    let title = format!("{}: {} on {}", first.model, first.metric.replace('_', " "), first.data);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(64)
        .build_cartesian_2d(Log::new(x_low, x_high), Log::new(y_low, y_high))?;
    style::mesh(&mut chart)
        .x_desc(x_axis)
        .y_desc(format!("{} (lower is better)", first.metric.replace('_', " ")))
        .x_label_formatter(&short)
        .y_label_formatter(&short)
        .draw()?;
    let mut labels: Vec<(String, (i32, i32))> = Vec::new();
    for machine in in_order(cells.iter().map(|c| c.machine.clone())) {
        let of: Vec<&Mark> = cells.iter().copied().filter(|c| c.machine == machine).collect();
        let steps: Vec<(f64, f64)> = front(&of).into_iter().map(|c| (c.x, y(c))).collect();
        if let Some(first) = steps.first()
            && !machine.is_empty()
        {
            let (x, mut y) = chart.plotting_area().map_coordinate(first);
            // Names of fronts that begin at one place stand above one another.
            while labels.iter().any(|(_, at)| (at.0 - x).abs() < 110 && (at.1 - y).abs() < 13) {
                y -= 13;
            }
            labels.push((machine, (x, y)));
        }
        chart.draw_series(LineSeries::new(steps, FRONT.stroke_width(2)))?;
    }
    let fp32 = first.fp32;
    chart.draw_series(DashedLineSeries::new([(x_low, fp32), (x_high, fp32)], 4, 4, INK.mix(0.5).stroke_width(1)))?;
    for c in cells.iter().filter(|c| c.faint).chain(cells.iter().filter(|c| !c.faint)) {
        let colour = if c.faint { style::faint(style::colour(&c.format)) } else { style::colour(&c.format) };
        let mark = style::marker(&c.sparsity).draw((c.x, y(c)), colour, c.order != "qs");
        chart.plotting_area().draw(&mark)?;
    }
    let origin = area.get_base_pixel();
    for (machine, (x, y)) in labels {
        area.draw_text(&machine, &style::text(12), (x - 4 - origin.0, y - 22 - origin.1))?;
    }
    Ok(())
}

/// The least and largest finite value, widened by `factor`.
pub fn bounds(values: impl Iterator<Item = f64>, factor: f64) -> (f64, f64) {
    let (low, high) = values
        .filter(|v| v.is_finite() && *v > 0.0)
        .fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
    if low.is_finite() { (low / factor, high * factor) } else { (0.1, 10.0) }
}

/// A number with as many digits as an axis needs.
pub fn short(value: &f64) -> String {
    match value.abs() {
        // What steps of an axis leave of zero.
        v if v < 1e-12 => "0".to_owned(),
        v if v >= 100.0 || v.fract() == 0.0 => format!("{value:.0}"),
        v if v >= 1.0 => format!("{value:.1}"),
        v if v >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.0e}"),
    }
}

/// What the marks mean.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub fn draw_legend(area: &Area<'_>, cells: &[Mark]) -> Result<(), Error> {
    let mut y = 52;
    let mut line = |marker: Option<(Marker, RGBColor, bool)>, label: &str| -> Result<(), Error> {
        if let Some((marker, colour, filled)) = marker {
            area.draw(&marker.draw((14, y), colour, filled))?;
        }
        area.draw_text(label, &style::text(14), (if marker.is_some() { 28 } else { 4 }, y - 8))?;
        y += 22;
        Ok(())
    };
    line(None, "format")?;
    for format in in_order(cells.iter().map(|c| c.format.clone())) {
        line(Some((Marker::Circle, style::colour(&format), true)), &format)?;
    }
    line(None, "sparsity")?;
    for sparsity in in_order(cells.iter().map(|c| c.sparsity.clone())) {
        line(Some((style::marker(&sparsity), INK, true)), &sparsity)?;
    }
    line(None, "order")?;
    line(Some((Marker::Circle, INK, true)), "S→Q, dense")?;
    line(Some((Marker::Circle, INK, false)), "Q→S")?;
    line(None, "grey: Pareto front")?;
    line(None, "dashed: FP32 dense")
}

/// A logarithmic axis with labels at 1, 2 and 5 times the powers of ten, whatever its length.
pub struct Log {
    low: f64,
    high: f64,
    pixels: RangedCoordf64,
}

impl Log {
    /// An axis from `low` to `high`, both positive.
    pub fn new(low: f64, high: f64) -> Self {
        Self { low, high, pixels: (math::ln(low)..math::ln(high)).into() }
    }
}

impl Ranged for Log {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.pixels.map(&math::ln(value.max(f64::MIN_POSITIVE)), limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() && hint.max_num_points() > 20 {
            return Vec::new();
        }
        let decades = (math::log10(self.low).floor() as i32)..=(math::log10(self.high).ceil() as i32);
        let steps: &[f64] = if self.high / self.low < 2.0 {
            &[
                1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5,
                9.0, 9.5,
            ]
        } else if self.high / self.low < 6.0 {
            &[1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let points = decades.flat_map(|d| steps.iter().map(move |s| s * math::powi(10.0, d)));
        points.filter(|p| (self.low..=self.high).contains(p)).collect()
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.low..self.high
    }
}
