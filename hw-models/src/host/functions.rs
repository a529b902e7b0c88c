//! Elementary functions of FP32: computed in FP64, rounded once.
//!
//! What whole tensors go through (`exp`, `sigmoid`, `tanh`, `gelu`) is branch-free arithmetic that compilers vectorise; the rest is
//! [`math`]'s, value by value. `x` is widened without loss, and the last rounding is the only one that FP32 sees.

use crate::exact::canonical;
use crate::host::{CHUNK, in_rows};
use interplay_formats::math;
use interplay_formats::simd::{Level, Task, run};
use rayon::prelude::*;
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LOG2_E};

/// A function of one FP32 number.
///
/// Errors are bounds in units in the last place of the FP32 result, subnormal ones included; 0.5 is a correctly rounded result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    /// e to the power `x`; 0.501 ulp.
    Exp,
    /// `1 / (1 + exp(-x))`; 0.501 ulp.
    Sigmoid,
    /// The hyperbolic tangent; 0.501 ulp.
    Tanh,
    /// `x` times the normal distribution function at `x`; 0.501 ulp.
    Gelu,
    /// The logarithm of the sigmoid; 0.501 ulp.
    LogSigmoid,
    /// The natural logarithm; 0.501 ulp.
    Ln,
    /// `ln(1 + x)`; 0.501 ulp.
    Ln1p,
    /// The error function; 0.501 ulp.
    Erf,
    /// The sine of radians; 0.501 ulp.
    Sin,
    /// The cosine of radians; 0.501 ulp.
    Cos,
    /// This power of `x`; 0.501 ulp.
    Power(f64),
}

impl Function {
    /// The function of one number.
    pub fn of(self, x: f32) -> f32 {
        let mut x = [x];
        self.fill(&mut x);
        x[0]
    }

    /// Replaces every value by the function of it, on all threads of the current pool.
    pub fn apply(self, x: &mut [f32]) {
        in_rows(x, 1, |part| self.fill(part));
    }

    fn fill(self, x: &mut [f32]) {
        match self {
            Self::Exp => run(Level::detect(), Map(x, exp)),
            Self::Sigmoid => run(Level::detect(), Map(x, sigmoid)),
            Self::Tanh => run(Level::detect(), Map(x, tanh)),
            Self::Gelu => run(Level::detect(), Map(x, gelu)),
            Self::LogSigmoid => each(x, |x| x.min(0.0) - math::ln_1p(math::exp(-x.abs()))),
            Self::Ln => each(x, math::ln),
            Self::Ln1p => each(x, math::ln_1p),
            Self::Erf => each(x, math::erf),
            Self::Sin => each(x, math::sin),
            Self::Cos => each(x, math::cos),
            Self::Power(y) => each(x, |x| math::powf(x, y)),
        }
    }
}

/// Replaces every pair by `f` of it in FP64, rounded once; the slices have one length.
pub fn map(x: &mut [f32], y: &[f32], f: impl Fn(f64, f64) -> f64 + Sync) {
    x.par_iter_mut()
        .zip(y)
        .with_min_len(CHUNK)
        .for_each(|(x, y)| *x = canonical(f(f64::from(*x), f64::from(*y)) as f32));
}

fn each(x: &mut [f32], f: impl Fn(f64) -> f64) {
    x.iter_mut().for_each(|x| *x = canonical(f(f64::from(*x)) as f32));
}

/// A function of FP64 over FP32 values.
struct Map<'a, F>(&'a mut [f32], F);

impl<F: Fn(f64) -> f64> Task for Map<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for x in self.0 {
            *x = canonical((self.1)(f64::from(*x)) as f32);
        }
    }
}

/// `1.5 * 2^52`: adding it rounds a number of up to 51 bits to an integer, which is then in the low bits of the sum.
const INTEGER: f64 = 6_755_399_441_055_744.0;

/// `1/2!, 1/3!, .. 1/9!`. What is left out of `exp(r)` for `|r| <= ln(2)/2` is below `0.3466^10 / 10! = 2^-37`.
const INVERSE_FACTORIALS: [f64; 8] =
    [1.0 / 2.0, 1.0 / 6.0, 1.0 / 24.0, 1.0 / 120.0, 1.0 / 720.0, 1.0 / 5_040.0, 1.0 / 40_320.0, 1.0 / 362_880.0];

/// `2^n` and `exp(r) - 1` with `x = n ln(2) + r`, for `|x|` up to 150, where `r` is off by at most 2^-46. A NaN gives NaN.
#[inline(always)]
fn exp_parts(x: f64) -> (f64, f64) {
    let shifted = x * LOG2_E + INTEGER;
    let n = shifted - INTEGER;
    let r = x - n * LN_2;
    let mut sum = INVERSE_FACTORIALS[7];
    for i in (0..7).rev() {
        sum = sum * r + INVERSE_FACTORIALS[i];
    }
    // The low 11 bits of the integer and the bias are the exponent field.
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    (power, r + r * r * sum)
}

/// `x`, but at most 150 in magnitude, beyond which FP32 holds nothing of `exp(x)`.
#[inline(always)]
fn bounded(x: f64) -> f64 {
    let x = if x > 150.0 { 150.0 } else { x };
    if x < -150.0 { -150.0 } else { x }
}

#[inline(always)]
pub(super) fn exp(x: f64) -> f64 {
    let (power, rest) = exp_parts(bounded(x));
    power + power * rest
}

#[inline(always)]
fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + exp(-x))
}

/// With `e = exp(2x) - 1`, which near 0 keeps its digits, `tanh(x) = e / (e + 2)`.
#[inline(always)]
fn tanh(x: f64) -> f64 {
    let (power, rest) = exp_parts(bounded(x + x));
    let e = power * rest + (power - 1.0);
    (e / (e + 2.0)).copysign(x)
}

/// Where the variable of [`ERFC`] is 0. Derived: of 1, 1.5, 2, 2.5 and 3 the one with the least error at that degree.
const CENTRE: f64 = 2.5;

/// `(1 + 2y) exp(y^2) erfc(y)` as a polynomial of `u = (y - 2.5) / (y + 2.5)`, the constant first.
///
/// Derived: the interpolation at the 17 zeros of a Chebyshev polynomial, computed with 60 digits; its relative error is below 2^-37 for
/// every `y >= 0`.
const ERFC: [f64; 17] = [
    1.264_838_184_366_861_5,
    -0.122_356_763_190_031_83,
    -0.099_024_539_619_117_96,
    0.157_629_924_202_255_88,
    -0.102_967_053_838_517_94,
    0.032_760_820_324_891_186,
    0.000_931_861_493_761_441,
    -0.004_381_615_134_795_004,
    0.000_492_068_501_711_710_3,
    0.000_630_555_739_030_849_7,
    -8.918_691_874_322_704e-5,
    -0.000_110_484_101_506_748_27,
    7.707_454_787_954_16e-6,
    1.930_328_419_579_892_5e-5,
    8.479_166_339_528_529e-7,
    -2.157_582_112_059_105_3e-6,
    -3.058_118_689_274_154_3e-7,
];

/// `x` times `erfc(-x / sqrt(2)) / 2`; the tail of the distribution keeps its digits on either side.
#[inline(always)]
fn gelu(x: f64) -> f64 {
    // Below -20 the result is less than FP32 holds, above 20 it is `x`.
    let low = if x < -20.0 { -20.0 } else { x };
    let size = if low > 20.0 { 20.0 } else { low.abs() };
    let y = size * FRAC_1_SQRT_2;
    let u = (y - CENTRE) / (y + CENTRE);
    let mut sum = ERFC[16];
    for i in (0..16).rev() {
        sum = sum * u + ERFC[i];
    }
    let tail = 0.5 * exp(-0.5 * size * size) * sum / (1.0 + 2.0 * y);
    low * if x < 0.0 { tail } else { 1.0 - tail }
}
