//! The area of a machine: its units by their gates, its memories by CACTI.

use super::accelerator::{Accelerator, Capacity};
use super::gates::{UnitCost, unit};
use super::scale::{self, Technology};
use super::{Band, Cost, PriceList};
use crate::{Datapath, Error};
use interplay_formats::Format;
use serde::Serialize;

/// Areas in mm2.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Area {
    /// Multipliers and what belongs to them: the largest of the units that the workload used. Others are taken to share its
    /// parts.
    pub units: Band,
    /// Memories on the chip.
    pub memory: Band,
    /// Both. Control, networks, interfaces and everything else of a chip are no part of it.
    pub total: Band,
    /// Each unit that the workload used, one multiply-accumulate.
    pub each: Vec<UnitCost>,
}

/// How far macros of one size and width are from each other in area; an assumption, CACTI gives one number.
const MEMORY_BAND: Band = Band { typical: 1.0, low: 0.7, high: 1.4 };

/// The area of a machine at its own node.
///
/// # Errors
/// [`Error::Technology`] for a node that no scaling covers.
pub fn area(machine: &Accelerator, cost: &Cost, prices: &PriceList) -> Result<Area, Error> {
    let mut each: Vec<UnitCost> = Vec::new();
    let mut units = Band::default();
    for layer in &cost.layers {
        let datapath = Datapath::by_name(&layer.datapath)?;
        let (weight, activation) = (Format::by_name(layer.weights)?, Format::by_name(layer.activations)?);
        let found = unit(datapath, weight, activation, machine.node_nm)?;
        if each.contains(&found) {
            continue;
        }
        let rate =
            machine.units.iter().find(|unit| unit.datapath == layer.datapath).map_or(0, |u| u.rate(&machine.engine));
        let whole = found.area_um2 * (rate as f64 * machine.engine.cores() as f64 / 1e6);
        if whole.typical > units.typical {
            units = whole;
        }
        each.push(found);
    }
    let scaling = scale::area(Technology::at(prices.node_nm)?, Technology::at(machine.node_nm)?);
    let memory = MEMORY_BAND.scaled(Band::exact(on_chip(machine, prices) * scaling));
    Ok(Area { units, memory, total: units + memory, each })
}

/// Memories on the chip at the node of the list.
fn on_chip(machine: &Accelerator, prices: &PriceList) -> f64 {
    let levels = machine.memory.iter().filter(|level| level.technology == "sram");
    levels
        .map(|level| {
            let area = |kib: u64| prices.sram(kib, level.width_bits).area_mm2;
            let one = match level.kib {
                Capacity::Unified(kib) => area(kib),
                Capacity::Split { activations, weights, outputs } => area(activations) + area(weights) + area(outputs),
            };
            if level.per_core { one * machine.engine.cores() as f64 } else { one }
        })
        .sum()
}
