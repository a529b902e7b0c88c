//! The parameters one by one: the values of each, and what they are called.

use super::family::{Interleave, Joining, Parameters, Terms, fraction_bits};
use crate::datapath::{Codes, Overflow, Port, Subnormals};
use interplay_formats::catalog::FP16;
use interplay_formats::{Rounding, Scalar};

/// Fraction bits that are tried below the common exponent.
pub(super) const FRACTION_BITS: std::ops::RangeInclusive<u32> = 8..=40;
/// Floors that are tried, counted from the result's least exponent.
const FLOORS: std::ops::RangeInclusive<i32> = -20..=4;
/// Fewest fraction bits of a result.
const LEAST_PRECISION: u32 = 7;

/// Operands and accumulators that the rows could have: A and B, C, D.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub codes: Codes,
    pub c: Scalar,
    pub d: Scalar,
}

/// What a search ranges over.
#[derive(Clone, Debug)]
pub(super) struct Space {
    /// Operands, most plausible first.
    pub readings: Vec<Reading>,
    /// Reduction length of an instruction.
    pub depth: usize,
    /// Products of an instruction.
    pub products: usize,
    /// Fraction bits that results have at most.
    pub precision: u32,
    /// Whether an accumulator other than zero entered.
    pub accumulates: bool,
}

/// A parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    FractionBits,
    Cut,
    Floor,
    Group,
    Interleave,
    Joining,
    Rounding,
    Precision,
    Overflow,
    Subnormals,
    Operands,
    OperandSubnormals,
    OperandExponents,
}

impl Axis {
    /// All, in the order of reports.
    pub const ALL: [Self; 13] = [
        Self::FractionBits,
        Self::Cut,
        Self::Floor,
        Self::Group,
        Self::Interleave,
        Self::Joining,
        Self::Rounding,
        Self::Precision,
        Self::Overflow,
        Self::Subnormals,
        Self::Operands,
        Self::OperandSubnormals,
        Self::OperandExponents,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::FractionBits => "fraction bits below the greatest exponent",
            Self::Cut => "bits below them",
            Self::Floor => "floor: the exponent of a zero",
            Self::Group => "products a step",
            Self::Interleave => "positions of a step",
            Self::Joining => "the accumulator joins",
            Self::Rounding => "rounding of a step's sum",
            Self::Precision => "fraction bits of the result",
            Self::Overflow => "beyond the largest number",
            Self::Subnormals => "subnormal results",
            Self::Operands => "operands",
            Self::OperandSubnormals => "subnormal operands",
            Self::OperandExponents => "exponent of subnormal operands",
        }
    }

    /// The value that it has.
    pub fn label(self, p: &Parameters) -> String {
        match (self, p.terms) {
            (Self::FractionBits, Terms::Aligned { fraction_bits, .. }) => fraction_bits.to_string(),
            (Self::FractionBits, Terms::Exact) => "exact".to_owned(),
            (Self::FractionBits, Terms::Pairwise) => "pairwise operations".to_owned(),
            (Self::Cut, Terms::Aligned { rounding, .. }) => rounding.to_string(),
            (Self::Floor, Terms::Aligned { floor: Some(floor), .. }) => floor.to_string(),
            (Self::Cut | Self::Floor, _) => "none".to_owned(),
            (Self::Group, _) => p.group.to_string(),
            (Self::Interleave, _) => interleave(p.interleave).to_owned(),
            (Self::Joining, _) => joining(p.joins).to_owned(),
            (Self::Rounding, _) => p.rounding.to_string(),
            (Self::Precision, _) => p.precision.to_string(),
            (Self::Overflow, _) => if p.overflow == Overflow::Ieee { "IEEE 754" } else { "infinity" }.to_owned(),
            (Self::Subnormals, _) => kept(p.subnormals).to_owned(),
            (Self::Operands, _) => format!("{} x {}", operand(p.codes.a), operand(p.codes.b)),
            (Self::OperandSubnormals, _) => kept(p.codes.a.subnormals).to_owned(),
            (Self::OperandExponents, _) => if p.codes.a.emin.is_some() { "FP16's" } else { "their own" }.to_owned(),
        }
    }

    /// The member with each value of this parameter, its own among them, in increasing order.
    pub fn values(self, p: &Parameters, space: &Space) -> Vec<Parameters> {
        let with = |terms: Terms| Parameters { terms, ..*p };
        let all: Vec<Parameters> = match self {
            Self::FractionBits => {
                let (rounding, floor) = match p.terms {
                    Terms::Aligned { rounding, floor, .. } => (rounding, floor),
                    Terms::Exact | Terms::Pairwise => (Rounding::TowardZero, None),
                };
                let aligned = FRACTION_BITS.map(|fraction_bits| Terms::Aligned { fraction_bits, rounding, floor });
                aligned.chain([Terms::Exact, Terms::Pairwise]).map(with).collect()
            }
            Self::Cut | Self::Floor => self.alignments(p).into_iter().map(with).collect(),
            Self::Group => space.groups().into_iter().map(|group| Parameters { group, ..*p }).collect(),
            Self::Interleave => INTERLEAVES.into_iter().map(|interleave| Parameters { interleave, ..*p }).collect(),
            Self::Joining => space.joinings().iter().map(|&joins| Parameters { joins, ..*p }).collect(),
            Self::Rounding => Rounding::ALL.into_iter().map(|rounding| Parameters { rounding, ..*p }).collect(),
            Self::Precision => (LEAST_PRECISION..=fraction_bits(p.d))
                .filter(|precision| p.d == interplay_formats::scalar::FP32 || *precision == p.precision)
                .map(|precision| Parameters { precision, ..*p })
                .collect(),
            Self::Overflow => {
                [Overflow::Infinity, Overflow::Ieee].into_iter().map(|overflow| Parameters { overflow, ..*p }).collect()
            }
            Self::Subnormals => SUBNORMALS.into_iter().map(|subnormals| Parameters { subnormals, ..*p }).collect(),
            Self::Operands => space.readings.iter().map(|reading| reading.put(p)).collect(),
            Self::OperandSubnormals => {
                SUBNORMALS.into_iter().map(|subnormals| ports(p, |port| Port { subnormals, ..port })).collect()
            }
            Self::OperandExponents => {
                let narrow = p.codes.a.format.bits() <= 8 && p.codes.b.format.bits() <= 8;
                let emins = [None, Some(FP16.emin())].into_iter().filter(|emin| narrow || emin.is_none());
                emins.map(|emin| ports(p, |port| Port { emin, ..port })).collect()
            }
        };
        let mut distinct: Vec<Parameters> = Vec::with_capacity(all.len());
        for member in all.into_iter().filter_map(|member| space.canonical(member)) {
            if !distinct.contains(&member) {
                distinct.push(member);
            }
        }
        distinct
    }

    /// The alignments with each rounding, or each floor.
    fn alignments(self, p: &Parameters) -> Vec<Terms> {
        let Terms::Aligned { fraction_bits, rounding, floor } = p.terms else { return vec![p.terms] };
        if self == Self::Cut {
            let roundings = Rounding::ALL.into_iter();
            return roundings.map(|rounding| Terms::Aligned { fraction_bits, rounding, floor }).collect();
        }
        let floors = FLOORS.map(|floor| Some(p.d.emin() + floor));
        let floors = [None].into_iter().chain(floors);
        floors.map(|floor| Terms::Aligned { fraction_bits, rounding, floor }).collect()
    }
}

/// All interleaves, the usual one first.
pub(super) const INTERLEAVES: [Interleave; 3] = [Interleave::Natural, Interleave::Pairs, Interleave::Parity];
const SUBNORMALS: [Subnormals; 2] = [Subnormals::Kept, Subnormals::Flushed];

impl Space {
    /// Products a step: the divisors of an instruction's products, and powers of two.
    pub fn groups(&self) -> Vec<usize> {
        (1..=self.products).filter(|n| n.is_power_of_two() || self.products.is_multiple_of(*n)).collect()
    }

    /// Where the accumulator can join; when none entered, it is seen only after each step.
    pub fn joinings(&self) -> &'static [Joining] {
        match self.accumulates {
            true => &[Joining::WithProducts, Joining::AfterStep, Joining::AfterInstruction],
            false => &[Joining::WithProducts, Joining::AfterStep],
        }
    }

    /// The one description of a member that has several; `None` for what is no machine.
    pub fn canonical(&self, mut p: Parameters) -> Option<Parameters> {
        p.group = p.group.min(self.products);
        if p.group == self.products {
            p.interleave = Interleave::Natural;
            if p.joins == Joining::AfterInstruction && self.accumulates {
                p.joins = Joining::AfterStep;
            }
        }
        if p.terms == Terms::Pairwise {
            (p.rounding, p.precision) = (Rounding::NearestEven, fraction_bits(p.d));
            p.joins = Joining::AfterStep;
        }
        (p.terms != Terms::Pairwise || p.group.is_power_of_two()).then_some(p)
    }
}

impl Reading {
    /// A member with these operands.
    pub fn put(&self, p: &Parameters) -> Parameters {
        let precision = p.precision.min(fraction_bits(self.d));
        Parameters { codes: self.codes, c: self.c, d: self.d, precision, ..*p }
    }
}

/// A member whose two ports are changed.
fn ports(p: &Parameters, change: impl Fn(Port) -> Port) -> Parameters {
    let codes = Codes { a: change(p.codes.a), b: change(p.codes.b), ..p.codes };
    Parameters { codes, ..*p }
}

fn interleave(interleave: Interleave) -> &'static str {
    match interleave {
        Interleave::Natural => "neighbours",
        Interleave::Pairs => "0 and 1 of every four, then 2 and 3",
        Interleave::Parity => "even ones, then odd ones",
    }
}

fn joining(joins: Joining) -> &'static str {
    match joins {
        Joining::WithProducts => "with the products",
        Joining::AfterStep => "by an addition after each step",
        Joining::AfterInstruction => "by an addition after the last step",
    }
}

fn kept(subnormals: Subnormals) -> &'static str {
    match subnormals {
        Subnormals::Kept => "kept",
        Subnormals::Flushed => "flushed to zero",
    }
}

/// What a port reads.
fn operand(port: Port) -> String {
    match port.ignored_bits {
        0 => port.format.name.to_owned(),
        bits => format!("{} without its low {bits} bits", port.format.name),
    }
}
