//! The search for parameters: every coarse member on a few telling rows, the best ones improved one parameter at a time,
//! the winners on all rows.
//!
//! Members are ranked by rows explained and then by their place in the family, so that the answer depends on nothing
//! but the rows. Wrong members fall on the first rows they see; only the last few see all.

use super::axes::{Axis, FRACTION_BITS, INTERLEAVES, Reading, Space};
use super::family::{Interleave, Joining, Parameters, Terms, fraction_bits};
use super::found::{self, Found};
use super::records::Candidate;
use super::rows::Recorded;
use super::{Options, screen};
use crate::datapath::{Codes, Datapath, Overflow, Port, Subnormals};
use interplay_formats::{Encoding, Rounding, Value};
use rayon::prelude::*;
use std::cmp::Reverse;
use std::num::NonZeroUsize;

/// Rows of the first looks at every coarse member, and how many of the best go on.
const LOOKS: [(usize, usize); 2] = [(2, 8000), (8, 800)];
/// Failing rows that join the screen at once.
const JOINING: usize = 8;
/// Members that are improved.
const SEEDS: usize = 12;
/// Members that are counted on all rows.
const COUNTED: usize = 24;
/// Times that failing rows join the screen.
const ROUNDS: usize = 4;
/// Rows by which operands are guessed.
const GUESSED_BY: usize = 256;
/// Operands that are searched at most.
const READINGS: usize = 3;

/// A member and the rows that it explains.
type Scored = (usize, Parameters);

/// The parameters that explain most rows; `None` where the results are no floats.
pub(super) fn parameters(rows: &Recorded<'_>, options: &Options, candidates: &[Candidate]) -> Option<Found> {
    let space = Space::of(rows, options, candidates)?;
    let all: Vec<Parameters> = space.coarse();
    let step = all.len().div_ceil(24).max(1);
    let panel: Vec<_> = all.iter().step_by(step).map(|member| member.datapath("")).collect();
    let mut looked = screen::rows(rows, panel.iter());
    let mut seeds = all;
    for (look, kept) in LOOKS {
        seeds = members(ranked(rows, &looked[..look.min(looked.len())], &seeds, kept));
    }
    let mut winner: Option<Scored> = None;
    for _ in 0..ROUNDS {
        let improved = improved(rows, &looked, &space, &seeds);
        let order = screen_first(rows.len(), &looked);
        let counted = counted(rows, &order, &improved);
        winner =
            counted.into_iter().chain(winner).min_by_key(|(explained, member)| (Reverse(*explained), member.rank()));
        let (explained, member) = winner?;
        if explained == rows.len() {
            break;
        }
        let wrong = failing(rows, &order, &member, JOINING);
        let fresh: Vec<usize> = wrong.into_iter().filter(|row| !looked.contains(row)).collect();
        looked.extend(fresh);
        seeds.extend(improved.into_iter().filter(|member| !seeds.contains(member)).collect::<Vec<_>>());
    }
    let (explained, member) = winner?;
    Some(found::describe(rows, &screen_first(rows.len(), &looked), &space, explained, member))
}

/// All rows, those of the screen first.
fn screen_first(len: usize, screen: &[usize]) -> Vec<usize> {
    let mut seen = vec![false; len];
    screen.iter().for_each(|&row| seen[row] = true);
    screen.iter().copied().chain((0..len).filter(|&row| !seen[row])).collect()
}

/// Members by how many of some rows they explain, best first, at most so many.
fn ranked(rows: &Recorded<'_>, looked: &[usize], members: &[Parameters], keep: usize) -> Vec<Scored> {
    let units: Vec<_> = members.par_iter().map(Parameters::unit).collect();
    let counts = screen::counts(rows, looked, &units);
    first(counts.into_iter().zip(members.iter().copied()).collect(), keep)
}

/// The first few in the order of answers.
fn first(mut scored: Vec<Scored>, keep: usize) -> Vec<Scored> {
    scored.sort_by_cached_key(|(explained, member)| (Reverse(*explained), member.rank()));
    scored.truncate(keep);
    scored
}

/// The same without the counts.
fn members(scored: Vec<Scored>) -> Vec<Parameters> {
    scored.into_iter().map(|(_, member)| member).collect()
}

/// Members after changes of one parameter at a time, until one explains the whole screen or none explains more; best
/// first.
fn improved(rows: &Recorded<'_>, looked: &[usize], space: &Space, seeds: &[Parameters]) -> Vec<Parameters> {
    let mut best = ranked(rows, looked, seeds, SEEDS);
    let mut fresh = members(best.clone());
    let mut seen = fresh.clone();
    while !fresh.is_empty() && best.first().is_some_and(|(explained, _)| *explained < looked.len()) {
        let from = seen.len();
        for member in fresh.iter().flat_map(|p| Axis::ALL.into_iter().flat_map(|axis| axis.values(p, space))) {
            if !seen.contains(&member) {
                seen.push(member);
            }
        }
        best.extend(ranked(rows, looked, &seen[from..], COUNTED));
        best = first(best, COUNTED);
        let likely = best.iter().take(SEEDS).map(|(_, member)| *member);
        fresh = likely.filter(|member| seen[from..].contains(member)).collect();
    }
    members(best)
}

/// Members by rows explained, of all; one that falls behind the best so far is given up.
fn counted(rows: &Recorded<'_>, order: &[usize], members: &[Parameters]) -> Vec<Scored> {
    let mut counted: Vec<Scored> = Vec::new();
    let mut wrong = rows.len();
    for chunk in members.chunks(rayon::current_num_threads().max(1)) {
        let scores: Vec<Option<Scored>> = chunk
            .par_iter()
            .map(|member| Some((rows.explained(&member.datapath(""), Some(member.depth), order, wrong)?, *member)))
            .collect();
        counted.extend(scores.into_iter().flatten());
        wrong = counted.iter().map(|(explained, _)| rows.len() - explained).min().unwrap_or(wrong);
    }
    counted.sort_by_key(|(explained, member)| (Reverse(*explained), member.rank()));
    counted
}

/// The first few rows that a member does not explain.
fn failing(rows: &Recorded<'_>, order: &[usize], member: &Parameters, wanted: usize) -> Vec<usize> {
    let unit = member.datapath("");
    let wrong: Vec<bool> = order.par_iter().map(|&row| !rows.explains(&unit, Some(member.depth), row)).collect();
    order.iter().zip(wrong).filter(|(_, wrong)| *wrong).map(|(row, _)| *row).take(wanted).collect()
}

impl Parameters {
    /// The record and the length of its instructions.
    pub(super) fn unit(&self) -> (Datapath, Option<usize>) {
        (self.datapath(""), Some(self.depth))
    }

    /// The order of members that explain as much: usual ones first, then those that keep fewer bits.
    fn rank(&self) -> impl Ord + use<> {
        let (terms, cut, floor) = match self.terms {
            Terms::Exact => (0, 0, 0),
            Terms::Aligned { fraction_bits, rounding, floor } => (
                fraction_bits,
                usize::from(rounding != Rounding::TowardZero),
                floor.map_or(0, |floor| 1 + floor.unsigned_abs()),
            ),
            Terms::Pairwise => (u32::MAX, 0, 0),
        };
        let flushed = [self.codes.a.subnormals, self.subnormals].map(|s| s == Subnormals::Flushed);
        let rounding = Rounding::ALL.iter().position(|rounding| *rounding == self.rounding);
        let joins = [Joining::WithProducts, Joining::AfterStep, Joining::AfterInstruction];
        (
            (self.interleave != Interleave::Natural, joins.iter().position(|joins| *joins == self.joins)),
            (flushed, self.codes.a.emin.is_some(), cut, floor),
            (terms, Reverse(self.group), rounding, self.overflow != Overflow::Infinity, Reverse(self.precision)),
        )
    }
}

impl Space {
    /// What the rows call for.
    fn of(rows: &Recorded<'_>, options: &Options, candidates: &[Candidate]) -> Option<Self> {
        let mut readings: Vec<Reading> = Vec::new();
        for unit in candidates.iter().map(|candidate| &candidate.numerics) {
            let Ok(codes) = unit.codes() else { continue };
            let plain = |port: Port| Port { emin: None, subnormals: Subnormals::Kept, ..port };
            let codes = Codes { a: plain(codes.a), b: plain(codes.b), ..codes };
            let d = unit.accumulator.d;
            let c = if rows.c.is_empty() { d } else { unit.accumulator.c };
            let reading = Reading { codes, c, d };
            if matches!(d.encoding, Encoding::Float { .. }) && !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        let depth = options.depth.map_or(rows.k, NonZeroUsize::get);
        let products = readings.first()?.codes.sparse.map_or(depth, |sparsity| depth * sparsity.n / sparsity.m);
        let mut space = Self { readings, depth, products, precision: 0, accumulates: rows.accumulates() };
        space.readings = space.plausible(rows);
        space.precision = precision(rows, space.readings.first()?);
        Some(space)
    }

    /// The readings under which exact sums come nearest to the results.
    fn plausible(&self, rows: &Recorded<'_>) -> Vec<Reading> {
        let looked = screen::spread(rows.len(), GUESSED_BY);
        let near = |reading: &Reading| {
            let unit = self.member(reading, Terms::Exact).datapath("");
            let value = |code: u64| reading.d.decode(code).to_f64();
            let is_near = |&&row: &&usize| {
                let got = unit.dot(rows.row(row), Some(self.depth)).map_or(f64::NAN, value);
                let want = value(rows.d[row]);
                (got - want).abs() <= got.abs() / 16.0
            };
            looked.iter().filter(is_near).count()
        };
        let counts: Vec<usize> = self.readings.par_iter().map(near).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        let close = (0..counts.len()).filter(|&at| 100 * counts[at] >= 99 * most);
        let mut order: Vec<usize> = close.collect();
        order.sort_by_key(|&at| Reverse(counts[at]));
        order.into_iter().take(READINGS).map(|at| self.readings[at]).collect()
    }

    /// The usual member with these operands.
    fn member(&self, reading: &Reading, terms: Terms) -> Parameters {
        Parameters {
            codes: reading.codes,
            c: reading.c,
            d: reading.d,
            depth: self.depth,
            terms,
            group: self.products,
            interleave: Interleave::Natural,
            joins: Joining::WithProducts,
            rounding: Rounding::NearestEven,
            precision: self.precision.min(fraction_bits(reading.d)),
            overflow: Overflow::Infinity,
            subnormals: Subnormals::Kept,
        }
    }

    /// The members that are tried first: every combination of the parameters that change most results.
    fn coarse(&self) -> Vec<Parameters> {
        const CUTS: [Rounding; 3] = [Rounding::TowardZero, Rounding::NearestEven, Rounding::Down];
        const ROUNDINGS: [Rounding; 4] = [Rounding::NearestEven, Rounding::TowardZero, Rounding::Down, Rounding::Up];
        let aligned = CUTS.into_iter().flat_map(|rounding| {
            FRACTION_BITS.map(move |fraction_bits| Terms::Aligned { fraction_bits, rounding, floor: None })
        });
        let terms: Vec<Terms> = [Terms::Exact, Terms::Pairwise].into_iter().chain(aligned).collect();
        let groups: Vec<usize> =
            self.groups().into_iter().filter(|group| group.is_power_of_two() || *group == self.products).collect();
        let mut all = Vec::new();
        for member in self.readings.iter().flat_map(|reading| terms.iter().map(|terms| self.member(reading, *terms))) {
            for &group in &groups {
                let interleaves = if group < self.products { &INTERLEAVES[..] } else { &INTERLEAVES[..1] };
                for &interleave in interleaves {
                    for &joins in self.joinings() {
                        let roundings =
                            ROUNDINGS.map(|rounding| Parameters { group, interleave, joins, rounding, ..member });
                        let distinct = roundings.into_iter().filter(|p| self.canonical(*p) == Some(*p));
                        all.extend(distinct);
                    }
                }
            }
        }
        all
    }
}

/// Fraction bits that the results use: a unit that keeps fewer leaves the low ones zero.
fn precision(rows: &Recorded<'_>, reading: &Reading) -> u32 {
    let used = rows.d.iter().filter_map(|&code| match reading.d.decode(code) {
        Value::Finite(x) if !x.is_zero() => {
            let odd = x.significand >> x.significand.trailing_zeros();
            Some(127 - odd.leading_zeros())
        }
        _ => None,
    });
    let used = used.max().unwrap_or(0);
    // A few results can end in zeros by chance.
    if rows.len() < 32 { fraction_bits(reading.d) } else { used.clamp(1, fraction_bits(reading.d)) }
}
