//! Instruction sets for kernels that need more than plain loops: truncation to integers has no cheap form in safe code.
//!
//! Beside [`simd`](super::simd) the only module with `unsafe`. A [`Level`] is the handful of operations that differ; all
//! else is plain loops, compiled for each. Every operation is exact or its one rounding is defined, so all levels agree.
#![allow(unsafe_code)]

use super::{NR, simd::Path, tiles::Tiles};

/// The operations that an instruction set does in its own way.
pub(super) trait Level {
    /// Whether it has a fused multiply-add.
    const FUSED: bool = true;
    /// Adds `a b[c] factor[c]` to `sums[c]` for all pairs, each product of three truncated to an integer. What is added
    /// for one outside `i32` is not defined; sums wrap.
    fn add_products(a: &[f32], b: &[[f32; NR]], factor: &[f32; NR], sums: &mut [i32; NR]);
    /// Each integer rounded toward zero to FP32.
    fn toward_zero(x: &[i32; NR]) -> [f32; NR];
    /// Each number, 0 or of a magnitude that FP32 holds normally, rounded toward zero to FP32.
    #[inline(always)]
    fn wide_toward_zero(x: &[f64; NR]) -> [f32; NR] {
        let mut y = [0.0; NR];
        (0..NR).for_each(|c| y[c] = truncated(x[c]));
        y
    }
}

/// Any machine.
struct Portable;

impl Level for Portable {
    const FUSED: bool = super::FUSED;

    #[inline(always)]
    fn add_products(a: &[f32], b: &[[f32; NR]], factor: &[f32; NR], sums: &mut [i32; NR]) {
        for (a, b) in a.iter().zip(b) {
            for c in 0..NR {
                sums[c] = sums[c].wrapping_add((a * b[c] * factor[c]) as i32);
            }
        }
    }

    #[inline(always)]
    fn toward_zero(x: &[i32; NR]) -> [f32; NR] {
        all_toward_zero(x)
    }
}

/// The FP32 number nearest to `x` on the side of zero, for `x` that is 0 or of a magnitude that FP32 holds normally.
///
/// An FP64 number without its low 29 bits has the 24 significant bits of FP32.
#[inline(always)]
pub(super) fn truncated(x: f64) -> f32 {
    f64::from_bits(x.to_bits() & !0x1FFF_FFFF) as f32
}

/// [`Level::toward_zero`] in plain loops.
#[inline(always)]
fn all_toward_zero(x: &[i32; NR]) -> [f32; NR] {
    let mut y = [0.0; NR];
    (0..NR).for_each(|c| y[c] = truncated(f64::from(x[c])));
    y
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Level, NR, all_toward_zero};
    use std::arch::x86_64::{
        _MM_FROUND_NO_EXC, _MM_FROUND_TO_ZERO, _mm256_add_epi32, _mm256_castps_pd, _mm256_cvttps_epi32,
        _mm256_loadu_ps, _mm256_loadu_si256, _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
        _mm256_storeu_si256, _mm512_add_epi32, _mm512_castpd_ps, _mm512_castpd256_pd512, _mm512_cvt_roundepi32_ps,
        _mm512_cvt_roundpd_ps, _mm512_cvttps_epi32, _mm512_insertf64x4, _mm512_loadu_pd, _mm512_loadu_ps,
        _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_storeu_ps,
        _mm512_storeu_si512,
    };

    /// x86-64 with AVX2 and FMA; used by [`super::avx2`] alone.
    pub(super) struct Avx2;

    impl Level for Avx2 {
        #[inline(always)]
        fn add_products(a: &[f32], b: &[[f32; NR]], factor: &[f32; NR], sums: &mut [i32; NR]) {
            const VECTORS: usize = NR / 8;
            // SAFETY: the caller has AVX2; loads and stores are unaligned and stay within arrays of `NR` numbers.
            unsafe {
                let (mut scales, mut totals) = ([_mm256_setzero_ps(); VECTORS], [_mm256_setzero_si256(); VECTORS]);
                for v in 0..VECTORS {
                    scales[v] = _mm256_loadu_ps(factor.as_ptr().add(8 * v));
                    totals[v] = _mm256_loadu_si256(sums.as_ptr().add(8 * v).cast());
                }
                for (a, b) in a.iter().zip(b) {
                    let a = _mm256_set1_ps(*a);
                    for v in 0..VECTORS {
                        let product = _mm256_mul_ps(a, _mm256_loadu_ps(b.as_ptr().add(8 * v)));
                        let aligned = _mm256_cvttps_epi32(_mm256_mul_ps(product, scales[v]));
                        totals[v] = _mm256_add_epi32(totals[v], aligned);
                    }
                }
                for (v, total) in totals.into_iter().enumerate() {
                    _mm256_storeu_si256(sums.as_mut_ptr().add(8 * v).cast(), total);
                }
            }
        }

        #[inline(always)]
        fn toward_zero(x: &[i32; NR]) -> [f32; NR] {
            all_toward_zero(x)
        }
    }

    /// x86-64 with AVX-512F; used by [`super::avx512`] alone.
    pub(super) struct Avx512;

    impl Level for Avx512 {
        #[inline(always)]
        fn add_products(a: &[f32], b: &[[f32; NR]], factor: &[f32; NR], sums: &mut [i32; NR]) {
            const VECTORS: usize = NR / 16;
            // SAFETY: the caller has AVX-512F; loads and stores are unaligned and stay within arrays of `NR` numbers.
            unsafe {
                let (mut scales, mut totals) = ([_mm512_setzero_ps(); VECTORS], [_mm512_setzero_si512(); VECTORS]);
                for v in 0..VECTORS {
                    scales[v] = _mm512_loadu_ps(factor.as_ptr().add(16 * v));
                    totals[v] = _mm512_loadu_si512(sums.as_ptr().add(16 * v).cast());
                }
                for (a, b) in a.iter().zip(b) {
                    let a = _mm512_set1_ps(*a);
                    for v in 0..VECTORS {
                        let product = _mm512_mul_ps(a, _mm512_loadu_ps(b.as_ptr().add(16 * v)));
                        let aligned = _mm512_cvttps_epi32(_mm512_mul_ps(product, scales[v]));
                        totals[v] = _mm512_add_epi32(totals[v], aligned);
                    }
                }
                for (v, total) in totals.into_iter().enumerate() {
                    _mm512_storeu_si512(sums.as_mut_ptr().add(16 * v).cast(), total);
                }
            }
        }

        #[inline(always)]
        fn toward_zero(x: &[i32; NR]) -> [f32; NR] {
            const ROUNDING: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
            let mut y = [0.0; NR];
            for (x, y) in x.as_chunks::<16>().0.iter().zip(y.as_chunks_mut::<16>().0) {
                // SAFETY: `x` and `y` are 64 bytes, read and written unaligned; the caller has AVX-512F.
                unsafe {
                    let rounded = _mm512_cvt_roundepi32_ps::<ROUNDING>(_mm512_loadu_si512(x.as_ptr().cast()));
                    _mm512_storeu_ps(y.as_mut_ptr(), rounded);
                }
            }
            y
        }

        #[inline(always)]
        fn wide_toward_zero(x: &[f64; NR]) -> [f32; NR] {
            const ROUNDING: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
            let mut y = [0.0; NR];
            for (x, y) in x.as_chunks::<16>().0.iter().zip(y.as_chunks_mut::<16>().0) {
                // SAFETY: `x` is 128 bytes, read unaligned in two halves, `y` 64 bytes, written unaligned; the caller has
                // AVX-512F. One store of a whole vector lets the next load have it before it reaches the cache.
                unsafe {
                    let low = _mm512_cvt_roundpd_ps::<ROUNDING>(_mm512_loadu_pd(x.as_ptr()));
                    let high = _mm512_cvt_roundpd_ps::<ROUNDING>(_mm512_loadu_pd(x.as_ptr().add(8)));
                    let low = _mm512_castpd256_pd512(_mm256_castps_pd(low));
                    let both = _mm512_insertf64x4::<1>(low, _mm256_castps_pd(high));
                    _mm512_storeu_ps(y.as_mut_ptr(), _mm512_castpd_ps(both));
                }
            }
            y
        }
    }
}

/// Computes the outputs of a rectangle on `path`, or on the portable one where this machine lacks the instructions.
pub(super) fn run<T: Tiles>(path: Path, tiles: &T, place: (usize, usize), rows: &mut [&mut [f32]]) {
    #[cfg(target_arch = "x86_64")]
    match path {
        // SAFETY: AVX-512BW, DQ and VL have just been found, and both paths imply AVX-512F, AVX2 and FMA.
        Path::Avx512 | Path::Avx512Vnni if path.runs_here() && full_avx512() => {
            return unsafe { avx512(tiles, place, rows) };
        }
        // SAFETY: both paths imply AVX2 and FMA.
        Path::Avx512Vnni | Path::Avx512 | Path::Avx2 if path.runs_here() => return unsafe { avx2(tiles, place, rows) },
        _ => {}
    }
    tiles.rectangle::<Portable>(place, rows);
}

/// Whether the integer operations exist for all widths; every server core with AVX-512 since 2017 has them.
#[cfg(target_arch = "x86_64")]
fn full_avx512() -> bool {
    is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn avx512<T: Tiles>(tiles: &T, place: (usize, usize), rows: &mut [&mut [f32]]) {
    tiles.rectangle::<x86::Avx512>(place, rows);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn avx2<T: Tiles>(tiles: &T, place: (usize, usize), rows: &mut [&mut [f32]]) {
    tiles.rectangle::<x86::Avx2>(place, rows);
}
