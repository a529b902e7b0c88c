//! Dots by category: one panel a group, one column a category, a dot a value and a bar at the mean.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use crate::report::figure::short;
use crate::report::style::{self, Area, Error, FONT, INK};

/// The values of one category.
#[derive(Debug, Clone, PartialEq)]
pub struct Dots {
    /// What stands below.
    pub name: String,
    /// The values.
    pub values: Vec<f64>,
    /// Whether dots are hollow.
    pub hollow: bool,
}

/// One panel.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// What stands above.
    pub title: String,
    /// The name of the y axis.
    pub y: String,
    /// The categories.
    pub dots: Vec<Dots>,
}

const PANEL: (u32, u32) = (560, 400);
/// Panels side by side.
const COLUMNS: usize = 2;
const COLOUR: RGBColor = RGBColor(16, 72, 158);

/// Draws the panels, two in a row.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub fn figure(groups: &[Group]) -> Result<String> {
    let columns = groups.len().clamp(1, COLUMNS);
    let rows = groups.len().div_ceil(columns).max(1);
    let mut svg = String::new();
    {
        let size = (PANEL.0 * columns as u32, PANEL.1 * rows as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        for (area, group) in root.split_evenly((rows, columns)).iter().zip(groups) {
            panel(area, group).map_err(|e| anyhow!("{e}"))?;
        }
        root.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

fn panel(area: &Area<'_>, group: &Group) -> Result<(), Error> {
    let finite = || group.dots.iter().flat_map(|dots| dots.values.iter().copied()).filter(|value| value.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let (low, high) = if low.is_finite() { (low, high) } else { (0.0, 1.0) };
    let pad = ((high - low) * 0.12).max(1e-3 * high.abs()).max(1e-9);
    let count = group.dots.len();
    let mut chart = ChartBuilder::on(area)
        .caption(&group.title, (FONT, 18).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(72)
        .build_cartesian_2d(-0.5..count as f64 - 0.5, low - pad..high + pad)?;
    let name = |x: &f64| {
        let at = x.round();
        let whole = (x - at).abs() < 1e-9 && at >= 0.0;
        if whole {
            group.dots.get(at as usize).map_or_else(String::new, |dots| dots.name.clone())
        } else {
            String::new()
        }
    };
    style::mesh(&mut chart)
        .disable_x_mesh()
        .x_labels(2 * count + 1)
        .y_desc(group.y.as_str())
        .x_label_formatter(&name)
        .y_label_formatter(&short)
        .draw()?;
    for (dots, x) in group.dots.iter().zip(0..) {
        let x = f64::from(x);
        let values: Vec<f64> = dots.values.iter().copied().filter(|value| value.is_finite()).collect();
        if values.is_empty() {
            continue;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        chart.draw_series(LineSeries::new([(x - 0.22, mean), (x + 0.22, mean)], INK.stroke_width(2)))?;
        for (value, i) in values.iter().zip(0..) {
            // Side by side, so that equal values are seen as several.
            let at = (x + 0.08 * (f64::from(i) - (values.len() - 1) as f64 / 2.0), *value);
            let mark = style::Marker::Circle.draw(at, COLOUR, !dots.hollow);
            chart.plotting_area().draw(&mark)?;
        }
    }
    Ok(())
}
