#![doc = include_str!("../README.md")]
//!
//! ## Invariants
//!
//! Two halves; cost asks datapaths only which unit two formats call for:
//! * [`Datapath`] computes `y = x w^T` on [`Operand`]s bit for bit as a unit's definition says;
//! * [`cost`](mod@cost) counts cycles, bits moved and operations of the same product on an [`Accelerator`], and prices them.
//!
//! [`identify`](mod@identify) asks the other way round: which datapath gave these results?
//!
//! In both a machine is a record and one function interprets all records. Nothing here knows of models, of Burn or of
//! files.
#![deny(unsafe_code)]

pub mod bench;
pub mod cost;
pub mod datapath;
pub mod exact;
pub mod explain;
pub mod host;
pub mod identify;
#[doc(hidden)]
pub mod judge;
pub mod scalesim;
pub mod verify;

mod error;
mod kernel;
mod names;

pub use cost::{
    Accelerator, Band, Bits, Cost, CycleModel, Cycles, Figures, Gemm, Layer, LayerCost, PriceList, Ratio, Workload,
    cost,
};
pub use datapath::{Datapath, Operand, Row, Weights};
pub use error::Error;
pub use explain::{explain, explain_against};
pub use identify::{identify, identify_words};
pub use kernel::simd::Path;
pub use verify::{Operands, Words, verify, verify_with};
