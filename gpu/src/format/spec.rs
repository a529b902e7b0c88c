//! A format as the constants of kernels: made from the parts of its record, never from its name.

use super::cast::Cast;
use super::coded::Coded;
use super::factor::Affine;
use super::power::Exponents;
use super::read::Decode;
use crate::Error;
use interplay_formats::{Encoding, Format, NonFinite, Overflow, Rounding, Scalar, Scale, Specials, Value};

/// A narrow scalar, both ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Narrow {
    /// To codes.
    pub cast: Cast,
    /// From codes.
    pub read: Decode,
}

impl Narrow {
    fn new(scalar: Scalar, rounding: Rounding, overflow: Overflow) -> Option<Self> {
        Some(Self { cast: Cast::new(scalar, rounding, overflow)?, read: Decode::new(scalar)? })
    }
}

/// How elements are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// Every FP32 number is one; the value of +infinity and of -infinity.
    Exact {
        /// FP32 bits.
        infinite: [u32; 2],
    },
    /// Fewer are.
    Narrow(Narrow),
}

/// What elements share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shared {
    /// Nothing.
    Nothing,
    /// A power of two.
    Power(Exponents),
    /// A power of two, halved for some runs of this length.
    Micro {
        /// The rule.
        exponents: Exponents,
        /// Elements of a run.
        run: u32,
    },
    /// An FP32 factor.
    Real {
        /// The largest element, FP32 bits.
        largest: u32,
    },
    /// An FP32 factor and a zero point.
    Affine(Affine),
    /// A factor in a narrow float, and one of the whole tensor.
    Coded(Coded),
}

/// What a value that is not finite is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// A mistake.
    Refused,
    /// An element.
    Encoded,
    /// The end of its block.
    NanBlock,
}

/// A format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spec {
    /// The type to which values are rounded first.
    pub input: Option<Narrow>,
    /// The element.
    pub element: Element,
    /// The scale.
    pub shared: Shared,
    /// What a value that is not finite is.
    pub special: Special,
    /// Whether elements draw random words.
    pub draws: bool,
}

impl Spec {
    /// The constants of a format.
    ///
    /// # Errors
    /// [`Error::FormatOnCpu`]: floats of more than 22 fraction bits that do not hold every FP32 number, and integers of more
    /// than 24 bits.
    pub fn new(format: &Format) -> Result<Self, Error> {
        let refused = |part: &str| Error::FormatOnCpu { format: format.name.to_owned(), part: part.to_owned() };
        let input = match format.input {
            None => None,
            Some(i) => Some(
                Narrow::new(i.scalar, i.rounding, Overflow::Infinity)
                    .ok_or_else(|| refused(&format!("the input type `{}`", i.scalar.name)))?,
            ),
        };
        let element = element(format).ok_or_else(|| refused(&format!("the element `{}`", format.element.name)))?;
        let shared = shared(format).ok_or_else(|| refused("its kind of scale"))?;
        let special = match format.non_finite {
            NonFinite::Refuse => Special::Refused,
            NonFinite::Encode => Special::Encoded,
            NonFinite::NanBlock => Special::NanBlock,
            _ => return Err(refused("its way with NaN")),
        };
        Ok(Self { input, element, shared, special, draws: !format.rounding.is_deterministic() })
    }
}

fn element(format: &Format) -> Option<Element> {
    let (scalar, overflow) = (format.element, format.overflow);
    if format.scaling.is_none() && holds_fp32(scalar) {
        let infinite = |negative| {
            let code = scalar.encode(Value::Infinite { negative }, format.rounding, overflow)?;
            Some(scalar.decode(code).to_f32().to_bits())
        };
        let infinite = [infinite(false)?, infinite(true)?];
        // Overflow says what infinities become; numbers are none of its business here.
        return Some(Element::Exact { infinite });
    }
    Narrow::new(scalar, format.rounding, overflow).map(Element::Narrow)
}

/// Whether every FP32 number, both zeros and NaN have codes.
fn holds_fp32(scalar: Scalar) -> bool {
    let fp32 = interplay_formats::scalar::FP32;
    let wide = matches!(scalar.encoding, Encoding::Float { specials: Specials::Ieee, subnormals: true, .. });
    let grid = scalar.grid();
    let fine = grid.precision.is_some_and(|bits| bits >= 24) && grid.lsb_min <= fp32.grid().lsb_min;
    wide && fine && scalar.is_signed() && scalar.max().cmp_magnitude(fp32.max()).is_ge()
}

fn shared(format: &Format) -> Option<Shared> {
    let Some(scaling) = format.scaling else { return Some(Shared::Nothing) };
    match scaling.scale {
        Scale::E8M0 | Scale::Exponent(_) => Exponents::new(format).map(Shared::Power),
        Scale::Micro { run } => {
            Some(Shared::Micro { exponents: Exponents::new(format)?, run: u32::try_from(run).ok()? })
        }
        Scale::Float32 => Some(Shared::Real { largest: Value::Finite(format.element.max()).to_f32().to_bits() }),
        Scale::Affine(_) => Affine::new(format).map(Shared::Affine),
        Scale::Code(_) => Coded::new(format).map(Shared::Coded),
        _ => None,
    }
}
