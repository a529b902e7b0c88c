//! N:M with an index a kept position: groups of M units along K of which N are kept; a unit is a position or a pair.
//!
//! Where a row ends in a part of a group, its min(N, rest) units are kept; only units of one position have such rows.

use super::scheme::illegal;
use super::{Shape, Slots};
use crate::error::Error;
use crate::sparsity::index_bits;
use crate::{Mask, pack};

/// The numbers of a grouped scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grouped {
    /// Positions of a unit.
    unit: usize,
    /// Kept units a group.
    n: usize,
    /// Units a group.
    m: usize,
    /// Indices that are written for a unit: 2 where each is written as two halves.
    halves: usize,
}

impl Grouped {
    /// 1:2 of 32-bit values is, to the hardware, 2:4 of their 16-bit halves: index i is written as 2i and 2i + 1.
    pub const HALVES: Self = Self { unit: 1, n: 1, m: 2, halves: 2 };

    /// N:M.
    pub const fn positions(n: usize, m: usize) -> Self {
        Self { unit: 1, n, m, halves: 1 }
    }

    /// N:Mp.
    pub const fn pairs(n: usize, m: usize) -> Self {
        Self { unit: 2, n: n / 2, m: m / 2, halves: 1 }
    }

    /// Positions of a group.
    pub const fn len(self) -> usize {
        self.unit * self.m
    }

    /// Kept units of a row of `k` positions.
    const fn units(self, k: usize) -> usize {
        let rest = k % self.len() / self.unit;
        k / self.len() * self.n + if rest < self.n { rest } else { self.n }
    }

    /// Kept positions of a row of `k`.
    pub const fn kept(self, k: usize) -> u64 {
        (self.unit * self.units(k)) as u64
    }

    /// Bits of metadata of a row of `k`.
    pub const fn bits(self, k: usize) -> u64 {
        (self.units(k) * self.halves) as u64 * self.index_bits() as u64
    }

    /// Bits of one written index.
    pub const fn index_bits(self) -> u32 {
        index_bits(self.m * self.halves)
    }

    /// The indices of all groups in order; groups are full.
    pub fn write(self, filled: &Mask) -> Vec<u8> {
        let k = filled.k();
        let units = filled.positions().step_by(self.unit).map(|i| i % k / self.unit % self.m);
        let written = units.flat_map(|unit| (0..self.halves).map(move |half| (unit * self.halves + half) as u64));
        pack::bits(written, self.index_bits())
    }

    /// The inverse: each group's indices must ascend within the group.
    pub fn read(self, shape: &Shape, metadata: &[u8]) -> Result<Slots, Error> {
        let units = self.units(shape.k);
        let written: Vec<u64> = pack::read(metadata, self.index_bits(), shape.rows * units * self.halves).collect();
        let mut slots = Slots::with_capacity(shape.rows * units * self.unit);
        // Without units nothing is written, and there is no row to read.
        for (row, indices) in written.chunks((units * self.halves).max(1)).enumerate() {
            for (g, indices) in indices.chunks(self.n * self.halves).enumerate() {
                self.read_group((row, g * self.len()), shape.k, indices, &mut slots)?;
            }
        }
        Ok(slots)
    }

    /// Appends the slots of the group at `row` and column `start`, which may be cut short by the end of the row.
    fn read_group(
        self,
        (row, start): (usize, usize),
        k: usize,
        indices: &[u64],
        slots: &mut Slots,
    ) -> Result<(), Error> {
        let (mut next, there) = (0, self.m.min((k - start) / self.unit));
        for index in indices.chunks(self.halves) {
            let unit = self.unit_of(index).filter(|unit| (next..there).contains(unit)).ok_or_else(|| {
                let code = indices.iter().rev().fold(0, |code, index| code << self.index_bits() | index);
                illegal(row, start, code, "ascending indices within the group")
            })?;
            next = unit + 1;
            let first = row * k + start + unit * self.unit;
            slots.extend((first..first + self.unit).map(Some));
        }
        Ok(())
    }

    /// The unit whose indices these are; both halves of a value go together.
    fn unit_of(self, index: &[u64]) -> Option<usize> {
        let first = index[0] as usize;
        let together = index.iter().enumerate().all(|(half, &index)| index as usize == first + half);
        (first.is_multiple_of(self.halves) && together).then_some(first / self.halves)
    }
}
