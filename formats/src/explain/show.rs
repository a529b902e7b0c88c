//! Numbers and explanations as text.

use super::{Explanation, Neighbour, Outcome};
use crate::Value;
use std::fmt;

/// A number in binary: `-1.011b x 2^-3`.
pub(super) fn binary(value: Value) -> String {
    let x = match value {
        Value::Nan => return "NaN".to_owned(),
        Value::Infinite { negative } => return if negative { "-infinity" } else { "infinity" }.to_owned(),
        Value::Finite(x) => x,
    };
    let sign = if x.negative { "-" } else { "" };
    let Some(exponent) = x.leading_exponent() else { return format!("{sign}0") };
    let digits = format!("{:b}", x.significand);
    let fraction = digits[1..].trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}1{point}{fraction}b x 2^{exponent}")
}

/// A number in as few characters as name it: `0.6875`, `1.17549435e-38`.
pub(super) fn decimal<T: fmt::Display + fmt::LowerExp>(value: T) -> String {
    let (plain, scientific) = (value.to_string(), format!("{value:e}"));
    if plain.len() <= scientific.len().max(12) { plain } else { scientific }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let block = match self.scale {
            Some(_) => format!(", in a block with amax {}", decimal(self.amax)),
            None => String::new(),
        };
        writeln!(f, "{} in {}{block}", decimal(self.value), self.format)?;
        writeln!(f, "  {:<13}{}", "exactly", self.exact)?;
        if let Some(narrowed) = self.narrowed {
            writeln!(f, "  {:<13}{}", "narrowed", decimal(narrowed))?;
        }
        if let Some(scale) = &self.scale {
            writeln!(f, "  {:<13}{scale}", "scale")?;
        }
        if self.scale.is_some() || self.narrowed.is_some() {
            writeln!(f, "  {:<13}{} = {}", "scaled", self.scaled, decimal(self.scaled_value))?;
        }
        let neighbour = |n: &Option<Neighbour>| match n {
            Some(n) => format!("{}, code {}", decimal(n.element), n.code),
            None => "none: beyond the range".to_owned(),
        };
        writeln!(f, "  {:<13}{}", "next lower", neighbour(&self.below))?;
        writeln!(f, "  {:<13}{}", "next higher", neighbour(&self.above))?;
        match self.lost {
            "nothing" => writeln!(f, "  {:<13}nothing", "lost")?,
            lost => writeln!(f, "  {:<13}{lost}: {} of a unit", "lost", decimal(self.lost_units))?,
        }
        writeln!(f)?;
        outcomes(f, &self.outcomes)
    }
}

/// The table of roundings; `*` marks the format's own.
fn outcomes(f: &mut fmt::Formatter, outcomes: &[Outcome]) -> fmt::Result {
    let header = ["rounding", "", "code", "element", "becomes", "error", "chance"].map(str::to_owned);
    let rows = outcomes.iter().map(|o| {
        [
            o.rounding.to_string(),
            if o.own { "*" } else { "" }.to_owned(),
            o.code.clone(),
            o.element.map_or_else(|| "-".to_owned(), decimal),
            decimal(o.becomes),
            if o.error == 0.0 { "0".to_owned() } else { format!("{:.2e}", o.error) },
            o.chance.map_or_else(String::new, |(n, of)| format!("{n}/{of}")),
        ]
    });
    let rows: Vec<[String; 7]> = std::iter::once(header).chain(rows).collect();
    let width = |i: usize| rows.iter().map(|row| row[i].len()).max().unwrap_or(0);
    for row in &rows {
        let cells = row.iter().enumerate().map(|(i, cell)| match i {
            0 => format!("{cell:<width$}", width = width(i)),
            _ => format!("{cell:>width$}", width = width(i)),
        });
        writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}
