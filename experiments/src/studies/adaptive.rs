//! Which format, pattern and order each layer should have under a budget: open in the paper.
//!
//! First every layer is compressed alone in every way, and all layers in the same way; then a choice for each layer is made from how the
//! loss rose, under each budget, and the model runs under it. The losses of one half of the inputs make the choice, the other half judges it.

mod choose;
mod show;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use interplay::plan::{Plan, Preset, Rule};
use interplay::session::operands;
use serde::Deserialize;
use serde_json::Value;

use crate::cell::Labels;
use crate::engine::bench::{Bench, Point, Worker, inputs, points};
use crate::engine::key::Key;
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::rehearse::fewer_inputs;
use crate::engine::run::typed;
use crate::studies::evaluated::{self, Evaluated};
use crate::subject::Subject;
use choose::{Budget, Sensitivities, choices};

/// The study.
pub const KIND: Kind = Kind {
    name: "adaptive",
    question: "Does a format, pattern and order for each layer beat the best single one under the same budget of memory or energy?",
    title: "A choice for each layer",
    file: include_str!("adaptive.toml"),
    many: &["models", "formats", "sparsity", "orders"],
    one: &["accelerators"],
    plan,
    measure,
    frame: show::frame,
    figure: show::figure,
    caption: show::caption,
    summary: show::summary,
    shrink: fewer_inputs,
};

/// What this study alone knows.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// `bits`, `energy`.
    resources: Vec<String>,
    /// Budgets in percent of what the dearest candidate takes in all layers.
    budget_percent: Vec<u64>,
}

/// One way to compress a layer, by its name in keys and tables: `hbfp6 2:4 sq`.
pub(super) fn name(point: &Point) -> String {
    format!("{} {} {}", point.format.name, point.pattern, point.order)
}

fn plan(bench: &Bench, done: &Done) -> Result<Vec<Planned>> {
    bench.spec.needs("models", &bench.spec.models)?;
    bench.spec.needs("accelerators", &bench.spec.accelerators)?;
    let options: Options = bench.spec.options()?;
    ensure!(!options.budget_percent.is_empty(), "[options]: `budget_percent` needs at least one budget");
    ensure!(!options.resources.is_empty(), "[options]: `resources` needs `bits`, `energy` or both");
    for resource in &options.resources {
        choose::Resource::by_name(resource)?;
    }
    let candidates = points(&bench.formats()?, &bench.patterns()?, &bench.orders()?);
    let mut planned = Vec::new();
    for subject in &bench.subjects {
        ensure!(inputs(subject) >= 4, "half of the inputs choose and half judge: give at least four windows or images");
        let first = sensitivities(bench, subject, &candidates)?;
        let known = Sensitivities::of(&first, done)?;
        planned.extend(first);
        if let Some(known) = known {
            planned.extend(second(bench, subject, &options, &known)?);
        }
    }
    Ok(planned)
}

/// The cells that say what each candidate does to each layer, and to all.
fn sensitivities(bench: &Bench, subject: &Subject, candidates: &[Point]) -> Result<Vec<Planned>> {
    let layers = layers(bench, subject)?;
    ensure!(!layers.is_empty(), "the preset `{}` has no linear layer of `{}`", bench.spec.preset, subject.model_name);
    let mut planned = Vec::new();
    let all = "all".to_owned();
    for layer in std::iter::once(&all).chain(&layers) {
        for point in candidates {
            let key = bench.with_machines(point.name(bench.key_of(subject), "auto")).with("layer", layer.as_str());
            planned.push(Planned {
                key,
                label: format!("{} {layer} {}", subject.model_name, name(point)),
                work: format!("{} {}", subject.model_name, if *layer == all { "all layers" } else { "one layer" }),
                amount: inputs(subject),
            });
        }
    }
    let dense = bench.with_machines(bench.key_of(subject)).with("layer", "none");
    planned.push(Planned {
        key: dense,
        label: format!("{} dense FP32", subject.model_name),
        work: format!("{} dense", subject.model_name),
        amount: inputs(subject),
    });
    Ok(planned)
}

/// The linear layers that the preset covers, by name, in order of execution.
fn layers(bench: &Bench, subject: &Subject) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    operands(&*subject.model.checkpoint, bench.preset()?, None, &mut |o| {
        if !names.iter().any(|known| known == o.layer) {
            names.push(o.layer.to_owned());
        }
        Ok(())
    })?;
    Ok(names)
}

/// The cells of the choices that follow from the sensitivities.
fn second(bench: &Bench, subject: &Subject, options: &Options, known: &Sensitivities) -> Result<Vec<Planned>> {
    let mut planned: Vec<Planned> = Vec::new();
    for resource in &options.resources {
        for &percent in &options.budget_percent {
            let budget = Budget { resource: choose::Resource::by_name(resource)?, percent };
            for choice in choices(known, &budget)? {
                let key = bench
                    .with_machines(bench.key_of(subject))
                    .with("layer", "chosen")
                    .with("resource", resource.as_str())
                    .with("percent", percent)
                    .with("method", choice.method)
                    .with("proven", choice.proven)
                    .with("predicted", choice.predicted.to_string())
                    .with("picks", serde_json::to_value(&choice.picks)?);
                planned.push(Planned {
                    label: format!("{} {} within {percent} % of {resource}", subject.model_name, choice.method),
                    work: format!("{} chosen", subject.model_name),
                    amount: inputs(subject),
                    key,
                });
            }
        }
    }
    Ok(planned)
}

fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let preset = worker.bench.preset()?;
    let none = Labels { format: "fp32".to_owned(), sparsity: "dense".to_owned(), order: "none".to_owned() };
    let evaluated = match key.text("layer")? {
        "none" => evaluated::of_plan(worker, key, Plan::fp32(), none)?,
        "all" => {
            let point = Point::of(key)?;
            evaluated::of_plan(worker, key, Plan::new(preset, point.config()?), point.labels())?
        }
        "chosen" => {
            let labels = Labels { format: "by layer".into(), sparsity: "by layer".into(), order: "by layer".into() };
            evaluated::of_plan(worker, key, chosen(key)?, labels)?
        }
        layer => {
            let point = Point::of(key)?;
            let rule = Rule { glob: layer.to_owned(), config: Some(point.config()?) };
            let plan = Plan { rules: vec![rule], ..Plan::fp32() };
            evaluated::of_plan(worker, key, plan, point.labels())?
        }
    };
    let mut value = serde_json::to_value(evaluated)?;
    value["choice"] = serde_json::to_value(key)?;
    Ok(value)
}

/// The plan that a key's picks make.
fn chosen(key: &Key) -> Result<Plan> {
    let picks: BTreeMap<String, String> = key.object("picks")?;
    let rules = picks.into_iter().map(|(layer, name)| {
        let mut words = name.split(' ');
        let mut word = || words.next().with_context(|| format!("`{name}` is no format, pattern and order"));
        let (format, pattern, order) = (word()?, word()?, word()?);
        let point = Point {
            format: interplay_formats::Format::by_name(format)?,
            pattern: pattern.parse()?,
            order: order.parse()?,
            datapath: None,
        };
        Ok(Rule { glob: layer, config: Some(point.config()?) })
    });
    Ok(Plan { preset: Preset::None, rules: rules.collect::<Result<_>>()?, ..Plan::fp32() })
}

/// A result with what its key says.
pub(super) fn read(result: &Value) -> Result<(Key, Evaluated)> {
    Ok((typed(&result["choice"])?, typed(result)?))
}
