//! The drive through a model: block after block, each compressed on what the blocks before it, as they are by then, make of the
//! calibration text.
//!
//! In memory at a time: one block, what was seen of its inputs, and the streams between two blocks.

use std::ops::ControlFlow;

use super::calibration::Calibration;
use super::finished::Finished;
use super::report::LayerReport;
use super::steps;
use super::structure;
use super::work::{Work, bytes_of};
use crate::Error;
use crate::burn::{Activation, Block, Host, Stage};
use crate::compress::recipe::Step;
use crate::compress::{Layer, Needs, Recipe, Statistics};
use crate::models::Checkpoint;
use crate::plan::{LayerConfig, Plan, Preset};

/// On which inputs a block's statistics are gathered, and of which its reference outputs are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stream {
    /// Those that passed the compressed blocks, as the methods' publications do.
    #[default]
    Compressed,
    /// Those that passed the dense blocks (BESA's and PQP's `prune-dense`).
    Dense,
}

/// What is done, and on which stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The steps.
    pub recipe: Recipe,
    /// The stream of statistics.
    pub stream: Stream,
    /// Who computes the blocks while they are calibrated.
    pub host: Host,
}

/// What is going on.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// Block `index` of `of` begins.
    Block {
        /// Counted from 0.
        index: usize,
        /// Blocks in all.
        of: usize,
    },
    /// A step of the recipe begins, or `calibration`.
    Step {
        /// As written in the recipe.
        text: &'a str,
    },
    /// What calibration saw of a layer's inputs, the block being dense.
    Seen {
        /// The layer's name.
        layer: &'a str,
        /// Sums, maxima, and what the recipe's steps asked for.
        statistics: &'a Statistics,
    },
    /// Something that the user must know of a layer.
    Warning {
        /// The layer's name.
        layer: &'a str,
        /// A sentence.
        text: &'a str,
    },
}

/// Sees what is going on. `Break` stops the run, the block in hand being thrown away; who answers it to [`Event::Seen`] or
/// [`Event::Warning`] is asked again by the next of the other events.
pub type Observer<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every block is finished.
    Complete,
    /// The observer stopped the run; so many blocks are finished.
    Stopped(usize),
}

/// The calibration inputs between two blocks.
#[derive(Debug, Clone, Default)]
pub struct Streams {
    /// What passed the compressed blocks.
    pub compressed: Vec<Activation>,
    /// What passed the dense ones; empty where nobody asks.
    pub dense: Vec<Activation>,
}

/// Who keeps finished blocks.
pub trait Store {
    /// How many blocks are finished already, and the streams behind the last of them.
    ///
    /// # Errors
    /// What was kept cannot be read.
    fn resume(&mut self) -> Result<Option<(usize, Streams)>, Error>;

    /// Keeps a block, and the streams behind it.
    ///
    /// # Errors
    /// It cannot be kept.
    fn keep(&mut self, index: usize, finished: Finished, streams: &Streams) -> Result<(), Error>;
}

/// Compresses the linear layers inside the blocks of a language model; embeddings and head stay.
///
/// # Errors
/// The model is no language model, calibration does not fit it, a method refuses a layer ([`Error::Layer`]), or the store fails.
pub fn compress(
    checkpoint: &dyn Checkpoint,
    calibration: &Calibration,
    options: &Options,
    store: &mut dyn Store,
    observer: &mut Observer<'_>,
) -> Result<Outcome, Error> {
    let blocks = checkpoint.stages().saturating_sub(2);
    let (first, mut streams) = match store.resume()? {
        Some(kept) => kept,
        None => (0, embed(checkpoint, calibration, options.stream)?),
    };
    for index in first..blocks {
        if observer(Event::Block { index, of: blocks }).is_break() {
            return Ok(Outcome::Stopped(index));
        }
        let stage = checkpoint.stage(index + 1)?;
        let Some(finished) = one(checkpoint, &*stage, options, &mut streams, observer)? else {
            return Ok(Outcome::Stopped(index));
        };
        store.keep(index, finished, &streams)?;
    }
    Ok(Outcome::Complete)
}

fn embed(checkpoint: &dyn Checkpoint, calibration: &Calibration, stream: Stream) -> Result<Streams, Error> {
    let inputs = calibration.inputs(checkpoint)?;
    let embeddings = checkpoint.stage(0)?;
    let compressed: Vec<_> = inputs.into_iter().map(|ids| embeddings.forward(ids)).collect();
    let dense = if stream == Stream::Dense { compressed.clone() } else { Vec::new() };
    Ok(Streams { compressed, dense })
}

/// One block: calibration, the steps, the streams moved behind it. `None` where the observer stops the run.
fn one(
    checkpoint: &dyn Checkpoint,
    stage: &dyn Stage,
    options: &Options,
    streams: &mut Streams,
    observer: &mut Observer<'_>,
) -> Result<Option<Finished>, Error> {
    let Some(example) = streams.compressed.first() else {
        return Err(Error::Invalid("calibration has no sequence".into()));
    };
    let plan = Plan::new(Preset::Paper, LayerConfig::fp32());
    let block =
        Block::new(stage, example, options.host, |product| plan.config(checkpoint.architecture(), product).is_some())?;
    let recipe = &options.recipe;
    let needs = recipe.steps.iter().map(steps::needs).fold(Needs::default(), Needs::and);
    if observer(Event::Step { text: "calibration" }).is_break() {
        return Ok(None);
    }
    let watched = if options.stream == Stream::Dense { &streams.dense } else { &streams.compressed };
    let groups = structure::groups(checkpoint.architecture());
    let mut work = Work::new(block, needs, watched, &streams.compressed, groups)?;
    for (linear, statistics) in work.block.linears().iter().zip(&work.seen) {
        let _: ControlFlow<()> = observer(Event::Seen { layer: &linear.name, statistics });
    }
    let dense = match options.stream {
        Stream::Dense => work.reference_stream()?,
        Stream::Compressed => Vec::new(),
    };
    let bytes = work.bytes() + bytes_of(&dense);
    let mut reports = reports(&work);
    let mut behind = None;
    for (step, text) in recipe.steps.iter().zip(recipe.texts()) {
        if observer(Event::Step { text }).is_break() {
            return Ok(None);
        }
        match step {
            Step::Forward => behind = Some(work.outputs()?),
            step => steps::apply(step, &mut work, stage, &mut reports)?,
        }
    }
    let behind = match behind {
        Some(behind) => behind,
        None => work.outputs()?,
    };
    for (i, report) in reports.iter_mut().enumerate() {
        close(report, &work, i);
        warn(report, observer);
    }
    let names = work.block.linears().iter().map(|linear| linear.name.clone());
    let finished = Finished { layers: names.zip(work.layers).collect(), vectors: work.vectors, reports, bytes };
    *streams = Streams { compressed: behind, dense };
    Ok(Some(finished))
}

fn reports(work: &Work<'_>) -> Vec<LayerReport> {
    let report = |linear: &crate::burn::Linear| LayerReport {
        layer: linear.name.clone(),
        rows: linear.rows,
        k: linear.k,
        ..LayerReport::default()
    };
    work.block.linears().iter().map(report).collect()
}

/// What is known once all steps are done.
fn close(report: &mut LayerReport, work: &Work<'_>, i: usize) {
    let (layer, seen): (&Layer, _) = (&work.layers[i], &work.seen[i]);
    let square = |v: f64| v * v;
    let norm: f64 = layer.original.iter().map(|&w| square(f64::from(w))).sum();
    let pairs = layer.original.iter().zip(&layer.values);
    let error: f64 = pairs.map(|(&a, &b)| square(f64::from(a) - f64::from(b))).sum();
    report.sparsity = layer.sparsity();
    report.weight_error = if norm > 0.0 { (error / norm).sqrt() } else { 0.0 };
    report.output_error = seen.hessian.as_ref().map(|hessian| layer.output_error(hessian));
    report.on_grid = match (&layer.quantized, work.was_rounded[i]) {
        (Some(_), _) => Some(true),
        (None, true) => Some(false),
        (None, false) => None,
    };
}

fn warn(report: &LayerReport, observer: &mut Observer<'_>) {
    // Who wants to stop says so again at the next block.
    let mut warning = |text: &str| {
        let _: ControlFlow<()> = observer(Event::Warning { layer: &report.layer, text });
    };
    if let Some(damping) = report.damping_raised {
        warning(&format!("the Hessian is singular; it was damped by {damping} of its mean diagonal"));
    }
    if report.on_grid == Some(false) {
        warning(
            "the weights are kept as FP32: a step after rounding moved them off the format's grid, or inputs share scales in another \
             order than their own; put the quantiser last, with `scales=static` where it orders inputs",
        );
    }
}
