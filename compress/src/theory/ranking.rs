//! How far quantisation scrambles the order of importance by magnitude.

use crate::Error;
use interplay_formats::{Format, Pattern};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The order of importance before and after quantisation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ranking {
    /// Positions of the matrix.
    pub positions: u64,
    /// Positions that a mask of the weights keeps and one of the quantised weights prunes, or the other way round.
    pub disagreeing: u64,
    /// Pairs of positions of one N:M group; no pairs for other patterns.
    pub groups: Pairs,
    /// Pairs of positions of one row.
    pub rows: Pairs,
}

/// Pairs of magnitudes, before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pairs {
    /// Lists in which pairs were formed.
    pub lists: u64,
    /// Pairs.
    pub pairs: u64,
    /// Pairs that were not equal before.
    pub distinct: u64,
    /// Of those, pairs that are equal after.
    pub equalised: u64,
    /// Of those, pairs in the other order after.
    pub discordant: u64,
    /// Lists in which tau is defined: not all equal, neither before nor after.
    pub defined: u64,
    /// The mean of Kendall's tau-b over those lists; 0 where there are none.
    pub tau: f64,
}

impl Ranking {
    /// The share of positions in which the masks disagree.
    pub fn disagreement(&self) -> f64 {
        share(self.disagreeing, self.positions)
    }
}

impl Pairs {
    /// The share of pairs that were not equal before and are after.
    pub fn equalised_share(&self) -> f64 {
        share(self.equalised, self.distinct)
    }
}

fn share(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { part as f64 / all as f64 }
}

/// Compares the order of importance in `w` [rows, k] and in what a format makes of it.
///
/// # Errors
/// Those of the formats crate.
pub fn compare(w: &[f32], k: usize, format: &'static Format, pattern: Pattern) -> Result<Ranking, Error> {
    let mut q = w.to_vec();
    format.fake_quantize(&mut q, k)?;
    let (before, after) = (pattern.magnitude_mask(w, k)?, pattern.magnitude_mask(&q, k)?);
    let disagreeing = before.kept().iter().zip(after.kept()).filter(|(a, b)| a != b).count() as u64;
    let group = match pattern {
        Pattern::NofM { m, .. } => Some(m.min(k)),
        _ => None,
    };
    let groups = group.map_or_else(Pairs::default, |m| pairs(w, &q, k, m));
    Ok(Ranking { positions: w.len() as u64, disagreeing, groups, rows: pairs(w, &q, k, k) })
}

/// The pairs in lists of at most `len` consecutive positions of rows of `k`.
fn pairs(before: &[f32], after: &[f32], k: usize, len: usize) -> Pairs {
    let rows = before.par_chunks(k.max(1)).zip(after.par_chunks(k.max(1)));
    let row = |(before, after): (&[f32], &[f32])| {
        let lists = before.chunks(len.max(1)).zip(after.chunks(len.max(1)));
        lists.fold(Pairs::default(), |sum, (before, after)| sum.add(&list(before, after)))
    };
    // Sums of floats are taken in the order of the rows, whichever thread was first.
    let rows: Vec<Pairs> = rows.map(row).collect();
    let sum = rows.iter().fold(Pairs::default(), Pairs::add);
    Pairs { tau: if sum.defined == 0 { 0.0 } else { sum.tau / sum.defined as f64 }, ..sum }
}

impl Pairs {
    /// Both together; `tau` is a sum until the mean is taken.
    fn add(self, other: &Self) -> Self {
        Self {
            lists: self.lists + other.lists,
            pairs: self.pairs + other.pairs,
            distinct: self.distinct + other.distinct,
            equalised: self.equalised + other.equalised,
            discordant: self.discordant + other.discordant,
            defined: self.defined + other.defined,
            tau: self.tau + other.tau,
        }
    }
}

/// The pairs of one list, in O(n log n): sorted by what was before, then by what is after, discordant pairs are the inversions of what
/// is after (Knight, "A computer method for calculating Kendall's tau with ungrouped data", JASA 61, 1966).
fn list(before: &[f32], after: &[f32]) -> Pairs {
    // Bits of magnitudes order as magnitudes do.
    let key = |v: &f32| u64::from(v.abs().to_bits());
    let mut keys: Vec<u64> = before.iter().zip(after).map(|(a, b)| key(a) << 32 | key(b)).collect();
    keys.sort_unstable();
    let pairs = choose(keys.len() as u64);
    let equal_before = ties(&keys, |key| key >> 32);
    let equal_in_both = ties(&keys, |key| key);
    let mut rest: Vec<u32> = keys.iter().map(|&key| key as u32).collect();
    let discordant = inversions(&mut rest, &mut vec![0; keys.len()]);
    let equal_after = ties(&rest, |key| key);
    let (distinct, unequal) = (pairs - equal_before, pairs - equal_after);
    let equalised = equal_after - equal_in_both;
    let concordant = distinct - equalised - discordant;
    let defined = distinct > 0 && unequal > 0;
    let tau = (concordant as f64 - discordant as f64) / (distinct as f64 * unequal as f64).sqrt();
    let tau = if defined { tau } else { 0.0 };
    Pairs { lists: 1, pairs, distinct, equalised, discordant, defined: u64::from(defined), tau }
}

/// Pairs of `n` things.
const fn choose(n: u64) -> u64 {
    n * n.saturating_sub(1) / 2
}

/// Pairs of equal keys in a sorted list.
fn ties<T: Copy, K: PartialEq>(sorted: &[T], key: impl Fn(T) -> K) -> u64 {
    sorted.chunk_by(|&a, &b| key(a) == key(b)).map(|run| choose(run.len() as u64)).sum()
}

/// Sorts a list and counts the pairs that stood in the wrong order.
fn inversions(list: &mut [u32], spare: &mut [u32]) -> u64 {
    let half = list.len() / 2;
    if half == 0 {
        return 0;
    }
    let (left, right) = list.split_at_mut(half);
    let mut count = inversions(left, &mut spare[..half]) + inversions(right, &mut spare[half..]);
    spare.copy_from_slice(list);
    let (left, right) = spare.split_at(half);
    let (mut i, mut j) = (0, 0);
    for slot in list {
        let take_left = j == right.len() || i < left.len() && left[i] <= right[j];
        if take_left {
            *slot = left[i];
            i += 1;
        } else {
            *slot = right[j];
            j += 1;
            count += (left.len() - i) as u64;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::blocks::Family;

    /// Every pair, one by one.
    fn brute(before: &[f32], after: &[f32]) -> Pairs {
        let mut found = Pairs { lists: 1, ..Pairs::default() };
        let (mut concordant, mut unequal) = (0, 0);
        for i in 0..before.len() {
            for j in 0..i {
                let a = before[i].abs().total_cmp(&before[j].abs());
                let b = after[i].abs().total_cmp(&after[j].abs());
                found.pairs += 1;
                found.distinct += u64::from(a.is_ne());
                unequal += u64::from(b.is_ne());
                found.equalised += u64::from(a.is_ne() && b.is_eq());
                found.discordant += u64::from(a.is_ne() && b == a.reverse());
                concordant += u64::from(a.is_ne() && b == a);
            }
        }
        found.defined = u64::from(found.distinct > 0 && unequal > 0);
        let tau = (concordant as f64 - found.discordant as f64) / (found.distinct as f64 * unequal as f64).sqrt();
        Pairs { tau: if found.defined == 1 { tau } else { 0.0 }, ..found }
    }

    #[test]
    fn knight_agrees_with_every_pair() {
        for index in 0..300 {
            for family in Family::ALL {
                let (len, mut values) = (1 + index % 37, vec![0.0; 74]);
                family.fill(5, len, index as u64, &mut values[..2 * len]);
                let (before, after) = values[..2 * len].split_at(len);
                assert_eq!(list(before, after), brute(before, after), "unrelated");
                let coarse: Vec<f32> = before.iter().map(|v| (v * 64.0).round() / 64.0).collect();
                assert_eq!(list(before, &coarse), brute(before, &coarse), "rounded");
            }
        }
    }

    #[test]
    fn extremes() {
        let rising: Vec<f32> = (1..=9u8).map(f32::from).collect();
        let falling: Vec<f32> = rising.iter().rev().map(|v| -v).collect();
        assert_eq!(list(&rising, &rising).tau, 1.0);
        assert_eq!(list(&rising, &falling).tau, -1.0);
        assert_eq!(
            list(&rising, &[2.0; 9]),
            Pairs { lists: 1, pairs: 36, distinct: 36, equalised: 36, ..Pairs::default() }
        );
    }
}
