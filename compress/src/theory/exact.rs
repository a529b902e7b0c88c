//! Comparisons without rounding, for what FP64 cannot tell apart.
//!
//! Every FP64 number is an integer times 2^-1074, so that sums, products and orders of integers decide.

use num_bigint::BigInt;
use std::cmp::Ordering;

/// `x` in units of 2^-1074; `x` is finite.
pub(super) fn integer(x: f64) -> BigInt {
    let (bits, field) = (x.to_bits() & 0x000F_FFFF_FFFF_FFFF, (x.to_bits() >> 52 & 0x7FF) as usize);
    let significand = if field == 0 { bits } else { bits | 1 << 52 };
    let magnitude = BigInt::from(significand) << field.saturating_sub(1);
    if x.is_sign_negative() { -magnitude } else { magnitude }
}

/// |a - b|.
pub(super) fn distance(a: f32, b: f32) -> BigInt {
    let difference = integer(a.into()) - integer(b.into());
    if difference < BigInt::ZERO { -difference } else { difference }
}

/// |x - both| against |x - q| + |x - s|.
pub(super) fn element(x: f32, q: f32, s: f32, both: f32) -> Ordering {
    distance(x, both).cmp(&(distance(x, q) + distance(x, s)))
}

/// The sums of magnitudes of x - both, less those of x - q and of x - s.
pub(super) fn excess(x: &[f32], q: &[f32], s: &[f32], both: &[f32]) -> BigInt {
    let sum = |y: &[f32]| x.iter().zip(y).map(|(&x, &y)| distance(x, y)).sum::<BigInt>();
    sum(both) - sum(q) - sum(s)
}

/// The Euclidean length of x - both against those of x - q and x - s together: sqrt(A) <= sqrt(B) + sqrt(C) where
/// A - B - C <= 0 or (A - B - C)^2 <= 4BC.
pub(super) fn euclidean(x: &[f32], q: &[f32], s: &[f32], both: &[f32]) -> Ordering {
    let square = |d: BigInt| &d * &d;
    let sum = |y: &[f32]| x.iter().zip(y).map(|(&x, &y)| square(distance(x, y))).sum::<BigInt>();
    let (b, c) = (sum(q), sum(s));
    let rest = sum(both) - &b - &c;
    if rest < BigInt::ZERO { Ordering::Less } else { square(rest).cmp(&(b * c * 4)) }
}

/// The largest magnitude of x - both against those of x - q and x - s together.
pub(super) fn largest(x: &[f32], q: &[f32], s: &[f32], both: &[f32]) -> Ordering {
    let largest = |y: &[f32]| x.iter().zip(y).map(|(&x, &y)| distance(x, y)).max().unwrap_or_default();
    largest(both).cmp(&(largest(q) + largest(s)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact() {
        assert_eq!(integer(f64::from_bits(1)), BigInt::from(1));
        assert_eq!(integer(-1.5), BigInt::from(-3) << 1073u32);
        // What FP64 loses: 1 + 2^-149 against 1.
        let tiny = f32::from_bits(1);
        assert_eq!(element(1.0, 1.0, 0.0, -tiny), Ordering::Greater);
        assert_eq!(element(1.0, 1.0, 0.0, 0.0), Ordering::Equal);
        assert_eq!(excess(&[1.0], &[1.0], &[0.0], &[-tiny]), integer(tiny.into()));
    }

    #[test]
    fn lengths_compare_without_roots() {
        // 5 against 3 + 2 where q is off by 3 and s by 2; 5 against 4 + 3 at a right angle.
        assert_eq!(euclidean(&[5.0], &[2.0], &[3.0], &[0.0]), Ordering::Equal);
        assert_eq!(euclidean(&[3.0, 4.0], &[3.0, 0.0], &[0.0, 4.0], &[0.0, 0.0]), Ordering::Less);
        assert_eq!(euclidean(&[5.0], &[2.0], &[3.0], &[-f32::from_bits(1)]), Ordering::Greater);
        assert_eq!(largest(&[3.0, 4.0], &[3.0, 0.0], &[0.0, 4.0], &[0.0, 0.0]), Ordering::Less);
    }
}
