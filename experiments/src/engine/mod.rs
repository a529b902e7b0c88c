//! The engine of the studies: a study is a TOML file, its cells are independent and named by what decides them, and whatever a run left
//! behind is taken up by the next one.
//!
//! * [`spec`] reads a file, with what `--quick`, `--full` and the command line replace in it,
//! * [`kind`] is what a study adds: which cells there are, how one is measured, how all become a table, a figure and a caption,
//! * [`key`] names a cell by a digest of everything that decides its bits,
//! * [`store`] keeps what was measured, a file a cell, whole or absent,
//! * [`bench`] holds the models, the data and the machines that cells share,
//! * [`run`] works the cells off, on several workers, and [`rehearse`] says beforehand what that takes,
//! * [`write`] makes the files of a run's folder from the cells, and [`frame`] is the table that figures and captions are drawn from.
//!
//! Invariants: a cell's result depends on its key alone, not on the worker, the shard or the order; a figure and a caption depend on
//! `data.csv` alone.

pub mod bench;
pub mod frame;
pub mod key;
pub mod kind;
pub mod rehearse;
pub mod run;
pub mod shard;
pub mod spec;
pub mod store;
pub mod write;
