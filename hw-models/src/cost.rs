//! What a workload costs on a machine: cycles, bits moved, energy. Counts first, prices second.
//!
//! [`cost`] counts from shapes, formats and records alone: it never sees a weight, so two matrices of one shape, format
//! and pattern cost the same. In particular the order of pruning and quantisation has no place here.
//! Stalls on memory are not modelled: cycles are those of the array, as the chosen [`CycleModel`] defines them.

mod accelerator;
mod arithmetic;
mod band;
mod cycles;
pub mod gates;
mod prices;
pub mod scale;
mod traffic;
mod units;
mod workload;

pub use accelerator::{Accelerator, Buffers};
pub use arithmetic::{Charge, Per, charges, charges_of};
pub use band::Band;
pub use cycles::{Array, CycleModel, Dataflow};
pub use prices::{Access, Macro, Operations, Price, PriceList, Sram, Status, sram_spread};
pub use traffic::{Accesses, Traffic, accesses};
pub use units::{Bits, Cycles, Hertz, Picojoules};
pub use workload::{Gemm, Layer, Ratio, Workload};

use crate::Error;
use arithmetic::Events;
use serde::Serialize;
use traffic::Moved;

/// The cost of a workload on one machine, under one cycle model and one price list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Name of the machine.
    pub accelerator: &'static str,
    /// Name of the cycle model.
    pub cycle_model: &'static str,
    /// Name of the price list.
    pub prices: String,
    /// One entry a layer, in workload order.
    pub layers: Vec<LayerCost>,
    /// All layers together.
    pub total: Figures,
}

/// The cost of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerCost {
    /// The product itself.
    #[serde(flatten)]
    pub gemm: Gemm,
    /// The datapath that the formats call for.
    pub datapath: &'static str,
    /// What it costs, all `count` executions together.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Counts and energy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Multiply-accumulates of the dense product, M * K * N.
    pub macs: u64,
    /// Those that the array performs: fewer only where the machine skips pruned weights.
    pub macs_executed: u64,
    /// Time in clock cycles.
    pub cycles: Cycles,
    /// Executed multiply-accumulates over what the array could do in that time, 0 to 1.
    pub utilisation: f64,
    /// Bits into and out of the on-chip buffers.
    pub sram: Traffic,
    /// Bits into and out of main memory.
    pub dram: Traffic,
    /// Energy.
    #[serde(rename = "energy_pj")]
    pub energy: Energy,
}

/// Energy by what spends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Energy {
    /// Multipliers, adders and scaling.
    pub mac: Picojoules,
    /// On-chip buffers.
    pub sram: Picojoules,
    /// Main memory.
    pub dram: Picojoules,
    /// The sum of these.
    pub total: Picojoules,
}

/// The cost of a workload on `accelerator`, in the cycles of `model`, at `prices`.
///
/// # Errors
/// [`Error::ZeroDimension`], [`Error::TooLarge`], [`Error::Dataflow`] for a cycle model that the machine's array has
/// none of, [`Error::MissingUnit`] for formats that the machine cannot multiply.
pub fn cost(
    workload: &Workload,
    accelerator: &Accelerator,
    model: CycleModel,
    prices: &PriceList,
) -> Result<Cost, Error> {
    let layers =
        workload.0.iter().map(|layer| layer_cost(layer, accelerator, model, prices)).collect::<Result<Vec<_>, _>>()?;
    let mut total = Figures::default();
    for layer in &layers {
        total = total.plus(&layer.figures).ok_or_else(|| too_large(&layer.gemm, "totals"))?;
    }
    total.utilisation = accelerator.array.utilisation(total.macs_executed, total.cycles);
    Ok(Cost { accelerator: accelerator.name, cycle_model: model.name(), prices: prices.name.clone(), layers, total })
}

/// Counts one layer, then prices the counts.
fn layer_cost(
    layer: &Layer,
    accelerator: &Accelerator,
    model: CycleModel,
    prices: &PriceList,
) -> Result<LayerCost, Error> {
    let gemm = &layer.gemm;
    let datapath = accelerator.unit_for(layer)?;
    let skip = accelerator.skip_for(layer.pattern);
    let cycles = model.cycles(gemm, &accelerator.array, skip)?;
    let events = Events::count(layer, skip).ok_or_else(|| too_large(gemm, "operations"))?;
    let moved = Moved::count(layer, accelerator, skip).ok_or_else(|| too_large(gemm, "bits moved"))?;
    let energy = Energy::new(
        events.energy(layer, prices),
        moved.sram_energy(&accelerator.buffers, prices),
        prices.main_memory().of_bits(moved.dram.total()),
    );
    let utilisation = accelerator.array.utilisation(events.macs_executed, cycles);
    let (sram, dram) = (moved.sram, moved.dram);
    let figures =
        Figures { macs: events.macs, macs_executed: events.macs_executed, cycles, utilisation, sram, dram, energy };
    Ok(LayerCost { gemm: gemm.clone(), datapath: datapath.name, figures })
}

fn too_large(gemm: &Gemm, quantity: &'static str) -> Error {
    Error::TooLarge { layer: gemm.name.clone(), quantity }
}

impl Energy {
    fn new(mac: Picojoules, sram: Picojoules, dram: Picojoules) -> Self {
        Self { mac, sram, dram, total: mac + sram + dram }
    }
}

impl Figures {
    /// Both together; the utilisation is left for the caller, who knows the array.
    fn plus(&self, other: &Self) -> Option<Self> {
        Some(Self {
            macs: self.macs.checked_add(other.macs)?,
            macs_executed: self.macs_executed.checked_add(other.macs_executed)?,
            cycles: Cycles(self.cycles.0.checked_add(other.cycles.0)?),
            utilisation: 0.0,
            sram: self.sram.plus(&other.sram)?,
            dram: self.dram.plus(&other.dram)?,
            energy: Energy::new(
                self.energy.mac + other.energy.mac,
                self.energy.sram + other.energy.sram,
                self.energy.dram + other.energy.dram,
            ),
        })
    }
}
