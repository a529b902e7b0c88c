//! Mask disagreement and Kendall's tau against the block size: one column a source, one line a format.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::frame::COLUMNS;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::figure::{Log, bounds, short};
use crate::report::style::{self, Area, Error, FONT, INK, Marker};

const PANEL: (u32, u32) = (330, 310);
const LEGEND: u32 = 190;

/// What a row of panels shows.
struct Quantity {
    title: &'static str,
    value: fn(&Row) -> f64,
}

const QUANTITIES: [Quantity; 2] = [
    Quantity { title: "mask disagreement, %", value: |row| 100.0 * row.number("disagreement") },
    Quantity { title: "1 − Kendall's tau over rows", value: |row| 1.0 - row.number("row_tau") },
];

/// Block sizes from small to large; whole rows last.
pub(super) fn sizes<'a>(rows: impl IntoIterator<Item = Row<'a>>) -> Vec<&'a str> {
    let mut sizes = distinct(rows, "block");
    sizes.sort_by_key(|text| text.parse().unwrap_or(u64::MAX));
    sizes
}

/// How a block size is called.
pub(super) fn size_name(text: &str) -> &str {
    if text.is_empty() { "row" } else { text }
}

pub(super) fn draw(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let pattern = frame.rows().next().map_or("", |row| row.text("sparsity")).to_owned();
    let mut rows: Vec<Row> = frame.rows().filter(|row| row.text("sparsity") == pattern).collect();
    let (sources, mut formats) = (distinct(rows.iter().copied(), "source"), distinct(rows.iter().copied(), "format"));
    // What was measured on some sources only is no line to compare.
    let everywhere = |format: &&str| {
        sources.iter().all(|source| rows.iter().any(|row| row.is(&[("format", format), ("source", source)])))
    };
    formats.retain(everywhere);
    rows.retain(|row| formats.contains(&row.text("format")));
    let sizes = sizes(rows.iter().copied());
    let columns = sources.len().max(1);
    let size = (PANEL.0 * columns as u32 + LEGEND, PANEL.1 * QUANTITIES.len() as u32);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE).map_err(|e| anyhow!("{e}"))?;
        let (panels, side) = root.split_horizontally(size.0 - LEGEND);
        let panels = panels.split_evenly((QUANTITIES.len(), columns));
        for (line, quantity) in panels.chunks(columns).zip(&QUANTITIES) {
            // One scale for all columns, so that they compare.
            let ends = bounds(rows.iter().map(quantity.value), 1.2);
            for (area, source) in line.iter().zip(&sources) {
                let own: Vec<Row> = rows.iter().filter(|row| row.text("source") == *source).copied().collect();
                panel(area, quantity, &own, &formats, &sizes, ends).map_err(|e| anyhow!("{e}"))?;
            }
        }
        legend(&side, &formats, &pattern).map_err(|e| anyhow!("{e}"))?;
        root.present().map_err(|e| anyhow!("{e}"))?;
    }
    Ok(svg)
}

fn panel(
    area: &Area<'_>,
    quantity: &Quantity,
    rows: &[Row],
    formats: &[&str],
    sizes: &[&str],
    (low, high): (f64, f64),
) -> Result<(), Error> {
    let title = format!("{}: {}", rows.first().map_or("", |row| row.text("source")), quantity.title);
    let places = sizes.len().max(2);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 15).into_font().color(&INK))
        .margin(8)
        .x_label_area_size(40)
        .y_label_area_size(46)
        .build_cartesian_2d(-0.3..places as f64 - 0.7, Log::new(low, high))?;
    let name = |at: &f64| {
        let place = at.round();
        let near = (at - place).abs() < 1e-6 && place >= 0.0;
        let size = sizes.get(place.max(0.0) as usize).filter(|_| near);
        size.map_or_else(String::new, |size| size_name(size).to_owned())
    };
    style::mesh(&mut chart)
        .disable_x_mesh()
        .x_labels(places)
        .x_label_formatter(&name)
        .y_label_formatter(&short)
        .x_desc("values under one scale")
        .draw()?;
    for format in formats {
        let colour = style::colour(format);
        let place = |row: &Row| sizes.iter().position(|size| *size == row.text("block")).unwrap_or(0);
        let mut own: Vec<&Row> = rows.iter().filter(|row| row.text("format") == *format).collect();
        own.sort_by_key(|row| place(row));
        let at = |row: &Row| (place(row) as f64, (quantity.value)(row).max(low));
        chart.draw_series(LineSeries::new(own.iter().map(|row| at(row)), colour.stroke_width(2)))?;
        for row in own {
            let mark = Marker::Circle.draw(at(row), colour, row.text("size") == "own");
            chart.plotting_area().draw(&mark)?;
        }
    }
    Ok(())
}

fn legend(area: &Area<'_>, formats: &[&str], pattern: &str) -> Result<(), Error> {
    let mut y = 46;
    let mut line = |mark: Option<(RGBColor, bool)>, label: &str| -> Result<(), Error> {
        if let Some((colour, filled)) = mark {
            area.draw(&Marker::Circle.draw((14, y), colour, filled))?;
        }
        area.draw_text(label, &style::text(14), (if mark.is_some() { 28 } else { 4 }, y - 8))?;
        y += 22;
        Ok(())
    };
    line(None, "format")?;
    for format in formats {
        line(Some((style::colour(format), true)), format)?;
    }
    line(None, "block")?;
    line(Some((INK, true)), "the format's own")?;
    line(Some((INK, false)), "another")?;
    line(None, &format!("masks: {pattern}"))?;
    line(None, "axes: logarithmic")
}
