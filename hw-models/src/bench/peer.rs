//! The peer of the measurements: the `gemm` crate, which Burn's CPU backend calls.
#![allow(unsafe_code)]

use std::hint::black_box;

/// `x[m, k] w[n, k]^T` in FP32, on all threads of the current rayon pool.
pub(super) fn multiply((m, k, n): (usize, usize, usize), x: &[f32], w: &[f32]) {
    assert!(x.len() == m * k && w.len() == n * k, "operands of the shape");
    let mut y = vec![0.0f32; m * n];
    let parallelism = match rayon::current_num_threads() {
        1 => gemm::Parallelism::None,
        threads => gemm::Parallelism::Rayon(threads),
    };
    let stride = |stride: usize| stride as isize;
    // SAFETY: y is [m, n], x is [m, k] and w is [n, k], row-major, as has just been asserted, and the strides say so.
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
