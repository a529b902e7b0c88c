//! The constants of a node, fitted to the anchors.
//!
//! With `A` full adders and `R` register bits, area is `area_um2 (A + 0.69 R)`, energy on random data
//! `energy_pj A + register_pj R` (`A` those that switch) and idle energy `register_pj R`. `register_pj` is the same
//! multiple of `energy_pj` at every node. All logarithms of measured over modelled count alike, and their squares are
//! least: for a given multiple the constant of a node is a geometric mean, and the multiple itself is searched in steps
//! of 1 %. Between the nodes of the anchors constants are interpolated in log-log; above them they follow Stillmaker and
//! Baas, below them its users' rule ([`scale`]).

use super::super::scale::{self, Technology};
use super::anchors::{Anchor, Quantity, counted};
use super::count::REGISTER_AREA;
use crate::Error;
use crate::cost::Band;
use interplay_formats::math;
use serde::Serialize;
use std::sync::LazyLock;

/// What a full adder takes at a node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Constants {
    /// Area of a full adder with its wires, in um2.
    pub area_um2: f64,
    /// Energy of a switching full adder with its wires, in pJ.
    pub energy_pj: f64,
    /// Energy of a register bit with its share of the clock, in pJ.
    pub register_pj: f64,
}

/// A node of the anchors.
struct Node {
    technology: Technology,
    constants: Constants,
}

/// The fitted nodes, by rising feature size.
static FIT: LazyLock<Vec<Node>> = LazyLock::new(|| {
    let ratios = (0..400).map(|step| 0.1 * math::powi(1.01, step));
    let best = ratios.map(|ratio| (residual(ratio), ratio)).min_by(|a, b| a.0.total_cmp(&b.0));
    let ratio = best.map_or(1.0, |(_, ratio)| ratio);
    let constants = |technology: Technology| {
        let energy_pj = geometric_mean(energies(technology.nm(), ratio));
        let area_um2 = geometric_mean(areas(technology.nm()));
        Constants { area_um2, energy_pj, register_pj: ratio * energy_pj }
    };
    technologies().into_iter().map(|technology| Node { technology, constants: constants(technology) }).collect()
});

/// Measured over modelled, least and greatest, of each quantity.
static SPREAD: LazyLock<[(f64, f64); 3]> = LazyLock::new(|| {
    let spread = |quantity| {
        let ratios = super::anchors::anchors().into_iter().filter(|check| check.fitted && check.quantity == quantity);
        ratios
            .map(|check| check.measured / check.modelled)
            .fold((1.0, 1.0), |(low, high): (f64, f64), ratio| (low.min(ratio), high.max(ratio)))
    };
    Quantity::ALL.map(spread)
});

/// The constants at a node.
///
/// # Errors
/// [`Error::Technology`] outside 2 to 130 nm.
pub fn constants(node_nm: f64) -> Result<Constants, Error> {
    let to = Technology::at(node_nm)?;
    let above = FIT.partition_point(|node| node.technology.nm() < to.nm());
    match (above.checked_sub(1).and_then(|below| FIT.get(below)), FIT.get(above)) {
        (Some(small), Some(large)) => Ok(small.towards(large, to.nm())),
        (Some(edge), None) | (None, Some(edge)) => edge.scaled(to.nm()),
        (None, None) => Err(Error::Technology { nm: node_nm, volts: 0.8 }),
    }
}

/// A modelled figure with the errors that the model is known to make.
pub(super) fn band(quantity: Quantity, typical: f64) -> Band {
    let (low, high) = SPREAD[quantity as usize];
    Band::within(typical, low, high)
}

impl Node {
    fn towards(&self, large: &Self, nm: f64) -> Constants {
        let (x0, x1) = (self.technology.nm(), large.technology.nm());
        let t = math::ln(nm / x0) / math::ln(x1 / x0);
        let mix = |of: fn(&Constants) -> f64| {
            let (a, b) = (of(&self.constants), of(&large.constants));
            a * math::powf(b / a, t)
        };
        Constants {
            area_um2: mix(|c| c.area_um2),
            energy_pj: mix(|c| c.energy_pj),
            register_pj: mix(|c| c.register_pj),
        }
    }

    /// At the supply of the anchors.
    fn scaled(&self, nm: f64) -> Result<Constants, Error> {
        let to = Technology::new(nm, self.technology.volts())?;
        let (area, energy) = (scale::area(self.technology, to), scale::energy(self.technology, to));
        let Constants { area_um2, energy_pj, register_pj } = self.constants;
        Ok(Constants { area_um2: area_um2 * area, energy_pj: energy_pj * energy, register_pj: register_pj * energy })
    }
}

fn technologies() -> Vec<Technology> {
    let mut all: Vec<Technology> = Anchor::all().iter().filter_map(|anchor| anchor.technology().ok()).collect();
    all.sort_by(|a, b| a.nm().total_cmp(&b.nm()));
    all.dedup_by_key(|technology| technology.nm());
    all
}

fn areas(nm: f64) -> Vec<f64> {
    let at = Anchor::all().iter().filter(|anchor| anchor.node_nm == nm);
    at.map(|anchor| {
        let counted = counted(anchor);
        anchor.area_um2 / (counted.full_adders().0 + REGISTER_AREA * counted.register_bits)
    })
    .collect()
}

/// Energy of a full adder as each anchor of the node says, if a register bit takes `ratio` times as much.
fn energies(nm: f64, ratio: f64) -> Vec<f64> {
    let at = Anchor::all().iter().filter(|anchor| anchor.node_nm == nm);
    at.flat_map(|anchor| {
        let counted = counted(anchor);
        let registers = ratio * counted.register_bits;
        let idle = anchor.idle_pj.map(|idle| idle / registers);
        [Some(anchor.energy_pj / (counted.full_adders().1 + registers)), idle]
    })
    .flatten()
    .collect()
}

fn geometric_mean(values: Vec<f64>) -> f64 {
    math::exp(values.iter().map(|value| math::ln(*value)).sum::<f64>() / values.len().max(1) as f64)
}

/// The sum of squared logarithms that the best constants leave.
fn residual(ratio: f64) -> f64 {
    let squares = |values: Vec<f64>| {
        let mean = geometric_mean(values.clone());
        values.iter().map(|value| math::powi(math::ln(value / mean), 2)).sum::<f64>()
    };
    technologies().iter().map(|technology| squares(energies(technology.nm(), ratio))).sum()
}
