//! What is costed: products given by shape, or those of a model.

use std::str::FromStr;

use anyhow::{Result, anyhow, ensure};
use interplay::burn::Backend;
use interplay_formats::Pattern;
use interplay_hw::cost::{Accelerator, Gemm, Layer, Workload};

use crate::commands::eval::Configuration;
use crate::commands::trace::one_sequence;
use crate::subject::open_model;
use crate::watched;

/// Products, or a model, and how they are stored.
#[derive(Debug, clap::Args)]
pub struct WorkNames {
    /// A product [M, K] x [K, N], COUNT times with weights of its own each time; may be given several times.
    #[arg(long, value_name = "[COUNT*]MxKxN", conflicts_with = "model")]
    gemm: Vec<Shape>,

    /// `lm`, `vit`, a fetched model such as `smollm2`, a Hugging Face folder, or a GGUF file [default: lm].
    #[arg(long, alias = "models")]
    model: Option<String>,

    /// Tokens of the sequence [default: 256, or the longest that the model takes].
    #[arg(long, value_name = "N")]
    window: Option<usize>,

    /// Run the model once on a sequence of its own making, and let the zeros that are seen change the energy.
    #[arg(long, requires = "model")]
    statistics: bool,

    #[command(flatten)]
    configuration: Configuration,
}

/// A product, and how often it is there.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    count: u64,
    sides: [u64; 3],
}

impl Shape {
    /// The product under the name of its shape.
    pub fn gemm(self) -> Gemm {
        let Self { count, sides: [m, k, n] } = self;
        let times = if count == 1 { String::new() } else { format!("{count}*") };
        Gemm { count, ..Gemm::new(format!("{times}{m}x{k}x{n}"), m, k, n) }
    }
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let lower = text.to_ascii_lowercase();
        let (count, shape) = lower.split_once('*').unwrap_or(("1", &lower));
        let number = |side: &str| side.trim().parse::<u64>().ok();
        let sides = shape.split('x').map(number).collect::<Option<Vec<u64>>>();
        let sides = sides.and_then(|sides| <[u64; 3]>::try_from(sides).ok());
        let shape = number(count).zip(sides).map(|(count, sides)| Self { count, sides });
        shape.ok_or_else(|| {
            anyhow!("`{text}` is no product; give MxKxN, e.g. 197x768x3072, or 12*197x768x3072 for 12 of them")
        })
    }
}

/// What is costed.
pub struct Work {
    /// What it is called in reports.
    pub name: String,
    /// Its products and other operations.
    pub workload: Workload,
    /// Tokens or images of one execution, and which of them it is.
    pub per: Option<(u64, &'static str)>,
}

impl WorkNames {
    /// Whether the command line says what to cost.
    pub fn is_given(&self) -> bool {
        !self.gemm.is_empty() || self.model.is_some()
    }

    /// The products.
    ///
    /// # Errors
    /// An unknown name, a model that cannot be opened, a pattern that a shape cannot have.
    pub fn open(&self, machine: &Accelerator) -> Result<Work> {
        if self.gemm.is_empty() { self.of_model(machine) } else { self.of_shapes() }
    }

    fn of_shapes(&self) -> Result<Work> {
        ensure!(self.window.is_none(), "--window is for models; a product has its M");
        let base = self.configuration.plan_for_cost()?.base;
        let layers = self.gemm.iter().map(|shape| {
            let activations = base.activations.for_activations();
            let layer = Layer::sparse(shape.gemm(), base.weight_format(), activations, base.pattern())?;
            Ok(Layer { datapath: base.datapath, ..layer })
        });
        let workload = Workload::from(layers.collect::<Result<Vec<_>>>()?);
        let names: Vec<_> = workload.layers.iter().map(|layer| layer.gemm.name.clone()).collect();
        Ok(Work { name: names.join(", "), workload, per: None })
    }

    fn of_model(&self, machine: &Accelerator) -> Result<Work> {
        let name = self.model.as_deref().unwrap_or("lm");
        let plan = self.configuration.plan_for_cost()?.on(machine.clone().into());
        let (model, _) = open_model(name, &mut Default::default())?;
        let (input, per) = one_sequence(&*model.checkpoint, self.window)?;
        let mut session = watched::session(crate::host::on(Backend::default()), &model.checkpoint)?;
        let dense = plan.base.pattern() == Pattern::Dense;
        session.set_plan(plan)?;
        let workload = if self.statistics { session.observed_workload(input)? } else { session.workload(&input)? };
        ensure!(!workload.layers.is_empty() || dense, "`{name}` has no matrix product");
        Ok(Work { name: name.to_owned(), workload, per: Some(per) })
    }
}
