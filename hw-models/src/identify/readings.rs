//! Words of a file as codes: every reading that some record has of them.

use super::rows::{Recorded, Widths};
use crate::verify::{Layout, Operands, Options, Source, Words};
use crate::{Datapath, Error};
use interplay_formats::{Scalar, Value, scalar};

/// Elements of A and of B that all outputs together may have, laid out one output after the other.
const ELEMENTS: usize = 1 << 25;

/// Rows that own their codes.
#[derive(Default)]
pub(super) struct Rows {
    k: usize,
    a: Vec<u64>,
    b: Vec<u64>,
    c: Vec<u64>,
    d: Vec<u64>,
    scale_a: Vec<u64>,
    scale_b: Vec<u64>,
    metadata: Vec<u64>,
    widths: Widths,
}

impl Rows {
    pub fn view(&self) -> Recorded<'_> {
        Recorded {
            k: self.k,
            a: &self.a,
            b: &self.b,
            c: &self.c,
            d: &self.d,
            scale_a: &self.scale_a,
            scale_b: &self.scale_b,
            metadata: &self.metadata,
            widths: self.widths,
        }
    }

    /// Bits of the operands and of a result.
    pub const fn width(&self) -> (u32, u32) {
        (self.widths.a + self.widths.b, self.widths.d)
    }
}

/// What makes codes of words: a format where they are numbers in wider words, nothing where they are codes.
#[derive(PartialEq)]
struct Reading {
    a: Option<Scalar>,
    b: Option<Scalar>,
    scale: Option<Scalar>,
    c: Option<Scalar>,
    /// A NaN that was widened stands for the unit's own.
    d: Option<(Scalar, u64)>,
}

impl Reading {
    fn of(operands: &Operands<'_>, results: &Words<'_>, record: &Datapath) -> Option<Self> {
        let codes = record.codes().ok()?;
        let as_number = |words: &Words<'_>, format: Scalar| (!words.are_codes(format)).then_some(format);
        let (c, d) = (record.accumulator.c, record.accumulator.d);
        Some(Self {
            a: as_number(&operands.a, codes.a.format),
            b: as_number(&operands.b, codes.b.format),
            scale: operands.scale_a.as_ref().zip(codes.scale).and_then(|(words, scale)| as_number(words, scale.format)),
            c: operands.c.as_ref().and_then(|words| as_number(words, c)),
            d: as_number(results, d).map(|format| (format, record.code(Value::Nan))),
        })
    }
}

/// The records in groups that read the words alike.
pub(super) fn alike(
    operands: &Operands<'_>,
    results: &Words<'_>,
    records: &[&'static Datapath],
) -> Vec<Vec<&'static Datapath>> {
    let mut groups: Vec<(Reading, Vec<&'static Datapath>)> = Vec::new();
    for &record in records {
        let Some(reading) = Reading::of(operands, results, record) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == reading) {
            Some((_, group)) => group.push(record),
            None => groups.push((reading, vec![record])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// The rows as the first of some records reads them that can, all of which read them alike.
pub(super) fn rows(
    operands: &Operands<'_>,
    results: &Words<'_>,
    k_order: &[usize],
    records: &[&'static Datapath],
) -> Result<Rows, Error> {
    let mut problem = None;
    for record in records {
        match read(operands, results, k_order, record) {
            Ok(rows) => return Ok(rows),
            Err(error) => problem = telling(problem, error),
        }
    }
    Err(problem.unwrap_or(Error::TooManyOutputs))
}

/// The rows as a record reads them.
fn read(operands: &Operands<'_>, results: &Words<'_>, k_order: &[usize], record: &Datapath) -> Result<Rows, Error> {
    let options = Options { k_order: k_order.to_vec(), ..Options::default() };
    let shape = operands.layout.outputs()?;
    let outputs = shape.0 * shape.1;
    let k = operands.layout.k();
    if matches!(operands.layout, Layout::Matrices { .. }) && outputs.checked_mul(k).is_none_or(|all| all > ELEMENTS) {
        return Err(Error::TooManyOutputs);
    }
    let codes = record.codes()?;
    let (a, b, d) = (codes.a.format, codes.b.format, record.accumulator.d);
    for (array, words, wanted) in [("a", &operands.a, a), ("b", &operands.b, b), ("d", results, d)] {
        as_stored(array, words, wanted, record)?;
    }
    let prepared = operands.prepare(record, &options)?;
    let all = Source { name: "d", words: results, shape }.results(record)?;
    let stored = |format: Scalar| format.bits().max(8);
    let (a, b) = (stored(codes.a.format), stored(codes.b.format));
    let widths = Widths { a, b, c: record.accumulator.c.bits(), d: record.accumulator.d.bits() };
    let mut rows = Rows { k, widths, ..Rows::default() };
    let with_c = operands.c.is_some();
    for (index, &d) in all.iter().enumerate().filter(|(index, _)| operands.agrees(*index)) {
        let row = prepared.row(index);
        rows.a.extend(row.a);
        rows.b.extend(row.b);
        rows.c.extend(with_c.then_some(row.c));
        rows.d.push(d);
        rows.scale_a.extend(row.scale_a);
        rows.scale_b.extend(row.scale_b);
        rows.metadata.extend(row.metadata);
    }
    rows.view().check()?;
    Ok(rows)
}

/// Refuses numbers of a narrow format for a record of another: an FP16 array is FP16, while FP32 and FP64 hold any.
fn as_stored(array: &'static str, words: &Words<'_>, wanted: Scalar, record: &Datapath) -> Result<(), Error> {
    match words {
        Words::Numbers(given, _) if *given != scalar::FP32 && *given != scalar::FP64 && !words.are_codes(wanted) => {
            let (given, wanted) = (given.name.to_owned(), wanted.name.to_owned());
            Err(Error::Numbers { datapath: record.name.to_owned(), array, given, wanted })
        }
        _ => Ok(()),
    }
}

/// The one of two problems that tells more: of a wrong element, then of an array, then of the lengths of arrays, which
/// only say that a record is for other operands.
pub(super) fn telling(known: Option<Error>, other: Error) -> Option<Error> {
    let tells = |error: &Error| match error {
        Error::Lengths { .. } => 0,
        Error::Words { .. } | Error::Numbers { .. } => 1,
        _ => 2,
    };
    match known {
        Some(known) if tells(&known) >= tells(&other) => Some(known),
        _ => Some(other),
    }
}
