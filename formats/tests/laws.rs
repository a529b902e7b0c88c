//! Laws over all formats with random matrices; the smallest counterexample is printed where one fails. A law that a
//! record claims is tested here, one that it does not claim has a kept counterexample in `counterexamples`.

use crate::support::case;
use crate::{laws_bounds, laws_theorems};
use interplay_formats::{Block, Format};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// The outcome of one trial of a law.
pub type Outcome = Result<(), TestCaseError>;
/// A law, and below it the formats for which it is claimed.
type Law = fn(&'static Format, &[f32], usize) -> Outcome;
type Claim = fn(&Format) -> bool;

pub fn trials() -> Vec<Trial> {
    let laws: [(&str, Claim, Law); 9] = [
        ("idempotent", |f| f.laws.idempotent, idempotent),
        ("scale_invariant", |f| f.laws.scale_invariant, scale_invariant),
        ("permutation_invariant", |f| f.laws.permutation_invariant, permutation_invariant),
        ("theorem_3_5", |f| f.laws.theorem_3_5, laws_theorems::sparsify_then_quantise),
        ("theorem_3_5_stochastic", |f| f.laws.theorem_3_5, laws_theorems::with_a_shared_stream),
        ("theorem_3_7", |f| f.scaling.is_some(), laws_theorems::quantise_then_sparsify),
        ("odd", |f| f.element.is_signed(), odd),
        ("monotone", |_| true, laws_bounds::monotone),
        ("half_a_step", |_| true, laws_bounds::half_a_step),
    ];
    let each = laws.into_iter().flat_map(|(name, holds, law)| {
        let formats = Format::all().iter().filter(move |f| holds(f));
        formats.map(move |f| case(&format!("law::{name}::{}", f.name), move || hold(f, law)))
    });
    each.chain([case("law::int_scale_is_stable", int_scale_is_stable)]).collect()
}

/// Why INT is idempotent although its scale is rounded: the scale of fl32(max * scale) is that scale again, for every
/// fraction of one binade and so, away from FP32's ends, for all; at the ends the product is exact or held.
fn int_scale_is_stable() {
    for max in (2..=16).map(|bits| ((1 << (bits - 1)) - 1) as f32) {
        let unstable = (0x3F80_0000u32..0x4000_0000).find(|&bits| {
            let scale = f32::from_bits(bits) / max;
            (scale * max) / max != scale
        });
        assert_eq!(unstable, None, "amax over {max}");
    }
}

/// A matrix that has several blocks of the format where that is possible: rows and their length.
fn shape(format: &Format) -> (usize, usize) {
    match format.scaling.map(|s| s.block) {
        Some(Block::Run(n)) => (2, 2 * n.min(64)),
        Some(Block::Column) => (8, 8),
        Some(Block::Tile { rows, k }) => (rows, 2 * k),
        _ => (2, 32),
    }
}

/// Runs a law on random matrices with a fixed seed.
fn hold(format: &'static Format, law: Law) {
    let (rows, k) = shape(format);
    let config = Config { cases: 150, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&numbers(rows * k), |x| law(format, &x, k)).unwrap_or_else(|e| panic!("{}: {e}", format.name));
}

/// Numbers inside FP16's range, with exponents that vary, zeros and powers of two.
fn numbers(count: usize) -> impl Strategy<Value = Vec<f32>> {
    let number =
        (any::<bool>(), -12i32..14, 0u32..1 << 23, 0u32..8).prop_map(|(negative, exponent, fraction, kind)| {
            let fraction = if kind == 0 { 0 } else { fraction };
            let magnitude = f32::from_bits(((exponent + 127) as u32) << 23 | fraction);
            let magnitude = if kind == 1 { 0.0 } else { magnitude };
            if negative { -magnitude } else { magnitude }
        });
    prop::collection::vec(number, count)
}

/// Flat indices of the elements of each block, row-major; all of a scalar format are one.
pub fn blocks(format: &Format, rows: usize, k: usize) -> Vec<Vec<usize>> {
    let (block_rows, block_k) = format.scaling.map_or((rows, k), |s| s.block.extent(rows, k));
    let tile = |row: usize, column: usize| {
        let (rows, columns) = (row..(row + block_rows).min(rows), column..(column + block_k).min(k));
        rows.flat_map(|r| columns.clone().map(move |c| r * k + c)).collect()
    };
    let corners = (0..rows).step_by(block_rows).flat_map(|r| (0..k).step_by(block_k).map(move |c| (r, c)));
    corners.map(|(row, column)| tile(row, column)).collect()
}

pub fn fake(format: &'static Format, x: &[f32], k: usize) -> Result<Vec<f32>, TestCaseError> {
    let mut values = x.to_vec();
    format.fake_quantize(&mut values, k).map_err(|e| TestCaseError::fail(e.to_string()))?;
    Ok(values)
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

/// fake(fake(x)) = fake(x), bit for bit.
pub fn idempotent(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    let once = fake(format, x, k)?;
    prop_assert_eq!(bits(&fake(format, &once, k)?), bits(&once));
    Ok(())
}

/// fake(-x) = -fake(x); integers have one zero, so by value.
fn odd(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    let negated: Vec<f32> = x.iter().map(|v| -v).collect();
    let want: Vec<f32> = fake(format, x, k)?.iter().map(|v| -v).collect();
    prop_assert_eq!(fake(format, &negated, k)?, want);
    Ok(())
}

/// fake(2^j x) = 2^j fake(x).
pub fn scale_invariant(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    let values = fake(format, x, k)?;
    for factor in [0.25f32, 2.0, 1024.0] {
        let scaled: Vec<f32> = x.iter().map(|v| v * factor).collect();
        let want: Vec<f32> = values.iter().map(|v| v * factor).collect();
        prop_assert_eq!(bits(&fake(format, &scaled, k)?), bits(&want));
    }
    Ok(())
}

/// The order of elements inside a block does not show: reversed, and each moved by one.
pub fn permutation_invariant(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    let values = fake(format, x, k)?;
    let blocks = blocks(format, x.len() / k, k);
    let turn = |values: &[f32], place: fn(usize, usize) -> usize| {
        let mut turned = values.to_vec();
        for block in &blocks {
            for (i, &at) in block.iter().enumerate() {
                turned[block[place(i, block.len())]] = values[at];
            }
        }
        turned
    };
    let places: [fn(usize, usize) -> usize; 2] = [|i, n| n - 1 - i, |i, n| (i + 1) % n];
    for place in places {
        prop_assert_eq!(bits(&fake(format, &turn(x, place), k)?), bits(&turn(&values, place)));
    }
    Ok(())
}
