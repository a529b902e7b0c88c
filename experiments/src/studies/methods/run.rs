//! The loop over models and cells.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use interplay::files::Claim;

use super::bench::{Bench, Measured};
use super::entries::Point;
use super::texts::Opened;
use super::{Request, STUDY, TITLE, tables, verdict, write};
use crate::commands::tasks;
use crate::engine::write::{About, Facts, say};
use crate::interrupt;
use crate::output::sayln;
use crate::progress::Progress;

/// What has been measured of one model.
pub(super) struct Model {
    pub(super) name: String,
    pub(super) cells: Vec<Measured>,
    /// What a reader must know: caveats of the data, cells that there are not.
    pub(super) notes: Vec<String>,
}

impl Model {
    /// The cell of a recipe.
    pub(super) fn find(&self, point: &Point) -> Option<&Measured> {
        let text = point.text();
        self.cells.iter().find(|m| m.recipe() == text)
    }
}

pub(super) fn run(request: &Request) -> Result<ExitCode> {
    let opened = request.models.iter().map(|name| {
        let mut opened =
            Opened::new(name, &request.names, &request.amounts).with_context(|| format!("cannot study `{name}`"))?;
        if let Some(folder) = &request.tasks {
            // Read here for their checksums, so that a task that cannot be read is known before anything runs.
            tasks::files(folder, request.items, &mut opened.subject.checksums)?;
        }
        anyhow::Ok(opened)
    });
    let opened = opened.collect::<Result<Vec<_>>>()?;
    let about = About { study: STUDY.name, name: STUDY.name, title: TITLE, question: STUDY.question };
    let facts = Facts::new(&about, &[request.seed], opened.iter().map(|opened| &opened.subject));
    let claim = Claim::new(&request.out)?;
    let kinds = opened.iter().flat_map(|opened| request.points.iter().map(|point| kind(opened, point)));
    let mut progress = Progress::new(kinds.collect::<Vec<_>>(), false);
    progress.note(&format!("{} cells", progress.units()));
    interrupt::keep(kept(request));
    let mut models = Vec::new();
    for opened in &opened {
        let notes = opened.subject.caveat.clone().into_iter();
        let notes = notes.chain(request.skipped.iter().map(|why| format!("not in the table: {why}"))).collect();
        models.push(Model { name: opened.subject.model_name.clone(), cells: Vec::new(), notes });
        let mut keep = |models: &[Model]| match models.iter().all(|model| model.cells.is_empty()) || !claim.holds() {
            true => Ok(()),
            false => write::all(request, models, &facts),
        };
        let result = fill(request, opened, &mut progress, &mut models, &mut keep);
        // What failed is reported once what was finished is written, with its notes.
        let written = keep(&models);
        if !claim.holds() {
            progress.clear();
            return Ok(report_lost(request, &models));
        }
        written?;
        result?;
        if interrupt::asked() {
            break;
        }
    }
    progress.clear();
    print(request, &models)?;
    if let Some(code) = interrupt::code() {
        eprintln!("interrupted: {}", kept(request));
        return Ok(code);
    }
    Ok(ExitCode::SUCCESS)
}

/// Says which results were removed while others were measured.
fn report_lost(request: &Request, models: &[Model]) -> ExitCode {
    for (model, cell) in models.iter().flat_map(|model| model.cells.iter().map(move |cell| (model, cell))) {
        eprintln!("lost: {} {}", model.name, cell.recipe());
    }
    eprintln!("error: these cells were lost, because {} was removed while the study ran", request.out.display());
    ExitCode::FAILURE
}

/// What an interrupted run leaves.
fn kept(request: &Request) -> String {
    format!("{} holds the cells that were finished", request.out.display())
}

/// Cells of one kind take about the same time: those of one model and its methods.
fn kind(opened: &Opened, point: &Point) -> String {
    format!("{} {} {}", opened.subject.model_name, point.pruner, point.quantiser)
}

/// All cells of the last model; `keep` writes those of all models as each is finished. A method that refuses a layer costs its cell,
/// and the reader is told.
fn fill(
    request: &Request,
    opened: &Opened,
    progress: &mut Progress,
    models: &mut [Model],
    keep: &mut dyn FnMut(&[Model]) -> Result<()>,
) -> Result<()> {
    let name = &opened.subject.model_name;
    let mut bench = Bench::new(request, opened).with_context(|| format!("cannot study `{name}`"))?;
    for point in &request.points {
        if interrupt::asked() {
            break;
        }
        let text = point.text();
        progress.start(&kind(opened, point), &format!("{name} {text}"));
        let measured = bench.measure(point);
        let Some(model) = models.last_mut() else { break };
        match measured {
            Ok(Some(measured)) => model.cells.push(measured),
            Ok(None) => break,
            Err(_) if interrupt::asked() => break,
            Err(error) => match error.downcast_ref() {
                Some(interplay::Error::Layer { .. }) => model.notes.push(format!("no cell of {text}: {error:#}")),
                _ => return Err(error.context(format!("{name} {text}"))),
            },
        }
        keep(models)?;
        progress.finish_unit();
    }
    let model = models.last().filter(|model| model.cells.len() <= 1 && !interrupt::asked());
    if let Some(model) = model {
        bail!("no method could compress `{name}`: {}", model.notes.join("; "))
    }
    Ok(())
}

fn print(request: &Request, models: &[Model]) -> Result<()> {
    if request.json {
        for measured in models.iter().flat_map(|model| &model.cells) {
            sayln!("{}", serde_json::to_string(&measured.cell)?);
        }
        return Ok(());
    }
    sayln!(
        "wrote {}: results.jsonl, data.csv, layers.csv, timings.csv, figure.svg, caption.md, run.json",
        request.out.display()
    );
    let summary: Vec<String> = models.iter().flat_map(|model| summary(request, model)).collect();
    say(TITLE, &summary, &request.out);
    Ok(())
}

/// The best recipe of each format and pattern, and who is right about the order.
fn summary(request: &Request, model: &Model) -> Vec<String> {
    let mut said = tables::best(request, model);
    said.extend(verdict::sentences(request, model));
    said.extend(model.notes.iter().map(|note| format!("{}: note: {note}", model.name)));
    said
}
