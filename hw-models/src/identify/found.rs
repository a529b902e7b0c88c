//! What is known of the winner: its parameters, and which of their values the rows tell apart.

use super::axes::{Axis, Space};
use super::family::Parameters;
use super::rows::Recorded;
use rayon::prelude::*;
use serde::Serialize;

/// The parameters that explain most rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// Rows explained.
    pub explained: usize,
    /// The first row that is not.
    pub first_wrong: Option<usize>,
    /// The member of the family.
    pub parameters: Parameters,
    /// Its parameters one by one.
    pub findings: Vec<Finding>,
}

/// One parameter: its value, and the values that explain as many rows when all others stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is.
    pub parameter: &'static str,
    /// Its value.
    pub value: String,
    /// All values that explain as many rows, runs of numbers as `24..26`; the value alone where the rows decide.
    pub alike: Vec<String>,
    /// Whether every value that was tried explains as many: the rows do not reach this parameter.
    pub unobservable: bool,
}

/// A winner with its findings; a neighbour that explains more takes its place.
pub(super) fn describe(
    rows: &Recorded<'_>,
    order: &[usize],
    space: &Space,
    explained: usize,
    winner: Parameters,
) -> Found {
    let (mut explained, mut winner) = (explained, winner);
    loop {
        let sweeps: Vec<(Axis, Vec<(Parameters, usize)>)> = Axis::ALL
            .into_iter()
            .map(|axis| (axis, alike(rows, order, &axis.values(&winner, space), explained)))
            .collect();
        let better = sweeps.iter().flat_map(|(_, alike)| alike).max_by_key(|(_, count)| *count);
        match better {
            Some((member, count)) if *count > explained => (winner, explained) = (*member, *count),
            _ => {
                let findings =
                    sweeps.iter().filter_map(|(axis, alike)| finding(*axis, &winner, space, alike)).collect();
                let first_wrong = first_wrong(rows, &winner);
                return Found { explained, first_wrong, parameters: winner, findings };
            }
        }
    }
}

/// The members that explain at least so many rows.
fn alike(rows: &Recorded<'_>, order: &[usize], members: &[Parameters], explained: usize) -> Vec<(Parameters, usize)> {
    let wrong = rows.len() - explained;
    let count = |member: &Parameters| {
        let (unit, depth) = member.unit();
        rows.explained(&unit, depth, order, wrong).map(|count| (*member, count))
    };
    members.par_iter().filter_map(count).collect()
}

/// The lowest row that a member does not explain.
fn first_wrong(rows: &Recorded<'_>, member: &Parameters) -> Option<usize> {
    let (unit, depth) = member.unit();
    let right: Vec<bool> = (0..rows.len()).into_par_iter().map(|row| rows.explains(&unit, depth, row)).collect();
    right.iter().position(|right| !right)
}

/// What the rows say of one parameter; nothing where it has one value only.
fn finding(axis: Axis, winner: &Parameters, space: &Space, alike: &[(Parameters, usize)]) -> Option<Finding> {
    let tried = axis.values(winner, space).len();
    if tried < 2 {
        return None;
    }
    let labels: Vec<String> = alike.iter().map(|(member, _)| axis.label(member)).collect();
    Some(Finding {
        parameter: axis.name(),
        value: axis.label(winner),
        alike: runs(&labels),
        unobservable: alike.len() == tried,
    })
}

/// Neighbouring numbers as ranges.
fn runs(labels: &[String]) -> Vec<String> {
    let mut runs: Vec<(String, Option<i64>, Option<i64>)> = Vec::new();
    for label in labels {
        let number = label.parse::<i64>().ok();
        match runs.last_mut() {
            Some((_, Some(_), Some(last))) if number == Some(*last + 1) => *last += 1,
            _ => runs.push((label.clone(), number, number)),
        }
    }
    let text = |(label, first, last): (String, Option<i64>, Option<i64>)| match (first, last) {
        (Some(first), Some(last)) if first < last => format!("{first}..{last}"),
        _ => label,
    };
    runs.into_iter().map(text).collect()
}
