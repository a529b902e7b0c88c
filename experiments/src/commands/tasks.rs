//! `interplay eval --tasks DIR`: zero-shot multiple choice on files that the user gives.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use interplay::burn::Backend;
use interplay::eval::tasks::{Accuracy, FORMS, Form, Item, accuracy, read, scores};
use interplay::eval::{Estimate, Runner, Scale};
use interplay::load::{Tokenizer, text};
use interplay::plan::Plan;
use interplay::session::Session;
use serde_json::{Value, json};

use crate::cell::{Labels, Ran, bits};
use crate::output::sayln;
use crate::report::table::Table;
use crate::result::{Provenance, SCHEMA_VERSION};
use crate::rules::Rules;
use crate::subject::open_model;
use crate::watched::{Shown, Watched};

/// What the run of the dense FP32 model is called.
const FP32: &str = "FP32";

/// What is asked for.
pub struct Request<'a> {
    /// The model by name.
    pub model: &'a str,
    /// The folder with a file `TASK.jsonl` for each task.
    pub folder: &'a Path,
    /// Items a task, from the start of its file.
    pub items: usize,
    /// The configuration.
    pub plan: Plan,
    /// Its names.
    pub labels: Labels,
    /// What runs everything that is no modelled product.
    pub backend: Backend,
    /// Whether to print JSON.
    pub json: bool,
}

/// One task: absent where the folder has no file of it.
struct Outcome {
    task: &'static str,
    found: Option<Found>,
}

/// A task's accuracy, under the plan and of the FP32 model on the same items.
struct Found {
    accuracy: Accuracy,
    fp32: Accuracy,
}

/// Evaluates every task whose file is there, and prints.
///
/// # Errors
/// The folder has no task, a file is malformed, or the model cannot be opened, read text or be run.
pub fn run(request: Request<'_>) -> Result<()> {
    let mut checksums = BTreeMap::new();
    let files = files(request.folder, request.items, &mut checksums)?;
    let (model, caveat) = open_model(request.model, &mut checksums)?;
    let tokenizer = model.tokenizer.as_ref().context("the model has no tokenizer.json, so it cannot read tasks")?;
    let runs = [FP32, request.labels.format.as_str()];
    let shown = Shown::new(&*model.checkpoint, choices(&files), &runs);
    let mut session = shown.session(request.backend, &model.checkpoint)?;
    request.plan.check(session.layer_names().iter().map(String::as_str))?;
    let run = |session: &mut Session, name| {
        let mut watched = Watched::shown(session, &shown, name, (choices(&files), "choice"), 0);
        evaluate_on(&mut watched, tokenizer, &files)
    };
    let reference = run(&mut session, FP32)?;
    session.set_plan(request.plan.clone())?;
    let measured = run(&mut session, &request.labels.format)?;
    shown.clear();
    let outcomes = files.iter().zip(measured.into_iter().zip(reference)).map(|((form, _), (accuracy, fp32))| {
        let found = accuracy.zip(fp32).map(|(accuracy, fp32)| Found { accuracy, fp32 });
        Outcome { task: form.name, found }
    });
    let outcomes: Vec<_> = outcomes.collect();
    match request.json {
        true => sayln!("{}", serde_json::to_string_pretty(&object(&request, &mut session, &outcomes, checksums)?)?),
        false => print(&request, &mut session, &outcomes)?,
    }
    if let Some(caveat) = caveat {
        eprintln!("note: {caveat}");
    }
    Ok(())
}

/// The items of every form, none where the folder has no file of it.
pub type Files = Vec<(&'static Form, Option<Vec<Item>>)>;

/// Reads the files of a folder.
///
/// # Errors
/// There is no such folder, it has no task, or a file is malformed.
pub fn files(folder: &Path, items: usize, checksums: &mut BTreeMap<String, String>) -> Result<Files> {
    ensure!(items > 0, "--items is 0: give at least 1");
    ensure!(folder.is_dir(), "--tasks {}: there is no such folder", folder.display());
    let mut files = Vec::new();
    for form in &FORMS {
        let path = folder.join(format!("{}.jsonl", form.name));
        if !path.exists() {
            files.push((form, None));
            continue;
        }
        let bytes = interplay::load::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        checksums.insert(format!("task:{}", form.name), text::sha256(&bytes));
        files.push((form, Some(read(form, &path, items)?)));
    }
    let names = FORMS.map(|form| format!("{}.jsonl", form.name)).join(", ");
    ensure!(files.iter().any(|(_, items)| items.is_some()), "{} has none of {names}", folder.display());
    Ok(files)
}

/// Choices of all items, each of which goes through the model.
fn choices(files: &Files) -> usize {
    files.iter().flat_map(|(_, items)| items).flatten().map(|item| item.choices.len()).sum()
}

/// The accuracy on each file under the session's plan.
///
/// # Errors
/// The model cannot read text or be run, or the user asked to stop.
pub fn evaluate(session: &mut Session, tokenizer: &Tokenizer, files: &Files) -> Result<Vec<Option<Accuracy>>> {
    evaluate_on(&mut Watched::new(session), tokenizer, files)
}

fn evaluate_on(session: &mut dyn Runner, tokenizer: &Tokenizer, files: &Files) -> Result<Vec<Option<Accuracy>>> {
    let one = |(form, items): &(&Form, Option<Vec<Item>>)| -> Result<Option<Accuracy>> {
        let Some(items) = items else { return Ok(None) };
        let scores = scores(session, tokenizer, items).with_context(|| format!("task `{}`", form.name))?;
        Ok(Some(accuracy(items, &scores)?))
    };
    files.iter().map(one).collect()
}

fn print(request: &Request<'_>, session: &mut Session, outcomes: &[Outcome]) -> Result<()> {
    let Labels { format, sparsity, order } = &request.labels;
    sayln!("{} on the tasks in {}, zero-shot", request.model, request.folder.display());
    let ran = Ran::of(session)?;
    let machine = &request.plan.machine.name;
    sayln!("{format}, {sparsity}, order {order}, on {machine}, datapath {} ({})", ran.datapath, ran.runs);
    let mut table = Table::new("", ["task", "items", "accuracy", "normalised", "FP32", "FP32 normalised"]);
    let percent = |e: Estimate| {
        let stderr = e.stderr.map_or_else(String::new, |stderr| format!(" ± {:.2}", 100.0 * stderr));
        format!("{:.2}{stderr} %", 100.0 * e.mean)
    };
    for Outcome { task, found } in outcomes {
        let Some(Found { accuracy, fp32 }) = found else {
            table.row([task, "n/a", "n/a", "n/a", "n/a", "n/a"]);
            continue;
        };
        let columns = [accuracy.raw, accuracy.normalised, fp32.raw, fp32.normalised].map(percent);
        table.row([(*task).to_owned(), accuracy.items.to_string()].into_iter().chain(columns));
    }
    table.print();
    sayln!("accuracy: largest log-likelihood; normalised: largest log-likelihood a character; ± one standard error");
    Ok(())
}

fn object(
    request: &Request<'_>,
    session: &mut Session,
    outcomes: &[Outcome],
    checksums: BTreeMap<String, String>,
) -> Result<Value> {
    let ran = Ran::of(session)?;
    let metric = |e: Estimate| json!({"value": e.mean, "stderr": e.stderr, "stderr_scale": Scale::Linear});
    let both = |a: &Accuracy| json!({"accuracy": metric(a.raw), "accuracy_norm": metric(a.normalised)});
    let tasks = outcomes.iter().map(|Outcome { task, found }| {
        json!({
            "task": task,
            "items": found.as_ref().map(|found| found.accuracy.items),
            "result": found.as_ref().map(|found| both(&found.accuracy)),
            "fp32": found.as_ref().map(|found| both(&found.fp32)),
        })
    });
    let mut object = json!({
        "schema_version": SCHEMA_VERSION,
        "model": request.model,
        "data": request.folder.display().to_string(),
        "format": request.labels.format,
        "sparsity": request.labels.sparsity,
        "order": request.labels.order,
        "machine": request.plan.machine.name,
        "datapath": ran.datapath,
        "runs": ran.runs,
        "tasks": tasks.collect::<Vec<_>>(),
        "footprint_bits": bits(session.footprint()?.total),
        "seed": 0,
        "version": env!("CARGO_PKG_VERSION"),
        "provenance": Provenance::current(),
        "checksums": checksums,
    });
    if let Some(plan) = Rules::of(&request.plan)? {
        object["plan"] = json!(plan);
    }
    Ok(object)
}
