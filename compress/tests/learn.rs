//! Learned sparsity against recorded runs of the published code, its gradient against differences, and what it refuses.

mod block;
mod laws;

use crate::support::{Pack, oracle};
use block::Toy;
use interplay_compress::learn::{Granularity, Learner, Linear, Optimizer, Options, Smoothing, Step, ascending};
use libtest_mimic::Trial;
use serde_json::Value;

pub fn trials() -> Vec<Trial> {
    let recorded = ["learn_besa_row_toy", "learn_pqp_row_toy"];
    recorded.into_iter().map(|file| oracle(file, |pack| follow(&pack))).chain(laws::trials()).collect()
}

/// The linears of a recorded block in the recorded order, and the run's numbers.
fn problem(pack: &Pack, meta: &Value) -> (Vec<Linear>, Options) {
    let hyper = &meta["hyper"];
    let number = |name: &str| hyper[name].as_f64().unwrap_or_else(|| panic!("{name} is a number"));
    let learns_error = meta["method"] == "pqp";
    let linears = names(meta).into_iter().map(|name| {
        let w = pack.floats(&format!("0.w.{name}"));
        let k = pack.shape(&format!("0.w.{name}"))[1];
        let order = ascending(&pack.floats(&format!("0.score.{name}")), k);
        if !learns_error {
            return Linear::new(k, w, order).expect("a linear");
        }
        let quantized = pack.floats(&format!("0.w_hat.{name}"));
        let error = w.iter().zip(&quantized).map(|(w, quantized)| w - quantized).collect();
        Linear::new(k, quantized, order).and_then(|linear| linear.with_error(error)).expect("a linear")
    });
    let options = Options {
        granularity: if hyper["blocksize"] == 1 { Granularity::Row } else { Granularity::Layer },
        // The published list is made in FP32, where some candidates fall just below their multiple of the step.
        candidates: pack.doubles("0.candidates"),
        smoothing: if hyper["no_sigmoid_smooth"] == true { Smoothing::None } else { Smoothing::Sigmoid },
        sparsity: number("sparsity"),
        reconstruction: number("l2_alpha"),
        quantization_error: if learns_error { number("l2_beta") } else { 0.0 },
        penalty: number("sparsity_beta"),
        optimizer: Optimizer::prodigy(number("d_coef")),
        epochs: 1,
    };
    (linears.collect(), options)
}

fn names(meta: &Value) -> Vec<String> {
    let order = meta["layers"][0]["order"].as_array().expect("an order of linears");
    order.iter().map(|name| name.as_str().expect("a name").to_owned()).collect()
}

/// Follows a recorded run step by step.
///
/// The README of the vectors allows 4e-5 on theta, 1e-6 on alpha and 2e-6, relative, on losses: what FP32 makes of the published run.
fn follow(pack: &Pack) {
    let meta = pack.meta();
    let (linears, options) = problem(pack, &meta);
    let mut block = Toy::new(pack, &names(&meta));
    let mut learner = Learner::new(linears, options).expect("a problem");
    let layer = &meta["layers"][0];
    let feeds = layer["use_recorded_counts"] == true;
    let recorded = |name: &str| pack.integers(name).into_iter().map(|count| count as usize).collect::<Vec<_>>();
    let groups = learner.counts().len();
    let mut steps = Vec::new();
    for (step, counts) in recorded("0.count").chunks(groups).enumerate() {
        near(
            &learner.alphas(),
            row(&pack.doubles("0.alpha"), step, groups),
            1e-6,
            &format!("alpha before step {step}"),
        );
        if !feeds {
            assert_eq!(learner.counts(), counts, "counts before step {step}");
        }
        steps.push(learner.step(&mut block, step, counts).expect("a step"));
        snapshot(pack, &learner, &layer["grad_steps"], "0.grad", step);
        snapshot(pack, &learner, &layer["theta_steps"], "0.theta", step);
    }
    check_steps(pack, &steps);
    near(&learner.alphas(), &pack.doubles("0.final_alpha"), 1e-6, "final alpha");
    assert_eq!(learner.counts(), recorded("0.final_count"), "final counts");
    check_masks(pack, &learner, &names(&meta));
    check_validation(&learner.validate(&mut block).expect("losses"), &layer["val"]);
}

/// The row of a recorded matrix.
fn row(values: &[f64], at: usize, width: usize) -> &[f64] {
    &values[at * width..(at + 1) * width]
}

/// Compares what was recorded of this step, if anything.
fn snapshot(pack: &Pack, learner: &Learner, steps: &Value, name: &str, step: usize) {
    let steps = steps.as_array().expect("a list of steps");
    let Some(at) = steps.iter().position(|recorded| *recorded == step) else { return };
    let (ours, tolerance) = match name {
        "0.theta" => (learner.theta(), 4e-5),
        _ => (learner.gradient(), 4e-6),
    };
    let theirs = pack.doubles(name);
    let theirs = row(&theirs, at, ours.len());
    let largest = theirs.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let scale = if name == "0.theta" { 1.0 } else { largest };
    near(ours, theirs, tolerance * scale, &format!("{name} of step {step}"));
}

fn check_steps(pack: &Pack, steps: &[Step]) {
    let column = |value: fn(&Step) -> f64| steps.iter().map(value).collect::<Vec<_>>();
    close(&column(|s| s.loss), &pack.doubles("0.loss"), 2e-6, "loss");
    let parts: Vec<f64> =
        steps.iter().flat_map(|s| [s.reconstruction].into_iter().chain(s.quantization_error)).collect();
    close(&parts, &pack.doubles("0.loss_parts"), 2e-6, "parts of the loss");
    near(&column(|s| s.sparsity), &pack.doubles("0.sparsity"), 1e-6, "sparsity");
    let scale = |value: fn(&interplay_compress::learn::Scale) -> f64| {
        steps.iter().map(|s| value(&s.scale.expect("Prodigy ran"))).collect::<Vec<_>>()
    };
    close(&scale(|s| s.d), &pack.doubles("0.d"), 1e-5, "d");
    close(&scale(|s| s.d_hat), &pack.doubles("0.d_hat"), 1e-5, "d_hat");
    close(&scale(|s| s.numerator), &pack.doubles("0.d_numerator"), 1e-5, "d_numerator");
    close(&scale(|s| s.denominator), &pack.doubles("0.d_denom"), 1e-5, "d_denom");
}

fn check_masks(pack: &Pack, learner: &Learner, names: &[String]) {
    let masks = learner.masks().expect("masks");
    let mut pruned = 0;
    let mut weights = 0;
    for (mask, name) in masks.iter().zip(names) {
        let keep: Vec<bool> = pack.integers(&format!("0.keep.{name}")).iter().map(|keep| *keep == 1).collect();
        assert_eq!(mask.kept(), keep, "mask of {name}");
        pruned += mask.pruned();
        weights += keep.len();
    }
    assert_eq!(learner.pruned_share(), pruned as f64 / weights as f64, "measured sparsity");
}

fn check_validation(ours: &Step, val: &Value) {
    let number = |name: &str| val[name].as_f64();
    let theirs = [number("val_loss"), number("val_l2_loss").or(number("val_l2_loss1")), number("val_l2_loss2")];
    let ours = [Some(ours.loss), Some(ours.reconstruction), ours.quantization_error];
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        assert_eq!(ours.is_some(), theirs.is_some(), "the same losses");
        close(&Vec::from_iter(ours), &Vec::from_iter(theirs), 2e-6, "validation");
    }
}

/// Asserts that no element differs by more than `tolerance`.
#[track_caller]
fn near(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}: length");
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if std::env::var_os("SHOW").is_some() {
        eprintln!("{what}: worst {worst:e} of {tolerance:e}");
    }
    assert!(worst <= tolerance, "{what}: off by {worst:e}, allowed {tolerance:e}");
}

/// Asserts that no element differs by more than `tolerance` of the recorded one.
#[track_caller]
fn close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    let relative = |(a, b): (&f64, &f64)| if b.abs() > 0.0 { (a - b) / b.abs() } else { *a };
    assert_eq!(ours.len(), theirs.len(), "{what}: length");
    let off: Vec<f64> = ours.iter().zip(theirs).map(relative).collect();
    near(&off, &vec![0.0; off.len()], tolerance, what);
}
