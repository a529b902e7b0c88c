//! All points over the first two objectives, the front on top.

use super::grid::File;
use super::{Costed, Costs, front};
use crate::report::chart::{Curve, Item, Mark, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::in_order;
use crate::report::scale::{Axis, Scale};
use crate::report::style::{self, FORMATS, INK, Look, SOFT, Shape, hue};

/// Points beside the front that are drawn at most: more would hide each other, and a figure of a million opens nowhere.
const MARKS: usize = 10_000;

/// Draws it.
pub fn draw(file: &File, costs: &Costs) -> Figure {
    let name = |at: usize| file.minimise.get(at).map_or("energy_pj", String::as_str);
    let point = |c: &Costed| (front::value(c, name(0)), front::value(c, name(1)));
    let able = || costs.points.iter().enumerate().filter(|(_, c)| c.error.is_none());
    let labels = in_order(able().map(|(at, _)| file.hue_of(at)));
    let colour = |at: usize| {
        // Formats have the colours that they have in every figure, if all of these have one.
        let formats = labels.iter().all(|label| FORMATS.iter().any(|(name, _)| name == label));
        if formats { style::colour(&labels[at]) } else { hue(at) }
    };
    let look = |at: usize, c: &Costed| {
        let label = labels.iter().position(|label| *label == file.hue_of(at)).unwrap_or(0);
        Look { faint: !c.front, ..Look::new(Shape::Circle, colour(label)) }.radius(if c.front { 4.5 } else { 2.0 })
    };
    let mut items = vec![Item::Curve(Curve {
        colour: SOFT,
        dashed: false,
        points: best(able().map(|(_, c)| c), point),
        errors: Vec::new(),
        dot: None,
    })];
    let (count, beside) = (able().count(), able().filter(|(_, c)| !c.front).count());
    let every = beside.div_ceil(MARKS).max(1);
    let sorted = able().filter(|(_, c)| !c.front).step_by(every).chain(able().filter(|(_, c)| c.front));
    items.extend(sorted.map(|(at, c)| Item::Mark(Mark { at: point(c), error: None, look: look(at, c) })));
    let title = match every {
        1 => format!("{count} points"),
        _ => format!("{count} points; of those beside the front one in {every} is drawn"),
    };
    let panel = Panel {
        title,
        x: Axis::new(quantity(name(0)), Scale::log(able().map(|(_, c)| point(c).0), 1.3)).prefixed(),
        y: Axis::new(quantity(name(1)), Scale::log(able().map(|(_, c)| point(c).1), 1.3)).prefixed(),
        items,
        beyond: String::new(),
    };
    let circle = |colour| Look::new(Shape::Circle, colour);
    let colours = labels.iter().enumerate().map(|(at, label)| (Sample::Mark(circle(colour(at))), label.clone()));
    let small = Look { faint: true, ..circle(INK) }.radius(2.0);
    let legend = vec![
        Group::new(file.hue(), colours),
        Group::new(
            "marks",
            [
                (Sample::Mark(circle(INK)), "on the front of all objectives"),
                (Sample::Mark(small), "not"),
                (Sample::Line(SOFT), "front of these two"),
            ],
        ),
    ];
    Figure::new(vec![vec![panel]], 460.0, legend)
}

/// The axis of an objective.
fn quantity(objective: &str) -> String {
    match objective {
        "energy_pj" => "energy, pJ (lower is better)".to_owned(),
        "seconds" => "time, s (lower is better)".to_owned(),
        "area_mm2" => "area, mm² (lower is better)".to_owned(),
        "weights_bits" => "stored weights, bits (lower is better)".to_owned(),
        other => other.to_owned(),
    }
}

/// The points of the front that are on that of the first two objectives, by the first.
fn best<'a>(able: impl Iterator<Item = &'a Costed>, point: impl Fn(&Costed) -> (f64, f64)) -> Vec<(f64, f64)> {
    let mut best: Vec<(f64, f64)> = able.filter(|c| c.front).map(point).collect();
    best.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = f64::INFINITY;
    best.retain(|p| {
        let better = p.1 < least;
        least = least.min(p.1);
        better
    });
    best
}
