//! The kernels: what is where in a matrix. What becomes of numbers is the business of the rules.

use super::coded::{TensorScale, block_scale, block_scale_to_four, less, tensor_scale, with_error};
use super::fields::INFINITY;
use super::random::random_word;
use super::rules::{Factor, Summary, block_factor, flags, halved, merged, narrowed, rounded, summary};
use super::spec::{Shared as Scaling, Spec};
use cubecl::prelude::*;

/// Units that make the summary of one part of a matrix together.
pub const UNITS: u32 = 64;

/// A rectangle of a matrix: rows from `top` to before `bottom`, columns from `left` to before `right`.
#[derive(CubeType, Clone, Copy)]
pub struct Area {
    top: u32,
    bottom: u32,
    left: u32,
    right: u32,
}

/// The elements of a block, which ends with the matrix.
#[cube]
fn area(block: u32, rows: u32, k: u32, block_rows: u32, block_k: u32) -> Area {
    let across = k.div_ceil(block_k);
    let top = block / across * block_rows;
    let left = block % across * block_k;
    Area { top, bottom: min(top + block_rows, rows), left, right: min(left + block_k, k) }
}

/// The summary of an area's numbers in the input type, by one unit.
#[cube]
fn summed(values: &[u32], area: &Area, k: u32, #[comptime] spec: Spec) -> Summary {
    let mut height = 0u32;
    let mut depth = 0u32;
    for row in area.top..area.bottom {
        for column in area.left..area.right {
            let v = narrowed(values[(row * k + column) as usize], spec);
            let sum = merged(&Summary { height, depth }, &summary(v));
            height = sum.height;
            depth = sum.depth;
        }
    }
    Summary { height, depth }
}

/// The tensor scale that [`finish_tensor`] left.
#[cube]
fn stored_tensor(tensor: &[u32]) -> TensorScale {
    TensorScale { amax: tensor[0], encode: tensor[1], decode: tensor[2] }
}

/// The scale of each block, one block a unit: for short blocks, and where a scale needs more than a summary.
#[cube(launch)]
pub fn scales_by_unit(
    values: &[u32],
    tensor: &[u32],
    scales: &mut [u32],
    aids: &mut [u32],
    rows: u32,
    k: u32,
    block_rows: u32,
    block_k: u32,
    blocks: u32,
    #[comptime] spec: Spec,
) {
    let block = ABSOLUTE_POS as u32;
    if block < blocks {
        let area = area(block, rows, k, block_rows, block_k);
        let sum = summed(values, &area, k, spec);
        let tensor = stored_tensor(tensor);
        let first = block_factor(&sum, &tensor, spec);
        let factor = refined(values, &area, &sum, &tensor, &first, k, spec);
        scales[block as usize] = factor.scale;
        aids[block as usize] = factor.aid;
    }
}

/// The scale with the bits of its runs, or the better of two; of most formats the same.
#[cube]
fn refined(
    values: &[u32],
    area: &Area,
    sum: &Summary,
    tensor: &TensorScale,
    first: &Factor,
    k: u32,
    #[comptime] spec: Spec,
) -> Factor {
    match comptime!(spec.shared) {
        Scaling::Micro { run, .. } => {
            let mut word = first.scale;
            let runs = (area.right - area.left).div_ceil(run.runtime());
            for i in 0..runs {
                let left = area.left + i * run;
                let part = Area { top: area.top, bottom: area.bottom, left, right: min(left + run, area.right) };
                let of_run = summed(values, &part, k, spec);
                word |= halved(max(of_run.height, of_run.depth), first.scale, spec) << (8u32 + i);
            }
            Factor { scale: word, aid: first.aid }
        }
        Scaling::Coded(coded) => {
            let mut scale = first.scale;
            let mut aid = first.aid;
            if comptime!(coded.compares()) {
                let amax = max(sum.height, sum.depth);
                let six = block_scale(amax, tensor, coded);
                let four = block_scale_to_four(amax, tensor, coded);
                let mut error_six = 0u32;
                let mut error_four = 0u32;
                for column in area.left..area.right {
                    let v = narrowed(values[(area.top * k + column) as usize], spec);
                    error_six = with_error(error_six, v, &six, tensor, coded);
                    error_four = with_error(error_four, v, &four, tensor, coded);
                }
                let better = less(error_four, error_six);
                scale = select(better, four.code, six.code);
                aid = select(better, four.by, six.by);
            }
            Factor { scale, aid }
        }
        _ => Factor { scale: first.scale, aid: first.aid },
    }
}

/// The summary of all units of a cube, whole in unit 0.
#[cube]
fn joined(mine: &Summary) -> Summary {
    let mut heights = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    let mut depths = Shared::<[u32]>::new_slice(comptime!(UNITS as usize));
    let unit = UNIT_POS as usize;
    heights[unit] = mine.height;
    depths[unit] = mine.depth;
    sync_cube();
    #[unroll]
    for level in 0..6u32 {
        let step = comptime!((UNITS >> 1 >> level) as usize);
        if unit < step {
            heights[unit] = max(heights[unit], heights[unit + step]);
            depths[unit] = max(depths[unit], depths[unit + step]);
        }
        sync_cube();
    }
    Summary { height: heights[0], depth: depths[0] }
}

/// The scale of each block, one block a cube: for long blocks.
#[cube(launch)]
pub fn scales_by_cube(
    values: &[u32],
    tensor: &[u32],
    scales: &mut [u32],
    aids: &mut [u32],
    rows: u32,
    k: u32,
    block_rows: u32,
    block_k: u32,
    blocks: u32,
    #[comptime] spec: Spec,
) {
    let block = CUBE_POS as u32;
    // Cubes beyond the last block look at that one again, so that all meet at the barriers.
    let area = area(min(block, blocks - 1u32), rows, k, block_rows, block_k);
    let width = area.right - area.left;
    let count = (area.bottom - area.top) * width;
    let mut height = 0u32;
    let mut depth = 0u32;
    for i in 0..count.div_ceil(UNITS.runtime()) {
        let at = i * UNITS + UNIT_POS;
        if at < count {
            let place = (area.top + at / width) * k + area.left + at % width;
            let v = narrowed(values[place as usize], spec);
            let sum = merged(&Summary { height, depth }, &summary(v));
            height = sum.height;
            depth = sum.depth;
        }
    }
    let sum = joined(&Summary { height, depth });
    if UNIT_POS == 0u32 && block < blocks {
        let tensor = stored_tensor(tensor);
        let factor = block_factor(&sum, &tensor, spec);
        scales[block as usize] = factor.scale;
        aids[block as usize] = factor.aid;
    }
}

/// The summaries of pieces of a matrix, one piece of `piece` numbers a cube.
#[cube(launch)]
pub fn piece_summaries(
    values: &[u32],
    heights: &mut [u32],
    depths: &mut [u32],
    count: u32,
    piece: u32,
    pieces: u32,
    #[comptime] finite: bool,
    #[comptime] spec: Spec,
) {
    let which = CUBE_POS as u32;
    let first = which * piece;
    let mut height = 0u32;
    let mut depth = 0u32;
    for i in 0..piece / UNITS {
        let at = first + i * UNITS + UNIT_POS;
        if at < count {
            let v = narrowed(values[at as usize], spec);
            let one = summary(v);
            let skip = comptime!(finite) && max(one.height, one.depth) >= INFINITY;
            let sum = merged(&Summary { height, depth }, &one);
            height = select(skip, height, sum.height);
            depth = select(skip, depth, sum.depth);
        }
    }
    let sum = joined(&Summary { height, depth });
    if UNIT_POS == 0u32 && which < pieces {
        heights[which as usize] = sum.height;
        depths[which as usize] = sum.depth;
    }
}

/// The summary of all pieces, by one cube.
#[cube]
fn all_pieces(heights: &[u32], depths: &[u32], pieces: u32) -> Summary {
    let mut height = 0u32;
    let mut depth = 0u32;
    for i in 0..pieces.div_ceil(UNITS.runtime()) {
        let at = i * UNITS + UNIT_POS;
        if at < pieces {
            height = max(height, heights[at as usize]);
            depth = max(depth, depths[at as usize]);
        }
    }
    joined(&Summary { height, depth })
}

/// The scale of a whole tensor from the summaries of its pieces: its largest magnitude, the encode and the decode factor.
#[cube(launch)]
pub fn finish_tensor(heights: &[u32], depths: &[u32], tensor: &mut [u32], pieces: u32, #[comptime] spec: Spec) {
    let sum = all_pieces(heights, depths, pieces);
    if let Scaling::Coded(coded) = comptime!(spec.shared) {
        let scale = tensor_scale(max(sum.height, sum.depth), coded);
        if UNIT_POS == 0u32 {
            tensor[0] = scale.amax;
            tensor[1] = scale.encode;
            tensor[2] = scale.decode;
        }
    }
}

/// The scale of the one block that is the whole matrix, from the summaries of its pieces.
#[cube(launch)]
pub fn finish_block(
    heights: &[u32],
    depths: &[u32],
    tensor: &[u32],
    scales: &mut [u32],
    aids: &mut [u32],
    pieces: u32,
    #[comptime] spec: Spec,
) {
    let sum = all_pieces(heights, depths, pieces);
    if UNIT_POS == 0u32 {
        let tensor = stored_tensor(tensor);
        let factor = block_factor(&sum, &tensor, spec);
        scales[0] = factor.scale;
        aids[0] = factor.aid;
    }
}

/// What is wanted of each element.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wanted {
    /// Its value, FP32 bits, `[rows, k]`.
    Value,
    /// The element without its scale, FP32 bits, and its code, `[rows, k_padded]`.
    Element,
}

/// Every element, one a unit; rows of the outputs have `width` places, zeros from `k` on.
#[cube(launch)]
pub fn elements(
    values: &[u32],
    tensor: &[u32],
    scales: &[u32],
    aids: &[u32],
    status: &[Atomic<u32>],
    first: &mut [u32],
    second: &mut [u32],
    rows: u32,
    k: u32,
    width: u32,
    block_rows: u32,
    block_k: u32,
    seed_low: u32,
    seed_high: u32,
    #[comptime] wanted: Wanted,
    #[comptime] spec: Spec,
) {
    let at = ABSOLUTE_POS as u32;
    if at < rows * width {
        let row = at / width;
        let column = at % width;
        let inside = column < k;
        let source = row * k + min(column, k - 1u32);
        let v = values[source as usize];
        let narrow = narrowed(v, spec);
        let flag = flags(v, narrow, spec);
        if flag != 0u32 {
            status[0].fetch_or(flag);
        }
        let across = k.div_ceil(block_k);
        let block = select(
            comptime!(matches!(spec.shared, Scaling::Nothing)),
            0u32,
            row / block_rows * across + column / block_k,
        );
        let factor = Factor { scale: scales[block as usize], aid: aids[block as usize] };
        let mut random = 0u32;
        if comptime!(spec.draws) {
            random = random_word(source, seed_low, seed_high);
        }
        let found = rounded(narrow, &factor, tensor[2], column % block_k, random, spec);
        match comptime!(wanted) {
            Wanted::Value => first[at as usize] = found.value,
            Wanted::Element => {
                first[at as usize] = select(inside, found.element, 0u32);
                second[at as usize] = select(inside, found.code, 0u32);
            }
        }
    }
}

/// One word of a buffer in all places of another.
#[cube(launch)]
pub fn every_row(from: &[u32], out: &mut [u32], which: u32, rows: u32) {
    let row = ABSOLUTE_POS as u32;
    if row < rows {
        out[row as usize] = from[which as usize];
    }
}
