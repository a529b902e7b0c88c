//! Bitmaps: one bit a position, for the whole matrix or, as in S2TA, before the codes of each block.

use super::{Shape, Slots};
use crate::error::Error;
use crate::{Mask, pack};

/// One bit a position, 1 = kept.
pub(super) fn write(mask: &Mask) -> Vec<u8> {
    pack::bits(mask.kept().iter().map(|&kept| u64::from(kept)), 1)
}

/// The inverse. The mask must follow the pattern that is claimed.
pub(super) fn read(shape: &Shape, bitmap: &[u8]) -> Result<Mask, Error> {
    let kept = pack::read(bitmap, 1, shape.rows * shape.k).map(|bit| bit == 1).collect();
    let mask = Mask::new(shape.pattern, shape.rows, shape.k, kept);
    mask.filled()?;
    Ok(mask)
}

/// How many of the first `positions` bits are 1.
pub(super) fn count(bitmap: &[u8], positions: u64) -> u64 {
    let ones: u64 = bitmap.iter().map(|byte| u64::from(byte.count_ones())).sum();
    let padding = bitmap.last().filter(|_| !positions.is_multiple_of(8)).map_or(0, |last| last >> (positions % 8));
    ones - u64::from(padding.count_ones())
}

/// `n` slots for each block of `m` positions, kept positions first. No block keeps more.
pub(super) fn block_slots(mask: &Mask, n: usize, m: usize) -> Slots {
    let block = |(b, kept): (usize, &[bool])| {
        let positions = (0..m).filter(|&i| kept[i]).map(|i| Some(b * m + i));
        positions.chain(std::iter::repeat(None)).take(n).collect::<Slots>()
    };
    mask.kept().chunks(m).enumerate().flat_map(block).collect()
}
