//! Which records make sense: `const`, so that a wrong catalogue entry does not compile, and run on declared ones.

use crate::{Block, Encoding, Format, NonFinite, Overflow, Range, Scalar, Scale, ScaleRule, Scaling};

impl Format {
    /// Why the record cannot be, if it cannot.
    pub(crate) const fn problem(&self) -> Option<&'static str> {
        if let Some(problem) = self.element.problem() {
            return Some(problem);
        }
        if let Some(problem) = self.rounding.problem() {
            return Some(problem);
        }
        if matches!((self.overflow, self.element.encoding), (Overflow::Wrap, Encoding::Float { .. })) {
            return Some("overflow = wrap is for integers");
        }
        if let Some(input) = self.input {
            if let Some(problem) = input.scalar.problem() {
                return Some(problem);
            }
            if let Some(problem) = input.rounding.problem() {
                return Some(problem);
            }
        }
        match (self.scaling, self.non_finite) {
            (None, NonFinite::NanBlock) => Some("non_finite = nan-block needs a scale"),
            (Some(_), NonFinite::Encode) => Some("non_finite = encode is for formats without scale"),
            (Some(Scaling { scale, .. }), NonFinite::NanBlock) if !matches!(scale, Scale::E8M0 | Scale::Float32) => {
                Some("non_finite = nan-block needs a scale that can be NaN: e8m0 or float32")
            }
            (Some(scaling), _) => self.scaling_problem(scaling),
            (None, _) => None,
        }
    }

    const fn scaling_problem(&self, scaling: Scaling) -> Option<&'static str> {
        if self.element.bits() > 16 {
            return Some("scaled elements have at most 16 bits");
        }
        match scaling.block {
            Block::Run(0) | Block::Tile { rows: 0, .. } | Block::Tile { k: 0, .. } => {
                return Some("a block has at least one element");
            }
            Block::Run(n) | Block::Tile { k: n, .. } if n > 1 << 20 => {
                return Some("a block has at most 2^20 elements along K; `row` covers them all");
            }
            _ => {}
        }
        if scaling.two_level && !matches!(scaling.scale, Scale::Code(_)) {
            return Some("two_level = true goes with scale = code");
        }
        let symmetric = matches!(self.element.encoding, Encoding::Integer { range: Range::Symmetric, .. });
        let unsigned_byte = match self.element.encoding {
            Encoding::Integer { range: Range::Unsigned, bits, fraction_bits: 0 } => bits <= 8,
            _ => false,
        };
        match (scaling.scale, scaling.rule) {
            (
                Scale::E8M0,
                ScaleRule::Floor | ScaleRule::Ceil | ScaleRule::Even | ScaleRule::Rceil | ScaleRule::FloorLog2,
            ) => None,
            (Scale::E8M0, _) => Some("scale = e8m0 goes with the rules floor, ceil, even, rceil and floor-log2"),
            (Scale::Exponent(bits), ScaleRule::Enclosing | ScaleRule::EnclosingLog2 | ScaleRule::Above) => {
                if !symmetric {
                    Some("block exponents go with symmetric integer elements")
                } else if bits < 2 || bits > 16 {
                    Some("a block exponent has 2 to 16 bits")
                } else {
                    None
                }
            }
            (Scale::Exponent(_), _) => Some("scale = exponent goes with the rules enclosing, enclosing-log2 and above"),
            (Scale::Micro { run }, ScaleRule::Above) => match scaling.block {
                Block::Run(n) if run > 0 && n % run == 0 && n / run <= 24 && symmetric => None,
                _ => Some("microexponents cut a run of symmetric integers into 1 to 24 equal parts"),
            },
            (Scale::Micro { .. }, _) => Some("scale = micro goes with the rule above"),
            (Scale::Float32, ScaleRule::AbsMax) => None,
            (Scale::Float32, _) => Some("scale = float32 goes with the rule absmax"),
            (Scale::Affine(bits), ScaleRule::MinMax | ScaleRule::HalfGrid) => {
                if unsigned_byte && bits == self.element.bits() {
                    None
                } else {
                    Some("a zero point goes with unsigned integers of at most 8 bits, and has as many")
                }
            }
            (Scale::Affine(_), _) => Some("scale = affine goes with the rules min-max and half-grid"),
            (Scale::Code(scalar), _) if scalar.problem().is_some() => scalar.problem(),
            (Scale::Code(scalar), rule) => self.coded_problem(scalar, scaling, rule),
        }
    }

    const fn coded_problem(&self, scale: Scalar, scaling: Scaling, rule: ScaleRule) -> Option<&'static str> {
        if scale.bits() > 8
            || scale.is_signed()
            || matches!(self.element.encoding, Encoding::Integer { .. })
            || self.element.bits() > 8
        {
            return Some("scale = code is an unsigned float of at most 8 bits over float elements of at most 8 bits");
        }
        if scaling.two_level && self.element.emax() + scale.emax() < 0 {
            // FP32's largest number over their product may be infinite.
            return Some(
                "with a tensor scale, the exponents of the largest element and the largest block scale sum to 0 at least",
            );
        }
        match (rule, scaling.two_level) {
            (ScaleRule::Nvfp4Te, true) | (ScaleRule::Nvfp4TorchAo, _) | (ScaleRule::Nvfp4CuDnn, false) => None,
            (ScaleRule::FourOverSixMae | ScaleRule::FourOverSixMse, true) => match scaling.block {
                Block::Run(_) => None,
                _ => Some("four-over-six compares errors of runs"),
            },
            (ScaleRule::Nvfp4Te | ScaleRule::FourOverSixMae | ScaleRule::FourOverSixMse, false) => {
                Some("this rule needs two_level = true")
            }
            (ScaleRule::Nvfp4CuDnn, true) => Some("the rule nvfp4-cudnn has no tensor scale"),
            _ => Some("scale = code goes with the rules nvfp4-te, nvfp4-torchao, nvfp4-cudnn and four-over-six-*"),
        }
    }
}
