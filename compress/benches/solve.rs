//! Speed of the solvers: `cargo bench -p interplay-compress [-- ROWS COLUMNS]`, 576 x 1536 unless told. Medians of seven runs
//! after one that does not count; `scripts/solver_peer.py` times the same in PyTorch, which is to be no faster on as many threads. What bounds it: the factor and its
//! inverse, 2 k^3 / 3 operations in FP64, and rows k^2 / 2 multiplications of the loop. Measured on 2 quiet cores: SparseGPT 2:4 129 ms to
//! PyTorch's 226, 50 % 126 to 272, GPTQ int4 143 to 204.

use interplay_compress::formats::simd::Simd;
use interplay_compress::formats::{Format, Selection};
use interplay_compress::{Collector, Error, Needs, Pruning, Solver, lowrank, output_error};
use std::hint::black_box;
use std::time::Instant;

const RUNS: usize = 7;

fn main() -> Result<(), Error> {
    if let Some(simd) = std::env::args().find_map(|a| Simd::by_name(&a).ok()) {
        simd.choose()?;
    }
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    let (rows, k) = (numbers.first().copied().unwrap_or(576), numbers.get(1).copied().unwrap_or(1536));
    let w = numbers_like_normal(rows * k, 1);
    let x = numbers_like_normal(2 * k * k, 2);
    let hessian = gather(&x, k)?;
    println!("{} threads, {rows} x {k}", rayon::current_num_threads());
    report("hessian", || gather(&x, k).map(|_| ()))?;
    let solver = Solver::default();
    let saliency = |pattern: &str| -> Result<Pruning, Error> {
        Ok(Pruning::Saliency { pattern: pattern.parse()?, selection: Selection::Threshold })
    };
    let cases = [
        ("sparsegpt 2:4", saliency("2:4")?, None),
        ("sparsegpt 50%", saliency("50%")?, None),
        ("sparsegpt 2:4 + int4", saliency("2:4")?, Some("int4")),
        ("gptq int4", Pruning::None, Some("int4")),
        ("gptq int4-asym-g128", Pruning::None, Some("int4-asym-g128")),
        ("gptq mxfp4", Pruning::None, Some("mxfp4")),
        ("gptq nvfp4", Pruning::None, Some("nvfp4")),
        ("gptq hbfp4", Pruning::None, Some("hbfp4")),
    ];
    for (name, pruning, format) in cases {
        let format = format.map(Format::by_name).transpose()?;
        report(name, || solver.solve(&w, k, &hessian, pruning, format).map(|solved| drop(black_box(solved))))?;
    }
    for (rows, k, rank) in [(rows, k, 32), (768, 3072, 32)] {
        let residual = numbers_like_normal(rows * k, 3);
        let name = format!("low rank {rank}, {rows}x{k}");
        report(&name, || lowrank::approximate(&residual, rows, k, rank).map(|found| drop(black_box(found))))?;
    }
    report("output error", || {
        black_box(output_error(&w, &vec![0.0; w.len()], k, &hessian));
        Ok(())
    })
}

fn gather(x: &[f32], k: usize) -> Result<Vec<f32>, Error> {
    let mut collector = Collector::new(k, x.len() / k, Needs { hessian: true, ..Needs::default() });
    x.chunks(512 * k).try_for_each(|sequence| collector.add(sequence))?;
    collector.finish().hessian.ok_or(Error::Missing { method: "the benchmark", what: "a Hessian" })
}

fn report(name: &str, run: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    run()?;
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    println!("{name:<24}{:>10.1} ms", times[RUNS / 2] * 1e3);
    Ok(())
}

/// Sums of four uniform numbers of a multiplicative congruence.
fn numbers_like_normal(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..count).map(|_| (uniform() + uniform() + uniform() + uniform()) * 1.7).collect()
}
