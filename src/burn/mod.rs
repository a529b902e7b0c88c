//! The only part of the project, beside the zoo's modules and their training, that names Burn.

mod attention;
mod backend;
mod block;
mod broadcast;
mod capture;
mod conv;
mod correction;
mod differentiate;
pub(crate) mod emulator;
mod executor;
mod ghost;
#[cfg(feature = "wgpu")]
mod gpu;
mod hook;
mod host;
mod names;
mod pool;
mod product;
pub mod quantized;
mod stage;
mod store;
mod unit;
mod units;
pub(crate) mod value;

pub use backend::Backend;
#[cfg(feature = "wgpu")]
pub use backend::wgpu::gpu_reads;
pub(crate) use block::Block;
pub use block::Linear;
pub use capture::{Captured, Parameter, capture, capture_named};
pub use differentiate::{Derivative, Loss, Replacement};
pub use hook::{Hook, Off};
pub use host::Host;
pub(crate) use pool::Pool;
pub use product::{Product, Role};
pub use stage::{Activation, Piece, Stage};
pub use units::{Observed, Observer, Placement, Units};
pub use value::Boundary;
