//! A model whose loading and running is shown, and whose run ends where the user asks for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::Result;
use interplay::Error;
use interplay::burn::{Activation, Backend, Stage};
use interplay::eval::Runner;
use interplay::models::{Checkpoint, Input, Task};
use interplay::plan::Plan;
use interplay::session::Session;

use crate::interrupt;
use crate::progress::Progress;

/// The kind of work that builds a stage.
const PREPARING: &str = "preparing";

/// Progress that loading and running have in common.
#[derive(Clone)]
pub struct Shown(Arc<Mutex<Progress>>);

impl Shown {
    /// Progress through loading `checkpoint` and one run of `inputs` through it under each name of `runs`.
    pub fn new(checkpoint: &dyn Checkpoint, inputs: usize, runs: &[&str]) -> Self {
        let units = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let stages = checkpoint.stages();
        let runs = runs.iter().map(|run| ((*run).to_owned(), units(stages * inputs)));
        Self(Arc::new(Mutex::new(Progress::of([(PREPARING.to_owned(), units(stages))].into_iter().chain(runs), false))))
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows what goes on besides.
    pub fn say(&self, label: &str) {
        self.progress().say(label);
    }

    /// Takes the progress from the screen.
    pub fn clear(&self) {
        self.progress().clear();
    }

    /// A session on `checkpoint` in FP32, whose stages are shown as they are built.
    ///
    /// # Errors
    /// Those of [`Session::on`].
    pub fn session(&self, backend: Backend, checkpoint: &Arc<dyn Checkpoint>) -> Result<Session> {
        let loading = Loading { checkpoint: Arc::clone(checkpoint), shown: self.clone() };
        Ok(Session::on(backend, Arc::new(loading), Plan::fp32())?)
    }
}

/// A session on `checkpoint` in FP32, for one that is loaded and no more than that.
///
/// # Errors
/// Those of [`Session::on`].
pub fn session(backend: Backend, checkpoint: &Arc<dyn Checkpoint>) -> Result<Session> {
    let shown = Shown::new(&**checkpoint, 0, &[]);
    let session = shown.session(backend, checkpoint);
    shown.clear();
    session
}

/// A checkpoint whose stages are counted as they are built.
struct Loading {
    checkpoint: Arc<dyn Checkpoint>,
    shown: Shown,
}

impl Checkpoint for Loading {
    fn architecture(&self) -> &str {
        self.checkpoint.architecture()
    }

    fn task(&self) -> Task {
        self.checkpoint.task()
    }

    fn input(&self) -> Input {
        self.checkpoint.input()
    }

    fn stages(&self) -> usize {
        self.checkpoint.stages()
    }

    fn stage(&self, index: usize) -> Result<Box<dyn Stage>, Error> {
        self.shown.say(&format!("preparing stage {} of {}", index + 1, self.stages()));
        let since = Instant::now();
        let stage = self.checkpoint.stage(index)?;
        self.shown.progress().finished(PREPARING, since.elapsed());
        Ok(stage)
    }
}

/// A session that runs inputs until the user asks it to stop.
pub struct Watched<'a> {
    session: &'a mut Session,
    stage: usize,
    run: Option<Run<'a>>,
}

/// A run that is shown.
struct Run<'a> {
    shown: &'a Shown,
    name: &'a str,
    /// What an input is called: a window, an image.
    input: &'a str,
    inputs: usize,
    /// Rows of the head for one input; 0 where they differ, and the head is not counted.
    rows: usize,
    /// Inputs, or rows in the head, that have passed the stage.
    passed: usize,
}

impl<'a> Watched<'a> {
    /// Nothing is shown.
    pub fn new(session: &'a mut Session) -> Self {
        Self { session, stage: 0, run: None }
    }

    /// Shows the run `name` of so many inputs, each called `input` and of `rows` rows in the head, or of 0 where these differ.
    pub fn shown(
        session: &'a mut Session,
        shown: &'a Shown,
        name: &'a str,
        (inputs, input): (usize, &'a str),
        rows: usize,
    ) -> Self {
        Self { session, stage: 0, run: Some(Run { shown, name, input, inputs, rows, passed: 0 }) }
    }
}

impl Run<'_> {
    fn begin(&self, stage: usize, stages: usize) {
        let Self { shown, name, input, inputs, rows, passed } = self;
        let done = if stage + 1 == stages { passed / rows.max(&1) } else { *passed };
        shown.say(&match passed {
            0 => format!("{name}: preparing stage {} of {stages}", stage + 1),
            _ => format!("{name}: {input} {} of {inputs}, stage {} of {stages}", done.min(inputs - 1) + 1, stage + 1),
        });
    }

    fn end(&mut self, head: bool, items: usize, since: Instant) {
        let before = self.passed;
        self.passed += items;
        let units = match head {
            true if self.rows == 0 => 0,
            true => self.passed / self.rows - before / self.rows,
            false => items,
        };
        self.shown.progress().advance(self.name, u32::try_from(units).unwrap_or(u32::MAX), since.elapsed());
    }
}

impl Runner for Watched<'_> {
    fn checkpoint(&self) -> &dyn Checkpoint {
        self.session.checkpoint()
    }

    fn enter(&mut self, index: usize) -> Result<(), Error> {
        self.stage = index;
        if let Some(run) = &mut self.run {
            run.passed = 0;
        }
        self.session.enter(index)
    }

    fn forward(&mut self, input: Activation) -> Result<Activation, Error> {
        if interrupt::asked() {
            return Err(Error::Invalid("interrupted".into()));
        }
        let Some(run) = &mut self.run else { return self.session.forward(input) };
        let (stages, items) = (self.session.checkpoint().stages(), input.shape().first().copied().unwrap_or(1));
        run.begin(self.stage, stages);
        let since = Instant::now();
        let output = self.session.forward(input)?;
        run.end(self.stage + 1 == stages, items, since);
        Ok(output)
    }
}
