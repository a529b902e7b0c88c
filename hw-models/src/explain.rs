//! One output, step by step: what each product is, what alignment drops, where sums are rounded; and why another unit
//! gives something else.
//!
//! The interpreter of records computes while an observer writes down: nothing here knows an arithmetic of its own.

mod against;
mod number;
mod observe;
mod rules;
mod text;

pub use against::{Comparison, Difference, explain_against};
pub use number::Number;

use crate::datapath::{Codes, Row};
use crate::verify::{Operands, Options, Prepared};
use crate::{Datapath, Error};
use interplay_formats::{Rounding, Value};
use observe::Observer;
use serde::Serialize;

/// One output of a unit, step by step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The unit's name.
    pub datapath: String,
    /// The row of the output.
    pub row: usize,
    /// Its column, of matrices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// Length of the reduction.
    pub k: usize,
    /// Reduction length of one instruction.
    pub depth: usize,
    /// The accumulator that enters.
    pub c: Number,
    /// The instructions in their order; the result of one is the accumulator of the next.
    pub instructions: Vec<Instruction>,
    /// The result.
    pub d: Number,
}

/// One instruction: all its products, then all its sums.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Instruction {
    /// The products, in the order of the operands.
    pub products: Vec<Product>,
    /// The sums, in the order in which they are computed.
    pub sums: Vec<Sum>,
}

/// One product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Product {
    /// The position in the operands.
    pub k: usize,
    /// The element of A.
    pub a: Number,
    /// The element of B.
    pub b: Number,
    /// The scales of both, where the unit has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scales: Option<[Number; 2]>,
    /// The exact product, with its scales.
    pub product: Number,
    /// The exponent that it is aligned by; zeros, infinities and NaN have none.
    pub exponent: Option<i32>,
    /// What it is rounded to, where products are rounded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounded: Option<Rounded>,
}

/// One sum of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sum {
    /// The step of the instruction, from 1; none where the accumulator joins behind the last step.
    pub step: Option<usize>,
    /// Its name among the sums of the step: `s1`, `s2`, …; the last one, which gives the accumulator, is `sum`.
    pub name: String,
    /// The exponent that all terms are aligned to; none where they are added exactly.
    pub aligned_to: Option<i32>,
    /// What is added.
    pub terms: Vec<Part>,
    /// The sum of what alignment keeps, before any rounding.
    pub total: Number,
    /// Its roundings, in their order.
    pub roundings: Vec<Rounded>,
}

/// One term of a sum.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// The product's position in the operands, where it is a product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub k: Option<usize>,
    /// `k 3`, `acc`, `c`, or the name of a sum.
    pub name: String,
    /// The term.
    pub value: Number,
    /// Its exponent.
    pub exponent: Option<i32>,
    /// What alignment makes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aligned: Option<Aligned>,
}

/// A term at the common exponent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aligned {
    /// Fraction bits kept below the common exponent.
    pub fraction_bits: u32,
    /// The magnitude in binary, the point behind the common exponent's bit, a bar where it is cut.
    pub binary: String,
    /// What is added.
    pub kept: Number,
    /// What is not: the term less what is kept.
    pub dropped: Number,
}

/// A number after a rounding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rounded {
    /// The format rounded to.
    pub format: String,
    /// How.
    pub rounding: Rounding,
    /// The rounded number.
    pub after: Number,
    /// What truncation would have lost, in units of the last place: nothing, below half, half, above half.
    pub lost: &'static str,
}

/// How a unit computes the output at `index` (of matrices: row * N + column), step by step.
///
/// # Errors
/// As [`verify_with`](crate::verify_with); [`Error::NoOutput`].
pub fn explain(
    datapath: &Datapath,
    operands: &Operands<'_>,
    index: usize,
    options: &Options,
) -> Result<Explanation, Error> {
    explained(&operands.prepare(datapath, options)?, operands, index).map(|(explanation, _)| explanation)
}

/// The explanation, and the code of the result.
fn explained(prepared: &Prepared<'_>, operands: &Operands<'_>, index: usize) -> Result<(Explanation, u64), Error> {
    let outputs = prepared.count()?;
    if index >= outputs {
        return Err(Error::NoOutput { given: index, outputs });
    }
    let datapath = prepared.datapath;
    let codes = datapath.codes()?;
    let row = prepared.row(index);
    let products = products(&codes, row, |position| prepared.operand_position(position))?;
    let mut observer = Observer::new(datapath, products);
    let d = datapath.watched(row, Some(prepared.depth), &mut observer)?;
    let (place, column) = operands.layout.place(index);
    let explanation = Explanation {
        datapath: datapath.name.to_owned(),
        row: place,
        column,
        k: row.b.len(),
        depth: prepared.depth,
        c: Number::code(datapath.accumulator.c, row.c),
        instructions: observer.instructions,
        d: Number::code(datapath.accumulator.d, d),
    };
    Ok((explanation, d))
}

/// The factors of every product, before anything is computed.
fn products(codes: &Codes, row: Row<'_>, place: impl Fn(usize) -> usize) -> Result<Vec<Product>, Error> {
    let positions = codes.positions(row, row.b.len())?;
    let product = |(&a, &p): (&u64, &usize)| Product {
        k: place(p),
        a: codes.a.read(a).value.into(),
        b: codes.b.read(row.b[p]).value.into(),
        scales: codes
            .scale
            .map(|scale| [row.scale_a, row.scale_b].map(|scales| scale.read(scales[p / scale.block]).value.into())),
        product: Value::Nan.into(),
        exponent: None,
        rounded: None,
    };
    Ok(row.a.iter().zip(&positions).map(product).collect())
}
