//! Footprint, energy and time against accuracy, over formats, patterns, orders and machines.
//!
//! A cell is one configuration of one model. It is evaluated and costed on every machine of the study, each on its own units; machines whose
//! units give the same bits share one evaluation. A machine that does not run it gives a row without numbers, and the reason.

mod figure;
mod tables;

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use interplay::plan::Plan;
use interplay_formats::{Order, Pattern};
use interplay_hw::cost::{Run, area};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::orders;
use crate::cell::{Machine, Outcome};
use crate::engine::bench::{Bench, Point, Worker};
use crate::engine::frame::{Frame, field};
use crate::engine::key::Key;
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::rehearse::fewer_inputs;
use crate::engine::run::typed;
use crate::report::front::fronts;
use crate::result::{CycleCount, Energy, Metric};
use crate::studies::evaluated::{self, COLUMNS, Evaluated};

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
    summary: tables::summary,
    shrink: fewer_inputs,
};

fn plan(bench: &Bench, done: &Done) -> Result<Vec<Planned>> {
    bench.spec.needs("accelerators", &bench.spec.accelerators)?;
    for format in bench.formats()? {
        let pair = Point { format, pattern: Pattern::Dense, order: Order::None, datapath: None }.pair();
        ensure!(
            bench.machines.iter().any(|machine| machine.accelerator.run(&pair).is_ok()),
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
    /// On the first machine that runs it.
    #[serde(flatten)]
    evaluated: Evaluated,
    machines: Vec<OnMachine>,
}

/// A configuration on one machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct OnMachine {
    accelerator: String,
    cycle_model: String,
    /// None where the machine refuses.
    #[serde(alias = "cost")]
    taken: Option<Taken>,
    /// Why it refuses.
    refused: Option<String>,
}

/// What the machine's own units make of the model, and what a window or an image takes there; results of version 1 have cycles, time and
/// energy alone, of what the formats' natural units computed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Taken {
    #[serde(default)]
    own: Option<Own>,
    cycles: u64,
    seconds: f64,
    energy_pj: f64,
    /// Units and memories on the chip.
    #[serde(default)]
    area_mm2: Option<f64>,
}

/// What the machine's own units gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Own {
    datapath: String,
    runs: String,
    skips_pruned: Option<bool>,
    metric: Metric,
    more: Vec<Metric>,
    #[serde(deserialize_with = "evaluated::finite_or_infinite")]
    losses: Vec<f64>,
}

fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let bench = worker.bench;
    let point = Point::of(key)?;
    let plan = Plan::new(bench.preset()?, point.config()?);
    let (mut machines, mut first) = (Vec::new(), None);
    let mut known: Vec<(Vec<Run>, Outcome)> = Vec::new();
    for (name, machine) in bench.spec.accelerators.iter().zip(&bench.machines) {
        let here = |taken: Result<Taken, String>| OnMachine {
            accelerator: name.clone(),
            cycle_model: machine.cycle_model.name.to_owned(),
            refused: taken.as_ref().err().cloned(),
            taken: taken.ok(),
        };
        if let Err(refusal) = machine.accelerator.run(&point.pair()) {
            machines.push(here(Err(refusal.to_string())));
            continue;
        }
        let plan = plan.clone().on(Arc::clone(&machine.accelerator));
        let mut run = evaluated::run(worker, key, plan, point.labels(), &known)?;
        let (evaluated, taken) = on(&mut run, name, machine)?;
        machines.push(here(Ok(taken)));
        first.get_or_insert(evaluated);
        known.push((run.units, run.outcome));
    }
    let reason = machines.first().and_then(|on| on.refused.clone()).unwrap_or_default();
    let evaluated = first.with_context(|| format!("no accelerator of the study runs it: {reason}"))?;
    Ok(serde_json::to_value(Placed { evaluated, machines })?)
}

/// A run on its machine.
fn on(run: &mut evaluated::Run<'_>, name: &str, machine: &Machine) -> Result<(Evaluated, Taken)> {
    let cost = run.cost(machine)?;
    let evaluated = run.on(name, machine)?;
    let cell = &evaluated.cell;
    let own = Own {
        datapath: cell.datapath.clone(),
        runs: cell.runs.clone(),
        skips_pruned: cell.skips_pruned,
        metric: cell.metric.clone(),
        more: cell.more.clone(),
        losses: evaluated.losses.clone(),
    };
    let taken = Taken {
        own: Some(own),
        cycles: cost.total.cycles.0,
        seconds: cost.total.seconds,
        energy_pj: cost.total.energy.total.typical,
        area_mm2: Some(area(&machine.accelerator, &cost, &machine.prices)?.total.typical),
    };
    Ok((evaluated, taken))
}

/// What a row has beside the columns of an evaluated cell.
const MORE: [&str; 10] = [
    "seconds",
    "area_mm2",
    "linear_bits",
    "skips_pruned",
    "refused",
    "front",
    "front_on_machine",
    "front_2d",
    "gap_percent",
    "gap_stderr",
];

fn frame(results: &[Value]) -> Result<Frame> {
    let cells: Vec<Placed> = results.iter().map(typed).collect::<Result<_>>()?;
    let rows: Vec<(Evaluated, &OnMachine)> =
        cells.iter().flat_map(|c| c.machines.iter().map(move |on| (there(c, on), on))).collect();
    let model = |(one, _): &(Evaluated, &OnMachine)| one.cell.model.clone();
    let machine = |row: &(Evaluated, &OnMachine)| (model(row), row.1.accelerator.clone());
    let everywhere = fronts(&rows, model, four);
    let here = fronts(&rows, machine, four);
    let stored = fronts(&rows, machine, |row| four(row)[..2].to_vec());
    let mut frame = Frame::new(&[&COLUMNS[..], &MORE].concat());
    for (at, (one, on)) in rows.iter().enumerate() {
        let same: Vec<Evaluated> = rows
            .iter()
            .filter(|row| row.1.accelerator == on.accelerator && row.1.taken.is_some())
            .map(|row| row.0.clone())
            .collect();
        let gap = if on.taken.is_some() { orders::gap(&same, one) } else { vec![f64::NAN; 2] };
        let taken = |of: fn(&Taken) -> f64| on.taken.as_ref().map_or(f64::NAN, of);
        let skips = on.taken.as_ref().and_then(|taken| taken.own.as_ref()?.skips_pruned);
        let more = [
            field(taken(|t| t.seconds)),
            field(taken(|t| t.area_mm2.unwrap_or(f64::NAN))),
            linear_bits(one).to_string(),
            skips.map_or(String::new(), |skips| skips.to_string()),
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

/// The cell as that machine ran it; of one that refuses, what is stored.
fn there(one: &Placed, on: &OnMachine) -> Evaluated {
    let mut here = Evaluated { accelerator: on.accelerator.clone(), layers: Vec::new(), ..one.evaluated.clone() };
    let prices = here.cell.energy_pj.prices.clone();
    here.cell.machine = on.accelerator.clone();
    match &on.taken {
        Some(taken) => {
            let total = taken.cycles;
            if let Some(own) = taken.own.clone() {
                here.losses = own.losses;
                (here.cell.datapath, here.cell.runs) = (own.datapath, own.runs);
                (here.cell.metric, here.cell.more) = (own.metric, own.more);
            }
            here.cell.cycles = CycleCount { model: on.cycle_model.clone(), total };
            here.cell.energy_pj = Energy { total: taken.energy_pj, prices };
        }
        None => {
            let nothing = Metric { value: f64::NAN, stderr: None, ..here.cell.metric.clone() };
            here.losses = Vec::new();
            (here.cell.datapath, here.cell.runs) = ("refused".to_owned(), String::new());
            (here.cell.metric, here.cell.more) = (nothing, Vec::new());
            here.cell.cycles = CycleCount { model: on.cycle_model.clone(), total: 0 };
            here.cell.energy_pj = Energy { total: f64::NAN, prices };
        }
    }
    here
}

/// The columns of an evaluated cell; no cycles where the machine refuses.
fn values(one: &Evaluated, on: &OnMachine) -> Vec<String> {
    let blank = |(value, column): (String, &str)| {
        if on.taken.is_none() && column == "cycles" { String::new() } else { value }
    };
    evaluated::values(one).into_iter().zip(COLUMNS).map(blank).collect()
}

/// Bits of the compressed layers.
fn linear_bits(one: &Evaluated) -> f64 {
    let f = one.cell.footprint_bits;
    (f.values + f.scales + f.metadata) as f64
}

/// What the front of all is made by: metric, bits, energy, time; no number where the machine refuses.
fn four((one, on): &(Evaluated, &OnMachine)) -> Vec<f64> {
    let (energy, seconds) = on.taken.as_ref().map_or((f64::NAN, f64::NAN), |taken| (taken.energy_pj, taken.seconds));
    vec![one.cell.metric.value, linear_bits(one), energy, seconds]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of version 1, which this project wrote: every machine has the metric of the formats' natural units.
    #[test]
    fn results_of_version_1_are_read() {
        let lines = include_str!("pareto/version-1.jsonl").lines();
        let results: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
        let frame = frame(&results).unwrap();
        let rows: Vec<_> = frame.rows().collect();
        assert_eq!(rows.len(), 4 * results.len());
        for row in rows.iter().filter(|row| row.text("refused").is_empty()) {
            assert!(row.number("value").is_finite() && row.number("energy_pj") > 0.0 && row.number("cycles") > 0.0);
            assert!(row.number("area_mm2").is_nan() && row.text("runs").is_empty());
        }
        assert!(tables::caption(&frame).unwrap().contains("systolic-128"));
        figure::draw(&frame).unwrap();
    }
}
