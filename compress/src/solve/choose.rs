//! The choice of a mask inside the solver, on scores of some columns of some rows.

use super::{Order, Pruning};
use crate::Error;
use crate::formats::{Mask, Pattern, Scope, Selection};

/// When and how positions are chosen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// The mask is there.
    Given,
    /// A fraction of a block of columns.
    Block { basis_points: u32, scope: Scope, selection: Selection },
    /// In groups of `width` columns and bands of `rows`.
    Groups { pattern: Pattern, width: usize, rows: usize },
}

impl Choice {
    pub(super) fn new(pruning: Pruning, rows: usize, k: usize, block: usize, order: Order) -> Result<Self, Error> {
        let Pruning::Saliency { pattern, selection } = pruning else { return Ok(Self::Given) };
        pattern.check(rows, k)?;
        let (width, rows) = match pattern {
            Pattern::Unstructured { basis_points, scope } => {
                return Ok(Self::Block { basis_points, scope, selection });
            }
            Pattern::NofM { m, .. } | Pattern::PairsOfM { m, .. } => (m, 1),
            Pattern::Tiled { v, m, .. } => (m, v),
            _ => return Ok(Self::Given),
        };
        if order != Order::Natural {
            let problem = format!("{pattern} has groups of neighbours, so that columns keep their natural order");
            return Err(Error::Invalid(problem));
        }
        if !block.is_multiple_of(width) && block < k {
            let problem = format!("blocks of {block} columns cut the groups of {pattern}; give a multiple of {width}");
            return Err(Error::Invalid(problem));
        }
        Ok(Self::Groups { pattern, width, rows })
    }

    /// Rows that cannot be parted.
    pub(super) fn rows(&self) -> usize {
        match *self {
            Self::Groups { rows, .. } => rows,
            Self::Given | Self::Block { .. } => 1,
        }
    }

    /// Columns from one choice to the next inside a block.
    pub(super) fn width(&self, block: usize) -> usize {
        match *self {
            Self::Groups { width, .. } => width,
            Self::Given | Self::Block { .. } => block.max(1),
        }
    }
}

/// Which positions of `scores`, rows of `k`, a pattern of groups keeps.
pub(super) fn mask_by_scores(pattern: Pattern, scores: &[f32], k: usize) -> Result<Mask, Error> {
    Ok(pattern.magnitude_mask(scores, k)?)
}

/// The positions to prune of a part that begins after `before` positions and ends after `after`: by count, parts of a whole add up to
/// floor(whole * fraction); by threshold each has its own floor, as in the published code.
pub(super) fn quota(before: usize, after: usize, basis_points: u32, selection: Selection) -> usize {
    let part = |count: usize| (count as u128 * u128::from(basis_points) / 10_000) as usize;
    match selection {
        Selection::Count => part(after) - part(before),
        Selection::Threshold => part(after - before),
    }
}

/// Keeps all but the `count` smallest scores.
pub(super) fn keep_largest(scores: &[f32], count: usize, selection: Selection) -> Vec<bool> {
    if count >= scores.len() {
        return vec![false; scores.len()];
    }
    let mut sorted = scores.to_vec();
    let (_, &mut limit, _) = sorted.select_nth_unstable_by(count, f32::total_cmp);
    match selection {
        Selection::Threshold => scores.iter().map(|score| *score > limit).collect(),
        Selection::Count => {
            let mut ties = count - scores.iter().filter(|score| **score < limit).count();
            let mut keeps = |score: f32| {
                let tie = score == limit && ties > 0;
                ties -= usize::from(tie);
                score >= limit && !tie
            };
            scores.iter().map(|score| keeps(*score)).collect()
        }
    }
}
