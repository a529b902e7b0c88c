//! A machine as data: an engine that multiplies, the units in it, and the memories around it.
//!
//! Records are TOML texts, those of the project as those of a user; [`super::lookup`] reads them, [`super::check`] says
//! which can exist.

use super::super::{Dataflow, Ratio};
use crate::datapath::Scales;
use serde::{Deserialize, Serialize};

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accelerator {
    /// The name by which it is chosen.
    pub name: String,
    /// One sentence for listings.
    pub about: String,
    /// Where its figures come from.
    pub source: String,
    /// Clock of the engine in MHz, where a unit does not say its own.
    pub clock_mhz: f64,
    /// Feature size in nm: areas are at it. Energies stay at the node of the price list.
    pub node_nm: f64,
    /// Power at which the machine is sold, in W, where published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tdp_watts: Option<f64>,
    /// Power that flows whatever happens, in W, memories on the chip apart; 0 where nothing is known.
    #[serde(default)]
    pub static_watts: f64,
    /// The cycle model that fits it best.
    pub cycle_model: String,
    /// What multiplies.
    pub engine: Engine,
    /// What it can multiply. A pair of formats belongs to one unit at most.
    pub units: Vec<Unit>,
    /// What runtimes multiply in 16 bits for want of a unit; for pairs that no unit takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dequantised: Vec<Dequantised>,
    /// Pairs of which the record says why nothing runs them; the others that nothing takes are refused without a reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// Memories, the one next to the engine first, main memory last.
    pub memory: Vec<Memory>,
    /// How zeros and idle cycles spend energy.
    #[serde(default)]
    pub zeros: Zeros,
}

/// What multiplies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Engine {
    /// Systolic arrays of `rows * columns` processing elements.
    Systolic {
        /// Arrays that share the work.
        arrays: u64,
        /// Rows of one.
        rows: u64,
        /// Columns of one.
        columns: u64,
        /// Which operand stays in place.
        dataflow: Dataflow,
    },
    /// Processors with tensor cores, each of which works on one tile of the output at a time.
    TensorCore {
        /// Processors.
        cores: u64,
        /// Tiles `[m, n, k]` of the output that a kernel may choose from.
        tiles: Vec<[u64; 3]>,
        /// Cycles before the first multiplication of a kernel: launch and first loads.
        prologue: u64,
        /// Cycles after the last multiplication of a tile.
        epilogue: u64,
    },
}

/// One kind of multiplication that the engine can do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// What it is called, where two units have one datapath.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The datapath whose bits it gives. `{}` stands for the formats of the two elements, A's first, as in names of datapaths: `e4m3`,
    /// `e4m3xe2m1`.
    pub datapath: String,
    /// Globs over format names: both operands must match one.
    pub formats: Vec<String>,
    /// Globs over those of them of which another unit takes a pair.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Multiply-accumulates a cycle and core; one for each processing element of a systolic array where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub macs_per_cycle: Option<u64>,
    /// Instruction `[m, n, k]` of a tensor core, dense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<[u64; 3]>,
    /// Clock at which the vendor states the peak of this unit, in MHz; the machine's where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<f64>,
    /// How that clock is known.
    #[serde(default)]
    pub clock_status: ClockStatus,
    /// The vendor's dense peak in 10^12 operations a second, two a multiply-accumulate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_tops: Option<f64>,
    /// Bits of an output on its way to memory; sums have 32 until then.
    #[serde(default = "word")]
    pub output_bits: u64,
    /// N:M weights whose pruned positions are neither stored in the engine nor multiplied; others run as dense ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<Ratio>,
    /// The datapath that multiplies such weights, where it is another one; units that leave zeros out of exact sums need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sparse: Option<String>,
}

/// Weights of formats that a machine lacks, as its runtimes multiply them: rounded to a type that it has, by activations of that type,
/// which are not quantised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dequantised {
    /// Globs over the formats of weights.
    pub weights: Vec<String>,
    /// Globs over the formats that are asked for activations.
    #[serde(default = "any", skip_serializing_if = "is_any")]
    pub activations: Vec<String>,
    /// The format that both become, to nearest even: `bf16` or `fp16`. The machine's unit for it multiplies.
    pub to: String,
    /// The datapath whose bits the runtime's instruction gives, where it is another one than the unit's; it is as fast as that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datapath: Option<String>,
    /// Where the scales of the weights multiply.
    pub scales: Scales,
    /// Which runtime does so.
    pub source: String,
}

/// Pairs of formats that nothing runs, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// Globs over the formats of weights.
    pub weights: Vec<String>,
    /// Globs over the formats of activations.
    #[serde(default = "any", skip_serializing_if = "is_any")]
    pub activations: Vec<String>,
    /// Why, in one clause.
    pub reason: String,
}

fn any() -> Vec<String> {
    vec!["*".to_owned()]
}

fn is_any(globs: &[String]) -> bool {
    globs == ["*"]
}

/// How a clock is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClockStatus {
    /// The vendor states it for this peak.
    Published,
    /// No clock is published for this type: the one given makes the vendor's peak, or is the machine's.
    #[default]
    Assumed,
}

/// One level of memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// `registers`, `sram`, `l2`, `dram` …
    pub name: String,
    /// The entry of the price list: `register`, `sram`, or a kind of main memory such as `hbm2`.
    pub technology: String,
    /// Size in KiB, of one core's where `per_core`.
    pub kib: Capacity,
    /// Whether every core has its own.
    #[serde(default)]
    pub per_core: bool,
    /// Bits of one access.
    pub width_bits: u64,
    /// Accesses a cycle.
    #[serde(default = "one")]
    pub ports: u64,
    /// Bandwidth in GB/s (10^9 bytes), where the level has a clock of its own; else `ports * width_bits` a cycle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gb_per_s: Option<f64>,
    /// The part of the bandwidth that is reached, above 0 and at most 1.
    #[serde(default = "whole")]
    pub achieved: f64,
}

/// Room in a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a number of KiB, or a table of `activations`, `weights` and `outputs`"
)]
pub enum Capacity {
    /// One memory for all operands.
    Unified(u64),
    /// A memory for each operand.
    Split {
        /// For activations.
        activations: u64,
        /// For weights.
        weights: u64,
        /// For partial sums and outputs.
        outputs: u64,
    },
}

impl Capacity {
    /// The memories that there are, in KiB.
    pub fn parts(&self) -> Vec<u64> {
        match *self {
            Self::Unified(kib) => vec![kib],
            Self::Split { activations, weights, outputs } => vec![activations, weights, outputs],
        }
    }
}

/// How zeros and idle cycles spend energy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zeros {
    /// What a multiplication by zero does.
    pub operand: ZeroOperand,
    /// Clocked but idle multiplication over an active one, 0 to 1.
    pub idle: f64,
    /// Static power over the dynamic power of the engine at full rate, 0 to 1.
    pub leakage: f64,
}

/// What a multiplication by zero does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroOperand {
    /// Takes its cycle and most of its energy.
    None,
    /// Takes its cycle; the operands are held and the multiplier stands still.
    Gate,
}

/// The middle of what clocked, idle units of post-layout studies spend (25 to 57 % of an active one).
impl Default for Zeros {
    fn default() -> Self {
        Self { operand: ZeroOperand::None, idle: 0.35, leakage: 0.0 }
    }
}

const fn one() -> u64 {
    1
}

const fn word() -> u64 {
    32
}

const fn whole() -> f64 {
    1.0
}

impl Engine {
    /// Arrays or processors.
    pub const fn cores(&self) -> u64 {
        match self {
            Self::Systolic { arrays, .. } => *arrays,
            Self::TensorCore { cores, .. } => *cores,
        }
    }

    /// Cycles before the first multiplication of a kernel; arrays have no launch.
    pub const fn launch(&self) -> u64 {
        match self {
            Self::Systolic { .. } => 0,
            Self::TensorCore { prologue, .. } => *prologue,
        }
    }
}

impl Unit {
    /// Multiply-accumulates a cycle of one core; 0 where the record is not whole, which reading a record refuses.
    pub fn rate(&self, engine: &Engine) -> u64 {
        match (self.macs_per_cycle, engine) {
            (Some(rate), _) => rate,
            (None, Engine::Systolic { rows, columns, .. }) => rows.saturating_mul(*columns),
            (None, Engine::TensorCore { .. }) => 0,
        }
    }
}
