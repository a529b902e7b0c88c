//! Operations of a matrix unit, and what they cost.
//!
//! The widths priced here are the ones that the datapath's definition needs to be exact, so that the energy belongs to
//! the same machine as the bits. What a list lacks is derived: multipliers grow with the product of the two significand
//! widths, adders and shifters with their width.

use super::{Layer, Picojoules, Price, PriceList, Ratio, Status};
use crate::datapath::{Datapath, Inputs, units};
use interplay_formats::{Encoding, Format};
use serde::Serialize;

/// What an operation is done once for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each executed multiply-accumulate.
    Mac,
    /// Each block of each output.
    Block,
    /// Each output.
    Output,
}

/// One operation of a unit with its price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Charge {
    /// The operation.
    pub what: &'static str,
    /// What it is done once for.
    pub per: Per,
    /// Width of the operation in bits.
    pub bits: u64,
    /// Energy of one operation.
    #[serde(rename = "pj")]
    pub energy: Picojoules,
    /// How the number is known.
    pub status: Status,
    /// Where it comes from.
    pub source: &'static str,
}

impl Charge {
    /// A listed operation as it is.
    fn listed(what: &'static str, per: Per, price: Price) -> Self {
        Self { what, per, bits: price.bits, energy: price.energy, status: price.status, source: price.source }
    }

    /// An adder of another width than the listed one: energy in proportion.
    fn adder(what: &'static str, per: Per, bits: u64, price: Price) -> Self {
        let energy = price.of_bits(super::Bits(bits));
        let status = if bits == price.bits { price.status } else { Status::Derived };
        Self { what, per, bits, energy, status, source: price.source }
    }

    /// An operation that is priced as if it were another one.
    fn assumed(self) -> Self {
        Self { status: Status::Assumed, ..self }
    }
}

/// Every operation of the unit that multiplies two formats, at the prices of a list.
pub fn charges(weight: &Format, activation: &Format, prices: &PriceList) -> Vec<Charge> {
    match Datapath::machine(weight, activation).inputs {
        Inputs::Blocks(_) => block(weight, activation, prices),
        Inputs::Integers => vec![
            multiplier(weight, activation, prices),
            Charge::listed("integer add", Per::Mac, prices.int32_add),
            Charge::listed("product of the two scales", Per::Output, prices.fp32_multiply),
            Charge::listed("scaling", Per::Output, prices.fp32_multiply),
        ],
        Inputs::Host | Inputs::Values | Inputs::Codes(_) => vec![
            Charge::listed("FP32 multiply", Per::Mac, prices.fp32_multiply),
            Charge::listed("FP32 add", Per::Mac, prices.fp32_add),
        ],
    }
}

/// A block unit: a fixed-point adder as wide as the exact block sum; then conversion and addition in FP32.
///
/// Float elements also add their exponents and shift the product into place. The shifter, and the normaliser of the
/// conversion, are assumed to cost as much as an adder of their width.
fn block(weight: &Format, activation: &Format, prices: &PriceList) -> Vec<Charge> {
    let length = weight.block_len(1) as u128;
    let sum_bits = u64::from((units(weight) * units(activation) * length).ilog2()) + 2;
    let mut charges = vec![
        multiplier(weight, activation, prices),
        Charge::adder("block sum add", Per::Mac, sum_bits, prices.int32_add),
        Charge::adder("block exponent add", Per::Block, 10, prices.int8_add),
        Charge::listed("conversion to FP32", Per::Block, prices.fp32_add).assumed(),
        Charge::listed("FP32 add", Per::Block, prices.fp32_add),
    ];
    let exponent = exponent_bits(weight).max(exponent_bits(activation));
    if exponent > 0 {
        charges.push(Charge::adder("element exponent add", Per::Mac, exponent + 1, prices.int8_add));
        charges.push(Charge::adder("product shift", Per::Mac, sum_bits, prices.int32_add).assumed());
    }
    charges
}

/// A multiplier of two significands, scaled from the listed 8-bit one (7 bits of magnitude) by the product of widths.
fn multiplier(weight: &Format, activation: &Format, prices: &PriceList) -> Charge {
    let (w, x) = (significand_bits(weight), significand_bits(activation));
    let listed = prices.int8_multiply;
    let energy = Picojoules(listed.energy.0 * (w * x) as f64 / 49.0);
    let status = if (w, x) == (7, 7) { listed.status } else { Status::Derived };
    Charge { what: "multiply", per: Per::Mac, bits: w.max(x) + 1, energy, status, source: listed.source }
}

/// Bits of magnitude, hidden bit included, without sign.
const fn significand_bits(format: &Format) -> u64 {
    match format.element.encoding {
        Encoding::Integer { bits, .. } => bits as u64 - 1,
        Encoding::Float { mantissa_bits, .. } => mantissa_bits as u64 + 1,
        _ => format.element.bits() as u64,
    }
}

/// Bits of an element's own exponent.
const fn exponent_bits(format: &Format) -> u64 {
    match format.element.encoding {
        Encoding::Float { exponent_bits, .. } => exponent_bits as u64,
        _ => 0,
    }
}

/// Operations of all executions of a layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Events {
    pub macs: u64,
    pub macs_executed: u64,
    blocks: u64,
    outputs: u64,
}

impl Events {
    /// Counts; `None` beyond 64 bits. Skipping shortens blocks and leaves their number.
    pub fn count(layer: &Layer, skip: Option<Ratio>) -> Option<Self> {
        let gemm = &layer.gemm;
        let outputs = gemm.m.checked_mul(gemm.n)?.checked_mul(gemm.count)?;
        let blocks = gemm.k.div_ceil(layer.weight.block_len(gemm.k as usize) as u64);
        Some(Self {
            macs: outputs.checked_mul(gemm.k)?,
            macs_executed: outputs.checked_mul(skip.map_or(gemm.k, |ratio| ratio.kept(gemm.k)))?,
            blocks: outputs.checked_mul(blocks)?,
            outputs,
        })
    }

    /// Energy of the arithmetic.
    pub fn energy(&self, layer: &Layer, prices: &PriceList) -> Picojoules {
        let charges = charges(layer.weight, layer.activation, prices);
        let events = |per| match per {
            Per::Mac => self.macs_executed,
            Per::Block => self.blocks,
            Per::Output => self.outputs,
        };
        charges.iter().map(|charge| charge.energy * events(charge.per)).sum()
    }
}
