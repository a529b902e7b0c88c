//! Numbers that lose nothing on paper.

use crate::verify::hexadecimal;
use interplay_formats::{Exact, Scalar, Value};
use serde::Serialize;
use std::fmt;

/// Characters of a decimal number that is written where it is exact.
const SHORT: usize = 9;

/// A number as text, exact, and to the nearest FP64 number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Number {
    /// Its code in hexadecimal, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<String>,
    /// The exact number: `0x1.8p+3` is 12; `inf`, `-inf`, `nan`.
    pub hex: String,
    /// The nearest FP64 number; JSON has null for infinities and NaN.
    pub value: f64,
}

impl From<Value> for Number {
    fn from(value: Value) -> Self {
        let hex = match value {
            Value::Finite(x) => hex(x),
            Value::Infinite { negative: false } => "inf".to_owned(),
            Value::Infinite { negative: true } => "-inf".to_owned(),
            Value::Nan => "nan".to_owned(),
        };
        Self { bits: None, hex, value: value.to_f64() }
    }
}

impl From<Exact> for Number {
    fn from(x: Exact) -> Self {
        Value::Finite(x).into()
    }
}

impl Number {
    /// What a code stands for.
    pub(super) fn code(format: Scalar, code: u64) -> Self {
        Self { bits: Some(hexadecimal(format, code)), ..format.decode(code).into() }
    }

    /// Whether it is +0 or -0.
    pub(super) fn is_zero(&self) -> bool {
        self.hex.trim_start_matches('-') == "0"
    }

    /// In decimal where that is short and exact, else in hexadecimal.
    pub(super) fn short(&self) -> String {
        let decimal = self.value.to_string();
        let exact = Number::from(Value::Finite(exact(self.value))).hex == self.hex;
        if self.value.is_finite() && exact && decimal.len() <= SHORT { decimal } else { self.hex.clone() }
    }
}

/// The bits, the exact number, and the nearest decimal one.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(bits) = &self.bits {
            write!(f, "{bits} = ")?;
        }
        write!(f, "{}", self.hex)?;
        if self.value.is_finite() && !self.is_zero() { write!(f, " = {}", self.value) } else { Ok(()) }
    }
}

/// The number that an FP64 number stands for; zero for infinities and NaN.
fn exact(value: f64) -> Exact {
    interplay_formats::scalar::FP64.decode(value.to_bits()).finite().unwrap_or(Exact::ZERO)
}

/// Sign, hexadecimal significand from 1 to 2, binary exponent.
fn hex(x: Exact) -> String {
    let sign = if x.negative { "-" } else { "" };
    let Some(exponent) = x.leading_exponent() else { return format!("{sign}0") };
    let fraction = x.significand << x.significand.leading_zeros() << 1;
    let digits = format!("{fraction:032x}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    format!("{sign}0x1{point}{digits}p{exponent:+}")
}
