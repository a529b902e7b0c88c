//! The theorems on whole layers: the identity behind theorem 3.9, and rankings.

use crate::support::{Random, case};
use interplay_compress::formats::{Format, Order, Pattern};
use interplay_compress::theory::blocks::Family;
use interplay_compress::theory::dot::{Operands, Split};
use interplay_compress::theory::ranking::{Ranking, compare};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("theory::the_identity_is_exact", the_identity_is_exact),
        case("theory::statistics_are_those_of_every_product", statistics_are_those_of_every_product),
        case("theory::correction_of_s_then_q_is_the_pruned_rounding", correction_of_s_then_q_is_the_pruned_rounding),
        case("theory::what_is_exact_has_no_error", what_is_exact_has_no_error),
        case("theory::orders_are_asked_for", orders_are_asked_for),
        case("theory::coarser_formats_scramble_more", coarser_formats_scramble_more),
        case("theory::an_exact_format_scrambles_nothing", an_exact_format_scrambles_nothing),
        case("theory::larger_blocks_equalise_more", larger_blocks_equalise_more),
    ]
}

fn format(name: &str) -> &'static Format {
    Format::by_name(name).unwrap_or_else(|e| panic!("{e}"))
}

fn pattern(text: &str) -> Pattern {
    text.parse().unwrap_or_else(|e| panic!("{e}"))
}

fn operands<'a>(x: &'a [f32], w: &'a [f32], k: usize, name: &str, text: &str, order: Order) -> Operands<'a> {
    let (activations, weights) = (format(name).for_activations(), format(name));
    Operands::new((x, activations), (w, weights), k, pattern(text), order)
        .unwrap_or_else(|e| panic!("{name} {text}: {e}"))
}

/// 5 tokens and 40 outputs of 64 inputs.
fn layer(seed: u64) -> (Vec<f32>, Vec<f32>) {
    let mut random = Random(seed);
    (random.normals(5 * 64), random.normals(40 * 64).iter().map(|w| 0.02 * w).collect())
}

const NAMES: [&str; 8] = ["hbfp8", "hbfp4", "mxfp4", "interplay-mxfp8", "nvfp4", "int8", "int4-asym", "interplay-int8"];

fn the_identity_is_exact() {
    let (x, w) = layer(1);
    let mut wide = vec![0.0; 40 * 64];
    Family::Adversarial.fill(1, 64, 0, &mut wide);
    for name in NAMES {
        for text in ["2:4", "1:4", "50%"] {
            for order in [Order::Sq, Order::Qs] {
                for w in [&w, &wide] {
                    let operands = operands(&x, w, 64, name, text, order);
                    let all = (0..5).flat_map(|row| (0..40).map(move |output| (row, output)));
                    all.for_each(|(row, output)| assert!(operands.holds_exactly(row, output), "{name} {text} {order}"));
                }
            }
        }
    }
}

fn statistics_are_those_of_every_product() {
    let (x, w) = layer(2);
    for (name, order) in NAMES.into_iter().flat_map(|name| [(name, Order::Sq), (name, Order::Qs)]) {
        let operands = operands(&x, &w, 64, name, "2:4", order);
        let split = operands.split();
        assert_eq!(split.products, 200);
        let (mut error, mut reference, mut means, mut cross) = (0.0, 0.0, [0.0f64; 4], 0.0);
        for (x, qx) in x.chunks(64).zip(operands.quantized_x.chunks(64)) {
            for j in 0..40 {
                let dot =
                    |a: &dyn Fn(usize) -> f64, b: &dyn Fn(usize) -> f64| (0..64).map(|i| a(i) * b(i)).sum::<f64>();
                let weights = |values: &'_ [f32], i: usize| f64::from(values[64 * j + i]);
                let (x, qx) = (|i: usize| f64::from(x[i]), |i: usize| f64::from(qx[i]));
                let (w, q) = (|i: usize| weights(&w, i), |i: usize| weights(&operands.quantized, i));
                let (s, c) = (|i: usize| weights(&operands.sparse, i), |i: usize| weights(&operands.both, i));
                let terms = [
                    dot(&x, &w) - dot(&qx, &q),
                    dot(&x, &w) - dot(&x, &s),
                    dot(&qx, &|i| (w(i) - c(i)) - (w(i) - q(i)) - (w(i) - s(i))),
                    -dot(&|i| x(i) - qx(i), &|i| w(i) - s(i)),
                ];
                error += (dot(&x, &w) - dot(&qx, &c)).powi(2) / 200.0;
                reference += dot(&x, &w).powi(2) / 200.0;
                means.iter_mut().zip(terms).for_each(|(mean, term)| *mean += term.abs() / 200.0);
                cross += terms[0] * terms[2] / 200.0;
            }
        }
        let near = |a: f64, b: f64| assert!((a - b).abs() <= 1e-10 * reference, "{name} {order}: {a} {b}");
        near(split.error, error);
        near(split.reference, reference);
        near(split.gram[0][2], cross);
        split.magnitudes.iter().zip(means).for_each(|(a, b)| assert!((a - b).abs() < 1e-10, "{name} {order}"));
        // The mean square of a sum is the sum of the matrix of its terms.
        near(split.gram.as_flattened().iter().sum(), error);
        assert!(split.residual < 1e-13 && split.magnitude <= split.magnitudes.iter().sum::<f64>());
        assert!((0..4).map(|i| split.share(i)).sum::<f64>() > 1.0 - 1e-12 && split.tightness() <= 1.0);
        assert!(
            (split.cosine(1, 1).unwrap_or(0.0) - 1.0).abs() < 1e-12
                && split.cosine(0, 1).is_some_and(|c| c.abs() < 1.0)
        );
    }
}

/// S→Q: the correction is 0 where a weight is kept, and what quantisation did to it, taken back, where it is pruned. Q→S: larger, since
/// the masks differ.
fn correction_of_s_then_q_is_the_pruned_rounding() {
    let (x, w) = layer(3);
    let sq = operands(&x, &w, 64, "hbfp4", "2:4", Order::Sq);
    for (i, w) in w.iter().enumerate() {
        let correction = (w - sq.both[i]) - (w - sq.quantized[i]) - (w - sq.sparse[i]);
        let wanted = if sq.sparse[i] == 0.0 { -(w - sq.quantized[i]) } else { 0.0 };
        assert!((correction - wanted).abs() < 1e-7, "{correction} {wanted}");
    }
    let qs = operands(&x, &w, 64, "hbfp4", "2:4", Order::Qs);
    let (sq, qs) = (sq.split(), qs.split());
    assert!(qs.gram[2][2] > sq.gram[2][2], "{} {}", qs.gram[2][2], sq.gram[2][2]);
    // What does not depend on the order is the same.
    let apart = |s: &Split| (s.reference, s.gram[0][0], s.gram[1][1], s.gram[3][3], s.gram[0][1]);
    assert_eq!(apart(&sq), apart(&qs));
}

fn what_is_exact_has_no_error() {
    let (x, w) = layer(4);
    let split = operands(&x, &w, 64, "fp32", "dense", Order::Sq).split();
    assert_eq!((split.error, split.magnitude, split.residual, split.gram), (0.0, 0.0, 0.0, [[0.0; 4]; 4]));
    assert_eq!((split.share(0), split.cosine(0, 1), split.tightness()), (0.0, None, 0.0));
    assert!(split.reference > 0.0);
    assert_eq!(operands(&[], &[], 64, "hbfp8", "2:4", Order::Sq).split(), Split::default());
}

fn orders_are_asked_for() {
    let (x, w) = layer(5);
    let none = Operands::new((&x, format("int8")), (&w, format("int8")), 64, pattern("2:4"), Order::None);
    assert!(none.err().is_some_and(|e| e.to_string().contains("give sq or qs")));
}

fn ranked(name: &str, text: &str, k: usize) -> Ranking {
    let mut w = vec![0.0; 64 * 6000];
    Family::Gaussian.fill(7, 64, 0, &mut w);
    compare(&w, k, format(name), pattern(text)).unwrap_or_else(|e| panic!("{e}"))
}

/// The percentages of positions whose state differs under 2:4, on rows of 64 Gaussian weights: those that notes on the paper derive
/// from 1,500 rows (0.6, 0.8, 1.6, 3.1, 3.1, 7.2, 9.3), but for MXFP6 and HBFP4 (2.1, 10.9), where a script of a few lines agrees with
/// this crate.
fn coarser_formats_scramble_more() {
    let table = [
        ("interplay-int8", 0.6),
        ("hbfp8", 0.8),
        ("mxfp8", 1.6),
        ("mxfp6", 1.9),
        ("hbfp6", 3.1),
        ("mxfp6-e3m2", 3.1),
        ("mxfp4", 7.2),
        ("gptq-int4", 9.3),
        ("hbfp4", 11.3),
    ];
    for (name, percent) in table {
        let ranking = ranked(name, "2:4", 64);
        let got = 100.0 * ranking.disagreement();
        assert!((got - percent).abs() < 0.06 + 0.01 * percent, "{name}: {got}");
        // Half of the positions of a group are kept: few pairs need to be equal for many positions to differ.
        let pairs = ranking.groups;
        assert!(
            pairs.tau < 1.0 - 0.8 * ranking.disagreement() && pairs.tau > 1.0 - 2.0 * ranking.disagreement(),
            "{name}"
        );
        assert_eq!((ranking.positions, pairs.lists, pairs.pairs), (384_000, 96_000, 96_000 * 6), "{name}");
        assert_eq!((ranking.rows.lists, ranking.rows.pairs), (6000, 6000 * 2016), "{name}");
        // Under one scale a row keeps its order.
        assert!(pairs.equalised > 0 && (ranking.rows.discordant == 0 || name.starts_with("mx")), "{name}");
    }
}

fn an_exact_format_scrambles_nothing() {
    let ranking = ranked("fp32", "50%-row", 128);
    assert_eq!(
        (ranking.disagreeing, ranking.groups.lists, ranking.rows.equalised, ranking.rows.discordant),
        (0, 0, 0, 0)
    );
    assert_eq!(ranking.rows.tau, 1.0);
}

fn larger_blocks_equalise_more() {
    let shares = [16, 32, 64, 128].map(|block| ranked(&format!("hbfp6-b{block}"), "2:4", 128).rows.equalised_share());
    assert!(shares.is_sorted() && shares[3] > 1.1 * shares[0], "{shares:?}");
}
