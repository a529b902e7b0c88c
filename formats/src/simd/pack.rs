//! Codes of 4, 6 and 8 bits from 32-bit lanes to bit strings.
//!
//! Lanes narrow to bytes by packing pairs of vectors, which interleaves their 128-bit lanes; one permutation puts them in
//! order. Bytes then join by products and sums of neighbours: `a + 16 b` for two nibbles, `(a + 64 b) + 4096 (c + 64 d)`
//! for four sextets, which leaves 24 of every 32 bits to be moved together.

use super::{Level, Vectors};

/// Codes that are packed at a time.
pub(crate) const GROUP: usize = 64;

/// Packs the low `width` bits of codes into `out`, whole groups only; gives the number of codes that were packed, which
/// is 0 for other widths than 4, 6 and 8 and where there are no vectors.
#[inline(always)]
pub(crate) fn pack(level: Level, codes: &[u32], width: u32, out: &mut [u8]) -> usize {
    let groups = (codes.len() / GROUP).min(out.len() * 8 / (GROUP * (width as usize).max(1)));
    let codes = &codes.as_chunks::<GROUP>().0[..groups];
    match (level.0, width) {
        // SAFETY: the level is proof of AVX2.
        #[cfg(target_arch = "x86_64")]
        (Vectors::Avx2, 4 | 6 | 8) => unsafe { x86::avx2(codes, width, out) },
        // SAFETY: the level is proof of AVX-512 F, BW and VL.
        #[cfg(target_arch = "x86_64")]
        (Vectors::Avx512, 4 | 6 | 8) => unsafe { x86::avx512(codes, width, out) },
        _ => return 0,
    }
    groups * GROUP
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::GROUP;
    use std::arch::x86_64::*;

    /// In each 128 bits, the low three of every four bytes to the front.
    const THREES: [i8; 16] = [0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1];

    /// 32 codes to 32 bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn bytes32(codes: &[u32; 32], width: u32) -> __m256i {
        let mask = _mm256_set1_epi32((u32::MAX >> (32 - width)) as i32);
        // SAFETY: four times 32 bytes are the whole array.
        let lanes = |i: usize| unsafe { _mm256_loadu_si256(codes.as_ptr().cast::<__m256i>().add(i)) };
        let low = |i| _mm256_and_si256(lanes(i), mask);
        let (a, b) = (_mm256_packus_epi32(low(0), low(1)), _mm256_packus_epi32(low(2), low(3)));
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order)
    }

    /// Groups of codes of 4, 6 or 8 bits.
    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(codes: &[[u32; GROUP]], width: u32, out: &mut [u8]) {
        for (codes, out) in codes.iter().zip(out.chunks_exact_mut(GROUP / 8 * width as usize)) {
            let [first, second] = codes.as_chunks::<32>().0 else { return };
            let (a, b) = (bytes32(first, width), bytes32(second, width));
            let at = out.as_mut_ptr();
            if width == 8 {
                // SAFETY: `out` is 64 bytes long.
                unsafe {
                    _mm256_storeu_si256(at.cast(), a);
                    _mm256_storeu_si256(at.add(32).cast(), b);
                }
            } else if width == 4 {
                let pairs = _mm256_set1_epi16(0x1001);
                let bytes = _mm256_packus_epi16(_mm256_maddubs_epi16(a, pairs), _mm256_maddubs_epi16(b, pairs));
                // SAFETY: `out` is 32 bytes long.
                unsafe { _mm256_storeu_si256(at.cast(), _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes)) };
            } else {
                let (a, b) = (sextets(a), sextets(b));
                // SAFETY: `out` is 48 bytes long.
                unsafe {
                    _mm_storeu_si128(at.cast(), _mm256_castsi256_si128(a));
                    _mm_storel_epi64(at.add(16).cast(), _mm256_extracti128_si256::<1>(a));
                    _mm_storeu_si128(at.add(24).cast(), _mm256_castsi256_si128(b));
                    _mm_storel_epi64(at.add(40).cast(), _mm256_extracti128_si256::<1>(b));
                }
            }
        }
    }

    /// 32 codes of 6 bits to the low 24 bytes.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn sextets(bytes: __m256i) -> __m256i {
        let pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi16(0x4001));
        let fours = _mm256_madd_epi16(pairs, _mm256_set1_epi32(0x1000_0001));
        // SAFETY: the array is 16 bytes long.
        let threes = _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(THREES.as_ptr().cast()) });
        let front = _mm256_shuffle_epi8(fours, threes);
        _mm256_permutevar8x32_epi32(front, _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7))
    }

    /// 64 codes to 64 bytes.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    fn bytes64(codes: &[u32; GROUP], width: u32) -> __m512i {
        let mask = _mm512_set1_epi32((u32::MAX >> (32 - width)) as i32);
        // SAFETY: four times 64 bytes are the whole array.
        let lanes = |i: usize| unsafe { _mm512_loadu_si512(codes.as_ptr().cast::<__m512i>().add(i)) };
        let low = |i| _mm512_and_si512(lanes(i), mask);
        let (a, b) = (_mm512_packus_epi32(low(0), low(1)), _mm512_packus_epi32(low(2), low(3)));
        let order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        _mm512_permutexvar_epi32(order, _mm512_packus_epi16(a, b))
    }

    /// Groups of codes of 4, 6 or 8 bits.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
    pub(super) fn avx512(codes: &[[u32; GROUP]], width: u32, out: &mut [u8]) {
        for (codes, out) in codes.iter().zip(out.chunks_exact_mut(GROUP / 8 * width as usize)) {
            let bytes = bytes64(codes, width);
            let at = out.as_mut_ptr();
            if width == 8 {
                // SAFETY: `out` is 64 bytes long.
                unsafe { _mm512_storeu_si512(at.cast(), bytes) };
            } else if width == 4 {
                let pairs = _mm512_maddubs_epi16(bytes, _mm512_set1_epi16(0x1001));
                // SAFETY: `out` is 32 bytes long.
                unsafe { _mm256_storeu_si256(at.cast(), _mm512_cvtepi16_epi8(pairs)) };
            } else {
                let pairs = _mm512_maddubs_epi16(bytes, _mm512_set1_epi16(0x4001));
                let fours = _mm512_madd_epi16(pairs, _mm512_set1_epi32(0x1000_0001));
                // SAFETY: the array is 16 bytes long.
                let threes = _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(THREES.as_ptr().cast()) });
                let order = _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 3, 7, 11, 15);
                let front = _mm512_permutexvar_epi32(order, _mm512_shuffle_epi8(fours, threes));
                // SAFETY: `out` is 48 bytes long, which are the twelve lanes that the mask lets through.
                unsafe { _mm512_mask_storeu_epi32(at.cast(), 0x0FFF, front) };
            }
        }
    }
}
