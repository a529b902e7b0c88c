//! Number formats and matrix units on the GPU.
use cubecl::prelude::*;

/// Doubles.
#[cube]
pub fn double(x: u32, #[comptime] bits: u32) -> u32 {
    let mut y = x;
    if comptime!(bits > 3) {
        y = y << 1;
    }
    y
}

/// Kernel.
#[cube(launch)]
pub fn kernel(input: &Array<u32>, output: &mut Array<u32>, #[comptime] bits: u32) {
    if ABSOLUTE_POS < output.len() {
        output[ABSOLUTE_POS] = double(input[ABSOLUTE_POS], bits);
    }
}
