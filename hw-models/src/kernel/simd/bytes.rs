//! Products of bytes on each instruction set: see [`Dot`].
//!
//! All three compute the same integers modulo 2^32, so they differ in speed only.

use super::super::bytes::{ByteUnit, Dot, QUAD, Quads, Strip, compute};
use super::super::{NR, Panels, Task};
#[cfg(target_arch = "x86_64")]
use super::Path;
#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Any machine.
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Portable;

impl Dot for Portable {
    type Quad = [i8; QUAD];

    #[inline(always)]
    fn quad(self, activations: [i8; QUAD]) -> [i8; QUAD] {
        activations
    }

    #[inline(always)]
    fn sum<const MR: usize>(
        self,
        starts: &[i32; MR],
        left: &[[Self::Quad; MR]],
        right: &[Quads],
        sums: &mut [[i32; NR]; MR],
    ) {
        *sums = starts.map(|start| [start; NR]);
        for (a, Quads(b)) in left.iter().zip(right) {
            for (sums, a) in sums.iter_mut().zip(a) {
                for (sum, b) in sums.iter_mut().zip(b) {
                    // Four products of 8 by 9 bits cannot overflow; their running sum may, see the modulus.
                    let dot: i32 = a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum();
                    *sum = sum.wrapping_add(dot);
                }
            }
        }
    }

    fn run<U: ByteUnit, const MR: usize>(self, unit: &U, x: &[Strip<Self::Quad, MR>], w: &Panels, task: Task<'_>) {
        compute(self, unit, x, w, task);
    }
}

/// AVX-512 VNNI: `vpdpbusd` multiplies and adds 64 bytes. Made only by [`Vnni::detect`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Vnni(());

#[cfg(target_arch = "x86_64")]
impl Vnni {
    /// The proof, where this machine has all of [`Path::Avx512Vnni`].
    pub fn detect() -> Option<Self> {
        Path::Avx512Vnni.runs_here().then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Dot for Vnni {
    type Quad = i32;

    #[inline(always)]
    fn quad(self, activations: [i8; QUAD]) -> i32 {
        i32::from_le_bytes(activations.map(|a| a as u8))
    }

    #[inline(always)]
    fn sum<const MR: usize>(self, starts: &[i32; MR], left: &[[i32; MR]], right: &[Quads], sums: &mut [[i32; NR]; MR]) {
        // SAFETY: `self` exists, so `detect` found everything that `sum_vnni` is compiled for.
        unsafe { sum_vnni(starts, left, right, sums) }
    }

    fn run<U: ByteUnit, const MR: usize>(self, unit: &U, x: &[Strip<i32, MR>], w: &Panels, task: Task<'_>) {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
        fn vnni<U: ByteUnit, const MR: usize>(dot: Vnni, unit: &U, x: &[Strip<i32, MR>], w: &Panels, task: Task<'_>) {
            compute(dot, unit, x, w, task);
        }
        // SAFETY: `self` exists, so `detect` found everything that `vnni` is compiled for.
        unsafe { vnni(self, unit, x, w, task) }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
#[inline]
fn sum_vnni<const MR: usize>(starts: &[i32; MR], left: &[[i32; MR]], right: &[Quads], sums: &mut [[i32; NR]; MR]) {
    let mut tile = [[_mm512_setzero_si512(); 2]; MR];
    for (tile, start) in tile.iter_mut().zip(starts) {
        *tile = [_mm512_set1_epi32(*start); 2];
    }
    for (a, Quads(b)) in left.iter().zip(right) {
        // SAFETY: `b` has 32 quads of 4 bytes, two unaligned vectors of 64 bytes.
        let b = unsafe { [_mm512_loadu_si512(b.as_ptr().cast()), _mm512_loadu_si512(b[16..].as_ptr().cast())] };
        for (tile, a) in tile.iter_mut().zip(a) {
            let a = _mm512_set1_epi32(*a);
            *tile = [_mm512_dpbusd_epi32(tile[0], b[0], a), _mm512_dpbusd_epi32(tile[1], b[1], a)];
        }
    }
    for (tile, sums) in tile.iter().zip(sums) {
        for (at, tile) in [0, 16].into_iter().zip(tile) {
            // SAFETY: `sums` has 32 integers, two unaligned vectors of 16.
            unsafe { _mm512_storeu_si512(sums[at..].as_mut_ptr().cast(), *tile) };
        }
    }
}

/// AVX2: `vpmaddwd` multiplies and adds 16 pairs of 16 bits, exactly. Made only by [`Avx2::detect`].
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(in crate::kernel) struct Avx2(());

#[cfg(target_arch = "x86_64")]
impl Avx2 {
    /// The proof, where this machine has AVX2 and FMA.
    pub fn detect() -> Option<Self> {
        Path::Avx2.runs_here().then_some(Self(()))
    }
}

#[cfg(target_arch = "x86_64")]
impl Dot for Avx2 {
    /// The activations at even places and those at odd places, 16 bits each: as weights come apart most cheaply.
    type Quad = [i32; 2];

    #[inline(always)]
    fn quad(self, [a, b, c, d]: [i8; QUAD]) -> [i32; 2] {
        let pair = |low: i8, high: i8| i32::from(high) << 16 | i32::from(i16::from(low) as u16);
        [pair(a, c), pair(b, d)]
    }

    #[inline(always)]
    fn sum<const MR: usize>(
        self,
        starts: &[i32; MR],
        left: &[[[i32; 2]; MR]],
        right: &[Quads],
        sums: &mut [[i32; NR]; MR],
    ) {
        for from in (0..NR).step_by(16) {
            // SAFETY: `self` exists, so `detect` found AVX2, all that `sum_avx2` is compiled for.
            unsafe { sum_avx2(starts, left, right, sums, from) }
        }
    }

    fn run<U: ByteUnit, const MR: usize>(self, unit: &U, x: &[Strip<[i32; 2], MR>], w: &Panels, task: Task<'_>) {
        #[target_feature(enable = "avx2,fma")]
        fn avx2<U: ByteUnit, const MR: usize>(
            dot: Avx2,
            unit: &U,
            x: &[Strip<[i32; 2], MR>],
            w: &Panels,
            task: Task<'_>,
        ) {
            compute(dot, unit, x, w, task);
        }
        // SAFETY: `self` exists, so `detect` found AVX2 and FMA.
        unsafe { avx2(self, unit, x, w, task) }
    }
}

/// The 16 columns from `from` on, 0 or 16.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
fn sum_avx2<const MR: usize>(
    starts: &[i32; MR],
    left: &[[[i32; 2]; MR]],
    right: &[Quads],
    sums: &mut [[i32; NR]; MR],
    from: usize,
) {
    let mut tile = [[_mm256_setzero_si256(); 2]; MR];
    for (tile, start) in tile.iter_mut().zip(starts) {
        *tile = [_mm256_set1_epi32(*start); 2];
    }
    let low = _mm256_set1_epi16(0xFF);
    for (a, Quads(b)) in left.iter().zip(right) {
        let b = &b[from..from + 16];
        // SAFETY: `b` has 16 quads of 4 bytes, two unaligned vectors of 32 bytes.
        let b = unsafe { [0, 8].map(|at| _mm256_loadu_si256(b[at..].as_ptr().cast())) };
        // Weights are unsigned: masking leaves those at even places, shifting those at odd ones, 16 bits each.
        for (place, b) in [b.map(|b| _mm256_and_si256(b, low)), b.map(|b| _mm256_srli_epi16::<8>(b))].iter().enumerate()
        {
            for (tile, a) in tile.iter_mut().zip(a) {
                let a = _mm256_set1_epi32(a[place]);
                *tile = [0, 1].map(|i| _mm256_add_epi32(tile[i], _mm256_madd_epi16(b[i], a)));
            }
        }
    }
    for (tile, sums) in tile.iter().zip(sums) {
        let sums = &mut sums[from..from + 16];
        for (at, tile) in [0, 8].into_iter().zip(tile) {
            // SAFETY: `sums` has 16 integers, two unaligned vectors of 8.
            unsafe { _mm256_storeu_si256(sums[at..].as_mut_ptr().cast(), *tile) };
        }
    }
}
