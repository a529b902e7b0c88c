//! Footprint: bits of what is stored, by formula. A test holds the formula to `len()` of the packed bytes.

use crate::{Format, Mask, Pattern, Scale};
use serde::Serialize;
use std::{iter::Sum, ops::Add, ops::AddAssign};

/// Bits of storage by kind. Sums and products of more than 64 bits stay at the largest number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// Element codes.
    pub values: u64,
    /// Shared scales, never compressed.
    pub scales: u64,
    /// Where kept elements belong.
    pub metadata: u64,
    /// What is stored beside the quantised matrices: biases, norms, embeddings, heads.
    pub other: u64,
}

impl Footprint {
    /// Bits that are stored as they are, outside of any format.
    pub const fn other(bits: u64) -> Self {
        Self { values: 0, scales: 0, metadata: 0, other: bits }
    }

    /// All bits.
    pub const fn total(self) -> u64 {
        self.values.saturating_add(self.scales).saturating_add(self.metadata).saturating_add(self.other)
    }
}

impl Add for Footprint {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            values: self.values.saturating_add(other.values),
            scales: self.scales.saturating_add(other.scales),
            metadata: self.metadata.saturating_add(other.metadata),
            other: self.other.saturating_add(other.other),
        }
    }
}

impl AddAssign for Footprint {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Footprint {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}

impl Format {
    /// Bits of a stored matrix [rows, k]; each bit string is padded to whole bytes once.
    ///
    /// Without a mask rows are padded to whole blocks. With one only kept elements are stored; scales stay.
    pub fn footprint(&self, rows: usize, k: usize, mask: Option<&Mask>) -> Footprint {
        let whole_bytes = |count: u64, bits: u64| count.saturating_mul(bits).div_ceil(8).saturating_mul(8);
        let mask = mask.filter(|m| m.pattern() != Pattern::Dense);
        let dense = (rows as u64).saturating_mul(self.padded(k) as u64);
        let across = (self.padded(k) / self.block_len(k)) as u64;
        let blocks = (rows.div_ceil(self.block_rows(rows)) as u64).saturating_mul(across);
        let scales = self.scaling.map_or(0, |s| match s.scale {
            // Factors and zero points are two arrays, each of whole bytes.
            Scale::Affine(zero) => whole_bytes(blocks, 32).saturating_add(whole_bytes(blocks, u64::from(zero))),
            _ => whole_bytes(blocks, s.scale_bits(self.block_len(k))),
        });
        let tensor = if self.scaling.is_some_and(|s| s.two_level) { 32 } else { 0 };
        Footprint {
            values: whole_bytes(mask.map_or(dense, Mask::stored), u64::from(self.element.bits())),
            scales: scales.saturating_add(tensor),
            metadata: whole_bytes(mask.map_or(0, Mask::metadata_bits), 1),
            other: 0,
        }
    }

    /// Bits of a stored matrix [rows, k] under any mask of that pattern whose groups are full: what
    /// [`Format::footprint`] gives for it, from the shape alone. Numbers of a pattern that [`Pattern::check`] refuses keep all.
    pub fn footprint_of(&self, pattern: Pattern, rows: usize, k: usize) -> Footprint {
        let dense = self.footprint(rows, k, None);
        if pattern == Pattern::Dense || !pattern.is_possible() {
            return dense;
        }
        let (stored, metadata) = pattern.counts(rows as u64, k as u64);
        let whole_bytes = |count: u64, bits: u64| count.saturating_mul(bits).div_ceil(8).saturating_mul(8);
        let values = whole_bytes(stored, u64::from(self.element.bits()));
        Footprint { values, metadata: whole_bytes(metadata, 1), ..dense }
    }
}
