//! The roofline with every layer on it: operations a second over operations a byte of main memory.

use interplay_formats::math;
use interplay_hw::cost::{Accelerator, Cost, LayerCost};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Area, Error, HUES, scaled};
use crate::report::figure::{Log, in_order};
use crate::report::style::{self, FONT, GRID, INK};

/// Draws it. One roof for each unit that a layer uses, since peaks differ.
pub fn draw(area: &Area<'_>, work: &str, machine: &Accelerator, cost: &Cost) -> Result<(), Error> {
    let layers: Vec<&LayerCost> = cost.layers.iter().filter(|layer| layer.figures.intensity > 0.0).collect();
    let units = in_order(layers.iter().map(|layer| layer.datapath.clone()));
    let peak = |unit: &str| {
        let of_unit = layers.iter().filter(|layer| layer.datapath == unit);
        of_unit.map(|layer| layer.peak_tops * 1e12).fold(0.0, f64::max)
    };
    let point = |layer: &LayerCost| (layer.figures.intensity, layer.figures.rates().dense_equivalent_tops * 1e12);
    let ridge = layers.iter().map(|layer| layer.figures.ridge).fold(1.0, f64::max);
    let points: Vec<(f64, f64)> = layers.iter().map(|layer| point(layer)).collect();
    let (x_low, x_high) = bounds(points.iter().map(|p| p.0).chain([ridge]), 3.0);
    let (y_low, y_high) = bounds(points.iter().map(|p| p.1).chain(units.iter().map(|unit| peak(unit))), 2.5);
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{work} on {}: roofline of main memory", machine.name), (FONT, 20).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(46)
        .y_label_area_size(72)
        .build_cartesian_2d(Log::new(x_low, x_high), Log::new(y_low, y_high))?;
    style::mesh(&mut chart)
        .x_desc("operations (two a dense multiply-accumulate) a byte of main memory")
        .y_desc("operations a second, dense-equivalent")
        .x_label_formatter(&|x| scaled(*x))
        .y_label_formatter(&|y| scaled(*y))
        .draw()?;
    for (at, unit) in units.iter().enumerate() {
        let colour = HUES[at % HUES.len()];
        let of_unit = |layer: &&&LayerCost| &layer.datapath == unit;
        let (top, edge) = (peak(unit), layers.iter().find(of_unit).map_or(ridge, |layer| layer.figures.ridge));
        let slope = top / edge;
        let roof = [(x_low, slope * x_low), (edge, top), (x_high, top)].map(|(x, y)| (x, y.max(y_low)));
        let start = (y_low / slope).max(x_low);
        let roof = [(start, slope * start), roof[1], roof[2]];
        chart
            .draw_series(LineSeries::new(roof, colour.stroke_width(2)))?
            .label(format!("{unit}: peak {}op/s, ridge {:.0} op/B", scaled(top), edge))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
        let of_this = layers.iter().filter(|layer| &layer.datapath == unit);
        chart.draw_series(of_this.map(|layer| Circle::new(point(layer), 5, colour.mix(0.55).filled())))?;
    }
    // One name for each place: layers of equal shape lie on top of each other. Names on the right half stand to the left.
    let middle = (x_low * x_high).sqrt();
    let mut named: Vec<(f64, f64)> = Vec::new();
    for layer in &layers {
        let (x, y) = point(layer);
        let near = |p: &(f64, f64)| math::ln(p.0 / x).abs() < 1.0 && math::ln(p.1 / y).abs() < 0.25;
        if !named.iter().any(near) && named.len() < 12 {
            named.push((x, y));
            let side = if x > middle { HPos::Right } else { HPos::Left };
            let style = style::text(11).pos(Pos::new(side, VPos::Center));
            let away = if x > middle { -9 } else { 9 };
            let text = EmptyElement::at((x, y)) + Text::new(layer.gemm.name.clone(), (away, 0), style);
            chart.plotting_area().draw(&text)?;
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(GRID)
        .label_font(style::text(12))
        .draw()
}

/// The least and largest value, widened.
fn bounds(values: impl Iterator<Item = f64>, factor: f64) -> (f64, f64) {
    let fold = |(low, high): (f64, f64), value: f64| (low.min(value), high.max(value));
    let (low, high) = values.filter(|v| *v > 0.0 && v.is_finite()).fold((f64::INFINITY, 0.0), fold);
    if low.is_finite() { (low / factor, high * factor) } else { (0.1, 10.0) }
}
