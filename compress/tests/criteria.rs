//! Criteria against the recorded runs of the published code.

use crate::support::{Pack, case, close, oracle};
use interplay_compress::formats::{Pattern, Selection};
use interplay_compress::{
    CRITERIA, Collector, Criterion, EXPONENTS, Error, Layer, Needs, Statistics, cumulative_mask, search_exponents,
};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        case("criteria::names", names),
        case("criteria::declarations", declarations),
        case("criteria::refusals", refusals),
        case("criteria::ties_go_by_index", ties_go_by_index),
        case("criteria::zero_columns_are_kept", zero_columns_are_kept),
        case("criteria::exponents_are_searched", exponents_are_searched),
    ];
    for file in ["layer_a", "layer_b", "layer_c"] {
        trials.push(oracle("criteria::statistics", file, statistics));
        trials.push(oracle("criteria::scores", file, scores));
        trials.push(oracle("criteria::masks", file, masks));
        trials.push(oracle("criteria::masks_of_quantized", file, masks_of_quantized));
        trials.push(oracle("criteria::saliency_masks", file, saliency_masks));
        trials.push(oracle("criteria::cumulative", file, cumulative));
    }
    trials
}

/// Between FP32 sums of some hundred terms as published and our FP64: a few units in the last place of the largest.
const CLOSE: f64 = 1e-6;

const RIA: Criterion = Criterion::Ria { power: 0.5, activations: true };

pub fn named(name: &str) -> Criterion {
    Criterion::by_name(name).expect("a criterion")
}

fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern")
}

/// What calibration sees of the recorded inputs.
pub fn seen(pack: &Pack, needs: Needs) -> Statistics {
    let (x, shape) = (pack.floats("X"), pack.shape("X"));
    let mut collector = Collector::new(shape[2], shape[0] * shape[1], needs);
    x.chunks(shape[1] * shape[2]).for_each(|sequence| collector.add(sequence).expect("whole rows"));
    collector.finish()
}

pub fn layer(pack: &Pack, values: &str) -> Layer {
    let mut layer = Layer::new(pack.shape("W")[1], pack.floats("W"));
    layer.values = pack.floats(values);
    layer
}

fn statistics(pack: Pack) {
    let plain = seen(&pack, Needs { hessian: true, ..Needs::default() });
    let squares = |seen: &Statistics| seen.norms().iter().map(|norm| (norm * norm) as f32).collect::<Vec<_>>();
    close(&squares(&plain), &pack.floats("act.scaler_row"), CLOSE, "scaler_row");
    let hessian = plain.hessian.expect("it was asked for");
    let diagonal: Vec<f32> = hessian.iter().step_by(plain.k + 1).copied().collect();
    close(&diagonal, &pack.floats("act.H_diag"), CLOSE, "H_diag");
    let clipped = seen(&pack, named("jsq").needs());
    close(&squares(&clipped), &pack.floats("jsq.scaler_row"), CLOSE, "clipped scaler_row");
}

fn scores(pack: Pack) {
    let cases = [
        ("wanda.score", named("wanda"), "W"),
        ("ria.score", RIA, "W"),
        ("bawa.score", named("bawa"), "W"),
        ("jsq.row50.score", named("jsq"), "W"),
        ("jsq.ss", Criterion::Jsq { rho: 1.0 }, "W"),
        ("pqp.gptq4_row50.score", named("pqp"), "gptq.w4.W"),
    ];
    for (name, criterion, values) in cases {
        let (layer, seen) = (layer(&pack, values), seen(&pack, criterion.needs()));
        let mut got = criterion.scores(&layer, &seen).expect("all was gathered");
        if name == "jsq.ss" {
            // The range alone: the score with a weight of 1 less Wanda's on the same clipped inputs.
            let without = named("wanda").scores(&layer, &seen).expect("all was gathered");
            got.iter_mut().zip(without).for_each(|(got, without)| *got -= without);
        }
        close(&got, &pack.floats(name), CLOSE, name);
    }
}

/// The positions that a criterion removes.
fn removed(pack: &Pack, criterion: Criterion, values: &str, text: &str, selection: Selection) -> Vec<bool> {
    let layer = layer(pack, values);
    let scores = criterion.scores(&layer, &seen(pack, criterion.needs())).expect("all was gathered");
    let mask = pattern(text).mask_by_scores(&scores, layer.k, selection).expect("a pattern that fits");
    mask.kept().iter().map(|kept| !kept).collect()
}

fn masks(pack: Pack) {
    use Selection::{Count, Threshold};
    let cases = [
        ("magnitude.matrix50", named("magnitude"), "50%", Threshold),
        ("magnitude.2of4", named("magnitude"), "2:4", Count),
        ("magnitude.4of8", named("magnitude"), "4:8", Count),
        ("wanda.row50", named("wanda"), "50%-row", Count),
        ("wanda.row37", named("wanda"), "37%-row", Count),
        ("wanda.2of4", named("wanda"), "2:4", Count),
        ("wanda.4of8", named("wanda"), "4:8", Count),
        ("ria.matrix50", RIA, "50%", Threshold),
        ("ria.row50", RIA, "50%-row", Count),
        ("ria.a1_row50", Criterion::Ria { power: 1.0, activations: true }, "50%-row", Count),
        ("ria.2of4", RIA, "2:4", Count),
        ("ria.4of8", RIA, "4:8", Count),
        ("ri.matrix50", named("ri"), "50%", Threshold),
        ("bawa.row50", named("bawa"), "50%-row", Count),
        ("bawa.2of4", named("bawa"), "2:4", Count),
        ("jsq.row50", named("jsq"), "50%-row", Count),
        ("jsq.2of4", named("jsq"), "2:4", Count),
    ];
    for (name, criterion, text, selection) in cases {
        let want = pack.flags(&format!("{name}.pruned"));
        assert!(removed(&pack, criterion, "W", text, selection) == want, "{name}");
        if selection == Threshold {
            // The published rule takes one more than the count.
            let count = removed(&pack, criterion, "W", text, Count).iter().filter(|r| **r).count();
            assert_eq!(want.iter().filter(|r| **r).count(), count + 1, "{name}");
        }
    }
}

/// Quantised, then pruned. Where the quantised weight is zero, PQP's scores are ties of zeros and the column of zeros in layer_b
/// is a NaN for RIA and BaWA, so that final weights are compared and not masks.
fn masks_of_quantized(pack: Pack) {
    let cases = [
        ("pqp.rtn4_row50", named("pqp"), "rtn.w4.W", "50%-row"),
        ("pqp.gptq4_row50", named("pqp"), "gptq.w4.W", "50%-row"),
        ("pqp.rtn4_2of4", named("pqp"), "rtn.w4.W", "2:4"),
        ("qs.wanda_rtn4_row50", named("wanda"), "rtn.w4.W", "50%-row"),
        ("qs.ria_gptq4_row50", RIA, "gptq.w4.W", "50%-row"),
        ("qs.bawa_gptq4_row50", named("bawa"), "gptq.w4.W", "50%-row"),
    ];
    let variants = pack.meta()["variants"].clone();
    for (name, criterion, values, text) in cases {
        // layer_b has no pqp.rtn4_2of4.
        let Some(variant) = variants.get(name) else {
            assert_eq!((name, pack.shape("W")), ("pqp.rtn4_2of4", vec![20, 256]));
            continue;
        };
        assert_eq!(variant["hyper"]["W_hat"], values, "{name}");
        let (w, want) = (pack.floats(values), pack.flags(&format!("{name}.pruned")));
        let got = removed(&pack, criterion, values, text, Selection::Count);
        let last = |removed: &[bool]| -> Vec<f32> {
            w.iter().zip(removed).map(|(w, removed)| if *removed { 0.0 } else { *w }).collect()
        };
        assert!(last(&got) == last(&want), "{name}");
        let k = pack.shape("W")[1];
        let count = |removed: &[bool]| removed.chunks(k).map(|r| r.iter().filter(|r| **r).count()).collect::<Vec<_>>();
        assert_eq!(count(&got), count(&want), "{name}");
    }
}

/// SparseGPT scores its first block, or group, before it moves any weight.
fn saliency_masks(pack: Pack) {
    let k = pack.shape("W")[1];
    let cases = [
        ("sparsegpt.50", "50%-cols128", 128),
        ("sparsegpt.2of4", "2:4", 4),
        ("sparsegpt.4of8", "4:8", 8),
        ("sparsegpt.50_block32", "50%-cols32", 32),
    ];
    for (name, text, columns) in cases {
        // Only layer_b has blocks of 32.
        if columns == 32 && k != 256 {
            continue;
        }
        let got = removed(&pack, named("saliency"), "W", text, Selection::Threshold);
        let want = pack.flags(&format!("{name}.pruned"));
        let first = |removed: &[bool]| removed.chunks(k).flat_map(|row| row[..columns].to_vec()).collect::<Vec<_>>();
        assert!(first(&got) == first(&want), "{name}");
    }
}

fn cumulative(pack: Pack) {
    let criterion = named("wanda");
    let layer = layer(&pack, "W");
    let scores = criterion.scores(&layer, &seen(&pack, criterion.needs())).expect("all was gathered");
    let got = cumulative_mask(&scores, layer.k, 0.5).expect("a share");
    let want = &pack.meta()["variants"]["wanda.variant50"]["scalars"];
    // Bisection gives binary fractions of 0.4 and 0.8; the recorded sparsity has six digits.
    assert!((got.alpha - want["alpha"].as_f64().expect("a number")).abs() < 1e-12);
    assert!((got.sparsity - want["sparsity"].as_f64().expect("a number")).abs() < 1e-6);
    let removed: Vec<bool> = got.mask.kept().iter().map(|kept| !kept).collect();
    assert!(removed == pack.flags("wanda.variant50.pruned"));
}

fn names() {
    for entry in CRITERIA {
        assert_eq!(entry.criterion.name(), entry.name);
        assert_eq!(Criterion::by_name(&format!(" {} ", entry.name.to_uppercase())), Ok(entry.criterion));
    }
    let unknown = Criterion::by_name("wamda").expect_err("no such criterion").to_string();
    assert!(unknown.contains("unknown criterion `wamda`; did you mean `wanda`?"), "{unknown}");
}

fn declarations() {
    let read = |text: &str| toml::from_str::<Criterion>(text);
    assert_eq!(read("name = 'wanda'"), Ok(Criterion::Wanda));
    assert_eq!(read("name = 'ria'\npower = 1.0\nactivations = false").map(|c| c.name()), Ok("ri"));
    assert!(read("name = 'jsq'\nrho = 1.0\nroh = 2.0").is_err());
    for entry in CRITERIA {
        let text = toml::to_string(&entry.criterion).expect("a table");
        assert_eq!(read(&text), Ok(entry.criterion), "{text}");
    }
}

/// A layer of 2 x 3 and statistics of two tokens.
fn small(values: [f32; 6]) -> (Layer, Statistics) {
    let needs = Needs { hessian: true, positions: true, ..Needs::default() };
    let mut collector = Collector::new(3, 2, needs);
    collector.add(&[1.0, 2.0, 2.0, 0.0, 1.0, 0.5]).expect("two rows");
    (Layer::new(3, values.to_vec()), collector.finish())
}

fn refusals() {
    let (layer, seen) = small([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let nothing = Collector::new(3, 0, Needs::default()).finish();
    let mut bare = seen.clone();
    (bare.hessian, bare.positions) = (None, None);
    for entry in CRITERIA {
        let criterion = entry.criterion;
        assert!(criterion.scores(&layer, &seen).is_ok(), "{}", entry.name);
        let refused =
            |seen: &Statistics| criterion.scores(&layer, seen).is_err_and(|e| matches!(e, Error::Missing { .. }));
        let without = ["magnitude", "ri"].contains(&entry.name);
        assert_eq!(refused(&nothing), !without, "{}", entry.name);
        assert_eq!(refused(&bare), ["jsq", "saliency"].contains(&entry.name), "{}", entry.name);
        let other = Layer::new(2, layer.values.clone());
        let refused = criterion.scores(&other, &seen).is_err_and(|e| matches!(e, Error::Length { .. }));
        assert_eq!(refused, !without, "{}", entry.name);
        let ragged = Layer::new(4, layer.values.clone());
        assert!(criterion.scores(&ragged, &seen).is_err_and(|e| matches!(e, Error::Format(_))), "{}", entry.name);
    }
    for criterion in [
        Criterion::Ria { power: -1.0, activations: true },
        Criterion::Bawa { output: 1.0, input: f64::NAN, activations: 1.0 },
        Criterion::Jsq { rho: f64::INFINITY },
    ] {
        assert!(criterion.scores(&layer, &seen).is_err_and(|e| matches!(e, Error::Invalid(_))), "{criterion:?}");
    }
    assert!(cumulative_mask(&[1.0, 2.0], 2, 1.5).is_err());
    assert!(cumulative_mask(&[1.0, -2.0], 2, 0.5).is_err());
    assert!(cumulative_mask(&[1.0, 2.0], 3, 0.5).is_err());
    assert_eq!(cumulative_mask(&[], 3, 0.5).map(|c| c.mask.kept().len()), Ok(0));
}

fn ties_go_by_index() {
    let (layer, seen) = small([1.0, -1.0, 1.0, -1.0, 1.0, 1.0]);
    let scores = named("magnitude").scores(&layer, &seen).expect("no statistics are needed");
    let kept = |text: &str, selection| {
        pattern(text)
            .mask_by_scores(&scores, 3, selection)
            .expect("finite")
            .kept()
            .iter()
            .map(|k| u8::from(*k))
            .collect()
    };
    let rows: Vec<u8> = kept("67%-row", Selection::Count);
    assert_eq!(rows, [0, 0, 1, 0, 0, 1]);
    let matrix: Vec<u8> = kept("50%", Selection::Count);
    assert_eq!(matrix, [0, 0, 0, 1, 1, 1]);
    let all: Vec<u8> = kept("50%", Selection::Threshold);
    assert_eq!(all, [0; 6]);
}

/// 0 / 0: a NaN, which is kept, and which does not spoil PQP's scale.
fn zero_columns_are_kept() {
    let (mut layer, seen) = small([1.0, 0.0, 3.0, 4.0, 0.0, 6.0]);
    for name in ["ria", "ri", "bawa", "pqp"] {
        let scores = named(name).scores(&layer, &seen).expect("all was gathered");
        let nan: Vec<bool> = scores.iter().map(|s| s.is_nan()).collect();
        assert_eq!(nan, [false, true, false, false, true, false], "{name}");
        let mask = pattern("67%-row").mask_by_scores(&scores, 3, Selection::Count).expect("none is negative");
        assert_eq!(mask.kept(), [false, true, false, false, true, false], "{name}");
    }
    // Weights that are all alike: no range to scale by, and all go by index.
    layer = Layer::new(1, vec![2.0; 2]);
    let mut collector = Collector::new(1, 1, Needs::default());
    collector.add(&[1.0]).expect("one value");
    assert_eq!(named("pqp").scores(&layer, &collector.finish()), Ok(vec![0.0; 2]));
}

fn exponents_are_searched() {
    assert!(EXPONENTS.contains(&[1.0, 1.0, 0.5]), "PQP's exponents are among ours");
    assert!((1..27).all(|i| !EXPONENTS[..i].contains(&EXPONENTS[i])), "no triple twice");
    let (layer, seen) = small([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let layers = [(&layer, &seen), (&layer, &seen)];
    let mut calls = 0;
    let search = search_exponents(&layers, pattern("34%-row"), Selection::Count, |pruned| {
        assert!(pruned.len() == 2 && pruned.iter().all(|w| w.iter().filter(|w| **w == 0.0).count() == 2));
        calls += 1;
        let loss = [f64::NAN, 7.0, 5.0, 6.0][calls % 4];
        Ok::<f64, Error>(loss)
    });
    let search = search.expect("most losses are finite");
    // Calls 2, 6, ... give 5: the second triple is the first of them.
    let [output, input, activations] = EXPONENTS[1];
    assert_eq!((calls, search.losses.len()), (27, 27));
    assert_eq!(search.criterion, Criterion::Bawa { output, input, activations });
    let none = search_exponents(&layers, pattern("50%"), Selection::Count, |_| Ok::<f64, Error>(f64::NAN));
    assert!(none.is_err_and(|e| matches!(e, Error::Invalid(_))));
}
