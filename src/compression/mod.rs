//! Compression of models: what `interplay_compress` does to single layers, driven block by block.

mod learned;

pub use learned::{BlockLoss, Sample};
