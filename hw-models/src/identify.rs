//! Which arithmetic explains recorded results of an unknown matrix unit.
//!
//! [`identify`] takes rows `d = c + a . b` as codes, [`identify_words`] what files hold, which may be numbers in wider
//! words; there every format is tried that has them all. They answer twice: which records of the catalogue give every result
//! bit for bit, and which [`Parameters`] of the family of aligned sums do. It also says what the rows cannot decide:
//! values of a parameter that explain them alike. The interpreter of records judges both, so an answer is a record that
//! can be run ([`Parameters::datapath`]).

mod axes;
mod family;
mod found;
mod readings;
mod records;
mod rows;
mod screen;
mod search;
mod text;

pub use family::{Interleave, Joining, Parameters, Terms};
pub use found::{Finding, Found};
pub use records::Match;
pub use rows::{Recorded, Widths};

use crate::verify::{Operands, Words};
use crate::{Datapath, Error};
use records::Candidate;
use serde::Serialize;
use std::num::NonZeroUsize;

/// What is known beforehand, and what is wanted.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The operands, as in the names of datapaths (`f16`, `e4m3xe5m2`, `mxf8f6f4-e4m3`); any that fit the widths without.
    pub input: Option<String>,
    /// The accumulator, as in the names of datapaths (`f16`, `f32`, `f16-f32`); any that fits without.
    pub accumulator: Option<String>,
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
    /// What the operands may be: the inputs of the records that were tried, as in their names.
    pub inputs: Vec<&'static str>,
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
/// [`Error::Lengths`] for rows of the wrong shape, [`Error::UnknownName`] for an input or accumulator that no record has.
pub fn identify(rows: &Recorded<'_>, options: &Options) -> Result<Report, Error> {
    rows.check()?;
    let mut answer = Answer::new(options);
    let candidates = answer.judge(rows, &records::named(options)?);
    Ok(answer.report(rows, &candidates))
}

/// The same of words as files hold them, whose width says whether they are codes or FP32 or FP64 bits. Every reading is
/// tried that the words allow, so a number in FP32 bits may be an FP16 one or a TF32 one; a search takes the narrowest.
/// `k_order` is that of [`crate::verify::Options`]; outputs where `agree` is 0 are left out.
///
/// # Errors
/// As [`identify`]; [`Error::Words`], [`Error::Element`], [`Error::KOrder`] where no reading is left;
/// [`Error::TooManyOutputs`] for matrices whose rows and columns, laid out in pairs, are too many.
pub fn identify_words(
    operands: &Operands<'_>,
    results: &Words<'_>,
    k_order: &[usize],
    options: &Options,
) -> Result<Report, Error> {
    let records = records::named(options)?;
    let mut answer = Answer::new(options);
    let mut narrowest: Option<(readings::Rows, Vec<Candidate>)> = None;
    let mut problem = None;
    for records in readings::alike(operands, results, &records) {
        match readings::rows(operands, results, k_order, &records) {
            Ok(rows) => {
                let candidates = answer.judge(&rows.view(), &records);
                let width = |rows: &readings::Rows, candidates: &[Candidate]| (candidates.is_empty(), rows.width());
                let wider = |(known, of): &(readings::Rows, Vec<_>)| width(known, of) > width(&rows, &candidates);
                if narrowest.as_ref().is_none_or(wider) {
                    narrowest = Some((rows, candidates));
                }
            }
            Err(error) => problem = readings::telling(problem, error),
        }
    }
    match (narrowest, problem) {
        (Some((rows, candidates)), _) => Ok(answer.report(&rows.view(), &candidates)),
        (None, Some(problem)) => Err(problem),
        (None, None) => identify(&Recorded::default(), options),
    }
}

/// An answer while readings are judged one by one.
struct Answer<'o> {
    options: &'o Options,
    inputs: Vec<&'static str>,
    records: Vec<Match>,
}

impl<'o> Answer<'o> {
    const fn new(options: &'o Options) -> Self {
        Self { options, inputs: Vec::new(), records: Vec::new() }
    }

    /// Judges some records by the rows as they read them; gives those that the rows fit.
    fn judge(&mut self, rows: &Recorded<'_>, records: &[&'static Datapath]) -> Vec<Candidate> {
        let candidates = records::candidates(rows, self.options, records);
        let screen = screen::rows(rows, candidates.iter().map(|candidate| &candidate.numerics));
        self.records.extend(records::explain(rows, &screen, &candidates));
        for input in records::inputs(&candidates) {
            if !self.inputs.contains(&input) {
                self.inputs.push(input);
            }
        }
        candidates
    }

    /// The report, after a search by these rows if one is wanted.
    fn report(self, rows: &Recorded<'_>, candidates: &[Candidate]) -> Report {
        let records = records::best(self.records, rows.len());
        let explained = records.first().is_some_and(|record| record.explained == rows.len());
        let wanted = match self.options.search {
            Search::Unexplained => !explained,
            Search::Always => true,
            Search::Never => false,
        };
        let parameters = if wanted { search::parameters(rows, self.options, candidates) } else { None };
        Report { rows: rows.len(), k: rows.k, inputs: self.inputs, records, parameters }
    }
}
