//! Laws over all formats with random blocks; the smallest counterexample is printed where one fails.

use crate::support::case;
use interplay_formats::{Exact, Format, Order, Pattern, Pipeline, Scale, Value};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// A law, and below it the formats for which it is claimed.
type Law = fn(&'static Format, &[f32]) -> Result<(), TestCaseError>;
type Claim = fn(&Format) -> bool;

pub fn trials() -> Vec<Trial> {
    let laws: [(&str, Claim, Law); 8] = [
        ("idempotent", is_idempotent, idempotent),
        ("odd", |_| true, odd),
        ("monotone", |_| true, monotone),
        ("half_a_step", |f| !f.is_exact(), half_a_step),
        ("scale_invariant", |f| !matches!(f.scaling.map(|s| s.scale), Some(Scale::Float32)), scale_invariant),
        ("permutation_invariant", |_| true, permutation_invariant),
        ("sparsify_then_quantise", |f| f.laws.theorem_3_5, sparsify_then_quantise),
        ("quantise_then_sparsify", |f| f.scaling.is_some(), quantise_then_sparsify),
    ];
    let each = laws.into_iter().flat_map(|(name, holds, law)| {
        let formats = Format::all().iter().filter(move |f| holds(f));
        formats.map(move |f| case(&format!("law::{name}::{}", f.name), move || hold(f, law)))
    });
    each.chain([case("law::int_scale_is_stable", int_scale_is_stable)]).collect()
}

/// All but HBFP, which clips a power of two the second time (`spec::hbfp_examples`).
fn is_idempotent(format: &Format) -> bool {
    !matches!(format.scaling.map(|s| s.scale), Some(Scale::Exponent(_)))
}

/// Why INT is idempotent although its scale is rounded: the scale of fl32(max * scale) is that scale again, for every
/// fraction of one binade and so, away from FP32's ends, for all.
fn int_scale_is_stable() {
    for max in [7.0f32, 127.0] {
        let unstable = (0x3F80_0000u32..0x4000_0000).find(|&bits| {
            let scale = f32::from_bits(bits) / max;
            (scale * max) / max != scale
        });
        assert_eq!(unstable, None, "amax over {max}");
    }
}

/// Runs a law on random blocks with a fixed seed.
fn hold(format: &'static Format, law: Law) {
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&blocks(), |x| law(format, &x)).unwrap_or_else(|e| panic!("{}: {e}", format.name));
}

/// One row of 32 numbers inside FP16's range, with exponents that vary, zeros and powers of two.
fn blocks() -> impl Strategy<Value = Vec<f32>> {
    let number =
        (any::<bool>(), -12i32..14, 0u32..1 << 23, 0u32..8).prop_map(|(negative, exponent, fraction, kind)| {
            let fraction = if kind == 0 { 0 } else { fraction };
            let magnitude = f32::from_bits(((exponent + 127) as u32) << 23 | fraction);
            let magnitude = if kind == 1 { 0.0 } else { magnitude };
            if negative { -magnitude } else { magnitude }
        });
    prop::collection::vec(number, 32)
}

fn fake(format: &'static Format, x: &[f32]) -> Result<Vec<f32>, TestCaseError> {
    let mut values = x.to_vec();
    format.fake_quantize(&mut values, x.len()).map_err(|e| TestCaseError::fail(e.to_string()))?;
    Ok(values)
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// fake(fake(x)) = fake(x), bit for bit.
fn idempotent(format: &'static Format, x: &[f32]) -> Result<(), TestCaseError> {
    let once = fake(format, x)?;
    prop_assert_eq!(bits(&fake(format, &once)?), bits(&once));
    Ok(())
}

/// fake(-x) = -fake(x); integers have one zero, so by value.
fn odd(format: &'static Format, x: &[f32]) -> Result<(), TestCaseError> {
    let negated: Vec<f32> = x.iter().map(|v| -v).collect();
    let want: Vec<f32> = fake(format, x)?.iter().map(|v| -v).collect();
    prop_assert_eq!(fake(format, &negated)?, want);
    Ok(())
}

/// Inside one block order is kept.
fn monotone(format: &'static Format, x: &[f32]) -> Result<(), TestCaseError> {
    let mut sorted = x.to_vec();
    sorted.sort_by(f32::total_cmp);
    let values = fake(format, &sorted)?;
    prop_assert!(values.windows(2).all(|w| w[0] <= w[1]), "{sorted:?} -> {values:?}");
    Ok(())
}

/// |x - fake(x)| is at most half the local step, or the distance to the largest number where it clips.
fn half_a_step(format: &'static Format, x: &[f32]) -> Result<(), TestCaseError> {
    let q = format.quantize(x, x.len()).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let scale = match (q.block_exponents(), q.row_scales()) {
        (Some(e), _) => Value::Finite(Exact::integer(1).scaled(e[0])).to_f64(),
        (_, Some(s)) => f64::from(s[0]),
        _ => 1.0,
    };
    let grid = format.element.grid();
    let max = Value::Finite(format.element.max()).to_f64();
    // An FP32 quotient and product each add half a unit of FP32's last place.
    let slack = if q.row_scales().is_some() { 1e-5 } else { 0.0 };
    for (v, got) in x.iter().zip(q.dequantize()) {
        let element = f64::from(*v) / scale;
        let leading = Value::from_f32(element as f32).finite().and_then(Exact::leading_exponent).unwrap_or(-200);
        let lsb = grid.precision.map_or(grid.lsb_min, |p| grid.lsb_min.max(leading + 1 - p as i32));
        let half = Value::Finite(Exact::integer(1).scaled(lsb - 1)).to_f64();
        let bound = half.max(element.abs() - max) * (1.0 + slack);
        let error = (element - f64::from(got) / scale).abs();
        prop_assert!(error <= bound, "{v:e} -> {got:e}: {error:e} steps of scale {scale:e}, bound {bound:e}");
    }
    Ok(())
}

/// fake(2^j x) = 2^j fake(x) for block formats whose scale is a power of two.
fn scale_invariant(format: &'static Format, x: &[f32]) -> Result<(), TestCaseError> {
    if format.scaling.is_none() {
        return Ok(());
    }
    let values = fake(format, x)?;
    for factor in [0.25f32, 2.0, 1024.0] {
        let scaled: Vec<f32> = x.iter().map(|v| v * factor).collect();
        let want: Vec<f32> = values.iter().map(|v| v * factor).collect();
        prop_assert_eq!(bits(&fake(format, &scaled)?), bits(&want));
    }
    Ok(())
}

/// The order of elements inside a block does not show.
fn permutation_invariant(format: &'static Format, x: &[f32]) -> Result<(), TestCaseError> {
    let reversed: Vec<f32> = x.iter().rev().copied().collect();
    let mut values = fake(format, &reversed)?;
    values.reverse();
    prop_assert_eq!(bits(&values), bits(&fake(format, x)?));
    Ok(())
}

/// Theorem 3.5, element by element: |x - q(s(x))| <= |x - q(x)| + |x - s(x)|.
fn sparsify_then_quantise(format: &'static Format, x: &[f32]) -> Result<(), TestCaseError> {
    let quantised = fake(format, x)?;
    for pattern in ["2:4", "1:4", "4:8", "50%", "75%"] {
        let pattern: Pattern = pattern.parse().map_err(|_| TestCaseError::fail("a pattern"))?;
        let stored = Pipeline::ordered(Order::Sq, pattern, format).and_then(|p| p.apply(x, x.len()));
        let stored = stored.map_err(|e| TestCaseError::fail(e.to_string()))?;
        let kept = stored.mask.as_ref().map(|m| m.kept().to_vec()).unwrap_or_default();
        for (i, v) in x.iter().enumerate() {
            let error = |got: f32| (f64::from(*v) - f64::from(got)).abs();
            let pruned = if kept[i] { 0.0 } else { error(0.0) };
            prop_assert!(error(stored.values[i]) <= error(quantised[i]) + pruned, "{pattern}, element {i}");
        }
    }
    Ok(())
}

/// Theorem 3.7 in its tight form for N:M and nearest rounding, where |v| is the sum of magnitudes:
/// |x - s(q(x))| <= |x - q(x)| + |x - s(x)| + step/2 * min(N, M - N)/M * n, step the widest distance of neighbours.
fn quantise_then_sparsify(format: &'static Format, x: &[f32]) -> Result<(), TestCaseError> {
    let q = format.quantize(x, x.len()).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let grid = format.element.grid();
    let lsb = grid.precision.map_or(grid.lsb_min, |p| format.element.emax() + 1 - p as i32);
    let step = match (q.block_exponents(), q.row_scales()) {
        (Some(e), _) => Value::Finite(Exact::integer(1).scaled(lsb + e[0])).to_f64(),
        (_, Some(s)) => f64::from(s[0]),
        _ => return Err(TestCaseError::fail("a block format has scales")),
    };
    let distance = |y: &[f32]| x.iter().zip(y).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum::<f64>();
    for (n, m) in [(2, 4), (1, 4), (3, 4), (4, 8)] {
        let pattern = Pattern::NofM { n, m };
        let run = |order, format| {
            let stored = Pipeline::ordered(order, pattern, format).and_then(|p| p.apply(x, x.len()));
            stored.map(|s| s.values).map_err(|e| TestCaseError::fail(e.to_string()))
        };
        let both = distance(&run(Order::Qs, format)?);
        let apart = distance(&q.dequantize()) + distance(&run(Order::None, Format::fp32())?);
        let swaps = n.min(m - n) as f64 / m as f64 * x.len() as f64;
        let bound = (apart + step / 2.0 * swaps) * (1.0 + 1e-6);
        prop_assert!(both <= bound, "{pattern}: {both:e}, bound {bound:e}");
    }
    Ok(())
}
