//! What `cost --out` writes: layers as CSV, and four figures.

mod csv;
mod energy;
mod heat;
mod roofline;
mod waterfall;

use anyhow::{Result, anyhow};
use interplay_hw::cost::{Accelerator, Cost};
use plotters::prelude::*;

use crate::report::style::{Area, Error};

/// Colours of kinds that a figure tells apart, far from each other for eyes of all kinds.
pub const HUES: [RGBColor; 7] = [
    RGBColor(16, 72, 158),
    RGBColor(226, 110, 30),
    RGBColor(0, 140, 90),
    RGBColor(138, 190, 246),
    RGBColor(158, 58, 10),
    RGBColor(130, 80, 170),
    RGBColor(140, 148, 160),
];

/// Every file by name with its text.
///
/// # Errors
/// The drawing backend refuses, which a string backend does not.
pub fn files(work: &str, machine: &Accelerator, cost: &Cost) -> Result<Vec<(&'static str, String)>> {
    Ok(vec![
        ("layers.csv", csv::layers(cost)),
        ("roofline.svg", drawn((860, 560), |area| roofline::draw(area, work, machine, cost))?),
        ("energy.svg", drawn((980, 560), |area| energy::draw(area, work, machine, cost))?),
        ("losses.svg", drawn((760, 460), |area| waterfall::draw(area, work, machine, cost))?),
        ("utilisation.svg", drawn(heat::size(cost), |area| heat::draw(area, work, machine, cost))?),
    ])
}

/// The text of a figure.
fn drawn(size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Result<(), Error>) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        draw(&root).map_err(|e| anyhow!("{e}"))?;
        root.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

/// A number with a prefix: 1.2 M.
pub fn scaled(value: f64) -> String {
    let prefixes = [
        (1e15, "P"),
        (1e12, "T"),
        (1e9, "G"),
        (1e6, "M"),
        (1e3, "k"),
        (1.0, ""),
        (1e-3, "m"),
        (1e-6, "u"),
        (1e-9, "n"),
        (1e-12, "p"),
    ];
    let fitting = prefixes.into_iter().find(|(size, _)| value.abs() >= *size);
    let (size, prefix) = fitting.unwrap_or((1.0, ""));
    let number = value / size;
    let number = if number >= 100.0 || number.fract() == 0.0 { format!("{number:.0}") } else { format!("{number:.1}") };
    format!("{number} {prefix}").trim_end().to_owned()
}
