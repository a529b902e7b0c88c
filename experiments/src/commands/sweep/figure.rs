//! All points over the first two objectives, the front on top.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::grid::File;
use super::{Costed, front};
use crate::report::cost::scaled;
use crate::report::figure::Log;
use crate::report::style::{self, FONT, FRONT, GRID, INK};

/// Draws it.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub fn draw(file: &File, costed: &[Costed]) -> Result<String> {
    let mut svg = String::new();
    render(&mut svg, file, costed).map_err(|e| anyhow!("{e}"))?;
    Ok(svg)
}

fn render(svg: &mut String, file: &File, costed: &[Costed]) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let root = SVGBackend::with_string(svg, (860, 560)).into_drawing_area();
    root.fill(&WHITE)?;
    let name = |at: usize| file.minimise.get(at).map_or("energy_pj", String::as_str);
    let points: Vec<(&Costed, (f64, f64))> = costed
        .iter()
        .filter(|c| c.error.is_none())
        .map(|c| (c, (front::value(c, name(0)), front::value(c, name(1)))))
        .collect();
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let fold = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
        let (low, high) = points.iter().map(|(_, p)| of(p)).fold((f64::INFINITY, 0.0), fold);
        Log::new((low / 1.3).max(f64::MIN_POSITIVE), (high * 1.3).max(1e-30))
    };
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{} points; coloured by {}", points.len(), file.hue()), (FONT, 20).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(76)
        .build_cartesian_2d(bounds(|p| p.0), bounds(|p| p.1))?;
    style::mesh(&mut chart)
        .x_desc(name(0))
        .y_desc(name(1))
        .x_label_formatter(&|x| scaled(*x))
        .y_label_formatter(&|y| scaled(*y))
        .draw()?;
    let mut seen: Vec<String> = Vec::new();
    for (_, label) in points.iter().map(|(c, _)| file.hue_of(&c.point)) {
        if !seen.contains(&label) {
            seen.push(label);
        }
    }
    for (at, label) in seen.iter().enumerate() {
        let colour = crate::report::cost::HUES[at % crate::report::cost::HUES.len()];
        let of = points.iter().filter(|(c, _)| file.hue_of(&c.point).1 == *label);
        chart
            .draw_series(of.map(|(c, p)| {
                Circle::new(*p, if c.front { 5 } else { 2 }, colour.mix(if c.front { 1.0 } else { 0.35 }).filled())
            }))?
            .label(label.clone())
            .legend(move |(x, y)| Circle::new((x + 8, y), 5, colour.filled()));
    }
    let mut best: Vec<(f64, f64)> = points.iter().filter(|(c, _)| c.front).map(|(_, p)| *p).collect();
    best.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = f64::INFINITY;
    best.retain(|p| {
        let better = p.1 < least;
        least = least.min(p.1);
        better
    });
    chart.draw_series(LineSeries::new(best, FRONT.stroke_width(2)))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font(style::text(12))
        .draw()?;
    root.present()
}
