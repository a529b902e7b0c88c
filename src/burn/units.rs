//! The hook that a plan makes: one unit a product.

use std::collections::{BTreeSet, HashMap};

use burn::backend::flex::FlexTensor;
#[cfg(feature = "wgpu")]
use burn_cubecl::tensor::CubeTensor;

use crate::Error;
use crate::burn::capture::Captured;
use crate::burn::hook::Hook;
use crate::burn::planned::Planned;
use crate::burn::product::{Product, Role};
use crate::burn::unit::Prepared;
use crate::formats::{Footprint, Input};
use crate::hw::cost::{Run, Second, Statistics};
use crate::hw::{Gemm, Layer, Workload};
use crate::plan::{LayerConfig, Plan};

/// Sees the output of every product: the product and its output, row-major.
pub type Observer<'a> = dyn FnMut(&Product, &[f32]) + 'a;

/// The units of a model's products under one plan; the [`Hook`] that runs them.
///
/// Weights are stored and packed once for each layer and configuration; [`Units::prepare`] with another plan keeps what it does
/// not change, and with another capture of the same module keeps everything.
#[derive(Debug, Default)]
pub struct Units {
    prepared: HashMap<(String, usize), Prepared>,
    keys: Vec<(String, usize)>,
}

/// What a plan made of one product.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// The layer's name.
    pub layer: String,
    /// The name of the unit; `fake` where Burn multiplies.
    pub datapath: &'static str,
    /// What runs the product.
    pub run: Run,
    /// Whether the plan prunes its weights.
    pub pruned: bool,
    /// Bits of the stored weights and of what corrects them; `None` where they stay as the module holds them.
    pub footprint: Option<Footprint>,
}

impl Units {
    /// The units of `captured` under `plan`; `architecture` selects the preset's layers.
    ///
    /// # Errors
    /// [`Error::UnknownLayer`] for a rule without a layer; [`Error::Layer`] for one that cannot be stored as configured.
    pub fn new(captured: &Captured, plan: &Plan, architecture: &str) -> Result<Self, Error> {
        plan.check(captured.products().iter().map(|p| p.name.as_str()))?;
        let mut units = Self::default();
        units.prepare(captured, plan, architecture)?;
        Ok(units)
    }

    /// Brings the units up to date with a plan and a capture.
    ///
    /// # Errors
    /// [`Error::Layer`].
    pub fn prepare(&mut self, captured: &Captured, plan: &Plan, architecture: &str) -> Result<(), Error> {
        self.keys.clear();
        for product in captured.products() {
            let key = (product.name.clone(), product.occurrence);
            let planned = Planned::new(plan, architecture, product, captured.backend)?;
            if self.prepared.get(&key).is_none_or(|p| !p.fits(product, &planned)) {
                // The former weights go before the new ones come: two forms of one layer are never alive at once.
                self.prepared.remove(&key);
                self.prepared.insert(key.clone(), Prepared::new(captured, product, plan, planned)?);
            }
            self.keys.push(key);
        }
        Ok(())
    }

    /// What the GPU refused of these products so far, which stays refused; waits for it. Nothing elsewhere.
    ///
    /// # Errors
    /// A value that is not finite, or that a unit's input format does not have; the GPU did not answer.
    pub fn check(&self) -> Result<(), Error> {
        #[cfg(feature = "wgpu")]
        for key in &self.keys {
            self.prepared.get(key).map_or(Ok(()), |prepared| prepared.check_gpu(&key.0))?;
        }
        Ok(())
    }

    /// What the plan made of each product of the capture that was prepared last.
    pub fn placements(&self) -> Vec<Placement> {
        let place = |key: &(String, usize)| {
            let p = self.prepared.get(key)?;
            let correction = p.correction.as_ref().map(|correction| correction.footprint);
            let footprint = p.footprint.map(|stored| stored + correction.unwrap_or_default());
            Some(Placement {
                layer: key.0.clone(),
                datapath: p.datapath(),
                run: p.run,
                pruned: p.is_pruned(),
                footprint,
            })
        };
        self.keys.iter().filter_map(place).collect()
    }

    /// The name of the unit that computes product `index` of the capture that was prepared last; `fake` where Burn does.
    pub fn datapath(&self, index: usize) -> &'static str {
        self.at(index).map_or("fake", |prepared| prepared.datapath())
    }

    /// The paths of the parameters that a unit stores in its own form.
    pub(crate) fn stored_parameters(&self, captured: &Captured) -> BTreeSet<String> {
        let stored =
            captured.products().iter().enumerate().filter(|(i, _)| self.at(*i).is_some_and(|p| p.footprint.is_some()));
        stored.filter_map(|(_, p)| captured.name(p.weight.as_ref()?.root).map(str::to_owned)).collect()
    }

    /// The products of `captured` as the cost model takes them, in execution order, products left to the host included. Behind a layer
    /// with a low-rank correction come the two products of that, `NAME.low_rank.right` and `NAME.low_rank.left`.
    ///
    /// # Errors
    /// A product without elements.
    pub fn workload(&self, captured: &Captured) -> Result<Workload, Error> {
        self.workload_seen(captured, &[])
    }

    /// The same with what was `seen` of each product.
    ///
    /// # Errors
    /// A product without elements.
    pub(crate) fn workload_seen(&self, captured: &Captured, seen: &[Option<Statistics>]) -> Result<Workload, Error> {
        let mut layers = Vec::with_capacity(captured.products().len());
        for (index, product) in captured.products().iter().enumerate() {
            let statistics = seen.get(index).copied().flatten();
            layers.push(Layer { statistics, ..self.layer(product)? });
            if let Some(correction) = self.of(product).and_then(|prepared| prepared.correction.as_ref()) {
                layers.extend(correction.layers()?);
            }
        }
        Ok(Workload { layers, elementwise: captured.elementwise() })
    }

    fn of(&self, product: &Product) -> Option<&Prepared> {
        self.prepared.get(&(product.name.clone(), product.occurrence))
    }

    fn layer(&self, product: &Product) -> Result<Layer, Error> {
        let [m, k, n, count] = [product.m, product.k, product.n, product.count].map(|x| x as u64);
        let gemm = Gemm { count, ..Gemm::new(product.name.clone(), m, k, n) };
        let prepared = self.of(product);
        let config = prepared.and_then(|p| p.config.clone()).unwrap_or_else(LayerConfig::fp32);
        let activations = config.activations.for_activations();
        let placed = |layer: Layer| match prepared {
            Some(prepared) => prepared.placed(layer),
            None => layer,
        };
        if product.role == Role::Activation {
            let layer = placed(Layer::dense(gemm, activations, activations)?);
            return Ok(Layer { second: Second::Activations, ..layer });
        }
        let mut layer = placed(Layer::dense(gemm, config.weight_format(), activations)?);
        layer.pattern = config.pattern();
        if let Some(all) = prepared.and_then(|p| p.footprint) {
            layer.stored = share(all, count);
        }
        Ok(layer)
    }

    /// The hook that shows every product's output to `observer`.
    pub fn observed<'a>(&'a mut self, observer: &'a mut Observer<'a>) -> Observed<'a> {
        Observed { units: self, observer }
    }

    /// The hook that counts zeros among the operands of every product that a unit multiplies.
    pub(crate) fn watched(&mut self) -> Watched<'_> {
        let seen = vec![None; self.keys.len()];
        Watched { units: self, seen }
    }

    fn at(&self, index: usize) -> Option<&Prepared> {
        self.keys.get(index).and_then(|key| self.prepared.get(key))
    }
}

/// The footprint of one of `count` equal matrices.
fn share(all: Footprint, count: u64) -> Footprint {
    let count = count.max(1);
    Footprint {
        values: all.values / count,
        scales: all.scales / count,
        metadata: all.metadata / count,
        other: all.other / count,
    }
}

impl Hook for Units {
    fn wants(&self, index: usize) -> bool {
        self.at(index).is_some_and(|p| !p.is_host())
    }

    fn multiply(
        &mut self,
        index: usize,
        product: &Product,
        lhs: FlexTensor,
        rhs: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error> {
        match self.at(index) {
            Some(prepared) => prepared.multiply(product, lhs, rhs),
            None => Err(Error::Invalid(format!("`{}` was not prepared for this capture", product.name))),
        }
    }

    #[cfg(feature = "wgpu")]
    fn multiply_on_gpu(
        &mut self,
        index: usize,
        product: &Product,
        lhs: CubeTensor,
        rhs: Option<CubeTensor>,
    ) -> Result<CubeTensor, Error> {
        match self.at(index) {
            Some(prepared) => prepared.multiply_on_gpu(product, lhs, rhs),
            None => Err(Error::Invalid(format!("`{}` was not prepared for this capture", product.name))),
        }
    }

    fn output(&self, index: usize) -> Option<Input> {
        self.at(index)?.output
    }
}

/// [`Units`] with somebody who sees every output.
pub struct Observed<'a> {
    units: &'a mut Units,
    observer: &'a mut Observer<'a>,
}

impl Hook for Observed<'_> {
    fn wants(&self, index: usize) -> bool {
        self.units.wants(index)
    }

    fn multiply(
        &mut self,
        index: usize,
        product: &Product,
        lhs: FlexTensor,
        rhs: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error> {
        self.units.multiply(index, product, lhs, rhs)
    }

    #[cfg(feature = "wgpu")]
    fn multiply_on_gpu(
        &mut self,
        index: usize,
        product: &Product,
        lhs: CubeTensor,
        rhs: Option<CubeTensor>,
    ) -> Result<CubeTensor, Error> {
        self.units.multiply_on_gpu(index, product, lhs, rhs)
    }

    fn output(&self, index: usize) -> Option<Input> {
        self.units.output(index)
    }

    fn observe(&mut self, _index: usize, product: &Product, output: &FlexTensor) {
        let output = output.to_contiguous();
        if let Some(values) = output.as_slice::<f32>() {
            (self.observer)(product, values);
        }
    }

    fn observes(&self) -> bool {
        true
    }
}

/// [`Units`] with a count of what the operands hold.
pub(crate) struct Watched<'a> {
    units: &'a mut Units,
    /// What was seen of each product; `None` of those that Burn computes.
    pub(crate) seen: Vec<Option<Statistics>>,
}

impl Hook for Watched<'_> {
    fn wants(&self, index: usize) -> bool {
        self.units.wants(index)
    }

    fn multiply(
        &mut self,
        index: usize,
        product: &Product,
        lhs: FlexTensor,
        rhs: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error> {
        if let (Some(prepared), Some(seen)) = (self.units.at(index), self.seen.get_mut(index)) {
            let rounded = prepared.activation(product, lhs.clone())?;
            let values = rounded
                .as_slice::<f32>()
                .ok_or_else(|| Error::Invalid(format!("`{}` was given activations that are not f32", product.name)))?;
            *seen = Some(statistics(values, product, prepared.weight_zeros));
        }
        self.units.multiply(index, product, lhs, rhs)
    }

    fn output(&self, index: usize) -> Option<Input> {
        self.units.output(index)
    }
}

/// What activations `[.., m, k]` hold.
fn statistics(values: &[f32], product: &Product, weight_zeros: f64) -> Statistics {
    let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
    let zeros = values.iter().filter(|value| **value == 0.0).count();
    let (mut changed, mut steps) = (0, 0);
    for matrix in values.chunks((product.m * product.k).max(1)) {
        let next = matrix.get(product.k..).unwrap_or_default();
        changed += matrix.iter().zip(next).filter(|(a, b)| a != b).count();
        steps += next.len();
    }
    Statistics { weight_zeros, activation_zeros: share(zeros, values.len()), activation_toggles: share(changed, steps) }
}
