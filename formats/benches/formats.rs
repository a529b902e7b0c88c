//! Speed of every format against a memcpy of the bytes that must move, in one run, medians.
//!
//! `cargo bench -p interplay-formats [-- ELEMENTS]` (a number of Mi values, 64 unless told).
//!
//! The bound is memory: `fake` reads and writes 4 bytes a value in place; `pack` reads 4 bytes and writes the packed
//! bytes of the format, allocating its outputs as a caller would, so that on large matrices page faults are most of it.
//! The ratio is the time of a memcpy that reads and writes as many bytes in all, with the same
//! threads, over the time taken. The second table is in cache on one thread, where the bound is instructions; there
//! the ratio only says how far from memory-bound a kernel would be on an infinitely fast memory.

use interplay_formats::Format;
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// Length of a row: a common hidden size.
const K: usize = 4096;
/// Values that fit a second-level cache.
const IN_CACHE: usize = 64 << 10;

fn main() {
    let mebi = std::env::args().skip(1).find_map(|a| a.parse().ok()).unwrap_or(64usize);
    let threads = rayon::current_num_threads();
    println!("{mebi} Mi values, {threads} threads");
    table(mebi << 20, 7);
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => {
            println!("\n{} Ki values, 1 thread", IN_CACHE >> 10);
            pool.install(|| table(IN_CACHE, 201));
        }
        Err(e) => eprintln!("no pool of one thread: {e}"),
    }
}

/// One row a format: million values a second and the ratio to memcpy, for `fake` and for `pack`.
fn table(len: usize, repeats: usize) {
    let source = values(len);
    let mut target = source.clone();
    println!("{:<12}{:>14}{:>10}{:>14}{:>10}", "format", "fake Mval/s", "ratio", "pack Mval/s", "ratio");
    for format in Format::all() {
        let copy = median(repeats, || copy(&source, &mut target));
        let fake =
            median(repeats, || format.fake_quantize(black_box(&mut target), K).unwrap_or_else(|e| panic!("{e}")));
        let mut packed_bytes = 0;
        let pack = median(repeats, || {
            let packed = format.quantize(black_box(&source), K).and_then(|q| q.packed(None));
            packed_bytes = black_box(packed.map_or(0, |p| p.values.len() + p.scales.len()));
        });
        // `copy` moves 8 bytes a value; `pack` must move 4 and its own.
        let must_move = (4 * len + packed_bytes) as f64 / (8 * len) as f64;
        let rate = |seconds: f64| len as f64 / seconds / 1e6;
        let (fake_ratio, pack_ratio) = (copy / fake, copy * must_move / pack);
        println!("{:<12}{:>14.0}{fake_ratio:>10.2}{:>14.0}{pack_ratio:>10.2}", format.name, rate(fake), rate(pack));
    }
}

/// A memcpy on all threads.
fn copy(source: &[f32], target: &mut [f32]) {
    let pieces = target.par_chunks_mut(1 << 15).zip(source.par_chunks(1 << 15));
    pieces.for_each(|(target, source)| target.copy_from_slice(source));
    black_box(target);
}

/// The median of `repeats` timings, in seconds, after one that is not counted.
fn median(repeats: usize, mut work: impl FnMut()) -> f64 {
    work();
    let mut times: Vec<f64> = (0..repeats)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[repeats / 2]
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
