//! The numbers of a run, with the published defaults.

use super::groups::SLACK;
use crate::Error;

/// What shares one learned sparsity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granularity {
    /// Each row has its own.
    Row,
    /// All rows of a linear have the same.
    Layer,
}

/// What stands between a group's parameters and the softmax over candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Smoothing {
    /// The logistic function: weights of candidates differ by a factor of e at most, so that sparsity stays near the middle.
    Sigmoid,
    /// Nothing: any sparsity between the outermost candidates can be learned.
    None,
}

/// Which optimiser, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Prodigy (Mishchenko, Defazio, 2023), which finds its own step size.
    Prodigy {
        /// Factor of the found step size.
        lr: f64,
        /// Factor of the estimate of the distance to the solution.
        d_coef: f64,
        /// The largest growth of the step size in one step.
        growth: f64,
    },
    /// AdamW (Loshchilov, Hutter, 2019).
    AdamW {
        /// Step size.
        lr: f64,
        /// Share of the parameters lost each step, times the step size.
        weight_decay: f64,
    },
}

impl Optimizer {
    /// Prodigy with a learning rate of 1 and no limit of growth.
    pub const fn prodigy(d_coef: f64) -> Self {
        Self::Prodigy { lr: 1.0, d_coef, growth: f64::INFINITY }
    }

    /// AdamW as BESA's code has it for an alternative.
    pub const fn adamw() -> Self {
        Self::AdamW { lr: 1e-2, weight_decay: 0.0 }
    }
}

/// The numbers of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What shares one learned sparsity.
    pub granularity: Granularity,
    /// The sparsities that are mixed, descending, all in 0..=1; see [`candidates`].
    pub candidates: Vec<f64>,
    /// What keeps the mixture from its ends.
    pub smoothing: Smoothing,
    /// The sparsity of the whole block that is asked for, above 0.
    pub sparsity: f64,
    /// Weight of the reconstruction loss (`l2_alpha` in the published code).
    pub reconstruction: f64,
    /// Weight of the masked quantisation error's loss (`l2_beta`); 0 leaves it out.
    pub quantization_error: f64,
    /// Weight of the squared relative distance from the sparsity asked for (`sparsity_beta`).
    pub penalty: f64,
    /// Which optimiser.
    pub optimizer: Optimizer,
    /// Passes over the calibration samples.
    pub epochs: usize,
}

impl Options {
    /// BESA for small models: 101 candidates, half of the weights, penalty 5, Prodigy with `d_coef` 5, one pass.
    pub fn besa(granularity: Granularity) -> Self {
        Self {
            granularity,
            candidates: spaced(0.01),
            smoothing: Smoothing::Sigmoid,
            sparsity: 0.5,
            reconstruction: 1.0,
            quantization_error: 0.0,
            penalty: 5.0,
            optimizer: Optimizer::prodigy(5.0),
            epochs: 1,
        }
    }

    /// PQP: BESA's numbers and a quantisation-error loss of weight 1. Its experiments' own numbers are not published.
    pub fn pqp(granularity: Granularity) -> Self {
        Self { quantization_error: 1.0, ..Self::besa(granularity) }
    }

    /// Refuses numbers that mean nothing, and a sparsity that no parameters reach.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let descending = self.candidates.windows(2).all(|pair| pair[0] > pair[1]);
        let within = self.candidates.iter().all(|r| (0.0..=1.0).contains(r));
        if self.candidates.is_empty() || !descending || !within {
            return Err(invalid(
                "candidate sparsities must be descending numbers between 1 and 0, at least one".into(),
            ));
        }
        let weights = [self.reconstruction, self.quantization_error, self.penalty];
        if weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0) {
            return Err(invalid(format!(
                "weights of losses must be finite and not negative, but they are {weights:?}"
            )));
        }
        if self.epochs == 0 {
            return Err(invalid("0 epochs learn nothing; ask for at least 1".into()));
        }
        self.check_optimizer()?;
        let (low, high) = self.reach();
        if self.sparsity <= 0.0 || !(low..=high).contains(&self.sparsity) {
            let ask = "ask for one in between, or leave the sigmoid out (smoothing=none)";
            let given = self.sparsity;
            return Err(invalid(format!(
                "a learned sparsity lies between {low:.4} and {high:.4}, so {given} is out of reach; {ask}"
            )));
        }
        Ok(())
    }

    fn check_optimizer(&self) -> Result<(), Error> {
        let (positive, weight_decay) = match self.optimizer {
            Optimizer::Prodigy { lr, d_coef, growth } => (vec![lr, d_coef, growth], 0.0),
            Optimizer::AdamW { lr, weight_decay } => (vec![lr], weight_decay),
        };
        if positive.iter().all(|number| *number > 0.0) && weight_decay >= 0.0 {
            return Ok(());
        }
        Err(invalid(format!("the numbers of an optimiser must be positive, but they are {:?}", self.optimizer)))
    }

    /// The least and the largest sparsity that a group's parameters can express.
    fn reach(&self) -> (f64, f64) {
        let ratio = match self.smoothing {
            Smoothing::Sigmoid => std::f64::consts::E,
            Smoothing::None => return (self.candidates.last().map_or(0.0, |r| *r), self.candidates[0]),
        };
        // A mean whose weights lie in [1, e] is extreme where all candidates above a cut have one weight, all below the other.
        let mean = |cut: usize, above: f64, below: f64| {
            let weight = |d: usize| if d < cut { above } else { below };
            let sum: f64 = self.candidates.iter().enumerate().map(|(d, r)| weight(d) * r).sum();
            sum / (0..self.candidates.len()).map(weight).sum::<f64>()
        };
        let cuts = 0..=self.candidates.len();
        let low = cuts.clone().map(|cut| mean(cut, 1.0, ratio)).fold(f64::INFINITY, f64::min);
        (low, cuts.map(|cut| mean(cut, ratio, 1.0)).fold(0.0, f64::max))
    }
}

/// 1, 1 - step, 1 - 2 step, … and 0.
///
/// # Errors
/// A step outside (0, 1], or one that makes more than 10,000 candidates.
pub fn candidates(step: f64) -> Result<Vec<f64>, Error> {
    if !(1e-4..=1.0).contains(&step) {
        return Err(invalid(format!(
            "a step between candidate sparsities lies between 0.0001 and 1, so {step} is none"
        )));
    }
    Ok(spaced(step))
}

fn spaced(step: f64) -> Vec<f64> {
    let above = (0..).map(|d| 1.0 - f64::from(d) * step).take_while(|r| *r > SLACK);
    above.chain([0.0]).collect()
}

pub(super) fn invalid(message: String) -> Error {
    Error::Invalid(message)
}
