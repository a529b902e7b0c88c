//! How long a product keeps an engine busy, in closed form: one record a model, none of which knows of memory stalls.
//!
//! Models disagree because machines do. Each says where it is valid, what it leaves out and whose rule it is; a model
//! that is not defined for an engine refuses it and names those that are.

mod count;
mod overlapped;
mod systolic;
mod table;
mod tensor_core;

use super::{Cycles, Engine, Ratio};
use crate::{Error, names};
use serde::{Deserialize, Serialize};

/// Which operand stays in a systolic array while the others stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dataflow {
    /// Outputs.
    OutputStationary,
    /// Weights.
    WeightStationary,
    /// Activations.
    InputStationary,
}

impl Dataflow {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OutputStationary => "output-stationary",
            Self::WeightStationary => "weight-stationary",
            Self::InputStationary => "input-stationary",
        }
    }
}

/// One product `[M, K] x [K, N]` and the part of a machine that multiplies it.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Rows of the activations.
    pub m: u64,
    /// Length of the reduction, pruned positions included.
    pub k: u64,
    /// Output columns.
    pub n: u64,
    /// What multiplies.
    pub engine: &'a Engine,
    /// Multiply-accumulates a cycle of one array or processor, of a dense product.
    pub rate: u64,
    /// Instruction `[m, n, k]` of a tensor core, dense.
    pub instruction: Option<[u64; 3]>,
    /// N:M weights whose pruned positions the unit neither stores nor multiplies.
    pub skip: Option<Ratio>,
}

/// How long one execution takes if memory never makes it wait: `ideal <= mapped <= compute`.
///
/// The quotients of neighbours are the losses, and they multiply to the utilisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Timing {
    /// Multiply-accumulates that are performed over those that all arrays or processors can do in a cycle, rounded up.
    pub ideal: Cycles,
    /// The same with the shape as it is cut into tiles: edges, idle arrays, the last wave.
    pub mapped: Cycles,
    /// The whole: with loading, filling and draining.
    pub compute: Cycles,
}

/// Elements that pass between the innermost memory and the engine in one execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Accesses {
    /// Reads of activations.
    pub activation_reads: u64,
    /// Reads of stored weights.
    pub weight_reads: u64,
    /// Reads of sums that were not final.
    pub partial_reads: u64,
    /// Writes of sums that are not final yet.
    pub partial_writes: u64,
    /// Writes of final results.
    pub output_writes: u64,
}

/// A closed form for the cycles of a product.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CycleModel {
    /// The name by which it is chosen.
    pub name: &'static str,
    /// One sentence for listings.
    pub about: &'static str,
    /// Where it is valid.
    pub valid: &'static str,
    /// What it leaves out or assumes.
    pub omits: &'static str,
    /// Whose rule it is.
    pub source: &'static str,
    #[serde(skip)]
    time: fn(&Job) -> Result<Timing, Refusal>,
    #[serde(skip)]
    accesses: fn(&Job) -> Result<Accesses, Refusal>,
}

/// Why a model gives no number.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// The model is not defined for the engine; what it asks for.
    Unfit(&'static str),
    /// What does not fit 64 bits.
    TooLarge(&'static str),
}

impl CycleModel {
    /// Every model.
    pub fn all() -> &'static [CycleModel] {
        &table::ALL
    }

    /// The model of that name, in any case.
    ///
    /// # Errors
    /// [`Error::UnknownName`] with the nearest name.
    pub fn by_name(name: &str) -> Result<&'static CycleModel, Error> {
        let known: Vec<_> = table::ALL.iter().map(|model| (model.name, model)).collect();
        names::find("cycle model", name, &known)
    }

    /// Cycles of one execution.
    ///
    /// # Errors
    /// [`Error::ZeroDimension`], [`Error::Engine`] for an engine that cannot be, [`Error::CycleModel`] for one that the
    /// model is not defined for, [`Error::TooLarge`].
    pub fn time(&self, job: &Job) -> Result<Timing, Error> {
        job.check()?;
        (self.time)(job).map_err(|refusal| self.error(refusal, job))
    }

    /// Elements that pass between the innermost memory and the engine in one execution.
    ///
    /// # Errors
    /// As [`Self::time`].
    pub fn accesses(&self, job: &Job) -> Result<Accesses, Error> {
        job.check()?;
        (self.accesses)(job).map_err(|refusal| self.error(refusal, job))
    }

    fn error(&self, refusal: Refusal, job: &Job) -> Error {
        match refusal {
            Refusal::TooLarge(quantity) => Error::TooLarge { layer: job.to_string(), quantity },
            Refusal::Unfit(wanted) => {
                let fits = |model: &&CycleModel| !matches!((model.time)(job), Err(Refusal::Unfit(_)));
                let fitting: Vec<&str> = table::ALL.iter().filter(fits).map(|model| model.name).collect();
                Error::CycleModel { model: self.name, engine: job.engine.to_string(), wanted, fitting }
            }
        }
    }
}

impl Job<'_> {
    /// Refuses sizes of zero, which no closed form divides by.
    fn check(&self) -> Result<(), Error> {
        let sizes = [("M", self.m), ("K", self.k), ("N", self.n)];
        if let Some((dimension, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(Error::ZeroDimension { layer: self.to_string(), dimension });
        }
        let zero = match self.engine {
            _ if self.rate == 0 => Some("macs_per_cycle"),
            _ if self.instruction.is_some_and(|shape| shape.contains(&0)) => Some("instruction"),
            Engine::Systolic { arrays, rows, columns, .. } => {
                let fields = [("arrays", arrays), ("rows", rows), ("columns", columns)];
                fields.into_iter().find(|(_, size)| **size == 0).map(|(field, _)| field)
            }
            Engine::TensorCore { cores: 0, .. } => Some("cores"),
            Engine::TensorCore { tiles, .. } => {
                (tiles.is_empty() || tiles.iter().flatten().any(|size| *size == 0)).then_some("tiles")
            }
        };
        zero.map_or(Ok(()), |field| Err(Error::Engine { field }))
    }

    /// Positions of K that are stored and multiplied.
    fn kept(&self) -> u64 {
        self.skip.map_or(self.k, |ratio| ratio.kept(self.k))
    }
}

/// The shape, for messages.
impl std::fmt::Display for Job<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.m, self.k, self.n)
    }
}

/// What it is and how large, for messages.
impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Systolic { arrays, rows, columns, dataflow } => {
                let (plural, dataflow) = (if *arrays == 1 { "" } else { "s" }, dataflow.name());
                write!(f, "{arrays} {dataflow} array{plural} of {rows} x {columns}")
            }
            Self::TensorCore { cores, .. } => write!(f, "{cores} processors with tensor cores"),
        }
    }
}

impl Timing {
    /// The part of the engine's multiply-accumulates that is used, 0 to 1.
    pub fn utilisation(&self) -> f64 {
        quotient(self.ideal, self.compute)
    }

    /// What mapping leaves of them: tiles at edges, idle arrays, the last wave.
    pub fn mapping(&self) -> f64 {
        quotient(self.ideal, self.mapped)
    }

    /// What loading, filling and draining leave of that.
    pub fn filling(&self) -> f64 {
        quotient(self.mapped, self.compute)
    }

    const fn new(ideal: u64, mapped: u64, compute: u64) -> Self {
        Self { ideal: Cycles(ideal), mapped: Cycles(mapped), compute: Cycles(compute) }
    }
}

/// Nothing of nothing is all of it.
fn quotient(part: Cycles, whole: Cycles) -> f64 {
    if whole.0 == 0 { 1.0 } else { part.0 as f64 / whole.0 as f64 }
}
