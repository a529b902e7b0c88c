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

/// One of the words of a buffer, once a row.
pub(super) fn every_row(client: &Client, from: &Handle, words: usize, which: u32, rows: usize) -> Handle {
    let out = client.empty(rows * 4);
    let (dim, count) = per_unit(client, rows);
    kernel::every_row::launch(client, count, dim, arg(from, words), arg(&out, rows), which, rows as u32);
    out
}
