//! What a comparison found.

use super::read::{Distance, distance};
use super::{Layout, Operands};
use crate::Datapath;
use interplay_formats::Scalar;
use serde::{Serialize, Serializer};
use std::fmt;

/// Mismatches that a report shows.
const SHOWN: usize = 10;
/// Distances that a histogram counts one by one; greater ones are counted by powers of two.
const SINGLE: usize = 16;

/// What a comparison found. As JSON it has the fields that `interplay verify --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The unit's name.
    pub datapath: String,
    /// Outputs given.
    pub rows: usize,
    /// Outputs that differ by more than is tolerated, of those that were compared.
    pub mismatches: usize,
    /// Outputs that the file marks as wrong (`agree` is 0); they are not compared.
    pub skipped: usize,
    /// How many of the skipped outputs differ.
    #[serde(skip)]
    pub skipped_mismatches: usize,
    /// The greatest distance between two numbers, in units in the last place.
    pub max_ulp: u64,
    /// Outputs that were compared, by distance.
    pub ulp_histogram: Histogram,
    /// The first mismatches, ten at most.
    pub first: Vec<Mismatch>,
}

/// A result that is not the unit's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mismatch {
    /// The row.
    pub row: usize,
    /// The column, of matrices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The bits that were given, in hexadecimal.
    pub got: String,
    /// The unit's.
    pub want: String,
    /// Both as numbers, and their distance.
    #[serde(skip)]
    values: (f64, f64, Option<u64>),
}

/// How often each distance was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// 0 to 15, then 16 to 31, 32 to 63, …
    counts: [usize; SINGLE + 60],
    /// A NaN on one side, or two that are not the same.
    nan: usize,
}

impl Report {
    /// Compares `(given, own)` results.
    pub(super) fn new(
        datapath: &Datapath,
        operands: &Operands<'_>,
        (given, own): (&[u64], &[u64]),
        tolerance_ulp: u64,
    ) -> Self {
        let mut report = Self {
            datapath: datapath.name.to_owned(),
            rows: own.len(),
            mismatches: 0,
            skipped: 0,
            skipped_mismatches: 0,
            max_ulp: 0,
            ulp_histogram: Histogram { counts: [0; _], nan: 0 },
            first: Vec::new(),
        };
        for (index, (&got, &want)) in given.iter().zip(own).enumerate() {
            let distance = distance(datapath, got, want);
            let near = distance.ulp.is_some_and(|ulp| tolerance_ulp > 0 && ulp <= tolerance_ulp);
            let wrong = usize::from(!(distance.same || near));
            if !operands.agrees(index) {
                report.skipped += 1;
                report.skipped_mismatches += wrong;
                continue;
            }
            report.mismatches += wrong;
            report.max_ulp = report.max_ulp.max(distance.ulp.unwrap_or(0));
            report.ulp_histogram.count(distance.ulp);
            if wrong == 1 && report.first.len() < SHOWN {
                let place = operands.layout.place(index);
                report.first.push(Mismatch::new(datapath.accumulator.d, place, (got, want), distance));
            }
        }
        report
    }

    /// Whether nothing differs by more than is tolerated.
    pub const fn is_match(&self) -> bool {
        self.mismatches == 0
    }
}

impl Layout {
    /// Row and column of an output; rows have no columns.
    pub(crate) const fn place(self, index: usize) -> (usize, Option<usize>) {
        match self {
            Self::Rows { .. } => (index, None),
            Self::Matrices { n, .. } => (index / n, Some(index % n)),
        }
    }
}

impl Mismatch {
    fn new(format: Scalar, (row, column): (usize, Option<usize>), (got, want): (u64, u64), distance: Distance) -> Self {
        let value = |code| format.decode(code).to_f64();
        Self {
            row,
            column,
            got: hexadecimal(format, got),
            want: hexadecimal(format, want),
            values: (value(got), value(want), distance.ulp),
        }
    }
}

/// A code in hexadecimal: eight digits, sixteen where it has more than 32 bits.
pub(crate) fn hexadecimal(format: Scalar, code: u64) -> String {
    format!("{code:0width$x}", width = if format.bits() > 32 { 16 } else { 8 })
}

impl Histogram {
    fn count(&mut self, ulp: Option<u64>) {
        match ulp {
            None => self.nan += 1,
            Some(ulp) if ulp < SINGLE as u64 => self.counts[ulp as usize] += 1,
            Some(ulp) => self.counts[SINGLE + ulp.ilog2() as usize - SINGLE.ilog2() as usize] += 1,
        }
    }

    /// Distances that were found, and how often: `0`, `1`, …, `15`, `16-31`, `32-63`, …, `nan`.
    pub fn entries(&self) -> impl Iterator<Item = (String, usize)> {
        let name = |place: usize| match place {
            0..SINGLE => place.to_string(),
            _ => {
                let first = (SINGLE as u64) << (place - SINGLE);
                format!("{first}-{}", first + (first - 1))
            }
        };
        let found = self.counts.iter().enumerate().filter(|(place, count)| *place == 0 || **count > 0);
        let nan = (self.nan > 0).then(|| ("nan".to_owned(), self.nan));
        found.map(move |(place, &count)| (name(place), count)).chain(nan)
    }
}

impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.entries())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} outputs, {} mismatches", self.datapath, self.rows, self.mismatches)?;
        if self.skipped > 0 {
            let differ = self.skipped_mismatches;
            write!(f, "; {} marked as wrong (agree = 0) and left out, of which {differ} differ", self.skipped)?;
        }
        let entries: Vec<String> = self.ulp_histogram.entries().map(|(ulp, n)| format!("{ulp}: {n}")).collect();
        write!(f, "\n  ulp apart: {}; greatest {}", entries.join(", "), self.max_ulp)?;
        for mismatch in &self.first {
            write!(f, "\n  {mismatch}")?;
        }
        let more = self.mismatches - self.first.len();
        if more > 0 { write!(f, "\n  … and {more} more") } else { Ok(()) }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {}", self.row)?;
        if let Some(column) = self.column {
            write!(f, ", column {column}")?;
        }
        let (got, want, ulp) = self.values;
        write!(f, ": got {} ({got:e}), want {} ({want:e})", self.got, self.want)?;
        ulp.map_or(Ok(()), |ulp| write!(f, ", {ulp} ulp"))
    }
}
