//! The run: masks from parameters, losses from the objective, parameters from gradients.

use super::groups::{Mixture, Slope, by_candidate, part};
use super::optimizer::Running;
use super::options::invalid;
use super::{Granularity, Linear, Objective, Options, Scale, Target};
use crate::Error;
use crate::formats::{Mask, Pattern, Scope};
use rayon::prelude::*;
use std::ops::Range;

/// One step of a run, or its end: the losses with the hard masks of the parameters *before* the step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The weighted sum of what follows and of the penalty.
    pub loss: f64,
    /// The reconstruction loss.
    pub reconstruction: f64,
    /// The quantisation-error loss; `None` where its weight is 0.
    pub quantization_error: Option<f64>,
    /// The mean sparsity that the parameters stand for, weighted by the linears' sizes.
    pub sparsity: f64,
    /// Prodigy's estimate *after* the step.
    pub scale: Option<Scale>,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The sparsity of each group; groups of all linears in order, one a row or one a linear.
    pub alphas: Vec<f64>,
    /// How many columns each group's rows lose.
    pub counts: Vec<usize>,
    /// The mask of each linear.
    pub masks: Vec<Mask>,
    /// The share of all weights that the masks prune: near the one asked for, not equal to it.
    pub sparsity: f64,
    /// Every step.
    pub trajectory: Vec<Step>,
    /// The mean over all samples with the final masks.
    pub validation: Step,
}

/// Learns the sparsities of a block's linears: all samples in order, one a step, as often as the options say.
///
/// # Errors
/// As [`Learner::new`] and the objective.
pub fn learn<O: Objective>(linears: Vec<Linear>, objective: &mut O, options: Options) -> Result<Learned, O::Error> {
    let mut learner = Learner::new(linears, options)?;
    let samples = objective.samples();
    if samples == 0 {
        return Err(invalid("learned sparsity needs at least one calibration sample".into()).into());
    }
    let mut trajectory = Vec::new();
    for _ in 0..learner.options.epochs {
        for sample in 0..samples {
            trajectory.push(learner.step(objective, sample, &learner.counts())?);
        }
    }
    let validation = learner.validate(objective)?;
    Ok(Learned {
        alphas: learner.alphas(),
        counts: learner.counts(),
        masks: learner.masks()?,
        sparsity: learner.pruned_share(),
        trajectory,
        validation,
    })
}

/// A run in progress.
#[derive(Clone, Debug)]
pub struct Learner {
    linears: Vec<Linear>,
    options: Options,
    /// `[groups, candidates]`.
    theta: Vec<f64>,
    gradient: Vec<f64>,
    running: Running,
}

impl Learner {
    /// At its start: all parameters 0, which is the mean of the candidates everywhere.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that mean nothing or no linears, [`Error::Missing`] where the quantisation error has a weight but
    /// a linear does not give it.
    pub fn new(linears: Vec<Linear>, options: Options) -> Result<Self, Error> {
        options.check()?;
        if linears.is_empty() {
            return Err(invalid("learned sparsity needs at least one linear".into()));
        }
        if options.quantization_error > 0.0 && linears.iter().any(|linear| linear.error().is_none()) {
            return Err(Error::Missing { method: "PQP's loss", what: "the quantisation error of every linear" });
        }
        let groups: usize = linears.iter().map(|linear| groups_of(linear, options.granularity)).sum();
        let theta = vec![0.0; groups * options.candidates.len()];
        let running = Running::new(options.optimizer, &theta);
        Ok(Self { linears, options, gradient: vec![0.0; theta.len()], theta, running })
    }

    /// The parameters, `[groups, candidates]`.
    pub fn theta(&self) -> &[f64] {
        &self.theta
    }

    /// The last step's derivative of the loss by the parameters; zeros before the first.
    pub fn gradient(&self) -> &[f64] {
        &self.gradient
    }

    /// The sparsity of each group.
    pub fn alphas(&self) -> Vec<f64> {
        let mixture = Mixture::new(&self.options.candidates, self.options.smoothing);
        self.theta.par_chunks(self.options.candidates.len()).map(|theta| mixture.sparsity(theta)).collect()
    }

    /// How many columns the rows of each group lose.
    pub fn counts(&self) -> Vec<usize> {
        let alphas = self.alphas();
        let counts = self.groups().flat_map(|(linear, groups)| {
            let k = linear.k();
            alphas[groups].iter().map(move |&alpha| part(alpha, k)).collect::<Vec<_>>()
        });
        counts.collect()
    }

    /// The mask of each linear.
    ///
    /// # Errors
    /// None that the constructor let pass.
    pub fn masks(&self) -> Result<Vec<Mask>, Error> {
        let counts = self.counts();
        let masks = self.groups().map(|(linear, groups)| mask(linear, &counts[groups]));
        masks.collect()
    }

    /// The share of all weights that the masks prune.
    pub fn pruned_share(&self) -> f64 {
        let counts = self.counts();
        let pruned = self.groups().map(|(linear, groups)| {
            let rows_of_group = linear.rows() / groups.len();
            counts[groups].iter().sum::<usize>() * rows_of_group
        });
        pruned.sum::<usize>() as f64 / self.weights() as f64
    }

    /// One step on one calibration sample, with `counts` columns gone from the rows of each group: [`Learner::counts`], or those of a
    /// recorded run where a sparsity stands so near an integer that rounding decides.
    ///
    /// # Errors
    /// [`Error::Length`] for another number of counts, or gradients of other shapes than the weights; the objective's own.
    pub fn step<O: Objective>(&mut self, objective: &mut O, sample: usize, counts: &[usize]) -> Result<Step, O::Error> {
        let groups = self.theta.len() / self.options.candidates.len();
        same("counts of learned sparsity", counts.len(), groups)?;
        let weights = self.masked(counts, |linear| Some(linear.weights()));
        let (reconstruction, by_weights) = objective.slope(sample, &weights, Target::Reference)?;
        drop(weights);
        self.check_gradients(&by_weights)?;
        let mut error = None;
        if self.options.quantization_error > 0.0 {
            let (loss, by_errors) = objective.slope(sample, &self.masked(counts, Linear::error), Target::Zero)?;
            self.check_gradients(&by_errors)?;
            error = Some((loss, by_errors));
        }
        let sparsity = self.mean_sparsity();
        self.differentiate(sparsity, &by_weights, error.as_ref().map(|(_, by)| by.as_slice()));
        self.running.step(&mut self.theta, &self.gradient);
        let step = self.losses(reconstruction, error.map(|(loss, _)| loss), sparsity);
        Ok(Step { scale: self.running.scale(), ..step })
    }

    /// The mean losses over all samples with the masks as they are.
    ///
    /// # Errors
    /// The objective's.
    pub fn validate<O: Objective>(&self, objective: &mut O) -> Result<Step, O::Error> {
        let counts = self.counts();
        let samples = objective.samples();
        let mut mean = |weights: Vec<Vec<f32>>, target| {
            let losses = (0..samples).map(|sample| objective.loss(sample, &weights, target));
            let sum = losses.sum::<Result<f64, O::Error>>()?;
            Ok::<_, O::Error>(sum / samples.max(1) as f64)
        };
        let reconstruction = mean(self.masked(&counts, |linear| Some(linear.weights())), Target::Reference)?;
        let error = match self.options.quantization_error > 0.0 {
            true => Some(mean(self.masked(&counts, Linear::error), Target::Zero)?),
            false => None,
        };
        Ok(Step { scale: self.running.scale(), ..self.losses(reconstruction, error, self.mean_sparsity()) })
    }

    /// Each linear with the range of its groups.
    fn groups(&self) -> impl Iterator<Item = (&Linear, Range<usize>)> {
        let mut start = 0;
        self.linears.iter().map(move |linear| {
            let groups = start..start + groups_of(linear, self.options.granularity);
            start = groups.end;
            (linear, groups)
        })
    }

    fn weights(&self) -> usize {
        self.linears.iter().map(Linear::len).sum()
    }

    /// Some values of every linear that has them, with what the counts take away as zeros.
    fn masked<'a>(&'a self, counts: &[usize], values: impl Fn(&'a Linear) -> Option<&'a [f32]>) -> Vec<Vec<f32>> {
        let masked = self.groups().filter_map(|(linear, groups)| {
            let counts = &counts[groups];
            Some(linear.masked(values(linear)?, |row| of_row(counts, row)))
        });
        masked.collect()
    }

    fn mean_sparsity(&self) -> f64 {
        let alphas = self.alphas();
        let sums = self.groups().map(|(linear, groups)| {
            let count = groups.len() as f64;
            alphas[groups].iter().sum::<f64>() / count * linear.len() as f64
        });
        sums.sum::<f64>() / self.weights() as f64
    }

    fn losses(&self, reconstruction: f64, quantization_error: Option<f64>, sparsity: f64) -> Step {
        let Options { sparsity: asked, reconstruction: weight, quantization_error: error_weight, penalty, .. } =
            self.options;
        let distance = (sparsity - asked) / asked;
        let error = error_weight * quantization_error.unwrap_or(0.0);
        let loss = weight * reconstruction + error + penalty * distance * distance;
        Step { loss, reconstruction, quantization_error, sparsity, scale: None }
    }

    fn check_gradients(&self, gradients: &[Vec<f32>]) -> Result<(), Error> {
        same("an objective's gradients", gradients.len(), self.linears.len())?;
        let mut pairs = self.linears.iter().zip(gradients);
        pairs.try_for_each(|(linear, gradient)| same("the gradient of a linear", gradient.len(), linear.len()))
    }

    /// Fills `gradient` from the derivatives by the masked weights and the masked errors.
    fn differentiate(&mut self, sparsity: f64, by_weights: &[Vec<f32>], by_errors: Option<&[Vec<f32>]>) {
        let options = &self.options;
        let asked = options.sparsity;
        let by_sparsity = 2.0 * options.penalty * (sparsity - asked) / (asked * asked) / self.weights() as f64;
        let width = options.candidates.len();
        let mixture = Mixture::new(&options.candidates, options.smoothing);
        let mut gradient = Vec::with_capacity(self.theta.len());
        for (index, (linear, groups)) in self.groups().enumerate() {
            let of_weights =
                Slope { factor: options.reconstruction, gradient: &by_weights[index], values: linear.weights() };
            let of_errors = by_errors.zip(linear.error()).map(|(by, values)| Slope {
                factor: options.quantization_error,
                gradient: &by[index],
                values,
            });
            let slopes: Vec<Slope> = [of_weights].into_iter().chain(of_errors).collect();
            let by_mask = summed(by_candidate(linear, &slopes, &options.candidates), width, groups.len());
            let by_alpha = by_sparsity * (linear.len() / groups.len()) as f64;
            let theta = &self.theta[groups.start * width..groups.end * width];
            let of_groups = theta.par_chunks(width).zip(by_mask.par_chunks(width));
            gradient.par_extend(of_groups.flat_map_iter(|(theta, by)| mixture.derivative(theta, by, by_alpha)));
        }
        self.gradient = gradient;
    }
}

/// How many groups a linear has.
fn groups_of(linear: &Linear, granularity: Granularity) -> usize {
    match granularity {
        Granularity::Row => linear.rows(),
        Granularity::Layer => 1,
    }
}

/// The count of a row of a linear whose groups have `counts`: one a row, or one for all.
fn of_row(counts: &[usize], row: usize) -> usize {
    counts[row % counts.len()]
}

/// Rows of `width` as they are where each is a group, or their sum, first to last, where they are all one.
fn summed(rows: Vec<f64>, width: usize, groups: usize) -> Vec<f64> {
    if rows.len() == groups * width {
        return rows;
    }
    let mut sum = vec![0.0; width];
    rows.chunks(width).for_each(|row| sum.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
    sum
}

fn mask(linear: &Linear, counts: &[usize]) -> Result<Mask, Error> {
    let kept = linear.masked(&vec![1.0; linear.len()], |row| of_row(counts, row));
    let kept: Vec<bool> = kept.iter().map(|kept| *kept != 0.0).collect();
    let pruned = kept.iter().filter(|kept| !**kept).count();
    // What the pattern says is the measured fraction in its own unit; which positions are kept says the mask.
    let basis_points = (pruned as f64 / kept.len() as f64 * 10_000.0).round() as u32;
    let scope = if counts.iter().all(|count| *count == counts[0]) { Scope::Row } else { Scope::Matrix };
    Ok(Mask::from_kept(Pattern::Unstructured { basis_points, scope }, linear.k(), kept)?)
}

fn same(what: &'static str, given: usize, expected: usize) -> Result<(), Error> {
    if given == expected { Ok(()) } else { Err(Error::Length { what, given, expected }) }
}
