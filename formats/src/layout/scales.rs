//! Scales of block-scaled products in tiles of 128 rows by 4 blocks, which the matrix units of Blackwell read.
//!
//! The scale matrix [rows, blocks] is padded with zeros to whole tiles. Tiles follow one another row by row of tiles; in
//! the 512 bytes of one, the scale of row r and block b lies at r % 32 * 16 + r / 32 * 4 + b: 32 lines of 16 bytes, each
//! with the four scales of the rows r, r + 32, r + 64 and r + 96 (hence "32x4x4").

use crate::Error;

/// Rows of a tile.
const ROWS: usize = 128;
/// Blocks of a tile.
const BLOCKS: usize = 4;

/// Bytes that the scales of `rows` rows with `blocks` blocks each take: whole tiles.
///
/// # Errors
/// [`Error::LayoutTooLarge`] where the number does not fit.
pub fn swizzled_len(rows: usize, blocks: usize) -> Result<usize, Error> {
    let padded = rows.checked_next_multiple_of(ROWS).zip(blocks.checked_next_multiple_of(BLOCKS));
    padded.and_then(|(r, b)| r.checked_mul(b)).ok_or(Error::LayoutTooLarge { rows, blocks })
}

/// Lays one-byte scales [rows, blocks] out in tiles; bytes between them are zero.
///
/// # Errors
/// [`Error::LayoutLength`] unless there are `rows * blocks` scales, [`Error::LayoutTooLarge`] where the tiles are too
/// many.
pub fn swizzle_scales(scales: &[u8], rows: usize, blocks: usize) -> Result<Vec<u8>, Error> {
    let allowed = rows.checked_mul(blocks).ok_or(Error::LayoutTooLarge { rows, blocks })?;
    if scales.len() != allowed {
        return Err(Error::LayoutLength { what: "scales", given: scales.len(), allowed });
    }
    let mut tiles = vec![0; swizzled_len(rows, blocks)?];
    for (row, scales) in scales.chunks(blocks.max(1)).enumerate() {
        for (block, &scale) in scales.iter().enumerate() {
            tiles[offset(row, block, blocks)] = scale;
        }
    }
    Ok(tiles)
}

/// Takes the scales [rows, blocks] back out of tiles. Bytes between them are not looked at: they belong to no row, and
/// kernels that write tiles do not promise them to be zero.
///
/// # Errors
/// [`Error::LayoutLength`] unless there are [`swizzled_len`] bytes, [`Error::LayoutTooLarge`] as there.
pub fn unswizzle_scales(tiles: &[u8], rows: usize, blocks: usize) -> Result<Vec<u8>, Error> {
    let allowed = swizzled_len(rows, blocks)?;
    if tiles.len() != allowed {
        return Err(Error::LayoutLength { what: "bytes of scale tiles", given: tiles.len(), allowed });
    }
    // An empty matrix may claim any number of rows, so that rows are not walked without blocks.
    let rows = if blocks == 0 { 0 } else { rows };
    let places = (0..rows).flat_map(|row| (0..blocks).map(move |block| offset(row, block, blocks)));
    Ok(places.map(|at| tiles[at]).collect())
}

/// Where the scale of a row and block lies.
const fn offset(row: usize, block: usize, blocks: usize) -> usize {
    let tile = row / ROWS * blocks.div_ceil(BLOCKS) + block / BLOCKS;
    tile * ROWS * BLOCKS + row % 32 * 16 + row % ROWS / 32 * BLOCKS + block % BLOCKS
}
