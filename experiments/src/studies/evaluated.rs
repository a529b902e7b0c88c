//! The cell of every study that evaluates a model: what `eval` measures, with the loss of each input and the cost of each layer.

use std::sync::Arc;

use anyhow::Result;
use interplay::plan::{LayerConfig, Plan};
use interplay::session::Session;
use interplay_formats::math;
use interplay_hw::Layer;
use interplay_hw::cost::{Cost, Pair, Run as Placed, Second, Workload, cost};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::cell::{Baseline, Labels, Machine, Outcome, cell, evaluate, one_input};
use crate::engine::bench::{Bench, Point, Worker, inputs};
use crate::engine::frame::{Frame, Row, field};
use crate::engine::key::Key;
use crate::engine::kind::Planned;
use crate::report::numbers::Paired;
use crate::result::Cell;
use crate::subject::Subject;

/// One evaluated configuration: a line of `results.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluated {
    /// What `eval --json` prints.
    #[serde(flatten)]
    pub cell: Cell,
    /// The machine that it was costed on.
    pub accelerator: String,
    /// The loss of each window or image, in the order of the data.
    #[serde(deserialize_with = "finite_or_infinite")]
    pub losses: Vec<f64>,
    /// What each product stores and costs.
    pub layers: Vec<LayerCost>,
}

/// One product of a model on a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerCost {
    /// The layer.
    pub layer: String,
    /// The format of its weights.
    pub format: String,
    /// The pattern of its weights.
    pub sparsity: String,
    /// The unit of the machine that is counted.
    pub datapath: String,
    /// Multiply-accumulates of the dense product.
    pub macs: u64,
    /// Stored bits of the weights; none of a product of two activations, or where the module keeps them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<u64>,
    /// Cycles of one window or image.
    pub cycles: u64,
    /// Picojoules of one window or image.
    pub energy_pj: f64,
}

/// JSON has no infinity: what overflowed is written as null.
pub fn finite_or_infinite<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|value| value.unwrap_or(f64::INFINITY)).collect())
}

/// One cell of an evaluated point of a subject.
pub fn planned(bench: &Bench, subject: &Subject, point: &Point, datapath: &str, seed: u64) -> Planned {
    let key = bench.with_machines(point.name(bench.key_of(subject), datapath)).with("seed", seed);
    let labels = point.labels();
    let run = bench.machines.first().and_then(|machine| machine.accelerator.run(&point.pair()).ok());
    let unit = run.map_or("refused", |run| run.datapath.name);
    Planned {
        key,
        label: format!("{} {} {} {}", subject.model_name, labels.format, labels.sparsity, labels.order),
        work: format!("{} {unit} {}", subject.model_name, point.format.element.bits()),
        amount: inputs(subject),
    }
}

/// Evaluates and costs the point of a key on the study's first machine.
///
/// # Errors
/// The model cannot run under the point, or the machine has no unit for it.
pub fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let point = Point::of(key)?;
    let (config, labels) = (point.config()?, point.labels());
    Ok(serde_json::to_value(under(worker, key, config, labels)?)?)
}

/// Evaluates and costs one configuration of the preset's layers on the study's first machine.
///
/// # Errors
/// Those of [`measure`].
pub fn under(worker: &mut Worker<'_>, key: &Key, config: LayerConfig, labels: Labels) -> Result<Evaluated> {
    let plan = Plan::new(worker.bench.preset()?, config);
    of_plan(worker, key, plan, labels)
}

/// Evaluates and costs one plan on the study's first machine.
///
/// # Errors
/// Those of [`measure`].
pub fn of_plan(worker: &mut Worker<'_>, key: &Key, plan: Plan, labels: Labels) -> Result<Evaluated> {
    let bench = worker.bench;
    let name = bench.spec.accelerators.first().map(String::as_str).unwrap_or_default();
    let machine = bench.machine(name)?;
    let plan = bench.on_first(plan);
    run(worker, key, plan, labels, &[])?.on(name, machine)
}

/// A plan under which a model ran, to be costed on the machine that ran it.
pub struct Run<'a> {
    subject: &'a Subject,
    session: &'a mut Session,
    baseline: Arc<Baseline>,
    /// What came out.
    pub outcome: Outcome,
    /// What ran each product.
    pub units: Vec<Placed>,
    labels: Labels,
    seed: u64,
    /// The products of one window or image.
    pub workload: Workload,
}

/// Evaluates one plan; what units of the same bits gave before is among `known`.
///
/// # Errors
/// The model cannot run under it.
pub fn run<'a>(
    worker: &'a mut Worker<'_>,
    key: &Key,
    plan: Plan,
    labels: Labels,
    known: &[(Vec<Placed>, Outcome)],
) -> Result<Run<'a>> {
    let bench = worker.bench;
    let (place, subject) = bench.subject(key.text("model")?)?;
    let baseline = worker.baseline(place)?;
    let session = worker.session(place, "cell")?;
    session.set_plan(plan)?;
    let units: Vec<_> = session.placements()?.into_iter().map(|placement| placement.run).collect();
    let same = |(other, _): &&(Vec<Placed>, Outcome)| units.iter().zip(other).all(|(a, b)| a.same_bits(b));
    let outcome = match known.iter().find(same) {
        Some((_, outcome)) => outcome.clone(),
        None => evaluate(subject, session, Some(&baseline))?,
    };
    let workload = session.workload(&one_input(subject, session)?)?;
    let seed = key.number("seed").unwrap_or(0);
    Ok(Run { subject, session, baseline, outcome, units, labels, seed, workload })
}

impl Run<'_> {
    /// What the workload costs on a machine.
    ///
    /// # Errors
    /// The machine has no unit for a product, or no room for it.
    pub fn cost(&self, machine: &Machine) -> Result<Cost, interplay_hw::Error> {
        cost(&self.workload, &machine.accelerator, machine.cycle_model, &machine.prices)
    }

    /// The evaluated cell on the machine of that name.
    ///
    /// # Errors
    /// Those of [`Run::cost`].
    pub fn on(&mut self, name: &str, machine: &Machine) -> Result<Evaluated> {
        let cost = self.cost(machine)?;
        let (metric, labels) = (&self.baseline.metric, self.labels.clone());
        let cell = cell(self.subject, self.session, machine, labels, &self.outcome, metric, self.seed)?;
        // Products of the host that no unit of the machine has the law of are not among the layers of a cost.
        let priced = |layer: &&Layer| machine.accelerator.run(&Pair::from(*layer)).is_ok_and(|run| run.slot.is_some());
        let stored = self.workload.layers.iter().filter(priced).map(stored);
        let layers = cost.layers.iter().zip(stored).map(|(layer, bits)| LayerCost {
            layer: layer.gemm.name.clone(),
            format: layer.weights.to_owned(),
            sparsity: layer.sparsity.clone(),
            datapath: layer.datapath.clone(),
            macs: layer.figures.macs,
            bits,
            cycles: layer.figures.cycles.0,
            energy_pj: layer.figures.energy.total.typical,
        });
        let layers = layers.collect();
        Ok(Evaluated { cell, accelerator: name.to_owned(), losses: self.outcome.losses.clone(), layers })
    }
}

/// By how many percent the metric of `to` is above that of `from`, with the standard error of the paired difference: both saw the same
/// inputs, so the spread between these cancels.
pub fn increase_percent(from: &Evaluated, to: &Evaluated) -> [f64; 2] {
    let paired = Paired::of(&from.losses, &to.losses);
    // A perplexity is the exponential of the mean loss, so its relative change is that of a difference of losses, and moves by that
    // exponential with it; a cross-entropy is the loss itself.
    if from.cell.metric.name == "perplexity" {
        return [math::exp_m1(paired.mean) * 100.0, math::exp(paired.mean) * paired.stderr * 100.0];
    }
    let scale = 100.0 / from.cell.metric.value;
    [paired.mean * scale, paired.stderr * scale]
}

/// Bits of a layer's stored weights.
fn stored(layer: &Layer) -> Option<u64> {
    let bits = layer.stored.values + layer.stored.scales + layer.stored.metadata;
    (layer.second == Second::Weights).then(|| bits * layer.gemm.count)
}

/// The columns of [`values`].
pub const COLUMNS: [&str; 24] = [
    "model",
    "data",
    "window",
    "windows",
    "format",
    "sparsity",
    "order",
    "datapath",
    "runs",
    "metric",
    "value",
    "stderr",
    "fp32_value",
    "top1",
    "values_bits",
    "scales_bits",
    "metadata_bits",
    "total_bits",
    "accelerator",
    "cycle_model",
    "cycles",
    "prices",
    "energy_pj",
    "seed",
];

/// Columns that version 2 of results added: tables of version 1 lack them.
const ADDED: [&str; 3] = ["runs", "area_mm2", "skips_pruned"];

/// The columns that a table needs which has [`COLUMNS`] and `more`.
pub fn needed(more: &[&'static str]) -> Vec<&'static str> {
    COLUMNS.iter().chain(more).copied().filter(|column| !ADDED.contains(column)).collect()
}

/// A cell as the columns of a table.
pub fn values(one: &Evaluated) -> Vec<String> {
    let (c, f) = (&one.cell, one.cell.footprint_bits);
    let top1 = c.more.iter().find(|m| m.name == "top1").map_or(f64::NAN, |m| m.value);
    vec![
        c.model.clone(),
        c.data.clone(),
        c.window.to_string(),
        c.windows.to_string(),
        c.format.clone(),
        c.sparsity.clone(),
        c.order.clone(),
        c.datapath.clone(),
        c.runs.clone(),
        c.metric.name.clone(),
        field(c.metric.value),
        field(c.metric.stderr.unwrap_or(f64::NAN)),
        field(c.fp32.value),
        field(top1),
        f.values.to_string(),
        f.scales.to_string(),
        f.metadata.to_string(),
        f.total.to_string(),
        one.accelerator.clone(),
        c.cycles.model.clone(),
        c.cycles.total.to_string(),
        c.energy_pj.prices.clone(),
        field(c.energy_pj.total),
        c.seed.to_string(),
    ]
}

/// How much was evaluated, in words, of a row with [`COLUMNS`]: `40 windows of 256 tokens`, `1000 images`.
pub fn size(row: Row<'_>) -> String {
    match row.text("window") {
        "0" => format!("{} images", row.text("windows")),
        window => format!("{} windows of {window} tokens", row.text("windows")),
    }
}

/// The machine that the rows were costed on, with what is said of it, as a paragraph; nothing where there are none.
pub fn machine(frame: &Frame, about: &str) -> String {
    let Some(row) = frame.rows().next() else { return String::new() };
    let text = |column| row.text(column);
    format!(
        "Machine: `{}`{about}; cycles: `{}`; prices: `{}`; seed {}.\n\n",
        text("accelerator"),
        text("cycle_model"),
        text("prices"),
        text("seed")
    )
}

/// Bits of the compressed layers of a row with [`COLUMNS`].
pub fn linear_bits(row: crate::engine::frame::Row<'_>) -> f64 {
    ["values_bits", "scales_bits", "metadata_bits"].map(|column| row.number(column)).iter().sum()
}
