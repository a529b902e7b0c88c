//! Filling up: storage has a slot for all positions that a pattern allows, also where a mask keeps fewer.

use super::{Mask, Pattern};
use crate::error::Error;

impl Mask {
    /// The positions that storage has slots for: groups that keep fewer than the pattern allows are filled up.
    ///
    /// # Errors
    /// [`Error::Crowded`] where a group keeps more; a matrix that is not whole groups of pairs or whole tiles.
    pub(crate) fn filled(&self) -> Result<Self, Error> {
        let (pattern, k) = (self.pattern(), self.k());
        pattern.check(self.rows(), k)?;
        let mut kept = self.kept().to_vec();
        match pattern {
            Pattern::Dense | Pattern::Unstructured { .. } => {}
            Pattern::NofM { n, m } => {
                for (row, line) in kept.chunks_mut(k.max(1)).enumerate() {
                    for (g, group) in line.chunks_mut(m).enumerate() {
                        // The last group may be shorter than what it could keep.
                        let allowed = n.min(group.len());
                        fill(group, allowed)
                            .map_err(|count| crowded(pattern, "positions", (row, g * m), count, allowed))?;
                    }
                }
            }
            Pattern::PairsOfM { n, m } => {
                for (g, group) in kept.chunks_mut(m).enumerate() {
                    let mut pairs: Vec<bool> = group.chunks(2).map(|pair| pair.contains(&true)).collect();
                    let at = (g * m / k, g * m % k);
                    fill(&mut pairs, n / 2).map_err(|count| crowded(pattern, "pairs", at, count, n / 2))?;
                    group.iter_mut().enumerate().for_each(|(i, kept)| *kept = pairs[i / 2]);
                }
            }
            Pattern::Tiled { v, n, m } => self.fill_tiles(&mut kept, v, n, m)?,
        }
        Ok(Self::new(pattern, self.rows(), k, kept))
    }

    /// V:N:M: in each row of a tile the columns that the tile keeps are a group.
    fn fill_tiles(&self, kept: &mut [bool], v: usize, n: usize, m: usize) -> Result<(), Error> {
        let tiles = self.k() / m.max(1);
        for (tile, used) in self.tile_columns(v, m).iter().enumerate() {
            let (first_row, start) = (tile / tiles * v, tile % tiles * m);
            if used.len() > Pattern::TILE_COLUMNS {
                let (at, allowed) = ((first_row, start), Pattern::TILE_COLUMNS);
                return Err(crowded(self.pattern(), "columns", at, used.len(), allowed));
            }
            let columns = listed(used).map(|column| start + column);
            for row in first_row..first_row + v {
                let line = &mut kept[row * self.k()..][..self.k()];
                let mut group = columns.map(|column| line[column]);
                fill(&mut group, n).map_err(|count| crowded(self.pattern(), "positions", (row, start), count, n))?;
                columns.iter().zip(group).for_each(|(&column, kept)| line[column] = kept);
            }
        }
        Ok(())
    }
}

/// Keeps `n` of a group: free places are taken from position M - N on, which in 2:4 and 1:2 groups is what torch's
/// compression does. Those N places suffice. Returns the count where there are more than `n` already.
fn fill(group: &mut [bool], n: usize) -> Result<(), usize> {
    let count = group.iter().filter(|kept| **kept).count();
    let missing = n.checked_sub(count).ok_or(count)?;
    let first = group.len() - n;
    group[first..].iter_mut().filter(|kept| !**kept).take(missing).for_each(|kept| *kept = true);
    Ok(())
}

/// The columns that a tile lists: those in use, then the lowest others until there are as many as a tile keeps.
pub(crate) fn listed(used: &[usize]) -> [usize; Pattern::TILE_COLUMNS] {
    let mut columns = [0; Pattern::TILE_COLUMNS];
    let others = (0..).filter(|column| !used.contains(column));
    columns.iter_mut().zip(used.iter().copied().chain(others)).for_each(|(slot, column)| *slot = column);
    columns.sort_unstable();
    columns
}

/// The place of a column in the list of its tile.
pub(crate) fn rank(columns: &[usize; Pattern::TILE_COLUMNS], column: usize) -> u64 {
    columns.iter().filter(|&&listed| listed < column).count() as u64
}

fn crowded(pattern: Pattern, unit: &'static str, at: (usize, usize), kept: usize, allowed: usize) -> Error {
    Error::Crowded { pattern: pattern.to_string(), row: at.0, column: at.1, unit, kept, allowed }
}
