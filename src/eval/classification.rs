//! Image classification: top-1, top-5, cross-entropy, and the divergence from a reference's predictions.
//!
//! Top-1 saturates on an easy set, so the other two are always computed beside it.

use super::input;
use super::runner::{Runner, for_each_logits};
use super::stats::{Estimate, log_sum_exp, negative_log_likelihood};
use crate::Error;
use crate::formats::math;

/// Images that go through the model together, at most.
const BATCH: usize = 100;

/// Values of images that go through the model together: a convolution's windows take hundreds of times their memory.
const BATCH_VALUES: usize = 1 << 20;

/// Logits `[images, classes]`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    values: Vec<f32>,
    classes: usize,
}

impl Logits {
    /// Logits of `classes` classes an image.
    ///
    /// # Errors
    /// The values are no whole number of rows.
    pub fn new(values: Vec<f32>, classes: usize) -> Result<Self, Error> {
        if classes == 0 || !values.len().is_multiple_of(classes) {
            return Err(Error::Invalid(format!(
                "{} logits are no whole number of rows of {classes} classes",
                values.len()
            )));
        }
        Ok(Self { values, classes })
    }

    /// The rows, one an image.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.classes)
    }

    /// Images.
    pub fn images(&self) -> usize {
        self.values.len() / self.classes
    }

    /// The cross-entropy of each image, in nats.
    ///
    /// # Errors
    /// The labels are not one a row, or one is not a class.
    pub fn losses(&self, labels: &[usize]) -> Result<Vec<f64>, Error> {
        if labels.len() != self.images() {
            return Err(Error::Invalid(format!("{} images need as many labels, not {}", self.images(), labels.len())));
        }
        if let Some(label) = labels.iter().find(|label| **label >= self.classes) {
            return Err(Error::Invalid(format!("label {label} is not one of the classes 0 to {}", self.classes - 1)));
        }
        Ok(self.rows().zip(labels).map(|(row, label)| negative_log_likelihood(row, *label)).collect())
    }

    /// Classes.
    pub fn classes(&self) -> usize {
        self.classes
    }
}

/// The logits of images whose `pixels` are `[N, C, H, W]`, row-major.
///
/// # Errors
/// The model takes no such images, or a stage fails.
pub fn logits(runner: &mut dyn Runner, pixels: &[f32]) -> Result<Logits, Error> {
    let image = match runner.checkpoint().input() {
        crate::models::Input::Images { channels, height, width } => channels * height * width,
        _ => {
            return input::images(runner.checkpoint(), pixels).and(Logits::new(vec![], 1));
        }
    };
    let batches = pixels
        .chunks((BATCH_VALUES / image.max(1)).clamp(1, BATCH) * image.max(1))
        .map(|batch| input::images(runner.checkpoint(), batch));
    let batches = batches.collect::<Result<Vec<_>, _>>()?;
    let (mut values, mut classes) = (Vec::new(), 0);
    for_each_logits(runner, &batches, |_, _, row| {
        classes = row.len();
        values.extend_from_slice(row);
    })?;
    Logits::new(values, classes)
}

/// How well logits predict labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Classification {
    /// Fraction of images whose largest logit is that of the label; the lower class wins a tie.
    pub top1: Estimate,
    /// Fraction of images whose label has one of the five largest logits; the lower class wins a tie.
    pub top5: Estimate,
    /// Mean negative log-likelihood of the labels, in nats.
    pub cross_entropy: Estimate,
    /// Mean Kullback-Leibler divergence from the reference's distribution to this one, in nats.
    pub kl_to_reference: Estimate,
    /// Fraction of images with the reference's prediction.
    pub agreement: Estimate,
}

impl Classification {
    /// Judges `logits` by `labels` and by the `reference` logits of the same images.
    ///
    /// # Errors
    /// The numbers of images differ, a label is not a class, or a logit is not finite.
    pub fn of(logits: &Logits, labels: &[usize], reference: &Logits) -> Result<Self, Error> {
        let (images, classes) = (logits.images(), logits.classes);
        let losses = logits.losses(labels)?;
        if images == 0 || reference.images() != images || reference.classes != classes {
            return Err(Error::Invalid(format!(
                "{images} images of {classes} classes need as many reference logits, not {} of {}",
                reference.images(),
                reference.classes
            )));
        }
        if let Some(at) = logits.values.iter().position(|value| !value.is_finite()) {
            return Err(Error::Invalid(format!(
                "image {} has a logit of {}; the model's arithmetic overflowed",
                at / classes,
                logits.values[at]
            )));
        }
        let rows = || logits.rows().zip(reference.rows());
        let mean = |samples: Vec<f64>| Estimate::of(&samples);
        let hit = |hit: bool| f64::from(u8::from(hit));
        Ok(Self {
            top1: mean(logits.rows().zip(labels).map(|(row, label)| hit(largest(row) == *label)).collect()),
            top5: mean(logits.rows().zip(labels).map(|(row, label)| hit(rank(row, *label) < 5)).collect()),
            cross_entropy: mean(losses),
            kl_to_reference: mean(rows().map(|(row, reference)| divergence(reference, row)).collect()),
            agreement: mean(rows().map(|(row, reference)| hit(largest(row) == largest(reference))).collect()),
        })
    }
}

/// The first of the largest.
fn largest(row: &[f32]) -> usize {
    row.iter().enumerate().fold(0, |best, (class, value)| if *value > row[best] { class } else { best })
}

/// How many classes come before `label` in the order of logits.
fn rank(row: &[f32], label: usize) -> usize {
    let before = |(class, value): (usize, &f32)| *value > row[label] || (*value == row[label] && class < label);
    row.iter().enumerate().filter(|at| before(*at)).count()
}

/// `sum p ln(p / q)` of two rows of logits.
fn divergence(p: &[f32], q: &[f32]) -> f64 {
    let (p_total, q_total) = (log_sum_exp(p), log_sum_exp(q));
    p.iter()
        .zip(q)
        .map(|(&p, &q)| {
            let (ln_p, ln_q) = (f64::from(p) - p_total, f64::from(q) - q_total);
            math::exp(ln_p) * (ln_p - ln_q)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_known_logits() {
        let logits = Logits::new(vec![2.0, 0.0, 0.0, 0.0, 1.0, 1.0], 3).unwrap();
        let reference = Logits::new(vec![2.0, 0.0, 0.0, 1.0, 0.0, 0.0], 3).unwrap();
        let result = Classification::of(&logits, &[0, 2], &reference).unwrap();
        assert_eq!(result.top1.mean, 0.5, "the lower class wins the tie");
        assert_eq!((result.agreement.mean, result.top5.mean), (0.5, 1.0));
        assert_eq!([0, 1, 2].map(|label| rank(&[1.0, 3.0, 1.0], label)), [1, 0, 2]);
        let p = math::exp(1.0) / (math::exp(1.0) + 2.0);
        let q = 1.0 / (2.0 * math::exp(1.0) + 1.0);
        let rest = (1.0 - p) / 2.0;
        let kl = p * math::ln(p / q) + 2.0 * rest * math::ln(rest / (math::exp(1.0) / (2.0 * math::exp(1.0) + 1.0)));
        assert!((result.kl_to_reference.mean - kl / 2.0).abs() < 1e-12);
    }

    #[test]
    fn refuses_what_does_not_fit() {
        let logits = Logits::new(vec![0.0; 6], 3).unwrap();
        assert!(Classification::of(&logits, &[0], &logits).is_err());
        assert!(Classification::of(&logits, &[0, 3], &logits).unwrap_err().to_string().contains("0 to 2"));
        assert!(Logits::new(vec![0.0; 7], 3).is_err());
    }
}
