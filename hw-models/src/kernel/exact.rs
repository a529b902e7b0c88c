//! `ideal`: the exact sum rounded once, found in FP64 where that is certain and in the long accumulator where not.
//!
//! The notes of a row are its norm and its grid, see [`bounds`].

use super::{Left, NR, Panel, Unit, chain};
use crate::exact::{Dyadic, Sum, power_of_two};

/// Half a unit in the last place of 1.0 in FP64.
const HALF_ULP: f64 = f64::EPSILON / 2.0;

/// FP64 sums whose rounding is certified by an error bound.
///
/// Products of two `f32` are exact in FP64 (48 bits) and their FMA chain of K steps is off by at most
/// `K * 2^-53 * (1 + 2^-20) * sum|a b|`, where `sum|a b| <= |a| |b|` by Cauchy and Schwarz. Nothing underflows: every
/// product is a multiple of 2^-298. Two cases need no bound or no luck:
/// * all products are multiples of `grid_a * grid_b` and `|a| |b| <= 2^53 grid_a grid_b`: every partial sum is exact;
/// * `s - e` and `s + e` round to one FP32 number, where `e` also covers the rounding of these two themselves; rounding
///   is monotone, so the exact sum between them rounds to that number too.
pub(crate) struct CertifiedSums;

impl Unit for CertifiedSums {
    type Lane = f64;

    #[inline(always)]
    fn tile<const MR: usize, const FUSED: bool>(
        &self,
        left: &Left<f64, MR>,
        right: Panel<'_>,
        out: &mut [[f32; NR]; MR],
    ) {
        let mut sums = [[0.0f64; NR]; MR];
        chain::<_, MR, FUSED>(&left.elements, right.elements, &mut sums);
        let error = (left.elements.len() + 8) as f64 * HALF_ULP;
        for r in 0..MR {
            let mut certain = [false; NR];
            for c in 0..NR {
                let magnitude = left.notes[0][r] * right.notes[0][c];
                let exact = magnitude * HALF_ULP <= left.notes[1][r] * right.notes[1][c];
                let slack = magnitude * error;
                out[r][c] = sums[r][c] as f32;
                // Bits, not values: a sum around zero may round to zeros of either sign.
                let (low, high) = ((sums[r][c] - slack) as f32, (sums[r][c] + slack) as f32);
                certain[c] = exact | (low.to_bits() == high.to_bits());
            }
            for c in 0..NR {
                if !certain[c] {
                    out[r][c] = exactly(left, right, r, c);
                }
            }
        }
    }
}

/// One output by the long accumulator.
#[cold]
#[inline(never)]
fn exactly<const MR: usize>(left: &Left<f64, MR>, right: Panel<'_>, r: usize, c: usize) -> f32 {
    let mut sum = Sum::new();
    left.elements.iter().zip(right.elements).for_each(|(a, b)| sum.add_product(a[r] as f32, b[c]));
    sum.round(0)
}

/// The notes of a row: an upper bound of its Euclidean norm, and the largest power of two that divides all its values.
///
/// The factor 1 + 2^-16 covers the rounding of the norm itself and of the products made with it, for any K below 2^31.
pub(crate) fn bounds(row: &[f32]) -> [f64; 2] {
    let squares: f64 = row.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    let norm = squares.sqrt() * (1.0 + power_of_two(-16));
    let grid = row.iter().map(|&x| Dyadic::from(x)).filter(|x| x.significand != 0);
    let grid = grid.map(|x| x.exponent + x.significand.trailing_zeros() as i32).min();
    // A row of zeros lies on every grid; 2^150 is coarser than any f32's own.
    [norm, power_of_two(grid.unwrap_or(150))]
}
