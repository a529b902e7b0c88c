//! How one value becomes a code, step by step: for people who want to see it, and for tests that want to say it.

use crate::error::{Error, non_finite};
use crate::nvfp4::TensorScale;
use crate::reference::{Factor, halving};
use crate::{Encoding, Exact, Format, Lost, Rounding, Scale, Value};
use serde::Serialize;

mod show;
mod why;

/// Random bits of the stochastic rounding that is shown where the format does not name any.
const RANDOM_BITS: u32 = 16;

/// The way of one value to a code and back.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The format's name.
    pub format: &'static str,
    /// The value.
    pub value: f32,
    /// The largest magnitude of its block, and of its tensor.
    pub amax: f32,
    /// The value in binary.
    pub exact: String,
    /// The value in the record's input type, where it has one.
    pub narrowed: Option<f32>,
    /// The scale and why it is this one; `None` where the format has none.
    pub scale: Option<String>,
    /// What is rounded to an element: the value under the scale, in binary.
    pub scaled: String,
    /// The same, to the nearest FP64 number.
    pub scaled_value: f64,
    /// The next lower element, if the range has one; the same as `above` where the value is an element.
    pub below: Option<Neighbour>,
    /// The next higher element, if the range has one.
    pub above: Option<Neighbour>,
    /// What truncation would lose: nothing, below half, half, above half.
    pub lost: &'static str,
    /// The lost part in units of the last place.
    pub lost_units: f64,
    /// What each rounding makes of it.
    pub outcomes: Vec<Outcome>,
}

/// An element next to the value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Neighbour {
    /// Its code: hexadecimal for floats, a number for integers.
    pub code: String,
    /// What the code stands for before scaling.
    pub element: f64,
}

/// What a rounding makes of the value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The rounding.
    pub rounding: Rounding,
    /// Whether it is the format's own.
    pub own: bool,
    /// How many of the random words lead here, of how many; `None` for roundings that draw none.
    pub chance: Option<(u64, u64)>,
    /// The code.
    pub code: String,
    /// What the code stands for before scaling; `None` for NaN and infinities.
    pub element: Option<f64>,
    /// The value that comes back.
    pub becomes: f32,
    /// The difference.
    pub error: f64,
}

impl Format {
    /// How a finite value is encoded under each rounding: alone in its block and tensor, or beside `companion`, which
    /// lies in another run where the format has microexponents.
    ///
    /// # Errors
    /// [`Error::NonFinite`] for a NaN or an infinity, also where the record's input type makes one.
    pub fn explain(&'static self, value: f32, companion: Option<f32>) -> Result<Explanation, Error> {
        let run = if let Some(Scale::Micro { run }) = self.scaling.map(|s| s.scale) { run } else { 1 };
        let mut block = vec![self.narrow(value)];
        if let Some(companion) = companion {
            block.resize(run, 0.0);
            block.push(self.narrow(companion));
        }
        let given = [value, companion.unwrap_or(0.0)];
        if let Some(bad) = given.iter().chain(&block).find(|v| !v.is_finite()) {
            return Err(non_finite(&[*bad], 1, 0));
        }
        let tensor = self.tensor_scale(&block);
        let factor = self.factor(&block, tensor);
        let narrowed = block[0];
        let step = Step { format: self, value: narrowed, block: &block, factor, tensor };
        let scaled = step.scaled();
        let finite = scaled.finite();
        let (lost, lost_units) = finite.map_or((Lost::Nothing, 0.0), |x| self.lost(x));
        let neighbour = |rounding| finite.and_then(|x| step.neighbour(x, rounding));
        Ok(Explanation {
            format: self.name,
            value,
            amax: step.amax(),
            exact: show::binary(Value::from_f32(value)),
            narrowed: self.input.map(|_| narrowed),
            scale: step.why(),
            scaled: show::binary(scaled),
            scaled_value: scaled.to_f64(),
            below: neighbour(Rounding::Down),
            above: neighbour(Rounding::Up),
            lost: match lost {
                Lost::Nothing => "nothing",
                Lost::BelowHalf => "below half",
                Lost::Half => "half",
                Lost::AboveHalf => "above half",
            },
            lost_units,
            outcomes: step.outcomes(value, finite),
        })
    }

    /// Truncation's loss, and how much it is in units of the last place.
    fn lost(&self, x: Exact) -> (Lost, f64) {
        let (kept, lost) = self.element.grid().round(x, Rounding::TowardZero);
        if lost == Lost::Nothing {
            return (lost, 0.0);
        }
        // What is kept has the exponent of the last place; both numbers have few bits, so FP64 holds the difference.
        let units = |x: Exact| Value::Finite(Exact { negative: false, ..x.scaled(-kept.exponent) }).to_f64();
        (lost, units(x) - units(kept))
    }

    /// The code as people read it.
    pub(crate) fn code_text(&self, code: u64) -> String {
        let element = self.element;
        match element.encoding {
            Encoding::Integer { .. } => (element.sign_extended(code) as i64).to_string(),
            Encoding::Float { .. } => format!("{code:#0width$x}", width = element.bits().div_ceil(4) as usize + 2),
        }
    }
}

/// A value under its scale.
struct Step<'a> {
    format: &'static Format,
    value: f32,
    block: &'a [f32],
    factor: Factor,
    tensor: Option<TensorScale>,
}

impl Step<'_> {
    /// The largest magnitude of the block.
    fn amax(&self) -> f32 {
        self.block.iter().fold(0.0, |m, v| m.max(v.abs()))
    }

    /// What is rounded to the element's grid.
    fn scaled(&self) -> Value {
        let v = self.value;
        let power = |exponent: i32| match Value::from_f32(v) {
            Value::Finite(x) => Value::Finite(x.scaled(-exponent)),
            other => other,
        };
        match self.factor {
            Factor::One => Value::from_f32(v),
            Factor::Nan => Value::Nan,
            Factor::Real(factor) | Factor::Affine { factor, .. } => Value::from_f32(v / factor),
            Factor::Power { exponent, .. } => power(exponent),
            Factor::Micro { stored, exponent, run } => power(exponent - halving(stored, run, 0)),
            Factor::Coded(coded) => Value::from_f32(v * coded.multiply / coded.divide),
        }
    }

    /// The zero point; 0 where there is none.
    fn zero(&self) -> f64 {
        if let Factor::Affine { zero, .. } = self.factor { f64::from(zero) } else { 0.0 }
    }

    /// The next element below or above `x`, as `rounding` says; beyond the range the last one of that side.
    fn neighbour(&self, x: Exact, rounding: Rounding) -> Option<Neighbour> {
        let element = self.format.element;
        let rounded = Value::Finite(element.grid().round(x, rounding).0);
        let wanted = rounded.to_f64();
        // A zero point moves the code, not the grid.
        let moved = if self.zero() == 0.0 { rounded } else { Value::from_f32((wanted + self.zero()) as f32) };
        let code = element.encode(moved, Rounding::NearestEven, crate::Overflow::Saturate)?;
        let reached = element.decode(code).to_f64() - self.zero();
        let there = if rounding == Rounding::Down { reached <= wanted } else { reached >= wanted };
        there.then(|| Neighbour { code: self.format.code_text(code), element: reached })
    }

    fn outcomes(&self, given: f32, finite: Option<Exact>) -> Vec<Outcome> {
        let own = self.format.rounding;
        let mut all: Vec<Outcome> = Rounding::ALL.iter().map(|&r| self.outcome(given, r, 0, None)).collect();
        let bits = if let Rounding::Stochastic(bits) = own { bits } else { RANDOM_BITS };
        let words = 1u64 << bits;
        let away = finite.map_or(0, |x| self.leading(x, bits));
        let stochastic =
            |random, chance| self.outcome(given, Rounding::Stochastic(bits), random, Some((chance, words)));
        all.extend(
            [(0, words - away), (u32::MAX, away)].into_iter().filter(|(_, n)| *n > 0).map(|(r, n)| stochastic(r, n)),
        );
        all
    }

    /// The first `bits` bits of what truncation loses: of 2^`bits` random words so many carry the magnitude up.
    fn leading(&self, x: Exact, bits: u32) -> u64 {
        let grid = self.format.element.grid();
        let (kept, lost) = grid.round(x, Rounding::TowardZero);
        if lost == Lost::Nothing {
            return 0;
        }
        let finer = crate::Grid { precision: None, lsb_min: kept.exponent - bits as i32 };
        let cut = finer.round(x, Rounding::TowardZero).0;
        let units = cut.significand << cut.exponent.abs_diff(finer.lsb_min);
        (units & ((1 << bits) - 1)) as u64
    }

    fn outcome(&self, given: f32, rounding: Rounding, random: u32, chance: Option<(u64, u64)>) -> Outcome {
        let code = self.format.encode_element(self.value, self.factor, 0, rounding.drawing(random));
        let becomes = self.format.decode_element(code, self.factor, 0);
        let element = self.format.element.decode(code).to_f64() - self.zero();
        Outcome {
            rounding,
            own: rounding == self.format.rounding,
            chance,
            code: self.format.code_text(code),
            element: element.is_finite().then_some(element),
            becomes,
            error: f64::from(becomes) - f64::from(given),
        }
    }
}
