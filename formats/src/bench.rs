//! Speed of formats against a memcpy of the bytes that must move, in one run, medians.
//!
//! What is counted for a value, in bytes:
//! - `fake`: reads 4 and writes 4, in place; a format with a scale for the whole tensor reads 4 more, because it must
//!   know the largest magnitude before the first block, and so does one whose scales cover columns or the tensor;
//! - `pack`: reads 4 (two-level: 8) and writes the packed bytes of elements and scales, into buffers that are used
//!   again. Fresh buffers cost page faults, which are the allocator's business and not counted here.
//!
//! The bound is the rate at which a memcpy on the same threads moves bytes, read and written alike. Every round times a
//! memcpy, `fake` and `pack` one after the other, so that all three see the same machine; the ratio is the time of a
//! memcpy that moves as many bytes over the time taken, the median of the rounds' ratios. Where values fit a second-level cache the bound is
//! instructions instead, and one value a clock the goal.

use crate::{Error, Format, Packed};
use rayon::prelude::*;
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

/// Length of a row: a common hidden size.
const K: usize = 4096;
/// Values below which a timing is repeated more often.
const SMALL: usize = 1 << 20;

/// The formats that are measured unless others are named.
pub const FORMATS: [&str; 6] = ["mxfp8", "mxfp6", "mxfp4", "nvfp4", "hbfp8", "int8"];

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The format.
    pub format: &'static str,
    /// `fake` or `pack`.
    pub operation: &'static str,
    /// Elements a second on each thread, in the mean.
    pub elements_per_s_core: f64,
    /// Elements a second in all.
    pub elements_per_s: f64,
    /// Bytes that must move, read and written: see the module.
    pub bytes_moved: u64,
    /// The time of a memcpy that moves as many bytes, on the same threads, over the time taken; the median of rounds.
    pub memcpy_ratio: f64,
}

/// Measures [`FORMATS`] on a matrix of `elements` values in rows of 4096 and so many threads; 0 for all.
///
/// # Errors
/// As [`measure`].
pub fn run(elements: usize, threads: usize) -> Result<Vec<Row>, Error> {
    let formats: Result<Vec<_>, _> = FORMATS.iter().map(|name| Format::by_name(name)).collect();
    measure(&formats?, elements, threads)
}

/// Measures some formats; the number of values is rounded up to whole rows.
///
/// # Errors
/// None that a format of the catalogue gives.
pub fn measure(formats: &[&'static Format], elements: usize, threads: usize) -> Result<Vec<Row>, Error> {
    let len = elements.next_multiple_of(K);
    let all = || formats.iter().map(|format| rows(format, len)).collect::<Result<Vec<_>, _>>();
    let rows = match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(all),
        Err(_) => all(),
    };
    Ok(rows?.into_iter().flatten().collect())
}

/// Both rows of a format.
fn rows(format: &'static Format, len: usize) -> Result<[Row; 2], Error> {
    let rounds = if len < SMALL { 201 } else { 11 };
    let source = values(len);
    let mut target = source.clone();
    let mut packed = Packed { values: Vec::new(), scales: Vec::new(), metadata: Vec::new() };
    let mut round = || {
        let copy = timed(|| {
            copy(&source, &mut target);
            Ok(())
        })?;
        let fake = timed(|| format.fake_quantize(black_box(&mut target), K))?;
        let pack = timed(|| format.pack_into(black_box(&source), K, black_box(&mut packed)))?;
        Ok([copy, fake, pack])
    };
    round()?;
    let times = (0..rounds).map(|_| round()).collect::<Result<Vec<[f64; 3]>, Error>>()?;
    let twice = format.scaling.is_some_and(|s| s.two_level || !s.block.is_row_local());
    let read = 4 * len * if twice { 2 } else { 1 };
    let written = packed.values.len() + packed.scales.len();
    let row = |operation, at: usize, bytes: usize| {
        let rate = len as f64 / median(times.iter().map(|times| times[at]));
        Row {
            format: format.name,
            operation,
            elements_per_s_core: rate / rayon::current_num_threads() as f64,
            elements_per_s: rate,
            bytes_moved: bytes as u64,
            memcpy_ratio: median(times.iter().map(|times| times[0] / times[at])) / (8 * len) as f64 * bytes as f64,
        }
    };
    Ok([row("fake", 1, read + 4 * len), row("pack", 2, read + written)])
}

/// A memcpy on all threads.
fn copy(source: &[f32], target: &mut [f32]) {
    let pieces = target.par_chunks_mut(1 << 15).zip(source.par_chunks(1 << 15));
    pieces.for_each(|(target, source)| target.copy_from_slice(source));
    black_box(target);
}

/// How long `work` takes, in seconds.
fn timed(work: impl FnOnce() -> Result<(), Error>) -> Result<f64, Error> {
    let start = Instant::now();
    work().map(|()| start.elapsed().as_secs_f64())
}

/// The median of an odd number of values.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Numbers of varied exponents from a multiplicative hash of the index.
fn values(len: usize) -> Vec<f32> {
    let value = |i: usize| {
        let hash = (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (field, fraction) = (120 + (hash >> 61) as u32, (hash >> 32) as u32 & 0x807F_FFFF);
        f32::from_bits(fraction | field << 23)
    };
    (0..len).into_par_iter().map(value).collect()
}
