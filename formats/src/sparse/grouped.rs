//! N:M with an index a kept position: groups of M units along K of which N are kept; a unit is a position or a pair.

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
    pub const fn len(self) -> u64 {
        (self.unit * self.m) as u64
    }

    /// Kept positions of a group.
    pub const fn kept(self) -> u64 {
        (self.unit * self.n) as u64
    }

    /// Bits of metadata of a group.
    pub const fn bits(self) -> u64 {
        (self.n * self.halves) as u64 * self.index_bits() as u64
    }

    /// Bits of one written index.
    pub const fn index_bits(self) -> u32 {
        index_bits(self.m * self.halves)
    }

    /// The indices of all groups in order; groups are full.
    pub fn write(self, filled: &Mask) -> Vec<u8> {
        let units = filled.positions().step_by(self.unit).map(|i| i / self.unit % self.m);
        let written = units.flat_map(|unit| (0..self.halves).map(move |half| (unit * self.halves + half) as u64));
        pack::bits(written, self.index_bits())
    }

    /// The inverse: each group's indices must ascend within the group.
    pub fn read(self, shape: &Shape, metadata: &[u8]) -> Result<Slots, Error> {
        let group = self.len() as usize;
        let groups = shape.rows * shape.k / group;
        let written = pack::unpack(metadata, self.index_bits(), groups * self.n * self.halves);
        let mut slots = Slots::with_capacity(groups * self.kept() as usize);
        for (g, indices) in written.chunks(self.n * self.halves).enumerate() {
            let start = g * group;
            let mut next = 0;
            for index in indices.chunks(self.halves) {
                let unit = self.unit_of(index).filter(|unit| (next..self.m).contains(unit)).ok_or_else(|| {
                    let code = indices.iter().rev().fold(0, |code, index| code << self.index_bits() | index);
                    illegal(start / shape.k, start % shape.k, code, "ascending indices within the group")
                })?;
                next = unit + 1;
                slots.extend((0..self.unit).map(|i| Some(start + unit * self.unit + i)));
            }
        }
        Ok(slots)
    }

    /// The unit whose indices these are; both halves of a value go together.
    fn unit_of(self, index: &[u64]) -> Option<usize> {
        let first = index[0] as usize;
        let together = index.iter().enumerate().all(|(half, &index)| index as usize == first + half);
        (first.is_multiple_of(self.halves) && together).then_some(first / self.halves)
    }
}
