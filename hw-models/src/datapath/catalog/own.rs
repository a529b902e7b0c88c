//! This project's own datapaths: definitions that need no machine.

use super::build::{NEAREST_FP32, S32, round};
use crate::datapath::record::{
    Accumulator, Arm, Datapath, ElementExponent, Group, Inputs, Joins, Nan, Node, Order, Overflow, Product, Proof,
    Subnormals, Sum, Zero,
};
use interplay_formats::{Rounding, Scalar, scalar};

/// All of them, in the order of listings.
pub(super) static ALL: [&Datapath; 5] = [&FAKE, &IDEAL, &FP32, &INT8, &BLOCK];

/// Where the definitions stand.
const SOURCE: &str = "defined by this project";

/// All positions of an instruction in one step.
const WHOLE: Order = Order { group: Group::All, classes: &[], joins: Joins::First };

/// FP32 results with IEEE 754's zeros.
const fn accumulator(d: Scalar) -> Accumulator {
    Accumulator { c: d, d, subnormals: Subnormals::Kept, nan: Nan::Quiet, zero: Zero::Ieee }
}

/// Products and accumulator, exactly, rounded once to FP32.
const FUSED: Sum =
    Sum { arms: &[Arm::exact(Node::PRODUCTS), Arm::exact(Node::Accumulator)], align: None, round: &[NEAREST_FP32] };

/// No unit: the host's own matmul on dequantised values.
pub(crate) static FAKE: Datapath = Datapath {
    name: "fake",
    about: "quantise, dequantise, and let the host multiply in FP32: no accelerator arithmetic",
    source: SOURCE,
    proof: Proof::Definition,
    inputs: Inputs::Host,
    depths: &[],
    order: WHOLE,
    product: Product::EXACT,
    sum: &FUSED,
    accumulator: accumulator(scalar::FP32),
    macs_per_cycle: None,
};

/// The best that any unit with an FP32 output can do.
static IDEAL: Datapath = Datapath {
    name: "ideal",
    about: "exact sum of exact products, rounded once to FP32",
    inputs: Inputs::Values,
    ..FAKE
};

/// One FP32 fused multiply-add unit for each output.
pub(crate) static FP32: Datapath = Datapath {
    name: "fp32",
    about: "FP32 fused multiply-adds, k increasing",
    inputs: Inputs::Values,
    order: Order { group: Group::Of(1), ..WHOLE },
    ..FAKE
};

/// Integer multiply-accumulate with scales applied at the end.
pub(crate) static INT8: Datapath = Datapath {
    name: "int8",
    about: "exact 32-bit integer sum, then one FP32 scale a row and a column",
    inputs: Inputs::Integers,
    sum: &Sum { round: &[round(S32, Rounding::NearestEven, Overflow::Error)], ..FUSED },
    accumulator: Accumulator { zero: Zero::Positive, ..accumulator(S32) },
    ..FAKE
};

/// Block dot products with a shared exponent, converted and accumulated in FP32.
pub(crate) static BLOCK: Datapath = Datapath {
    name: "block",
    about: "exact sum in each block, scaled, rounded to FP32 and added in FP32",
    inputs: Inputs::Blocks(ElementExponent::Own),
    order: Order { group: Group::Block, ..WHOLE },
    sum: &Sum {
        arms: &[
            Arm::exact(Node::Accumulator),
            Arm::exact(Node::Sum(&Sum { arms: &[Arm::exact(Node::PRODUCTS)], align: None, round: &[NEAREST_FP32] })),
        ],
        align: None,
        round: &[NEAREST_FP32],
    },
    ..FAKE
};
