//! Low-rank approximations: matrices whose singular vectors are known, factors, and what is refused.

use crate::support::case;
use interplay_compress::lowrank::{LowRank, approximate};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("lowrank::known_vectors_are_found", known),
        case("lowrank::signs_and_shares_are_fixed", fixed),
        case("lowrank::stored_in_bf16", stored),
        case("lowrank::refusals", refusals),
    ]
}

const SINGULAR: [f64; 4] = [8.0, 4.0, 2.0, 0.5];

/// Entry `(i, j)` of the Hadamard matrix of any power of two: 1 or -1.
fn hadamard(i: usize, j: usize) -> f64 {
    if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }
}

/// The first `rank` terms of a matrix `[8, 4]` with [`SINGULAR`] values over Hadamard's vectors.
fn terms(rank: usize) -> Vec<f64> {
    let entry = |i: usize, j: usize| (0..rank).map(|r| SINGULAR[r] * hadamard(i, r) * hadamard(r, j)).sum::<f64>();
    // Columns of lengths sqrt(8) and sqrt(4).
    (0..32).map(|at| entry(at / 4, at % 4) / 32f64.sqrt()).collect()
}

fn product(factors: &LowRank, rows: usize, cols: usize) -> Vec<f64> {
    let rank = factors.left.len() / rows;
    let entry = |i: usize, j: usize| {
        (0..rank).map(|r| f64::from(factors.left[i * rank + r]) * f64::from(factors.right[r * cols + j])).sum()
    };
    (0..rows * cols).map(|at| entry(at / cols, at % cols)).collect()
}

/// Inputs, factors and the root of a singular value are of FP32 where they are not of FP64: a few units in the last place of the largest.
const CLOSE: f64 = 8.0 * 1e-6;

fn known() {
    let matrix: Vec<f32> = terms(4).into_iter().map(|x| x as f32).collect();
    let transposed: Vec<f32> = (0..32).map(|at| matrix[at % 8 * 4 + at / 8]).collect();
    for rank in 0..=6 {
        let best = terms(rank.min(4));
        let found = product(&approximate(&matrix, 8, 4, rank).expect("finite"), 8, 4);
        assert!(found.iter().zip(&best).all(|(a, b)| (a - b).abs() < CLOSE), "rank {rank}: {found:?}");
        let wide = product(&approximate(&transposed, 4, 8, rank).expect("finite"), 4, 8);
        assert!((0..32).all(|at| (wide[at] - best[at % 8 * 4 + at / 8]).abs() < CLOSE), "rank {rank}: {wide:?}");
        // What is left is the tail of the singular values.
        let left: f64 = found.iter().zip(&matrix).map(|(a, b)| (a - f64::from(*b)).powi(2)).sum();
        let tail: f64 = SINGULAR.iter().skip(rank).map(|s| s * s).sum();
        assert!((left - tail).abs() < 1e-4, "rank {rank}: {left} is not {tail}");
    }
}

fn fixed() {
    let matrix: Vec<f32> = terms(4).into_iter().map(|x| x as f32).collect();
    let negative: Vec<f32> = matrix.iter().map(|x| -x).collect();
    let [plus, minus] = [&matrix, &negative].map(|matrix| approximate(matrix, 8, 4, 4).expect("finite"));
    for (r, singular) in SINGULAR.into_iter().enumerate() {
        let column = |factors: &LowRank| (0..8).map(|i| factors.left[i * 4 + r]).collect::<Vec<_>>();
        let squares = |values: &[f32]| values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        for (factors, sign) in [(&plus, 1.0), (&minus, -1.0)] {
            let (left, right) = (column(factors), &factors.right[r * 4..][..4]);
            // All entries of these vectors are as large as each other; in FP64 one of them is the largest, and that is positive.
            assert!(left.iter().any(|x| *x > 0.0), "{left:?}");
            assert!((squares(&left) - singular).abs() < CLOSE && (squares(right) - singular).abs() < CLOSE);
            let first = f64::from(left[0] * right[0]) * sign;
            assert!((first - singular / 32f64.sqrt()).abs() < CLOSE, "{first}");
        }
    }
    let skewed: Vec<f32> = (0..12).map(|at| ((at * 7 + 3) % 11) as f32 - 4.0).collect();
    let factors = approximate(&skewed, 4, 3, 3).expect("finite");
    for r in 0..3 {
        let left = (0..4).map(|i| factors.left[i * 3 + r]);
        let largest = left.fold(0f32, |most, x| if x.abs() > most.abs() { x } else { most });
        assert!(largest > 0.0, "{factors:?}");
    }
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    assert_eq!(single.install(|| approximate(&matrix, 8, 4, 4)), Ok(plus));
}

fn stored() {
    // 3 e1 e2' - 12 e2 e1': the larger one first, its left vector positive.
    let one = approximate(&[0.0, 3.0, -12.0, 0.0], 2, 2, 1).expect("finite");
    assert!((one.left[1] - 12f32.sqrt()).abs() < 1e-6 && one.left[0] == 0.0, "{one:?}");
    let stored = one.into_bf16().expect("finite");
    // The root of 12 is 3.4641, between the bfloat16 numbers 3.453125 and 3.46875.
    assert_eq!((stored.left[1], stored.right[0]), (3.46875, -3.46875));
}

fn refusals() {
    let error = |residual: &[f32], rows| approximate(residual, rows, 3, 1).expect_err("it was taken").to_string();
    assert!(error(&[0.0; 4], 2).contains("4 values"), "{}", error(&[0.0; 4], 2));
    assert!(error(&[1.0, 2.0, 3.0, 4.0, f32::NAN, 6.0], 2).contains("row 1, column 1"));
    assert!(error(&[f32::INFINITY, 2.0, 3.0], 1).contains("row 0, column 0"));
    assert_eq!(approximate(&[], 0, 3, 1), Ok(LowRank { left: Vec::new(), right: Vec::new() }));
    let none = approximate(&[0.0; 6], 2, 3, 2).expect("finite");
    assert!(none.left.iter().chain(&none.right).all(|x| *x == 0.0), "{none:?}");
}
