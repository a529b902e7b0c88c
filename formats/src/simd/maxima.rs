//! The largest magnitudes of neighbouring blocks: a tree over pairs of blocks, not one tree a block.

use super::{Level, Vectors};
use crate::kernel::MAGNITUDE;

/// The bits of the largest magnitude of each of `N` blocks, a multiple of 16, of `B` numbers, a multiple of 16.
///
/// As integers magnitudes are ordered like the numbers, and NaN above all.
#[inline(always)]
pub(crate) fn maxima<const B: usize, const N: usize>(level: Level, x: &[[f32; B]; N]) -> [u32; N] {
    const { assert!(B.is_multiple_of(16) && N.is_multiple_of(16)) };
    let mut all = [0; N];
    match level.0 {
        Vectors::Baseline => plain(x, &mut all),
        // SAFETY: the level is proof of AVX2.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx2 => unsafe { x86::avx2(x, &mut all) },
        // SAFETY: the level is proof of AVX-512 F and BW.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 => unsafe { x86::avx512(x, &mut all) },
    }
    all
}

/// The judge of the others.
#[inline(always)]
fn plain<const B: usize>(x: &[[f32; B]], all: &mut [u32]) {
    for (all, x) in all.iter_mut().zip(x) {
        *all = x.iter().fold(0, |all, v| all.max(v.to_bits() & MAGNITUDE));
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::MAGNITUDE;
    use std::arch::x86_64::*;

    /// Eight blocks at a time.
    #[target_feature(enable = "avx2")]
    pub(super) fn avx2<const B: usize>(x: &[[f32; B]], all: &mut [u32]) {
        let magnitude = _mm256_set1_epi32(MAGNITUDE as i32);
        let own = |x: &[f32; B]| {
            x.as_chunks::<8>().0.iter().fold(_mm256_setzero_si256(), |most, x| {
                // SAFETY: the chunk is 32 bytes long.
                let x = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
                _mm256_max_epu32(most, _mm256_and_si256(x, magnitude))
            })
        };
        let pair = |a, b| _mm256_max_epu32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
        let four = |a, b| _mm256_max_epu32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
        let fours = |x: &[[f32; B]; 4]| four(pair(own(&x[0]), own(&x[1])), pair(own(&x[2]), own(&x[3])));
        for (all, x) in all.as_chunks_mut::<8>().0.iter_mut().zip(x.as_chunks::<4>().0.as_chunks::<2>().0) {
            let (a, b) = (fours(&x[0]), fours(&x[1]));
            let most =
                _mm256_max_epu32(_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b));
            // SAFETY: the chunk is 32 bytes long.
            unsafe { _mm256_storeu_si256(all.as_mut_ptr().cast(), most) };
        }
    }

    /// Sixteen blocks at a time.
    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn avx512<const B: usize>(x: &[[f32; B]], all: &mut [u32]) {
        let magnitude = _mm512_set1_epi32(MAGNITUDE as i32);
        let own = |x: &[f32; B]| {
            x.as_chunks::<16>().0.iter().fold(_mm512_setzero_si512(), |most, x| {
                // SAFETY: the chunk is 64 bytes long.
                let x = unsafe { _mm512_loadu_si512(x.as_ptr().cast()) };
                _mm512_max_epu32(most, _mm512_and_si512(x, magnitude))
            })
        };
        let pair = |a, b| _mm512_max_epu32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
        let four = |a, b| _mm512_max_epu32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
        let fours = |x: &[[f32; B]; 4]| four(pair(own(&x[0]), own(&x[1])), pair(own(&x[2]), own(&x[3])));
        // Lanes of 128 bits, each with four blocks: the lower and upper two of both, then the even and odd ones.
        let eight = |a, b| _mm512_max_epu32(_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0xEE>(a, b));
        let all_of = |a, b| _mm512_max_epu32(_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xDD>(a, b));
        for (all, x) in all.as_chunks_mut::<16>().0.iter_mut().zip(x.as_chunks::<4>().0.as_chunks::<4>().0) {
            let most = all_of(eight(fours(&x[0]), fours(&x[1])), eight(fours(&x[2]), fours(&x[3])));
            // SAFETY: the chunk is 64 bytes long.
            unsafe { _mm512_storeu_si512(all.as_mut_ptr().cast(), most) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every level gives the bits of the plain loop, wherever in a block the largest magnitude lies.
    #[test]
    fn levels_agree() {
        fn check<const B: usize>() {
            for at in 0..B {
                let mut x = [[0.0; B]; 32];
                for (i, v) in x.as_flattened_mut().iter_mut().enumerate() {
                    *v = f32::from_bits((i as u32).wrapping_mul(0x9E37_79B9));
                }
                for (i, x) in x.iter_mut().enumerate() {
                    let low = x.map(|v| v.to_bits() & 0x8FFF_FFFF);
                    *x = low.map(f32::from_bits);
                    x[(at + i) % B] = f32::from_bits(0xFFC0_0000 + i as u32);
                }
                let mut want = [0; 32];
                plain(&x, &mut want);
                assert!((0..32).all(|i| want[i] == 0x7FC0_0000 + i as u32), "each block has a NaN of its own");
                for level in Level::all() {
                    assert_eq!(maxima(level, &x), want, "{level:?}, blocks of {B}, {at}");
                }
            }
        }
        check::<16>();
        check::<32>();
        check::<64>();
    }
}
