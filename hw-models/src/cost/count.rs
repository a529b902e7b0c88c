//! One layer on one machine: counts first, then their prices.

use super::accelerator::{Accelerator, Capacity, Engine, Memory, Pair, Run, Slot, ZeroOperand};
use super::arithmetic::{Charge, Per, charges_of};
use super::cycles::{Accesses, CycleModel, Dataflow, Job};
use super::figures::{Energy, Figures, LayerCost, LevelMoves, Losses, Shares, TimeSplit};
use super::gates::{self, Activity, UnitCost, activity};
use super::memory::{Demand, Moves, Tiling, Transfer, stalled, tiled};
use super::{Band, Bits, Cycles, Hertz, Layer, PriceList, Ratio};
use crate::Error;
use std::borrow::Cow;

/// What a unit spends, in pJ.
struct UnitEnergy {
    /// One multiplication of random operands.
    each: Band,
    /// One clocked cycle without work.
    idle: Band,
    /// Everything that is done once a step or once an output.
    others: Band,
}

/// A layer placed on a machine.
pub(super) struct Placed<'a> {
    layer: Cow<'a, Layer>,
    machine: &'a Accelerator,
    run: Run,
    slot: Slot,
    skip: Option<Ratio>,
    job: Job<'a>,
    clock_hz: u64,
}

impl<'a> Placed<'a> {
    /// The layer in the machine's engine; `None` of one that no unit of the machine has the law of.
    pub(super) fn new(layer: &'a Layer, machine: &'a Accelerator) -> Result<Option<Self>, Error> {
        layer.gemm.check()?;
        let run = machine.run(&Pair::from(layer))?;
        if let Some(computed) = layer.computed.filter(|computed| *computed != run.datapath) {
            return Err(Error::OtherUnit {
                layer: layer.gemm.name.clone(),
                accelerator: machine.name.clone(),
                computed: computed.name.to_owned(),
                priced: run.datapath.name.to_owned(),
            });
        }
        let Some(slot) = run.slot else { return Ok(None) };
        let gemm = &layer.gemm;
        let job = Job {
            m: gemm.m,
            k: gemm.k,
            n: gemm.n,
            engine: &machine.engine,
            rate: slot.rate,
            instruction: slot.instruction,
            skip: run.skip,
        };
        // Activations move as what they are rounded to.
        let layer = match run.activations == layer.activation {
            true => Cow::Borrowed(layer),
            false => Cow::Owned(Layer { activation: run.activations, ..layer.clone() }),
        };
        Ok(Some(Self { layer, machine, run, slot, skip: run.skip, job, clock_hz: slot.clock_hz }))
    }

    fn too_large(&self, quantity: &'static str) -> Error {
        Error::TooLarge { layer: self.layer.gemm.name.clone(), quantity }
    }

    /// What the layer costs, all executions together.
    pub(super) fn cost(&self, model: &CycleModel, prices: &PriceList) -> Result<LayerCost, Error> {
        let gemm = &self.layer.gemm;
        let timing = model.time(&self.job)?;
        let tilings = self.tilings()?;
        let memory = self.memory(&model.accesses(&self.job)?, &tilings).ok_or_else(|| self.too_large("bits moved"))?;
        let (once, bound) = self.waiting(timing.compute, &memory, &tilings).ok_or_else(|| self.too_large("cycles"))?;
        let many = |count: u64| count.checked_mul(gemm.count);
        let counted = || {
            let launch = Cycles(self.machine.engine.launch());
            let split = TimeSplit { ideal: timing.ideal, mapped: timing.mapped, compute: timing.compute, launch };
            let cycles = Cycles(many(once)?);
            let outputs = many(gemm.m.checked_mul(gemm.n)?)?;
            let macs_executed = outputs.checked_mul(self.skip.map_or(gemm.k, |ratio| ratio.kept(gemm.k)))?;
            let macs = outputs.checked_mul(gemm.k)?;
            let time = split.zip(&split, |count, _| many(count))?;
            let memory: Option<Vec<_>> = memory
                .iter()
                .map(|level| Some(LevelMoves { moves: level.moves.times(gemm.count)?, ..level.clone() }))
                .collect();
            Some((macs, macs_executed, outputs, cycles, time, memory?))
        };
        let (macs, macs_executed, outputs, cycles, time, memory) =
            counted().ok_or_else(|| self.too_large("operations"))?;
        let mut figures = Figures {
            macs,
            macs_executed,
            cycles,
            share: Shares::of(&time, cycles),
            losses: Losses::of(&time, cycles),
            time,
            seconds: cycles.seconds(Hertz(self.clock_hz)),
            bound,
            intensity: 0.0,
            ridge: self.ridge(),
            energy: self.energy(macs_executed, outputs, cycles, &memory, prices)?,
            memory,
        };
        figures.intensity = figures.of_main_memory();
        Ok(LayerCost {
            gemm: gemm.clone(),
            weights: self.layer.weight.name,
            activations: self.layer.activation.name,
            sparsity: self.layer.pattern.to_string(),
            skip: self.skip,
            datapath: self.run.priced().name.to_owned(),
            runs: self.run.runs,
            operands: self.run.operands.map(|format| format.name),
            macs_per_cycle: self.job.rate,
            peak_tops: self.peak_tops(),
            statistics: self.layer.statistics,
            tilings,
            figures,
        })
    }

    /// The tiling of every memory but main memory.
    fn tilings(&self) -> Result<Vec<Tiling>, Error> {
        let levels = self.machine.memory.split_last().map_or(&[][..], |(_, levels)| levels);
        let tilings = levels.iter().enumerate().map(|(at, level)| {
            let demand = Demand::of(&self.layer, self.slot.output_bits, self.skip, at == 0);
            tiled(&demand, level.room()).ok_or_else(|| Error::Room {
                accelerator: self.machine.name.clone(),
                memory: level.name.clone(),
                layer: self.layer.gemm.name.clone(),
            })
        });
        tilings.collect()
    }

    /// The traffic of one execution at every memory: the engine's with the first, then by tiling.
    fn memory(&self, accesses: &Accesses, tilings: &[Tiling]) -> Option<Vec<LevelMoves>> {
        let engine = self.engine_moves(accesses)?;
        let inner = tilings.iter().map(|tiling| Bits(tiling.peak_bits));
        let moves = std::iter::once(engine).chain(tilings.iter().map(|tiling| tiling.moves));
        let layer = Demand::of(&self.layer, self.slot.output_bits, self.skip, false).moves(1, 1, 1)?.total();
        let levels = self.machine.memory.iter().zip(moves).zip(inner.chain([layer]));
        Some(
            levels
                .map(|((level, moves), peak_bits)| LevelMoves { name: level.name.clone(), moves, peak_bits })
                .collect(),
        )
    }

    /// What the engine reads and writes, from counts of elements.
    fn engine_moves(&self, accesses: &Accesses) -> Option<Moves> {
        let gemm = &self.layer.gemm;
        let demand = Demand::of(&self.layer, self.slot.output_bits, self.skip, true);
        let of = |bits: u64, reads: u64, elements: u64| {
            let bits = u128::from(bits).checked_mul(reads.into())?.div_ceil(u128::from(elements.max(1)));
            u64::try_from(bits).ok().map(Bits)
        };
        let activations = gemm.m.checked_mul(gemm.k)?;
        let weights = self.skip.map_or(gemm.k, |ratio| ratio.kept(gemm.k)).checked_mul(gemm.n)?;
        let sums = |count: u64| count.checked_mul(demand.sum_bits()).map(Bits);
        Some(Moves {
            weight_values: of(demand.held.values, accesses.weight_reads, weights)?,
            weight_scales: of(demand.held.scales, accesses.weight_reads, weights)?,
            weight_metadata: of(demand.held.metadata, accesses.weight_reads, weights)?,
            activation_values: of(demand.activations.values, accesses.activation_reads, activations)?,
            activation_scales: of(demand.activations.scales, accesses.activation_reads, activations)?,
            partial_sum_reads: sums(accesses.partial_reads)?,
            partial_sum_writes: sums(accesses.partial_writes)?,
            outputs: sums(accesses.output_writes)?,
        })
    }

    /// Cycles with waiting, and what they are bound by: the level whose transfers take longest, where they take longer than
    /// the engine with its launch; else the longer of these two.
    fn waiting(&self, compute: Cycles, memory: &[LevelMoves], tilings: &[Tiling]) -> Option<(u64, String)> {
        let launch = self.machine.engine.launch();
        let engine = if launch > compute.0.saturating_sub(launch) { "launch" } else { "compute" };
        let (mut cycles, mut busiest, mut bound) = (compute.0, compute.0, engine);
        for (at, (level, moved)) in self.machine.memory.iter().zip(memory).enumerate() {
            let rate = level.bits_per_second(self.machine, self.clock_hz);
            let transfer = Transfer { loads: moved.moves.reads().0, stores: moved.moves.writes().0, rate };
            let (busy, stalled) = match at.checked_sub(1).and_then(|below| tilings.get(below)) {
                Some(tiling) => {
                    (transfer.busy(self.clock_hz), stalled(compute.0, &transfer, tiling.pieces, self.clock_hz)?)
                }
                // Next to the engine nothing is piecewise: operands flow with its cycles.
                None => {
                    let busy = self.engine_busy(level, &moved.moves, rate);
                    (busy, compute.0.max(busy))
                }
            };
            cycles = cycles.max(stalled);
            if busy > busiest {
                (busiest, bound) = (busy, level.name.as_str());
            }
        }
        Some((cycles, bound.to_owned()))
    }

    /// Cycles in which the memory next to the engine gives and takes everything; memories for each operand work side by
    /// side.
    fn engine_busy(&self, level: &Memory, moves: &Moves, rate: f64) -> u64 {
        let flows = moves.operands().map(|flow| Transfer { loads: flow.read, stores: flow.written, rate });
        let busy = flows.map(|transfer| transfer.busy(self.clock_hz));
        match level.kib {
            Capacity::Split { .. } => busy.into_iter().max().unwrap_or(0),
            Capacity::Unified(_) => busy.into_iter().fold(0, u64::saturating_add),
        }
    }

    fn peak_tops(&self) -> f64 {
        self.machine.tops(self.slot.rate, self.slot.clock_hz)
    }

    /// Operations for each byte of main memory at which both are fully used; two for each multiply-accumulate.
    fn ridge(&self) -> f64 {
        let main = self.machine.memory.last().map_or(0.0, |main| main.bits_per_second(self.machine, self.clock_hz));
        let peak = self.peak_tops() * 1e12;
        if main == 0.0 { 0.0 } else { peak / (main / 8.0) }
    }

    fn energy(
        &self,
        macs: u64,
        outputs: u64,
        cycles: Cycles,
        memory: &[LevelMoves],
        prices: &PriceList,
    ) -> Result<Energy, Error> {
        let zeros = self.machine.zeros;
        let of = activity(zeros.operand == ZeroOperand::Gate, zeros.idle);
        let UnitEnergy { each, idle: waiting, others } = self.unit_energy(outputs, &of, prices)?;
        let slots = self.job.rate as f64 * self.machine.engine.cores() as f64 * cycles.0 as f64;
        let idle = waiting * (slots - macs as f64).max(0.0);
        let levels = self.memory_energy(memory, prices)?;
        let active = each.scaled(self.activity(&of)) * macs as f64;
        let seconds = cycles.seconds(Hertz(self.clock_hz));
        let watts = self.machine.static_watts + memory_leakage(self.machine, prices);
        let leakage = each * (slots * zeros.leakage) + Band::exact(watts * seconds * 1e12);
        Ok(Energy::new(active + others, idle, levels, leakage))
    }

    /// What the unit spends, by the price list or, where it stands in another's place, by its gates at the machine's node.
    fn unit_energy(&self, outputs: u64, of: &Activity, prices: &PriceList) -> Result<UnitEnergy, Error> {
        let (unit, [weight, activation]) = (self.run.priced(), self.run.operands);
        if self.run.replaced {
            // What the products of a step have in common is part of each.
            let UnitCost { energy_pj_per_mac: each, idle_pj: idle, .. } =
                gates::unit(unit, weight, activation, self.machine.node_nm)?;
            return Ok(UnitEnergy { each, idle, others: Band::default() });
        }
        let charges = charges_of(unit, weight, activation, prices);
        let mac = |charge: &&Charge| charge.per == Per::Mac;
        let each: Band = charges.iter().filter(mac).map(|charge| charge.energy).sum();
        // Steps of the unit; a unit that skips works on fewer stored products.
        let kept = self.skip.map_or(self.layer.gemm.k, |ratio| ratio.kept(self.layer.gemm.k));
        let blocks = outputs as f64 * kept.div_ceil(unit.step(weight)) as f64;
        let others = charges.iter().map(|charge| match charge.per {
            Per::Mac => Band::default(),
            Per::Block => charge.energy * blocks,
            Per::Output => charge.energy * outputs as f64,
        });
        Ok(UnitEnergy { each, idle: each.scaled(of.idle), others: others.sum() })
    }

    /// The energy of a multiplication over one of random operands: weights that stay in place, and the zeros that were
    /// seen.
    fn activity(&self, of: &Activity) -> Band {
        let stays = matches!(self.machine.engine, Engine::Systolic { dataflow: Dataflow::WeightStationary, .. });
        let held = if stays { of.weight_held } else { of.active };
        let Some(seen) = self.layer.statistics else { return held };
        // Weights that are skipped are not multiplied at all; those left are as dense as can be.
        let weights = if self.skip.is_some() { 0.0 } else { seen.weight_zeros };
        let zero = 1.0 - (1.0 - weights) * (1.0 - seen.activation_zeros);
        let mix = |random: f64, zeros: f64| random * (1.0 - zero) + zeros.min(random) * zero;
        Band {
            typical: mix(held.typical, of.zero_operand.typical),
            low: mix(held.low, of.zero_operand.low),
            high: mix(held.high, of.zero_operand.high),
        }
    }

    /// Every memory: what it gives to the level below and takes from there, and what passes on to and from the one above.
    fn memory_energy(&self, memory: &[LevelMoves], prices: &PriceList) -> Result<Vec<(String, Band)>, Error> {
        let above = memory.iter().skip(1).map(|level| level.moves).chain([Moves::default()]);
        let levels = self.machine.memory.iter().zip(memory).zip(above);
        levels
            .map(|((record, level), above)| {
                let energy =
                    memory_prices(record, prices)?.into_iter().zip(level.moves.operands()).zip(above.operands());
                let energy = energy.map(|(((read, write), below), above)| {
                    read * (below.read + above.written) as f64 + write * (below.written + above.read) as f64
                });
                Ok((level.name.clone(), energy.sum()))
            })
            .collect()
    }
}

/// What a bit costs that a memory gives and takes, for activations, weights and sums.
fn memory_prices(record: &Memory, prices: &PriceList) -> Result<[(Band, Band); 3], Error> {
    let kib = match record.kib {
        Capacity::Unified(kib) => [kib; 3],
        Capacity::Split { activations, weights, outputs } => [activations, weights, outputs],
    };
    match record.technology.as_str() {
        "register" => Ok([(prices.register(), prices.register()); 3]),
        "sram" => Ok(kib.map(|kib| {
            let access = prices.sram(kib, record.width_bits);
            (access.read, access.write)
        })),
        technology => {
            let bit = prices.dram(technology)?.per_bit();
            Ok([(bit, bit); 3])
        }
    }
}

/// Static power of the memories on the chip, in W.
fn memory_leakage(machine: &Accelerator, prices: &PriceList) -> f64 {
    let levels = machine.memory.iter().filter(|level| level.technology == "sram");
    let watts = levels.map(|level| {
        let copies = if level.per_core { machine.engine.cores() as f64 } else { 1.0 };
        let each = level.kib.parts().iter().map(|kib| prices.sram(*kib, level.width_bits).leakage_mw).sum::<f64>();
        each * copies / 1e3
    });
    watts.sum()
}
