//! For users of SCALE-Sim 3.0.0: its configuration and topology files in, its four reports out, from closed forms.
//!
//! Text in, text out; nothing here reads or writes files. What SCALE-Sim simulates without stalls is given to the last
//! digit that a closed form has: cycles, counts and start and stop cycles exactly, averages over folds up to the
//! rounding of its sums. What depends on its stall model, or on patterns drawn at random, is `n/a`, and a note says why.
//!
//! ```
//! let config = "[architecture_presets]
//! ArrayHeight = 8
//! ArrayWidth = 4
//! IfmapSramSzkB = 64
//! FilterSramSzkB = 64
//! OfmapSramSzkB = 64
//! Dataflow = ws
//! ";
//! let reports = interplay_hw::scalesim::run(config, "Layer, M, N, K,\nfirst, 16, 24, 40,\n")?;
//! let (name, text) = &reports.files[0];
//! assert_eq!(*name, "COMPUTE_REPORT.csv");
//! assert!(text.ends_with("0, 1629, 1019, 0, 47.10500490677134, 100.0, 43.24324324324324,\n"));
//! # Ok::<(), interplay_hw::Error>(())
//! ```

mod cell;
mod config;
mod memory;
mod report;
mod topology;

pub use cell::Cell;
pub use report::{LayerReport, Report};

use crate::Error;
use serde::Serialize;

/// The reports of one run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reports {
    /// `run_name`, the folder into which SCALE-Sim writes them.
    pub run_name: String,
    /// File names and texts: COMPUTE_, BANDWIDTH_, DETAILED_ACCESS_ and, where sparsity is on, SPARSE_REPORT.csv.
    #[serde(skip)]
    pub files: Vec<(&'static str, String)>,
    /// The same by layer.
    pub layers: Vec<LayerReport>,
    /// What was ignored, and why figures are `n/a`.
    pub notes: Vec<String>,
}

/// Reads a `.cfg` and a topology, of convolutions or of matrix products, and reports on every layer.
///
/// DIFFERENCE: sections that SCALE-Sim demands without using them may be missing, as may the comma at a line's end; the
/// kind of topology is told from its header instead of a flag.
///
/// # Errors
/// [`Error::Scalesim`] with the line, [`Error::TooLarge`].
pub fn run(cfg: &str, topology: &str) -> Result<Reports, Error> {
    let (config, mut notes) = config::Config::read(cfg)?;
    let layers = topology::read(topology)?;
    let layers: Vec<LayerReport> =
        layers.iter().enumerate().map(|(id, layer)| report::layer(id, layer, &config)).collect::<Result<_, _>>()?;
    if config.sparsity.is_some() {
        notes.push("Overall Util % is that of the dense product, as SCALE-Sim has it, and may exceed 100".into());
    }
    for reason in layers.iter().flat_map(|layer| &layer.unknown) {
        if !notes.contains(reason) {
            notes.push(reason.clone());
        }
    }
    Ok(Reports { run_name: config.run_name, files: report::files(&layers), layers, notes })
}

/// An error in one of the two texts.
fn wrong(input: &'static str, line: Option<usize>, problem: impl Into<String>) -> Error {
    Error::Scalesim { input, line, problem: problem.into() }
}
