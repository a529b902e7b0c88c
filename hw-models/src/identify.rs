//! Which arithmetic explains recorded results of an unknown matrix unit.
//!
//! [`identify`] takes rows `d = c + a . b` as codes and answers twice: which records of the catalogue give every result
//! bit for bit, and which [`Parameters`] of the family of aligned sums do. It also says what the rows cannot decide:
//! values of a parameter that explain them alike. The interpreter of records judges both, so an answer is a record that
//! can be run ([`Parameters::datapath`]).

mod axes;
mod family;
mod found;
mod records;
mod rows;
mod screen;
mod search;
mod text;

pub use family::{Interleave, Joining, Parameters, Terms};
pub use found::{Finding, Found};
pub use records::Match;
pub use rows::{Recorded, Widths};

use crate::Error;
use serde::Serialize;
use std::num::NonZeroUsize;

/// What is known beforehand, and what is wanted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The operands, as in the names of datapaths (`f16`, `e4m3xe5m2`, `mxf8f6f4-e4m3`); any that fit the widths without.
    pub input: Option<String>,
    /// The reduction length of one instruction; any of a record's without, and all of K for parameters.
    pub depth: Option<NonZeroUsize>,
    /// When to search for parameters.
    pub search: Search,
}

/// When parameters are searched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// Where no record explains every row.
    #[default]
    Unexplained,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Rows given.
    pub rows: usize,
    /// Length of the reduction.
    pub k: usize,
    /// Records of the catalogue, by rows explained; records of the same numerics are one entry.
    pub records: Vec<Match>,
    /// The parameters that explain most, if they were searched for and the results are floats.
    pub parameters: Option<Found>,
}

impl Report {
    /// Whether some record or some parameters explain every row.
    pub fn is_explained(&self) -> bool {
        let best = self.records.iter().map(|record| record.explained);
        best.chain(self.parameters.iter().map(|found| found.explained)).max() == Some(self.rows)
    }
}

/// Which records and which parameters explain the rows. The answer depends on nothing but the arguments.
///
/// # Errors
/// [`Error::Lengths`] for rows of the wrong shape, [`Error::UnknownName`] for an input that no record has.
pub fn identify(rows: &Recorded<'_>, options: &Options) -> Result<Report, Error> {
    rows.check()?;
    let candidates = records::candidates(rows, options)?;
    let screen = screen::rows(rows, candidates.iter().map(|candidate| &candidate.numerics));
    let records = records::explain(rows, &screen, &candidates);
    let explained = records.first().is_some_and(|record| record.explained == rows.len());
    let wanted = match options.search {
        Search::Unexplained => !explained,
        Search::Always => true,
        Search::Never => false,
    };
    let parameters = if wanted { search::parameters(rows, options, &candidates) } else { None };
    Ok(Report { rows: rows.len(), k: rows.k, records, parameters })
}
