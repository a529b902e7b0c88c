//! Compressed sparse rows: the column of each kept position in ceil(log2 k) bits, and rows + 1 pointers of 32 bits.

use super::scheme::illegal;
use super::{Parts, Shape, Slots, empty};
use crate::error::Error;
use crate::sparsity::index_bits;
use crate::{Mask, pack};

/// Bits of a row pointer.
const POINTER_BITS: u32 = 32;

/// Bits of all row pointers.
pub(super) fn pointer_bits(rows: usize) -> u64 {
    (rows as u64 + 1) * u64::from(POINTER_BITS)
}

/// The pointer behind the last row: the number of kept positions.
pub(super) fn last_pointer(pointers: &[u8]) -> u64 {
    pointers.last_chunk().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
}

/// Columns and row pointers.
pub(super) fn write(mask: &Mask) -> (Vec<u8>, Vec<u8>) {
    let columns = pack::bits(mask.positions().map(|i| (i % mask.k()) as u64), index_bits(mask.k()));
    let kept = |row: &[bool]| row.iter().filter(|kept| **kept).count() as u64;
    let mut pointers = vec![0];
    for row in mask.kept().chunks(mask.k().max(1)) {
        pointers.push(pointers[pointers.len() - 1] + kept(row));
    }
    (columns, pack::bits(pointers.into_iter(), POINTER_BITS))
}

/// The inverse: pointers must ascend from 0, the columns of a row must ascend and be columns.
pub(super) fn read(shape: &Shape, stored: u64, parts: &Parts) -> Result<Slots, Error> {
    let pointers: Vec<u64> = pack::read(&parts.index, POINTER_BITS, shape.rows + 1).collect();
    // The columns of a one-column matrix take no bits.
    let columns = match index_bits(shape.k) {
        0 => vec![0; stored as usize],
        bits => pack::read(&parts.metadata, bits, stored as usize).collect(),
    };
    if pointers[0] != 0 {
        return Err(illegal(0, 0, pointers[0], "a first row pointer of 0"));
    }
    let mut kept = empty(shape.rows * shape.k)?;
    let mut slots = Slots::with_capacity(columns.len());
    for (row, ends) in pointers.windows(2).enumerate() {
        if ends[1] < ends[0] || ends[1] > stored {
            return Err(illegal(row, 0, ends[1], "row pointers that ascend to the last one"));
        }
        let mut next = 0;
        for &column in &columns[ends[0] as usize..ends[1] as usize] {
            if !(next..shape.k as u64).contains(&column) {
                return Err(illegal(row, next as usize, column, "ascending columns within the row"));
            }
            next = column + 1;
            let at = row * shape.k + column as usize;
            kept[at] = true;
            slots.push(Some(at));
        }
    }
    // The mask must follow the pattern that is claimed.
    Mask::new(shape.pattern, shape.rows, shape.k, kept).filled()?;
    Ok(slots)
}
