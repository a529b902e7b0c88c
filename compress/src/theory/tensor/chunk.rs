//! What one task does: some blocks at once through the fast path, then each block by itself.

use super::bound::Bounds;
use super::case::{Case, Rounded};
use super::measure::Block;
use super::{Bound, Findings, Tally};
use crate::Error;

/// Examines some blocks, of which the first has this index.
pub(super) fn examine(case: &Case, bounds: Option<&Bounds>, x: Vec<f32>, first: u64) -> Result<Findings, Error> {
    let mut chunk = Chunk::new(case, x, first, bounds.is_some())?;
    let mut findings = Findings { theorem_3_5: chunk.sparsified_first()?, ..Findings::default() };
    if let Some(narrow) = case.narrow(&chunk.x) {
        chunk.again(narrow)?;
    }
    findings.theorem_3_6 = chunk.quantised_first(bounds, &mut findings.theorem_3_7)?;
    let mut reversed = std::mem::take(&mut chunk.x);
    reversed.chunks_exact_mut(case.shape.k).for_each(<[f32]>::reverse);
    chunk.again(reversed)?;
    findings.theorem_3_6_reversed = chunk.quantised_first(bounds, &mut findings.theorem_3_7)?;
    Ok(findings)
}

/// Some blocks, quantised and sparsified.
pub(super) struct Chunk<'a> {
    case: &'a Case,
    first: u64,
    gaps: bool,
    x: Vec<f32>,
    q: Rounded,
    s: Vec<f32>,
    /// Blocks that overflow: they count as left out everywhere, and stand as zeros.
    overflowed: Vec<bool>,
}

impl<'a> Chunk<'a> {
    /// Blocks of which the first has this index, with the gaps under their scales if they are asked for.
    pub(super) fn new(case: &'a Case, mut x: Vec<f32>, first: u64, gaps: bool) -> Result<Self, Error> {
        let len = case.shape.len();
        let mut q = Self::quantised(case, &x, first, gaps)?;
        let overflowed: Vec<bool> = q.values.chunks(len).map(|block| block.iter().any(|v| !v.is_finite())).collect();
        if overflowed.contains(&true) {
            let out = x.chunks_mut(len).zip(&overflowed).filter(|(_, overflowed)| **overflowed);
            out.for_each(|(block, _)| block.fill(0.0));
            q = Self::quantised(case, &x, first, gaps)?;
        }
        let s = case.pruned(&x)?;
        Ok(Self { case, first, gaps, x, q, s, overflowed })
    }

    fn quantised(case: &Case, x: &[f32], first: u64, gaps: bool) -> Result<Rounded, Error> {
        if gaps { case.rounded(x, first) } else { Ok(Rounded { values: case.values(x, first)?, steps: Vec::new() }) }
    }

    /// Other values of the same blocks.
    fn again(&mut self, x: Vec<f32>) -> Result<(), Error> {
        self.q = Self::quantised(self.case, &x, self.first, self.gaps)?;
        (self.s, self.x) = (self.case.pruned(&x)?, x);
        Ok(())
    }

    /// The blocks that count, by their place here.
    pub(super) fn blocks<'b>(&'b self, both: &'b [f32]) -> impl Iterator<Item = (usize, Block<'b>)> {
        let len = self.case.shape.len();
        let block = move |i: usize| {
            let part = |values: &'b [f32]| &values[i * len..(i + 1) * len];
            let index = self.first + i as u64;
            let (x, q, s, both) = (part(&self.x), part(&self.q.values), part(&self.s), part(both));
            (i, Block { index, x, q, s, both })
        };
        (0..self.overflowed.len()).filter(|&i| !self.overflowed[i]).map(block)
    }

    /// A tally of nothing yet.
    fn tally(&self) -> Tally {
        let left_out = self.overflowed.iter().filter(|overflowed| **overflowed).count() as u64;
        Tally { left_out, ..Tally::default() }
    }

    /// Counts S→Q.
    pub(super) fn sparsified_first(&self) -> Result<Tally, Error> {
        let (both, mut tally) = (self.case.values(&self.s, self.first)?, self.tally());
        self.blocks(&both).for_each(|(_, block)| block.count(&block.errors(), &mut tally));
        Ok(tally)
    }

    /// The blocks by Q→S.
    pub(super) fn quantised_then_pruned(&self) -> Result<Vec<f32>, Error> {
        self.case.pruned(&self.q.values)
    }

    /// Counts Q→S.
    fn quantised_first(&self, bounds: Option<&Bounds>, bound: &mut Bound) -> Result<Tally, Error> {
        let (both, mut tally) = (self.quantised_then_pruned()?, self.tally());
        for (i, block) in self.blocks(&both) {
            let errors = block.errors();
            block.count(&errors, &mut tally);
            if let Some(bounds) = bounds {
                bounds.count(&block, &errors, &self.q.steps[i * bounds.scales..][..bounds.scales], bound);
            }
        }
        Ok(tally)
    }
}
