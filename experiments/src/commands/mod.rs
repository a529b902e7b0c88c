//! One file a command.

pub mod eval;
pub mod fetch;
pub mod format;
pub mod list;
pub mod logits;
pub mod train;
