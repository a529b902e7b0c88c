//! One design of a matrix unit: a record declared from a template, and the format that it multiplies.

use anyhow::{Context, Result, ensure};
use interplay_formats::{Block, Format};
use interplay_hw::Datapath;
use interplay_hw::datapath::{Family, family};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// Bits of sign and exponent of a floating-point accumulator: it has FP32's range at every width.
const SIGN_AND_EXPONENT: u32 = 9;

/// A unit, by what is varied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Design {
    /// The format of the study, before its blocks are changed.
    pub base: String,
    /// Elements under one scale; none for integers, which have one scale a row.
    pub block: Option<usize>,
    /// How terms are summed.
    pub sum: Summing,
}

/// How a unit sums products.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Summing {
    /// Products of a block exactly, or each product of integers; then into an accumulator of so many bits.
    Accumulated {
        /// Bits of the accumulator.
        bits: u32,
        /// How sums are rounded to it; no part of integer accumulators, which saturate.
        rounding: String,
    },
    /// Products and accumulator cut at one exponent, as a record of the catalogue does it.
    Aligned {
        /// The record.
        unit: String,
        /// Fraction bits that are kept.
        bits: u32,
    },
}

impl Design {
    /// The bits that are varied: of the accumulator, or of the alignment.
    pub fn bits(&self) -> u32 {
        match self.sum {
            Summing::Accumulated { bits, .. } | Summing::Aligned { bits, .. } => bits,
        }
    }

    /// The way of summing in a word.
    pub fn kind(&self) -> &'static str {
        match self.sum {
            Summing::Accumulated { .. } => "accumulated",
            Summing::Aligned { .. } => "aligned",
        }
    }

    /// The format with the design's blocks: a name of the catalogue where there is one, else the base's record with other blocks.
    ///
    /// # Errors
    /// An unknown base, or a record that cannot be.
    pub fn format(&self) -> Result<&'static Format> {
        let base = Format::by_name(&self.base)?;
        let Some(block) = self.block.filter(|block| *block != base.block_len(1)) else { return Ok(base) };
        let name = format!("{}-b{block}", base.name);
        if let Ok(known) = Format::by_name(&name) {
            return Ok(known);
        }
        let scaling = base.scaling.map(|scaling| interplay_formats::Scaling { block: Block::Run(block), ..scaling });
        // A record lasts as long as the program; each name is made once.
        let made = Format { name: name.leak(), aliases: &[], scaling, ..*base };
        Ok(made.adopt()?)
    }

    /// The text that declares the unit.
    ///
    /// # Errors
    /// A format without blocks and without integers, or an accumulator that has no room for a mantissa.
    pub fn declaration(&self) -> Result<String> {
        let text = |text: &str| Value::String(text.to_owned());
        let fields: Vec<(&str, Value)> = match (&self.sum, family(Format::by_name(&self.base)?)) {
            (Summing::Aligned { unit, bits }, _) => vec![
                ("name", text(&format!("{unit}-f{bits}"))),
                ("base", text(unit)),
                ("fraction_bits", Value::Integer((*bits).into())),
            ],
            (Summing::Accumulated { bits, rounding }, Family::Blocks { .. }) => vec![
                ("name", text(&format!("block-a{bits}-{rounding}"))),
                ("inputs", text("blocks")),
                ("accumulator", text(&float_register(*bits)?)),
                ("rounding", text(rounding)),
            ],
            (Summing::Accumulated { bits, .. }, Family::Integers) => vec![
                ("name", text(&format!("integer-a{bits}"))),
                ("inputs", text("integers")),
                ("group", Value::Integer(1)),
                ("accumulator", text(&format!("s{bits}"))),
            ],
            (Summing::Accumulated { .. }, Family::Scalars) => {
                anyhow::bail!("`{}` has neither blocks nor integers; give HBFP, MX, NVFP4 or INT formats", self.base)
            }
        };
        let record: Table = fields.into_iter().map(|(field, value)| (field.to_owned(), value)).collect();
        Ok(toml::to_string(&Table::from_iter([("datapath".to_owned(), Value::Table(record))]))?)
    }

    /// The unit, known by its name from now on.
    ///
    /// # Errors
    /// A record that cannot be.
    pub fn unit(&self) -> Result<&'static Datapath> {
        Ok(Datapath::from_toml(&self.declaration()?)?)
    }

    /// That the unit multiplies the format.
    ///
    /// # Errors
    /// It takes other operands, or a record cannot be.
    pub fn check(&self) -> Result<()> {
        let (format, unit) = (self.format()?, self.unit()?);
        unit.takes(format, format).with_context(|| format!("the design `{}`", unit.name))
    }
}

/// The name of a float of so many bits with FP32's exponents.
fn float_register(bits: u32) -> Result<String> {
    ensure!(
        (SIGN_AND_EXPONENT + 1..=32).contains(&bits),
        "`accumulator_bits` has {bits}; {} to 32 are allowed: a sign, 8 bits of exponent, and a mantissa",
        SIGN_AND_EXPONENT + 1
    );
    Ok(if bits == 32 { "fp32".to_owned() } else { format!("e8m{}", bits - SIGN_AND_EXPONENT) })
}

/// Elements of a block of that format, unless it is none of blocks.
///
/// # Errors
/// An unknown name.
pub fn block_of(format: &str) -> Result<Option<usize>> {
    match family(Format::by_name(format).with_context(|| "`formats`")?) {
        Family::Blocks { length } => Ok(Some(length)),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn design(base: &str, block: Option<usize>, bits: u32) -> Design {
        let sum = Summing::Accumulated { bits, rounding: "nearest-even".to_owned() };
        Design { base: base.to_owned(), block, sum }
    }

    #[test]
    fn the_widest_accumulator_is_that_of_the_natural_unit() {
        let wide = design("hbfp6", Some(64), 32).unit().unwrap();
        assert_eq!(wide.sum, Datapath::by_name("block").unwrap().sum);
        let narrow = design("hbfp6", Some(64), 12).unit().unwrap();
        assert_eq!((narrow.name, narrow.accumulator.d.bits()), ("block-a12-nearest-even", 12));
        assert!(design("hbfp6", Some(64), 9).unit().unwrap_err().to_string().contains("10 to 32"));
        assert!(design("bf16", None, 16).unit().is_err());
    }

    #[test]
    fn other_blocks_change_nothing_but_the_blocks() {
        for (base, block) in [("hbfp6", 16), ("mxfp8", 128)] {
            let (base, made) = (Format::by_name(base).unwrap(), design(base, Some(block), 32).format().unwrap());
            assert_eq!(made.block_len(1), block);
            assert_eq!((made.element, made.scaling.unwrap().scale), (base.element, base.scaling.unwrap().scale));
        }
        assert_eq!(design("mxfp8", Some(32), 32).format().unwrap().name, "mxfp8");
    }

    #[test]
    fn an_aligned_unit_keeps_what_it_is_told() {
        let unit = "b200.tcgen05.mxf8f6f4-e4m3.f32".to_owned();
        let sum = Summing::Aligned { unit: unit.clone(), bits: 9 };
        let found = Design { base: "mxfp8".to_owned(), block: Some(32), sum }.unit().unwrap();
        assert!(found.sum.arms.iter().all(|arm| arm.fraction_bits == 9));
        assert_eq!(found.inputs, Datapath::by_name(&unit).unwrap().inputs);
        let of = |base: &str| {
            let sum = Summing::Aligned { unit: unit.clone(), bits: 9 };
            Design { base: base.to_owned(), block: block_of(base).unwrap(), sum }.check()
        };
        assert!(of("mxfp8").is_ok() && of("hbfp6").is_err());
    }

    #[test]
    fn a_narrower_design_takes_less_area() {
        let area = |bits| {
            let design = design("hbfp6", Some(16), bits);
            let (unit, format) = (design.unit().unwrap(), design.format().unwrap());
            interplay_hw::cost::gates::unit(unit, format, format, 7.0).unwrap().area_um2.typical
        };
        assert!(area(12) < area(20) && area(20) < area(32));
    }
}
