//! A few rows that tell most units apart, so that wrong ones are seen early.

use super::rows::Recorded;
use crate::datapath::Datapath;
use rayon::prelude::*;

/// Rows of a screen.
const SCREEN: usize = 64;
/// Rows that are looked at for one.
const LOOKED_AT: usize = 4096;
/// Units that are told apart at most.
const PANEL: usize = 24;
/// Rows wanted for each pair of units.
const EACH: u8 = 2;

/// Rows on which the units of a panel differ, the most telling ones first, then others spread evenly.
pub(super) fn rows<'a>(recorded: &Recorded<'_>, panel: impl Iterator<Item = &'a Datapath>) -> Vec<usize> {
    let panel: Vec<&Datapath> = panel.take(PANEL).collect();
    let looked: Vec<usize> = spread(recorded.len(), LOOKED_AT);
    let results: Vec<Vec<Option<u64>>> = looked
        .par_iter()
        .map(|&row| panel.iter().map(|unit| unit.dot(recorded.row(row), None).ok()).collect())
        .collect();
    let mut order: Vec<usize> = (0..looked.len()).collect();
    order.sort_by_cached_key(|&at| {
        let mut distinct = results[at].clone();
        distinct.sort_unstable();
        distinct.dedup();
        std::cmp::Reverse(distinct.len())
    });
    let mut told = vec![0u8; panel.len() * panel.len()];
    let mut chosen = Vec::new();
    for at in order {
        let pairs = (0..panel.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        let apart: Vec<usize> = pairs
            .filter(|&(i, j)| results[at][i] != results[at][j])
            .map(|(i, j)| i * panel.len() + j)
            .filter(|&pair| told[pair] < EACH)
            .collect();
        if !apart.is_empty() && chosen.len() < SCREEN {
            chosen.push(looked[at]);
            apart.into_iter().for_each(|pair| told[pair] += 1);
        }
    }
    let fill = spread(recorded.len(), SCREEN).into_iter().filter(|row| !chosen.contains(row));
    let fill: Vec<usize> = fill.take(SCREEN - chosen.len()).collect();
    chosen.extend(fill);
    chosen
}

/// So many indices below `len`, or all, evenly spread.
pub(super) fn spread(len: usize, wanted: usize) -> Vec<usize> {
    let wanted = wanted.min(len);
    (0..wanted).map(|i| i * len / wanted).collect()
}

/// How many of some rows each unit explains.
pub(super) fn counts(recorded: &Recorded<'_>, rows: &[usize], units: &[(Datapath, Option<usize>)]) -> Vec<usize> {
    let count = |(unit, depth): &(Datapath, Option<usize>)| {
        rows.iter().filter(|&&row| recorded.explains(unit, *depth, row)).count()
    };
    units.par_iter().map(count).collect()
}
