//! The loss curve as a picture.

use anyhow::{Result, anyhow};
use interplay::train::Point;
use interplay::train::finetune::Settings;
use plotters::prelude::*;

use crate::report::style::{self, Area, Error, FONT, INK};

const SIZE: (u32, u32) = (720, 440);

/// Both losses over the steps, as SVG.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub(super) fn losses(settings: &Settings, curve: &[Point]) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        draw(&root, settings, curve).map_err(|e| anyhow!("{e}"))?;
        root.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

fn draw(area: &Area<'_>, settings: &Settings, curve: &[Point]) -> Result<(), Error> {
    let points = |loss: fn(&Point) -> f64| curve.iter().map(|p| (p.step as f64, loss(p))).collect::<Vec<_>>();
    let lines = [
        ("training", style::colour("hbfp8"), points(|p| p.train_loss)),
        ("held-out", style::colour("mxfp8"), points(|p| p.held_out_loss)),
    ];
    let losses = lines.iter().flat_map(|(_, _, points)| points.iter().map(|(_, loss)| *loss));
    let (low, high) = losses.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    let margin = (0.08 * (high - low)).max(0.005);
    let title = format!("{}, recipe {}, {}, {}", settings.model, settings.recipe, settings.format, settings.sparsity);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 18).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..settings.steps as f64, low - margin..high + margin)?;
    let (x, y) = (|step: &f64| format!("{step:.0}"), |loss: &f64| format!("{loss:.3}"));
    style::mesh(&mut chart).x_desc("step").y_desc("loss, nats").x_label_formatter(&x).y_label_formatter(&y).draw()?;
    for (label, colour, points) in lines {
        let sample = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2));
        chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(2)))?.label(label).legend(sample);
        chart.draw_series(points.into_iter().map(|at| Circle::new(at, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .label_font(style::text(14))
        .border_style(INK.mix(0.2))
        .background_style(WHITE)
        .draw()?;
    Ok(())
}
