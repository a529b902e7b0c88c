//! The loop over models and cells.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::bench::{Bench, Measured};
use super::entries::Point;
use super::texts::Opened;
use super::{Request, TITLE, tables, verdict, write};
use crate::commands::tasks;
use crate::engine::write::say;
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
    let kinds = opened.iter().flat_map(|opened| request.points.iter().map(|point| kind(opened, point)));
    let mut progress = Progress::new(kinds.collect::<Vec<_>>(), false);
    progress.note(&format!("{} cells", progress.units()));
    let mut models = Vec::new();
    for opened in &opened {
        let notes = opened.subject.caveat.map(str::to_owned).into_iter();
        let notes = notes.chain(request.skipped.iter().map(|why| format!("not in the table: {why}"))).collect();
        models.push(Model { name: opened.subject.model_name.clone(), cells: Vec::new(), notes });
        let result = models.last_mut().map_or(Ok(()), |model| fill(request, opened, &mut progress, model));
        // What failed is reported once what was finished is written.
        if models.iter().any(|model| !model.cells.is_empty()) {
            write::all(request, &models)?;
        }
        result?;
        if interrupt::asked() {
            break;
        }
    }
    progress.clear();
    print(request, &models)?;
    if interrupt::asked() {
        eprintln!("interrupted: {} holds the cells that were finished", request.out.display());
        return Ok(ExitCode::from(interrupt::EXIT_CODE));
    }
    Ok(ExitCode::SUCCESS)
}

/// Cells of one kind take about the same time: those of one model and its methods.
fn kind(opened: &Opened, point: &Point) -> String {
    format!("{} {} {}", opened.subject.model_name, point.pruner, point.quantiser)
}

/// All cells of one model. A method that refuses a layer costs its cell, and the reader is told.
fn fill(request: &Request, opened: &Opened, progress: &mut Progress, model: &mut Model) -> Result<()> {
    let mut bench = Bench::new(request, opened).with_context(|| format!("cannot study `{}`", model.name))?;
    for point in &request.points {
        if interrupt::asked() {
            break;
        }
        let text = point.text();
        progress.start(&kind(opened, point), &format!("{} {text}", model.name));
        match bench.measure(point) {
            Ok(Some(measured)) => model.cells.push(measured),
            Ok(None) => break,
            Err(error) => match error.downcast_ref() {
                Some(interplay::Error::Layer { .. }) => model.notes.push(format!("no cell of {text}: {error:#}")),
                _ => return Err(error.context(format!("{} {text}", model.name))),
            },
        }
        progress.finish_unit();
    }
    if model.cells.len() <= 1 && !interrupt::asked() {
        bail!("no method could compress `{}`: {}", model.name, model.notes.join("; "))
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
    sayln!("wrote {}: results.jsonl, data.csv, layers.csv, timings.csv, figure.svg, caption.md", request.out.display());
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
