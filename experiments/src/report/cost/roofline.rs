//! The roofline with every layer on it: operations a second over operations a byte of main memory.

use interplay_hw::cost::{Accelerator, Cost, LayerCost};

use crate::report::chart::{Curve, Item, Mark, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::in_order;
use crate::report::scale::{Axis, Scale, prefixed};
use crate::report::style::{Look, Shape, hue};

/// Names at most; layers of equal shape lie on top of each other.
const NAMES: usize = 12;

/// One roof for each unit that a layer uses, since peaks differ.
pub fn draw(work: &str, machine: &Accelerator, cost: &Cost) -> Figure {
    let layers: Vec<&LayerCost> = cost.layers.iter().filter(|layer| layer.figures.intensity > 0.0).collect();
    let units = in_order(layers.iter().map(|layer| layer.datapath.clone()));
    let point = |layer: &LayerCost| (layer.figures.intensity, layer.figures.rates().dense_equivalent_tops * 1e12);
    let roofs: Vec<(f64, f64)> = units.iter().map(|unit| roof(&layers, unit)).collect();
    let x = Scale::log(layers.iter().map(|layer| point(layer).0).chain(roofs.iter().map(|r| r.0)), 3.0);
    let y = Scale::log(layers.iter().map(|layer| point(layer).1).chain(roofs.iter().map(|r| r.1)), 2.5);
    let (mut items, mut entries) = (Vec::new(), Vec::new());
    for ((at, unit), (edge, top)) in units.iter().enumerate().zip(roofs) {
        let (left, right) = x.ends();
        let slope = top / edge;
        let start = (y.ends().0 / slope).max(left);
        let points = vec![(start, slope * start), (edge, top), (right, top)];
        items.push(Item::Curve(Curve { colour: hue(at), dashed: false, points, errors: Vec::new(), dot: None }));
        let of_this = layers.iter().filter(|layer| &layer.datapath == unit);
        let look = Look::new(Shape::Circle, hue(at));
        items.extend(of_this.map(|layer| Item::Mark(Mark { at: point(layer), error: None, look })));
        entries.push((Sample::Line(hue(at)), format!("{unit}: peak {}op/s, ridge {edge:.0} op/B", prefixed(top))));
    }
    let mut named: Vec<(f64, f64)> = Vec::new();
    for layer in &layers {
        let at = point(layer);
        let near = |other: &(f64, f64)| {
            (x.place(other.0) - x.place(at.0)).abs() < 0.01 && (y.place(other.1) - y.place(at.1)).abs() < 0.01
        };
        if named.len() < NAMES && !named.iter().any(near) {
            named.push(at);
            items.push(Item::Label(at, layer.gemm.name.clone()));
        }
    }
    let panel = Panel {
        title: format!("{work} on {}: roofline of main memory", machine.name),
        x: Axis::new("operations (two a dense multiply-accumulate) a byte of main memory", x),
        y: Axis::new("operations a second, dense-equivalent", y).prefixed(),
        items,
        beyond: String::new(),
    };
    Figure::new(vec![vec![panel]], 460.0, vec![Group::new("roof", entries)])
}

/// The ridge in operations a byte and the peak in operations a second of a unit.
fn roof(layers: &[&LayerCost], unit: &str) -> (f64, f64) {
    let own = || layers.iter().filter(|layer| layer.datapath == unit);
    (own().next().map_or(1.0, |layer| layer.figures.ridge), own().map(|l| l.peak_tops * 1e12).fold(0.0, f64::max))
}
