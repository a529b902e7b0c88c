//! Prodigy and AdamW over one vector of parameters.

use super::Optimizer;
use crate::formats::math;

/// How fast the running means of gradients and of their squares forget, and what keeps a division by their root finite.
const BETAS: (f64, f64) = (0.9, 0.999);
const EPSILON: f64 = 1e-8;

/// Prodigy's first estimate of the distance to the solution.
const FIRST: f64 = 1e-6;

/// What Prodigy knows of the distance to the solution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The estimate in use.
    pub d: f64,
    /// The last estimate, before any limit.
    pub d_hat: f64,
    /// Its numerator: a running sum of how far the gradients agree with the way taken.
    pub numerator: f64,
    /// Its denominator: the L1 norm of the running sum of gradients.
    pub denominator: f64,
}

/// Prodigy (Mishchenko, Defazio, 2023): Adam whose step size is an estimate of the distance to the solution.
#[derive(Clone, Debug)]
pub struct Prodigy {
    lr: f64,
    d_coef: f64,
    growth: f64,
    scale: Scale,
    d_max: f64,
    start: Vec<f64>,
    mean: Vec<f64>,
    square: Vec<f64>,
    sum: Vec<f64>,
}

impl Prodigy {
    /// At its start from `parameters`; the numbers are those of [`Optimizer::Prodigy`].
    pub fn new(parameters: &[f64], lr: f64, d_coef: f64, growth: f64) -> Self {
        let zeros = vec![0.0; parameters.len()];
        Self {
            lr,
            d_coef,
            growth,
            scale: Scale { d: FIRST, d_hat: FIRST, numerator: 0.0, denominator: 0.0 },
            d_max: FIRST,
            start: parameters.to_vec(),
            mean: zeros.clone(),
            square: zeros.clone(),
            sum: zeros,
        }
    }

    /// The estimate after the last step.
    pub fn scale(&self) -> Scale {
        self.scale
    }

    /// One step. Nothing moves while all gradients so far are zero.
    pub fn step(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        let (first, second) = BETAS;
        let d = self.scale.d;
        let rate = d * self.lr;
        // Both running sums of the estimate forget with the root of the second beta.
        let forget = second.sqrt();
        let agreement: f64 =
            gradient.iter().zip(&self.start).zip(&*parameters).map(|((g, start), p)| g * (start - p)).sum();
        for (i, g) in gradient.iter().enumerate() {
            self.mean[i] = first * self.mean[i] + d * (1.0 - first) * g;
            self.square[i] = second * self.square[i] + d * d * (1.0 - second) * g * g;
            self.sum[i] = forget * self.sum[i] + d / FIRST * rate * g;
        }
        self.scale.numerator = forget * self.scale.numerator + d / FIRST * rate * agreement;
        self.scale.denominator = self.sum.iter().map(|s| s.abs()).sum();
        if self.scale.denominator == 0.0 {
            return;
        }
        self.estimate();
        let epsilon = self.scale.d * EPSILON;
        for ((p, mean), square) in parameters.iter_mut().zip(&self.mean).zip(&self.square) {
            *p -= rate * mean / (square.sqrt() + epsilon);
        }
    }

    fn estimate(&mut self) {
        let scale = &mut self.scale;
        scale.d_hat = self.d_coef * scale.numerator / scale.denominator;
        if scale.d == FIRST {
            scale.d = scale.d.max(scale.d_hat);
        }
        self.d_max = self.d_max.max(scale.d_hat);
        scale.d = self.d_max.min(scale.d * self.growth);
    }
}

/// AdamW (Loshchilov, Hutter, 2019): Adam with a decay of parameters beside it.
#[derive(Clone, Debug)]
pub struct AdamW {
    lr: f64,
    weight_decay: f64,
    steps: i32,
    mean: Vec<f64>,
    square: Vec<f64>,
}

impl AdamW {
    /// At its start over `count` parameters; the numbers are those of [`Optimizer::AdamW`].
    pub fn new(count: usize, lr: f64, weight_decay: f64) -> Self {
        Self { lr, weight_decay, steps: 0, mean: vec![0.0; count], square: vec![0.0; count] }
    }

    /// One step.
    pub fn step(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        let (first, second) = BETAS;
        self.steps = self.steps.saturating_add(1);
        let (of_mean, of_square) = (1.0 - math::powi(first, self.steps), 1.0 - math::powi(second, self.steps));
        for (i, (p, g)) in parameters.iter_mut().zip(gradient).enumerate() {
            self.mean[i] = first * self.mean[i] + (1.0 - first) * g;
            self.square[i] = second * self.square[i] + (1.0 - second) * g * g;
            *p *= 1.0 - self.lr * self.weight_decay;
            *p -= self.lr * (self.mean[i] / of_mean) / ((self.square[i] / of_square).sqrt() + EPSILON);
        }
    }
}

/// The one that the options ask for.
#[derive(Clone, Debug)]
pub(super) enum Running {
    Prodigy(Prodigy),
    AdamW(AdamW),
}

impl Running {
    pub fn new(optimizer: Optimizer, parameters: &[f64]) -> Self {
        match optimizer {
            Optimizer::Prodigy { lr, d_coef, growth } => Self::Prodigy(Prodigy::new(parameters, lr, d_coef, growth)),
            Optimizer::AdamW { lr, weight_decay } => Self::AdamW(AdamW::new(parameters.len(), lr, weight_decay)),
        }
    }

    pub fn step(&mut self, parameters: &mut [f64], gradient: &[f64]) {
        match self {
            Self::Prodigy(prodigy) => prodigy.step(parameters, gradient),
            Self::AdamW(adamw) => adamw.step(parameters, gradient),
        }
    }

    pub fn scale(&self) -> Option<Scale> {
        match self {
            Self::Prodigy(prodigy) => Some(prodigy.scale()),
            Self::AdamW(_) => None,
        }
    }
}
