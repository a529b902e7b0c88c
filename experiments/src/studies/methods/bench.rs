//! One cell: a model compressed by a recipe, run by a session, costed by the same session.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use interplay::compress::{Layer, Recipe};
use interplay::compression::{Compressed, LayerReport, Options, Outcome, Stream, compress};
use interplay::eval::{input, perplexity};
use interplay::models::Checkpoint;
use interplay::plan::{LayerConfig, Plan, Preset};
use interplay::session::{Session, compare};
use interplay_formats::Format;

use super::Request;
use super::entries::{On, Point};
use super::texts::Opened;
use crate::cell::{Baseline, Labels, cell, evaluate};
use crate::commands::tasks;
use crate::interrupt;
use crate::result::{BURN_GRADIENTS, Calibration, Cell, Compression, Metric, OtherText, TaskScore};
use crate::subject::Data;
use crate::watched::Watched;

/// A cell with what tables compare it by.
pub(super) struct Measured {
    pub(super) cell: Cell,
    /// The loss of each window of the first text.
    pub(super) losses: Vec<f64>,
    /// What is known of each layer, in the order of execution.
    pub(super) reports: Vec<LayerReport>,
    /// Seconds of calibration and methods, and of evaluation: no part of the results.
    pub(super) seconds: (f64, f64),
}

impl Measured {
    /// The recipe as text.
    pub(super) fn recipe(&self) -> &str {
        self.cell.compression.as_ref().map_or("", |c| &c.recipe)
    }

    /// Whether weights left the grid that they were rounded to.
    pub(super) fn off_grid(&self) -> bool {
        self.cell.compression.as_ref().and_then(|c| c.on_grid).is_some_and(|share| share < 1.0)
    }
}

/// A model on its bench.
pub(super) struct Bench<'a> {
    request: &'a Request,
    opened: &'a Opened,
    base: Arc<dyn Checkpoint>,
    /// Runs the model with its own vectors; another checkpoint needs another session.
    session: Session,
    reference: Session,
    baseline: Baseline,
    second: Metric,
    tasks: tasks::Files,
}

impl<'a> Bench<'a> {
    /// Evaluates the model as it is.
    ///
    /// # Errors
    /// The model cannot be run, or a task cannot be read.
    pub(super) fn new(request: &'a Request, opened: &'a Opened) -> Result<Self> {
        let base = Arc::clone(&opened.subject.model.checkpoint);
        let mut session = Session::on(request.backend, base.clone(), Plan::fp32())?;
        let reference = Session::on(request.backend, base.clone(), Plan::fp32())?;
        let baseline = evaluate(&opened.subject, &mut session, None)?.into_baseline();
        let second = second(&mut session, opened)?;
        let tasks = match &request.tasks {
            Some(folder) => tasks::files(folder, request.items, &mut Default::default())?,
            None => Vec::new(),
        };
        Ok(Self { request, opened, base, session, reference, baseline, second, tasks })
    }

    /// The cell of a point; `None` where the user wants to stop.
    ///
    /// # Errors
    /// A method refuses a layer, or the model cannot be run.
    pub(super) fn measure(&mut self, point: &Point) -> Result<Option<Measured>> {
        let begin = Instant::now();
        let Some(compressed) = self.compressed(point)? else { return Ok(None) };
        let calibrated = begin.elapsed().as_secs_f64();
        let begin = Instant::now();
        let activations = point.recipe.as_ref().map_or(Format::fp32(), Recipe::activations);
        let activations = if activations.is_exact() { self.request.activations } else { activations };
        let plan = match point.recipe {
            Some(_) => compressed.plan(activations, None),
            None => Plan::new(Preset::Paper, LayerConfig::fp32()),
        };
        let plan = plan.on(Arc::clone(&self.request.machine.accelerator));
        let mut own;
        let session = if compressed.vectors.is_empty() {
            self.session.set_plan(plan)?;
            &mut self.session
        } else {
            own = Session::on(self.request.backend, compressed.checkpoint(self.base.clone()), plan)?;
            &mut own
        };
        let subject = &self.opened.subject;
        let outcome = evaluate(subject, session, Some(&self.baseline))?;
        let labels = Labels {
            format: point.format.name.to_owned(),
            sparsity: point.pattern.to_string(),
            order: point.order().to_owned(),
        };
        let request = self.request;
        let mut cell = cell(subject, session, &request.machine, labels, &outcome, &self.baseline.metric, request.seed)?;
        let learned = point.recipe.as_ref().is_some_and(Recipe::needs_gradients);
        cell.machine_dependent = learned.then(|| BURN_GRADIENTS.to_owned());
        let (data, windows) = &self.opened.second;
        cell.other_text = Some(OtherText {
            data: data.clone(),
            windows: windows.len(),
            metric: second(session, self.opened)?,
            fp32: self.second.clone(),
        });
        cell.tasks = scores(session, self.opened, &self.tasks)?;
        let output_error = output_error(&mut self.reference, session, self.opened, &compressed)?;
        cell.compression = Some(self.compression(point, &compressed, output_error));
        let seconds = (calibrated, begin.elapsed().as_secs_f64());
        Ok(Some(Measured { cell, losses: outcome.losses, reports: compressed.reports, seconds }))
    }

    fn compression(&self, point: &Point, compressed: &Compressed, output_error: f64) -> Compression {
        let rounded: Vec<bool> = compressed.reports.iter().filter_map(|report| report.on_grid).collect();
        let share = rounded.iter().filter(|on| **on).count() as f64 / rounded.len().max(1) as f64;
        let on_grid = match point.on {
            None => (!rounded.is_empty()).then_some(share),
            Some(On::Given) => None,
            Some(On::RoundedAfter | On::RoundedBefore) => Some(1.0),
        };
        let calibration = &self.opened.calibration;
        Compression {
            part: point.part.to_owned(),
            recipe: point.text(),
            pruner: point.pruner.to_owned(),
            quantiser: point.quantiser.to_owned(),
            calibration: Calibration {
                data: self.opened.calibration_name.clone(),
                samples: calibration.samples(),
                length: calibration.length(),
                bytes: compressed.bytes,
            },
            sparsity: compressed.sparsity(),
            output_error,
            on_grid,
        }
    }

    fn compressed(&self, point: &Point) -> Result<Option<Compressed>> {
        let Some(recipe) = &point.recipe else { return Ok(Some(Compressed::default())) };
        let mut compressed = Compressed::default();
        let options = Options { recipe: recipe.clone(), stream: Stream::Compressed, host: crate::host::chosen() };
        let mut observer = |_: interplay::compression::Event<'_>| match interrupt::asked() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let outcome = compress(&*self.base, &self.opened.calibration, &options, &mut compressed, &mut observer)?;
        if outcome != Outcome::Complete {
            return Ok(None);
        }
        if let Some(on) = point.on {
            for (name, layer) in &mut compressed.layers {
                *layer = Arc::new(put(layer, on, point.format).with_context(|| name.clone())?);
            }
            // They are of the recipe's weights, not of these.
            compressed.reports.clear();
        }
        Ok(Some(compressed))
    }
}

/// The masks of a layer on other weights than it has.
fn put(layer: &Layer, on: On, format: &'static Format) -> Result<Layer> {
    let mut other = Layer::new(layer.k, layer.original.clone());
    if on == On::RoundedBefore {
        other.set_quantized(format.quantize(&other.values, other.k)?);
    }
    if let Some(mask) = &layer.mask {
        other.apply_mask(mask.clone())?;
    }
    if on == On::RoundedAfter {
        other.set_quantized(format.quantize(&other.values, other.k)?);
        if let Some(mask) = &layer.mask {
            other.apply_mask(mask.clone())?;
        }
    }
    Ok(other)
}

fn second(session: &mut Session, opened: &Opened) -> Result<Metric> {
    Ok(Metric::perplexity(&perplexity(&mut Watched::new(session), &opened.second.1)?))
}

fn scores(session: &mut Session, opened: &Opened, files: &tasks::Files) -> Result<Vec<TaskScore>> {
    let Some(tokenizer) = opened.subject.model.tokenizer.as_ref().filter(|_| !files.is_empty()) else {
        return Ok(Vec::new());
    };
    let found = tasks::evaluate(session, tokenizer, files)?;
    let scores = files.iter().zip(found).filter_map(|((form, _), found)| {
        let found = found?;
        Some(TaskScore {
            task: form.name.to_owned(),
            items: found.items,
            accuracy: Metric::new("accuracy", found.raw),
            accuracy_norm: Metric::new("accuracy_norm", found.normalised),
        })
    });
    Ok(scores.collect())
}

/// The mean over the compressed layers of their outputs' relative error in use, on the first window.
fn output_error(
    reference: &mut Session,
    session: &mut Session,
    opened: &Opened,
    compressed: &Compressed,
) -> Result<f64> {
    use interplay::eval::Runner;
    let Data::Windows(windows) = &opened.subject.data else { return Ok(0.0) };
    let first = input::tokens(session.checkpoint(), &windows[0], windows[0].len())?;
    let errors: Vec<f64> = compare(reference, session, &[first])?
        .into_iter()
        .filter(|e| compressed.layers.contains_key(&e.layer))
        .map(|e| e.error)
        .collect();
    // From +0, because an empty sum of floats is -0.
    Ok(errors.iter().fold(0.0, |sum, e| sum + e) / errors.len().max(1) as f64)
}
