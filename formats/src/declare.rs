//! Formats that a user declares in TOML.
//!
//! ```toml
//! [format]
//! name = "e4m2-b16"
//! exponent_bits = 4          # or `bits` and `fraction_bits` for integers, or `element = "e2m1"`
//! mantissa_bits = 2
//! bias = 7                   # 2^(exponent_bits - 1) - 1 unless told
//! specials = "nan-only"      # ieee, nan-only, fnuz or none (unless told)
//! block = { run = 16 }       # or "row", "column", "tensor", { tile = { rows = 16, k = 16 } }
//! scale = "e8m0"             # or "float32", { exponent = 8 }, { micro = { run = 2 } }, { affine = 4 }, { code = "ue4m3" }
//! rule = "floor"
//! ```

use crate::name::{Name, intern};
use crate::scalar::{Encoding, Range, Scalar, Sign, Specials};
use crate::{Block, Error, Format, Input, Laws, NonFinite, Overflow, Rounding, Scale, ScaleRule, Scaling};
use serde::{Deserialize, Deserializer, de};

/// A file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: Declaration,
}

/// The table `[format]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    name: String,
    element: Option<NamedScalar>,
    exponent_bits: Option<u32>,
    mantissa_bits: Option<u32>,
    bias: Option<i32>,
    specials: Option<Specials>,
    sign: Option<Sign>,
    subnormals: Option<bool>,
    bits: Option<u32>,
    fraction_bits: Option<u32>,
    range: Option<Range>,
    block: Option<Block>,
    scale: Option<DeclaredScale>,
    rule: Option<ScaleRule>,
    #[serde(default)]
    two_level: bool,
    input: Option<NamedScalar>,
    rounding: Option<Rounding>,
    overflow: Option<Overflow>,
    source: Option<String>,
}

/// [`Scale`] with scalars by name.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DeclaredScale {
    #[serde(rename = "e8m0")]
    E8M0,
    Exponent(u32),
    Micro {
        run: usize,
    },
    Float32,
    Affine(u32),
    Code(NamedScalar),
}

/// An element of the catalogue by its name.
struct NamedScalar(Scalar);

impl<'de> Deserialize<'de> for NamedScalar {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        let format = Format::by_name(&name).map_err(de::Error::custom)?;
        match format.scaling {
            None => Ok(Self(format.element)),
            Some(_) => Err(de::Error::custom(format!("`{name}` has scales; name a scalar format such as e2m1 or s8"))),
        }
    }
}

impl Format {
    /// Declares a format by a TOML text with a table `[format]`; from now on [`Format::by_name`] finds it. Declaring
    /// the same again gives the same record.
    ///
    /// # Errors
    /// [`Error::Declaration`] with line and column of what does not parse, [`Error::Record`] for what makes no sense
    /// or takes the name of another format.
    pub fn declare(toml: &str) -> Result<&'static Self, Error> {
        let file: File = toml::from_str(toml).map_err(|e| Error::Declaration(placed(toml, &e)))?;
        file.format.kept()
    }

    /// The record that [`serde::Serialize`] wrote as JSON or anything alike, checked: one of the catalogue where it is
    /// the same, else a declared one.
    ///
    /// # Errors
    /// [`Error::Record`] for a record that makes no sense or takes the name of another format.
    pub fn adopt(self) -> Result<&'static Self, Error> {
        self.lasting()
    }
}

/// What is wrong with a TOML text, in one line: the message behind line and column, counted from 1.
pub fn placed(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}: {}", error.message().trim_end().replace('\n', "; "))
}

impl Declaration {
    /// The record, from now on known by its name.
    fn kept(&self) -> Result<&'static Format, Error> {
        let name = self.name.trim().to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_.".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let problem = "a name has 1 to 64 letters, digits, `-`, `_` and `.`".to_owned();
            return Err(Error::Record { name, problem });
        }
        Format::kept(&name, |own| self.record(own, &name))
    }

    /// The record under the name `own`; `name` is the one for messages.
    fn record(&self, own: Name, name: &str) -> Result<Format, Error> {
        let refused = |problem: &str| Err(Error::Record { name: name.to_owned(), problem: problem.to_owned() });
        let Some(element) = self.element(own) else {
            return refused("give `element`, or `exponent_bits` and `mantissa_bits`, or `bits`, and no two of them");
        };
        if let Some(problem) = element.problem() {
            return refused(problem);
        }
        let scaling = match (self.block, &self.scale, self.rule) {
            (None, None, None) => None,
            (Some(block), Some(scale), Some(rule)) => {
                let scale = match scale {
                    DeclaredScale::E8M0 => Scale::E8M0,
                    DeclaredScale::Exponent(bits) => Scale::Exponent(*bits),
                    DeclaredScale::Micro { run } => Scale::Micro { run: *run },
                    DeclaredScale::Float32 => Scale::Float32,
                    DeclaredScale::Affine(bits) => Scale::Affine(*bits),
                    DeclaredScale::Code(scalar) => Scale::Code(scalar.0),
                };
                Some(Scaling { block, scale, rule, two_level: self.two_level })
            }
            _ => return refused("`block`, `scale` and `rule` go together"),
        };
        let non_finite = match scaling.map(|s| s.scale) {
            None => NonFinite::Encode,
            Some(Scale::E8M0) => NonFinite::NanBlock,
            Some(_) => NonFinite::Refuse,
        };
        let no_law =
            Laws { theorem_3_5: false, idempotent: false, scale_invariant: false, permutation_invariant: false };
        Ok(Format {
            name: own,
            aliases: &[],
            element,
            scaling,
            input: self.input.as_ref().map(|i| Input { scalar: i.0, rounding: Rounding::NearestEven }),
            rounding: self.rounding.unwrap_or(Rounding::NearestEven),
            overflow: self.overflow.unwrap_or(Overflow::Saturate),
            non_finite,
            activations: None,
            laws: no_law,
            // Nothing is kept of a record that has no name yet.
            source: self.source.as_deref().filter(|_| !own.is_empty()).map_or("declared by the user", intern),
        })
    }

    fn element(&self, name: Name) -> Option<Scalar> {
        match (&self.element, self.exponent_bits, self.mantissa_bits, self.bits) {
            (Some(element), None, None, None) => Some(element.0),
            (None, Some(exponent_bits), Some(mantissa_bits), None) => {
                let encoding = Encoding::Float {
                    sign: self.sign.unwrap_or(Sign::Signed),
                    exponent_bits,
                    mantissa_bits,
                    bias: self.bias.unwrap_or((1 << (exponent_bits.clamp(1, 11) - 1)) - 1),
                    specials: self.specials.unwrap_or(Specials::None),
                    subnormals: self.subnormals.unwrap_or(true),
                };
                Some(Scalar { name, encoding })
            }
            (None, None, None, Some(bits)) => {
                let range = self.range.unwrap_or(Range::Symmetric);
                let encoding = Encoding::Integer { range, bits, fraction_bits: self.fraction_bits.unwrap_or(0) };
                Some(Scalar { name, encoding })
            }
            _ => None,
        }
    }
}
