//! How real kernels lay codes and scales out in memory, as pure functions on bytes.
//!
//! [`CodeLayout`] places codes (one a byte, in the low bits, as [`Codes::U8`](crate::Codes::U8) holds them) and takes
//! them back; [`swizzle_scales`] does the same for the scales of block formats. Both ways are exact: what comes back is
//! what was given, and bytes that no store would have written are refused, with the one exception that
//! [`unswizzle_scales`] states. [`KernelLayout`] lists them by name.

mod codes;
mod scales;

pub use codes::{CodeLayout, Container, NibbleOrder};
pub use scales::{swizzle_scales, swizzled_len, unswizzle_scales};

use crate::Error;
use serde::Serialize;

/// A layout by name: what it holds, whose data it is and where its definition comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct KernelLayout {
    /// The name by which it is chosen.
    pub name: &'static str,
    /// What is laid out.
    pub holds: Holds,
    /// The elements or scales, and the kernels that read them so.
    pub applies_to: &'static str,
    /// Where the definition comes from.
    pub source: &'static str,
}

/// What a [`KernelLayout`] lays out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Holds {
    /// Codes: [`CodeLayout::store`] and [`CodeLayout::load`].
    Codes(CodeLayout),
    /// One-byte scales of blocks along K: [`swizzle_scales`] and [`unswizzle_scales`].
    Scales,
}

const PTX_CONTAINER: &str = "CUTLASS, include/cute/atom/mma_traits_sm120.hpp, fp4_shift_A: 0b0000ABCD to 0b00ABCD00 for \
                             e2m1, no shift for 6 and 8 bits; PTX ISA, mma kinds f8f6f4 and mxf8f6f4";

const LAYOUTS: [KernelLayout; 7] = [
    KernelLayout {
        name: "fp4-low-first",
        holds: Holds::Codes(CodeLayout::Nibbles(NibbleOrder::LowFirst)),
        applies_to: "e2m1 of MXFP4 and NVFP4 in memory; operands of kinds mxf4 and mxf4nvf4",
        source: "PyTorch float4_e2m1fn_x2 (test_matmul_cuda.py, pack_uint4), TransformerEngine NVFP4 tensors: the even \
                 index in the low nibble",
    },
    KernelLayout {
        name: "fp4-high-first",
        holds: Holds::Codes(CodeLayout::Nibbles(NibbleOrder::HighFirst)),
        applies_to: "e2m1 written as the pair (a, b) by cvt.e2m1x2; checkpoints of torchao whose pack_uint4 shifts the \
                     even index up",
        source: "PTX ISA, cvt: the first source operand goes to the upper half of an x2 destination",
    },
    KernelLayout {
        name: "fp6-packed",
        holds: Holds::Codes(CodeLayout::Sextets),
        applies_to: "e2m3 and e3m2 in memory: four codes in three bytes, least significant bit first",
        source: "CUTLASS subbyte arrays of float_e2m3_t and float_e3m2_t; the bit string of this crate's `pack`",
    },
    KernelLayout {
        name: "ptx-e2m1",
        holds: Holds::Codes(CodeLayout::Container(Container::E2M1)),
        applies_to: "e2m1 in registers of mma.sync kinds f8f6f4 and mxf8f6f4: bits 5..2 of a byte",
        source: PTX_CONTAINER,
    },
    KernelLayout {
        name: "ptx-fp6",
        holds: Holds::Codes(CodeLayout::Container(Container::Fp6)),
        applies_to: "e2m3 and e3m2 in registers of mma.sync kinds f8f6f4 and mxf8f6f4: bits 5..0 of a byte",
        source: PTX_CONTAINER,
    },
    KernelLayout {
        name: "ptx-fp8",
        holds: Holds::Codes(CodeLayout::Container(Container::Fp8)),
        applies_to: "e4m3 and e5m2 everywhere: the whole byte",
        source: PTX_CONTAINER,
    },
    KernelLayout {
        name: "scales-128x4",
        holds: Holds::Scales,
        applies_to: "e8m0 and ue4m3 scales of block-scaled products on Blackwell (cuBLAS, cuDNN F8_128x4, CUTLASS)",
        source: "cuBLAS documentation, 1D block scaling factors layout; torchao mx_formats/utils.py, to_blocked",
    },
];

impl KernelLayout {
    /// Every layout, codes first.
    pub fn all() -> &'static [Self] {
        &LAYOUTS
    }

    /// The layout of this name.
    ///
    /// # Errors
    /// [`Error::UnknownLayout`] with the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        LAYOUTS.iter().find(|l| l.name == name).ok_or_else(|| {
            let near = LAYOUTS.iter().map(|l| l.name).min_by_key(|l| strsim::damerau_levenshtein(l, name));
            Error::UnknownLayout { given: name.to_owned(), nearest: near.unwrap_or_default() }
        })
    }
}
