//! One product's unit: what the plan makes of it, prepared once, and the multiplication itself.

mod multiply;

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
use crate::burn::capture::{Captured, Cpu};
use crate::burn::correction::Corrected;
use crate::burn::executor::transpose;
#[cfg(feature = "wgpu")]
use crate::burn::gpu::GpuUnit;
use crate::burn::host::Host;
use crate::burn::planned::{Planned, is_fixed};
use crate::burn::product::{Product, Role};
use crate::burn::store::{Runs, Stored};
use crate::burn::value::tensor;
use crate::formats::{Footprint, Format, Input, Mask, Pattern, Pipeline, Step};
use crate::hw::cost::Run;
use crate::hw::{Datapath, Layer, Operand, Weights};
use crate::plan::{Correction, LayerConfig, Plan};

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
    /// What runs the product: the bits, and what is priced.
    pub(crate) run: Run,
    activations: &'static Format,
    runs: Runs,
    backend: Backend,
    unit: Unit,
}

/// Where a product outside of any capture runs: inside eager Burn, whose other operations are Burn's own.
const EAGER: Backend = Backend::Flex(Host::Burn);

impl Prepared {
    /// Prepares `product` of `captured`: stores its weights and packs them for the unit.
    ///
    /// # Errors
    /// [`Error::Layer`]: weights that are not finite or not f32, a pattern whose pairs or tiles do not divide them, formats that the unit
    /// does not take.
    pub(crate) fn new(captured: &Captured, product: &Product, plan: &Plan, planned: Planned) -> Result<Self, Error> {
        Self::build(captured, product, plan, planned).map_err(|e| at(product, e))
    }

    /// The rules of a configuration without any weights.
    fn rules(product: &Product, cfg: &LayerConfig, run: Run, backend: Backend) -> Self {
        let x = run.activations;
        let w = if product.role == Role::Weight { cfg.weight_format() } else { x };
        Self {
            config: None,
            footprint: None,
            correction: None,
            weight_zeros: 0.0,
            output: w.input.or(x.input),
            run,
            activations: x,
            runs: Runs::new(product, [w, x]),
            backend,
            unit: Unit::Host,
        }
    }

    /// The rules of a configuration, for rounding activations alone.
    ///
    /// # Errors
    /// A datapath that does not take the formats.
    pub(crate) fn unweighted(product: &Product, config: &LayerConfig) -> Result<Self, Error> {
        let run = Plan::fp32().run(product, Some(config), true)?;
        Ok(Self::rules(product, config, run, EAGER))
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
            let run = Plan::fp32().run(product, Some(config), true)?;
            let mut prepared = Self::rules(product, config, run, EAGER);
            let stored = prepared.runs.store(matrix, &config.weights, mask)?;
            prepared.unit = if run.datapath.is_host() {
                let rows = tensor(stored.values.clone(), &[product.n, product.k]);
                Unit::Fake { weight: Some(transpose(rows).to_contiguous()) }
            } else {
                Unit::Machine { datapath: run.datapath, weights: vec![prepared.pack(&stored)?] }
            };
            Ok((prepared, stored))
        };
        build().map_err(|e| at(product, e))
    }

    /// Values that both sides have already, `[n, k]` one matrix after the other, in `format`, as `product` multiplies by them.
    ///
    /// # Errors
    /// Those of [`Prepared::new`].
    pub(crate) fn of_values(
        product: &Product,
        values: &[f32],
        format: &'static Format,
        plan: &Plan,
        backend: Backend,
    ) -> Result<Self, Error> {
        let config = LayerConfig {
            weights: Pipeline { steps: vec![Step::Quantize(format)] },
            activations: format,
            ..LayerConfig::fp32()
        };
        // A machine without a unit for the format leaves it to the host.
        let run = plan.run(product, Some(&config), is_fixed(backend));
        let host = || LayerConfig { datapath: Some(Datapath::fake()), ..config.clone() };
        let run = run.or_else(|_| plan.run(product, Some(&host()), is_fixed(backend)))?;
        let mut prepared = Self::rules(product, &config, run, backend);
        let matrices = values.chunks((product.n * product.k).max(1));
        prepared.unit = if run.datapath.is_host() {
            let batches = product.weight.as_ref().map_or_else(Vec::new, |weight| weight.batches(product));
            let rows = tensor(values.to_vec(), &[batches, vec![product.n, product.k]].concat());
            Unit::Fake { weight: Some(transpose(rows).to_contiguous()) }
        } else {
            let pack = |matrix| run.datapath.prepare(Operand::Values { data: matrix, k: product.k });
            Unit::Machine { datapath: run.datapath, weights: matrices.map(pack).collect::<Result<_, _>>()? }
        };
        prepared.config = Some(if run.datapath.is_host() { host() } else { config });
        Ok(prepared)
    }

    fn build(captured: &Captured, product: &Product, plan: &Plan, planned: Planned) -> Result<Self, Error> {
        let Planned { config, run } = planned;
        let cfg = config.clone().unwrap_or_else(LayerConfig::fp32);
        let mut prepared = Self::rules(product, &cfg, run, captured.backend);
        prepared.config = config;
        let (x, host) = (prepared.activations, run.datapath.is_host());
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
                let stored = prepared.store(captured, product, &cfg, plan)?;
                if host {
                    let values: Vec<f32> = stored.into_iter().flat_map(|s| s.values).collect();
                    let shape = [weight.batches(product), vec![product.n, product.k]].concat();
                    Made::Values(Some(transpose(tensor(values, &shape)).to_contiguous()))
                } else {
                    Made::Stored(stored)
                }
            }
        };
        prepared.unit = prepared.unit(made)?;
        Ok(prepared)
    }

    /// The unit that multiplies by what was made of the weights.
    fn unit(&self, made: Made) -> Result<Unit, Error> {
        let datapath = self.run.datapath;
        #[cfg(feature = "wgpu")]
        if self.backend == Backend::Wgpu {
            if self.run.scales.is_some() {
                return Err(Error::Invalid(
                    "weights that a machine dequantises run on the CPU; take the backend `flex`, or formats that the machine has".into(),
                ));
            }
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
                let weights = stored.iter().map(|s| self.pack(s));
                Unit::Machine { datapath, weights: weights.collect::<Result<_, _>>()? }
            }
        })
    }

    /// Every weight matrix of the product as the pipeline leaves it.
    fn store(
        &mut self,
        captured: &Captured,
        product: &Product,
        cfg: &LayerConfig,
        plan: &Plan,
    ) -> Result<Vec<Stored>, Error> {
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
            self.correction = Some(Corrected::new(product, dense, stored, rank, (plan, self.backend))?);
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
    fn pack(&self, stored: &Stored) -> Result<Weights, Error> {
        let (datapath, [to, _]) = (self.run.datapath, self.run.operands);
        if let Some(quantized) = &stored.quantized {
            return Ok(match self.run.scales {
                Some(scales) => datapath.prepare_dequantised(quantized, to, scales)?,
                None => datapath.prepare(Operand::Quantized(quantized))?,
            });
        }
        let padded = self.runs.padded(&stored.values);
        Ok(datapath.prepare(Operand::Values { data: &padded, k: self.runs.padded_k() })?)
    }

    /// Whether this is what [`Prepared::new`] would give: a product of two activations follows the input's shape.
    pub(crate) fn fits(&self, product: &Product, planned: &Planned) -> bool {
        self.config == planned.config && self.run == planned.run && self.runs.fit(product)
    }

    /// The formats of the weights and of the activations as they are asked for.
    pub(crate) fn stored_formats(&self) -> [&'static Format; 2] {
        let config = self.config.clone().unwrap_or_else(LayerConfig::fp32);
        [config.weight_format(), config.activations.for_activations()]
    }

    /// `layer` as the product of this unit: what stands in the machine's place, and what gave the bits.
    pub(crate) fn placed(&self, layer: Layer) -> Layer {
        let datapath = self.config.as_ref().map_or(Some(Datapath::fake()), |config| config.datapath);
        Layer { datapath, fixed_host: is_fixed(self.backend), computed: Some(self.run.datapath), ..layer }
    }

    /// Whether the configuration prunes the weights.
    pub(crate) fn is_pruned(&self) -> bool {
        self.footprint.is_some() && self.config.as_ref().is_some_and(|config| config.pattern() != Pattern::Dense)
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
            Some((correction, x)) => out.and_then(|y| correction.add(y, x)),
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
                Ok(Cpu::linear(x, weight.clone(), None))
            }
            _ => self.multiply(product, x, None),
        }
    }
}

pub(crate) fn at(product: &Product, e: Error) -> Error {
    match e {
        Error::Layer { .. } => e,
        e => Error::Layer { layer: product.name.clone(), source: Box::new(e) },
    }
}
