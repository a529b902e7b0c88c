//! Which machines can exist.

use super::record::{Accelerator, Capacity, Engine, Memory, Unit};
use super::{super::CycleModel, NATURAL, run::PAIR};
use crate::{Datapath, Error};

/// Largest count in a record; products of four such counts fit 128 bits.
const MAX: u64 = 1 << 31;

/// Clocks in MHz: whole Hz that floating point counts exactly.
const SLOWEST: f64 = 1e-3;
const FASTEST: f64 = 1e6;

impl Accelerator {
    /// Refuses zero sizes, figures that are no numbers, and names that nothing has.
    pub(super) fn check(&self) -> Result<(), Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(fits) {
            return Err(self.problem("`name` has 1 to 64 letters, digits, `-`, `_` and `.`".to_owned()));
        }
        self.between("clock_mhz", self.clock_mhz, SLOWEST, FASTEST)?;
        self.between("node_nm", self.node_nm, 2.0, 130.0)?;
        if let Some(watts) = self.tdp_watts {
            self.positive("tdp_watts", watts, 1e9)?;
        }
        self.between("static_watts", self.static_watts, 0.0, 1e9)?;
        for (field, share) in [("zeros.idle", self.zeros.idle), ("zeros.leakage", self.zeros.leakage)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(self.problem(format!("`{field}` is {share}; a share from 0 to 1 is meant")));
            }
        }
        CycleModel::by_name(&self.cycle_model)?;
        self.engine()?;
        if self.units.is_empty() {
            return Err(self.problem("`units` is empty; a machine multiplies something".to_owned()));
        }
        self.units.iter().try_for_each(|unit| self.unit(unit))?;
        let names: std::collections::BTreeSet<_> =
            self.units.iter().map(|unit| unit.name.as_ref().unwrap_or(&unit.datapath)).collect();
        if names.len() < self.units.len() {
            return Err(self.problem("two of `units` have one name; give one of them a `name`".to_owned()));
        }
        if self.memory.len() < 2 {
            return Err(self.problem("`memory` needs a level on the chip and, last, main memory".to_owned()));
        }
        self.memory.iter().try_for_each(|level| self.level(level))?;
        let names: std::collections::BTreeSet<_> = self.memory.iter().map(|level| &level.name).collect();
        if names.len() < self.memory.len() {
            return Err(self.problem("two levels of `memory` have one name".to_owned()));
        }
        Ok(())
    }

    pub(super) fn problem(&self, problem: String) -> Error {
        Error::Accelerator { name: self.name.clone(), problem }
    }

    fn positive(&self, field: &str, value: f64, most: f64) -> Result<(), Error> {
        if value > 0.0 && value <= most {
            return Ok(());
        }
        Err(self.problem(format!("`{field}` is {value}; above 0 and at most {most:e} is allowed")))
    }

    fn between(&self, field: &str, value: f64, least: f64, most: f64) -> Result<(), Error> {
        if (least..=most).contains(&value) {
            return Ok(());
        }
        Err(self.problem(format!("`{field}` is {value}; {least} to {most} is allowed")))
    }

    fn size(&self, field: &str, value: u64) -> Result<(), Error> {
        if (1..=MAX).contains(&value) {
            return Ok(());
        }
        Err(self.problem(format!("`{field}` is {value}; 1 to {MAX} is allowed")))
    }

    fn engine(&self) -> Result<(), Error> {
        match &self.engine {
            Engine::Systolic { arrays, rows, columns, .. } => {
                self.size("engine.arrays", *arrays)?;
                self.size("engine.rows", *rows)?;
                self.size("engine.columns", *columns)
            }
            Engine::TensorCore { cores, tiles, prologue, epilogue } => {
                self.size("engine.cores", *cores)?;
                if tiles.is_empty() {
                    return Err(self.problem("`engine.tiles` is empty; give tiles [m, n, k]".to_owned()));
                }
                tiles.iter().flatten().try_for_each(|side| self.size("engine.tiles", *side))?;
                if *prologue > MAX || *epilogue > MAX {
                    return Err(self.problem(format!("`prologue` and `epilogue` are at most {MAX} cycles")));
                }
                Ok(())
            }
        }
    }

    fn unit(&self, unit: &Unit) -> Result<(), Error> {
        let field = |what: &str| format!("units.{}.{what}", unit.datapath);
        if !NATURAL.contains(&unit.datapath.as_str()) && !unit.datapath.contains(PAIR) {
            Datapath::by_name(&unit.datapath)?;
        }
        if unit.formats.is_empty() {
            return Err(self.problem(format!("`{}` is empty; name formats, `*` for any", field("formats"))));
        }
        if matches!(self.engine, Engine::TensorCore { .. }) && unit.macs_per_cycle.is_none() {
            return Err(self.problem(format!("`{}` is missing; tensor cores state it", field("macs_per_cycle"))));
        }
        self.size(&field("macs_per_cycle"), unit.rate(&self.engine))?;
        self.size(&field("output_bits"), unit.output_bits)?;
        for side in unit.instruction.iter().flatten() {
            self.size(&field("instruction"), *side)?;
        }
        if let Some(clock) = unit.clock_mhz {
            self.between(&field("clock_mhz"), clock, SLOWEST, FASTEST)?;
        }
        if let Some(tops) = unit.vendor_tops {
            self.positive(&field("vendor_tops"), tops, 1e9)?;
        }
        Ok(())
    }

    fn level(&self, level: &Memory) -> Result<(), Error> {
        let field = |what: &str| format!("memory.{}.{what}", level.name);
        let sizes = match level.kib {
            Capacity::Unified(kib) => [kib; 3],
            Capacity::Split { activations, weights, outputs } => [activations, weights, outputs],
        };
        sizes.into_iter().try_for_each(|kib| self.size(&field("kib"), kib))?;
        self.size(&field("width_bits"), level.width_bits)?;
        self.size(&field("ports"), level.ports)?;
        if let Some(rate) = level.gb_per_s {
            self.positive(&field("gb_per_s"), rate, 1e9)?;
        }
        self.positive(&field("achieved"), level.achieved, 1.0)
    }
}
