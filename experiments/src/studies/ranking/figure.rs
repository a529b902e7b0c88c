//! Mask disagreement and Kendall's tau against the block size: one column a source, one line a format.

use anyhow::Result;

use super::frame::COLUMNS;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::chart::{Curve, Item, Mark, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::scale::{Axis, Scale};
use crate::report::style::{self, INK, Look, Shape};

/// What a row of panels shows: its name, its value in a row and the standard error of it.
struct Quantity {
    name: &'static str,
    value: fn(&Row) -> f64,
    stderr: fn(&Row) -> f64,
}

const QUANTITIES: [Quantity; 2] = [
    Quantity {
        name: "mask disagreement, %",
        value: |row| 100.0 * row.number("disagreement"),
        stderr: |row| 100.0 * row.number("stderr"),
    },
    Quantity {
        name: "1 − Kendall's tau over rows",
        value: |row| 1.0 - row.number("row_tau"),
        stderr: |row| row.number("row_tau_stderr"),
    },
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

pub(super) fn draw(frame: &Frame) -> Result<Figure> {
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
    let line = |quantity: &Quantity| {
        // One scale for all columns, so that they compare.
        let scale = Scale::log(rows.iter().map(quantity.value), 1.2);
        let panel = |(at, source): (usize, &&str)| Panel {
            title: (*source).to_owned(),
            x: Axis::new(
                "values under one scale",
                Scale::Names(sizes.iter().map(|s| size_name(s).to_owned()).collect()),
            ),
            y: Axis::new(if at == 0 { quantity.name } else { "" }, scale.clone()),
            items: lines(&rows, source, &formats, &sizes, quantity),
            beyond: String::new(),
        };
        sources.iter().enumerate().map(panel).collect()
    };
    Ok(Figure::new(QUANTITIES.iter().map(line).collect(), 300.0, legend(&formats, &pattern)))
}

fn lines(rows: &[Row], source: &str, formats: &[&str], sizes: &[&str], quantity: &Quantity) -> Vec<Item> {
    let mut items = Vec::new();
    for format in formats {
        let colour = style::colour(format);
        let wanted = [("format", *format), ("source", source)];
        let mut own: Vec<&Row> = rows.iter().filter(|row| row.is(&wanted)).collect();
        let place = |row: &Row| sizes.iter().position(|size| *size == row.text("block")).unwrap_or(0);
        own.sort_by_key(|row| place(row));
        let at = |row: &Row| (place(row) as f64, (quantity.value)(row));
        let points = own.iter().map(|row| at(row)).collect();
        items.push(Item::Curve(Curve { colour, dashed: false, points, errors: Vec::new(), dot: None }));
        items.extend(own.into_iter().map(|row| {
            let (value, stderr) = ((quantity.value)(row), (quantity.stderr)(row));
            let error = stderr.is_finite().then_some((value - stderr, value + stderr));
            Item::Mark(Mark { at: at(row), error, look: look(colour, row.text("size") == "own") })
        }));
    }
    items
}

fn look(colour: style::Colour, own: bool) -> Look {
    Look::new(Shape::Circle, colour).radius(if own { 4.5 } else { 1.8 })
}

fn legend(formats: &[&str], pattern: &str) -> Vec<Group> {
    let sample = |own| Sample::Mark(look(INK, own));
    let words =
        format!("masks: {pattern}; standard errors, known of gaussian rows alone, are smaller than their marks");
    vec![
        Group::new("format", formats.iter().map(|f| (Sample::Line(style::colour(f)), *f))),
        Group::new("block", [(sample(true), "the format's own"), (sample(false), "another")]),
        Group::new("", [(Sample::Nothing, words)]),
    ]
}
