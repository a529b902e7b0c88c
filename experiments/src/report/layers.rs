//! Per-layer output error by order: one row of panels for the error itself, one for the ratio between the orders.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::figure::{Log, in_order, short};
use crate::report::style::{self, Area, Error, FONT, GRID, INK};

/// The error of one layer's output against FP32.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerError {
    /// The model.
    pub model: String,
    /// The layer's name.
    pub layer: String,
    /// The format.
    pub format: String,
    /// The sparsity pattern.
    pub sparsity: String,
    /// `sq` or `qs`.
    pub order: String,
    /// `||y - y_fp32|| / ||y_fp32||`.
    pub relative: f64,
}

const PANEL: (u32, u32) = (620, 300);
const LEGEND_WIDTH: u32 = 150;

/// Draws the two rows of panels, one column a model.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub fn figure(errors: &[LayerError]) -> Result<String> {
    let models = in_order(errors.iter().map(|e| e.model.clone()));
    let columns = models.len().max(1);
    let width = PANEL.0 * columns as u32 + LEGEND_WIDTH;
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (width, 2 * PANEL.1)).into_drawing_area();
        root.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        let (panels, side) = root.split_horizontally(width - LEGEND_WIDTH);
        let areas = panels.split_evenly((2, columns));
        for (i, model) in models.iter().enumerate() {
            let of_model: Vec<&LayerError> = errors.iter().filter(|e| &e.model == model).collect();
            error_panel(&areas[i], &of_model).map_err(|e| anyhow!("{e}"))?;
            ratio_panel(&areas[columns + i], &of_model).map_err(|e| anyhow!("{e}"))?;
        }
        legend(&side, errors).map_err(|e| anyhow!("{e}"))?;
        root.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

/// The values of one line: (layer index, relative error).
fn line(errors: &[&LayerError], layers: &[String], format: &str, order: &str) -> Vec<(f64, f64)> {
    let at = |layer: &String| errors.iter().find(|e| &e.layer == layer && e.format == format && e.order == order);
    layers.iter().enumerate().filter_map(|(i, layer)| at(layer).map(|e| (i as f64, e.relative))).collect()
}

fn names(errors: &[&LayerError]) -> (Vec<String>, Vec<String>) {
    (in_order(errors.iter().map(|e| e.layer.clone())), in_order(errors.iter().map(|e| e.format.clone())))
}

fn error_panel(area: &Area<'_>, errors: &[&LayerError]) -> Result<(), Error> {
    let Some(first) = errors.first() else { return Ok(()) };
    let (layers, formats) = names(errors);
    let positive = errors.iter().map(|e| e.relative).filter(|r| *r > 0.0);
    let (low, high) = positive.fold((f64::INFINITY, 0.0_f64), |(l, h), r| (l.min(r), h.max(r)));
    let (low, high) = if low.is_finite() { (low / 1.2, high * 1.2) } else { (1e-3, 1.0) };
    let mut chart = ChartBuilder::on(area)
        .caption(
            format!("{}, {}: relative output error of each layer", first.model, first.sparsity),
            (FONT, 18).into_font().color(&INK),
        )
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..layers.len().saturating_sub(1).max(1) as f64, Log::new(low, high))?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(style::text(12))
        .axis_desc_style(style::text(14))
        .x_desc("layer, in order of execution")
        .y_desc("error against FP32")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&short)
        .draw()?;
    for format in &formats {
        let colour = style::colour(format);
        chart.draw_series(LineSeries::new(line(errors, &layers, format, "sq"), colour.stroke_width(2)))?;
        let qs = line(errors, &layers, format, "qs");
        chart.draw_series(DashedLineSeries::new(qs, 5, 4, colour.stroke_width(2)))?;
    }
    Ok(())
}

fn ratio_panel(area: &Area<'_>, errors: &[&LayerError]) -> Result<(), Error> {
    let (layers, formats) = names(errors);
    let ratios = |format: &String| -> Vec<(f64, f64)> {
        let (sq, qs) = (line(errors, &layers, format, "sq"), line(errors, &layers, format, "qs"));
        let percent = sq.iter().zip(&qs).map(|(s, q)| (s.0, if s.1 > 0.0 { (q.1 / s.1 - 1.0) * 100.0 } else { 0.0 }));
        percent.collect()
    };
    let all = formats.iter().flat_map(ratios).map(|(_, r)| r);
    let (low, high) = all.fold((0.0_f64, 0.0_f64), |(l, h), r| (l.min(r), h.max(r)));
    let pad = ((high - low) * 0.1).max(0.1);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..layers.len().saturating_sub(1).max(1) as f64, low - pad..high + pad)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(style::text(12))
        .axis_desc_style(style::text(14))
        .x_desc("layer, in order of execution")
        .y_desc("Q→S above S→Q, %")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .draw()?;
    for format in &formats {
        chart.draw_series(LineSeries::new(ratios(format), style::colour(format).stroke_width(2)))?;
    }
    chart.draw_series(LineSeries::new([(0.0, 0.0), (layers.len() as f64, 0.0)], INK.mix(0.6).stroke_width(1)))?;
    Ok(())
}

fn legend(area: &Area<'_>, errors: &[LayerError]) -> Result<(), Error> {
    let mut y = 52;
    for format in in_order(errors.iter().map(|e| e.format.clone())) {
        area.draw(&PathElement::new([(6, y), (26, y)], style::colour(&format).stroke_width(3)))?;
        area.draw_text(&format, &style::text(14), (34, y - 8))?;
        y += 22;
    }
    area.draw_text("solid: S→Q", &style::text(14), (4, y))?;
    area.draw_text("dashed: Q→S", &style::text(14), (4, y + 22))
}
