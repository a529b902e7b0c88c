//! Laws of every criterion with every pattern.

use crate::support::{case, runner};
use interplay_compress::formats::{Pattern, Scope, Selection};
use interplay_compress::{CRITERIA, Collector, Criterion, Layer, Needs, Statistics};
use libtest_mimic::Trial;
use proptest::prelude::*;

pub fn trials() -> Vec<Trial> {
    vec![
        case("laws::sparsity_is_exact", sparsity_is_exact),
        case("laws::relative_importance_follows_permutations", relative_importance_follows_permutations),
        case("laws::sensitivity_is_the_range_without_the_weight", sensitivity_is_the_range_without_the_weight),
    ]
}

/// Small whole numbers, many of them zero or alike: ties, dead columns and rows.
fn numbers(count: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec((-3i8..4).prop_map(f32::from), count)
}

/// Weights [rows, k], and inputs [tokens, k].
type Matrices = (Vec<f32>, Vec<f32>);

/// Of rows and of columns.
type Orders = (Vec<usize>, Vec<usize>);

fn layers(rows: usize, k: usize) -> impl Strategy<Value = Matrices> {
    (numbers(rows * k), numbers(6 * k))
}

fn seen(k: usize, x: &[f32]) -> Statistics {
    let mut collector = Collector::new(k, 6, Needs { hessian: true, positions: true, ..Needs::default() });
    x.chunks(3 * k).for_each(|sequence| collector.add(sequence).expect("whole rows"));
    collector.finish()
}

/// What a pattern keeps, counted in each of its units.
fn check(pattern: Pattern, kept: &[bool], k: usize) -> Result<(), TestCaseError> {
    let count =
        |unit: &mut dyn Iterator<Item = bool>| unit.fold((0, 0), |(all, on), kept| (all + 1, on + usize::from(kept)));
    let pruned = |(all, on): (usize, usize), points: u32| prop_eq(all - on, all * points as usize / 10_000);
    match pattern {
        Pattern::Unstructured { basis_points, scope: Scope::Matrix } => {
            pruned(count(&mut kept.iter().copied()), basis_points)?;
        }
        Pattern::Unstructured { basis_points, scope: Scope::Row } => {
            for row in kept.chunks(k) {
                pruned(count(&mut row.iter().copied()), basis_points)?;
            }
        }
        Pattern::Unstructured { basis_points, scope: Scope::Columns(width) } => {
            for block in 0..k.div_ceil(width) {
                let mut inside = (0..kept.len()).filter(|i| i % k / width == block).map(|i| kept[i]);
                pruned(count(&mut inside), basis_points)?;
            }
        }
        Pattern::NofM { n, m } => {
            for group in kept.chunks(k).flat_map(|row| row.chunks(m)) {
                prop_eq(count(&mut group.iter().copied()).1, n.min(group.len()))?;
            }
        }
        Pattern::Tiled { v, n, m } => {
            for band in kept.chunks(v * k) {
                for start in (0..k).step_by(m) {
                    let used = (start..start + m).filter(|j| band.chunks(k).any(|row| row[*j])).count();
                    prop_assert!(used <= Pattern::TILE_COLUMNS, "{used} columns of a tile");
                    for row in band.chunks(k) {
                        prop_eq(count(&mut row[start..start + m].iter().copied()).1, n)?;
                    }
                }
            }
        }
        other => panic!("{other} is not tested here"),
    }
    Ok(())
}

fn prop_eq(got: usize, want: usize) -> Result<(), TestCaseError> {
    prop_assert_eq!(got, want);
    Ok(())
}

fn sparsity_is_exact() {
    let (rows, k) = (8, 16);
    let patterns =
        ["50%", "33.33%", "50%-row", "37%-row", "50%-cols8", "29%-cols6", "2:4", "1:4", "3:5", "4:2:8", "8:1:16"];
    let law = |(w, x): Matrices| {
        let (layer, seen) = (Layer::new(k, w), seen(k, &x));
        for named in CRITERIA {
            let scores = named.criterion.scores(&layer, &seen).expect("all was gathered");
            for pattern in patterns.map(|text| text.parse::<Pattern>().expect("a pattern")) {
                let mask = pattern.mask_by_scores(&scores, k, Selection::Count).expect("whole tiles");
                check(pattern, mask.kept(), k)?;
            }
        }
        Ok(())
    };
    runner(60).run(&layers(rows, k), law).unwrap_or_else(|e| panic!("{e}"));
}

/// Rows and columns in another order have the same scores in that order. Sums run in another order, so that FP64 may round
/// differently and FP32 by a unit.
fn relative_importance_follows_permutations() {
    let (rows, k) = (5, 7);
    let orders = (Just((0..rows).collect::<Vec<_>>()).prop_shuffle(), Just((0..k).collect::<Vec<_>>()).prop_shuffle());
    let law = |((w, x), (down, across)): (Matrices, Orders)| {
        let turned = |values: &[f32], down: &[usize]| -> Vec<f32> {
            down.iter().flat_map(|i| across.iter().map(move |j| values[i * k + j])).collect()
        };
        let tokens: Vec<usize> = (0..6).collect();
        let (straight, other) = (seen(k, &x), seen(k, &turned(&x, &tokens)));
        for criterion in
            [Criterion::Ria { power: 0.5, activations: true }, Criterion::Ria { power: 1.0, activations: false }]
        {
            let scores = criterion.scores(&Layer::new(k, w.clone()), &straight).expect("all was gathered");
            let got = criterion.scores(&Layer::new(k, turned(&w, &down)), &other).expect("all was gathered");
            for (got, want) in got.iter().zip(turned(&scores, &down)) {
                let same = got.is_nan() && want.is_nan() || (got - want).abs() <= f32::EPSILON * want;
                prop_assert!(same, "{got} and not {want}");
            }
        }
        Ok(())
    };
    runner(200).run(&(layers(rows, k), orders), law).unwrap_or_else(|e| panic!("{e}"));
}

/// The published loop: for each weight the product without it. Whole numbers, so that both are exact but for the mean.
fn sensitivity_is_the_range_without_the_weight() {
    let (rows, k) = (3, 5);
    let law = |(w, x): Matrices| {
        let statistics = seen(k, &x);
        let mean = statistics.positions.clone().expect("it was asked for");
        let norms = statistics.norms();
        let scores =
            Criterion::Jsq { rho: 2.0 }.scores(&Layer::new(k, w.clone()), &statistics).expect("all was gathered");
        for (at, score) in scores.iter().enumerate() {
            let mut without = w[at / k * k..][..k].to_vec();
            without[at % k] = 0.0;
            let y: Vec<f32> = mean.chunks(k).map(|x| x.iter().zip(&without).map(|(x, w)| x * w).sum()).collect();
            let range = y.iter().fold(f32::MIN, |a, b| a.max(*b)) - y.iter().fold(f32::MAX, |a, b| a.min(*b));
            let want = f64::from(w[at].abs()) * norms[at % k] + 2.0 * f64::from(range);
            prop_assert_eq!(*score, want as f32);
        }
        Ok(())
    };
    runner(100).run(&layers(rows, k), law).unwrap_or_else(|e| panic!("{e}"));
}
