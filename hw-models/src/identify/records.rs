//! Records of the catalogue that could have given the rows.

use super::rows::Recorded;
use super::{Options, screen};
use crate::datapath::{Accumulator, Datapath, Group, Inputs, Joins, Order, Proof};
use crate::{Error, names};
use rayon::prelude::*;
use serde::Serialize;
use std::num::NonZeroUsize;

/// Records that are counted on every row, and reported, where none explains all.
const COUNTED: usize = 8;

/// Records of the same numerics, and how many rows they explain.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Match {
    /// Their names, in the order of the catalogue.
    pub names: Vec<&'static str>,
    /// The reduction length of one instruction.
    pub depth: usize,
    /// Rows explained.
    pub explained: usize,
    /// The first row that is not.
    pub first_wrong: Option<usize>,
    /// The strongest proof that one of them has.
    pub proof: Proof,
}

/// Records that share their numerics at some instruction length.
pub(super) struct Candidate {
    pub names: Vec<&'static str>,
    pub depth: usize,
    pub proof: Proof,
    /// A record of these numerics for rows of this K.
    pub numerics: Datapath,
}

/// Those of some records whose operands and accumulators can be those of the rows.
pub(super) fn candidates(rows: &Recorded<'_>, options: &Options, records: &[&'static Datapath]) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    for record in records {
        let Ok(codes) = record.codes() else { continue };
        if !rows.fit(&codes, record.accumulator.c.bits(), record.accumulator.d.bits()) {
            continue;
        }
        for depth in depths(record, rows.k, options.depth.map(NonZeroUsize::get)) {
            let numerics = numerics(record, rows, depth);
            match all.iter_mut().find(|known| known.numerics == numerics) {
                Some(known) if known.names.contains(&record.name) => {}
                Some(known) => {
                    known.names.push(record.name);
                    known.proof = known.proof.min(record.proof);
                }
                None => all.push(Candidate { names: vec![record.name], depth, proof: record.proof, numerics }),
            }
        }
    }
    all
}

/// The records of the input and the accumulator that were asked for.
pub(super) fn named(options: &Options) -> Result<Vec<&'static Datapath>, Error> {
    let mut records = Datapath::all().to_vec();
    for (kind, asked, at) in [("input", &options.input, INPUT), ("accumulator", &options.accumulator, INPUT + 1)] {
        let Some(asked) = asked else { continue };
        let known: Vec<(&str, &str)> = records.iter().map(|record| part(record.name, at)).map(|p| (p, p)).collect();
        let mut distinct = known.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let wanted = names::find(kind, asked, &distinct)?;
        records = records.into_iter().zip(known).filter(|(_, known)| known.0 == wanted).map(|(r, _)| r).collect();
    }
    Ok(records)
}

/// Where the names of datapaths have the operands; the accumulator comes next.
const INPUT: usize = 2;

/// A part of a datapath's name; all of it where it has no parts.
fn part(name: &'static str, at: usize) -> &'static str {
    name.split('.').nth(at).unwrap_or(name)
}

/// The operands of some candidates, as in their names.
pub(super) fn inputs(candidates: &[Candidate]) -> impl Iterator<Item = &'static str> {
    candidates.iter().flat_map(|candidate| &candidate.names).map(|name| part(name, INPUT))
}

/// The best few of the records of all readings, and all that explain every row.
pub(super) fn best(mut matches: Vec<Match>, rows: usize) -> Vec<Match> {
    matches.sort_by_key(|found| (std::cmp::Reverse(found.explained), found.proof));
    let perfect = matches.iter().filter(|found| found.explained == rows).count();
    matches.truncate(perfect.max(COUNTED));
    matches
}

/// The instruction lengths to try.
fn depths(record: &Datapath, k: usize, asked: Option<usize>) -> Vec<usize> {
    if record.depths.is_empty() {
        return vec![asked.unwrap_or(k)];
    }
    let dividing = record.depths.iter().copied().filter(|depth| k.is_multiple_of(*depth));
    let fitting: Vec<usize> = dividing.filter(|depth| asked.is_none_or(|asked| asked == *depth)).collect();
    let padded = record.depths.iter().copied().find(|depth| *depth >= k && asked.is_none_or(|asked| asked == *depth));
    if fitting.is_empty() { padded.into_iter().collect() } else { fitting }
}

/// A record without what does not change the bits of rows of this K.
fn numerics(record: &Datapath, rows: &Recorded<'_>, depth: usize) -> Datapath {
    let inputs = record.codes().map_or(record.inputs, Inputs::Codes);
    let stored = match inputs {
        Inputs::Codes(codes) => codes.sparse.map_or(depth, |sparsity| depth * sparsity.n / sparsity.m),
        _ => depth,
    };
    let group = record.order.group.length(stored, depth);
    let plain = record.order.classes.len() < 2 && record.order.joins == Joins::First;
    // Without an accumulator its type does not matter.
    let zero = rows.c.is_empty();
    // Chained instructions of whole steps are one long instruction, and one step filled up with zeros is a short step.
    let one_step = group == stored && rows.k < depth;
    let whole = plain && stored.is_multiple_of(group) && (rows.k >= depth || one_step);
    let group = if plain && one_step { group * rows.k / depth } else { group };
    Datapath {
        name: "",
        about: "",
        source: "",
        proof: Proof::Hypothesis,
        inputs,
        depths: if whole { &[] } else { record.depths_of(depth) },
        order: Order { group: Group::Of(group), ..record.order },
        accumulator: Accumulator {
            c: if zero { record.accumulator.d } else { record.accumulator.c },
            ..record.accumulator
        },
        ..*record
    }
}

impl Datapath {
    /// One of the record's instruction lengths, as a list of its own.
    fn depths_of(&self, depth: usize) -> &'static [usize] {
        self.depths.iter().position(|known| *known == depth).map_or(&[], |at| &self.depths[at..=at])
    }
}

/// How many rows candidates explain: those that may explain every row, at least the likeliest few.
pub(super) fn explain(rows: &Recorded<'_>, screen: &[usize], candidates: &[Candidate]) -> Vec<Match> {
    let units: Vec<(Datapath, Option<usize>)> = candidates.iter().map(|candidate| (candidate.numerics, None)).collect();
    let first = screen::counts(rows, screen, &units);
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|&at| std::cmp::Reverse(first[at]));
    let perfect = |&at: &usize| first[at] == screen.len();
    let likely = order.iter().copied().filter(perfect).count().max(COUNTED).min(order.len());
    order[..likely]
        .iter()
        .map(|&at| {
            let candidate = &candidates[at];
            let right: Vec<bool> =
                (0..rows.len()).into_par_iter().map(|row| rows.explains(&candidate.numerics, None, row)).collect();
            Match {
                names: candidate.names.clone(),
                depth: candidate.depth,
                explained: right.iter().filter(|right| **right).count(),
                first_wrong: right.iter().position(|right| !right),
                proof: candidate.proof,
            }
        })
        .filter(|found| found.explained > 0)
        .collect()
}
