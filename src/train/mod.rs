//! Training of the models that the repository ships: data, tokenizer, baseline, loop and files.
//!
//! Nothing here prints or parses a command line; progress goes through callbacks. The same seed and the same texts give the
//! same bytes on the same machine, whatever the number of threads.
#![allow(clippy::disallowed_methods, reason = "training is Burn's and depends on the machine")]

use serde::{Deserialize, Serialize};

pub mod bpe;
pub mod digits;
pub mod engine;
pub mod export;
pub mod finetune;
pub mod initial;
pub mod kneser_ney;
pub mod lm;
pub mod lm_folder;
pub mod loss;
pub mod random;
pub mod text;
pub mod vit;
pub mod vit_folder;

/// One look at the held-out data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Steps done.
    pub step: usize,
    /// Mean training loss since the last look, nats.
    pub train_loss: f64,
    /// Mean held-out loss, nats.
    pub held_out_loss: f64,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The held-out loss, at the steps that looked at it.
    pub point: Option<Point>,
}

/// A loss curve as CSV with a header.
pub fn loss_csv(curve: &[Point]) -> String {
    let mut csv = String::from("step,train_loss_nats,held_out_loss_nats\n");
    for Point { step, train_loss, held_out_loss } in curve {
        csv.push_str(&format!("{step},{train_loss:.6},{held_out_loss:.6}\n"));
    }
    csv
}

/// The versions that a record names.
pub(crate) fn versions() -> serde_json::Value {
    serde_json::json!({ "interplay": env!("CARGO_PKG_VERSION"), "burn": "0.22.1", "tokenizers": "0.22.2" })
}
