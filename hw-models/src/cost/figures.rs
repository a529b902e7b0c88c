//! What a product, or a workload, costs.

use super::accelerator::Runs;
use super::memory::{Moves, Tiling};
use super::{Band, Bits, Cycles, Gemm};

use serde::Serialize;

/// The cost of a workload on one machine, under one cycle model and one price list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Name of the machine.
    pub accelerator: String,
    /// Name of the cycle model.
    pub cycle_model: &'static str,
    /// Name of the price list.
    pub prices: String,
    /// One entry a layer, in workload order.
    pub layers: Vec<LayerCost>,
    /// Products that no unit of the machine has the law of: the host computes them, and they are no part of `layers` and `total`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host: Vec<Gemm>,
    /// All layers together.
    pub total: Figures,
    /// Bits that the workload needs to be somewhere.
    pub footprint: Holdings,
    /// Other operations: what they read and write, were nothing fused into the products around them. No part of `total`.
    pub elementwise: Elementwise,
}

/// The cost of one layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerCost {
    /// The product itself.
    #[serde(flatten)]
    pub gemm: Gemm,
    /// Name of the format of the weights.
    pub weights: &'static str,
    /// Name of the format of the activations.
    pub activations: &'static str,
    /// The pattern of the weights.
    pub sparsity: String,
    /// The positions that the machine skips.
    pub skip: Option<super::Ratio>,
    /// The datapath that is priced: the one that runs, or the machine's FP32 unit where the host has its law.
    pub datapath: String,
    /// Whose arithmetic it is.
    pub runs: Runs,
    /// What meets in the multipliers: the formats of the weights and of the activations there.
    #[serde(skip)]
    pub operands: [&'static str; 2],
    /// Multiply-accumulates a cycle and core of that unit.
    pub macs_per_cycle: u64,
    /// Its dense peak in 10^12 operations a second.
    pub peak_tops: f64,
    /// What was seen of the values, where a model ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<super::Statistics>,
    /// How the product is cut in each memory below main memory.
    pub tilings: Vec<Tiling>,
    /// What it costs, all `count` executions together.
    #[serde(flatten)]
    pub figures: Figures,
}

/// Counts, and what they come to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Multiply-accumulates of the dense product, M * K * N.
    pub macs: u64,
    /// Those that the machine performs: fewer only where it skips pruned weights.
    pub macs_executed: u64,
    /// Time in cycles of the engine, waiting included.
    pub cycles: Cycles,
    /// Where that time goes.
    pub time: TimeSplit,
    /// What each loss leaves of the peak; these multiply to `utilisation`.
    pub share: Shares,
    /// What each loss takes of the time; with `share.utilisation` these add up to 1.
    pub losses: Losses,
    /// Time in seconds.
    pub seconds: f64,
    /// What the time is bound by: the name of a memory, else `launch` where the engine works for less time than a kernel takes to
    /// begin, else `compute`.
    pub bound: String,
    /// Operations, two a multiply-accumulate of the dense product, for each byte that main memory moves.
    pub intensity: f64,
    /// The intensity at which the machine's peak and its main memory are in balance.
    pub ridge: f64,
    /// What each memory gives to the level below it, and takes from there.
    pub memory: Vec<LevelMoves>,
    /// Energy.
    #[serde(rename = "energy_pj")]
    pub energy: Energy,
}

/// Cycles: the first three contain one another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TimeSplit {
    /// Executed multiply-accumulates at the peak rate.
    #[serde(rename = "ideal_cycles")]
    pub ideal: Cycles,
    /// The same with tiles padded to the engine.
    #[serde(rename = "mapped_cycles")]
    pub mapped: Cycles,
    /// With filling and draining.
    #[serde(rename = "compute_cycles")]
    pub compute: Cycles,
    /// Those of them before the first multiplication of a kernel: launch and first loads.
    #[serde(rename = "launch_cycles")]
    pub launch: Cycles,
}

/// Lost shares of the time, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Losses {
    /// Multiplying what pads tiles, and idle arrays or processors.
    pub padding: f64,
    /// Filling and draining the engine.
    pub fill_drain: f64,
    /// Launching kernels.
    pub launch: f64,
    /// Waiting for memory.
    pub waiting: f64,
}

/// Shares of the peak, 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shares {
    /// What padding leaves.
    pub mapping: f64,
    /// What filling and draining leaves of that.
    pub fill_drain: f64,
    /// What waiting for memory leaves of that.
    pub stall: f64,
    /// What is left: executed multiply-accumulates over what the engine could do in that time.
    pub utilisation: f64,
}

/// The traffic of one memory with the level below it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelMoves {
    /// Name of the memory.
    pub name: String,
    /// Bits by operand.
    #[serde(flatten)]
    pub moves: Moves,
    /// Bits that are in the memory at one time at most; of main memory, what the layer reads and writes.
    pub peak_bits: Bits,
}

/// Energy by what spends it, in pJ.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Energy {
    /// Multipliers, adders, scaling, registers of the unit.
    pub mac: Band,
    /// Units that are clocked and have nothing to do.
    pub idle: Band,
    /// Each memory by name, next to the engine first.
    pub memory: Vec<(String, Band)>,
    /// Static power over the time.
    pub leakage: Band,
    /// The sum of these.
    pub total: Band,
}

/// Bits that must be held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Holdings {
    /// Stored weights of all layers.
    #[serde(rename = "weights_bits")]
    pub weights: Bits,
    /// The largest sum of a layer's inputs and results.
    #[serde(rename = "activations_bits")]
    pub activations: Bits,
    /// Keys and values of attention as its two products read them, repeated where heads share them.
    #[serde(rename = "kv_cache_bits")]
    pub kv_cache: Bits,
}

/// What operations other than products move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Elementwise {
    /// Operations.
    pub operations: u64,
    /// Bits read.
    #[serde(rename = "reads_bits")]
    pub reads: Bits,
    /// Bits written.
    #[serde(rename = "writes_bits")]
    pub writes: Bits,
    /// Seconds at the rate of main memory.
    pub seconds: f64,
}

impl Shares {
    /// The shares that a split of time leaves.
    pub(super) fn of(time: &TimeSplit, total: Cycles) -> Self {
        let share = |part: Cycles, whole: Cycles| if whole.0 == 0 { 1.0 } else { part.0 as f64 / whole.0 as f64 };
        Self {
            mapping: share(time.ideal, time.mapped),
            fill_drain: share(time.mapped, time.compute),
            stall: share(time.compute, total),
            utilisation: share(time.ideal, total),
        }
    }
}

impl Losses {
    /// The parts of the time in which the engine does nothing of use.
    pub(super) fn of(time: &TimeSplit, total: Cycles) -> Self {
        let part =
            |of: u64, less: u64| if total.0 == 0 { 0.0 } else { of.saturating_sub(less) as f64 / total.0 as f64 };
        Self {
            padding: part(time.mapped.0, time.ideal.0),
            fill_drain: part(time.compute.0.saturating_sub(time.launch.0), time.mapped.0),
            launch: part(time.launch.0, 0),
            waiting: part(total.0, time.compute.0),
        }
    }
}

impl TimeSplit {
    /// Both together.
    pub(super) fn zip(&self, other: &Self, join: impl Fn(u64, u64) -> Option<u64>) -> Option<Self> {
        Some(Self {
            ideal: Cycles(join(self.ideal.0, other.ideal.0)?),
            mapped: Cycles(join(self.mapped.0, other.mapped.0)?),
            compute: Cycles(join(self.compute.0, other.compute.0)?),
            launch: Cycles(join(self.launch.0, other.launch.0)?),
        })
    }
}

impl Energy {
    /// The sum of the parts.
    pub(super) fn new(mac: Band, idle: Band, memory: Vec<(String, Band)>, leakage: Band) -> Self {
        let total = memory.iter().fold(mac + idle + leakage, |sum, (_, part)| sum + *part);
        Self { mac, idle, memory, leakage, total }
    }

    fn plus(&self, other: &Self) -> Self {
        let memory = if self.memory.is_empty() {
            other.memory.clone()
        } else {
            self.memory.iter().zip(&other.memory).map(|((name, a), (_, b))| (name.clone(), *a + *b)).collect()
        };
        Self::new(self.mac + other.mac, self.idle + other.idle, memory, self.leakage + other.leakage)
    }
}

impl Figures {
    /// Both one after the other on one machine; `None` where a count exceeds 64 bits. Shares, intensity and bound are of the
    /// sums.
    pub(super) fn plus(&self, other: &Self) -> Option<Self> {
        let memory = if self.memory.is_empty() {
            other.memory.clone()
        } else {
            let levels = self.memory.iter().zip(&other.memory);
            levels.map(|(a, b)| a.plus(b)).collect::<Option<_>>()?
        };
        let time = self.time.zip(&other.time, u64::checked_add)?;
        let cycles = Cycles(self.cycles.0.checked_add(other.cycles.0)?);
        let mut sum = Self {
            macs: self.macs.checked_add(other.macs)?,
            macs_executed: self.macs_executed.checked_add(other.macs_executed)?,
            cycles,
            share: Shares::of(&time, cycles),
            losses: Losses::of(&time, cycles),
            time,
            seconds: self.seconds + other.seconds,
            // Of several layers: what most of the time is bound by, which the caller knows.
            bound: String::new(),
            intensity: 0.0,
            ridge: self.ridge.max(other.ridge),
            memory,
            energy: self.energy.plus(&other.energy),
        };
        sum.intensity = sum.of_main_memory();
        Some(sum)
    }

    /// Operations of the dense product for each byte of main memory.
    pub(super) fn of_main_memory(&self) -> f64 {
        let bytes = self.memory.last().map_or(0.0, |level| level.moves.total().0 as f64 / 8.0);
        if bytes == 0.0 { 0.0 } else { 2.0 * self.macs as f64 / bytes }
    }

    /// What the counts come to a second, a W and a product.
    pub fn rates(&self) -> Rates {
        let joules = |pj: f64| pj * 1e-12;
        let energy = self.energy.total;
        Rates {
            dense_equivalent_tops: rate(2.0 * self.macs as f64 / 1e12, self.seconds),
            tops: rate(2.0 * self.macs_executed as f64 / 1e12, self.seconds),
            power_w: rate(joules(energy.typical), self.seconds),
            dense_equivalent_tops_per_w: rate(2.0 * self.macs as f64, energy.typical),
            tops_per_w: rate(2.0 * self.macs_executed as f64, energy.typical),
            pj_per_mac: rate(energy.typical, self.macs as f64),
            energy_delay_js: joules(energy.typical) * self.seconds,
        }
    }
}

/// What counts come to. Operations are two a multiply-accumulate; the dense-equivalent ones count zeros that were skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// 10^12 operations a second of the dense product.
    pub dense_equivalent_tops: f64,
    /// 10^12 operations a second that are executed.
    pub tops: f64,
    /// Mean power in W.
    pub power_w: f64,
    /// 10^12 dense-equivalent operations a second and W.
    pub dense_equivalent_tops_per_w: f64,
    /// 10^12 executed operations a second and W.
    pub tops_per_w: f64,
    /// Energy of a multiply-accumulate of the dense product.
    pub pj_per_mac: f64,
    /// Energy times delay in J s.
    pub energy_delay_js: f64,
}

fn rate(quantity: f64, per: f64) -> f64 {
    if per > 0.0 { quantity / per } else { 0.0 }
}

impl LevelMoves {
    fn plus(&self, other: &Self) -> Option<Self> {
        Some(Self {
            name: self.name.clone(),
            moves: self.moves.zip(&other.moves, u64::checked_add)?,
            peak_bits: self.peak_bits.max(other.peak_bits),
        })
    }
}
