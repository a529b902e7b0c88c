//! Compression of a whole language model: calibration, a recipe block by block, and what becomes of it.
//!
//! [`compress`] drives; the methods themselves are in `interplay-compress` and know single layers. What a recipe leaves can be run by a
//! [`Session`](crate::session::Session) on every datapath ([`Compressed::plan`]) or saved ([`Export`]).

mod calibration;
mod export;
mod finished;
mod folder;
mod learned;
mod memory;
mod report;
mod run;
mod steps;
mod structure;
mod work;

pub use calibration::{Calibration, LENGTH, SAMPLES};
pub use export::{Export, Origin};
pub use finished::Finished;
pub use folder::Folder;
pub use learned::{BlockLoss, Sample};
pub use memory::Compressed;
pub use report::LayerReport;
pub use run::{Event, Observer, Options, Outcome, Store, Stream, Streams, compress};
