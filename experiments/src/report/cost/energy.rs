//! Energy by layer, stacked by what spends it.

use interplay_hw::cost::{Accelerator, Cost, Energy};
use plotters::prelude::*;

use super::{Area, Error, HUES, scaled};
use crate::report::style::{self, FONT, GRID, INK};

/// Draws a bar a layer.
pub fn draw(area: &Area<'_>, work: &str, machine: &Accelerator, cost: &Cost) -> Result<(), Error> {
    // A band may reach far above its figure: the frame cuts it at twice the tallest bar.
    let tallest = cost.layers.iter().map(|layer| layer.figures.energy.total.typical).fold(1.0, f64::max) / 1e12;
    let most = 2.0 * tallest;
    let count = cost.layers.len().max(1);
    let total = &cost.total.energy.total;
    let title = format!(
        "{work} on {}: {}J ({} to {}J) at {}",
        machine.name,
        scaled(total.typical / 1e12),
        scaled(total.low / 1e12),
        scaled(total.high / 1e12),
        cost.prices
    );
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(80)
        .build_cartesian_2d(0.0..count as f64, 0.0..most)?;
    style::mesh(&mut chart)
        .disable_x_mesh()
        .x_desc("layer, in order of execution")
        .y_desc("energy, J; the thin line is the band, cut at the frame")
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| scaled(*y))
        .draw()?;
    for (at, (name, _)) in parts(&cost.total.energy).into_iter().enumerate() {
        let colour = HUES[at % HUES.len()];
        let bars = cost.layers.iter().enumerate().map(|(layer, counted)| {
            let parts = parts(&counted.figures.energy);
            let below: f64 = parts[..at].iter().map(|(_, pj)| pj / 1e12).sum();
            let x = layer as f64;
            Rectangle::new([(x + 0.1, below), (x + 0.9, below + parts[at].1 / 1e12)], colour.filled())
        });
        chart
            .draw_series(bars)?
            .label(name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    let bands = cost.layers.iter().enumerate().map(|(layer, counted)| {
        let (x, total) = (layer as f64 + 0.5, counted.figures.energy.total);
        PathElement::new([(x, total.low / 1e12), (x, (total.high / 1e12).min(most))], INK.stroke_width(1))
    });
    chart.draw_series(bands)?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font(style::text(12))
        .draw()
}

/// What spends energy, from the engine outwards, in pJ.
fn parts(energy: &Energy) -> Vec<(String, f64)> {
    let memories = energy.memory.iter().map(|(name, band)| (name.clone(), band.typical));
    [("arithmetic".to_owned(), energy.mac.typical), ("idle units".to_owned(), energy.idle.typical)]
        .into_iter()
        .chain(memories)
        .chain([("static".to_owned(), energy.leakage.typical)])
        .collect()
}
