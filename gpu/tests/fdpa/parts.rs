//! Parts of the rules against arithmetic in 128 bits and against the formats crate.

use interplay_formats::catalog::FP16;
use interplay_formats::{Exact, Rounding, Scalar, Value, scalar};
use interplay_gpu::fdpa::align::{Wide, add};
use interplay_gpu::fdpa::factors::scaled;
use interplay_gpu::fdpa::group::{magnitude, placed};
use interplay_gpu::fdpa::register::{Magnitude, Register, bits, join, round, wide};
use interplay_gpu::fdpa::unit::Rounded;
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A runner of many cases, the same ones each time.
pub fn runner(cases: u32) -> TestRunner {
    let config = Config { failure_persistence: None, ..Config::with_cases(cases) };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

pub fn trials() -> Vec<Trial> {
    let cases: [(&str, fn()); 6] = [
        ("wide_sums", wide_sums),
        ("placed_terms", placed_terms),
        ("group_sums", group_sums),
        ("rounding", rounding),
        ("joining", joining),
        ("row_factors", row_factors),
    ];
    let trial = |(name, run): (&str, fn())| {
        Trial::test(format!("fdpa::parts::{name}"), move || {
            run();
            Ok(())
        })
    };
    cases.into_iter().map(trial).collect()
}

/// Integers of every size.
fn spread(bits: u32) -> impl Strategy<Value = i64> {
    (any::<i64>(), 0..bits).prop_map(move |(x, down)| x >> (63 - bits + down).min(63))
}

/// A magnitude stands for its sum: equal where nothing was cut off, else beside it with the lowest bit set.
fn stands_for(number: Magnitude, sum: i64) -> bool {
    let (size, up) = (i128::from(number.size), number.up);
    let exact = i128::from(sum.unsigned_abs());
    let sign = number.negative == (sum < 0);
    let cut = exact >> up;
    let lost = exact != cut << up;
    sign && size == if lost { cut | 1 } else { cut } && (up == 0 || number.size >= 1 << 31 || exact < 1 << 32)
}

/// Sums of runs, as long as an accumulator of 34 bits.
fn wide_sums() {
    // Runs of one sign come near the ends of the accumulator, others near zero.
    let alike = |terms: Vec<u32>| terms.iter().map(|&term| i64::from(term >> 1)).collect();
    let terms = prop_oneof![
        prop::collection::vec(spread(31), 1..8),
        prop::collection::vec(any::<u32>(), 1..8).prop_map(alike),
        prop::collection::vec(any::<i32>().prop_map(i64::from), 1..8),
    ];
    let test = |terms: Vec<i64>| {
        let sum = terms.iter().fold(Wide { high: 0, low: 0 }, |sum, &term| add(&sum, term as i32));
        let (number, exact) = (wide(&sum), terms.iter().sum::<i64>());
        prop_assert!(stands_for(number, exact), "{number:?}, {exact}");
        Ok(())
    };
    runner(20_000).run(&terms, test).unwrap();
}

fn placed_terms() {
    let test = |(number, up): (i64, i32)| {
        let exact = if up >= 0 { i128::from(number) << up } else { i128::from(number) / (1 << (-up).min(100)) };
        // What a kernel places has 26 bits above the lower 24.
        if exact.unsigned_abs() < 1 << 50 {
            let Wide { high, low } = placed(number as i32, up);
            prop_assert_eq!((i128::from(high) << 24) + i128::from(low), exact, "{} by {}", number, up);
        }
        Ok(())
    };
    runner(20_000).run(&(spread(24), -90..40i32), test).unwrap();
}

fn group_sums() {
    let test = |(high, low): (i64, i64)| {
        let sum = Wide { high: high as i32, low: low as i32 };
        let exact = (high << 24) + low;
        prop_assert!(stands_for(magnitude(&sum), exact), "{sum:?}, {exact}");
        Ok(())
    };
    runner(20_000).run(&(spread(29), spread(28)), test).unwrap();
}

/// Registers and the formats whose numbers they hold.
fn registers() -> [(Rounded, Scalar); 4] {
    let register = |precision, emin, emax, nearest| Rounded { precision, emin, emax, nearest, infinite: true };
    let narrow = Scalar::float("e8m13", 8, 13, 127, interplay_formats::Specials::Ieee);
    [
        (register(24, -126, 127, false), scalar::FP32),
        (register(24, -126, 127, true), scalar::FP32),
        (register(14, -126, 127, false), narrow),
        (register(11, -14, 15, true), FP16),
    ]
}

/// The FP32 bits of an exact number rounded to a register's format; an exact zero is +0.
fn rounded(exact: Exact, to: Rounded, format: Scalar) -> u32 {
    let rounding = if to.nearest { Rounding::NearestEven } else { Rounding::TowardZero };
    let (number, _) = format.grid().round(exact, rounding);
    let negative = number.negative;
    let value =
        if number.cmp_magnitude(format.max()).is_le() { Value::Finite(number) } else { Value::Infinite { negative } };
    if number.is_zero() { 0 } else { value.to_f32().to_bits() }
}

fn rounding() {
    let cases = (any::<u32>(), 0..32u32, any::<bool>(), -200..140i32, 0..3i32, 0..4usize);
    let test = |(size, down, negative, place, up, index): (u32, u32, bool, i32, i32, usize)| {
        let (to, format) = registers()[index];
        let size = size >> down;
        let exact = Exact { negative, significand: u128::from(size), exponent: place + up };
        let got = bits(&round(Magnitude { negative, size, up }, place, to), to, 0x7FFF_FFFF);
        prop_assert_eq!(got, rounded(exact, to, format), "{:x} 2^{} to {:?}", size, place + up, to);
        Ok(())
    };
    runner(40_000).run(&cases, test).unwrap();
}

/// Additions to nearest even, of registers near and far from each other.
fn joining() {
    let cases = (0..4usize, 0..2usize, [any::<i32>(), any::<i32>()], [-24..24i32, -24..24i32], -126..110i32);
    let test = |(from, into, sizes, near, base): (usize, usize, [i32; 2], [i32; 2], i32)| {
        // FP16 joins FP16, the others join FP32.
        let narrow = into == 1;
        let (from, _) = registers()[if narrow { 3 } else { from % 3 }];
        let (to, format) = registers()[if narrow { 3 } else { 1 }];
        let register = |of: Rounded, size: i32, exponent: i32| {
            let exponent = exponent.clamp(of.emin, of.emax);
            let significand = size % (1 << of.precision);
            // Only subnormal numbers lack the leading bit.
            let lead = if exponent == of.emin { 0 } else { 1 << (of.precision - 1) };
            let significand = (significand.abs() | lead) * significand.signum();
            Register { significand, exponent: if significand == 0 { -0x1000 } else { exponent }, flags: 0 }
        };
        let base = if narrow { base % 12 } else { base };
        let (a, b) = (register(from, sizes[0], base + near[0]), register(to, sizes[1], base + near[1]));
        let low = (a.exponent.max(from.emin) - from.precision + 1).min(b.exponent.max(to.emin) - to.precision + 1);
        let exact = |register: Register, of: Rounded| {
            i128::from(register.significand) << (register.exponent.max(of.emin) - of.precision + 1 - low)
        };
        let sum = exact(a, from) + exact(b, to);
        let want = Exact { negative: sum < 0, significand: sum.unsigned_abs(), exponent: low };
        let got = bits(&join(&a, &b, from, to), to, 0x7FFF_FFFF);
        prop_assert_eq!(got, rounded(want, to, format), "{:?} {:?}", a, b);
        Ok(())
    };
    runner(40_000).run(&cases, test).unwrap();
}

/// Factors as the host multiplies them.
fn row_factors() {
    let test = |(x, w, y): (u32, u32, u32)| {
        let host = f32::from_bits(y) * (f32::from_bits(x) * f32::from_bits(w));
        let want = if host.is_nan() { 0x7FFF_FFFF } else { host.to_bits() };
        prop_assert_eq!(scaled(x, w, y, 0x7FFF_FFFF), want, "{:08x} {:08x} {:08x}", x, w, y);
        Ok(())
    };
    runner(20_000).run(&(any::<u32>(), any::<u32>(), any::<u32>()), test).unwrap();
}
