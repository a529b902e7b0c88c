//! The host: FP32 operations beside the matrix units, each one fixed sequence of IEEE operations.
//!
//! Whatever the machine, its C library, its instruction set and the number of threads, results have the same bits:
//!
//! * products ([`matmul`], [`depthwise`]): the datapath `fp32`; k increasing, `acc = fma(a, b, acc)` from +0;
//! * reductions ([`Reduction`], [`softmax`], [`layer_norm`]): element i goes to partial result i mod 16, in increasing i, and the 16
//!   partial results are joined as a tree, the second half to the first, then the same with 8, 4 and 2;
//! * functions ([`Function`]): multiplications, additions and divisions in FP64, rounded once to FP32. Nothing is contracted.
//!
//! A NaN is the canonical one.

mod depthwise;
mod functions;
mod product;
mod rows;

pub use depthwise::{Plane, depthwise};
pub use functions::{Function, map};
pub use product::{Matrix, is_small, matmul};
pub use rows::{Reduction, layer_norm, reduce, softmax};

use rayon::prelude::*;

/// Values that one task goes through, in whole rows; as many stay on the thread that asks.
const CHUNK: usize = 1 << 14;

/// Does the `work` on runs of whole rows of `k` values, on all threads of the current pool.
fn in_rows(x: &mut [f32], k: usize, work: impl Fn(&mut [f32]) + Send + Sync) {
    if x.len() <= CHUNK {
        return work(x);
    }
    let k = k.max(1);
    x.par_chunks_mut((CHUNK / k).max(1) * k).for_each(work);
}
