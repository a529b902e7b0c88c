//! What a format is, derived from its record for people and for JSON.

use crate::{Block, Format, Overflow, Rounding, Scale, ScaleRule, Value};
use serde::Serialize;
use std::fmt;

/// Stored bits of one element with its share of the scale: element + scale / block, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitsPerElement {
    /// Bits of the element.
    pub element: u32,
    /// Bits of the scale; 0 where there is none.
    pub scale: u32,
    /// Elements that share the scale; `None` for a whole row.
    pub block: Option<usize>,
}

impl BitsPerElement {
    /// The number for rows of `k`, exact in FP64 for blocks of a power of two.
    pub fn in_rows_of(self, k: usize) -> f64 {
        f64::from(self.element) + f64::from(self.scale) / self.block.unwrap_or(k).max(1) as f64
    }
}

impl fmt::Display for BitsPerElement {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.block {
            None => write!(f, "{} + {}/K", self.element, self.scale),
            Some(block) => write!(f, "{}", self.in_rows_of(block)),
        }
    }
}

impl Serialize for BitsPerElement {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
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
    /// Whether theorem 3.5 applies.
    pub theorem_3_5: bool,
    /// Where the definition comes from.
    pub source: &'static str,
}

impl Format {
    /// Stored bits of one element, its share of the scale included.
    pub fn bits_per_element(&self) -> BitsPerElement {
        let block = match self.scaling.map(|s| s.block) {
            None => Some(1),
            Some(Block::Run(n)) => Some(n),
            Some(Block::Row) => None,
        };
        BitsPerElement { element: self.element.bits(), scale: self.scaling.map_or(0, |s| s.scale.bits()), block }
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
            theorem_3_5: self.theorem_3_5,
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
        writeln!(f, "{:<18}{}, overflow {}", "rounding", self.rounding, self.overflow)?;
        writeln!(f, "{:<18}{}", "theorem 3.5", if self.theorem_3_5 { "holds" } else { "does not hold" })?;
        write!(f, "{:<18}{}", "source", self.source)
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Run(n) => write!(f, "{n} elements along K"),
            Self::Row => write!(f, "a row"),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::E8M0 => write!(f, "power of two in a byte (E8M0)"),
            Self::Exponent(bits) => write!(f, "{bits}-bit exponent"),
            Self::Float32 => write!(f, "FP32 factor"),
        }
    }
}

impl fmt::Display for ScaleRule {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Floor => "rule floor",
            Self::Enclosing => "rule enclosing power of two",
            Self::AbsMax => "rule absmax",
        })
    }
}

impl fmt::Display for Rounding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::NearestEven => "nearest even",
            Self::NearestAway => "nearest away",
            Self::TowardZero => "toward zero",
            Self::Up => "up",
            Self::Down => "down",
            Self::ToOdd => "to odd",
        })
    }
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Saturate => "saturates",
            Self::Special => "to infinity",
        })
    }
}
