//! One product's unit: what the plan makes of it, prepared once, and the multiplication itself.

#[cfg(feature = "wgpu")]
use burn::backend::Wgpu;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::ModuleOps;
#[cfg(feature = "wgpu")]
use burn_cubecl::tensor::CubeTensor;

use crate::Error;
use crate::burn::backend::Backend;
#[cfg(feature = "wgpu")]
use crate::burn::backend::Engine;
use crate::burn::broadcast::Broadcast;
use crate::burn::capture::{Captured, Cpu};
use crate::burn::correction::Corrected;
use crate::burn::executor::transpose;
#[cfg(feature = "wgpu")]
use crate::burn::gpu::GpuUnit;
use crate::burn::host::Host;
use crate::burn::product::{Product, Role};
use crate::burn::store::{Runs, Stored};
use crate::burn::value::{self, tensor};
use crate::formats::{Footprint, Format, Input, Mask, Pipeline};
use crate::hw::{Datapath, Operand, Weights};
use crate::plan::{Correction, LayerConfig};

/// Who multiplies a product, with its weights ready.
#[derive(Debug)]
enum Unit {
    /// Burn, on the tensors as they are.
    Host,
    /// Burn, on values that went through a format and back.
    Fake {
        /// `[.., k, n]`; `None` for a product of two activations.
        weight: Option<FlexTensor>,
    },
    /// A modelled unit.
    Machine {
        datapath: &'static Datapath,
        /// One matrix a batch; empty for a product of two activations.
        weights: Vec<Weights>,
    },
    /// Either of these on the GPU.
    #[cfg(feature = "wgpu")]
    Gpu {
        /// The name of the unit; `fake` where Burn multiplies.
        datapath: &'static str,
        unit: Box<GpuUnit>,
    },
}

/// What was made of a product's weights.
enum Made {
    /// They stay as they are, and so do activations.
    Nothing,
    /// The values that Burn multiplies by, `[.., k, n]`; `None` for a product of two activations.
    Values(Option<FlexTensor>),
    /// Stored matrices, one a batch; none for a product of two activations.
    Stored(Vec<Stored>),
}

/// A product under one configuration.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The configuration that it was prepared for.
    pub(crate) config: Option<LayerConfig>,
    /// Bits of the weights as the pipeline stores them, all matrices of the product together.
    pub(crate) footprint: Option<Footprint>,
    /// What is kept beside the stored weights.
    pub(crate) correction: Option<Corrected>,
    /// The share of zeros among the stored weights.
    pub(crate) weight_zeros: f64,
    /// The type of the product's output, where the weights' or the activations' recipe has one.
    pub(crate) output: Option<Input>,
    activations: &'static Format,
    runs: Runs,
    backend: Backend,
    unit: Unit,
}

impl Prepared {
    /// Prepares `product` of `captured`: stores its weights and packs them for the unit.
    ///
    /// # Errors
    /// [`Error::Layer`]: weights that are not finite or not f32, a pattern whose pairs or tiles do not divide them, formats that the unit
    /// does not take.
    pub(crate) fn new(captured: &Captured, product: &Product, config: Option<LayerConfig>) -> Result<Self, Error> {
        Self::build(captured, product, config).map_err(|e| at(product, e))
    }

    /// The rules of a configuration without any weights, and the unit that it names.
    fn rules(product: &Product, cfg: &LayerConfig, backend: Backend) -> (Self, &'static Datapath) {
        let x = cfg.activations.for_activations();
        let w = if product.role == Role::Weight { cfg.weight_format() } else { x };
        let datapath = cfg.datapath.unwrap_or_else(|| Datapath::auto(w, x));
        let prepared = Self {
            config: None,
            footprint: None,
            correction: None,
            weight_zeros: 0.0,
            output: w.input.or(x.input),
            activations: x,
            runs: Runs::new(product, [w, x]),
            backend,
            unit: Unit::Host,
        };
        (prepared, datapath)
    }

    /// The rules of a configuration, for rounding activations alone.
    pub(crate) fn unweighted(product: &Product, config: &LayerConfig) -> Self {
        Self::rules(product, config, Backend::default()).0
    }

    /// One matrix `[n, k]` that no capture holds, for a product on the CPU backend, and what the pipeline left of it; `mask` stands
    /// in for the one that a prune step would choose.
    ///
    /// # Errors
    /// Those of [`Prepared::new`].
    pub(crate) fn of_matrix(
        product: &Product,
        config: &LayerConfig,
        matrix: &[f32],
        mask: Option<&Mask>,
    ) -> Result<(Self, Stored), Error> {
        let build = || {
            let (mut prepared, datapath) = Self::rules(product, config, Backend::default());
            let stored = prepared.runs.store(matrix, &config.weights, mask)?;
            prepared.unit = if datapath.is_host() {
                let rows = tensor(stored.values.clone(), &[product.n, product.k]);
                Unit::Fake { weight: Some(transpose(rows).to_contiguous()) }
            } else {
                Unit::Machine { datapath, weights: vec![prepared.pack(datapath, &stored)?] }
            };
            Ok((prepared, stored))
        };
        build().map_err(|e| at(product, e))
    }

    fn build(captured: &Captured, product: &Product, config: Option<LayerConfig>) -> Result<Self, Error> {
        let cfg = config.clone().unwrap_or_else(LayerConfig::fp32);
        let (mut prepared, datapath) = Self::rules(product, &cfg, captured.backend);
        prepared.config = config;
        let (x, host) = (prepared.activations, datapath.is_host());
        let stored_as_is = cfg.weights.steps.is_empty() && cfg.given.is_none();
        if let (Some(weight), true, Some(_)) = (&product.weight, stored_as_is, &prepared.config) {
            // A layer that the plan covers is a stored layer also where it is stored as it came, in FP32.
            let matrices: usize = weight.batches(product).iter().product();
            let one = Format::fp32().footprint(product.n, product.k, None);
            prepared.footprint = Some(std::iter::repeat_n(one, matrices).sum());
        }
        let made = match &product.weight {
            None if host && x.is_exact() => Made::Nothing,
            None if host => Made::Values(None),
            None => Made::Stored(Vec::new()),
            Some(_) if host && stored_as_is && x.is_exact() => Made::Nothing,
            Some(_) if host && stored_as_is => Made::Values(Some(captured.weight_columns(product)?)),
            Some(weight) => {
                let stored = prepared.store(captured, product, &cfg)?;
                if host {
                    let values: Vec<f32> = stored.into_iter().flat_map(|s| s.values).collect();
                    let shape = [weight.batches(product), vec![product.n, product.k]].concat();
                    Made::Values(Some(transpose(tensor(values, &shape)).to_contiguous()))
                } else {
                    Made::Stored(stored)
                }
            }
        };
        prepared.unit = prepared.unit(datapath, made)?;
        Ok(prepared)
    }

    /// The unit that multiplies by what was made of the weights.
    fn unit(&self, datapath: &'static Datapath, made: Made) -> Result<Unit, Error> {
        #[cfg(feature = "wgpu")]
        if self.backend == Backend::Wgpu {
            return Ok(match made {
                Made::Nothing => Unit::Host,
                Made::Values(weight) => {
                    let unit = GpuUnit::fake(self.activations, self.runs, weight)?;
                    Unit::Gpu { datapath: "fake", unit: Box::new(unit) }
                }
                Made::Stored(stored) => {
                    let unit = GpuUnit::machine(datapath, self.activations, self.runs, &stored)?;
                    Unit::Gpu { datapath: datapath.name, unit: Box::new(unit) }
                }
            });
        }
        Ok(match made {
            Made::Nothing => Unit::Host,
            Made::Values(weight) => Unit::Fake { weight },
            Made::Stored(stored) => {
                let weights = stored.iter().map(|s| self.pack(datapath, s));
                Unit::Machine { datapath, weights: weights.collect::<Result<_, _>>()? }
            }
        })
    }

    /// Every weight matrix of the product as the pipeline leaves it.
    fn store(&mut self, captured: &Captured, product: &Product, cfg: &LayerConfig) -> Result<Vec<Stored>, Error> {
        let stored = match &cfg.given {
            Some(given) => vec![self.runs.given(&given.0, product)?],
            None => self.make(captured, product, &cfg.weights)?,
        };
        self.footprint = Some(stored.iter().map(|s| s.footprint).sum());
        if let Some(Correction { rank }) = cfg.correction.filter(|correction| correction.rank > 0) {
            self.correctable(cfg)?;
            let rows = captured.weight_rows(product)?;
            let dense = rows.as_slice::<f32>().unwrap_or_default();
            let stored = stored.iter().map(|stored| &stored.values[..]);
            self.correction = Some(Corrected::new(product, dense, stored, rank)?);
        }
        let zeros = stored.iter().flat_map(|s| &s.values).filter(|value| **value == 0.0).count();
        self.weight_zeros = zeros as f64 / (product.count * product.n * product.k).max(1) as f64;
        Ok(stored)
    }

    /// Whether a correction can be made and run.
    fn correctable(&self, cfg: &LayerConfig) -> Result<(), Error> {
        #[cfg(feature = "wgpu")]
        if self.backend == Backend::Wgpu {
            return Err(Error::Invalid(
                "a low-rank correction runs on the CPU; leave `low_rank` out, or take the backend `flex`".into(),
            ));
        }
        if cfg.given.is_some() {
            return Err(Error::Invalid(
                "a low-rank correction needs the weights that were stored, and a compression may have scaled or moved those it was given; leave `low_rank` out, or give the steps instead of their result"
                    .into(),
            ));
        }
        Ok(())
    }

    /// Every weight matrix of the module through a pipeline.
    fn make(&self, captured: &Captured, product: &Product, pipeline: &Pipeline) -> Result<Vec<Stored>, Error> {
        let rows = captured.weight_rows(product)?;
        let matrices = rows.as_slice::<f32>().unwrap_or_default().chunks((product.n * product.k).max(1));
        matrices.map(|matrix| self.runs.store(matrix, pipeline, None)).collect()
    }

    /// A stored matrix in the form that the unit multiplies by.
    fn pack(&self, datapath: &Datapath, stored: &Stored) -> Result<Weights, Error> {
        if let Some(quantized) = &stored.quantized {
            return Ok(datapath.prepare(Operand::Quantized(quantized))?);
        }
        let padded = self.runs.padded(&stored.values);
        Ok(datapath.prepare(Operand::Values { data: &padded, k: self.runs.padded_k() })?)
    }

    /// Whether this is what [`Prepared::new`] would give: a product of two activations follows the input's shape.
    pub(crate) fn fits(&self, product: &Product, config: &Option<LayerConfig>) -> bool {
        self.config == *config && self.runs.fit(product)
    }

    /// Whether Burn computes the product untouched.
    pub(crate) fn is_host(&self) -> bool {
        matches!(self.unit, Unit::Host)
    }

    /// The name of the datapath that multiplies; `fake` where Burn does.
    pub(crate) fn datapath(&self) -> &'static str {
        match &self.unit {
            Unit::Host | Unit::Fake { .. } => "fake",
            Unit::Machine { datapath, .. } => datapath.name,
            #[cfg(feature = "wgpu")]
            Unit::Gpu { datapath, .. } => datapath,
        }
    }

    /// Multiplies; shapes as in [`crate::burn::Hook::multiply`].
    ///
    /// # Errors
    /// [`Error::Layer`]: an activation that is not finite, or what the unit refuses.
    pub(crate) fn multiply(
        &self,
        product: &Product,
        lhs: FlexTensor,
        rhs: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error> {
        let uncorrected = self.correction.as_ref().map(|correction| (correction, lhs.clone()));
        let out = match &self.unit {
            Unit::Host => Err(Error::Invalid("the host multiplies this layer".into())),
            Unit::Fake { weight } => self.fake(product, lhs, rhs, weight.clone()),
            Unit::Machine { datapath, weights } => self.machine(product, lhs, rhs, datapath, weights),
            #[cfg(feature = "wgpu")]
            Unit::Gpu { unit, .. } => {
                let rhs = rhs.map(Wgpu::lift).transpose();
                rhs.and_then(|rhs| unit.multiply(product, Wgpu::lift(lhs)?, rhs)).and_then(Wgpu::lower)
            }
        };
        let out = match uncorrected {
            Some((correction, x)) => out.and_then(|y| correction.add(product, y, x, self.backend)),
            None => out,
        };
        out.map_err(|e| at(product, e))
    }

    /// [`Prepared::multiply`] on the GPU.
    ///
    /// # Errors
    /// [`Error::Layer`]: operands that are not f32, or beyond its memory.
    #[cfg(feature = "wgpu")]
    pub(crate) fn multiply_on_gpu(
        &self,
        product: &Product,
        lhs: CubeTensor,
        rhs: Option<CubeTensor>,
    ) -> Result<CubeTensor, Error> {
        let out = match &self.unit {
            Unit::Gpu { unit, .. } => unit.multiply(product, lhs, rhs),
            _ => Err(Error::Invalid("this layer was prepared for the CPU".into())),
        };
        out.map_err(|e| at(product, e))
    }

    /// Whether the GPU has refused nothing of the layer `name` so far; waits for it.
    ///
    /// # Errors
    /// A value that is not finite, or that the unit's input format does not have; the GPU did not answer.
    #[cfg(feature = "wgpu")]
    pub(crate) fn check_gpu(&self, name: &str) -> Result<(), Error> {
        if let Unit::Gpu { unit, .. } = &self.unit { unit.check(name) } else { Ok(()) }
    }

    /// What the unit makes of an activation operand `[.., m, k]`, as values.
    ///
    /// # Errors
    /// [`Error::Layer`]: an activation that is not finite.
    pub(crate) fn activation(&self, product: &Product, lhs: FlexTensor) -> Result<FlexTensor, Error> {
        self.round(product, lhs, product.span).map_err(|e| at(product, e))
    }

    /// A linear layer without its bias: `x` `[.., k]` to `[.., n]`, as the executor computes what Burn's own layer records.
    ///
    /// # Errors
    /// Those of [`Prepared::multiply`].
    pub(crate) fn linear(&self, product: &Product, x: FlexTensor) -> Result<FlexTensor, Error> {
        match &self.unit {
            Unit::Fake { weight: Some(weight) } => {
                let x = self.activation(product, x)?;
                match self.backend.host() {
                    Host::Fixed => self.backend.matmul(x, weight.clone()),
                    Host::Burn => Ok(Cpu::linear(x, weight.clone(), None)),
                }
            }
            _ => self.multiply(product, x, None),
        }
    }

    fn fake(
        &self,
        product: &Product,
        lhs: FlexTensor,
        rhs: Option<FlexTensor>,
        weight: Option<FlexTensor>,
    ) -> Result<FlexTensor, Error> {
        let lhs = self.round(product, lhs, product.span)?;
        let rhs = match (weight, rhs) {
            (Some(weight), _) => weight,
            (None, Some(rhs)) => transpose(self.round(product, transpose(rhs), product.n)?),
            (None, None) => return Err(missing()),
        };
        self.backend.matmul(lhs, rhs)
    }

    /// `x` `[.., k]` through the activation format and back, in place where nobody else holds it.
    fn round(&self, product: &Product, x: FlexTensor, rows: usize) -> Result<FlexTensor, Error> {
        let mut x = value::owned(value::contiguous(x, &product.name)?);
        let values = x.storage_mut::<f32>();
        let span = self.span(rows, values.len());
        for matrix in values.chunks_mut(span) {
            self.activations.fake_quantize(matrix, self.runs.grain(self.activations))?;
        }
        Ok(x)
    }

    fn machine(
        &self,
        product: &Product,
        lhs: FlexTensor,
        rhs: Option<FlexTensor>,
        datapath: &'static Datapath,
        weights: &[Weights],
    ) -> Result<FlexTensor, Error> {
        let lhs = value::contiguous(lhs, &product.name)?;
        let dims = lhs.layout().shape().to_vec();
        let (batches, m) = (&dims[..dims.len() - 2], dims[dims.len() - 2]);
        let x = lhs.as_slice::<f32>().unwrap_or_default();
        if let [weights] = weights {
            let data = self.gemm(datapath, product, x, weights)?;
            return Ok(tensor(data, &[batches, &[m, product.n]].concat()));
        }
        let (prepared, right);
        let weights = match (rhs, &product.weight) {
            (_, Some(weight)) => {
                right = weight.batches(product);
                weights
            }
            (Some(rhs), None) => {
                let rhs = value::contiguous(transpose(rhs), &product.name)?;
                right = rhs.layout().shape()[..rhs.layout().num_dims() - 2].to_vec();
                prepared = self.matrices(datapath, product, rhs.as_slice::<f32>().unwrap_or_default())?;
                &prepared
            }
            (None, None) => return Err(missing()),
        };
        let plan = Broadcast::new(batches, &right);
        let mut data = Vec::with_capacity(plan.count() * m * product.n);
        for (l, r) in plan.pairs() {
            data.extend(self.gemm(datapath, product, &x[l * m * product.k..][..m * product.k], &weights[r])?);
        }
        Ok(tensor(data, &[&plan.shape[..], &[m, product.n]].concat()))
    }

    /// How many values of an activation are quantised at once: all of `len`, but the `rows` of one sequence or image where a scale spans
    /// rows, so that a result does not depend on what else is in the batch.
    fn span(&self, rows: usize, len: usize) -> usize {
        if self.activations.is_row_local() { len.max(1) } else { (rows * self.runs.k).max(1) }
    }

    /// The right operands `[.., n, k]` of a product of two activations, packed for the unit.
    fn matrices(&self, datapath: &Datapath, product: &Product, rhs: &[f32]) -> Result<Vec<Weights>, Error> {
        let matrices = rhs.chunks_exact((product.n * product.k).max(1));
        matrices.map(|matrix| self.with_operand(matrix, |operand| Ok(datapath.prepare(operand)?))).collect()
    }

    fn gemm(&self, datapath: &Datapath, product: &Product, x: &[f32], weights: &Weights) -> Result<Vec<f32>, Error> {
        let multiply = |x: &[f32]| self.with_operand(x, |operand| Ok(datapath.gemm(operand, weights)?));
        let span = self.span(product.span, x.len());
        if span >= x.len() {
            return multiply(x);
        }
        let parts: Vec<_> = x.chunks(span).map(multiply).collect::<Result<_, Error>>()?;
        Ok(parts.concat())
    }

    /// Activation rows `[rows, k]` in the form that units take them.
    fn with_operand<T>(&self, x: &[f32], then: impl FnOnce(Operand<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let x = self.runs.padded(x);
        let k = self.runs.padded_k();
        if self.activations.is_exact() {
            then(Operand::Values { data: &x, k })
        } else {
            then(Operand::Quantized(&self.activations.quantize(&x, k)?))
        }
    }
}

fn at(product: &Product, e: Error) -> Error {
    match e {
        Error::Layer { .. } => e,
        e => Error::Layer { layer: product.name.clone(), source: Box::new(e) },
    }
}

fn missing() -> Error {
    Error::Invalid("a product of two activations was given only one".into())
}
