//! What runs a product on a machine: one choice, which gives the bits, the cycles, the energy and the area.

use super::record::{Accelerator, Dequantised, Engine, Unit};
use super::{NATURAL, any_matches};
use crate::cost::{Layer, Ratio};
use crate::datapath::{Codes, Inputs, Proof, Scales, Sparsity};
use crate::{Datapath, Error};
use interplay_formats::{Format, Pattern};
use serde::{Deserialize, Serialize};

/// Whose arithmetic a product has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runs {
    /// A unit of the machine, or the one that was put in its place.
    Native,
    /// The same, by a record that no silicon has settled.
    Hypothesis,
    /// Weights became a type that the machine has, activations were rounded to it.
    Dequantised,
    /// The host's FP32.
    Host,
}

impl Runs {
    /// The word that results carry.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Hypothesis => "hypothesis",
            Self::Dequantised => "dequantised",
            Self::Host => "host",
        }
    }
}

/// A product as far as the choice depends on it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The format of the weights.
    pub weight: &'static Format,
    /// The format of the activations.
    pub activation: &'static Format,
    /// The pattern of the weights.
    pub pattern: Pattern,
    /// Length of the reduction.
    pub k: u64,
    /// What stands in the place of the machine's unit; the host where that is `fake`.
    pub datapath: Option<&'static Datapath>,
    /// Whether the host has the law of the datapath `fp32`; else none of its products is a unit's.
    pub fixed_host: bool,
}

/// What runs a product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Whose arithmetic it is.
    pub runs: Runs,
    /// The record that gives the bits; `fake` on the host.
    pub datapath: &'static Datapath,
    /// What activations are rounded to.
    pub activations: &'static Format,
    /// What meets in the multipliers: of the weights, of the activations.
    pub operands: [&'static Format; 2],
    /// Where scales multiply, of weights that are dequantised.
    pub scales: Option<Scales>,
    /// The pruned positions that are neither stored in the engine nor multiplied.
    pub skip: Option<Ratio>,
    /// Where in the engine; none of a product that no unit of the machine has the law of.
    pub slot: Option<Slot>,
    /// Whether the record stands in the place of the machine's own: it is priced by its gates.
    pub replaced: bool,
}

/// A place in the engine: how fast products pass through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Multiply-accumulates a cycle and core.
    pub rate: u64,
    /// Instruction `[m, n, k]` of a tensor core, dense.
    pub instruction: Option<[u64; 3]>,
    /// Cycles a second.
    pub clock_hz: u64,
    /// Bits of an output on its way to memory.
    pub output_bits: u64,
}

/// Bits of an output where no unit says.
const OUTPUT_BITS: u64 = 32;

impl Run {
    /// A pair as it is on one unit.
    fn on(datapath: &'static Datapath, pair: &Pair, slot: Slot) -> Self {
        Self {
            runs: if datapath.proof == Proof::Hypothesis { Runs::Hypothesis } else { Runs::Native },
            datapath,
            activations: pair.activation,
            operands: [pair.weight, pair.activation],
            scales: None,
            skip: None,
            slot: Some(slot),
            replaced: false,
        }
    }

    /// Whether both give the same bits for the same operands.
    pub fn same_bits(&self, other: &Self) -> bool {
        let bits = |run: &Self| (run.datapath, run.activations, run.operands, run.scales);
        bits(self) == bits(other)
    }

    /// The record that is priced: the host's law is that of the datapath `fp32`.
    pub fn priced(&self) -> &'static Datapath {
        if self.runs == Runs::Host { Datapath::fp32() } else { self.datapath }
    }
}

impl Pair {
    /// Two formats with nothing in the place of the machine's unit, and sums of whole blocks and groups.
    pub fn of(weight: &'static Format, activation: &'static Format, pattern: Pattern) -> Self {
        let k = 128 * weight.block_len(1) as u64;
        Self { weight, activation, pattern, k, datapath: None, fixed_host: true }
    }
}

impl From<&Layer> for Pair {
    fn from(layer: &Layer) -> Self {
        Self {
            weight: layer.weight,
            activation: layer.activation,
            pattern: layer.pattern,
            k: layer.gemm.k,
            datapath: layer.datapath,
            fixed_host: layer.fixed_host,
        }
    }
}

impl Accelerator {
    /// What runs a product.
    ///
    /// # Errors
    /// [`Error::Refused`] where the machine's record gives the pair to nothing; [`Error::Unsupported`] and [`Error::Throughput`] for a
    /// datapath in the place of its unit.
    pub fn run(&self, pair: &Pair) -> Result<Run, Error> {
        match pair.datapath {
            Some(datapath) if datapath.is_host() => Ok(self.host(pair)),
            Some(datapath) => self.replacing(datapath, pair),
            None => self.own(pair),
        }
    }

    /// By the machine's record alone.
    fn own(&self, pair: &Pair) -> Result<Run, Error> {
        let exact = pair.weight.is_exact() && pair.activation.is_exact();
        match self.unit_of(pair.weight, pair.activation)? {
            // FP32 is the host's.
            Some(unit) if exact && unit.datapath == Datapath::fp32().name => {
                return Ok(self.host(pair));
            }
            Some(unit) => return self.native(unit, pair),
            None if exact => return Ok(self.host(pair)),
            None => {}
        }
        let of = |weights: &[String], activations: &[String]| {
            any_matches(weights, pair.weight.name) && any_matches(activations, pair.activation.name)
        };
        if let Some(rule) = self.dequantised.iter().find(|rule| of(&rule.weights, &rule.activations)) {
            return self.dequantised(rule, pair);
        }
        let why = self.refused.iter().find(|rule| of(&rule.weights, &rule.activations));
        Err(self.refusal(pair, why.map(|rule| rule.reason.clone())))
    }

    fn refusal(&self, pair: &Pair, reason: Option<String>) -> Error {
        let takes = self.units.iter().map(|unit| format!("{} ({})", unit.datapath, unit.formats.join(" ")));
        Error::Refused {
            accelerator: self.name.clone(),
            weights: pair.weight.name.to_owned(),
            activations: pair.activation.name.to_owned(),
            reason,
            takes: takes.collect::<Vec<_>>().join(", "),
        }
    }

    /// The unit that takes a pair of formats.
    ///
    /// # Errors
    /// [`Error::Accelerator`] where two do.
    pub(super) fn unit_of(&self, weight: &Format, activation: &Format) -> Result<Option<&Unit>, Error> {
        let mut taking = self.units.iter().filter(|unit| unit.is_for(weight, activation));
        match (taking.next(), taking.next()) {
            (Some(one), Some(other)) => Err(self.problem(format!(
                "`units` maps `{}` weights by `{}` activations twice, to {} and {}; name them in `except` of one",
                weight.name,
                activation.name,
                one.called(),
                other.called()
            ))),
            (unit, _) => Ok(unit),
        }
    }

    fn native(&self, unit: &Unit, pair: &Pair) -> Result<Run, Error> {
        let dense = unit.record(&unit.datapath, [pair.activation, pair.weight])?;
        let ratio = unit.skip_for(pair.pattern);
        let (datapath, skip) = match (ratio, &unit.sparse) {
            // Weights are A of a sparse unit, which takes whole groups.
            (Some(ratio), Some(sparse)) if pair.k.is_multiple_of(ratio.m) => {
                (unit.record(sparse, [pair.weight, pair.activation])?, Some(ratio))
            }
            (Some(ratio), None) if dense.leaves_zeros_out() => (dense, Some(ratio)),
            _ => (dense, None),
        };
        Ok(Run { skip, ..Run::on(datapath, pair, self.slot(unit)) })
    }

    fn dequantised(&self, rule: &Dequantised, pair: &Pair) -> Result<Run, Error> {
        let to = Format::by_name(&rule.to)?;
        let Some(unit) = self.unit_of(to, to)? else { return Err(self.refusal(pair, None)) };
        // Runtimes have no sparse kernel for such weights that is in use: pruned ones are multiplied.
        let dense = Pair { weight: to, activation: to, pattern: Pattern::Dense, ..*pair };
        let run = self.native(unit, &dense)?;
        let datapath = rule.datapath.as_deref().map_or(Ok(run.datapath), Datapath::by_name)?;
        Ok(Run { runs: Runs::Dequantised, datapath, scales: Some(rule.scales), ..run })
    }

    /// The host's FP32, in the machine's own FP32 unit where that has its law.
    fn host(&self, pair: &Pair) -> Run {
        let (fp32, law) = (Format::fp32(), Datapath::fp32());
        let same_law = |unit: &&Unit| unit.datapath == law.name && any_matches(&unit.formats, fp32.name);
        let unit = self.units.iter().find(same_law).filter(|_| pair.fixed_host);
        Run {
            runs: Runs::Host,
            datapath: Datapath::fake(),
            activations: pair.activation,
            operands: [fp32; 2],
            scales: None,
            skip: unit.and_then(|unit| unit.skip_for(pair.pattern)),
            slot: unit.map(|unit| self.slot(unit)),
            replaced: false,
        }
    }

    /// A record in the place of the unit that the machine has for the pair.
    fn replacing(&self, datapath: &'static Datapath, pair: &Pair) -> Result<Run, Error> {
        datapath.takes(pair.weight, pair.activation)?;
        let own = self.own(&Pair { datapath: None, ..*pair }).ok();
        if let Some(own) = own.filter(|own| own.runs != Runs::Dequantised && own.datapath == datapath) {
            return Ok(own);
        }
        let replaced = own.and_then(|own| own.slot);
        let Some(rate) = datapath.macs_per_cycle.or(replaced.map(|slot| slot.rate)).or(self.engine.array_rate()) else {
            return Err(Error::Throughput {
                accelerator: self.name.clone(),
                datapath: datapath.name.to_owned(),
                weights: pair.weight.name.to_owned(),
                activations: pair.activation.name.to_owned(),
            });
        };
        let skip = match datapath.inputs {
            Inputs::Codes(Codes { sparse: Some(stored), .. }) => Some(stored.ratio_of(pair, datapath)?),
            _ => own.and_then(|own| own.skip).filter(|_| datapath.leaves_zeros_out()),
        };
        let empty = Slot { rate, instruction: None, clock_hz: self.hertz(None), output_bits: OUTPUT_BITS };
        let slot = Slot { rate, ..replaced.unwrap_or(empty) };
        Ok(Run { skip, replaced: true, ..Run::on(datapath, pair, slot) })
    }

    fn slot(&self, unit: &Unit) -> Slot {
        Slot {
            rate: unit.rate(&self.engine),
            instruction: unit.instruction,
            clock_hz: self.clock_hz(unit),
            output_bits: unit.output_bits,
        }
    }
}

impl Unit {
    /// What messages call it.
    pub(super) fn called(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.datapath)
    }

    /// Whether the pair is one of this unit's: its globs match both formats, and its datapath takes them. Datapaths that are natural
    /// for formats take the pairs that they are natural for.
    pub(super) fn is_for(&self, weight: &Format, activation: &Format) -> bool {
        let both = |globs: &[String]| any_matches(globs, weight.name) && any_matches(globs, activation.name);
        if !both(&self.formats) || both(&self.except) {
            return false;
        }
        if NATURAL.contains(&self.datapath.as_str()) {
            return Datapath::machine(weight, activation).name == self.datapath;
        }
        self.record(&self.datapath, [activation, weight]).is_ok_and(|unit| unit.takes(weight, activation).is_ok())
    }

    /// The record of that name for two operands, A's first.
    pub(super) fn record(&self, name: &str, [a, b]: [&Format; 2]) -> Result<&'static Datapath, Error> {
        if !name.contains(PAIR) {
            return Datapath::by_name(name);
        }
        let (a, b) = (a.element.name, b.element.name);
        let pair = if a == b { a.to_owned() } else { format!("{a}x{b}") };
        Datapath::by_name(&name.replace(PAIR, &pair))
    }
}

/// What stands for the formats of both elements in a unit's datapath.
pub(super) const PAIR: &str = "{}";

impl Engine {
    /// Multiply-accumulates a cycle of one array; none of an engine whose units state them.
    pub(super) fn array_rate(&self) -> Option<u64> {
        match self {
            Self::Systolic { rows, columns, .. } => Some(rows.saturating_mul(*columns)),
            Self::TensorCore { .. } => None,
        }
    }
}

impl Sparsity {
    /// The positions that a unit with a sparse side keeps, of weights that are pruned so.
    fn ratio_of(self, pair: &Pair, datapath: &Datapath) -> Result<Ratio, Error> {
        let ratio = Ratio { n: self.n as u64, m: self.m as u64 };
        let pattern = pair.pattern.to_string();
        let pruned = match self.together {
            1 => ratio.admits(pair.pattern),
            _ => pattern == format!("{}:{}p", self.n, self.m),
        };
        if pruned && pair.k.is_multiple_of(ratio.m) {
            return Ok(ratio);
        }
        Err(Error::Unsupported {
            datapath: datapath.name.to_owned(),
            given: format!("weights of the pattern {pattern} with K = {}", pair.k),
            allowed: format!("weights pruned to {ratio}, K a multiple of {}", ratio.m),
        })
    }
}
