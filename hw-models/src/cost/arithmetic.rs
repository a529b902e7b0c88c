//! Operations of a matrix unit, and what they cost.
//!
//! The widths priced here are the ones that the datapath's definition needs to be exact, so that the energy belongs to
//! the same machine as the bits. What a list lacks is derived: multipliers grow with the product of the two significand
//! widths, adders and shifters with their width.

use super::gates;
use super::{Band, Price, PriceList, Status};
pub use crate::datapath::Per;
use crate::datapath::{Datapath, Operation, Part};
use interplay_formats::Format;
use serde::Serialize;

/// Bits of magnitude of FP32.
const FP32_SIGNIFICAND: u32 = 24;

/// One operation of a unit with its price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Charge<'a> {
    /// The operation.
    pub what: &'static str,
    /// What it is done once for.
    pub per: Per,
    /// Width of the operation in bits.
    pub bits: u64,
    /// Energy in pJ.
    #[serde(rename = "pj")]
    pub energy: Band,
    /// How the number is known.
    pub status: Status,
    /// Where it comes from.
    pub source: &'a str,
}

impl<'a> Charge<'a> {
    /// A listed operation as it is.
    fn listed(what: &'static str, per: Per, price: &'a Price) -> Self {
        Self { what, per, bits: price.bits, energy: price.energy, status: price.status, source: &price.source }
    }

    /// An adder of another width than the listed one: energy in proportion.
    fn adder(what: &'static str, per: Per, bits: u64, price: &'a Price) -> Self {
        let energy = price.per_bit() * bits as f64;
        let status = if bits == price.bits { price.status } else { Status::Derived };
        Self { what, per, bits, energy, status, source: &price.source }
    }

    /// An operation that is priced as if it were another one.
    fn assumed(self) -> Self {
        Self { status: Status::Assumed, ..self }
    }
}

/// Every operation of the natural unit of two formats, at the prices of a list.
pub fn charges<'a>(weight: &Format, activation: &Format, prices: &'a PriceList) -> Vec<Charge<'a>> {
    charges_of(Datapath::machine(weight, activation), weight, activation, prices)
}

/// Every operation of a unit on two formats, at the prices of a list: the record's own inventory, priced.
pub fn charges_of<'a>(unit: &Datapath, weight: &Format, activation: &Format, prices: &'a PriceList) -> Vec<Charge<'a>> {
    unit.inventory(weight, activation).into_iter().map(|part| priced(part, prices)).collect()
}

/// The price of a part. Shifters, and the normaliser of a conversion, are assumed to cost as much as an adder of their
/// width; comparing exponents as much as adding them.
fn priced(part: Part, prices: &PriceList) -> Charge<'_> {
    let listed = &prices.operations;
    let Part { what, operation, per, count, bits } = part;
    let once = match operation {
        Operation::Multiply { a, b } => multiplier(what, per, (a, b), prices),
        Operation::Fp32Multiply => Charge::listed(what, per, &listed.fp32_multiply),
        Operation::Fp32Add => Charge::listed(what, per, &listed.fp32_add),
        Operation::Add => Charge::adder(what, per, bits, &listed.int32_add),
        Operation::Shift => Charge::adder(what, per, bits, &listed.int32_add).assumed(),
        Operation::ExponentAdd => Charge::adder(what, per, bits, &listed.int8_add),
        Operation::ExponentCompare => Charge::adder(what, per, bits, &listed.int8_add).assumed(),
        Operation::Convert => Charge::listed(what, per, &listed.fp32_add).assumed(),
        Operation::FloatAdd { significand } => {
            let ratio = gates::float_add(significand) / gates::float_add(FP32_SIGNIFICAND);
            let fp32 = Charge::listed(what, per, &listed.fp32_add);
            let status = if significand == FP32_SIGNIFICAND { fp32.status } else { Status::Derived };
            Charge { energy: fp32.energy * ratio, bits, status, ..fp32 }
        }
        Operation::Select { ways } => Charge::adder(what, per, bits * u64::from(ways), &listed.int32_add).assumed(),
    };
    Charge { energy: once.energy * count as f64, ..once }
}

/// A multiplier of two significands, scaled from the listed 8-bit one (7 bits of magnitude) by the product of widths.
fn multiplier<'a>(what: &'static str, per: Per, (a, b): (u32, u32), prices: &'a PriceList) -> Charge<'a> {
    let listed = &prices.operations.int8_multiply;
    let energy = listed.energy * (f64::from(a * b) / 49.0);
    let status = if (a, b) == (7, 7) { listed.status } else { Status::Derived };
    Charge { what, per, bits: u64::from(a.max(b)) + 1, energy, status, source: &listed.source }
}
