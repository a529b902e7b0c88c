//! One entry of a report, in the notation of Python.

use serde::{Serialize, Serializer};
use std::fmt;

/// One entry of a report.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A count.
    Whole(u64),
    /// Anything with a point in it, whole or not.
    Real(f64),
    /// A name.
    Text(&'static str),
    /// What no closed form gives.
    Unknown,
}

impl Cell {
    /// The quotient of two counts, unknown where there is none.
    pub(super) fn quotient(part: u128, whole: u128) -> Self {
        if whole == 0 { Self::Unknown } else { Self::Real(part as f64 / whole as f64) }
    }

    /// The same in per cent, multiplied first as far as 128 bits allow.
    pub(super) fn percent(part: u128, whole: u128) -> Self {
        match (part.checked_mul(100), Self::quotient(part, whole)) {
            (Some(part), _) => Self::quotient(part, whole),
            (None, Self::Real(share)) => Self::Real(100.0 * share),
            (None, unknown) => unknown,
        }
    }

    /// A whole number that SCALE-Sim keeps as a float.
    pub(super) fn real(count: u64) -> Self {
        Self::Real(count as f64)
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(count) => write!(f, "{count}"),
            Self::Real(number) => f.write_str(&python(*number)),
            Self::Text(text) => f.write_str(text),
            Self::Unknown => f.write_str("n/a"),
        }
    }
}

/// A float as Python writes it: the shortest digits that read back, an exponent below 1e-4 and from 1e16.
fn python(number: f64) -> String {
    if number == 0.0 || (1e-4..1e16).contains(&number.abs()) {
        return if number.fract() == 0.0 { format!("{number}.0") } else { format!("{number}") };
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
    format!("{digits}e{sign}{exponent:0>2}")
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(count) => serializer.serialize_u64(*count),
            Self::Real(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Unknown => serializer.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pythons_notation() {
        let written = [(100.0, "100.0"), (-66.0, "-66.0"), (0.0, "0.0"), (1e16, "1e+16"), (1.5e-5, "1.5e-05")];
        for (number, text) in written.into_iter().chain([(1e-4, "0.0001"), (9007199254740993.0, "9007199254740992.0")])
        {
            assert_eq!(Cell::Real(number).to_string(), text);
        }
    }
}
