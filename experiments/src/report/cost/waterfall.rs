//! From the peak to what is reached: one step a loss.

use interplay_hw::cost::{Accelerator, Cost};
use plotters::prelude::*;

use super::{Area, Error, HUES};
use crate::report::style::{self, FONT, INK};

/// Draws it for the whole workload.
pub fn draw(area: &Area<'_>, work: &str, machine: &Accelerator, cost: &Cost) -> Result<(), Error> {
    let share = cost.total.share;
    let after = [1.0, share.mapping, share.mapping * share.fill_drain, share.utilisation].map(|share| 100.0 * share);
    let names = ["peak", "padding of tiles", "filling, draining", "waiting for memory", "reached"];
    let title = format!("{work} on {}, {}: where the peak goes", machine.name, cost.cycle_model);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 19).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..5.0, 0.0..112.0)?;
    style::mesh(&mut chart).disable_x_mesh().disable_x_axis().y_desc("% of the peak").draw()?;
    for (at, name) in names.into_iter().enumerate() {
        let (low, high, colour) = match at {
            0 => (0.0, 100.0, HUES[3]),
            4 => (0.0, after[3], HUES[0]),
            _ => (after[at], after[at - 1], HUES[1]),
        };
        let x = at as f64;
        let plot = chart.plotting_area();
        plot.draw(&Rectangle::new([(x + 0.15, low), (x + 0.85, high)], colour.filled()))?;
        // No loss is 0.0, not -0.0.
        let lost = (high - low).max(0.0);
        let text = if (1..4).contains(&at) {
            if lost < 0.05 { "0.0 %".to_owned() } else { format!("-{lost:.1} %") }
        } else {
            format!("{high:.1} %")
        };
        let centred = |size| {
            style::text(size).pos(plotters::style::text_anchor::Pos::new(
                plotters::style::text_anchor::HPos::Center,
                plotters::style::text_anchor::VPos::Bottom,
            ))
        };
        plot.draw(&Text::new(text, (x + 0.5, high + 1.0), centred(14)))?;
        plot.draw(&(EmptyElement::at((x + 0.5, 0.0)) + Text::new(name, (0, 24), centred(13))))?;
        if at < 4 {
            plot.draw(&PathElement::new(
                [(x + 0.85, after[at.min(3)]), (x + 1.15, after[at.min(3)])],
                INK.mix(0.4).stroke_width(1),
            ))?;
        }
    }
    Ok(())
}
