//! Evaluation: perplexity, multiple choice, classification and similarity.
//!
//! An evaluation runs on anything that is a [`Runner`]; it does not know formats or machines. Losses are computed in `f64` from
//! `f32` logits.

mod classification;
mod embedding;
pub mod input;
mod perplexity;
mod protocol;
mod runner;
pub mod similarity;
mod stats;
pub mod tasks;

pub use classification::{Classification, Logits, logits};
pub use embedding::embeddings;
pub use perplexity::{Perplexity, perplexity, predicted, strided_perplexity, strided_windows, windows};
pub use protocol::{PROTOCOLS, Protocol};
pub use runner::{Eager, Runner, for_each_logits, waiting_bytes};
pub use stats::{Estimate, Scale, log_sum_exp};
