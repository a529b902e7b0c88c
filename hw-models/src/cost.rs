//! What a workload costs on a machine: cycles, bits moved, energy, area. Counts first, prices second.
//!
//! [`cost`] counts from shapes, formats and records: two matrices of one shape, format and pattern cost the same, and the
//! order of pruning and quantisation has no place here. Only where a [`Layer`] carries statistics of the values that were
//! really seen do zeros change its energy.

mod accelerator;
mod area;
mod arithmetic;
mod band;
mod count;
mod cycles;
mod figures;
pub mod gates;
mod memory;
mod prices;
pub mod scale;
mod units;
mod workload;

pub use accelerator::{
    Accelerator, Capacity, ClockStatus, Dequantised, Engine, Memory, Pair, Refused, Run, Runs, Slot, Unit, ZeroOperand,
    Zeros,
};
pub use area::{Area, area};
pub use arithmetic::{Charge, Per, charges, charges_of};
pub use band::Band;
pub use cycles::{Accesses, CycleModel, Dataflow, Job, Timing};
pub use figures::{
    Cost, Elementwise, Energy, Figures, Holdings, LayerCost, LevelMoves, Losses, Rates, Shares, TimeSplit,
};
pub use memory::{Demand, Matrix, Moves, Order, Room, Tiling, tiled};
pub use prices::{Access, Macro, Operations, Price, PriceList, Sram, Status, sram_spread};
pub use units::{Bits, Cycles, Hertz};
pub use workload::{Gemm, Layer, Operation, Ratio, Second, Statistics, Workload};

use crate::Error;
use count::Placed;
use std::collections::{BTreeMap, HashMap};

/// The cost of a workload on `machine`, in the cycles of `model`, at `prices`.
///
/// # Errors
/// [`Error::ZeroDimension`], [`Error::TooLarge`], [`Error::Refused`] for formats that the machine cannot multiply, [`Error::OtherUnit`] for
/// what another unit computed,
/// [`Error::Room`] where a memory cannot hold the smallest tile, and those of [`CycleModel::time`].
pub fn cost(workload: &Workload, machine: &Accelerator, model: &CycleModel, prices: &PriceList) -> Result<Cost, Error> {
    // Blocks of a network repeat: equal layers are counted once.
    let mut known: HashMap<_, LayerCost> = HashMap::new();
    let mut layers = Vec::with_capacity(workload.layers.len());
    let mut host = Vec::new();
    for layer in &workload.layers {
        let key = layer.key();
        let counted = match known.get(&key) {
            Some(counted) => LayerCost { gemm: layer.gemm.clone(), ..counted.clone() },
            None => match Placed::new(layer, machine)? {
                Some(placed) => known.entry(key).or_insert(placed.cost(model, prices)?).clone(),
                None => {
                    host.push(layer.gemm.clone());
                    continue;
                }
            },
        };
        layers.push(counted);
    }
    Ok(Cost {
        accelerator: machine.name.clone(),
        cycle_model: model.name,
        prices: prices.name.clone(),
        total: total(&layers)?,
        layers,
        host,
        footprint: workload.holdings(),
        elementwise: elementwise(workload, machine),
    })
}

/// All layers, one after the other.
fn total(layers: &[LayerCost]) -> Result<Figures, Error> {
    let mut total = Figures::default();
    let mut bound: BTreeMap<&str, f64> = BTreeMap::new();
    for layer in layers {
        let too_large = || Error::TooLarge { layer: layer.gemm.name.clone(), quantity: "totals" };
        total = total.plus(&layer.figures).ok_or_else(too_large)?;
        *bound.entry(&layer.figures.bound).or_default() += layer.figures.seconds;
    }
    let most = bound.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    total.bound = most.map_or(String::new(), |(name, _)| name.to_owned());
    Ok(total)
}

fn elementwise(workload: &Workload, machine: &Accelerator) -> Elementwise {
    let sum = |of: fn(&Operation) -> Bits| {
        Bits(workload.elementwise.iter().fold(0, |sum, operation| sum.saturating_add(of(operation).0)))
    };
    let (reads, writes) = (sum(|o| o.reads), sum(|o| o.writes));
    let rate = machine.main_memory_bits_per_second();
    let operations = workload.elementwise.len() as u64;
    Elementwise { operations, reads, writes, seconds: (reads.0 as f64 + writes.0 as f64) / rate }
}
