//! Energy by layer, stacked by what spends it.

use interplay_hw::cost::{Accelerator, Cost, Energy};

use crate::report::chart::{Item, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::scale::{Axis, Scale, prefixed};
use crate::report::style::{INK, hue};

/// A bar a layer.
pub fn draw(work: &str, machine: &Accelerator, cost: &Cost) -> Figure {
    let total = &cost.total.energy.total;
    let joules = |pj: f64| format!("{}J", prefixed(pj / 1e12));
    let most = cost.layers.iter().map(|layer| layer.figures.energy.total.high).fold(1.0, f64::max);
    let (unit, size) = unit(most);
    let mut items = Vec::new();
    for (counted, layer) in cost.layers.iter().zip(0..) {
        let (x, mut below) = (f64::from(layer), 0.0);
        for (at, (_, pj)) in parts(&counted.figures.energy).into_iter().enumerate() {
            items.push(Item::Bar((x - 0.4, x + 0.4), (below, below + pj / size), hue(at)));
            below += pj / size;
        }
        let band = counted.figures.energy.total;
        items.push(Item::Range(x, (band.low / size, band.high / size)));
    }
    let count = cost.layers.len().max(1) as f64;
    let panel = Panel {
        title: format!(
            "{work} on {}: {} ({} to {})",
            machine.name,
            joules(total.typical),
            joules(total.low),
            joules(total.high)
        ),
        x: Axis::new("layer, in order of execution", Scale::Linear { low: -0.6, high: count - 0.4, whole: true }),
        y: Axis::new(format!("energy, {unit}"), Scale::Linear { low: 0.0, high: 1.05 * most / size, whole: false }),
        items,
        beyond: String::new(),
    };
    let parts = parts(&cost.total.energy).into_iter().enumerate().map(|(at, (name, _))| (Sample::Patch(hue(at)), name));
    let words = format!("from low to high constants; prices: {}", cost.prices);
    let legend = vec![Group::new("spent by", parts), Group::new("", [(Sample::Line(INK), words)])];
    Figure::new(vec![vec![panel]], 420.0, legend)
}

/// The unit in which an energy in pJ is a short number, and its pJ.
fn unit(pj: f64) -> (&'static str, f64) {
    let units = [("J", 1e12), ("mJ", 1e9), ("µJ", 1e6), ("nJ", 1e3)];
    units.into_iter().find(|(_, size)| pj >= *size).unwrap_or(("pJ", 1.0))
}

/// What spends energy, from the engine outwards, in pJ.
fn parts(energy: &Energy) -> Vec<(String, f64)> {
    let memories = energy.memory.iter().map(|(name, band)| (name.clone(), band.typical));
    [("arithmetic".to_owned(), energy.mac.typical), ("idle units".to_owned(), energy.idle.typical)]
        .into_iter()
        .chain(memories)
        .chain([("static".to_owned(), energy.leakage.typical)])
        .collect()
}
