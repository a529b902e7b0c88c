//! One sequence of operations: the same bits whatever the instructions and the threads, and those of a committed digest.

use crate::support::{Random, case};
use interplay_compress::formats::simd::Simd;
use interplay_compress::formats::{Format, Selection};
use interplay_compress::{Collector, Needs, Pruning, Solver, lowrank, output_error};
use libtest_mimic::Trial;

/// FNV-1a of the bits of [`everything`].
const DIGEST: u64 = 0x2253_50FC_4939_60C5;

pub fn trials() -> Vec<Trial> {
    vec![case("solve::bits_do_not_depend_on_the_machine", same_bits)]
}

/// SparseGPT, GPTQ and a low-rank approximation of one seeded layer, whose sizes are multiples of no tile.
fn everything() -> Vec<u32> {
    let (rows, k) = (71, 299);
    let mut random = Random(18);
    let (w, x) = (random.normals(rows * k), random.normals(2 * k * k));
    let mut collector = Collector::new(k, 2 * k, Needs { hessian: true, ..Needs::default() });
    collector.add(&x).expect("whole rows");
    let hessian = collector.finish().hessian.expect("it was asked for");
    let pattern = "50%".parse().expect("a pattern");
    let int4 = Format::by_name("int4").expect("a format");
    let saliency = Pruning::Saliency { pattern, selection: Selection::Count };
    let solve = |pruning, format| Solver::default().solve(&w, k, &hessian, pruning, format).expect("solvable").weights;
    let (pruned, rounded) = (solve(saliency, None), solve(Pruning::None, Some(int4)));
    let residual: Vec<f32> = w.iter().zip(&rounded).map(|(w, q)| w - q).collect();
    let found = lowrank::approximate(&residual, rows, k, 8).expect("finite");
    let error = output_error(&w, &rounded, k, &hessian).to_bits();
    let values = [&hessian, &pruned, &rounded, &found.left, &found.right].into_iter().flatten().map(|v| v.to_bits());
    values.chain([error as u32, (error >> 32) as u32]).collect()
}

fn same_bits() {
    let fnv = |bits: &[u32]| {
        let bytes = bits.iter().flat_map(|b| b.to_le_bytes());
        bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
    };
    for simd in Simd::available() {
        simd.choose().expect("it is available");
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
            let digest = fnv(&pool.install(everything));
            assert_eq!(digest, DIGEST, "{}, {threads} threads: {digest:#018X}", simd.name());
        }
    }
}
