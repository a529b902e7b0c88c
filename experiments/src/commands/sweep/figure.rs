//! All points over the first two objectives, the front on top.

use super::grid::File;
use super::{Costed, front};
use crate::report::chart::{Curve, Item, Mark, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::in_order;
use crate::report::scale::{Axis, Scale};
use crate::report::style::{self, FORMATS, INK, Look, SOFT, Shape, hue};

/// Draws it.
pub fn draw(file: &File, costed: &[Costed]) -> Figure {
    let name = |at: usize| file.minimise.get(at).map_or("energy_pj", String::as_str);
    let point = |c: &Costed| (front::value(c, name(0)), front::value(c, name(1)));
    let able: Vec<&Costed> = costed.iter().filter(|c| c.error.is_none()).collect();
    let labels = in_order(able.iter().map(|c| file.hue_of(&c.point).1));
    let colour = |at: usize| {
        // Formats have the colours that they have in every figure, if all of these have one.
        let formats = labels.iter().all(|label| FORMATS.iter().any(|(name, _)| name == label));
        if formats { style::colour(&labels[at]) } else { hue(at) }
    };
    let look = |c: &Costed| {
        let at = labels.iter().position(|label| *label == file.hue_of(&c.point).1).unwrap_or(0);
        Look { faint: !c.front, ..Look::new(Shape::Circle, colour(at)) }.radius(if c.front { 4.5 } else { 2.0 })
    };
    let mut items = vec![Item::Curve(Curve {
        colour: SOFT,
        dashed: false,
        points: best(&able, point),
        errors: Vec::new(),
        dot: None,
    })];
    let sorted = able.iter().filter(|c| !c.front).chain(able.iter().filter(|c| c.front));
    items.extend(sorted.map(|c| Item::Mark(Mark { at: point(c), error: None, look: look(c) })));
    let panel = Panel {
        title: format!("{} points", able.len()),
        x: Axis::new(quantity(name(0)), Scale::log(able.iter().map(|c| point(c).0), 1.3)).prefixed(),
        y: Axis::new(quantity(name(1)), Scale::log(able.iter().map(|c| point(c).1), 1.3)).prefixed(),
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
fn best(able: &[&Costed], point: impl Fn(&Costed) -> (f64, f64)) -> Vec<(f64, f64)> {
    let mut best: Vec<(f64, f64)> = able.iter().filter(|c| c.front).map(|c| point(c)).collect();
    best.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut least = f64::INFINITY;
    best.retain(|p| {
        let better = p.1 < least;
        least = least.min(p.1);
        better
    });
    best
}
