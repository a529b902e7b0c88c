//! Footprint, energy and time against accuracy, over formats, patterns, orders and machines.
//!
//! A cell is one configuration of one model. It is evaluated once and costed on every machine of the study; a machine that has no unit
//! for it gives a row without a cost, and the reason.

mod figure;
mod tables;

use anyhow::{Context, Result, ensure};
use interplay::plan::Plan;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::orders;
use crate::engine::bench::{Bench, Point, Worker};
use crate::engine::frame::{Frame, field};
use crate::engine::key::Key;
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::rehearse::fewer_inputs;
use crate::engine::run::typed;
use crate::report::front::fronts;
use crate::result::{CycleCount, Energy};
use crate::studies::evaluated::{self, COLUMNS, Evaluated, unit_of};

/// The study.
pub const KIND: Kind = Kind {
    name: "pareto",
    question: "Which formats, patterns, orders and machines are worth their footprint, energy and time, and does the paper's advice hold?",
    title: "Footprint, energy and time against accuracy",
    file: include_str!("pareto.toml"),
    many: &["models", "formats", "sparsity", "orders", "accelerators"],
    one: &["datapaths", "seeds"],
    plan,
    measure,
    frame,
    figure: figure::draw,
    caption: tables::caption,
    shrink: fewer_inputs,
};

fn plan(bench: &Bench, done: &Done) -> Result<Vec<Planned>> {
    bench.spec.needs("accelerators", &bench.spec.accelerators)?;
    for format in bench.formats()? {
        ensure!(
            bench.machines.iter().any(|machine| unit_of(machine, format).is_ok()),
            "none of the accelerators {} multiplies `{}`; leave it out, or add `systolic-128`",
            bench.spec.accelerators.join(", "),
            format.name
        );
    }
    orders::plan(bench, done)
}

/// One configuration on every machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Placed {
    /// Evaluated, and costed on the first machine that can run it.
    #[serde(flatten)]
    evaluated: Evaluated,
    machines: Vec<OnMachine>,
}

/// What a window or an image takes on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OnMachine {
    accelerator: String,
    cycle_model: String,
    /// None where the machine refuses.
    cost: Option<Taken>,
    /// Why it refuses.
    refused: Option<String>,
}

/// Time and energy of a window or an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Taken {
    cycles: u64,
    seconds: f64,
    energy_pj: f64,
}

fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let bench = worker.bench;
    let point = Point::of(key)?;
    let plan = Plan::new(bench.preset()?, point.config()?);
    let mut run = evaluated::run(worker, key, plan, point.labels())?;
    let names = bench.spec.accelerators.iter().zip(&bench.machines);
    let on = |(name, machine): (&String, _)| {
        let machine: &crate::cell::Machine = machine;
        let found = run.cost(machine);
        OnMachine {
            accelerator: name.clone(),
            cycle_model: machine.cycle_model.name.to_owned(),
            refused: found.as_ref().err().map(ToString::to_string),
            cost: found.ok().map(|cost| Taken {
                cycles: cost.total.cycles.0,
                seconds: cost.total.seconds,
                energy_pj: cost.total.energy.total.typical,
            }),
        }
    };
    let machines: Vec<OnMachine> = names.clone().map(on).collect();
    let able = names.zip(&machines).find(|(_, on)| on.cost.is_some());
    let reason = machines.first().and_then(|on| on.refused.clone()).unwrap_or_default();
    let ((name, machine), _) = able.with_context(|| format!("no accelerator of the study runs it: {reason}"))?;
    let evaluated = run.on(name, machine)?;
    Ok(serde_json::to_value(Placed { evaluated, machines })?)
}

/// What a row has beside the columns of an evaluated cell.
const MORE: [&str; 8] =
    ["seconds", "linear_bits", "refused", "front", "front_on_machine", "front_2d", "gap_percent", "gap_stderr"];

fn frame(results: &[Value]) -> Result<Frame> {
    let cells: Vec<Placed> = results.iter().map(typed).collect::<Result<_>>()?;
    let evaluated: Vec<Evaluated> = cells.iter().map(|c| c.evaluated.clone()).collect();
    let rows: Vec<(&Placed, &OnMachine)> =
        cells.iter().flat_map(|c| c.machines.iter().map(move |on| (c, on))).collect();
    let model = |(c, _): &(&Placed, &OnMachine)| c.evaluated.cell.model.clone();
    let everywhere = fronts(&rows, model, four);
    let here = fronts(&rows, |row| (model(row), row.1.accelerator.clone()), four);
    let stored = fronts(&rows, model, |(c, _)| vec![c.evaluated.cell.metric.value, linear_bits(&c.evaluated)]);
    let mut frame = Frame::new(&[&COLUMNS[..], &MORE].concat());
    for (at, (one, on)) in rows.iter().enumerate() {
        let gap = orders::gap(&evaluated, &one.evaluated);
        let more = [
            on.cost.map_or(String::new(), |taken| field(taken.seconds)),
            linear_bits(&one.evaluated).to_string(),
            on.refused.clone().unwrap_or_default(),
            everywhere[at].to_string(),
            here[at].to_string(),
            stored[at].to_string(),
        ];
        let more = more.into_iter().chain(gap.into_iter().map(field));
        frame.push(KIND.name, values(one, on).into_iter().chain(more))?;
    }
    Ok(frame)
}

/// The columns of the evaluated cell on that machine; no cycles and no energy where it refuses.
fn values(one: &Placed, on: &OnMachine) -> Vec<String> {
    let mut here = Evaluated { accelerator: on.accelerator.clone(), ..one.evaluated.clone() };
    let Taken { cycles, energy_pj, .. } =
        on.cost.unwrap_or(Taken { cycles: 0, seconds: f64::NAN, energy_pj: f64::NAN });
    here.cell.cycles = CycleCount { model: on.cycle_model.clone(), total: cycles };
    here.cell.energy_pj = Energy { total: energy_pj, ..here.cell.energy_pj };
    let blank = |(value, column): (String, &str)| {
        if on.cost.is_none() && column == "cycles" { String::new() } else { value }
    };
    evaluated::values(&here).into_iter().zip(COLUMNS).map(blank).collect()
}

/// Bits of the compressed layers.
fn linear_bits(one: &Evaluated) -> f64 {
    let f = one.cell.footprint_bits;
    (f.values + f.scales + f.metadata) as f64
}

/// What the front of all is made by: metric, bits, energy, time; no number where the machine refuses.
fn four((one, on): &(&Placed, &OnMachine)) -> Vec<f64> {
    let (energy, seconds) = on.cost.map_or((f64::NAN, f64::NAN), |taken| (taken.energy_pj, taken.seconds));
    vec![one.evaluated.cell.metric.value, linear_bits(&one.evaluated), energy, seconds]
}
