//! One file a command.

pub mod bench;
pub mod compress;
pub mod cost;
pub mod define;
pub mod dequantize;
pub mod dot;
pub mod eval;
pub mod explain;
pub mod fetch;
pub mod figures;
pub mod finetune;
pub mod format;
pub mod identify;
pub mod list;
pub mod logits;
pub mod merge;
pub mod quantize;
pub mod sparsify;
pub mod study;
pub mod sweep;
pub mod tasks;
pub mod tensors;
pub mod trace;
pub mod train;
pub mod vectors;
pub mod verify;
