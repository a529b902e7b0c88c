//! Every named format, one entry each. A new format is a new entry; laws, tests and listings loop over [`ALL`].
//!
//! A wrong record does not compile. Families with a number in the name (`hbfp5-b16`) are in `family`.

use crate::scalar::{FP32, FP64, Range, Scalar, Sign, Specials};
use crate::{Block, Format, Input, Laws, NonFinite, Overflow, Rounding, Scale, ScaleRule, Scaling};

const OCP_FP8: &str = "OCP 8-bit Floating Point Specification (OFP8) 1.0";
const OCP: &str = "OCP Microscaling Formats (MX) v1.0, sections 5 and 6.3";
const FNUZ: &str = "Noune et al., arXiv 2206.02915; the FP8 formats of CDNA3";
const HBFP: &str = "Drumond et al., NeurIPS 2018, block floating point; exact exponent, 64 elements a block";
const HBFP_COMPAT: &str = "HBFPEmulator: ceil(log2(amax + 1e-8)) in FP32, 64 elements a block";
const MSFP: &str = "Rouhani et al., NeurIPS 2020, Microsoft floating point; nearest even, 16 elements a block";
const MX9: &str = "Rouhani et al., ISCA 2023, shared microexponents: 16 elements, one bit a pair; nearest even";
const PAPER: &str = "arXiv 2405.20935, released code: bf16 values, half away from zero";
const TE: &str = "TransformerEngine, NVFP4 reference quantiser";
const TORCHAO: &str = "torchao 0.15, nvfp4_quantize";
const SIX: &str = "arXiv 2512.02010, as in TransformerEngine's reference quantiser";

/// OCP FP8 E4M3: no infinity, one NaN a sign.
pub const E4M3: Scalar = Scalar::float("e4m3", 4, 3, 7, Specials::NanOnly);
/// OCP FP8 E5M2: IEEE-like.
pub const E5M2: Scalar = Scalar::float("e5m2", 5, 2, 15, Specials::Ieee);
/// E4M3 with one NaN and without -0, bias 8.
pub const E4M3FNUZ: Scalar = Scalar::float("e4m3fnuz", 4, 3, 8, Specials::Fnuz);
/// E5M2 with one NaN and without -0, bias 16.
pub const E5M2FNUZ: Scalar = Scalar::float("e5m2fnuz", 5, 2, 16, Specials::Fnuz);
/// E4M3 with one NaN and without -0, bias 11.
pub const E4M3B11FNUZ: Scalar = Scalar::float("e4m3b11fnuz", 4, 3, 11, Specials::Fnuz);
/// E3M4: IEEE-like.
pub const E3M4: Scalar = Scalar::float("e3m4", 3, 4, 3, Specials::Ieee);
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
/// NVIDIA's TF32: FP32 with 10 fraction bits.
pub const TF32: Scalar = Scalar::float("tf32", 8, 10, 127, Specials::Ieee);
/// OCP's scale: a power of two, no sign, no zero.
pub const E8M0: Scalar = Scalar::any_float("e8m0", Sign::Unsigned, 8, 0, 127, Specials::NanOnly, false);
/// NVFP4's scale: E4M3 whose sign bit means nothing.
pub const UE4M3: Scalar = Scalar::any_float("ue4m3", Sign::Ignored, 4, 3, 7, Specials::NanOnly, true);
/// A proposed scale: the sign bit of UE4M3 as a fifth exponent bit.
pub const UE5M3: Scalar = Scalar::any_float("ue5m3", Sign::Unsigned, 5, 3, 15, Specials::NanOnly, true);

/// Every format.
pub static ALL: &[Format] = FORMATS;

/// FP32: what is stored where nothing was quantised.
pub(crate) const FP32_FORMAT: &Format = &FORMATS[0];

/// A `const`, so that the check below can read it.
const FORMATS: &[Format] = &[
    identity("fp32", FP32, "IEEE 754-2019, binary32"),
    identity("fp64", FP64, "IEEE 754-2019, binary64"),
    ieee("tf32", TF32, "PTX ISA, .tf32: binary32 cut to 11 significant bits"),
    ieee("bf16", BF16, "bfloat16: binary32 cut to 8 significant bits"),
    ieee("fp16", FP16, "IEEE 754-2019, binary16"),
    scalar("e4m3", &["e4m3fn", "fp8"], E4M3, OCP_FP8),
    scalar("e5m2", &[], E5M2, OCP_FP8),
    scalar("e4m3fnuz", &[], E4M3FNUZ, FNUZ),
    scalar("e5m2fnuz", &[], E5M2FNUZ, FNUZ),
    scalar("e4m3b11fnuz", &[], E4M3B11FNUZ, "Sun et al., NeurIPS 2019, hybrid FP8; as in ml_dtypes"),
    scalar("e3m4", &[], E3M4, "IEEE-like E3M4, as in ml_dtypes"),
    scalar("e2m3", &[], E2M3, OCP),
    scalar("e3m2", &[], E3M2, OCP),
    scalar("e2m1", &[], E2M1, OCP),
    power("e8m0", E8M0, OCP),
    scalar("ue4m3", &[], UE4M3, "PTX ISA, .ue4m3: the scale of NVFP4"),
    scalar("ue5m3", &[], UE5M3, "arXiv 2601.19026, the scale that needs no tensor scale"),
    int("int8", 8, Block::Row),
    int("int4", 4, Block::Row),
    int("int8-tensor", 8, Block::Tensor),
    int("int8-feature", 8, Block::Column),
    int("int4-g32", 4, Block::Run(32)),
    int("int4-g64", 4, Block::Run(64)),
    int("int4-g128", 4, Block::Run(128)),
    grid("int8-asym", 8, Block::Row, ScaleRule::MinMax),
    grid("int8-asym-tensor", 8, Block::Tensor, ScaleRule::MinMax),
    grid("int4-asym", 4, Block::Row, ScaleRule::MinMax),
    grid("int4-asym-g32", 4, Block::Run(32), ScaleRule::MinMax),
    grid("int4-asym-g128", 4, Block::Run(128), ScaleRule::MinMax),
    grid("gptq-int4", 4, Block::Row, ScaleRule::HalfGrid),
    mx("mxfp8", &["mxfp8-e4m3"], E4M3),
    mx("mxfp8-e5m2", &[], E5M2),
    mx("mxfp6", &["mxfp6-e2m3"], E2M3),
    mx("mxfp6-e3m2", &[], E3M2),
    mx("mxfp4", &["mxfp4-e2m1"], E2M1),
    mx("mxint8", &[], Scalar::integer("int8.6", 8, 6)),
    mx("mxint4", &[], Scalar::integer("int4.2", 4, 2)),
    mx("mxint2", &[], Scalar::integer("int2.0", 2, 0)),
    nvfp4("nvfp4", &["nvfp4-te"], Block::Run(16), ScaleRule::Nvfp4Te, true, TE),
    nvfp4("nvfp4-te-16x16", &[], Block::Tile { rows: 16, k: 16 }, ScaleRule::Nvfp4Te, true, TE),
    nvfp4("nvfp4-torchao", &[], Block::Run(16), ScaleRule::Nvfp4TorchAo, true, TORCHAO),
    nvfp4("nvfp4-torchao-one-level", &[], Block::Run(16), ScaleRule::Nvfp4TorchAo, false, TORCHAO),
    nvfp4("nvfp4-cudnn", &[], Block::Run(16), ScaleRule::Nvfp4CuDnn, false, "cuDNN, block scale quantise"),
    nvfp4("nvfp4-four-over-six", &["nvfp4-four-over-six-mae"], Block::Run(16), ScaleRule::FourOverSixMae, true, SIX),
    nvfp4("nvfp4-four-over-six-mse", &[], Block::Run(16), ScaleRule::FourOverSixMse, true, SIX),
    hbfp("hbfp8", 8, 64, 10),
    hbfp("hbfp6", 6, 64, 10),
    hbfp("hbfp4", 4, 64, 10),
    compat_hbfp("compat-hbfp8", 8),
    compat_hbfp("compat-hbfp6", 6),
    compat_hbfp("compat-hbfp4", 4),
    msfp("msfp16", 8),
    msfp("msfp12", 4),
    micro("mx9", 8),
    micro("mx6", 5),
    micro("mx4", 3),
    paper_mx("interplay-mxfp8", E4M3),
    paper_mx("interplay-mxfp6", E2M3),
    Format {
        activations: Some("interplay-int8-feature"),
        ..grid("interplay-int8", 8, Block::Row, ScaleRule::HalfGrid)
    },
    grid("interplay-int8-feature", 8, Block::Column, ScaleRule::HalfGrid),
    Format { source: PAPER_HBFP, ..compat_hbfp("interplay-hbfp8", 8) },
    Format { source: PAPER_HBFP, ..compat_hbfp("interplay-hbfp6", 6) },
    Format { source: PAPER_HBFP, ..compat_hbfp("interplay-hbfp4", 4) },
];

const PAPER_HBFP: &str = "arXiv 2405.20935, released code with deterministic rounding; @stochastic for its scripts";

const _: () = {
    let mut i = 0;
    while i < FORMATS.len() {
        assert!(FORMATS[i].problem().is_none(), "an impossible record");
        i += 1;
    }
};

/// What most formats have in common: symmetric, nearest even, saturating.
const fn base(name: &'static str, element: Scalar, source: &'static str) -> Format {
    Format {
        name,
        aliases: &[],
        element,
        scaling: None,
        input: None,
        rounding: Rounding::NearestEven,
        overflow: Overflow::Saturate,
        non_finite: NonFinite::Refuse,
        activations: None,
        laws: Laws { theorem_3_5: true, idempotent: true, scale_invariant: false, permutation_invariant: true },
        source,
    }
}

/// A scalar format that saturates.
pub(crate) const fn scalar(
    name: &'static str,
    aliases: &'static [&'static str],
    element: Scalar,
    source: &'static str,
) -> Format {
    Format { aliases, non_finite: NonFinite::Encode, ..base(name, element, source) }
}

/// A scalar format with IEEE overflow.
const fn ieee(name: &'static str, element: Scalar, source: &'static str) -> Format {
    Format { overflow: Overflow::Infinity, ..scalar(name, &[], element, source) }
}

/// A scalar format that holds every FP32 number.
const fn identity(name: &'static str, element: Scalar, source: &'static str) -> Format {
    Format { laws: LAWFUL, ..ieee(name, element, source) }
}

/// A scalar format without zero.
const fn power(name: &'static str, element: Scalar, source: &'static str) -> Format {
    let base = scalar(name, &[], element, source);
    Format { laws: Laws { theorem_3_5: false, ..base.laws }, ..base }
}

/// A scaled format.
const fn scaled(name: &'static str, element: Scalar, scaling: Scaling, laws: Laws, source: &'static str) -> Format {
    Format { scaling: Some(scaling), laws, ..base(name, element, source) }
}

/// Every law holds.
const LAWFUL: Laws = Laws { theorem_3_5: true, idempotent: true, scale_invariant: true, permutation_invariant: true };

/// OCP MX: 32 elements along K under one power of two.
const fn mx(name: &'static str, aliases: &'static [&'static str], element: Scalar) -> Format {
    let scaling = Scaling { block: Block::Run(32), scale: Scale::E8M0, rule: ScaleRule::Floor, two_level: false };
    Format { aliases, non_finite: NonFinite::NanBlock, ..scaled(name, element, scaling, LAWFUL, OCP) }
}

/// The paper's MX: microxcaling with bf16 values and halves away from zero.
const fn paper_mx(name: &'static str, element: Scalar) -> Format {
    let input = Some(Input { scalar: BF16, rounding: Rounding::NearestAway });
    Format { input, rounding: Rounding::NearestAway, source: PAPER, ..mx(name, &[], element) }
}

/// NVFP4: E2M1 elements under UE4M3 scales.
const fn nvfp4(
    name: &'static str,
    aliases: &'static [&'static str],
    block: Block,
    rule: ScaleRule,
    two_level: bool,
    source: &'static str,
) -> Format {
    let scaling = Scaling { block, scale: Scale::Code(UE4M3), rule, two_level };
    let theorem_3_5 = !matches!(rule, ScaleRule::FourOverSixMae | ScaleRule::FourOverSixMse);
    // Where a tensor scale absorbs powers of two, block scales do not see them.
    let idempotent = matches!(rule, ScaleRule::Nvfp4TorchAo);
    let laws = Laws { theorem_3_5, idempotent, scale_invariant: two_level, permutation_invariant: theorem_3_5 };
    Format { aliases, ..scaled(name, E2M1, scaling, laws, source) }
}

/// HBFP: a run along K under one exponent of `exponent_bits`.
pub(crate) const fn hbfp(name: &'static str, bits: u32, block: usize, exponent_bits: u32) -> Format {
    let scale = Scale::Exponent(exponent_bits);
    let scaling = Scaling { block: Block::Run(block), scale, rule: ScaleRule::Enclosing, two_level: false };
    scaled(name, signed(bits), scaling, Laws { idempotent: false, ..LAWFUL }, HBFP)
}

/// HBFP as the official emulator computes it.
const fn compat_hbfp(name: &'static str, bits: u32) -> Format {
    let scale = Scale::Exponent(10);
    let scaling = Scaling { block: Block::Run(64), scale, rule: ScaleRule::EnclosingLog2, two_level: false };
    let laws = Laws { idempotent: false, scale_invariant: false, ..LAWFUL };
    scaled(name, signed(bits), scaling, laws, HBFP_COMPAT)
}

/// MSFP: 16 elements along K under one 8-bit exponent.
const fn msfp(name: &'static str, bits: u32) -> Format {
    let scale = Scale::Exponent(8);
    let scaling = Scaling { block: Block::Run(16), scale, rule: ScaleRule::Above, two_level: false };
    scaled(name, signed(bits), scaling, LAWFUL, MSFP)
}

/// Shared microexponents: 16 elements under one 8-bit exponent, one bit a pair.
const fn micro(name: &'static str, bits: u32) -> Format {
    let scale = Scale::Micro { run: 2 };
    let scaling = Scaling { block: Block::Run(16), scale, rule: ScaleRule::Above, two_level: false };
    scaled(name, signed(bits), scaling, Laws { permutation_invariant: false, ..LAWFUL }, MX9)
}

/// Symmetric integers under one FP32 factor.
pub(crate) const fn int(name: &'static str, bits: u32, block: Block) -> Format {
    let scaling = Scaling { block, scale: Scale::Float32, rule: ScaleRule::AbsMax, two_level: false };
    // Groups along K prune the largest magnitude of a column, which spans other groups.
    let laws = Laws { theorem_3_5: !matches!(block, Block::Column), ..LAWFUL };
    scaled(name, signed(bits), scaling, laws, "symmetric absmax integers: fl32(amax / largest), nearest even")
}

/// Unsigned integers under an FP32 factor and a zero point.
pub(crate) const fn grid(name: &'static str, bits: u32, block: Block, rule: ScaleRule) -> Format {
    let scaling = Scaling { block, scale: Scale::Affine(bits), rule, two_level: false };
    let laws = Laws { theorem_3_5: false, idempotent: false, scale_invariant: true, permutation_invariant: true };
    let element = Scalar::ranged(unsigned_name(bits), Range::Unsigned, bits, 0);
    let source = match rule {
        ScaleRule::HalfGrid => "SparseGPT's and GPTQ's symmetric quantiser, as arXiv 2405.20935 uses it",
        _ => "GPTQ's asymmetric quantiser: min and max with zero, nearest even",
    };
    scaled(name, element, scaling, laws, source)
}

/// A symmetric integer element.
const fn signed(bits: u32) -> Scalar {
    const NAMES: [&str; 17] = [
        "", "", "int2", "int3", "int4", "int5", "int6", "int7", "int8", "int9", "int10", "int11", "int12", "int13",
        "int14", "int15", "int16",
    ];
    Scalar::integer(NAMES[bits as usize], bits, 0)
}

/// The name of an unsigned integer element.
const fn unsigned_name(bits: u32) -> &'static str {
    const NAMES: [&str; 9] = ["", "uint1", "uint2", "uint3", "uint4", "uint5", "uint6", "uint7", "uint8"];
    NAMES[bits as usize]
}
