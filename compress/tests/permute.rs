//! Channel permutations against the recorded runs of RIA's code, and their laws.

use crate::criteria::{layer, named, seen};
use crate::support::{Pack, case, close, oracle, runner};
use interplay_compress::{Error, Importance, Permutation, permute};
use libtest_mimic::Trial;
use proptest::prelude::*;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        case("permute::laws", laws),
        case("permute::lanes_are_assigned_best", lanes_are_assigned_best),
        case("permute::unpermuted_products_are_the_same", unpermuted_products_are_the_same),
        case("permute::refusals", refusals),
    ];
    for file in ["layer_a", "layer_b", "layer_c"] {
        trials.push(oracle("permute::recorded", file, recorded));
    }
    trials
}

const COLUMN_SUM: Permutation = Permutation::Serpentine { importance: Importance::ColumnSum };
const RETAINED: Permutation = Permutation::Serpentine { importance: Importance::Retained };

/// RIA's scores as ours; their own differ by FP32 sums.
fn scores(pack: &Pack) -> (Vec<f32>, usize) {
    let (layer, ria) = (layer(pack, "W"), named("ria"));
    (ria.scores(&layer, &seen(pack, ria.needs())).expect("all was gathered"), layer.k)
}

fn retained_of(pack: &Pack, name: &str) -> Vec<f32> {
    let list = &pack.meta()["variants"][name]["scalars"]["retained_score"];
    list.as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number") as f32).collect()
}

fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|v| *v as f32).collect()
}

fn recorded(pack: Pack) {
    let (scores, k) = scores(&pack);
    let cases = [
        ("ria.perm_2of4", 2, 4, COLUMN_SUM),
        // The vectors' README excepts the choice of these columns. Sorted by the sums of retained scores they are equal; by counts not.
        ("ria.perm_retained_2of4", 2, 4, RETAINED),
        ("ria.perm_lsa_2of4", 2, 4, Permutation::Assignment { parts: 1 }),
        ("ria.perm_lsa_4of8", 4, 8, Permutation::Assignment { parts: 1 }),
        ("ria.perm_lsa_fast_2of4", 2, 4, Permutation::Assignment { parts: 4 }),
    ];
    for (name, n, m, kind) in cases {
        let got = permute(&scores, k, (n, m), kind).expect("whole groups");
        assert_eq!(got.permutation, pack.indices(&format!("{name}.perm")), "{name}");
        let removed: Vec<bool> = got.mask.kept().iter().map(|kept| !kept).collect();
        assert!(removed == pack.flags(&format!("{name}.pruned")), "{name}");
        close(&narrow(&got.retained), &retained_of(&pack, name), 1e-6, name);
    }
}

/// Scores of 0..7 (0 often), rows, groups, N and M.
fn matrices() -> impl Strategy<Value = (Vec<f32>, usize, (usize, usize))> {
    let shape = (0usize..5, 1usize..5, 2usize..6).prop_flat_map(|(rows, groups, m)| (Just((rows, groups, m)), 1..m));
    shape.prop_flat_map(|((rows, groups, m), n)| {
        let scores = prop::collection::vec((0u8..10).prop_map(|s| f32::from(s.saturating_sub(2))), rows * groups * m);
        (scores, Just(groups * m), Just((n, m)))
    })
}

fn laws() {
    let law = |(scores, k, (n, m)): (Vec<f32>, usize, (usize, usize))| {
        let kinds = (1..=k / m).map(|parts| Permutation::Assignment { parts });
        for kind in [Permutation::None, COLUMN_SUM, RETAINED].into_iter().chain(kinds) {
            let got = permute(&scores, k, (n, m), kind).expect("whole groups");
            let mut sorted = got.permutation.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, (0..k).collect::<Vec<_>>());
            for row in got.mask.kept().chunks(k) {
                for group in got.permutation.chunks(m) {
                    prop_assert_eq!(group.iter().filter(|&&j| row[j]).count(), n);
                }
            }
            // Small integers: every sum is exact.
            let kept: f64 = scores.iter().zip(got.mask.kept()).filter(|(_, k)| **k).map(|(s, _)| f64::from(*s)).sum();
            prop_assert_eq!(got.retained.last(), Some(&kept));
            prop_assert_eq!(
                got.retained[0],
                permute(&scores, k, (n, m), Permutation::None).expect("whole").retained[0]
            );
            // After the sort no lane makes it worse.
            prop_assert!(got.retained[1..].windows(2).all(|pair| pair[0] <= pair[1]), "{:?}", got.retained);
        }
        Ok(())
    };
    runner(300).run(&matrices(), law).unwrap_or_else(|e| panic!("{e}"));
}

/// All orders of 0..n.
fn orders(n: usize) -> Vec<Vec<usize>> {
    let Some(less) = n.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |order: &Vec<usize>, at: usize| [&order[..at], &[less], &order[at..]].concat();
    orders(less).iter().flat_map(|order| (0..n).map(|at| insert(order, at)).collect::<Vec<_>>()).collect()
}

/// The first lane by brute force: every way to deal its columns to the groups.
fn lanes_are_assigned_best() {
    let law = |(scores, k, (n, m)): (Vec<f32>, usize, (usize, usize))| {
        let sorted = permute(&scores, k, (n, m), COLUMN_SUM).expect("whole groups").permutation;
        let retained = |order: Vec<usize>| {
            let mut columns = sorted.clone();
            order.iter().enumerate().for_each(|(group, from)| columns[group * m] = sorted[from * m]);
            let permuted: Vec<f32> = scores.chunks(k).flat_map(|row| columns.iter().map(|j| row[*j])).collect();
            permute(&permuted, k, (n, m), Permutation::None).expect("whole groups").retained[0]
        };
        let best = orders(k / m).into_iter().map(retained).fold(0.0, f64::max);
        let got = permute(&scores, k, (n, m), Permutation::Assignment { parts: 1 }).expect("whole groups");
        prop_assert_eq!(got.retained[2], best);
        Ok(())
    };
    runner(200).run(&matrices(), law).unwrap_or_else(|e| panic!("{e}"));
}

/// Inputs gathered in the order of the permutation meet the columns they met before. Integers: sums do not depend on order.
fn unpermuted_products_are_the_same() {
    let law = |(w, k, (n, m)): (Vec<f32>, usize, (usize, usize))| {
        let order = permute(&w, k, (n, m), Permutation::Assignment { parts: 1 }).expect("whole groups").permutation;
        let x: Vec<f32> = (0..k).map(|j| (j * 7 % 11) as f32 - 5.0).collect();
        for row in w.chunks(k) {
            let straight: f32 = row.iter().zip(&x).map(|(w, x)| w * x).sum();
            let gathered: f32 = order.iter().map(|&j| row[j] * x[j]).sum();
            prop_assert_eq!(straight, gathered);
        }
        Ok(())
    };
    runner(100).run(&matrices(), law).unwrap_or_else(|e| panic!("{e}"));
}

fn refusals() {
    let scores = [1.0; 8];
    let refused = |scores: &[f32], k, n, m, kind| permute(scores, k, (n, m), kind).expect_err("refused");
    assert!(matches!(refused(&scores, 8, 2, 0, COLUMN_SUM), Error::Format(_)));
    assert!(matches!(refused(&scores, 8, 4, 4, COLUMN_SUM), Error::Format(_)));
    assert!(matches!(refused(&scores, 3, 1, 2, COLUMN_SUM), Error::Format(_)));
    assert!(matches!(refused(&scores, 0, 1, 2, COLUMN_SUM), Error::Format(_)));
    assert!(matches!(refused(&scores, 8, 1, 3, COLUMN_SUM), Error::Invalid(_)));
    assert!(matches!(refused(&scores, 8, 2, 4, Permutation::Assignment { parts: 0 }), Error::Invalid(_)));
    assert!(matches!(refused(&scores, 8, 2, 4, Permutation::Assignment { parts: 3 }), Error::Invalid(_)));
    assert!(matches!(refused(&[1.0, f32::INFINITY], 2, 1, 2, COLUMN_SUM), Error::Format(_)));
    assert!(matches!(refused(&[1.0, -1.0], 2, 1, 2, COLUMN_SUM), Error::Format(_)));
    // A NaN is worth nothing.
    let got = permute(&[f32::NAN, 1.0, 2.0, 3.0], 4, (1, 2), COLUMN_SUM).expect("NaN is taken");
    assert_eq!((got.permutation, got.retained), (vec![0, 3, 1, 2], vec![4.0, 5.0]));
    assert_eq!(got.mask.kept(), [false, false, true, true]);
}
