//! Recorded rows, and how often a record gives their results.

use crate::Error;
use crate::datapath::{Codes, Datapath, Row};
use crate::verify::same;

/// Rows `d = c + a . b` of an unknown unit, as codes in the low bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recorded<'a> {
    /// Length of the reduction.
    pub k: usize,
    /// Elements of A, `[rows, K]`; the stored ones where A is sparse.
    pub a: &'a [u64],
    /// Elements of B, `[rows, K]`.
    pub b: &'a [u64],
    /// Accumulators that entered, `[rows]`; empty where all were zero.
    pub c: &'a [u64],
    /// Results, `[rows]`.
    pub d: &'a [u64],
    /// Scales of A, `[rows, K / block]`; empty where there are none.
    pub scale_a: &'a [u64],
    /// Scales of B, `[rows, K / block]`.
    pub scale_b: &'a [u64],
    /// Positions of the stored elements, `[rows, groups]`, as [`Row::metadata`]; empty where A is dense.
    pub metadata: &'a [u64],
    /// Bits of a code as they were stored.
    pub widths: Widths,
}

/// Bits of a stored code; formats narrower than a byte are stored in one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Widths {
    /// Elements of A.
    pub a: u32,
    /// Elements of B.
    pub b: u32,
    /// Accumulators; the width of `d` where there are none.
    pub c: u32,
    /// Results.
    pub d: u32,
}

impl<'a> Recorded<'a> {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.d.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.d.is_empty()
    }

    /// One row; an empty one beyond the last.
    pub fn row(&self, index: usize) -> Row<'a> {
        let rows = self.len().max(1);
        let of = |codes: &'a [u64]| codes.chunks((codes.len() / rows).max(1)).nth(index).unwrap_or_default();
        Row {
            a: of(self.a),
            b: of(self.b),
            c: self.c.get(index).copied().unwrap_or(0),
            scale_a: of(self.scale_a),
            scale_b: of(self.scale_b),
            metadata: of(self.metadata),
        }
    }

    /// Whether an accumulator other than +0 entered.
    pub(super) fn accumulates(&self) -> bool {
        self.c.iter().any(|&c| c != 0)
    }

    /// Whether the lengths go together.
    pub(super) fn check(&self) -> Result<(), Error> {
        let rows = self.len();
        let lengths = |field, given, wanted| Err(Error::Lengths { field, given, wanted });
        if rows == 0 {
            return lengths("d", 0, 1);
        }
        if self.k == 0 || self.b.len() != rows * self.k {
            return lengths("b", self.b.len(), rows * self.k.max(1));
        }
        if self.metadata.is_empty() && self.a.len() != self.b.len() {
            return lengths("a", self.a.len(), self.b.len());
        }
        if !self.c.is_empty() && self.c.len() != rows {
            return lengths("c", self.c.len(), rows);
        }
        if self.scale_a.len() != self.scale_b.len() {
            return lengths("scale_b", self.scale_b.len(), self.scale_a.len());
        }
        let whole = [("a", self.a), ("scale_a", self.scale_a), ("metadata", self.metadata)];
        match whole.into_iter().find(|(_, codes)| !codes.len().is_multiple_of(rows)) {
            Some((field, codes)) => lengths(field, codes.len(), codes.len().next_multiple_of(rows)),
            None => Ok(()),
        }
    }

    /// Whether codes of these operands can be what was stored: formats of a byte or less are stored in a byte.
    pub(super) fn fit(&self, codes: &Codes, c: u32, d: u32) -> bool {
        let side = |stored: u32, bits: u32, codes: &[u64]| {
            let width = if bits <= 8 { 8 } else { bits };
            width == stored && (bits == stored || codes.iter().all(|&code| code >> bits == 0))
        };
        let blocks = |codes: &[u64]| codes.len() / self.len().max(1);
        let scales = codes.scale.map_or(0, |scale| self.k.div_ceil(scale.block));
        let groups = codes.sparse.map_or(0, |sparsity| self.k / sparsity.m);
        let stored = codes.sparse.map_or(self.k, |sparsity| self.k / sparsity.m * sparsity.n);
        side(self.widths.a, codes.a.format.bits(), self.a)
            && side(self.widths.b, codes.b.format.bits(), self.b)
            && (self.c.is_empty() || c == self.widths.c)
            && d == self.widths.d
            && blocks(self.scale_a) == scales
            && blocks(self.metadata) == groups
            && blocks(self.a) == stored
    }

    /// Whether a record gives the result of a row. What the record cannot compute it does not explain.
    pub(super) fn explains(&self, datapath: &Datapath, depth: Option<usize>, row: usize) -> bool {
        datapath.dot(self.row(row), depth).is_ok_and(|got| same(datapath, got, self.d[row]))
    }

    /// How many of some rows a record explains; `None` as soon as more than `wrong` are not.
    pub(super) fn explained(
        &self,
        datapath: &Datapath,
        depth: Option<usize>,
        rows: &[usize],
        wrong: usize,
    ) -> Option<usize> {
        let mut left = wrong;
        for &row in rows {
            if !self.explains(datapath, depth, row) {
                left = left.checked_sub(1)?;
            }
        }
        Some(rows.len() - (wrong - left))
    }
}
