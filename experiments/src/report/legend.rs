//! What the marks mean: a line or more below the panels.

use crate::report::chart::words;
use crate::report::scene::{Anchor, Bounds, Draw, Role, Scene};
use crate::report::style::{self, BODY, Colour, INK, Look, SOFT};

/// What is shown beside a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sample {
    /// A mark.
    Mark(Look),
    /// A line.
    Line(Colour),
    /// A dashed line.
    Dashed(Colour),
    /// A patch.
    Patch(Colour),
    /// An error bar.
    Bar,
    /// Nothing: the text says it all.
    Nothing,
}

/// Entries that answer one question.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The question; may be empty.
    pub title: String,
    /// Samples with texts.
    pub entries: Vec<(Sample, String)>,
}

impl Group {
    /// A group.
    pub fn new<T: Into<String>>(title: &str, entries: impl IntoIterator<Item = (Sample, T)>) -> Self {
        let entries = entries.into_iter().map(|(sample, text)| (sample, text.into())).collect();
        Self { title: title.to_owned(), entries }
    }
}

const LINE: f64 = 20.0;
const SAMPLE: f64 = 26.0;
const GAP: f64 = 16.0;

/// Draws groups from `top` on between `left` and `right`; gives the y of its end.
pub fn draw(scene: &mut Scene, groups: &[Group], (left, right): (f64, f64), top: f64) -> f64 {
    let (mut x, mut y) = (left, top + LINE / 2.0);
    for group in groups.iter().filter(|group| !group.entries.is_empty()) {
        let title = if group.title.is_empty() { 0.0 } else { style::width(&group.title, BODY, true) + 12.0 };
        let whole: f64 = title + group.entries.iter().map(needs).sum::<f64>();
        if x > left && x + whole > right {
            (x, y) = (left, y + LINE);
        }
        let indent = left + title;
        if title > 0.0 {
            scene.add(Role::Text, words(&group.title, (x, y), Anchor::Start, BODY, INK, true));
        }
        x += title;
        for entry in &group.entries {
            if x > indent && x + needs(entry) - GAP > right {
                (x, y) = (indent, y + LINE);
            }
            sample(scene, entry.0, (x, y));
            let from = x + shown(entry.0);
            scene.add(Role::Text, words(&entry.1, (from, y), Anchor::Start, BODY, INK, false));
            x += needs(entry);
        }
        x += GAP;
    }
    y + LINE / 2.0
}

fn shown(sample: Sample) -> f64 {
    match sample {
        Sample::Nothing => 0.0,
        Sample::Mark(_) | Sample::Bar => SAMPLE - 10.0,
        _ => SAMPLE,
    }
}

/// The pixels of an entry and the gap behind it.
fn needs((sample, text): &(Sample, String)) -> f64 {
    shown(*sample) + style::width(text, BODY, false) + GAP
}

fn sample(scene: &mut Scene, sample: Sample, (x, y): (f64, f64)) {
    let line = |colour, dash| Draw::Line(vec![(x, y), (x + 20.0, y)], colour, 2.2, dash);
    match sample {
        Sample::Mark(look) => scene.add(Role::Mark, Draw::Mark((x + 6.0, y), look)),
        Sample::Line(colour) => scene.add(Role::Mark, line(colour, None)),
        Sample::Dashed(colour) => scene.add(Role::Mark, line(colour, Some((5.0, 3.0)))),
        Sample::Patch(colour) => {
            scene.add(Role::Mark, Draw::Rectangle(Bounds::new(x, y - 5.0, x + 20.0, y + 5.0), colour));
        }
        Sample::Bar => {
            for (from, to) in [((6.0, -6.0), (6.0, 6.0)), ((3.0, -6.0), (9.0, -6.0)), ((3.0, 6.0), (9.0, 6.0))] {
                let points = [from, to].map(|(dx, dy)| (x + dx, y + dy)).to_vec();
                scene.add(Role::Spread, Draw::Line(points, SOFT, 1.0, None));
            }
        }
        Sample::Nothing => {}
    }
}
