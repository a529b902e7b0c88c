//! A matrix unit as data: what enters, which products meet, how they are summed, where bits are dropped.
//!
//! Every record describes `d = c + a . b` of one output. An instruction of depth I takes I positions of the reduction;
//! [`Order`] cuts them into steps; a step evaluates the tree of [`Sum`]s once, on its products and the accumulator, and
//! its result is the accumulator of the next. `evaluate` reads a record for the bits, `inventory` for the hardware.
//!
//! A term carries, beside its value, the exponent that it is aligned by: the sum of the two operands' exponents, *not*
//! renormalised (1.5 * 1.5 = 2.25 keeps exponent 0; subnormals have their format's least exponent).

use interplay_formats::{Rounding, Scalar};
use serde::Serialize;

/// A matrix unit: a name and what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Datapath {
    /// The name by which it is chosen: `arch.unit.input.accumulator` for machines.
    pub name: &'static str,
    /// One sentence for listings.
    pub about: &'static str,
    /// Where the description comes from.
    pub source: &'static str,
    /// What the description was checked against.
    pub proof: Proof,
    /// What enters.
    pub inputs: Inputs,
    /// Reduction lengths that the instruction exists in, increasing; empty: any length is one instruction.
    pub depths: &'static [usize],
    /// Which products meet in which step.
    pub order: Order,
    /// What happens to a product before it is summed.
    pub product: Product,
    /// The sum of one step.
    pub sum: &'static Sum,
    /// What the accumulator is written as.
    pub accumulator: Accumulator,
    /// Multiply-accumulates a cycle and core, where the record of a design says so; a machine's units say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macs_per_cycle: Option<u64>,
}

/// How a record is known to be right, strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Recorded results of the machine.
    Silicon,
    /// Another simulator's results.
    Simulator,
    /// The vendor's or a standard's text.
    Document,
    /// This project's own definition: nothing else could be right.
    Definition,
    /// A guess, to be settled by silicon.
    Hypothesis,
}

/// What enters a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Inputs {
    /// Nothing: the host multiplies the dequantised values.
    Host,
    /// FP32 values; of any format, dequantised.
    Values,
    /// Symmetric integers of at most 8 bits under one FP32 scale a row, which is applied to the result.
    Integers,
    /// Elements of any block format with one block length on both sides; a block's scale multiplies its elements, which
    /// contribute this to the exponent of their products.
    Blocks(ElementExponent),
    /// Codes of two scalar formats.
    Codes(Codes),
}

/// The operands of a unit that takes codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Codes {
    /// The left operand; the sparse one where there is one.
    pub a: Port,
    /// The right operand.
    pub b: Port,
    /// The scale of each block of positions, on both sides.
    pub scale: Option<BlockScale>,
    /// Which positions A stores.
    pub sparse: Option<Sparsity>,
}

/// How one operand is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// The format of the codes.
    pub format: Scalar,
    /// The exponent of subnormals, when the unit first widens the operand; the format's own least exponent otherwise.
    pub emin: Option<i32>,
    /// Low bits of a code that the unit ignores (TF32 and XF32: 13 bits of the FP32 register).
    pub ignored_bits: u32,
    /// What becomes of subnormal operands.
    pub subnormals: Subnormals,
    /// What an element contributes to the exponent that its products are aligned by.
    pub exponent: ElementExponent,
}

/// What becomes of subnormal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subnormals {
    /// They are numbers like others.
    Kept,
    /// They become zero: operands +0, results the zero of their sign.
    Flushed,
}

/// What an element contributes to the exponent of its products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ElementExponent {
    /// Its own exponent.
    Own,
    /// Nothing: elements are integers to the adder, and only scales align.
    None,
}

/// A scale that a block of positions shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BlockScale {
    /// The format of the scale's code.
    pub format: Scalar,
    /// Positions a block.
    pub block: usize,
}

/// The positions that a sparse operand stores: N of every M.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sparsity {
    /// Stored positions a group.
    pub n: usize,
    /// Positions a group.
    pub m: usize,
    /// Neighbouring positions that are stored or not stored together: 1, or 2 for the pairs of 4-bit formats.
    pub together: usize,
}

/// Which products meet in which step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Products of a step (stored ones, where A is sparse).
    pub group: Group,
    /// The positions of an instruction come class by class, each class in increasing order: position k belongs to the
    /// class that lists k modulo the number of all listed residues.
    pub classes: &'static [&'static [usize]],
    /// Where the accumulator that the instruction was given joins.
    pub joins: Joins,
}

/// How many products a step has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// All of the instruction.
    All,
    /// A block of the operands.
    Block,
    /// So many, or all of a shorter instruction.
    Of(usize),
}

/// Where the accumulator that an instruction was given joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Joins {
    /// It is the accumulator of the first step.
    First,
    /// The first step starts from +0; it is added to the last result, with this rounding.
    Last(Round),
}

/// What happens to a product before it is summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Product {
    /// Rounding of each product; products are exact without.
    pub round: Option<Round>,
    /// Products of this normalised exponent or a greater one are infinite.
    pub infinite_from: Option<i32>,
}

impl Product {
    /// Exact and unbounded.
    pub const EXACT: Self = Self { round: None, infinite_from: None };
}

/// A sum of arms: all are brought to one exponent and added exactly, then the result is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// What is added.
    pub arms: &'static [Arm],
    /// The alignment of the terms; without it they are added exactly.
    pub align: Option<Align>,
    /// Roundings of the sum, in this order; without any it goes on as it is.
    pub round: &'static [Round],
}

/// The exponent that the terms of a sum are aligned to: the greatest of theirs, but at least the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Align {
    /// The exponent that a zero term presents.
    pub floor: i32,
}

/// One input of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Arm {
    /// Where the terms come from.
    pub node: Node,
    /// Fraction bits that a term keeps below the common exponent; without meaning in an exact sum.
    pub fraction_bits: u32,
    /// What happens to the bits below.
    pub rounding: Rounding,
    /// Terms whose exponent is lower than the common one by more than this are dropped.
    pub reach: Option<u32>,
}

/// Where the terms of a sum come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Node {
    /// Products of the step: `first`, `first + every`, ….
    Products {
        /// The first one.
        first: usize,
        /// The distance between two.
        every: usize,
    },
    /// Each run of so many consecutive products, summed on its own.
    Runs {
        /// Products a run.
        length: usize,
        /// The sum of a run.
        sum: &'static Sum,
    },
    /// The accumulator.
    Accumulator,
    /// Another sum over the same step.
    Sum(&'static Sum),
}

impl Arm {
    /// An input of an exact sum.
    pub const fn exact(node: Node) -> Self {
        Self { node, fraction_bits: 0, rounding: Rounding::NearestEven, reach: None }
    }
}

impl Node {
    /// Every product of the step.
    pub const PRODUCTS: Self = Self::Products { first: 0, every: 1 };
}

/// One rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Round {
    /// The numbers that it rounds to.
    pub format: Scalar,
    /// How.
    pub rounding: Rounding,
    /// What becomes of numbers beyond the largest.
    pub overflow: Overflow,
    /// What becomes of results below the smallest normal number.
    pub subnormals: Subnormals,
    /// What a one of the format stands for.
    pub unit: Unit,
}

/// What a one of a register stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// One.
    One,
    /// Two to the exponent of the sum's terms: a register of a block's elements, before their scales are applied.
    Scale,
}

/// What becomes of a number beyond the largest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// Infinity, whatever the rounding.
    Infinity,
    /// As IEEE 754 (7.4): infinity, or the largest number where the rounding points away from infinity.
    Ieee,
    /// It stays: the register is wider than its grid says.
    Unbounded,
    /// Integers: the result modulo 2^bits.
    Wrap,
    /// The nearest end of the range.
    Saturate,
    /// A reduction so long that it could overflow is refused before anything is computed.
    Error,
}

impl Overflow {
    /// What a 32-bit accumulator holds after the exact sum `total` (below 2^53 in magnitude), converted to FP32.
    #[inline(always)]
    pub(crate) fn accumulator(self, total: f64) -> f32 {
        match self {
            Self::Wrap => total as i64 as i32 as f32,
            // A float to integer cast saturates.
            Self::Saturate => total as i32 as f32,
            // No overflow is possible; the integer converts to FP32 with one rounding from either type.
            _ => total as f32,
        }
    }
}

/// What the accumulator is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Accumulator {
    /// The accumulator that enters the first instruction.
    pub c: Scalar,
    /// The result, and the accumulator between instructions.
    pub d: Scalar,
    /// What becomes of a subnormal accumulator that enters.
    pub subnormals: Subnormals,
    /// Which NaN is written.
    pub nan: Nan,
    /// The sign of a result of exactly zero.
    pub zero: Zero,
}

/// Which NaN a unit writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Nan {
    /// The code with all bits below the sign set (0x7fffffff, 0x7fff).
    Ones,
    /// The quiet NaN without a payload (0x7fc00000).
    Quiet,
    /// Unspecified: written as the quiet NaN, and any NaN is accepted in its place.
    Any,
}

/// The sign of an exact zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Zero {
    /// Always +0.
    Positive,
    /// By IEEE 754: the sign that all terms share, else +0 (-0 under rounding down).
    Ieee,
    /// Unspecified: computed as IEEE 754 says, and either is accepted.
    Either,
}
