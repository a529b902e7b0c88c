//! Utilisation and what is left after each loss, a row a layer.

use interplay_hw::cost::{Accelerator, Cost};
use plotters::prelude::*;

use super::{Area, Error};
use crate::report::style::{self, FONT, INK};

/// Pixels of a row, and rows at most: a longer workload is shown by its most expensive layers.
const ROW: i32 = 18;
const ROWS: usize = 60;
const LEFT: i32 = 300;
const COLUMN: i32 = 120;

/// The size of the figure.
pub fn size(cost: &Cost) -> (u32, u32) {
    let rows = cost.layers.len().clamp(1, ROWS) as i32;
    ((LEFT + 4 * COLUMN + 130) as u32, (96 + rows * ROW) as u32)
}

/// Draws it.
pub fn draw(area: &Area<'_>, work: &str, machine: &Accelerator, cost: &Cost) -> Result<(), Error> {
    area.draw(&Text::new(
        format!("{work} on {}: share of the peak that each step leaves", machine.name),
        (14, 12),
        (FONT, 19).into_font().color(&INK),
    ))?;
    for (at, name) in ["mapping", "fill, drain", "waiting", "utilisation"].into_iter().enumerate() {
        area.draw(&Text::new(name, (LEFT + at as i32 * COLUMN + 6, 48), style::text(13)))?;
    }
    area.draw(&Text::new("cycles", (LEFT + 4 * COLUMN + 10, 48), style::text(13)))?;
    // The layers that take most of the time, in order of execution.
    let mut order: Vec<usize> = (0..cost.layers.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(cost.layers[at].figures.cycles));
    order.truncate(ROWS);
    order.sort_unstable();
    for (row, layer) in order.into_iter().map(|at| &cost.layers[at]).enumerate() {
        let y = 70 + row as i32 * ROW;
        let name: String = layer.gemm.name.chars().rev().take(46).collect::<Vec<_>>().into_iter().rev().collect();
        area.draw(&Text::new(name, (14, y + 2), style::text(12)))?;
        let share = layer.figures.share;
        for (at, part) in [share.mapping, share.fill_drain, share.stall, share.utilisation].into_iter().enumerate() {
            let x = LEFT + at as i32 * COLUMN;
            area.draw(&Rectangle::new([(x, y), (x + COLUMN - 2, y + ROW - 2)], shade(part).filled()))?;
            let ink = if part < 0.55 { WHITE } else { INK };
            area.draw(&Text::new(
                format!("{:.1} %", 100.0 * part),
                (x + 40, y + 2),
                (FONT, 12).into_font().color(&ink),
            ))?;
        }
        let cycles = layer.figures.cycles.0.to_string();
        area.draw(&Text::new(cycles, (LEFT + 4 * COLUMN + 10, y + 2), style::text(12)))?;
    }
    Ok(())
}

/// Dark where little is left, light where all is.
fn shade(part: f64) -> RGBColor {
    let mix = |low: u8, high: u8| (f64::from(low) + part.clamp(0.0, 1.0) * (f64::from(high) - f64::from(low))) as u8;
    RGBColor(mix(70, 236), mix(16, 244), mix(70, 226))
}
