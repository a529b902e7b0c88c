//! Theorem 3.6: looking for a counterexample, and making it small.

use super::chunk::Chunk;
use super::measure::Block;
use super::{Case, Example, Shape, Source, TASK, Tally, Tie};
use crate::Error;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Tasks that are drawn together; which of them finds first does not show.
const ROUND: u64 = 16;

/// The end of a search.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// Blocks up to and with the first counterexample, or all that were looked at.
    pub draws: u64,
    /// The first counterexample in sums of magnitudes, reversed where the tie order is [`Tie::Higher`].
    pub example: Option<Example>,
}

/// Looks for the first of `limit` blocks whose error by Q→S, as a sum of magnitudes, is more than the sum of the errors of each.
///
/// # Errors
/// As [`examine`](super::examine).
pub fn search(case: &Case, source: Source, tie: Tie, limit: u64) -> Result<Found, Error> {
    let blocks = source.within(case.shape, 0..limit);
    let each = ((TASK / case.shape.len()).max(1)) as u64;
    let task = |first: u64| {
        let x = source.values(case.shape, first..blocks.end.min(first + each));
        first_in(case, x, tie, first)
    };
    for round in (0..blocks.end).step_by((ROUND * each) as usize) {
        let starts: Vec<u64> = (0..ROUND).map(|i| round + i * each).filter(|&first| first < blocks.end).collect();
        let found: Result<Vec<_>, Error> = starts.into_par_iter().map(task).collect();
        if let Some(example) = found?.into_iter().flatten().next() {
            return Ok(Found { draws: example.index + 1, example: Some(example) });
        }
    }
    Ok(Found { draws: blocks.end, example: None })
}

/// The first counterexample among some blocks. Blocks that overflow are none.
fn first_in(case: &Case, x: Vec<f32>, tie: Tie, first: u64) -> Result<Option<Example>, Error> {
    let mut x = case.narrow(&x).unwrap_or(x);
    if tie == Tie::Higher {
        x.chunks_exact_mut(case.shape.k).for_each(<[f32]>::reverse);
    }
    let chunk = Chunk::new(case, x, first, false)?;
    let both = chunk.quantised_then_pruned()?;
    // Where Q→S keeps nothing that sparsification alone prunes, no element exceeds.
    let swapped = |block: &Block| block.s.iter().zip(block.both).any(|(s, both)| *s == 0.0 && *both != 0.0);
    let exceeding = |(_, block): (usize, Block)| {
        let mut tally = Tally::default();
        block.count(&block.errors(), &mut tally);
        tally.examples.l1
    };
    Ok(chunk.blocks(&both).filter(|(_, block)| swapped(block)).find_map(exceeding))
}

/// Sets values of a counterexample of theorem 3.6 to zero, one after the other from the first, as long as it stays one.
///
/// # Errors
/// As [`search`]; an example of another shape.
pub fn shrink(case: &Case, example: &Example) -> Result<Example, Error> {
    let Shape { rows, k } = case.shape;
    if example.x.len() != rows * k {
        return Err(Error::Length { what: "the example", given: example.x.len(), expected: rows * k });
    }
    let mut smallest = example.clone();
    loop {
        let before = smallest.nonzero;
        for i in 0..rows * k {
            let mut x = smallest.x.clone();
            if x[i] == 0.0 {
                continue;
            }
            x[i] = 0.0;
            if let Some(smaller) = first_in(case, x, Tie::Lower, example.index)? {
                smallest = smaller;
            }
        }
        if smallest.nonzero == before {
            return Ok(smallest);
        }
    }
}
