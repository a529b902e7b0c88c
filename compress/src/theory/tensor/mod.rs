//! Theorems 3.5, 3.6 and 3.7 on single blocks.
//!
//! 3.5: the error of S→Q is at most the sum of the errors of q and of s. 3.6: there are blocks for which the error of Q→S is more.
//! 3.7: but not by more than a bound. [`examine`] counts over many blocks, [`search`] looks for the first counterexample of 3.6 and
//! [`shrink`] makes one smaller.

mod bound;
mod case;
mod chunk;
mod measure;
mod search;
mod steps;
mod tally;

pub use case::{Case, Shape};
pub use search::{Found, search, shrink};
pub use tally::{Bound, Example, Norms, Tally};

use super::blocks::Family;
use crate::Error;
use bound::Bounds;
use chunk::Chunk;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Values of the blocks that one task takes: they stay in a core's cache, and the formats crate starts no threads for them.
const TASK: usize = 1 << 14;

/// Where blocks come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Drawn, by seed and index.
    Drawn(Family, u64),
    /// These, one after the other, as [`cut`](super::blocks::cut) leaves them.
    Given(&'a [f32]),
}

/// Which of two values with equal magnitude a pattern prunes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tie {
    /// The lower index, as everywhere in this project.
    Lower,
    /// The higher index: blocks are examined with their rows reversed.
    Higher,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Findings {
    /// S→Q against the sum of both errors.
    pub theorem_3_5: Tally,
    /// Q→S against the sum of both errors, the lower of equal indices pruned.
    pub theorem_3_6: Tally,
    /// The same, the higher of equal indices pruned. Examples are shown reversed: pruning the lower index gives them.
    pub theorem_3_6_reversed: Tally,
    /// The excess of Q→S over the sum against its bounds, in both tie orders; no blocks where [`Case::largest_round_up`] is `None`.
    pub theorem_3_7: Bound,
}

impl Findings {
    /// Both together, in any order to the same bits.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            theorem_3_5: self.theorem_3_5.merge(other.theorem_3_5),
            theorem_3_6: self.theorem_3_6.merge(other.theorem_3_6),
            theorem_3_6_reversed: self.theorem_3_6_reversed.merge(other.theorem_3_6_reversed),
            theorem_3_7: self.theorem_3_7.merge(other.theorem_3_7),
        }
    }
}

/// Examines the blocks of these indices, on all threads; given blocks only as far as there are some.
///
/// Where the record has an input type, theorems 3.6 and 3.7 see the values rounded to it, as their bound asks. Stochastic rounding draws
/// the same bits for both orders.
///
/// # Errors
/// Those of the formats crate: a value that is not finite.
pub fn examine(case: &Case, source: Source, blocks: Range<u64>) -> Result<Findings, Error> {
    let bounds = Bounds::of(case);
    each_task(case, source, blocks, |x, first| chunk::examine(case, bounds.as_ref(), x, first), Findings::merge)
}

/// [`examine`] for theorem 3.5 alone, in about a third of the time.
///
/// # Errors
/// As [`examine`].
pub fn sparsify_first(case: &Case, source: Source, blocks: Range<u64>) -> Result<Tally, Error> {
    let count = |x, first| Chunk::new(case, x, first, false)?.sparsified_first();
    each_task(case, source, blocks, count, Tally::merge)
}

/// What `count` says of the blocks of each task, from their values and the index of the first, merged.
fn each_task<T: Default + Send>(
    case: &Case,
    source: Source,
    blocks: Range<u64>,
    count: impl Fn(Vec<f32>, u64) -> Result<T, Error> + Sync,
    merge: impl Fn(T, T) -> T + Sync + Send,
) -> Result<T, Error> {
    let blocks = source.within(case.shape, blocks);
    let each = ((TASK / case.shape.len()).max(1)) as u64;
    let tasks = blocks.end.saturating_sub(blocks.start).div_ceil(each);
    let task = |task: u64| {
        let first = blocks.start + task * each;
        count(source.values(case.shape, first..blocks.end.min(first + each)), first)
    };
    (0..tasks).into_par_iter().map(task).try_reduce(T::default, |a, b| Ok(merge(a, b)))
}

impl Source<'_> {
    /// The part of a range that there is.
    fn within(&self, shape: Shape, blocks: Range<u64>) -> Range<u64> {
        match self {
            Self::Drawn(..) => blocks,
            Self::Given(values) => {
                let end = (values.len() / shape.len()) as u64;
                blocks.start.min(end)..blocks.end.min(end)
            }
        }
    }

    /// The blocks of a range that is there.
    fn values(&self, shape: Shape, blocks: Range<u64>) -> Vec<f32> {
        match self {
            Self::Drawn(family, seed) => {
                let mut x = vec![0.0; (blocks.end - blocks.start) as usize * shape.len()];
                family.fill(*seed, shape.len(), blocks.start, &mut x);
                x
            }
            Self::Given(values) => {
                values[blocks.start as usize * shape.len()..blocks.end as usize * shape.len()].to_vec()
            }
        }
    }
}
