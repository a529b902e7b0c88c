//! The references against integers without limits (num-bigint): an arithmetic that shares no code with the crate.

use crate::support::{Kind, Random, case, quantized, same_bits};
use interplay_hw::{Datapath, Operand, exact};
use libtest_mimic::Trial;
use num_bigint::{BigInt, BigUint, Sign};

pub fn trials() -> Vec<Trial> {
    vec![
        case("big::ideal", ideal),
        case("big::block", block),
        case("big::fma", fma),
        case("big::rounding", rounding),
        case("big::specials", specials),
    ]
}

/// `x * 2^149`.
fn integer(x: f32) -> BigInt {
    let bits = x.to_bits();
    let (field, fraction) = (bits >> 23 & 0xff, bits & 0x7f_ffff);
    let significand = if field == 0 { fraction } else { fraction | 0x80_0000 };
    let magnitude = BigInt::from(significand) << field.max(1).wrapping_sub(1);
    if bits >> 31 == 1 { -magnitude } else { magnitude }
}

/// `value * 2^exponent` to FP32, nearest, ties to even; zero is +0.
fn nearest(value: &BigInt, exponent: i64) -> f32 {
    let (sign, magnitude) = (value.sign(), value.magnitude());
    if sign == Sign::NoSign {
        return 0.0;
    }
    let top = magnitude.bits() as i64 - 1 + exponent;
    let last = (top - 23).max(-149);
    let shift = last - exponent;
    let kept = if shift <= 0 {
        magnitude << (-shift) as u64
    } else {
        let kept: BigUint = magnitude >> shift as u64;
        let dropped = magnitude - (&kept << shift as u64);
        let half = BigUint::from(1u8) << (shift - 1) as u64;
        if dropped > half || dropped == half && kept.bit(0) { kept + 1u8 } else { kept }
    };
    let kept = kept.iter_u64_digits().next().unwrap_or(0) as f64;
    // At most 25 bits times a power of two: exact in FP64, and FP32 holds it or overflows.
    let power = (0..last.unsigned_abs()).fold(1.0f64, |power, _| if last < 0 { power / 2.0 } else { power * 2.0 });
    let rounded = if last > 300 { f32::INFINITY } else { (kept * power) as f32 };
    if sign == Sign::Minus { -rounded } else { rounded }
}

fn dot(x: &[f32], w: &[f32]) -> BigInt {
    x.iter().zip(w).map(|(&x, &w)| integer(x) * integer(w)).sum()
}

fn ideal() {
    let mut random = Random(1);
    for kind in Kind::ALL {
        for k in [1, 2, 7, 64, 301] {
            let (x, w) = (kind.matrix(5, k, &mut random), kind.matrix(7, k, &mut random));
            let want: Vec<f32> =
                x.chunks(k).flat_map(|x| w.chunks(k).map(move |w| nearest(&dot(x, w), -298))).collect();
            let (x, w) = (Operand::Values { data: &x, k }, Operand::Values { data: &w, k });
            let ideal = Datapath::by_name("ideal").unwrap();
            same_bits(&ideal.gemm_reference(x, w).unwrap(), &want, &format!("{kind:?}, K = {k}, reference"));
            same_bits(&ideal.gemm(x, &ideal.prepare(w).unwrap()).unwrap(), &want, &format!("{kind:?}, K = {k}"));
        }
    }
}

fn block() {
    let mut random = Random(2);
    for format in ["mxfp8", "mxfp8-e5m2", "mxfp6", "mxfp4", "hbfp8", "hbfp4"] {
        for kind in Kind::ALL {
            let k = 100;
            let x = quantized(format, &kind.matrix(3, k, &mut random), k);
            let w = quantized(format, &kind.matrix(4, k, &mut random), k);
            let (ex, ew) = (x.block_exponents().unwrap(), w.block_exponents().unwrap());
            let (vx, vw) = (x.elements(), w.elements());
            let (padded, length, blocks) = (x.k_padded(), x.block_len(), x.blocks_per_row());
            let mut want = Vec::new();
            for m in 0..x.rows() {
                for n in 0..w.rows() {
                    let mut sum = 0.0f32;
                    for b in 0..blocks {
                        let of = |row: usize| row * padded + b * length..row * padded + (b + 1) * length;
                        let exponent = i64::from(ex[m * blocks + b]) + i64::from(ew[n * blocks + b]);
                        sum += nearest(&dot(&vx[of(m)], &vw[of(n)]), exponent - 298);
                    }
                    want.push(if sum.is_nan() { f32::from_bits(0x7fc0_0000) } else { sum });
                }
            }
            let block = Datapath::by_name("block").unwrap();
            let got = block.gemm_reference(Operand::Quantized(&x), Operand::Quantized(&w)).unwrap();
            same_bits(&got, &want, &format!("{format}, {kind:?}"));
        }
    }
}

/// The host's fused multiply-add, on which `fp32` rests.
fn fma() {
    let mut random = Random(3);
    for kind in Kind::ALL {
        let values = kind.matrix(1, 3 * 500, &mut random);
        for v in values.chunks_exact(3) {
            let exact: BigInt = integer(v[0]) * integer(v[1]) + (integer(v[2]) << 149);
            let got = v[0].mul_add(v[1], v[2]);
            let want = nearest(&exact, -298);
            assert!(got == want, "{v:?}: {got:e}, not {want:e}");
        }
    }
}

fn rounding() {
    let mut random = Random(4);
    for _ in 0..20_000 {
        let significand = u128::from(random.bits()) << 64 | u128::from(random.bits());
        let significand = significand >> random.below(128);
        let exponent = random.below(500) as i32 - 300;
        let negative = random.below(2) == 1;
        let signed = BigInt::from(significand) * if negative { -1 } else { 1 };
        let (got, want) = (exact::round(negative, significand, exponent, false), nearest(&signed, exponent.into()));
        assert_eq!(got.to_bits(), want.to_bits(), "{signed} * 2^{exponent}: {got:e}, not {want:e}");
    }
}

/// Infinities and NaN follow IEEE 754 in both arithmetics of FP32 values, and every NaN is the canonical one.
fn specials() {
    let inf = f32::INFINITY;
    let cases: [([f32; 2], [f32; 2], f32); 5] = [
        ([inf, 1.0], [1.0, 1.0], inf),
        ([inf, 1.0], [-1.0, 1.0], -inf),
        ([inf, inf], [1.0, -1.0], f32::NAN),
        ([inf, 1.0], [0.0, 1.0], f32::NAN),
        ([f32::from_bits(0xffc1_2345), 1.0], [1.0, 1.0], f32::NAN),
    ];
    for name in ["ideal", "fp32"] {
        let datapath = Datapath::by_name(name).unwrap();
        for (x, w, want) in cases {
            let (x, w) = (Operand::Values { data: &x, k: 2 }, Operand::Values { data: &w, k: 2 });
            let want = if want.is_nan() { f32::from_bits(0x7fc0_0000) } else { want };
            same_bits(&datapath.gemm_reference(x, w).unwrap(), &[want], name);
            same_bits(&datapath.gemm(x, &datapath.prepare(w).unwrap()).unwrap(), &[want], name);
        }
    }
}
