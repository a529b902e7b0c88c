//! Launching kernels: buffers and how many units.

use super::kernel::{self, UNITS};
use cubecl::calculate_cube_count_elemwise;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;

/// A buffer of so many words.
pub(super) fn arg(handle: &Handle, words: usize) -> BufferArg {
    // SAFETY: every caller gives the length that the buffer was made with, or that the caller of this crate vouches for.
    unsafe { BufferArg::from_raw_parts(handle.clone(), words) }
}

/// One thing a unit.
pub(super) fn per_unit(client: &Client, count: usize) -> (CubeDim, CubeCount) {
    let dim = CubeDim::new_1d(UNITS);
    (dim, calculate_cube_count_elemwise(client, count, dim))
}

/// One thing a cube.
pub(super) fn per_cube(client: &Client, count: usize) -> (CubeDim, CubeCount) {
    per_unit(client, count * UNITS as usize)
}

/// What blocks of `block_rows` rows share, once a row, `[rows, across]`: from a buffer of so many words, at an offset.
pub(super) fn per_row(
    client: &Client,
    (from, words, offset): (&Handle, usize, usize),
    (block_rows, across): (usize, usize),
    rows: usize,
) -> Handle {
    let places = rows * across;
    let out = client.empty(places * 4);
    let (dim, count) = per_unit(client, places);
    let sizes = [offset, across, block_rows, places].map(|n| n as u32);
    let [offset, across, block_rows, all] = sizes;
    kernel::per_row::launch(client, count, dim, arg(from, words), arg(&out, places), offset, across, block_rows, all);
    out
}
