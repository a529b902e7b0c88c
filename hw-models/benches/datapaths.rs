//! Speed of the datapaths, in GMAC/s on one core and on all, beside a plain FP32 GEMM of the same shape.
//!
//! Two bounds. Elements of more than 8 bits cost one fused multiply-add a product, in FP32 or, where block sums need it,
//! in FP64 at half that rate; the `fp32` row, which does nothing else, comes nearest to it. Elements of 8 bits and less
//! go through the byte dot products: four times the FP32 rate with AVX-512 VNNI (64 products an instruction where an FMA
//! has 16), half that with AVX2's 16-bit products less the additions that `vpmaddwd` leaves to do. `block` adds a
//! conversion, two multiplications and an addition a block and output.
//! Each result is also given as its share of the peer's rate, measured in the same run. The aims: `int8` twice the peer
//! with VNNI and once with AVX2; `block` HBFP8 and MXINT8 once.
//! Weights are packed once outside the clock, as in use; activations are packed inside.
//!
//! `cargo bench -p interplay-hw`

use interplay_formats::{Format, Quantized};
use interplay_hw::judge::{self, Accumulator, Aligned, Grouped, Joins, Matrix};
use interplay_hw::{Datapath, Operand, Path};
use std::hint::black_box;
use std::time::Instant;

const SHAPES: [(usize, usize, usize); 2] = [(512, 768, 3072), (512, 768, 768)];
/// Runs whose median is printed.
const RUNS: usize = 15;

/// The shape that tensor cores are measured on.
const TENSOR_SHAPE: (usize, usize, usize) = (512, 768, 3072);

fn main() {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let pools = [1, cores].map(|n| rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads start"));
    tensor_cores(&pools);
    for (m, k, n) in SHAPES {
        println!("M x K x N = {m} x {k} x {n}, GMAC/s (share of f32 gemm) on 1 core, on {cores} cores");
        let (x, w) = (values(m * k, 1), values(n * k, 2));
        let gmacs = |run: &mut dyn FnMut()| (m * k * n) as f64 / median(run) / 1e9;
        let peer = pools.each_ref().map(|pool| gmacs(&mut || peer((m, k, n), &x, &w, pool.current_num_threads())));
        report("f32 gemm", peer, peer);
        for name in ["fp32", "ideal"] {
            let (x, w) = (Operand::Values { data: &x, k }, Operand::Values { data: &w, k });
            report(
                name,
                pools.each_ref().map(|pool| pool.install(|| gmacs(&mut multiply(name, Path::best(), x, w)))),
                peer,
            );
        }
        for name in ["int8", "hbfp8", "mxint8", "hbfp4", "mxfp6", "mxfp4", "mxfp8", "mxfp8-e5m2"] {
            let format = Format::by_name(name).expect("a known format");
            let coded = |values: &[f32]| -> Quantized { format.quantize(values, k).expect("finite values") };
            let (x, w) = (coded(&x), coded(&w));
            let (x, w) = (Operand::Quantized(&x), Operand::Quantized(&w));
            let unit = if name == "int8" { "int8" } else { "block" };
            for path in paths(name) {
                let label = format!("{unit} {name} {path:?}");
                let rate = |pool: &rayon::ThreadPool| pool.install(|| gmacs(&mut multiply(unit, path, x, w)));
                report(&label, pools.each_ref().map(rate), peer);
            }
        }
    }
}

/// The instruction sets to measure: the best one, and AVX2 where the kernels for bytes differ most.
fn paths(format: &str) -> Vec<Path> {
    let avx2 = Path::available().contains(&Path::Avx2) && ["int8", "hbfp8", "mxint8"].contains(&format);
    [Path::Avx2].into_iter().filter(|_| avx2).chain([Path::best()]).collect()
}

/// Aligned and grouped kernels on values of their formats' widths.
fn tensor_cores(pools: &[rayon::ThreadPool; 2]) {
    let (m, k, n) = TENSOR_SHAPE;
    println!("M x K x N = {m} x {k} x {n}, tensor cores");
    let gmacs = |run: &mut dyn FnMut()| (m * k * n) as f64 / median(run) / 1e9;
    let (x, w) = (values(m * k, 1), values(n * k, 2));
    let peer = pools.each_ref().map(|pool| gmacs(&mut || peer((m, k, n), &x, &w, pool.current_num_threads())));
    report("f32 gemm", peer, peer);
    let hopper = Aligned {
        step: 16,
        fraction_bits: 25,
        floor: -133,
        emin: (-14, -14),
        accumulator: Accumulator::Single,
        joins: Joins::First,
        scale_block: None,
    };
    let blackwell = Aligned { step: 32, emin: (-6, -6), ..hopper };
    let units = [
        ("hopper f16", hopper, 11),
        ("hopper f16 f16", Aligned { floor: -21, accumulator: Accumulator::Half, ..hopper }, 11),
        ("ampere f16", Aligned { step: 8, fraction_bits: 24, floor: -132, ..hopper }, 11),
        ("volta f16", Aligned { step: 4, fraction_bits: 23, floor: -131, ..hopper }, 11),
        ("hopper e4m3", Aligned { fraction_bits: 13, accumulator: Accumulator::E8M13, ..blackwell }, 4),
        ("mma.sync e4m3", Aligned { joins: Joins::Last { steps: 2 }, ..hopper }, 4),
        ("blackwell e4m3", blackwell, 4),
        ("mxf8", Aligned { scale_block: Some(32), ..blackwell }, 4),
    ];
    for (name, unit, bits) in units {
        let (x, w) = (narrowed(&x, bits), narrowed(&w, bits));
        let scales = |rows: usize| vec![-3.0; unit.scale_block.map_or(0, |block| rows * k / block)];
        let (sx, sw) = (scales(m), scales(n));
        let x = Matrix { k, elements: &x, notes: &sx };
        let columns = judge::aligned_columns(&unit, Matrix { k, elements: &w, notes: &sw });
        let mut run = || drop(black_box(judge::aligned(Path::best(), &unit, x, &columns, &|_, _| f32::NAN)));
        report(name, pools.each_ref().map(|pool| pool.install(|| gmacs(&mut run))), peer);
    }
    let mxf4 = Grouped { group: 16, groups: 4, fraction_bits: 35, floor: -139, scale_emin: -127, scale_block: 32 };
    // Multiples of 1/2 up to 3 with two significant bits: values of E2M1.
    let e2m1 = |x: &[f32]| narrowed(&x.iter().map(|x| (6.0 * x).round() * 0.5).collect::<Vec<f32>>(), 2);
    let (x, w) = (e2m1(&x), e2m1(&w));
    let (sx, sw) = (vec![0.125; m * k / 32], vec![0.125; n * k / 32]);
    let columns = judge::grouped_columns(&mxf4, Matrix { k, elements: &w, notes: &sw });
    let x = Matrix { k, elements: &x, notes: &sx };
    let mut run = || drop(black_box(judge::grouped(Path::best(), &mxf4, x, &columns, &|_, _| f32::NAN)));
    report("mxf4", pools.each_ref().map(|pool| pool.install(|| gmacs(&mut run))), peer);
}

/// The values truncated to so many significant bits.
fn narrowed(values: &[f32], bits: u32) -> Vec<f32> {
    values.iter().map(|x| f32::from_bits(x.to_bits() >> (24 - bits) << (24 - bits))).collect()
}

/// One product on prepared weights.
fn multiply<'a>(datapath: &str, path: Path, x: Operand<'a>, w: Operand<'a>) -> impl FnMut() + use<'a> {
    let datapath = Datapath::by_name(datapath).expect("a known datapath");
    let weights = datapath.prepare(w).expect("a format of this unit");
    move || {
        black_box(datapath.gemm_on(path, x, &weights).expect("operands that go together"));
    }
}

/// The `gemm` crate, which Burn's CPU backend calls.
fn peer((m, k, n): (usize, usize, usize), x: &[f32], w: &[f32], threads: usize) {
    let mut y = vec![0.0f32; m * n];
    let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    let stride = |stride: usize| stride as isize;
    // SAFETY: y is [m, n], x is [m, k] and w is [n, k], row-major, and the strides say so.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            y.as_mut_ptr(),
            1,
            stride(n),
            false,
            x.as_ptr(),
            1,
            stride(k),
            w.as_ptr(),
            stride(k),
            1,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
    black_box(y);
}

/// Values with the spread of a trained layer, from a counter.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let word = |i: u64| {
        (i ^ seed << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    };
    (0..count as u64).map(|i| (word(i) >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
}

/// Median seconds of a run, after one to warm up.
fn median(run: &mut dyn FnMut()) -> f64 {
    run();
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[RUNS / 2]
}

fn report(name: &str, [one, all]: [f64; 2], [peer_one, peer_all]: [f64; 2]) {
    println!("  {name:<24} {one:7.1} ({:4.0} %) {all:7.1} ({:4.0} %)", 100.0 * one / peer_one, 100.0 * all / peer_all);
}
