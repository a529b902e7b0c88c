//! The plug of the simulator into Burn.
//!
//! A Burn model is captured into its operation graph; an executor runs the graph and sends every matrix product through a
//! modelled datapath, with weights and activations in a modelled format. Everything else runs on the fixed host,
//! with the same bits on every machine, or on Burn's own CPU backend as Burn computes it ([`burn::Host`]).
//!
//! This crate does not define formats ([`interplay_formats`]) nor machines ([`interplay_hw`]), prints nothing, and parses no
//! command line.

pub mod burn;
pub mod catalogue;
pub mod compression;
pub mod emu;
mod error;
pub mod eval;
pub mod files;
pub mod load;
pub mod models;
pub mod plan;
pub mod session;
pub mod train;

pub use error::Error;
pub use {interplay_compress as compress, interplay_formats as formats, interplay_hw as hw};
