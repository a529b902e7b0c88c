//! The loss curve as a picture.

use interplay::train::Point;
use interplay::train::finetune::Settings;

use crate::report::chart::{Curve, Item, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::scale::{Axis, Scale};
use crate::report::style::{HUES, Look, Shape};

/// Both losses over the steps.
pub(super) fn losses(settings: &Settings, curve: &[Point]) -> Figure {
    let points = |loss: fn(&Point) -> f64| curve.iter().map(|p| (p.step as f64, loss(p))).collect::<Vec<_>>();
    let lines = [("training", HUES[1], points(|p| p.train_loss)), ("held-out", HUES[0], points(|p| p.held_out_loss))];
    let losses = lines.iter().flat_map(|(_, _, points)| points.iter().map(|(_, loss)| *loss));
    let samples = lines.iter().map(|(name, colour, _)| (Sample::Line(*colour), *name)).collect::<Vec<_>>();
    let y = Scale::linear(losses, 0.08);
    let items = lines.into_iter().map(|(_, colour, points)| {
        let dot = Some(Look::new(Shape::Circle, colour).radius(2.5));
        Item::Curve(Curve { colour, dashed: false, points, errors: Vec::new(), dot })
    });
    let panel = Panel {
        title: format!("{}, recipe {}, {}, {}", settings.model, settings.recipe, settings.format, settings.sparsity),
        x: Axis::new("step", Scale::whole([0.0, settings.steps as f64].into_iter(), 0.02)),
        y: Axis::new("loss, nats (lower is better)", y),
        items: items.collect(),
        beyond: String::new(),
    };
    Figure { width: 720.0, ..Figure::new(vec![vec![panel]], 380.0, vec![Group::new("loss", samples)]) }
}
