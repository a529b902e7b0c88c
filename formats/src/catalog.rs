//! Every named format, one entry each. A new format is a new entry; laws, tests and listings loop over [`ALL`].

use crate::scalar::{FP32, Scalar, Specials};
use crate::{Block, Format, Overflow, Rounding, Scale, ScaleRule, Scaling};

const OCP: &str = "OCP Microscaling Formats (MX) v1.0, sections 5 and 6.3; scale rule floor";
const HBFP: &str = "Drumond et al., NeurIPS 2018, block floating point; exact exponent, 64 elements a block";

/// OCP FP8 E4M3: no infinity, one NaN a sign.
pub const E4M3: Scalar = Scalar::float("e4m3", 4, 3, 7, Specials::NanOnly);
/// OCP FP8 E5M2: IEEE-like.
pub const E5M2: Scalar = Scalar::float("e5m2", 5, 2, 15, Specials::Ieee);
/// OCP FP6 E2M3.
pub const E2M3: Scalar = Scalar::float("e2m3", 2, 3, 1, Specials::None);
/// OCP FP6 E3M2.
pub const E3M2: Scalar = Scalar::float("e3m2", 3, 2, 3, Specials::None);
/// OCP FP4 E2M1.
pub const E2M1: Scalar = Scalar::float("e2m1", 2, 1, 1, Specials::None);
/// bfloat16: the upper half of FP32.
pub const BF16: Scalar = Scalar::float("bf16", 8, 7, 127, Specials::Ieee);
/// IEEE 754 binary16.
pub const FP16: Scalar = Scalar::float("fp16", 5, 10, 15, Specials::Ieee);

/// Every format.
pub static ALL: &[Format] = &[
    scalar("fp32", FP32, "IEEE 754-2019, binary32"),
    scalar("bf16", BF16, "bfloat16: binary32 cut to 8 significant bits"),
    scalar("fp16", FP16, "IEEE 754-2019, binary16"),
    int("int8", Scalar::integer("int8", 8, 0)),
    int("int4", Scalar::integer("int4", 4, 0)),
    mx("mxfp8", &["mxfp8-e4m3"], E4M3),
    mx("mxfp8-e5m2", &[], E5M2),
    mx("mxfp6", &["mxfp6-e2m3"], E2M3),
    mx("mxfp6-e3m2", &[], E3M2),
    mx("mxfp4", &["mxfp4-e2m1"], E2M1),
    mx("mxint8", &[], Scalar::integer("int8.6", 8, 6)),
    hbfp("hbfp8", Scalar::integer("int8", 8, 0)),
    hbfp("hbfp6", Scalar::integer("int6", 6, 0)),
    hbfp("hbfp4", Scalar::integer("int4", 4, 0)),
];

/// A scalar format: IEEE rounding and IEEE overflow, no scale.
const fn scalar(name: &'static str, element: Scalar, source: &'static str) -> Format {
    Format { scaling: None, overflow: Overflow::Special, ..symmetric(name, &[], element, source) }
}

/// OCP MX: 32 elements along K under one power of two.
const fn mx(name: &'static str, aliases: &'static [&'static str], element: Scalar) -> Format {
    let scaling = Scaling { block: Block::Run(32), scale: Scale::E8M0, rule: ScaleRule::Floor };
    Format { scaling: Some(scaling), ..symmetric(name, aliases, element, OCP) }
}

/// HBFP: 64 elements along K under one 10-bit exponent.
const fn hbfp(name: &'static str, element: Scalar) -> Format {
    let scaling = Scaling { block: Block::Run(64), scale: Scale::Exponent(10), rule: ScaleRule::Enclosing };
    Format { scaling: Some(scaling), ..symmetric(name, &[], element, HBFP) }
}

/// Symmetric absmax integers with one FP32 scale a row.
const fn int(name: &'static str, element: Scalar) -> Format {
    let scaling = Scaling { block: Block::Row, scale: Scale::Float32, rule: ScaleRule::AbsMax };
    Format { scaling: Some(scaling), ..symmetric(name, &[], element, "symmetric absmax, one FP32 scale a row") }
}

/// What all of these have in common.
const fn symmetric(
    name: &'static str,
    aliases: &'static [&'static str],
    element: Scalar,
    source: &'static str,
) -> Format {
    Format {
        name,
        aliases,
        element,
        scaling: None,
        rounding: Rounding::NearestEven,
        overflow: Overflow::Saturate,
        theorem_3_5: true,
        source,
    }
}
