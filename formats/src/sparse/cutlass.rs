//! The order in which CUTLASS keeps metadata for the sparse matrix instructions of sm_80.
//!
//! The 4-bit codes of a row are joined to words of 16 bits (16- and 32-bit codes) or 32 bits (8-bit codes), first group
//! in the low bits. Rows are then permuted within blocks, the off-diagonal words of each 2 x 2 block are swapped, and
//! words are stored by pairs of columns (`reorder_meta` in CUTLASS's `host_reorder.h`, `ColumnMajorInterleaved<2>`).

use super::Shape;
use super::grouped::Grouped;
use super::scheme::unsupported;
use crate::Pattern;
use crate::error::Error;

/// The scheme and the bytes of a word; refuses what the reordering is not defined for.
pub(super) fn scheme(shape: &Shape) -> Result<(Grouped, usize), Error> {
    let (grouped, word) = match (shape.width, shape.pattern) {
        (8, Pattern::NofM { n: 2, m: 4 }) => (Grouped::positions(2, 4), 4),
        (16, Pattern::NofM { n: 2, m: 4 }) => (Grouped::positions(2, 4), 2),
        (32, Pattern::NofM { n: 1, m: 2 }) => (Grouped::HALVES, 2),
        _ => return Err(unsupported(shape, "2:4 sparsity of 8- and 16-bit codes and 1:2 sparsity of 32-bit codes")),
    };
    // A word holds two 4-bit groups a byte, and words are stored by pairs of columns.
    let two_words = 2 * word * 2 * grouped.len();
    if shape.rows.is_multiple_of(block_rows(word)) && shape.k.is_multiple_of(two_words) {
        return Ok((grouped, word));
    }
    Err(unsupported(
        shape,
        match shape.width {
            8 => "whole blocks of 16 rows x 64 columns",
            16 => "whole blocks of 32 rows x 32 columns",
            _ => "whole blocks of 32 rows x 16 columns",
        },
    ))
}

/// Rows that are permuted among themselves.
const fn block_rows(word: usize) -> usize {
    64 / word
}

/// Words in rows to words in CUTLASS's order.
pub(super) fn reorder(rows_in_order: &[u8], rows: usize, word: usize) -> Vec<u8> {
    let mut reordered = vec![0; rows_in_order.len()];
    for (i, bytes) in rows_in_order.chunks(word).enumerate() {
        reordered[destination(i, rows, rows_in_order.len(), word) * word..][..word].copy_from_slice(bytes);
    }
    reordered
}

/// The inverse of [`reorder`].
pub(super) fn restore(reordered: &[u8], rows: usize, word: usize) -> Vec<u8> {
    let mut rows_in_order = vec![0; reordered.len()];
    for (i, bytes) in rows_in_order.chunks_mut(word).enumerate() {
        bytes.copy_from_slice(&reordered[destination(i, rows, reordered.len(), word) * word..][..word]);
    }
    rows_in_order
}

/// Where word `i` of the row-major words goes.
fn destination(i: usize, rows: usize, bytes: usize, word: usize) -> usize {
    let columns = bytes / word / rows;
    let (row, column) = (i / columns, i % columns);
    let block = block_rows(word);
    // Row 8a + b of a block goes to row b * (block / 8) + a.
    let row = row / block * block + row % 8 * (block / 8) + row % block / 8;
    let (row, column) = match (row % 2, column % 2) {
        (0, 1) => (row + 1, column - 1),
        (1, 0) => (row - 1, column + 1),
        _ => (row, column),
    };
    column / 2 * rows * 2 + row * 2 + column % 2
}
