//! Masks by scores: every pattern against a version that sorts.

use crate::patterns::pattern;
use crate::support::case;
use interplay_formats::{Error, Pattern, Scope, Selection};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::cmp::Ordering;

pub fn trials() -> Vec<Trial> {
    vec![
        case("scores::by_hand", by_hand),
        case("scores::column_blocks_have_names", column_blocks_have_names),
        case("scores::every_pattern_against_sorting", every_pattern_against_sorting),
        case("scores::magnitudes_are_scores", magnitudes_are_scores),
    ]
}

const PATTERNS: [&str; 20] = [
    "dense",
    "0%",
    "50%",
    "100%",
    "12.5%",
    "50%-row",
    "37%-row",
    "100%-row",
    "50%-cols1",
    "50%-cols4",
    "30%-cols5",
    "50%-cols99",
    "1:2",
    "2:4",
    "3:5",
    "2:4p",
    "4:6p",
    "2:2:6",
    "4:1:12",
    "1:3:6",
];

fn by_hand() {
    let kept = |text: &str, scores: &[f32], k, selection| {
        pattern(text)
            .mask_by_scores(scores, k, selection)
            .map(|mask| mask.kept().iter().map(|k| u8::from(*k)).collect())
    };
    let (count, threshold) = (Selection::Count, Selection::Threshold);
    // Three of six: 0, then the first two 1s; up to the next, which is a third 1, all 1s.
    let scores = [1.0, 2.0, 1.0, 0.0, 1.0, 3.0];
    assert_eq!(kept("50%", &scores, 6, count), Ok(vec![0, 1, 0, 0, 1, 1]));
    assert_eq!(kept("50%", &scores, 6, threshold), Ok(vec![0, 1, 0, 0, 0, 1]));
    // The first block of two columns is 1 2 0 1 and the last of one 1 3: row by row.
    assert_eq!(kept("50%-cols2", &scores, 3, count), Ok(vec![0, 1, 0, 0, 1, 1]));
    assert_eq!(kept("0%", &scores, 6, threshold), Ok(vec![1, 1, 1, 0, 1, 1]));
    assert_eq!(kept("100%", &scores, 6, threshold), Ok(vec![0; 6]));
    // NaN above infinity, by index among themselves; at or below no threshold; as a threshold, nothing goes.
    let scores = [f32::NAN, f32::INFINITY, -f32::NAN, 1.0];
    assert_eq!(kept("50%", &scores, 4, count), Ok(vec![1, 0, 1, 0]));
    assert_eq!(kept("75%", &scores, 4, count), Ok(vec![0, 0, 1, 0]));
    assert_eq!(kept("25%", &scores, 4, threshold), Ok(vec![1, 0, 1, 0]));
    assert_eq!(kept("50%", &scores, 4, threshold), Ok(vec![1; 4]));
    assert_eq!(kept("1:4", &scores, 4, count), Ok(vec![0, 0, 1, 0]));
    // A pair with a NaN is above one with infinities.
    assert_eq!(kept("2:4p", &[f32::INFINITY, f32::INFINITY, 0.0, f32::NAN], 4, count), Ok(vec![0, 0, 1, 1]));
    assert_eq!(kept("2:4p", &[f32::INFINITY, 9.0, 0.0, f32::INFINITY], 4, count), Ok(vec![0, 0, 1, 1]));
    // Minus zero is zero.
    assert_eq!(kept("50%", &[0.0, -0.0], 2, count), Ok(vec![0, 1]));
    let refused = Err(Error::NegativeScore { row: 1, column: 0, value: -1.0 });
    assert_eq!(kept("2:4", &[0.0, 1.0, -1.0, 2.0], 2, count), refused);
    assert_eq!(kept("50%", &[1.0; 5], 2, count), Err(Error::Ragged { len: 5, k: 2 }));
    assert_eq!(kept("50%-cols4", &[], 0, threshold), Ok(vec![]));
}

fn column_blocks_have_names() {
    let half = |scope| Pattern::Unstructured { basis_points: 5000, scope };
    for (text, scope) in [("50%", Scope::Matrix), ("50%-row", Scope::Row), ("50%-cols128", Scope::Columns(128))] {
        assert_eq!(pattern(text), half(scope));
        assert_eq!(half(scope).to_string(), text);
    }
    for text in ["50%-cols", "50%-cols0", "50%-cols+1", "50%-col4", "50%-rows", "50%%", "50-cols4", "50%-cols4-row"] {
        assert_eq!(text.parse::<Pattern>(), Err(Error::UnknownPattern(text.to_owned())), "{text}");
    }
    assert_eq!(half(Scope::Columns(0)).magnitude_mask(&[1.0], 1), Err(Error::UnknownPattern("50%-cols0".to_owned())));
    // 3 rows of 10 columns in blocks of 4, 4 and 2: 12 - 6, 12 - 6 and 6 - 3 positions; a third of them: 12 - 3, 12 - 3, 6 - 1.
    let format = interplay_formats::Format::by_name("fp16").expect("known");
    for (text, stored) in [("50%-cols4", 15), ("33%-cols4", 23), ("33%-cols64", 21), ("33%-row", 21)] {
        let footprint = format.footprint_of(pattern(text), 3, 10);
        let mask = pattern(text).magnitude_mask(&[1.0; 30], 10).expect("finite");
        assert_eq!(
            (footprint.values, footprint.metadata, mask.pruned()),
            (16 * stored, 32, 30 - stored as usize),
            "{text}"
        );
        assert_eq!(footprint, format.footprint(3, 10, Some(&mask)), "{text}");
    }
}

/// NaN above all others.
fn by_score(a: f32, b: f32) -> Ordering {
    a.is_nan().cmp(&b.is_nan()).then(a.partial_cmp(&b).unwrap_or(Ordering::Equal))
}

/// The indices of a unit, the lowest score first, then the lowest index.
fn ascending(unit: &[usize], score: impl Fn(usize) -> f32) -> Vec<usize> {
    let mut order = unit.to_vec();
    order.sort_by(|&a, &b| by_score(score(a), score(b)).then(a.cmp(&b)));
    order
}

/// The slow twin: which positions go.
fn sorted_out(pattern: Pattern, scores: &[f32], k: usize, selection: Selection) -> Vec<usize> {
    let score = |i: usize| scores[i];
    let all: Vec<usize> = (0..scores.len()).collect();
    let lowest = |unit: &[usize], points: u32| -> Vec<usize> {
        let (order, count) = (ascending(unit, score), unit.len() * points as usize / 10_000);
        if selection == Selection::Count || count == order.len() {
            return order[..count].to_vec();
        }
        // As published: a comparison of floating point numbers.
        unit.iter().copied().filter(|&i| scores[i] <= scores[order[count]]).collect()
    };
    let fewest = |unit: &[usize], n: usize| ascending(unit, score)[..unit.len().saturating_sub(n)].to_vec();
    match pattern {
        Pattern::Dense => Vec::new(),
        Pattern::Unstructured { basis_points, scope: Scope::Matrix } => lowest(&all, basis_points),
        Pattern::Unstructured { basis_points, scope: Scope::Row } => {
            all.chunks(k).flat_map(|row| lowest(row, basis_points)).collect()
        }
        Pattern::Unstructured { basis_points, scope: Scope::Columns(width) } => {
            let block = |b: usize| all.iter().copied().filter(|i| i % k / width == b).collect::<Vec<_>>();
            (0..k.div_ceil(width)).flat_map(|b| lowest(&block(b), basis_points)).collect()
        }
        Pattern::NofM { n, m } => all.chunks(k).flat_map(|row| row.chunks(m)).flat_map(|g| fewest(g, n)).collect(),
        Pattern::PairsOfM { n, m } => {
            let group = |g: &[usize]| {
                let pairs: Vec<usize> = g.iter().copied().step_by(2).collect();
                let order = ascending(&pairs, |i| scores[i] + scores[i + 1]);
                order[..(m - n) / 2].iter().flat_map(|i| [*i, i + 1]).collect::<Vec<_>>()
            };
            all.chunks(m).flat_map(group).collect()
        }
        Pattern::Tiled { v, n, m } => {
            let tile = |band: &[usize], start: usize| {
                let sum = |j: usize| band.chunks(k).map(|row| scores[row[j]]).sum();
                let order = ascending(&(start..start + m).collect::<Vec<_>>(), sum);
                let (gone, stay) = order.split_at(m - Pattern::TILE_COLUMNS);
                let row = |row: &[usize]| {
                    let stay: Vec<usize> = stay.iter().map(|&j| row[j]).collect();
                    gone.iter().map(|&j| row[j]).chain(fewest(&stay, n)).collect::<Vec<_>>()
                };
                band.chunks(k).flat_map(row).collect::<Vec<_>>()
            };
            let bands = all.chunks(v * k);
            bands.flat_map(|band| (0..k).step_by(m).flat_map(move |start| tile(band, start))).collect()
        }
        other => panic!("{other} is not tested here"),
    }
}

fn runner(cases: u32) -> TestRunner {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Rows in fours, columns in twelves, so that all patterns fit but for 3:5 and blocks of 5, whose last unit is short. Scores are few
/// whole numbers, so that sums are exact.
fn scores(special: bool) -> impl Strategy<Value = (Vec<f32>, usize)> {
    let values =
        if special { vec![0.0, -0.0, 1.0, 2.0, 3.0, f32::INFINITY, f32::NAN] } else { vec![0.0, 1.0, 2.0, 7.0, 9.0] };
    let values = prop::sample::select(values);
    (0usize..3, 1usize..3).prop_flat_map(move |(rows, columns)| {
        (prop::collection::vec(values.clone(), rows * 4 * columns * 12), Just(columns * 12))
    })
}

fn every_pattern_against_sorting() {
    let law = |(scores, k): (Vec<f32>, usize)| {
        for pattern in PATTERNS.map(pattern) {
            for selection in [Selection::Count, Selection::Threshold] {
                let mask = pattern.mask_by_scores(&scores, k, selection).expect("all patterns fit");
                let mut kept = vec![true; scores.len()];
                sorted_out(pattern, &scores, k, selection).into_iter().for_each(|i| kept[i] = false);
                prop_assert_eq!(mask.kept(), kept, "{} {:?}", pattern, selection);
            }
        }
        Ok(())
    };
    for special in [false, true] {
        runner(200).run(&scores(special), law).unwrap_or_else(|e| panic!("{e}"));
    }
}

fn magnitudes_are_scores() {
    let law = |(scores, k): (Vec<f32>, usize)| {
        let w: Vec<f32> = scores.iter().enumerate().map(|(i, s)| if i % 3 == 0 { -s } else { *s }).collect();
        for pattern in PATTERNS.map(pattern) {
            let by_scores = pattern.mask_by_scores(&scores, k, Selection::Count);
            prop_assert_eq!(pattern.magnitude_mask(&w, k), by_scores, "{}", pattern);
        }
        Ok(())
    };
    runner(50).run(&scores(false), law).unwrap_or_else(|e| panic!("{e}"));
}
