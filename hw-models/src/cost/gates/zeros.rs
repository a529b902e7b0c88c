//! What zeros, held weights and idle cycles take: fractions of an active multiply-accumulate on random data.
//!
//! A factor `1 - sparsity` is wrong: units without gating spend most of their energy on zeros too. Three ways:
//! * `skip`: the multiplication does not happen; it is not counted, and there is nothing to price;
//! * `gate`: it takes its cycle with held operands, and only the clock runs: the idle energy;
//! * `none`: what post-layout units show. With half of the operands zero they take `r` of the random energy, so a
//!   multiplication by zero takes `2 r - 1`.
//!
//! Typical figures are medians over the anchors that have the figure, bands their extremes.

use super::anchors::Anchor;
use crate::cost::Band;
use serde::Serialize;

/// Energies over that of an active multiply-accumulate on random data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Activity {
    /// On random operands: 1.
    pub active: Band,
    /// The weight stays from cycle to cycle.
    pub weight_held: Band,
    /// An operand is zero, and the cycle is taken.
    pub zero_operand: Band,
    /// Clocked without work.
    pub idle: Band,
}

/// The fractions of a machine that stands still on zeros or does not (`gated`), and whose idle cycles take `idle` of an
/// active one (0 to 1; what is outside is brought to the nearer end).
pub fn activity(gated: bool, idle: f64) -> Activity {
    let measured = of(|anchor| anchor.idle_pj, |ratio| ratio);
    let idle = if idle.is_nan() { measured.typical } else { idle.clamp(0.0, 1.0) };
    let idle = Band { typical: idle, low: measured.low.min(idle), high: measured.high.max(idle) };
    Activity {
        active: Band::exact(1.0),
        weight_held: of(|anchor| anchor.held_pj, |ratio| ratio),
        zero_operand: if gated { idle } else { of(|anchor| anchor.half_zeros_pj, |ratio| 2.0 * ratio - 1.0) },
        idle,
    }
}

/// Median and extremes of a figure over the random energy of its unit. No multiplication by zero takes more than one of
/// random numbers: the one unit that shows 1 % more is taken as 1.
fn of(figure: fn(&Anchor) -> Option<f64>, reading: fn(f64) -> f64) -> Band {
    let ratios = Anchor::all().iter().filter_map(|anchor| Some(reading(figure(anchor)? / anchor.energy_pj).min(1.0)));
    let mut ratios: Vec<f64> = ratios.collect();
    ratios.sort_by(f64::total_cmp);
    let typical = ratios.get(ratios.len() / 2).copied().unwrap_or(1.0);
    let (low, high) = (ratios.first().copied().unwrap_or(typical), ratios.last().copied().unwrap_or(typical));
    Band { typical, low, high }
}
