//! Masks: which positions of a matrix are kept, and the bit string that says so.

use super::{Pattern, fill, index_bits};
use crate::error::{Error, rows_of};
use crate::pack;

/// The positions of a matrix [rows, k] that are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    pattern: Pattern,
    rows: usize,
    k: usize,
    kept: Vec<bool>,
}

impl Mask {
    /// Joins parts that fit together.
    pub(crate) fn new(pattern: Pattern, rows: usize, k: usize, kept: Vec<bool>) -> Self {
        assert_eq!(kept.len(), rows * k, "one flag a position");
        Self { pattern, rows, k, kept }
    }

    /// The mask of a matrix with rows of `k` that keeps the flagged positions.
    ///
    /// For layouts whose rows are padded: the pattern was applied to the rows without padding.
    ///
    /// # Errors
    /// [`Error::Ragged`] where the flags are not whole rows, [`Error::UnknownPattern`] for impossible numbers.
    pub fn from_kept(pattern: Pattern, k: usize, kept: Vec<bool>) -> Result<Self, Error> {
        if !pattern.is_possible() {
            return Err(Error::UnknownPattern(pattern.to_string()));
        }
        Ok(Self { pattern, rows: rows_of(kept.len(), k)?, k, kept })
    }

    /// The mask that a matrix of codes has already: non-zeros are kept, and in groups that hold fewer of them than
    /// the pattern keeps, the positions that torch's compression takes (in 2:4 groups the third, then the fourth).
    ///
    /// `is_zero` decides what a zero is; for floats -0 is one too.
    ///
    /// # Errors
    /// [`Error::Crowded`] where a group has more non-zeros than the pattern keeps; a matrix that is not whole groups of pairs
    /// or whole tiles.
    pub fn of_nonzero(pattern: Pattern, k: usize, codes: &[u64], is_zero: impl Fn(u64) -> bool) -> Result<Self, Error> {
        Self::from_kept(pattern, k, codes.iter().map(|code| !is_zero(*code)).collect())?.filled()
    }

    /// The pattern that it follows.
    pub fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Length of a row.
    pub fn k(&self) -> usize {
        self.k
    }

    /// One flag a position, row-major.
    pub fn kept(&self) -> &[bool] {
        &self.kept
    }

    /// How many positions are pruned.
    pub fn pruned(&self) -> usize {
        self.kept.iter().filter(|k| !**k).count()
    }

    /// Sets pruned values to +0.
    ///
    /// # Errors
    /// [`Error::MaskShape`] where `w` has another number of values.
    pub fn apply(&self, w: &mut [f32]) -> Result<(), Error> {
        self.check_shape(w.len() / self.k.max(1), self.k)?;
        for (v, kept) in w.iter_mut().zip(&self.kept) {
            *v = if *kept { *v } else { 0.0 };
        }
        Ok(())
    }

    /// Refuses a matrix of another shape.
    pub(crate) fn check_shape(&self, rows: usize, k: usize) -> Result<(), Error> {
        if (self.rows, self.k) == (rows, k) {
            return Ok(());
        }
        Err(Error::MaskShape { mask_rows: self.rows, mask_k: self.k, rows, k })
    }

    /// The flat indices of the kept positions, in order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.kept.len()).filter(|&i| self.kept[i])
    }

    /// How many codes are stored. Padding of a short last block is not: the metadata has no place for it.
    pub(crate) fn stored(&self) -> u64 {
        (self.kept.len() - self.pruned()) as u64
    }

    /// The flat indices of the pairs that hold a kept position, in order.
    fn pairs(&self) -> impl Iterator<Item = usize> + '_ {
        self.kept.chunks(2).enumerate().filter(|(_, pair)| pair.contains(&true)).map(|(i, _)| i)
    }

    /// Bits of metadata: ceil(log2 M) a kept position for N:M, ceil(log2 M/2) a kept pair for N:Mp, one a position for
    /// unstructured; V:N:M has 2 a kept position and ceil(log2 M) for each column that a tile keeps.
    pub fn metadata_bits(&self) -> u64 {
        match self.pattern {
            Pattern::Dense => 0,
            Pattern::Unstructured { .. } => self.kept.len() as u64,
            Pattern::NofM { m, .. } => self.stored() * u64::from(index_bits(m)),
            Pattern::PairsOfM { m, .. } => self.pairs().count() as u64 * u64::from(index_bits(m / 2)),
            Pattern::Tiled { v, m, .. } => {
                let tiles = (self.rows.div_ceil(v) * self.k.div_ceil(m)) as u64;
                let columns = tiles * Pattern::TILE_COLUMNS as u64;
                2 * self.stored() + columns * u64::from(index_bits(m))
            }
        }
    }

    /// The metadata as a bit string. N:M: for every kept position in order its index in its group, so that for 2:4 the
    /// low bits of a nibble are those of the first one; N:Mp: the same for pairs; unstructured: a bitmap, 1 = kept;
    /// V:N:M: for every kept position its index among the columns that its tile keeps, then those columns by tile.
    pub fn metadata(&self) -> Vec<u8> {
        match self.pattern {
            Pattern::Dense => Vec::new(),
            Pattern::Unstructured { .. } => pack::bits(self.kept.iter().map(|&kept| u64::from(kept)), 1),
            Pattern::NofM { m, .. } => pack::bits(self.positions().map(|i| (i % self.k % m) as u64), index_bits(m)),
            Pattern::PairsOfM { m, .. } => pack::bits(self.pairs().map(|i| (i % (m / 2)) as u64), index_bits(m / 2)),
            Pattern::Tiled { v, m, .. } => self.tiled_metadata(v, m),
        }
    }

    /// The two parts of V:N:M have codes of different widths, so both are written bit by bit.
    fn tiled_metadata(&self, v: usize, m: usize) -> Vec<u8> {
        let columns: Vec<_> = self.tile_columns(v, m).iter().map(|used| fill::listed(used)).collect();
        let ranks = self.positions().map(|i| (fill::rank(&columns[self.tile_of(i, v, m)], i % self.k % m), 2));
        let listed = columns.iter().flatten().map(|column| (*column as u64, index_bits(m)));
        pack::bits(ranks.chain(listed).flat_map(|(code, width)| (0..width).map(move |bit| code >> bit & 1)), 1)
    }

    /// The tile of a flat index; tiles are counted row-major.
    pub(crate) fn tile_of(&self, i: usize, v: usize, m: usize) -> usize {
        i / self.k / v * self.k.div_ceil(m) + i % self.k / m
    }

    /// The columns of each tile of `v` rows and `m` columns that hold a kept position, ascending.
    pub(crate) fn tile_columns(&self, v: usize, m: usize) -> Vec<Vec<usize>> {
        let mut used = vec![vec![false; m]; self.rows.div_ceil(v) * self.k.div_ceil(m)];
        self.positions().for_each(|i| used[self.tile_of(i, v, m)][i % self.k % m] = true);
        used.iter().map(|used| (0..m).filter(|&column| used[column]).collect()).collect()
    }
}
