//! The what-if of a hardware designer: accuracy against accumulator width, alignment bits and block size, with the area and the
//! energy of each design.
//!
//! A cell is one design under one model. The unit is declared from a template, stands in the study's machine in place of the one for the
//! format, as by `--datapath`, and the model runs on it.

mod design;
mod figure;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use anyhow::{Result, ensure};
use interplay::plan::Plan;
use interplay_formats::{Order, Pattern};
use interplay_hw::cost::area;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cell::Machine;
use crate::engine::bench::{Bench, Point, Worker};
use crate::engine::frame::{Frame, field};
use crate::engine::key::Key;
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::rehearse::fewer_inputs;
use crate::engine::run::typed;
use crate::report::front::fronts;
use crate::studies::evaluated::{self, COLUMNS, Evaluated, Run};
use crate::subject::Data;
use design::{Design, Summing, block_of};

/// The study.
pub const KIND: Kind = Kind {
    name: "accumulator",
    question: "How narrow may a unit's accumulator and alignment be, how long its blocks, and what do they cost in area and energy?",
    title: "Accumulators, alignment and blocks",
    file: include_str!("accumulator.toml"),
    many: &["models", "formats"],
    one: &["accelerators", "seeds"],
    plan,
    measure,
    frame,
    figure: figure::draw,
    caption: tables::caption,
    summary: tables::summary,
    shrink: fewer_inputs,
};

/// `[options]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Of formats with blocks.
    accumulator_bits: Vec<u32>,
    /// Of integers.
    #[serde(default)]
    integer_bits: Vec<u32>,
    rounding: String,
    #[serde(default)]
    block: Vec<usize>,
    aligned: Option<Aligned>,
    grid: Option<Grid>,
}

/// `[options.aligned]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Aligned {
    /// For each format the record of the catalogue that multiplies it.
    units: BTreeMap<String, String>,
    fraction_bits: Vec<u32>,
}

/// `[options.grid]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grid {
    formats: Vec<String>,
    accumulator_bits: Vec<u32>,
    block: Vec<usize>,
}

impl Options {
    /// Every design once, widest first within a format.
    fn designs(&self, formats: &[String]) -> Result<Vec<Design>> {
        let widest = self.accumulator_bits.iter().copied().max();
        let mut found = Vec::new();
        let accumulated = |base: &String, block, bits| Design {
            base: base.clone(),
            block,
            sum: Summing::Accumulated { bits, rounding: self.rounding.clone() },
        };
        for base in formats {
            let own = block_of(base)?;
            let widths = if own.is_some() { &self.accumulator_bits } else { &self.integer_bits };
            ensure!(
                !widths.is_empty(),
                "[options]: no width is given for `{base}`; give `accumulator_bits`, and `integer_bits` for integers"
            );
            let widths = widths.iter().map(|&bits| accumulated(base, own, bits));
            let blocks = self.block.iter().filter(|_| own.is_some());
            let blocks = blocks.flat_map(|&block| widest.map(|bits| accumulated(base, Some(block), bits)));
            found.extend(widths.chain(blocks));
        }
        if let Some(grid) = &self.grid {
            for base in &grid.formats {
                ensure!(block_of(base)?.is_some(), "[options.grid]: `{base}` has no blocks");
                let both = grid.block.iter().flat_map(|&b| grid.accumulator_bits.iter().map(move |&bits| (b, bits)));
                found.extend(both.map(|(block, bits)| accumulated(base, Some(block), bits)));
                // What the others are compared to.
                found.extend(widest.map(|bits| accumulated(base, block_of(base).ok().flatten(), bits)));
            }
        }
        if let Some(aligned) = &self.aligned {
            for (base, unit) in &aligned.units {
                let block = block_of(base)?;
                found.extend(aligned.fraction_bits.iter().map(|&bits| Design {
                    base: base.clone(),
                    block,
                    sum: Summing::Aligned { unit: unit.clone(), bits },
                }));
            }
        }
        let mut seen = BTreeSet::new();
        found.retain(|design| seen.insert(design.clone()));
        Ok(found)
    }
}

fn plan(bench: &Bench, _: &Done) -> Result<Vec<Planned>> {
    bench.spec.needs("models", &bench.spec.models)?;
    bench.spec.needs("formats", &bench.spec.formats)?;
    bench.spec.needs("accelerators", &bench.spec.accelerators)?;
    let options: Options = bench.spec.options()?;
    let designs = options.designs(&bench.spec.formats)?;
    let seed = bench.spec.seeds.first().copied().unwrap_or(0);
    let mut planned = Vec::new();
    for subject in &bench.subjects {
        // A rank correlation is of all pairs together: there is no loss of each to compare two designs by.
        ensure!(!matches!(subject.data, Data::Pairs { .. }), "an encoder of texts has no losses; use `interplay eval`");
        for design in &designs {
            let point = point(design)?;
            design.check()?;
            let unit = design.unit()?;
            let cell = evaluated::planned(bench, subject, &point, unit.name, seed);
            let key = cell.key.with("design", serde_json::to_string(design)?);
            let label = format!("{} {} {}", subject.model_name, point.format.name, unit.name);
            // Designs of one format and way of summing take the same kernel, whatever their width.
            let work = format!("{} {} {}", subject.model_name, design.base, design.kind());
            planned.push(Planned { key, label, work, ..cell });
        }
    }
    Ok(planned)
}

/// Dense weights and activations in the design's format, on its unit.
fn point(design: &Design) -> Result<Point> {
    let (format, datapath) = (design.format()?, Some(design.unit()?));
    Ok(Point { format, pattern: Pattern::Dense, order: Order::None, datapath })
}

/// One design, evaluated.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Designed {
    #[serde(flatten)]
    evaluated: Evaluated,
    design: Design,
    /// The unit's name.
    unit: String,
    silicon: Silicon,
}

/// What a design takes: the machine's units and memories, and one window or image through the layers that run on it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Silicon {
    /// All multiply-accumulators of the machine, if each is of this design.
    units_mm2: f64,
    /// The least and the most that the gate model supports.
    units_mm2_range: [f64; 2],
    /// With the memories on the chip.
    total_mm2: f64,
    /// Picojoules of the unit for each multiply-accumulate.
    unit_pj_per_mac: f64,
    /// Picojoules of the layers on this unit, memories included.
    layers_pj: f64,
    /// Cycles of these layers.
    layers_cycles: u64,
}

fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let bench = worker.bench;
    let design: Design = serde_json::from_str(key.text("design")?)?;
    let point = point(&design)?;
    let (unit, machine) = (design.unit()?, &bench.machines[0]);
    let plan = Plan::new(bench.preset()?, point.config()?).on(Arc::clone(&machine.accelerator));
    let mut run = evaluated::run(worker, key, plan, point.labels(), &[])?;
    let silicon = silicon(&run, machine, unit.name)?;
    let evaluated = run.on(&bench.spec.accelerators[0], machine)?;
    Ok(serde_json::to_value(Designed { evaluated, design, unit: unit.name.to_owned(), silicon })?)
}

fn silicon(run: &Run<'_>, machine: &Machine, unit: &str) -> Result<Silicon> {
    let mut cost = run.cost(machine)?;
    // Layers in FP32 have a unit of their own, which is the same in every design.
    cost.layers.retain(|layer| layer.datapath == unit);
    ensure!(!cost.layers.is_empty(), "no layer of the model runs on `{unit}`; choose another `preset`");
    let area = area(&machine.accelerator, &cost, &machine.prices)?;
    let sum = |of: fn(&interplay_hw::cost::Figures) -> f64| cost.layers.iter().map(|l| of(&l.figures)).sum::<f64>();
    Ok(Silicon {
        units_mm2: area.units.typical,
        units_mm2_range: [area.units.low, area.units.high],
        total_mm2: area.total.typical,
        unit_pj_per_mac: sum(|f| f.energy.mac.typical) / sum(|f| f.macs_executed as f64),
        layers_pj: sum(|f| f.energy.total.typical),
        layers_cycles: cost.layers.iter().map(|l| l.figures.cycles.0).sum(),
    })
}

/// What a row has beside the columns of an evaluated cell.
const MORE: [&str; 16] = [
    "base_format",
    "unit",
    "sum",
    "bits",
    "block",
    "own_block",
    "units_mm2",
    "units_mm2_low",
    "units_mm2_high",
    "total_mm2",
    "unit_pj_per_mac",
    "layers_pj",
    "layers_cycles",
    "increase_percent",
    "increase_stderr",
    "front",
];

fn frame(results: &[Value]) -> Result<Frame> {
    let cells: Vec<Designed> = results.iter().map(typed).collect::<Result<_>>()?;
    let mut frame = Frame::new(&[&COLUMNS[..], &MORE].concat());
    for (one, front) in cells.iter().zip(fronts(
        &cells,
        |c| c.evaluated.cell.model.clone(),
        |c| vec![c.evaluated.cell.metric.value, c.silicon.units_mm2, c.silicon.layers_pj],
    )) {
        let own = block_of(&one.design.base)?;
        let [increase, stderr] = match reference(&cells, one) {
            Some(widest) if widest.design != one.design => {
                evaluated::increase_percent(&widest.evaluated, &one.evaluated)
            }
            Some(_) => [0.0; 2],
            None => [f64::NAN; 2],
        };
        let silicon = one.silicon;
        let numbers = [silicon.units_mm2, silicon.units_mm2_range[0], silicon.units_mm2_range[1], silicon.total_mm2];
        let more = [
            one.design.base.clone(),
            one.unit.clone(),
            one.design.kind().to_owned(),
            one.design.bits().to_string(),
            one.design.block.map_or(String::new(), |block| block.to_string()),
            (one.design.block == own).to_string(),
        ];
        let more = more.into_iter().chain(numbers.map(field)).chain([
            field(silicon.unit_pj_per_mac),
            field(silicon.layers_pj),
            silicon.layers_cycles.to_string(),
            field(increase),
            field(stderr),
            front.to_string(),
        ]);
        frame.push(KIND.name, evaluated::values(&one.evaluated).into_iter().chain(more))?;
    }
    Ok(frame)
}

/// The design that another is compared to: of the same model, format and way of summing, the widest with the format's own blocks.
fn reference<'a>(cells: &'a [Designed], one: &Designed) -> Option<&'a Designed> {
    let like = |c: &&Designed| {
        let same = c.design.base == one.design.base && c.evaluated.cell.model == one.evaluated.cell.model;
        same && c.design.kind() == one.design.kind() && block_of(&c.design.base).is_ok_and(|own| own == c.design.block)
    };
    cells.iter().filter(like).max_by_key(|c| c.design.bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_dimension_is_varied_at_a_time_and_no_design_comes_twice() {
        let options: Options = toml::from_str(
            "accumulator_bits = [12, 32]\ninteger_bits = [20]\nrounding = 'nearest-even'\nblock = [16, 64]\n\
             [aligned]\nunits = { mxfp8 = 'b200.tcgen05.mxf8f6f4-e4m3.f32' }\nfraction_bits = [4, 25]\n\
             [grid]\nformats = ['hbfp6']\naccumulator_bits = [12, 32]\nblock = [16]",
        )
        .unwrap();
        let designs = options.designs(&["hbfp6".to_owned(), "int8".to_owned()]).unwrap();
        let of =
            |base: &str| designs.iter().filter(|d| d.base == base).map(|d| (d.bits(), d.block)).collect::<Vec<_>>();
        assert_eq!(of("hbfp6"), [(12, Some(64)), (32, Some(64)), (32, Some(16)), (12, Some(16))]);
        assert_eq!(of("int8"), [(20, None)]);
        assert_eq!(of("mxfp8"), [(4, Some(32)), (25, Some(32))]);
        assert!(options.designs(&["nothing".to_owned()]).is_err());
    }
}
