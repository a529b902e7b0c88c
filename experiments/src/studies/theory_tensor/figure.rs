//! How near Q→S comes to the bounds of theorem 3.7, and how often it exceeds the sum at all: one line a recipe.

use anyhow::Result;

use super::frame::COLUMNS;
use crate::engine::frame::{Frame, Row, distinct};
use crate::report::chart::{Item, Mark, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::scale::{Axis, Scale};
use crate::report::style::{BAND, Colour, INK, Look, Shape, hue};

/// Pixels of a line.
const LINE: f64 = 17.0;
/// Pixels above and below the lines.
const ROOM: f64 = 76.0;

/// What one source says of one recipe, over all patterns.
struct Found {
    line: usize,
    colour: Colour,
    tightness: f64,
    paper: f64,
    share: f64,
}

pub(super) fn draw(frame: &Frame) -> Result<Figure> {
    frame.expect(&COLUMNS)?;
    let rows: Vec<Row> = frame.rows().filter(|row| row.number("bounded_blocks") > 0.0).collect();
    let (formats, sources) = (distinct(rows.iter().copied(), "format"), distinct(rows.iter().copied(), "source"));
    let name = |format: &&str| format!("{format}{}", if claimed(&rows, format) { "" } else { " *" });
    let names: Vec<String> = formats.iter().map(name).collect();
    let found = found(&rows, &formats, &sources);
    let height = ROOM + LINE * formats.len().max(6) as f64;
    Ok(Figure::new(vec![vec![tightness(&names, &found), shares(names.len(), &found)]], height, legend(&sources)))
}

/// Whether theorem 3.5 is claimed for a recipe under any pattern.
fn claimed(rows: &[Row], format: &str) -> bool {
    rows.iter().any(|row| row.is(&[("format", format), ("reason", "")]))
}

fn found(rows: &[Row], formats: &[&str], sources: &[&str]) -> Vec<Found> {
    let mut all = Vec::new();
    for (line, format) in formats.iter().enumerate() {
        for (place, source) in sources.iter().enumerate() {
            let own = || rows.iter().filter(|row| row.is(&[("format", format), ("source", source)]));
            let largest = |column: &str| own().map(|row| row.number(column)).fold(0.0, f64::max);
            let sum = |column: &str| own().map(|row| row.number(column)).sum::<f64>();
            // Where nothing exceeds there is nothing to draw.
            if sum("exceeding") > 0.0 {
                all.push(Found {
                    line,
                    colour: colour(source, place),
                    tightness: largest("tightness"),
                    paper: largest("paper_tightness"),
                    share: sum("exceeding") / sum("bounded_blocks"),
                });
            }
        }
    }
    all
}

/// One colour a source; what is made to break the bound is dark.
fn colour(source: &str, place: usize) -> Colour {
    if source == "adversarial" { INK } else { hue(place) }
}

fn dot(colour: Colour) -> Look {
    Look::new(Shape::Circle, colour).radius(3.2)
}

fn cross(colour: Colour) -> Look {
    Look::new(Shape::Cross, colour).radius(3.2)
}

fn mark(at: (f64, f64), look: Look) -> Item {
    Item::Mark(Mark { at, error: None, look })
}

/// Every other line in another shade.
fn stripes(lines: usize, ends: (f64, f64)) -> impl Iterator<Item = Item> {
    let stripe = move |line: usize| Item::Ground(ends, (line as f64 - 0.5, line as f64 + 0.5), BAND);
    (0..lines).step_by(2).map(stripe)
}

fn tightness(names: &[String], found: &[Found]) -> Panel {
    let scale = Scale::Linear { low: -0.03, high: 1.05, whole: false };
    let mut items: Vec<Item> = stripes(names.len(), scale.ends()).collect();
    items.extend(found.iter().map(|f| mark((f.paper, f.line as f64), cross(f.colour))));
    items.extend(found.iter().map(|f| mark((f.tightness, f.line as f64), dot(f.colour))));
    Panel {
        title: "excess over the sum / bound".to_owned(),
        x: Axis::new("largest of Q→S; at 1 the bound is reached", scale),
        y: Axis::new("", Scale::Names(names.to_vec())),
        items,
        beyond: String::new(),
    }
}

fn shares(lines: usize, found: &[Found]) -> Panel {
    let scale = Scale::log(found.iter().map(|f| 100.0 * f.share), 1.5);
    let mut items: Vec<Item> = stripes(lines, scale.ends()).collect();
    items.extend(found.iter().map(|f| mark((100.0 * f.share, f.line as f64), dot(f.colour))));
    Panel {
        title: "blocks above the sum, %".to_owned(),
        x: Axis::new("by Q→S, both tie orders; no mark: none", scale),
        y: Axis::new("", Scale::Names(vec![String::new(); lines])),
        items,
        beyond: String::new(),
    }
}

fn legend(sources: &[&str]) -> Vec<Group> {
    let source = |(place, source): (usize, &&str)| (Sample::Mark(dot(colour(source, place))), (*source).to_owned());
    vec![
        Group::new("blocks", sources.iter().enumerate().map(source)),
        Group::new(
            "bound",
            [(Sample::Mark(dot(INK)), "tight: half a step a swap"), (Sample::Mark(cross(INK)), "the paper's")],
        ),
        Group::new("", [(Sample::Nothing, "* theorem 3.5 is not claimed by the record")]),
    ]
}
