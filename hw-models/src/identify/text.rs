//! Reports as text.

use super::Report;
use super::found::{Finding, Found};
use super::records::Match;
use std::fmt;

/// Operands that are listed.
const LISTED: usize = 12;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (listed, more) = self.inputs.split_at(self.inputs.len().min(LISTED));
        write!(f, "{} rows of K = {}", self.rows, self.k)?;
        match (listed, more.len()) {
            ([], _) => writeln!(f)?,
            (listed, 0) => writeln!(f, "; operands tried: {}", listed.join(", "))?,
            (listed, more) => writeln!(f, "; operands tried: {} and {more} more", listed.join(", "))?,
        }
        match self.records.as_slice() {
            [] => writeln!(f, "catalogue: no record of these widths explains a row")?,
            records => {
                writeln!(f, "catalogue: rows explained")?;
                records.iter().try_for_each(|record| self.record(f, record))?;
            }
        }
        if let Some(found) = &self.parameters {
            self.found(f, found)?;
        }
        if self.is_explained() { Ok(()) } else { self.unexplained(f) }
    }
}

impl Report {
    fn record(&self, f: &mut fmt::Formatter<'_>, record: &Match) -> fmt::Result {
        let (names, depth) = (record.names.join(" = "), record.depth);
        write!(f, "  {:>6} of {}  {names}, instructions of {depth}", record.explained, self.rows)?;
        match record.first_wrong {
            Some(row) => writeln!(f, "; first wrong: row {row}"),
            None => writeln!(f),
        }
    }

    fn unexplained(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.records.iter().map(|record| record.explained);
        let most = records.chain(self.parameters.iter().map(|found| found.explained)).max().unwrap_or(0);
        let nobody = match self.parameters {
            Some(_) => "neither a record of the catalogue nor any parameters explain",
            None => "no record of the catalogue explains",
        };
        writeln!(
            f,
            "Nothing found: {nobody} all {} rows; the best explains {most}. Results that do not use c, another order of K, shorter \
             instructions and operands of another type look like this.",
            self.rows
        )
    }

    fn found(&self, f: &mut fmt::Formatter<'_>, found: &Found) -> fmt::Result {
        writeln!(f, "parameters: {} of {} rows", found.explained, self.rows)?;
        let width = found.findings.iter().map(|finding| finding.parameter.len()).max().unwrap_or(0);
        found.findings.iter().try_for_each(|finding| writeln!(f, "  {:<width$}  {finding}", finding.parameter))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.alike.as_slice() {
            _ if self.unobservable => write!(f, "not observable in these rows"),
            [only] if *only == self.value => write!(f, "{only}"),
            alike => write!(f, "{} (alike: {})", self.value, alike.join(", ")),
        }
    }
}
