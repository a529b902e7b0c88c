//! A session: a checkpoint's stages captured and resident, with every layer's weights prepared once for the current plan.
//!
//! A stage is captured once for each input shape; all its captures, the module itself and, where a layer stays in FP32, its unit
//! share one copy of the weights. Changing the plan keeps every layer whose configuration does not change.
//!
//! Memory: the FP32 weights once, a tied matrix and the constants that blocks have in common included, plus what the plan stores of
//! them (as much again for `fake`), plus the activations of one call. Inputs of several windows are the caller's to hand in one by one; [`crate::eval`] cuts the head's rows in chunks.
//!
//! A session reads no files and knows no tokens.

mod compare;
mod operands;
mod trace;

pub use compare::{LayerError, compare, propagation};
pub use operands::{Operands, operands};
pub use trace::{Multiplication, Operation};

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;

use crate::Error;
use crate::burn::{Activation, Backend, Captured, Observer, Placement, Pool, Product, Role, Stage, Units};
use crate::eval::Runner;
use crate::formats::Footprint;
use crate::hw::Workload;
use crate::models::{Checkpoint, Input, no_stage};
use crate::plan::Plan;

/// A model that runs under a [`Plan`].
pub struct Session {
    checkpoint: Arc<dyn Checkpoint>,
    plan: Plan,
    stages: Vec<Resident>,
    pool: Pool,
    current: usize,
    backend: Backend,
}

/// One stage with its captures and units.
struct Resident {
    stage: Box<dyn Stage>,
    /// What the stage takes.
    kind: Discriminant<Activation>,
    captures: BTreeMap<Vec<usize>, Captured>,
    units: Units,
    /// The shape for which `units` was brought up to date last.
    ready: Option<Vec<usize>>,
}

/// The bits of a model as its plan stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFootprint {
    /// The layers that the plan configures.
    pub configured: Footprint,
    /// The whole model: the same, with everything else counted as FP32 in `other`.
    pub total: Footprint,
}

impl Session {
    /// Builds every stage of `checkpoint`, captures it for its smallest input and checks the plan against the layers found.
    ///
    /// # Errors
    /// A stage cannot be built, or a rule of the plan matches no layer.
    pub fn new(checkpoint: Arc<dyn Checkpoint>, plan: Plan) -> Result<Self, Error> {
        Self::on(Backend::default(), checkpoint, plan)
    }

    /// [`Session::new`] on another backend of Burn.
    ///
    /// # Errors
    /// Those of [`Session::new`]; this machine has no such device.
    pub fn on(backend: Backend, checkpoint: Arc<dyn Checkpoint>, plan: Plan) -> Result<Self, Error> {
        backend.check()?;
        let mut session = Self { stages: Vec::new(), pool: Pool::default(), plan, current: 0, checkpoint, backend };
        let mut example = smallest(session.checkpoint.input());
        for index in 0..session.checkpoint.stages() {
            if index + 1 == session.checkpoint.stages() {
                example = session.checkpoint.task().head_input(example);
            }
            let stage = session.checkpoint.stage(index)?;
            let captured = stage.capture(&example)?.on(backend);
            let (shape, output) = (example.shape(), captured.output_shape());
            let captures = BTreeMap::from([(shape, captured)]);
            let kind = discriminant(&example);
            session.stages.push(Resident { stage, kind, captures, units: Units::default(), ready: None });
            example = Activation::zeros(&output)?;
        }
        session.plan.check(session.layer_names().iter().map(String::as_str))?;
        Ok(session)
    }

    /// Whether a plan fits the model, by names and shapes alone.
    ///
    /// # Errors
    /// A rule of the plan that matches no layer, a low-rank correction of more rank than any layer has.
    pub fn check(&self, plan: &Plan) -> Result<(), Error> {
        plan.check(self.layer_names().iter().map(String::as_str))?;
        let weights = || self.products().filter(|product| product.role == Role::Weight);
        let most = weights().map(|product| product.n.min(product.k)).max().unwrap_or(0);
        let corrections =
            weights().filter_map(|product| plan.config(self.checkpoint.architecture(), product)?.correction);
        match corrections.map(|correction| correction.rank).find(|rank| *rank > most) {
            Some(rank) => Err(Error::Invalid(format!(
                "a low-rank correction of rank {rank} is more than any layer has; give a rank of 0 to {most}, the shorter side of the \
                 largest weight matrix"
            ))),
            None => Ok(()),
        }
    }

    /// Replaces the plan; weights are prepared again where a layer's configuration changes, when its stage next runs.
    ///
    /// # Errors
    /// Those of [`Session::check`]; the former plan then stays.
    pub fn set_plan(&mut self, plan: Plan) -> Result<(), Error> {
        self.check(&plan)?;
        self.plan = plan;
        for stage in &mut self.stages {
            stage.ready = None;
        }
        Ok(())
    }

    /// The current plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The name of every product, in execution order.
    pub fn layer_names(&self) -> Vec<String> {
        self.products().map(|p| p.name.clone()).collect()
    }

    /// Every product at the shape of each stage's smallest capture.
    pub fn products(&self) -> impl Iterator<Item = &Product> {
        self.stages.iter().filter_map(|s| s.captures.values().next()).flat_map(Captured::products)
    }

    /// Runs stage `index`.
    ///
    /// # Errors
    /// There is no such stage, or [`Error::Layer`].
    pub fn run(&mut self, index: usize, input: Activation) -> Result<Activation, Error> {
        let (captured, units) = self.ready(index, &input)?;
        let output = captured.run(input, units)?;
        self.after(index)?;
        Ok(output)
    }

    /// Behind the last stage: whether a GPU refused anything on the way there.
    fn after(&self, index: usize) -> Result<(), Error> {
        let last = index + 1 == self.stages.len();
        self.stages.iter().filter(|_| last).try_for_each(|stage| stage.units.check())
    }

    /// [`Session::run`], showing every product's output to `observer`.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn run_observed(
        &mut self,
        index: usize,
        input: Activation,
        observer: &mut Observer<'_>,
    ) -> Result<Activation, Error> {
        let (captured, units) = self.ready(index, &input)?;
        let output = captured.run(input, &mut units.observed(observer))?;
        self.after(index)?;
        Ok(output)
    }

    /// The residual stream before the head.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn hidden(&mut self, input: Activation) -> Result<Activation, Error> {
        let blocks = self.stages.len().saturating_sub(1);
        (0..blocks).try_fold(input, |activation, index| self.run(index, activation))
    }

    /// The products of one whole forward pass on an input shaped like `input`, as the cost model takes them.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn workload(&mut self, input: &Activation) -> Result<Workload, Error> {
        let mut workload = Workload::default();
        self.each_stage(input, |captured, units| {
            let stage = units.workload(captured)?;
            workload.layers.extend(stage.layers);
            workload.elementwise.extend(stage.elementwise);
            Ok(())
        })?;
        Ok(workload)
    }

    /// [`Session::workload`] with what was seen of the values: runs the model once on `input`.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn observed_workload(&mut self, input: Activation) -> Result<Workload, Error> {
        let (mut workload, mut activation) = (Workload::default(), input);
        for index in 0..self.stages.len() {
            if index + 1 == self.stages.len() {
                activation = self.checkpoint.task().head_input(activation);
            }
            let (captured, units) = self.ready(index, &activation)?;
            let mut watched = units.watched();
            activation = captured.run(activation, &mut watched)?;
            let seen = watched.seen;
            let stage = units.workload_seen(captured, &seen)?;
            workload.layers.extend(stage.layers);
            workload.elementwise.extend(stage.elementwise);
            self.after(index)?;
        }
        Ok(workload)
    }

    /// What the plan makes of every product: the unit, and the bits of the stored weights.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn placements(&mut self) -> Result<Vec<Placement>, Error> {
        let mut placements = Vec::new();
        self.each_stage(&smallest(self.checkpoint.input()), |_, units| {
            placements.extend(units.placements());
            Ok(())
        })?;
        Ok(placements)
    }

    /// The bits of the model under the plan; what no layer stores counts as the module holds it, a tied matrix once.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn footprint(&mut self) -> Result<ModelFootprint, Error> {
        let (mut configured, mut rest) = (Footprint::default(), 0);
        let mut seen = BTreeSet::new();
        self.each_stage(&smallest(self.checkpoint.input()), |captured, units| {
            let stored = units.stored_parameters(captured);
            for parameter in captured.parameters() {
                let tied = parameter.fingerprint.is_some_and(|f| !seen.insert((parameter.bits, f)));
                if !tied && !stored.contains(&parameter.path) {
                    rest += parameter.bits;
                }
            }
            configured += units.placements().iter().filter_map(|p| p.footprint).sum();
            Ok(())
        })?;
        Ok(ModelFootprint { configured, total: configured + Footprint::other(rest) })
    }

    /// Captures and prepares every stage for one forward pass of `input`, without running it.
    fn each_stage(
        &mut self,
        input: &Activation,
        mut visit: impl FnMut(&Captured, &Units) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut example = input.clone();
        let head = self.stages.len().saturating_sub(1);
        for index in 0..self.stages.len() {
            if index == head {
                example = self.checkpoint.task().head_input(example);
            }
            let (captured, units) = self.ready(index, &example)?;
            visit(captured, units)?;
            // Nobody reads the logits of all positions at once, which may be larger than anything else.
            if index < head {
                example = Activation::zeros(&captured.output_shape())?;
            }
        }
        Ok(())
    }

    /// The capture of stage `index` for inputs like `input`, and its units under the current plan.
    fn ready(&mut self, index: usize, input: &Activation) -> Result<(&Captured, &mut Units), Error> {
        let count = self.stages.len();
        let Some(resident) = self.stages.get_mut(index) else {
            return Err(no_stage(index, count));
        };
        if resident.kind != discriminant(input) {
            return Err(Error::Invalid(format!(
                "stage {index} of this {} model was given {:?}, a tensor of another kind or number of dimensions than it takes",
                self.checkpoint.architecture(),
                input.shape()
            )));
        }
        let shape = input.shape();
        if !resident.captures.contains_key(&shape) {
            let mut captured = resident.stage.capture(input)?.on(self.backend);
            captured.share(&mut self.pool);
            resident.captures.insert(shape.clone(), captured);
        }
        let captured = &resident.captures[&shape];
        if resident.ready.as_ref() != Some(&shape) {
            resident.units.prepare(captured, &self.plan, self.checkpoint.architecture())?;
            resident.ready = Some(shape);
        }
        Ok((captured, &mut resident.units))
    }
}

impl Runner for Session {
    fn checkpoint(&self) -> &dyn Checkpoint {
        &*self.checkpoint
    }

    fn enter(&mut self, index: usize) -> Result<(), Error> {
        self.current = index;
        Ok(())
    }

    fn forward(&mut self, input: Activation) -> Result<Activation, Error> {
        self.run(self.current, input)
    }
}

/// The smallest input that a model accepts.
fn smallest(input: Input) -> Activation {
    match input {
        Input::Tokens { .. } => Activation::ids(&[0], 1),
        Input::Text { .. } => Activation::text(&[0], &[0], 1),
        Input::Images { channels, height, width } => Activation::images([1, channels, height, width]),
    }
}
