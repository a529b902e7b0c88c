//! Elementary functions with the same bits on every machine.
//!
//! The standard library leaves these to the C library of the system, whose results differ between versions and between the CPUs that it
//! tests for. Here each is one fixed sequence of IEEE operations in Rust: the crate `libm`, which chooses by the CPU for square roots and
//! fused multiply-adds alone, where every choice is correctly rounded. For FP32, widen the argument and round the result. What IEEE defines,
//! `sqrt` and the four operations, is exact as it is.
//!
//! Slower than the system's. What runs on whole tensors has its own functions in `interplay_hw::host`.

/// e to the power `x`; error below 1 ulp.
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// 2 to the power `x`; error below 1 ulp.
pub fn exp2(x: f64) -> f64 {
    libm::exp2(x)
}

/// `exp(x) - 1`, accurate near 0; error below 1 ulp.
pub fn exp_m1(x: f64) -> f64 {
    libm::expm1(x)
}

/// The natural logarithm; error below 1 ulp.
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// `ln(1 + x)`, accurate near 0; error below 1 ulp.
pub fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// The logarithm to base 2; error below 1 ulp.
pub fn log2(x: f64) -> f64 {
    libm::log2(x)
}

/// `x` to the power `y`; error below 1 ulp.
pub fn powf(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

/// `x` to the power `n` by squaring from the lowest bit of `n`, one reciprocal last where `n` is negative.
///
/// Exact where every intermediate product is, for a power of two or ten of a small exponent among others.
pub fn powi(x: f64, n: i32) -> f64 {
    let (mut result, mut square, mut left) = (1.0, x, n.unsigned_abs());
    while left > 0 {
        if left & 1 == 1 {
            result *= square;
        }
        square *= square;
        left >>= 1;
    }
    if n < 0 { 1.0 / result } else { result }
}

/// The sine of `x` radians; error below 1 ulp.
pub fn sin(x: f64) -> f64 {
    libm::sin(x)
}

/// The cosine of `x` radians; error below 1 ulp.
pub fn cos(x: f64) -> f64 {
    libm::cos(x)
}

/// The hyperbolic tangent; error below 2 ulp.
pub fn tanh(x: f64) -> f64 {
    libm::tanh(x)
}

/// The error function; error below 1 ulp.
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{E, FRAC_PI_6, LN_2, SQRT_2};

    #[test]
    fn known_values() {
        assert_eq!((exp(0.0), exp2(-3.0), exp_m1(0.0), ln(1.0), ln_1p(0.0)), (1.0, 0.125, 0.0, 0.0, 0.0));
        assert_eq!((log2(8.0), sin(0.0), cos(0.0), tanh(0.0), erf(0.0)), (3.0, 0.0, 1.0, 0.0, 0.0));
        assert_eq!((powi(10.0, 5), powi(2.0, -1022), powi(3.0, 0), powi(-2.0, 3)), (1e5, f64::MIN_POSITIVE, 1.0, -8.0));
        let near = [
            (exp(1.0), E),
            (ln(2.0), LN_2),
            (powf(2.0, 0.5), SQRT_2),
            (sin(FRAC_PI_6), 0.5),
            (cos(2.0 * FRAC_PI_6), 0.5),
        ];
        for (got, want) in near {
            assert!((got - want).abs() <= f64::EPSILON * want, "{got} {want}");
        }
    }
}
