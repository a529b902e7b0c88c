//! The area of a machine: its units by their gates, its memories by CACTI.

use super::accelerator::Accelerator;
use super::gates::{UnitCost, unit};
use super::scale::{self, Technology};
use super::{Band, Cost, PriceList, Sram};
use crate::{Datapath, Error};
use interplay_formats::Format;
use serde::Serialize;

/// Areas in mm2.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Area {
    /// Multipliers and what belongs to them: the largest of the units that the workload used. Others are taken to share its
    /// parts.
    pub units: Band,
    /// Memories on the chip; register files are part of what is left out below.
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
        let [weight, activation] = layer.operands.map(Format::by_name);
        let (weight, activation) = (weight?, activation?);
        let found = unit(datapath, weight, activation, machine.node_nm)?;
        let whole = found.area_um2 * (layer.macs_per_cycle as f64 * machine.engine.cores() as f64 / 1e6);
        if whole.typical > units.typical {
            units = whole;
        }
        if !each.contains(&found) {
            each.push(found);
        }
    }
    let from = match prices.sram {
        Sram::Cacti { node_nm } => node_nm,
        Sram::Points { .. } => prices.node_nm,
    };
    let scaling = scale::area(Technology::at(from)?, Technology::at(machine.node_nm)?);
    let memory = MEMORY_BAND.scaled(Band::exact(on_chip(machine, prices) * scaling));
    Ok(Area { units, memory, total: units + memory, each })
}

/// Memories on the chip at the node of the list, in mm2.
fn on_chip(machine: &Accelerator, prices: &PriceList) -> f64 {
    let levels = machine.memory.iter().filter(|level| level.technology == "sram");
    levels
        .map(|level| {
            let copies = if level.per_core { machine.engine.cores() as f64 } else { 1.0 };
            let each = level.kib.parts().iter().map(|kib| prices.sram(*kib, level.width_bits).area_mm2).sum::<f64>();
            each * copies
        })
        .sum()
}
