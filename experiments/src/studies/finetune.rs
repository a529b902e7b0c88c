//! The orders after fine-tuning: the paper's two recipes, and one common recipe in both orders, with the same budget.
//!
//! The paper's recipes differ in more than the order: S→Q trains in FP32 and quantises afterwards, Q→S has rounding in the loop, of
//! gradients too. The common recipe rounds weights and activations in every forward pass in either order and leaves gradients in FP32, so that
//! the paper's gap falls into three parts: what rounding gradients does, what the order does, and what rounding in the loop does.

mod show;

use anyhow::{Result, ensure};
use interplay::plan::Plan;
use interplay::session::Session;
use interplay_formats::{Format, Order, Pattern};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::training::{self, Aim, Budget, judge};
use crate::engine::bench::{Bench, Point, Worker, activations};
use crate::engine::frame::{Frame, field};
use crate::engine::key::{Key, digest_of};
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::rehearse::fewer_steps;
use crate::engine::run::typed;
use crate::subject::Subject;

/// The study.
pub const KIND: Kind = Kind {
    name: "finetune",
    question: "Does the paper's gap between the orders appear after fine-tuning, and how much of it is the recipe rather than the order?",
    title: "The orders after fine-tuning",
    file: include_str!("finetune.toml"),
    many: &["models", "formats", "sparsity", "seeds"],
    one: &[],
    plan,
    measure,
    frame,
    figure: show::figure,
    caption: show::caption,
    summary: show::summary,
    shrink: fewer_steps,
};

/// One way to train.
struct Arm {
    /// The name in tables.
    name: &'static str,
    /// The recipe of `interplay finetune`.
    recipe: &'static str,
    /// The order in which the result is evaluated.
    order: Order,
    /// Whether gradients are rounded.
    gradients: bool,
}

/// Every way to train.
const ARMS: [Arm; 4] = [
    Arm { name: "S→Q (paper)", recipe: "sq", order: Order::Sq, gradients: false },
    Arm { name: "Q→S (paper)", recipe: "qs", order: Order::Qs, gradients: true },
    Arm { name: "S→Q (common)", recipe: "common", order: Order::Sq, gradients: false },
    Arm { name: "Q→S (common)", recipe: "common", order: Order::Qs, gradients: false },
];

const COLUMNS: [&str; 15] = [
    "model",
    "data",
    "window",
    "windows",
    "sparsity",
    "format",
    "arm",
    "recipe",
    "seed",
    "steps",
    "metric",
    "before",
    "after",
    "after_stderr",
    "dense_after",
];

/// The result of a run.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    model: String,
    data: String,
    window: usize,
    windows: usize,
    sparsity: String,
    arm: String,
    recipe: String,
    seed: u64,
    /// Why the bits may be others on another machine.
    #[serde(default)]
    machine_dependent: String,
    steps: usize,
    metric: String,
    /// The trained model, dense and in FP32; null where training diverged.
    dense_after: Option<f64>,
    rows: Vec<Judged>,
}

/// The trained model in one format.
#[derive(Debug, Serialize, Deserialize)]
struct Judged {
    format: String,
    /// The model before training, compressed in one shot.
    before: Option<f64>,
    /// After training; null where training diverged.
    after: Option<f64>,
    stderr: Option<f64>,
}

fn plan(bench: &Bench, _: &Done) -> Result<Vec<Planned>> {
    bench.spec.needs("models", &bench.spec.models)?;
    let budget: Budget = bench.spec.options()?;
    let (formats, patterns) = bench.ordered()?;
    ensure!(!bench.spec.seeds.is_empty(), "`seeds`: give at least one");
    let mut planned = Vec::new();
    for subject in &bench.subjects {
        // Data that are missing are missed before an hour is spent.
        let data = training::digest(subject)?;
        for pattern in &patterns {
            for &seed in &bench.spec.seeds {
                for arm in &ARMS {
                    for formats in shared(arm, &formats) {
                        planned.push(one(bench, subject, &data, &budget, *pattern, seed, arm, &formats)?);
                    }
                }
            }
        }
    }
    Ok(planned)
}

/// The formats of each run: one run for all where training knows none, else one each.
fn shared(arm: &Arm, formats: &[&'static Format]) -> Vec<Vec<&'static Format>> {
    if arm.recipe == "sq" { vec![formats.to_vec()] } else { formats.iter().map(|&format| vec![format]).collect() }
}

#[expect(clippy::too_many_arguments, reason = "the dimensions of the grid")]
fn one(
    bench: &Bench,
    subject: &Subject,
    data: &str,
    budget: &Budget,
    pattern: Pattern,
    seed: u64,
    arm: &Arm,
    formats: &[&'static Format],
) -> Result<Planned> {
    let names: Vec<&str> = formats.iter().map(|format| format.name).collect();
    let key = bench
        .key_of(subject)
        .with("training", data)
        .with("budget", serde_json::to_value(budget)?)
        .with("sparsity", pattern.to_string())
        .with("arm", arm.name)
        .with("formats", names.clone())
        .with(
            "records",
            digest_of(formats.iter().map(|f| format!("{f:?}")).chain(formats.iter().filter_map(|f| activations(f)))),
        )
        .with("seed", seed);
    let steps = training::settings(subject, &bench.spec.preset, &aim(&key, arm, names[0])?, budget).steps;
    Ok(Planned {
        label: format!("{} {pattern} {} {} seed {seed}", subject.model_name, names.join("+"), arm.name),
        work: format!("{} {}", subject.model_name, arm.recipe),
        amount: steps as u64,
        key,
    })
}

fn aim(key: &Key, arm: &Arm, format: &str) -> Result<Aim> {
    Ok(Aim {
        recipe: arm.recipe.to_owned(),
        order: (arm.recipe == "common").then(|| arm.order.to_string()),
        format: format.to_owned(),
        sparsity: key.text("sparsity")?.to_owned(),
        gradients: arm.gradients.then(|| format.to_owned()),
        distill_percent: 0,
        seed: key.number("seed")?,
    })
}

fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let bench = worker.bench;
    let (place, subject) = bench.subject(key.text("model")?)?;
    let budget: Budget = bench.spec.options()?;
    let name = key.text("arm")?;
    let Some(arm) = ARMS.iter().find(|arm| arm.name == name) else { anyhow::bail!("there is no arm `{name}`") };
    let formats = key.texts("formats")?;
    let points = formats.iter().map(|&format| {
        let pattern = key.text("sparsity")?.parse()?;
        Ok(Point { format: Format::by_name(format)?, pattern, order: arm.order, datapath: None })
    });
    let points: Vec<Point> = points.collect::<Result<_>>()?;
    let plan = |point: &Point| -> Result<Plan> { Ok(bench.on_first(Plan::new(bench.preset()?, point.config()?))) };
    let settings = training::settings(
        subject,
        &bench.spec.preset,
        &aim(key, arm, formats.first().copied().unwrap_or_default())?,
        &budget,
    );
    let trained = training::train(subject, &settings)?;
    let mut after = trained.map(|model| Session::on(bench.backend, model.checkpoint, Plan::fp32())).transpose()?;
    let dense = after.as_mut().map(|session| judge(subject, session)).transpose()?;
    let mut rows = Vec::new();
    for point in &points {
        let before = worker.session(place, "cell")?;
        before.set_plan(plan(point)?)?;
        let before = judge(subject, before)?.metric;
        let after = match &mut after {
            Some(session) => {
                session.set_plan(plan(point)?)?;
                Some(judge(subject, session)?.metric)
            }
            None => None,
        };
        rows.push(Judged {
            format: point.format.name.to_owned(),
            before: Some(before.value),
            stderr: after.as_ref().and_then(|metric| metric.stderr),
            after: after.map(|metric| metric.value),
        });
    }
    let metric = worker.baseline(place)?.metric.name.clone();
    let measured = Measured {
        model: subject.model_name.clone(),
        data: subject.data_name.clone(),
        window: subject.window(),
        windows: subject.inputs(),
        sparsity: key.text("sparsity")?.to_owned(),
        arm: arm.name.to_owned(),
        recipe: arm.recipe.to_owned(),
        seed: key.number("seed")?,
        machine_dependent: crate::result::BURN_GRADIENTS.to_owned(),
        steps: settings.steps,
        metric,
        dense_after: dense.map(|judged| judged.metric.value),
        rows,
    };
    Ok(serde_json::to_value(measured)?)
}

fn frame(results: &[Value]) -> Result<Frame> {
    let mut frame = Frame::new(&COLUMNS);
    // What is null was not finite.
    let number = |value: Option<f64>| field(value.unwrap_or(f64::INFINITY));
    for result in results {
        let run: Measured = typed(result)?;
        for row in &run.rows {
            let values = [
                run.model.clone(),
                run.data.clone(),
                run.window.to_string(),
                run.windows.to_string(),
                run.sparsity.clone(),
                row.format.clone(),
                run.arm.clone(),
                run.recipe.clone(),
                run.seed.to_string(),
                run.steps.to_string(),
                run.metric.clone(),
                number(row.before),
                number(row.after),
                field(row.stderr.unwrap_or(f64::NAN)),
                number(run.dense_after),
            ];
            frame.push(KIND.name, values)?;
        }
    }
    Ok(frame)
}
