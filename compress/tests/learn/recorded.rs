//! Recorded runs of the published code, followed step by step by any objective: the tests of two crates include this file.
//!
//! What may differ is what FP32 makes of the published run. The README of the vectors allows 4e-5 on theta, 1e-6 on alpha and, relative,
//! 2e-6 on losses; but the first thetas are no larger than 4e-6. Each file says how far the published run itself moves, step by step,
//! when weights change by one unit in the last place: both runs have such noise, so up to eight times that is allowed here, and never more than
//! the README does.

use interplay_compress::learn::{
    Granularity, Learner, Linear, Objective, Optimizer, Options, Smoothing, Step, ascending,
};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Debug;

/// A file of recorded runs, one for each block of a model.
pub struct Record {
    meta: Value,
    tensors: HashMap<String, (Vec<usize>, Vec<f64>)>,
}

impl Record {
    /// Every tensor as FP64, which holds all recorded types.
    pub fn new(bytes: &[u8]) -> Self {
        let (_, header) = SafeTensors::read_metadata(bytes).expect("a safetensors file");
        let notes = header.metadata().as_ref().expect("the file has notes");
        let file = SafeTensors::deserialize(bytes).expect("a safetensors file");
        let tensors = file.iter().map(|(name, tensor)| {
            let data = tensor.data();
            let values = match tensor.dtype() {
                Dtype::F32 => words(data).map(|word| f64::from(f32::from_le_bytes(word))).collect(),
                Dtype::F64 => words(data).map(f64::from_le_bytes).collect(),
                Dtype::I32 => words(data).map(|word| f64::from(i32::from_le_bytes(word))).collect(),
                Dtype::U8 => data.iter().copied().map(f64::from).collect(),
                other => panic!("{name} has dtype {other:?}"),
            };
            (name.to_owned(), (tensor.shape().to_vec(), values))
        });
        Self { meta: serde_json::from_str(&notes["meta"]).expect("the notes are JSON"), tensors: tensors.collect() }
    }

    /// What the file says of itself.
    pub fn meta(&self) -> &Value {
        &self.meta
    }

    /// A tensor's shape.
    pub fn shape(&self, name: &str) -> &[usize] {
        &self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}")).0
    }

    /// A tensor's values.
    pub fn values(&self, name: &str) -> &[f64] {
        &self.tensors.get(name).unwrap_or_else(|| panic!("no tensor {name}")).1
    }

    /// A tensor's values as they were recorded, where that was FP32.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.values(name).iter().map(|value| *value as f32).collect()
    }

    fn counts(&self, name: &str) -> Vec<usize> {
        self.values(name).iter().map(|value| *value as usize).collect()
    }

    /// The name of the tensor that a block reads: the file's input, or what the block before it gave.
    pub fn input(&self, block: usize) -> String {
        if block == 0 { "x".into() } else { format!("{block}.x") }
    }

    /// The names of a block's linears in the run's order.
    pub fn linears(&self, block: usize) -> Vec<&str> {
        let order = self.meta["layers"][block]["order"].as_array().expect("an order of linears");
        order.iter().map(|name| name.as_str().expect("a name")).collect()
    }

    /// The linears of a block and the run's numbers.
    fn problem(&self, block: usize) -> (Vec<Linear>, Options) {
        let hyper = &self.meta["hyper"];
        let number = |name: &str| hyper[name].as_f64().unwrap_or_else(|| panic!("{name} is a number"));
        let learns_error = self.meta["method"] == "pqp";
        let linears = self.linears(block).into_iter().map(|name| {
            let w = self.floats(&format!("{block}.w.{name}"));
            let k = self.shape(&format!("{block}.w.{name}"))[1];
            let order = ascending(self.values(&format!("{block}.score.{name}")), k);
            if !learns_error {
                return Linear::new(k, w, order).expect("a linear");
            }
            let quantized = self.floats(&format!("{block}.w_hat.{name}"));
            let error = w.iter().zip(&quantized).map(|(w, quantized)| w - quantized).collect();
            Linear::new(k, quantized, order).and_then(|linear| linear.with_error(error)).expect("a linear")
        });
        let options = Options {
            granularity: if hyper["blocksize"] == 1 { Granularity::Row } else { Granularity::Layer },
            // The published list is made in FP32, where some candidates fall just below their multiple of the step.
            candidates: self.values(&format!("{block}.candidates")).to_vec(),
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

    /// Follows the run of a block: parameters, losses and Prodigy's estimate at every step, masks and losses at the end.
    pub fn follow<O: Objective<Error: Debug>>(&self, block: usize, objective: &mut O) {
        let (linears, options) = self.problem(block);
        let mut learner = Learner::new(linears, options).expect("a problem");
        let layer = &self.meta["layers"][block];
        let groups = learner.counts().len();
        let alphas = self.values(&format!("{block}.alpha"));
        let mut steps = Vec::new();
        for (step, counts) in self.counts(&format!("{block}.count")).chunks(groups).enumerate() {
            let allowed = alpha_tolerance(&layer[NOISE]["alpha"][step]);
            near(&learner.alphas(), row(alphas, step, groups), allowed, &format!("alpha before step {step}"));
            if layer["use_recorded_counts"] == false {
                assert_eq!(learner.counts(), counts, "counts before step {step}");
            }
            steps.push(learner.step(objective, step, counts).expect("a step"));
            self.check_step(block, step, &learner);
        }
        assert_eq!(layer["steps"], steps.len(), "steps");
        self.check_steps(block, &steps);
        let allowed = alpha_tolerance(&layer[NOISE]["final_alpha"]);
        near(&learner.alphas(), self.values(&format!("{block}.final_alpha")), allowed, "final alpha");
        assert_eq!(learner.counts(), self.counts(&format!("{block}.final_count")), "final counts");
        self.check_masks(block, &learner);
        check_validation(&learner.validate(objective).expect("losses"), &layer["val"]);
    }

    /// Compares theta and its gradient where this step's were recorded.
    fn check_step(&self, block: usize, step: usize, learner: &Learner) {
        let recorded = |steps: &str, name: &str| {
            let steps = self.meta["layers"][block][steps].as_array().expect("a list of steps");
            let at = steps.iter().position(|recorded| *recorded == step)?;
            Some(row(self.values(&format!("{block}.{name}")), at, learner.theta().len()))
        };
        if let Some(theta) = recorded("theta_steps", "theta") {
            let allowed = (8.0 * self.noise(block, step) + f64::from(f32::EPSILON) * largest(theta)).min(4e-5);
            near(learner.theta(), theta, allowed, &format!("theta after step {step}"));
        }
        if let Some(gradient) = recorded("grad_steps", "grad") {
            let allowed = (GRADIENT + self.noise(block, step)) * largest(gradient);
            near(learner.gradient(), gradient, allowed, &format!("gradient of step {step}"));
        }
    }

    fn check_steps(&self, block: usize, steps: &[Step]) {
        let recorded = |name: &str| self.values(&format!("{block}.{name}"));
        let losses: Vec<f64> = steps.iter().map(|s| s.loss).collect();
        close(&losses, recorded("loss"), 2e-6, "loss");
        let parts = steps.iter().flat_map(|s| [s.reconstruction].into_iter().chain(s.quantization_error));
        close(&parts.collect::<Vec<_>>(), recorded("loss_parts"), 2e-6, "parts of the loss");
        let sparsities: Vec<f64> = steps.iter().map(|s| s.sparsity).collect();
        near(&sparsities, recorded("sparsity"), 1e-6, "sparsity");
        for (step, scale) in steps.iter().enumerate() {
            let scale = scale.scale.expect("Prodigy ran");
            let allowed = ESTIMATE + 8.0 * self.noise(block, step);
            let numbers = [scale.d, scale.d_hat, scale.numerator, scale.denominator];
            for (ours, name) in numbers.into_iter().zip(["d", "d_hat", "d_numerator", "d_denom"]) {
                close(&[ours], &[recorded(name)[step]], allowed, &format!("{name} after step {step}"));
            }
        }
    }

    /// How far the published theta moves in some steps with its weights' last bits.
    fn noise(&self, block: usize, step: usize) -> f64 {
        self.meta["layers"][block][NOISE]["theta"][step].as_f64().expect("a deviation")
    }

    fn check_masks(&self, block: usize, learner: &Learner) {
        let mut pruned = 0;
        let mut weights = 0;
        for (mask, name) in learner.masks().expect("masks").iter().zip(self.linears(block)) {
            let keep: Vec<bool> =
                self.values(&format!("{block}.keep.{name}")).iter().map(|keep| *keep == 1.0).collect();
            assert_eq!(mask.kept(), keep, "mask of {name}");
            pruned += mask.pruned();
            weights += keep.len();
        }
        assert_eq!(learner.pruned_share(), pruned as f64 / weights as f64, "measured sparsity");
    }
}

/// Where a file says how far the published run moves with its weights' last bits.
const NOISE: &str = "noise_of_one_ulp_weights";

/// Of a step's largest derivative, beside theta's noise: a sum of some hundred products of FP32 gradients.
const GRADIENT: f64 = 4e-6;

/// Of each number of Prodigy's estimate, beside theta's noise: sums of such derivatives, which partly cancel.
const ESTIMATE: f64 = 2e-5;

/// The published softmax is FP32: five units in the last place of 0.5 beside what its inputs make of it.
fn alpha_tolerance(noise: &Value) -> f64 {
    (3e-7 + 4.0 * noise.as_f64().expect("a deviation")).min(1e-6)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

/// Compares the two losses at the end. The recorded total is left out: its penalty is that of the sparsity before the last step.
fn check_validation(ours: &Step, val: &Value) {
    let number = |name: &str| val[name].as_f64();
    let theirs = [number("val_l2_loss").or(number("val_l2_loss1")), number("val_l2_loss2")];
    for (ours, theirs) in [Some(ours.reconstruction), ours.quantization_error].into_iter().zip(theirs) {
        assert_eq!(ours.is_some(), theirs.is_some(), "the same losses");
        close(&Vec::from_iter(ours), &Vec::from_iter(theirs), 2e-6, "validation");
    }
}

/// The row of a recorded matrix.
fn row(values: &[f64], at: usize, width: usize) -> &[f64] {
    &values[at * width..(at + 1) * width]
}

/// Asserts that no element differs by more than `tolerance`.
#[track_caller]
fn near(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}: length");
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    // Not by the largest difference alone: a maximum passes NaN over.
    let within = ours.iter().zip(theirs).all(|(a, b)| (a - b).abs() <= tolerance);
    assert!(within, "{what}: off by {worst:e}, allowed {tolerance:e}");
}

/// Asserts that no element differs by more than `tolerance` of the recorded one.
#[track_caller]
fn close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    let relative = |(a, b): (&f64, &f64)| if *b == 0.0 { a - b } else { (a - b) / b.abs() };
    assert_eq!(ours.len(), theirs.len(), "{what}: length");
    let off: Vec<f64> = ours.iter().zip(theirs).map(relative).collect();
    near(&off, &vec![0.0; off.len()], tolerance, what);
}

/// The little-endian words of some bytes.
fn words<const N: usize>(data: &[u8]) -> impl Iterator<Item = [u8; N]> {
    data.chunks_exact(N).map(|word| word.try_into().expect("a chunk has as many bytes as were asked for"))
}
