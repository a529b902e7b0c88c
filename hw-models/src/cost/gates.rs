//! Area and energy of any unit from what its record says: its operations, counted in full adders.
//!
//! The record's inventory gives operations and widths; `count` turns them into full-adder equivalents by textbook
//! rules; two constants a node, area and energy of a full adder with its share of wires, are fitted to post-layout units
//! ([`anchors`]). One more constant, the energy of a clocked register bit over that of a full adder, is common to all
//! nodes. How far the fit is from each unit is printed by [`anchors`], and the band of every answer is the worst of these.

mod anchors;
mod count;
mod fit;
mod zeros;

pub use anchors::{AnchorCheck, Quantity, anchors};
pub use count::float_add;
pub use fit::{Constants, constants};
pub use zeros::{Activity, activity};

use super::Band;
use crate::{Datapath, Error};
use count::Counted;
use interplay_formats::Format;
use serde::Serialize;

/// Pipeline stages where nothing is said: the middle of the integer anchors, which have 2, 3 and 5.
pub const STAGES: u32 = 3;

/// What one multiply-accumulate of a unit takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UnitCost {
    /// The unit.
    pub datapath: &'static str,
    /// Feature size in nm.
    pub node_nm: f64,
    /// Pipeline stages.
    pub stages: u32,
    /// Area of a multiplier with its share of what a step's products have in common, in um2.
    pub area_um2: Band,
    /// Energy of an active multiply-accumulate on random data, registers and clock included, in pJ.
    pub energy_pj_per_mac: Band,
    /// Energy of a clocked cycle without work, in pJ.
    pub idle_pj: Band,
    /// The parts, which add up to the typical figures.
    pub breakdown: Vec<Share>,
}

/// One part of a unit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Share {
    /// What it is.
    pub what: &'static str,
    /// Full-adder equivalents a multiply-accumulate.
    pub full_adders: f64,
    /// Area in um2.
    pub area_um2: f64,
    /// Energy in pJ.
    pub energy_pj: f64,
}

/// The cost of a unit on two formats at a node, with [`STAGES`] pipeline stages.
///
/// What is done once an output (the scales of integer rows) is no part of it: how many multiplications share an output
/// is the layer's business.
///
/// # Errors
/// [`Error::HostMultiplies`] where there is no unit, [`Error::Technology`] for a node outside 2 to 130 nm.
pub fn unit(datapath: &Datapath, weight: &Format, activation: &Format, node_nm: f64) -> Result<UnitCost, Error> {
    unit_of_stages(datapath, weight, activation, node_nm, STAGES)
}

/// The same with so many pipeline stages; 0 is a combinational unit whose registers are elsewhere.
///
/// # Errors
/// Those of [`unit()`].
pub fn unit_of_stages(
    datapath: &Datapath,
    weight: &Format,
    activation: &Format,
    node_nm: f64,
    stages: u32,
) -> Result<UnitCost, Error> {
    if datapath.is_host() {
        return Err(Error::HostMultiplies(datapath.name.to_owned()));
    }
    let constants = constants(node_nm)?;
    let counted = Counted::of(datapath, weight, activation, stages);
    let breakdown = counted.shares(&constants);
    let sum = |of: fn(&Share) -> f64| breakdown.iter().map(of).sum::<f64>();
    let (area, energy) = (sum(|share| share.area_um2), sum(|share| share.energy_pj));
    let idle = constants.register_pj * counted.register_bits;
    let (area_um2, energy_pj_per_mac) = (fit::band(Quantity::Area, area), fit::band(Quantity::Energy, energy));
    let idle_pj = fit::band(Quantity::Idle, idle);
    Ok(UnitCost { datapath: datapath.name, node_nm, stages, area_um2, energy_pj_per_mac, idle_pj, breakdown })
}
