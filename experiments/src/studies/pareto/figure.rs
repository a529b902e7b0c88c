//! The figure: a row of panels a model, with footprint, energy and time against the metric.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::MORE;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::figure::{LEGEND_WIDTH, Mark, STORED, draw_legend, panel};
use crate::report::style::Error;
use crate::studies::evaluated::COLUMNS;

const PANEL: (u32, u32) = (600, 560);

/// Draws the figure. Marks of energy and time are faint unless they are on the front of their machine.
pub(super) fn draw(frame: &Frame) -> Result<String> {
    frame.expect(&[&COLUMNS[..], &MORE].concat())?;
    let models = distinct(frame.rows(), "model");
    let size = (PANEL.0 * 3 + LEGEND_WIDTH, PANEL.1 * models.len().max(1) as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let drawn = || -> Result<(), Error> {
            root.fill(&WHITE)?;
            let (panels, legend) = root.split_horizontally(size.0 - LEGEND_WIDTH);
            let panels = panels.split_evenly((models.len().max(1), 3));
            for (areas, model) in panels.chunks(3).zip(&models) {
                let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == *model).collect();
                let [footprint, energy, seconds] = areas else { continue };
                let (stored, energies, times) = (stored(&rows), energies(&rows), times(&rows));
                panel(footprint, &stored.iter().collect::<Vec<_>>(), STORED)?;
                panel(energy, &energies.iter().collect::<Vec<_>>(), "energy of an input, uJ")?;
                panel(seconds, &times.iter().collect::<Vec<_>>(), "time of an input, us")?;
            }
            let marks: Vec<Mark> = frame.rows().map(Mark::of).collect();
            draw_legend(&legend, &marks)?;
            root.present()
        };
        drawn().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

/// One mark a configuration: what it stores is the same on every machine.
fn stored(rows: &[Row]) -> Vec<Mark> {
    let first = rows.first().map_or("", |row| row.text("accelerator"));
    rows.iter().filter(|row| row.text("accelerator") == first).map(|row| Mark::of(*row)).collect()
}

fn energies(rows: &[Row]) -> Vec<Mark> {
    on_machines(rows, |row| row.number("energy_pj") / 1e6)
}

fn times(rows: &[Row]) -> Vec<Mark> {
    on_machines(rows, |row| row.number("seconds") * 1e6)
}

/// One mark a configuration and machine that can run it.
fn on_machines(rows: &[Row], x: impl Fn(&Row) -> f64) -> Vec<Mark> {
    let able = rows.iter().filter(|row| x(row).is_finite());
    able.map(|row| Mark {
        machine: row.text("accelerator").to_owned(),
        faint: row.text("front_on_machine") != "true",
        x: x(row),
        ..Mark::of(*row)
    })
    .collect()
}
