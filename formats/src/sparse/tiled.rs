//! V:N:M: the columns that each tile keeps, and for every kept position its index among them in 2 bits.

use super::scheme::illegal;
use super::{Parts, Shape, Slots};
use crate::error::Error;
use crate::sparsity::{fill, index_bits};
use crate::{Mask, Pattern, pack};

/// Bits of an index among the columns of a tile.
const RANK_BITS: u32 = index_bits(Pattern::TILE_COLUMNS);

/// Indices of the kept positions, row-major, and columns of the tiles, row-major. Rows of tiles are full.
pub(super) fn write(filled: &Mask, v: usize, m: usize) -> (Vec<u8>, Vec<u8>) {
    let columns: Vec<_> = filled.tile_columns(v, m).iter().map(|used| fill::listed(used)).collect();
    let rank = |i: usize| fill::rank(&columns[filled.tile_of(i, v, m)], i % filled.k() % m);
    let ranks = pack::bits(filled.positions().map(rank), RANK_BITS);
    (ranks, pack::bits(columns.iter().flatten().map(|column| *column as u64), index_bits(m)))
}

/// The inverse: the columns of a tile must ascend within it, the indices of a row of a tile must ascend.
pub(super) fn read(shape: &Shape, (v, n, m): (usize, usize, usize), parts: &Parts) -> Result<Slots, Error> {
    let per_row = shape.k / m;
    let tiles = shape.rows / v * per_row;
    let columns: Vec<u64> = pack::read(&parts.index, index_bits(m), tiles * Pattern::TILE_COLUMNS).collect();
    for (tile, list) in columns.chunks(Pattern::TILE_COLUMNS).enumerate() {
        if let Some(&column) = descends(list).or(list.last().filter(|&&last| last >= m as u64)) {
            let (row, start) = (tile / per_row * v, tile % per_row * m);
            return Err(illegal(row, start, column, "ascending columns within the tile"));
        }
    }
    let ranks: Vec<u64> = pack::read(&parts.metadata, RANK_BITS, shape.rows * per_row * n).collect();
    let mut slots = Slots::with_capacity(ranks.len());
    for (g, group) in ranks.chunks(n).enumerate() {
        let (row, tile) = (g / per_row, g % per_row);
        if let Some(&rank) = descends(group) {
            return Err(illegal(row, tile * m, rank, "ascending indices within the row of the tile"));
        }
        let list = &columns[(row / v * per_row + tile) * Pattern::TILE_COLUMNS..][..Pattern::TILE_COLUMNS];
        slots.extend(group.iter().map(|&rank| Some(row * shape.k + tile * m + list[rank as usize] as usize)));
    }
    Ok(slots)
}

/// The first number that is not larger than the one before it.
fn descends(numbers: &[u64]) -> Option<&u64> {
    numbers.windows(2).find(|pair| pair[1] <= pair[0]).map(|pair| &pair[1])
}
