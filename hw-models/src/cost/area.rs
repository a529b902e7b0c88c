//! The area of a machine: its units by their gates, its memories by CACTI.

use super::accelerator::{Accelerator, Runs};
use super::gates::{UnitCost, unit};
use super::scale::{self, Technology};
use super::{Band, Cost, LayerCost, PriceList, Sram};
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
    /// The total by component: the parts of the largest unit by its gates, then the memories by name.
    pub parts: Vec<(String, Band)>,
    /// Why other formats would have the same area, where one unit takes the place of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
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
    let (mut parts, mut largest) = (Vec::new(), None);
    for layer in &cost.layers {
        let datapath = Datapath::by_name(&layer.datapath)?;
        let [weight, activation] = layer.operands.map(Format::by_name);
        let (weight, activation) = (weight?, activation?);
        let found = unit(datapath, weight, activation, machine.node_nm)?;
        let whole = found.area_um2 * (layer.macs_per_cycle as f64 * machine.engine.cores() as f64 / 1e6);
        if whole.typical > units.typical {
            units = whole;
            let gates: f64 = found.breakdown.iter().map(|part| part.area_um2).sum();
            let shares = found.breakdown.iter().map(|part| (part.what.to_owned(), whole * (part.area_um2 / gates)));
            parts = shares.collect();
            largest = Some(layer);
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
    let memories = on_chip(machine, prices);
    let scaled = |mm2: f64| MEMORY_BAND.scaled(Band::exact(mm2 * scaling));
    let memory = scaled(memories.iter().map(|(_, mm2)| mm2).sum());
    parts.extend(memories.into_iter().map(|(name, mm2)| (name, scaled(mm2))));
    let note = largest.and_then(|layer| hidden(layer, each.len()));
    Ok(Area { units, memory, total: units + memory, parts, note, each })
}

/// Why another format may give the same area, if it may: of several units the largest counts, and a unit that others become
/// operands of is one for all.
fn hidden(largest: &LayerCost, units: usize) -> Option<String> {
    let (unit, [weight, activation]) = (&largest.datapath, largest.operands);
    match largest.runs {
        Runs::Dequantised => Some(format!(
            "{unit} multiplies {weight} weights by {activation} activations whatever is stored, so that every format that this \
             machine dequantises has this area"
        )),
        _ if units > 1 => Some(format!(
            "{unit} is the largest of {units} units, which are taken to share its parts, so that every format whose unit is \
             smaller has this area"
        )),
        _ => None,
    }
}

/// Memories on the chip by name, at the node of the list, in mm2.
fn on_chip(machine: &Accelerator, prices: &PriceList) -> Vec<(String, f64)> {
    let levels = machine.memory.iter().filter(|level| level.technology == "sram");
    levels
        .map(|level| {
            let copies = if level.per_core { machine.engine.cores() as f64 } else { 1.0 };
            let each = level.kib.parts().iter().map(|kib| prices.sram(*kib, level.width_bits).area_mm2).sum::<f64>();
            (level.name.clone(), each * copies)
        })
        .collect()
}
