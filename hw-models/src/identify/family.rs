//! The family of units that is searched: sums of products, aligned, exact or in pairs, cut into steps.
//!
//! A member is a handful of [`Parameters`]; [`Parameters::datapath`] writes it as a record, so that the one interpreter
//! of records computes it. Records hold sums that last as long as the program: each sum of the family is built once and
//! kept, however often it is tried, so that what is kept is bounded by the family.

use crate::datapath::{
    Accumulator, Align, Arm, Codes, Datapath, Group, Inputs, Joins, Nan, Node, Order, Overflow, Product, Proof, Round,
    Subnormals, Sum, Unit, Zero,
};
use interplay_formats::{Encoding, Rounding, Scalar, Specials, scalar};
use serde::Serialize;
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// An exponent below all that a term can have: no floor.
const NO_FLOOR: i32 = -2000;

/// One member of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// The operands as they are read.
    pub codes: Codes,
    /// The accumulator that enters.
    pub c: Scalar,
    /// The result.
    pub d: Scalar,
    /// Reduction length of one instruction.
    pub depth: usize,
    /// How the products of a step are added.
    pub terms: Terms,
    /// Products a step (stored ones, where A is sparse).
    pub group: usize,
    /// Which products meet in a step.
    pub interleave: Interleave,
    /// Where the accumulator joins.
    pub joins: Joining,
    /// Rounding of the sum of a step.
    pub rounding: Rounding,
    /// Fraction bits of the result, those of `d` at most.
    pub precision: u32,
    /// What becomes of sums beyond the largest number.
    pub overflow: Overflow,
    /// What becomes of subnormal sums.
    pub subnormals: Subnormals,
}

/// How the products of a step are added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Terms {
    /// Exactly.
    Exact,
    /// Brought to the greatest exponent and cut.
    Aligned {
        /// Fraction bits kept below that exponent.
        fraction_bits: u32,
        /// What happens to the bits below.
        rounding: Rounding,
        /// The exponent that a zero presents; none without.
        floor: Option<i32>,
    },
    /// Products and sums of pairs are operations of the result's format, to nearest.
    Pairwise,
}

/// Which products meet in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interleave {
    /// Neighbours.
    Natural,
    /// Positions 0 and 1 of every four first, then 2 and 3.
    Pairs,
    /// Even positions first, then odd ones.
    Parity,
}

/// Where the accumulator joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Joining {
    /// It is one more term of each step's sum.
    WithProducts,
    /// The rounded sum of each step is added to it, to nearest.
    AfterStep,
    /// The first step starts from zero; it is added after the last step of an instruction, to nearest.
    AfterInstruction,
}

impl Parameters {
    /// The member as a record of that name. The depth of its instructions goes beside it, to [`Datapath::dot`].
    pub fn datapath(&self, name: &'static str) -> Datapath {
        let pairwise = self.terms == Terms::Pairwise;
        let nearest = Round { rounding: Rounding::NearestEven, ..self.round(fraction_bits(self.d)) };
        let joins = match self.joins {
            Joining::AfterInstruction => Joins::Last(Round { overflow: Overflow::Ieee, ..nearest }),
            Joining::WithProducts | Joining::AfterStep => Joins::First,
        };
        let classes: &[&[usize]] = match self.interleave {
            Interleave::Natural => &[],
            Interleave::Pairs => &[&[0, 1], &[2, 3]],
            Interleave::Parity => &[&[0], &[1]],
        };
        Datapath {
            name,
            about: "found by its results",
            source: "recorded rows",
            proof: Proof::Hypothesis,
            inputs: Inputs::Codes(self.codes),
            depths: &[],
            order: Order { group: Group::Of(self.group), classes, joins },
            product: Product { round: pairwise.then_some(nearest), ..Product::EXACT },
            sum: self.sum(),
            accumulator: Accumulator {
                c: self.c,
                d: self.d,
                subnormals: self.codes.a.subnormals,
                nan: Nan::Any,
                zero: Zero::Either,
            },
            macs_per_cycle: None,
        }
    }

    /// The rounding of a sum to so many fraction bits.
    fn round(&self, precision: u32) -> Round {
        let format = cut(self.d, precision);
        Round { format, rounding: self.rounding, overflow: self.overflow, subnormals: self.subnormals, unit: Unit::One }
    }

    /// The sum of a step, built once for all members that share it.
    fn sum(&self) -> &'static Sum {
        type Key = (Terms, usize, Joining, Scalar, u32, Rounding, Overflow, Subnormals);
        static KNOWN: LazyLock<Mutex<HashMap<Key, &'static Sum>>> = LazyLock::new(Mutex::default);
        let pairs = if self.terms == Terms::Pairwise { self.group } else { 0 };
        let joins = if self.joins == Joining::AfterInstruction { Joining::WithProducts } else { self.joins };
        let key = (self.terms, pairs, joins, self.d, self.precision, self.rounding, self.overflow, self.subnormals);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(key).or_insert_with(|| self.built(pairs, joins))
    }

    /// The same, built.
    fn built(&self, pairs: usize, joins: Joining) -> &'static Sum {
        let round = self.round(self.precision);
        let nearest = Round { rounding: Rounding::NearestEven, ..self.round(fraction_bits(self.d)) };
        let arm = |node| match self.terms {
            Terms::Aligned { fraction_bits, rounding, .. } => Arm { node, fraction_bits, rounding, reach: None },
            Terms::Exact | Terms::Pairwise => Arm::exact(node),
        };
        let align = match self.terms {
            Terms::Aligned { floor, .. } => Some(Align { floor: floor.unwrap_or(NO_FLOOR) }),
            Terms::Exact | Terms::Pairwise => None,
        };
        match (self.terms, joins) {
            (Terms::Pairwise, _) => {
                let step = tree(pairs, nearest);
                lasting(vec![Arm::exact(Node::Accumulator), Arm::exact(Node::Sum(step))], None, round)
            }
            (_, Joining::AfterStep) => {
                let step = lasting(vec![arm(Node::PRODUCTS)], align, round);
                lasting(vec![Arm::exact(Node::Accumulator), Arm::exact(Node::Sum(step))], None, nearest)
            }
            _ => lasting(vec![arm(Node::PRODUCTS), arm(Node::Accumulator)], align, round),
        }
    }
}

/// A binary tree over so many products, a power of two.
fn tree(products: usize, round: Round) -> &'static Sum {
    match products {
        0..=2 => lasting(vec![Arm::exact(Node::PRODUCTS)], None, round),
        _ => {
            let half = Node::Runs { length: products / 2, sum: tree(products / 2, round) };
            lasting(vec![Arm::exact(half)], None, round)
        }
    }
}

fn lasting(arms: Vec<Arm>, align: Option<Align>, round: Round) -> &'static Sum {
    Box::leak(Box::new(Sum { arms: arms.leak(), align, round: vec![round].leak() }))
}

/// Fraction bits of a float format; 0 of others.
pub(super) fn fraction_bits(format: Scalar) -> u32 {
    match format.encoding {
        Encoding::Float { mantissa_bits, .. } => mantissa_bits,
        _ => 0,
    }
}

/// FP32 with fewer fraction bits; other formats as they are.
fn cut(format: Scalar, precision: u32) -> Scalar {
    const NAMES: [&str; 23] = [
        "e8m0", "e8m1", "e8m2", "e8m3", "e8m4", "e8m5", "e8m6", "e8m7", "e8m8", "e8m9", "e8m10", "e8m11", "e8m12",
        "e8m13", "e8m14", "e8m15", "e8m16", "e8m17", "e8m18", "e8m19", "e8m20", "e8m21", "e8m22",
    ];
    match NAMES.get(precision as usize) {
        Some(name) if format == scalar::FP32 && precision > 0 => Scalar::float(name, 8, precision, 127, Specials::Ieee),
        _ => format,
    }
}
