//! Evaluation: perplexity, classification and embeddings of texts.
//!
//! An evaluation runs on anything that is a [`Runner`]; it does not know formats or machines. Losses are computed in `f64` from
//! `f32` logits.

mod classification;
pub mod input;
mod perplexity;
mod runner;
mod similarity;
mod stats;

pub use classification::{Classification, Logits, logits};
pub use perplexity::{Perplexity, perplexity, windows};
pub use runner::{Eager, Runner, for_each_logits};
pub use similarity::embeddings;
pub use stats::{Estimate, log_sum_exp};
