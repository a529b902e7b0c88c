//! What a format is, derived from its record for people and for JSON.

use crate::{Block, Exact, Format, Laws, NonFinite, Overflow, Rounding, Scale, ScaleRule, Value};
use serde::Serialize;
use std::fmt;

/// Stored bits of one element with its share of the scale: element + scale / block, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitsPerElement {
    /// Bits of the element.
    pub element: u32,
    /// Bits of the scale; 0 where there is none.
    pub scale: u64,
    /// Elements that share the scale; `None` for a whole row, column or matrix.
    pub block: Option<usize>,
    /// What the length of an open block is called.
    span: &'static str,
}

impl BitsPerElement {
    /// The number for rows of `k`, exact in FP64 for blocks of a power of two.
    pub fn in_rows_of(self, k: usize) -> f64 {
        f64::from(self.element) + self.scale as f64 / self.block.unwrap_or(k).max(1) as f64
    }
}

impl fmt::Display for BitsPerElement {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.block {
            None => write!(f, "{} + {}/{}", self.element, self.scale, self.span),
            Some(block) => write!(f, "{}", self.in_rows_of(block)),
        }
    }
}

impl Serialize for BitsPerElement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Extreme and special codes of an element, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExactBits {
    /// The largest finite number.
    pub max: String,
    /// The smallest positive number.
    pub min: String,
    /// +infinity, where there is one.
    pub infinity: Option<String>,
    /// The NaN that is produced, where there is one.
    pub nan: Option<String>,
    /// Whether -0 has a code.
    pub negative_zero: bool,
}

/// The facts of a format and what follows from them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Card {
    /// The name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// The element's encoding.
    pub element: &'static str,
    /// Bits of one element.
    pub element_bits: u32,
    /// Bits with the share of the scale.
    pub bits_per_element: BitsPerElement,
    /// The largest element, unscaled.
    pub max: f64,
    /// The smallest positive normal element, unscaled.
    pub min_normal: f64,
    /// The smallest positive element, unscaled.
    pub min_subnormal: f64,
    /// The exponent of the largest element.
    pub emax: i32,
    /// The exponent of the smallest normal element.
    pub emin: i32,
    /// Who shares a scale, how it is written and chosen; `None` without scales.
    pub block: Option<Block>,
    /// How the scale is written.
    pub scale: Option<Scale>,
    /// How the scale is chosen.
    pub scale_rule: Option<ScaleRule>,
    /// How an element is rounded.
    pub rounding: Rounding,
    /// What becomes of an element beyond the largest.
    pub overflow: Overflow,
    /// Whether an FP32 scale covers the whole tensor.
    pub two_level: bool,
    /// What becomes of NaN and infinities.
    pub non_finite: NonFinite,
    /// The record for activations, where it is another one.
    pub activations: Option<&'static str>,
    /// The laws that the format obeys.
    pub laws: Laws,
    /// The special codes, in hexadecimal.
    pub exact_bits: ExactBits,
    /// Where the definition comes from.
    pub source: &'static str,
}

impl Format {
    /// Stored bits of one element, its share of the scale included.
    pub fn bits_per_element(&self) -> BitsPerElement {
        let (block, span) = match self.scaling.map(|s| s.block) {
            None => (Some(1), ""),
            Some(Block::Run(n)) => (Some(n), ""),
            Some(Block::Tile { rows, k }) => (Some(rows.saturating_mul(k)), ""),
            Some(Block::Row) => (None, "K"),
            Some(Block::Column) => (None, "rows"),
            Some(Block::Tensor) => (None, "count"),
        };
        let scale = self.scaling.map_or(0, |s| s.scale_bits(block.unwrap_or(1)));
        BitsPerElement { element: self.element.bits(), scale, block, span }
    }

    fn exact_bits(&self) -> ExactBits {
        let element = self.element;
        let hex = |code: u64| format!("{code:#0width$x}", width = element.bits().div_ceil(4) as usize + 2);
        let least = if element.decode(0).finite().is_some_and(Exact::is_zero) { 1 } else { 0 };
        ExactBits {
            max: hex(element.max_code()),
            min: hex(least),
            infinity: element.infinity_code().map(hex),
            nan: element.nan_code().map(hex),
            negative_zero: element.has_negative_zero(),
        }
    }

    /// The format's card.
    pub fn card(&self) -> Card {
        let one = crate::Exact::integer(1);
        let value = |exponent: i32| Value::Finite(one.scaled(exponent)).to_f64();
        Card {
            name: self.name,
            aliases: self.aliases,
            element: self.element.name,
            element_bits: self.element.bits(),
            bits_per_element: self.bits_per_element(),
            max: Value::Finite(self.element.max()).to_f64(),
            min_normal: value(self.element.emin()),
            min_subnormal: value(self.element.grid().lsb_min),
            emax: self.element.emax(),
            emin: self.element.emin(),
            block: self.scaling.map(|s| s.block),
            scale: self.scaling.map(|s| s.scale),
            scale_rule: self.scaling.map(|s| s.rule),
            rounding: self.rounding,
            overflow: self.overflow,
            two_level: self.scaling.is_some_and(|s| s.two_level),
            non_finite: self.non_finite,
            activations: self.activations,
            laws: self.laws,
            exact_bits: self.exact_bits(),
            source: self.source,
        }
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{:<18}{}", "format", [&[self.name], self.aliases].concat().join(" = "))?;
        writeln!(f, "{:<18}{}, {} bits", "element", self.element, self.element_bits)?;
        writeln!(f, "{:<18}{}", "bits per element", self.bits_per_element)?;
        writeln!(f, "{:<18}{:e}", "largest", self.max)?;
        writeln!(f, "{:<18}{:e}", "smallest normal", self.min_normal)?;
        writeln!(f, "{:<18}{:e}", "smallest positive", self.min_subnormal)?;
        writeln!(f, "{:<18}{} to {}", "exponents", self.emin, self.emax)?;
        match (self.block, self.scale, self.scale_rule) {
            (Some(block), Some(scale), Some(rule)) => {
                writeln!(f, "{:<18}{block}, {scale}, {rule}", "scale")?;
            }
            _ => writeln!(f, "{:<18}none", "scale")?,
        }
        let bits = &self.exact_bits;
        let special = |code: &Option<String>| code.clone().unwrap_or_else(|| "none".to_owned());
        writeln!(
            f,
            "{:<18}largest {}, smallest {}, infinity {}, NaN {}",
            "codes",
            bits.max,
            bits.min,
            special(&bits.infinity),
            special(&bits.nan)
        )?;
        writeln!(f, "{:<18}{}, overflow {}", "rounding", self.rounding, self.overflow)?;
        writeln!(f, "{:<18}{}", "NaN, infinity", self.non_finite)?;
        if let Some(activations) = self.activations {
            writeln!(f, "{:<18}as {activations}", "activations")?;
        }
        writeln!(f, "{:<18}{}", "theorem 3.5", if self.laws.theorem_3_5 { "holds" } else { "does not hold" })?;
        write!(f, "{:<18}{}", "source", self.source)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Run(n) => write!(f, "{n} elements along K"),
            Self::Row => write!(f, "a row"),
            Self::Column => write!(f, "a column"),
            Self::Tile { rows, k } => write!(f, "{rows} rows x {k} elements along K"),
            Self::Tensor => write!(f, "the whole matrix"),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::E8M0 => write!(f, "power of two in a byte (E8M0)"),
            Self::Exponent(bits) => write!(f, "{bits}-bit exponent"),
            Self::Micro { run } => write!(f, "8-bit exponent and 1 bit for every {run} elements"),
            Self::Float32 => write!(f, "FP32 factor"),
            Self::Affine(bits) => write!(f, "FP32 factor and {bits}-bit zero point"),
            Self::Code(scalar) => write!(f, "factor in {}", scalar.name),
        }
    }
}

impl fmt::Display for ScaleRule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "rule {}", self.name())
    }
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Saturate => "saturates",
            Self::Infinity => "to infinity",
            Self::Nan => "to NaN",
            Self::Wrap => "wraps",
        })
    }
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "an error",
            Self::Encode => "encoded, infinity as overflow",
            Self::NanBlock => "the block becomes NaN",
        })
    }
}
