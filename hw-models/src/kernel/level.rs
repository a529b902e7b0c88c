//! Instruction sets for kernels that need more than plain loops: truncation to integers has no cheap form in safe code.
//!
//! Beside [`simd`](super::simd) the only module with `unsafe`. A [`Level`] is the handful of operations that differ; all
//! else is plain loops, compiled for each. Every operation is exact or its one rounding is defined, so all levels agree.
#![allow(unsafe_code)]

use super::{NR, simd::Path, tiles::Tiles};

/// The operations that an instruction set does in its own way.
pub(super) trait Level {
    /// Each number truncated to an integer; a number outside `i32` gives some integer, which one is not defined.
    fn truncate(x: &[f32; NR]) -> [i32; NR];
    /// Each integer rounded toward zero to FP32.
    fn toward_zero(x: &[i32; NR]) -> [f32; NR];
}

/// Any machine.
struct Portable;

impl Level for Portable {
    #[inline(always)]
    fn truncate(x: &[f32; NR]) -> [i32; NR] {
        x.map(|x| x as i32)
    }

    #[inline(always)]
    fn toward_zero(x: &[i32; NR]) -> [f32; NR] {
        x.map(|x| truncated(f64::from(x)))
    }
}

/// The FP32 number nearest to `x` on the side of zero, for `x` that is 0 or of a magnitude that FP32 holds normally.
///
/// An FP64 number without its low 29 bits has the 24 significant bits of FP32.
#[inline(always)]
pub(super) fn truncated(x: f64) -> f32 {
    f64::from_bits(x.to_bits() & !0x1FFF_FFFF) as f32
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Level, NR, truncated};
    use std::arch::x86_64::{
        _MM_FROUND_NO_EXC, _MM_FROUND_TO_ZERO, _mm256_cvttps_epi32, _mm256_loadu_ps, _mm256_storeu_si256,
        _mm512_cvt_roundepi32_ps, _mm512_cvttps_epi32, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_storeu_ps,
        _mm512_storeu_si512,
    };

    /// x86-64 with AVX2 and FMA; used by [`super::avx2`] alone.
    pub(super) struct Avx2;

    impl Level for Avx2 {
        #[inline(always)]
        fn truncate(x: &[f32; NR]) -> [i32; NR] {
            let mut y = [0; NR];
            for (x, y) in x.as_chunks::<8>().0.iter().zip(y.as_chunks_mut::<8>().0) {
                // SAFETY: `x` and `y` are 32 bytes, read and written unaligned; the caller has AVX2.
                unsafe { _mm256_storeu_si256(y.as_mut_ptr().cast(), _mm256_cvttps_epi32(_mm256_loadu_ps(x.as_ptr()))) }
            }
            y
        }

        #[inline(always)]
        fn toward_zero(x: &[i32; NR]) -> [f32; NR] {
            x.map(|x| truncated(f64::from(x)))
        }
    }

    /// x86-64 with AVX-512F; used by [`super::avx512`] alone.
    pub(super) struct Avx512;

    impl Level for Avx512 {
        #[inline(always)]
        fn truncate(x: &[f32; NR]) -> [i32; NR] {
            let mut y = [0; NR];
            for (x, y) in x.as_chunks::<16>().0.iter().zip(y.as_chunks_mut::<16>().0) {
                // SAFETY: `x` and `y` are 64 bytes, read and written unaligned; the caller has AVX-512F.
                unsafe { _mm512_storeu_si512(y.as_mut_ptr().cast(), _mm512_cvttps_epi32(_mm512_loadu_ps(x.as_ptr()))) }
            }
            y
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
    }
}

/// Computes the outputs of a rectangle on `path`, or on the portable one where this machine lacks the instructions.
pub(super) fn run<T: Tiles>(path: Path, tiles: &T, place: (usize, usize), rows: &mut [&mut [f32]]) {
    #[cfg(target_arch = "x86_64")]
    match path {
        // SAFETY: AVX-512BW, DQ and VL have just been found, and `Path::Avx512` implies AVX-512F, AVX2 and FMA.
        Path::Avx512 if path.runs_here() && full_avx512() => return unsafe { avx512(tiles, place, rows) },
        // SAFETY: both paths imply AVX2 and FMA.
        Path::Avx512 | Path::Avx2 if path.runs_here() => return unsafe { avx2(tiles, place, rows) },
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
