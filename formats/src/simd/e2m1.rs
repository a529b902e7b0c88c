//! E2M1 codes of blocks under powers of two, from FP32 to nibbles with nothing in memory between.
//!
//! A code counts the borders below a magnitude: 0.25, 0.75, 1.25, 1.75, 2.5, 3.5 and 5, of which an even neighbour takes
//! the border itself. Those that the upper neighbour takes have fractions from 1.5, the others of 1 or 1.25. So one sum,
//! `v + v * 0.75 * 2^-24` with one rounding, moves numbers with a fraction above 4/3 up by one unit and no others; then
//! every border belongs to the lower neighbour, and above it means: greater after rounding up to two fraction bits.
//! The upper byte of FP16 is sign, exponent and two fraction bits; a table gives the code.

use super::Level;
#[cfg(target_arch = "x86_64")]
use super::Vectors;

/// Packs blocks of 32 numbers times `by`, two codes a byte; false, and nothing done, where the CPU lacks what it takes.
///
/// `by` is an eighth of the scale's reciprocal, a power of two, and no product reaches 14 / 8.
#[inline(always)]
pub(crate) fn e2m1<const N: usize>(level: Level, x: &[[f32; 32]; N], by: &[f32; N], out: &mut [[u8; 16]; N]) -> bool {
    const { assert!(N.is_multiple_of(2)) };
    match level.0 {
        // SAFETY: the level is proof of AVX-512 F and BW; VBMI was just found.
        #[cfg(target_arch = "x86_64")]
        Vectors::Avx512 if is_x86_feature_detected!("avx512vbmi") => unsafe { x86::avx512(x, by, out) },
        _ => return false,
    }
    true
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// 0.75 * 2^-24.
    const RISE: f32 = 0.75 / 16_777_216.0;
    /// All fraction bits but two.
    const DROPPED: i32 = 0x001F_FFFF;
    /// The upper bytes of an eighth of the borders in FP16.
    const BORDERS: [u8; 7] = [40, 46, 49, 51, 53, 55, 57];
    /// The code for the upper byte of a magnitude: how many borders lie below it.
    const CODES: [u8; 64] = {
        let mut codes = [0; 64];
        let mut at = 0;
        while at < 64 {
            let mut border = 0;
            while border < 7 {
                codes[at] += (at as u8 > BORDERS[border]) as u8;
                border += 1;
            }
            at += 1;
        }
        codes
    };
    /// The upper byte of every 16 bits of two vectors.
    const UPPER: [u8; 64] = {
        let mut upper = [0; 64];
        let mut at = 0;
        while at < 64 {
            upper[at] = 2 * at as u8 + 1;
            at += 1;
        }
        upper
    };

    /// 32 numbers to FP16 whose upper bytes are right.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn halves(x: &[f32; 32], by: f32) -> __m512i {
        let (by, rise, dropped) = (_mm512_set1_ps(by), _mm512_set1_ps(RISE), _mm512_set1_epi32(DROPPED));
        let half = |i: usize| {
            // SAFETY: two times 64 bytes are the whole array.
            let scaled = _mm512_mul_ps(unsafe { _mm512_loadu_ps(x.as_ptr().add(16 * i)) }, by);
            let risen = _mm512_castps_si512(_mm512_fmadd_ps(scaled, rise, scaled));
            let up = _mm512_castsi512_ps(_mm512_add_epi32(risen, dropped));
            _mm512_cvtps_ph::<{ _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC }>(up)
        };
        _mm512_inserti64x4::<1>(_mm512_castsi256_si512(half(0)), half(1))
    }

    /// Two blocks at a time.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn avx512(x: &[[f32; 32]], by: &[f32], out: &mut [[u8; 16]]) {
        // SAFETY: both arrays are 64 bytes long.
        let (upper, codes) =
            unsafe { (_mm512_loadu_si512(UPPER.as_ptr().cast()), _mm512_loadu_si512(CODES.as_ptr().cast())) };
        let (sign, pairs) = (_mm512_set1_epi8(8), _mm512_set1_epi16(0x1001));
        let inputs = x.as_chunks::<2>().0.iter().zip(by.as_chunks::<2>().0);
        for (([x, y], [a, b]), out) in inputs.zip(out.as_chunks_mut::<2>().0) {
            let bytes = _mm512_permutex2var_epi8(halves(x, *a), upper, halves(y, *b));
            let code = _mm512_permutexvar_epi8(bytes, codes);
            // (shifted & sign) | code
            let signed = _mm512_ternarylogic_epi32::<0xEA>(_mm512_srli_epi16::<4>(bytes), sign, code);
            let nibbles = _mm512_cvtepi16_epi8(_mm512_maddubs_epi16(signed, pairs));
            // SAFETY: two blocks of 16 bytes.
            unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), nibbles) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::E2M1;
    use crate::kernel::Float;
    use crate::{Overflow, Rounding};

    /// Every upper half of an FP32 number below 14, with the lower halves around a border.
    #[test]
    fn agrees_with_the_kernel() {
        let float = Float::new(E2M1, Rounding::NearestEven, Overflow::Saturate).expect("a narrow float");
        let lows = [0, 1, 2, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF];
        let numbers = (0..0x1_0000u32).flat_map(|high| lows.map(|low| f32::from_bits(high << 16 | low)));
        let mut all: Vec<f32> = numbers.filter(|v| v.abs() < 14.0).collect();
        all.resize(all.len().next_multiple_of(64), 0.0);
        for (x, reciprocal) in all.as_chunks::<32>().0.as_chunks::<2>().0.iter().zip([1.0, 0.25, 64.0].iter().cycle()) {
            let scaled = x.map(|x| x.map(|v| v / reciprocal));
            let mut got = [[0; 16]; 2];
            if !e2m1(Level::detect(), &scaled, &[reciprocal / 8.0; 2], &mut got) {
                return;
            }
            let code = |v: f32| float.coded(v * reciprocal) as u8;
            let want = scaled.as_flattened().as_chunks::<2>().0.iter().map(|[a, b]| code(*a) | code(*b) << 4);
            assert!(want.eq(got.as_flattened().iter().copied()), "{scaled:?}");
        }
    }
}
