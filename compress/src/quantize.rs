//! Where scales clip: searches for smaller scales that make less error than those that hold every weight.
//!
//! Rounding to nearest itself is [`Format::quantize`]. Both searches try the same levels on every block of a format and keep
//! the first of the least error; a format whose scales are powers of two sees few of them.

use crate::Error;
use crate::dense::{self, BAND, Columns, Sign, View};
use crate::formats::{Format, Grids, Quantized, Scale, ScaleRule, Scaling, math};
use rayon::prelude::*;
use std::borrow::Cow;

/// AWQ: how many levels are tried, each this share of the largest magnitude below the last.
const OUTPUT_LEVELS: usize = 10;
const OUTPUT_STEPS: f64 = 20.0;
/// AWQ: no block with zero points spans less.
const SMALLEST_SPAN: f32 = 1e-5;
/// GPTQ's quantiser: the same, and the power of the error.
const WEIGHT_LEVELS: usize = 80;
const WEIGHT_STEPS: f64 = 100.0;
const POWER: f64 = 2.4;

/// The blocks of a matrix in a format.
#[derive(Clone, Copy)]
struct Blocks {
    k: usize,
    height: usize,
    len: usize,
    across: usize,
    count: usize,
}

impl Blocks {
    fn new(format: &Format, rows: usize, k: usize) -> Self {
        let (height, len) = (format.block_rows(rows), format.block_len(k).max(1));
        let across = k.div_ceil(len);
        Self { k, height, len, across, count: rows.div_ceil(height) * across }
    }

    /// The block of a flat index.
    fn of(self, at: usize) -> usize {
        at / self.k / self.height * self.across + at % self.k / self.len
    }

    /// `w` held to its block's interval.
    fn held(self, w: &[f32], interval: impl Fn(usize) -> (f32, f32)) -> Vec<f32> {
        let holds = |(at, &v): (usize, &f32)| {
            let (lo, hi) = interval(self.of(at));
            v.clamp(lo, hi)
        };
        w.iter().enumerate().map(holds).collect()
    }

    /// Sums over blocks of what runs of `len` in rows have.
    fn summed(self, runs: &[f64]) -> Vec<f64> {
        let mut sums = vec![0.0; self.count];
        runs.iter()
            .enumerate()
            .for_each(|(i, v)| sums[i / self.across / self.height * self.across + i % self.across] += v);
        sums
    }

    /// Smallest and largest of each block, zero among them.
    fn intervals(self, w: &[f32]) -> Vec<(f32, f32)> {
        let mut intervals = vec![(0.0f32, 0.0f32); self.count];
        for (at, &v) in w.iter().enumerate() {
            let (lo, hi) = &mut intervals[self.of(at)];
            (*lo, *hi) = (lo.min(v), hi.max(v));
        }
        intervals
    }
}

/// The share of the interval that a level leaves.
fn share(level: usize, steps: f64) -> f32 {
    (1.0 - level as f64 / steps) as f32
}

/// The levels of least error, block by block; the first among equal ones.
struct Best(Vec<(f64, usize)>);

impl Best {
    fn new(blocks: Blocks) -> Self {
        Self(vec![(f64::INFINITY, 0); blocks.count])
    }

    fn offer(&mut self, level: usize, errors: &[f64]) {
        for (best, &error) in self.0.iter_mut().zip(errors) {
            if error < best.0 {
                *best = (error, level);
            }
        }
    }
}

/// Scales of `w` `[rows, k]` that are fitted on each block's interval times 1 - i/100, i < 80: the one with the least sum of
/// |error|^2.4 (the `mse` option of GPTQ's quantiser). [`Grids::quantize`] then rounds.
///
/// # Errors
/// Weights that are not finite or not whole rows.
pub fn clip_by_weights(format: &'static Format, w: &[f32], k: usize) -> Result<Grids, Error> {
    let mut grids = format.grids(w, k)?;
    if format.scaling.is_none() {
        return Ok(grids);
    }
    let blocks = Blocks::new(format, w.len() / k.max(1), k);
    let intervals = blocks.intervals(w);
    let held = |levels: &dyn Fn(usize) -> usize| {
        blocks.held(w, |block| {
            let ((lo, hi), share) = (intervals[block], share(levels(block), WEIGHT_STEPS));
            (share * lo, share * hi)
        })
    };
    let mut best = Best::new(blocks);
    for level in 0..WEIGHT_LEVELS {
        grids.refit(0..k, &held(&|_| level))?;
        let error =
            |row: usize, column: usize, v: f32| math::powf((grids.round(row, column, v) - v).abs().into(), POWER);
        let runs = w.par_chunks(k.max(1)).enumerate().flat_map_iter(|(row, line)| {
            let runs = line.chunks(blocks.len).enumerate();
            runs.map(move |(i, run)| {
                run.iter().enumerate().map(|(j, &v)| error(row, i * blocks.len + j, v)).sum::<f64>()
            })
        });
        best.offer(level, &blocks.summed(&runs.collect::<Vec<f64>>()));
    }
    grids.refit(0..k, &held(&|block| best.0[block].1))?;
    Ok(grids)
}

/// `w` `[rows, k]` rounded to the nearest values as AWQ does. It differs from [`Format::quantize`] where scales have zero points
/// ([`ScaleRule::MinMax`]): a block's grid spans its smallest to its largest weight, at least 1e-5, whether or not zero lies
/// between, and the zero point is then held to the codes. A block of one sign loses its distance from zero so.
///
/// # Errors
/// Weights that are not finite or not whole rows.
pub fn awq(format: &'static Format, w: &[f32], k: usize) -> Result<Quantized, Error> {
    let mut grids = format.grids(w, k)?;
    match spanned(format, w, k) {
        Cow::Borrowed(_) => return Ok(format.quantize(w, k)?),
        Cow::Owned(spanned) => grids.refit(0..k, &spanned)?,
    }
    Ok(grids.quantize(w)?)
}

/// Values on which [`Format::grids`], whose intervals hold zero, fits the grids of [`awq`]: a block of one sign is moved until it
/// ends at zero, a shorter one than AWQ allows is stretched.
fn spanned<'a>(format: &Format, w: &'a [f32], k: usize) -> Cow<'a, [f32]> {
    if !matches!(format.scaling, Some(Scaling { scale: Scale::Affine(_), rule: ScaleRule::MinMax, .. })) {
        return Cow::Borrowed(w);
    }
    let blocks = Blocks::new(format, w.len() / k.max(1), k);
    let mut ends = vec![(f32::INFINITY, f32::NEG_INFINITY); blocks.count];
    for (at, &v) in w.iter().enumerate() {
        let (lo, hi) = &mut ends[blocks.of(at)];
        (*lo, *hi) = (lo.min(v), hi.max(v));
    }
    let moved = |(at, &v): (usize, &f32)| {
        let (lo, hi) = ends[blocks.of(at)];
        let (short, nearest) = (hi - lo < SMALLEST_SPAN, if hi < 0.0 { hi } else { lo.max(0.0) });
        match hi < 0.0 {
            true if short && v == lo => -SMALLEST_SPAN,
            false if short && v == hi => lo - nearest + SMALLEST_SPAN,
            _ => v - nearest,
        }
    };
    Cow::Owned(w.iter().enumerate().map(moved).collect())
}

/// The largest magnitudes to which the blocks of `w` `[rows, k]` are clipped (AWQ): each block's own times 1 - i/20, i < 10, the
/// one with the least squared error of what the block adds to the outputs for `samples` `[tokens, k]` of the inputs. One a block,
/// row-major; [`clip`] applies them.
///
/// # Errors
/// Weights that are not finite or not whole rows, samples of another length.
pub fn clip_by_outputs(format: &'static Format, w: &[f32], k: usize, samples: &[f32]) -> Result<Vec<f32>, Error> {
    let mut grids = format.grids(w, k)?;
    if !samples.len().is_multiple_of(k.max(1)) {
        let (given, expected) = (samples.len(), samples.len().next_multiple_of(k.max(1)));
        return Err(Error::Length { what: "the sampled inputs", given, expected });
    }
    let blocks = Blocks::new(format, w.len() / k.max(1), k);
    let largest: Vec<f32> = blocks.intervals(w).iter().map(|(lo, hi)| hi.max(-lo)).collect();
    let limit = |block: usize, level: usize| largest[block] * share(level, OUTPUT_STEPS);
    let x = View::new(samples, samples.len() / k.max(1), k, k);
    let runs: Vec<Columns<f32>> =
        (0..blocks.across).map(|run| Columns::new(x.columns(run * blocks.len, blocks.len).transposed())).collect();
    let mut best = Best::new(blocks);
    for level in 0..OUTPUT_LEVELS {
        let held = blocks.held(w, |block| (-limit(block, level), limit(block, level)));
        grids.refit(0..k, &spanned(format, &held, k))?;
        best.offer(level, &blocks.summed(&output_errors(&grids, blocks, w, &held, &runs)));
    }
    Ok(best.0.iter().enumerate().map(|(block, &(_, level))| limit(block, level)).collect())
}

/// Sum of squares of X (round(held) - w)^T over tokens, for each run of a block's length in each row; `runs` holds X^T run by run.
fn output_errors(grids: &Grids, blocks: Blocks, w: &[f32], held: &[f32], runs: &[Columns<f32>]) -> Vec<f64> {
    let k = blocks.k;
    let tokens = runs.first().map_or(0, Columns::count);
    let bands = w.par_chunks(BAND * k.max(1)).zip(held.par_chunks(BAND * k.max(1))).enumerate();
    let errors = bands.flat_map_iter(|(band, (w, held))| {
        let moved = w.iter().zip(held).enumerate();
        let moved: Vec<f32> = moved.map(|(i, (w, &held))| grids.round(band * BAND + i / k, i % k, held) - w).collect();
        let rows = w.len() / k;
        let mut sums = vec![0.0f64; rows * blocks.across];
        let mut outputs = vec![0.0f32; rows * tokens];
        let moved = View::new(&moved, rows, k, k);
        for (run, x) in runs.iter().enumerate() {
            outputs.fill(0.0);
            dense::add(&mut outputs, tokens, Sign::Plus, moved.columns(run * blocks.len, blocks.len), x, 0);
            for (row, outputs) in outputs.chunks_exact(tokens.max(1)).enumerate() {
                sums[row * blocks.across + run] = outputs.iter().map(|&y| f64::from(y) * f64::from(y)).sum();
            }
        }
        sums
    });
    errors.collect()
}

/// Holds the blocks of `w` `[rows, k]` to the magnitudes of [`clip_by_outputs`].
///
/// # Errors
/// [`Error::Length`] where there is not one limit a block.
pub fn clip(format: &'static Format, w: &mut [f32], k: usize, limits: &[f32]) -> Result<(), Error> {
    let blocks = Blocks::new(format, w.len() / k.max(1), k);
    if limits.len() != blocks.count {
        return Err(Error::Length { what: "a list of limits", given: limits.len(), expected: blocks.count });
    }
    w.iter_mut().enumerate().for_each(|(at, v)| {
        let limit = limits[blocks.of(at)];
        *v = v.max(-limit).min(limit);
    });
    Ok(())
}
