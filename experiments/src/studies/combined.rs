//! What brings accuracy back, in either order: a low-rank correction of the compression error, and distillation during fine-tuning. Open in
//! the paper.

mod show;

use anyhow::{Result, ensure};
use interplay::plan::{Correction, Plan};
use interplay::session::Session;
use serde::Deserialize;
use serde_json::{Value, json};

use super::training::{self, Aim, Budget, judge};
use crate::cell::Labels;
use crate::engine::bench::{Bench, Point, Worker, inputs, points};
use crate::engine::frame::{Frame, field};
use crate::engine::key::Key;
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::rehearse::fewer_steps;
use crate::engine::run::typed;
use crate::report::numbers::Paired;
use crate::result::BURN_GRADIENTS;
use crate::studies::evaluated::{self, Evaluated, of_plan};
use crate::subject::Subject;

/// The study.
pub const KIND: Kind = Kind {
    name: "combined",
    question: "How much accuracy do a low-rank correction and distillation bring back, and do they close the gap between the orders?",
    title: "Low-rank correction and distillation in both orders",
    file: include_str!("combined.toml"),
    many: &["models", "formats", "sparsity", "orders", "seeds"],
    one: &["accelerators"],
    plan,
    measure,
    frame,
    figure: show::figure,
    caption: show::caption,
    summary: show::summary,
    shrink: fewer_steps,
};

const COLUMNS: [&str; 21] = [
    "part",
    "model",
    "data",
    "window",
    "windows",
    "format",
    "sparsity",
    "order",
    "rank",
    "distill_percent",
    "seed",
    "steps",
    "metric",
    "value",
    "stderr",
    "fp32_value",
    "recovered",
    "recovered_stderr",
    "linear_bits",
    "cycles",
    "energy_pj",
];

/// What this study alone knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Ranks of the correction; 0 is none.
    ranks: Vec<u64>,
    /// How far targets lean towards the dense model, in percent.
    distill_percent: Vec<u64>,
    steps: usize,
    image_steps: usize,
    batch: usize,
    image_batch: usize,
    rate_millionths: u64,
}

impl Options {
    fn budget(&self) -> Budget {
        Budget {
            steps: self.steps,
            image_steps: self.image_steps,
            batch: self.batch,
            image_batch: self.image_batch,
            rate_millionths: self.rate_millionths,
        }
    }
}

fn plan(bench: &Bench, _: &Done) -> Result<Vec<Planned>> {
    bench.spec.needs("models", &bench.spec.models)?;
    bench.spec.needs("accelerators", &bench.spec.accelerators)?;
    let options: Options = bench.spec.options()?;
    let (formats, patterns) = bench.ordered()?;
    ensure!(
        options.distill_percent.iter().all(|percent| *percent <= 100),
        "[options]: `distill_percent` is from 0 to 100"
    );
    let orders = bench.orders()?;
    let mut planned = Vec::new();
    for subject in &bench.subjects {
        for point in points(&formats, &patterns, &orders) {
            for &rank in &options.ranks {
                planned.push(corrected(bench, subject, &point, rank));
            }
        }
        if options.distill_percent.is_empty() {
            continue;
        }
        ensure!(!bench.spec.seeds.is_empty(), "`seeds`: give at least one");
        // Data that are missing are missed before an hour is spent.
        let data = training::digest(subject)?;
        for point in points(&formats[..1], &patterns, &orders) {
            for &percent in &options.distill_percent {
                for &seed in &bench.spec.seeds {
                    planned.push(distilled(bench, subject, &point, &options, (&data, percent, seed))?);
                }
            }
        }
    }
    Ok(planned)
}

fn corrected(bench: &Bench, subject: &Subject, point: &Point, rank: u64) -> Planned {
    let key =
        bench.with_machines(point.name(bench.key_of(subject), "auto")).with("part", "low-rank").with("rank", rank);
    Planned {
        label: format!("{} {} {} {} rank {rank}", subject.model_name, point.format.name, point.pattern, point.order),
        work: format!("{} low-rank", subject.model_name),
        amount: inputs(subject),
        key,
    }
}

fn distilled(
    bench: &Bench,
    subject: &Subject,
    point: &Point,
    options: &Options,
    (data, percent, seed): (&str, u64, u64),
) -> Result<Planned> {
    let budget = options.budget();
    let key = bench
        .with_machines(point.name(bench.key_of(subject), "auto"))
        .with("part", "distillation")
        .with("training", data)
        .with("budget", serde_json::to_value(budget)?)
        .with("distill_percent", percent)
        .with("seed", seed);
    let steps = training::settings(subject, &bench.spec.preset, &aim(&key)?, &budget).steps;
    let name = format!("{} {} {} {}", subject.model_name, point.format.name, point.pattern, point.order);
    Ok(Planned {
        label: format!("{name} distilled {percent} % seed {seed}"),
        work: format!("{} distilled {percent}", subject.model_name),
        amount: steps as u64,
        key,
    })
}

/// The common recipe of the study `finetune`: weights and activations rounded in every forward pass, gradients in FP32.
fn aim(key: &Key) -> Result<Aim> {
    Ok(Aim {
        recipe: "common".to_owned(),
        order: Some(key.text("order")?.to_owned()),
        format: key.text("format")?.to_owned(),
        sparsity: key.text("sparsity")?.to_owned(),
        gradients: None,
        distill_percent: key.number("distill_percent")?,
        seed: key.number("seed")?,
    })
}

fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let mut value = match key.text("part")? {
        "low-rank" => correct(worker, key)?,
        _ => distill(worker, key)?,
    };
    value["choice"] = serde_json::to_value(key)?;
    Ok(value)
}

fn correct(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let (point, rank) = (Point::of(key)?, key.number("rank")?);
    let mut config = point.config()?;
    config.correction = (rank > 0).then_some(Correction { rank: usize::try_from(rank)? });
    let labels = match rank {
        0 => point.labels(),
        _ => Labels { format: format!("{} + rank {rank}", point.format.name), ..point.labels() },
    };
    Ok(serde_json::to_value(evaluated::under(worker, key, config, labels)?)?)
}

/// Trains, and evaluates what came of it; null where training diverged.
fn distill(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let bench = worker.bench;
    let (_, subject) = bench.subject(key.text("model")?)?;
    let (options, point): (Options, _) = (bench.spec.options()?, Point::of(key)?);
    let settings = training::settings(subject, &bench.spec.preset, &aim(key)?, &options.budget());
    let plan = bench.on_first(Plan::new(bench.preset()?, point.config()?));
    // The model before training gives what does not change by it, and the losses that the trained one's are held against.
    let start = of_plan(worker, key, plan.clone(), point.labels())?;
    let judged = match training::train(subject, &settings)? {
        Some(model) => Some(judge(subject, &mut Session::on(bench.backend, model.checkpoint, plan)?)?),
        None => None,
    };
    let mut value = serde_json::to_value(start)?;
    value["steps"] = json!(settings.steps);
    value["machine_dependent"] = json!(BURN_GRADIENTS);
    value["trained"] = match judged {
        Some(judged) => json!({"metric": judged.metric, "losses": judged.losses}),
        None => Value::Null,
    };
    Ok(value)
}

/// A result with what its key says and what training made of it.
fn read(result: &Value) -> Result<(Key, Evaluated)> {
    let (key, mut evaluated): (Key, Evaluated) = (typed(&result["choice"])?, typed(result)?);
    if let Some(trained) = result.get("trained") {
        evaluated.cell.metric.value = trained["metric"]["value"].as_f64().unwrap_or(f64::INFINITY);
        evaluated.cell.metric.stderr = trained["metric"]["stderr"].as_f64();
        let losses = trained["losses"].as_array().into_iter().flatten();
        evaluated.losses = losses.map(|loss| loss.as_f64().unwrap_or(f64::INFINITY)).collect();
    }
    Ok((key, evaluated))
}

fn frame(results: &[Value]) -> Result<Frame> {
    let cells = results.iter().map(|result| Ok((read(result)?, result))).collect::<Result<Vec<_>>>()?;
    let mut frame = Frame::new(&COLUMNS);
    for ((key, one), result) in &cells {
        let part = key.text("part")?;
        let number = |name: &str| key.number(name).map_or_else(|_| String::new(), |number| number.to_string());
        // What nothing was done to, of the same point: rank 0, and for a trained model the same run without a teacher.
        let plain = cells.iter().map(|((key, one), _)| (key, one)).find(|(other, e)| {
            let same_point = e.cell.model == one.cell.model
                && other.text("format").ok() == key.text("format").ok()
                && e.cell.sparsity == one.cell.sparsity
                && e.cell.order == one.cell.order
                && other.text("part").is_ok_and(|p| p == part);
            let untouched = other.number("rank").or_else(|_| other.number("distill_percent")).is_ok_and(|n| n == 0);
            same_point && untouched && (part == "low-rank" || other.number("seed").ok() == key.number("seed").ok())
        });
        let fall = plain.map(|(_, plain)| Paired::of(&one.losses, &plain.losses));
        let c = &one.cell;
        let f = c.footprint_bits;
        let values = [
            part.to_owned(),
            c.model.clone(),
            c.data.clone(),
            c.window.to_string(),
            c.windows.to_string(),
            key.text("format")?.to_owned(),
            c.sparsity.clone(),
            c.order.clone(),
            number("rank"),
            number("distill_percent"),
            number("seed"),
            result["steps"].as_u64().map_or_else(String::new, |steps| steps.to_string()),
            c.metric.name.clone(),
            field(c.metric.value),
            field(c.metric.stderr.unwrap_or(f64::NAN)),
            field(c.fp32.value),
            fall.as_ref().map_or_else(String::new, |fall| field(fall.mean)),
            fall.as_ref().map_or_else(String::new, |fall| field(fall.stderr)),
            (f.values + f.scales + f.metadata).to_string(),
            c.cycles.total.to_string(),
            field(c.energy_pj.total),
        ];
        frame.push(KIND.name, values)?;
    }
    Ok(frame)
}
