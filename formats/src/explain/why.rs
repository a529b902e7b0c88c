//! Why a scale is what it is, in one sentence a rule.

use super::Step;
use super::show::decimal;
use crate::reference::{Coded, Factor};
use crate::{Encoding, Scale, ScaleRule, Scaling, Value};

impl ScaleRule {
    /// What the rule does, in one line.
    pub const fn about(self) -> &'static str {
        match self {
            Self::Floor => "2^(floor(log2 amax) - emax); elements beyond the largest saturate (OCP MX 1.0)",
            Self::Ceil => "2^(ceil(log2 amax) - emax)",
            Self::Even => "as floor, after rounding amax to the element's mantissa, halves up",
            Self::Rceil => "the least power of two not below fl32(amax * fl32(1 / largest element))",
            Self::FloorLog2 => "as floor, with the logarithm rounded to FP32 first (microxcaling's PyTorch path)",
            Self::Enclosing => "the least e with amax <= 2^e; one unit is 2^(e - magnitude bits) (HBFP)",
            Self::EnclosingLog2 => "as enclosing, from the FP32 logarithm of fl32(amax + 1e-8) (HBFPEmulator)",
            Self::Above => "the least e with amax < 2^e (MSFP, shared microexponents)",
            Self::AbsMax => "fl32(amax / largest element), 1 where that is zero",
            Self::MinMax => "fl32((hi - lo) / (2^bits - 1)) with a zero point RNE(-lo / factor) (GPTQ)",
            Self::HalfGrid => "as min-max on the interval made symmetric, zero point 2^(bits - 1) (SparseGPT)",
            Self::Nvfp4Te => "RNE(amax / 6 in units of the tensor scale) in the scale's format (TransformerEngine)",
            Self::Nvfp4TorchAo => "as nvfp4-te with torchao's roundings, at least the scale's smallest normal number",
            Self::Nvfp4CuDnn => "amax / largest element, rounded up in the scale's format (cuDNN)",
            Self::FourOverSixMae => "nvfp4-te or 1.5 times its scale, whichever has less absolute error",
            Self::FourOverSixMse => "nvfp4-te or 1.5 times its scale, whichever has less squared error",
        }
    }
}

impl Step<'_> {
    /// The scale, how it is stored, and how the rule found it.
    pub(super) fn why(&self) -> Option<String> {
        let scaling = self.format.scaling?;
        let rule = scaling.rule.name();
        Some(match self.factor {
            Factor::One => return None,
            Factor::Nan => format!("NaN, by rule {rule}"),
            Factor::Power { stored, exponent } if scaling.scale == Scale::E8M0 => {
                format!("2^{exponent}, stored {stored:#04x}; rule {rule}: {}", self.power_of_two(scaling, exponent))
            }
            Factor::Power { stored, exponent } => {
                format!("exponent {stored}; rule {rule}: {}, one unit is 2^{exponent}", self.exponent(scaling))
            }
            Factor::Micro { stored, exponent, .. } => {
                let (shared, halved) = (stored as i8, stored >> 8 & 1);
                let sentence = self.exponent(scaling);
                let unit = exponent - halved as i32;
                format!("exponent {shared}, bit {halved}; rule {rule}: {sentence}, one unit is 2^{unit}")
            }
            Factor::Real(scale) => {
                let largest = self.largest();
                format!("{}; rule {rule}: fl32(amax / {largest}), 1 where that is zero", decimal(scale))
            }
            Factor::Affine { factor, zero } => self.interval(scaling, factor, zero),
            Factor::Coded(coded) => self.coded(scaling, coded),
        })
    }

    fn largest(&self) -> f64 {
        Value::Finite(self.format.element.max()).to_f64()
    }

    /// floor(log2 amax); `None` for zero.
    fn exponent_of_amax(&self) -> Option<i32> {
        Value::from_f32(self.amax()).finite()?.leading_exponent()
    }

    fn power_of_two(&self, scaling: Scaling, exponent: i32) -> String {
        let emax = self.format.element.emax();
        let Some(leading) = self.exponent_of_amax() else { return "amax is 0, so the least exponent".to_owned() };
        let found = exponent + emax;
        let mantissa = match self.format.element.encoding {
            Encoding::Float { mantissa_bits, .. } => mantissa_bits,
            Encoding::Integer { bits, .. } => bits - 2,
        };
        let (sentence, free) = match scaling.rule {
            ScaleRule::Floor => (format!("floor(log2 amax) - emax = {leading} - {emax}"), leading),
            ScaleRule::Ceil => (format!("ceil(log2 amax) - emax = {found} - {emax}"), found),
            ScaleRule::Even => {
                let rounded = format!("amax rounded to {mantissa} mantissa bits");
                (format!("floor(log2 of {rounded}) - emax = {found} - {emax}"), found)
            }
            ScaleRule::Rceil => {
                let product = self.amax() * (1.0 / self.largest() as f32);
                return format!(
                    "the least power of two not below fl32(amax * fl32(1 / {})) = {}",
                    self.largest(),
                    decimal(product)
                );
            }
            _ => (format!("floor(fl32(log2 amax)) - emax = {found} - {emax}"), found),
        };
        if free == found { sentence } else { format!("{sentence}, held to {exponent}") }
    }

    fn exponent(&self, scaling: Scaling) -> String {
        if self.exponent_of_amax().is_none() && scaling.rule != ScaleRule::EnclosingLog2 {
            return "amax is 0, so the exponent means nothing".to_owned();
        }
        match scaling.rule {
            ScaleRule::Above => "the least e with amax < 2^e",
            ScaleRule::EnclosingLog2 => "ceil(fl32(log2 fl32(amax + 1e-8)))",
            _ => "the least e with amax <= 2^e",
        }
        .to_owned()
    }

    fn interval(&self, scaling: Scaling, factor: f32, zero: u8) -> String {
        let end = |pick: fn(f32, f32) -> f32| self.block.iter().fold(0.0, |end, &v| pick(end, v));
        let (lo, hi) = (end(f32::min), end(f32::max));
        let symmetric = scaling.rule == ScaleRule::HalfGrid && lo < 0.0;
        let (lo, hi) = if symmetric { (-hi.max(-lo), hi.max(-lo)) } else { (lo, hi) };
        let (lo, hi) = if lo == hi { (-1.0, 1.0) } else { (lo, hi) };
        let point = match scaling.rule {
            ScaleRule::HalfGrid => "2^(bits - 1)",
            _ => "RNE(-lo / factor)",
        };
        format!(
            "{}, zero point {zero}; rule {}: fl32((hi - lo) / {}) over [{}, {}], zero point {point}",
            decimal(factor),
            scaling.rule.name(),
            self.largest(),
            decimal(lo),
            decimal(hi)
        )
    }

    fn coded(&self, scaling: Scaling, coded: Coded) -> String {
        let block = format!("{}, stored {:#04x}", decimal(coded.value), coded.stored);
        let tensor = match self.tensor.filter(|_| scaling.two_level) {
            Some(tensor) => format!(", under the tensor scale {}", decimal(tensor.decode)),
            None => String::new(),
        };
        let step = match coded.divide {
            1.0 => format!("multiplied by {}", decimal(coded.multiply)),
            divisor => format!("divided by {}", decimal(divisor)),
        };
        format!("{block}{tensor}; rule {}: values are {step}", scaling.rule.name())
    }
}
