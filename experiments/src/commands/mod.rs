//! One file a command.

pub mod bench;
pub mod define;
pub mod dequantize;
pub mod dot;
pub mod eval;
pub mod explain;
pub mod fetch;
pub mod format;
pub mod identify;
pub mod list;
pub mod logits;
pub mod quantize;
pub mod sparsify;
pub mod tensors;
pub mod train;
pub mod vectors;
pub mod verify;

use anyhow::Result;
use interplay_hw::Datapath;

/// The datapath that a command was asked for.
///
/// # Errors
/// There is none of this name.
pub fn datapath(name: &str) -> Result<&'static Datapath> {
    Ok(Datapath::by_name(name)?)
}
