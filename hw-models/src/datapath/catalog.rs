//! Every named datapath, one record each.

use super::{Arithmetic, Datapath, Overflow};

/// All of them, in the order of listings.
pub(super) static ALL: [&Datapath; 5] = [&FAKE, &IDEAL, &FP32, &INT8, &BLOCK];

/// No unit: the host's own matmul on dequantised values.
pub(super) static FAKE: Datapath = Datapath {
    name: "fake",
    arithmetic: Arithmetic::Host,
    about: "quantise, dequantise, and let the host multiply in FP32: no accelerator arithmetic",
};

/// The best that any unit with an FP32 output can do.
static IDEAL: Datapath = Datapath {
    name: "ideal",
    arithmetic: Arithmetic::Exact,
    about: "exact sum of exact products, rounded once to FP32",
};

/// One FP32 fused multiply-add unit for each output.
pub(super) static FP32: Datapath =
    Datapath { name: "fp32", arithmetic: Arithmetic::FmaChain, about: "FP32 fused multiply-adds, k increasing" };

/// Integer multiply-accumulate with scales applied at the end.
pub(super) static INT8: Datapath = Datapath {
    name: "int8",
    arithmetic: Arithmetic::Integer { overflow: Overflow::Error },
    about: "exact 32-bit integer sum, then one FP32 scale a row and a column",
};

/// Block dot products with a shared exponent, converted and accumulated in FP32.
pub(super) static BLOCK: Datapath = Datapath {
    name: "block",
    arithmetic: Arithmetic::Block,
    about: "exact sum in each block, scaled, rounded to FP32 and added in FP32",
};
