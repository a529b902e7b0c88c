//! From sensitivities to choices.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use interplay::compress::allocate::{Candidate, Exact, exact, greedy};

use super::read;
use crate::engine::kind::{Done, Planned};
use crate::studies::evaluated::Evaluated;

/// A rise of the loss, in nats, that stands for any that is larger or not finite: no model predicts that badly by less than overflowing.
const OVERFLOWED: f64 = 1e4;

/// What is budgeted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resource {
    /// Stored bits of the layers.
    Bits,
    /// Energy of their products.
    Energy,
}

impl Resource {
    pub(super) fn by_name(name: &str) -> Result<Self> {
        match name {
            "bits" => Ok(Self::Bits),
            "energy" => Ok(Self::Energy),
            _ => bail!("[options]: there is no resource `{name}`; give `bits` or `energy`"),
        }
    }
}

/// A budget.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) resource: Resource,
    /// Of what the dearest candidate takes in all layers.
    pub(super) percent: u64,
}

/// What one candidate does to one layer.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Effect {
    /// Stored bits.
    bits: u64,
    /// Picojoules, rounded up.
    energy: u64,
    /// By how much the mean loss of the first half rises.
    loss: f64,
}

/// What is known of every layer and candidate of one model.
#[derive(Debug)]
pub(super) struct Sensitivities {
    layers: Vec<String>,
    candidates: Vec<String>,
    /// By layer, then by candidate.
    effects: Vec<Vec<Effect>>,
    /// The rise where all layers have the same candidate.
    uniform: Vec<f64>,
}

/// A choice for every layer.
#[derive(Debug)]
pub(super) struct Choice {
    /// `greedy`, `exact`, `uniform`.
    pub(super) method: &'static str,
    /// Whether no choice has a smaller sum of rises.
    pub(super) proven: bool,
    /// The sum of the layers' rises.
    pub(super) predicted: f64,
    /// The candidate of each layer.
    pub(super) picks: BTreeMap<String, String>,
}

/// The mean loss of the half that chooses.
fn chooses(evaluated: &Evaluated) -> f64 {
    mean(&evaluated.losses[..evaluated.losses.len() / 2])
}

/// The mean loss of the half that judges.
pub(super) fn judges(evaluated: &Evaluated) -> f64 {
    mean(judging(evaluated))
}

/// The losses of the half that judges.
pub(super) fn judging(evaluated: &Evaluated) -> &[f64] {
    &evaluated.losses[evaluated.losses.len() / 2..]
}

fn mean(losses: &[f64]) -> f64 {
    losses.iter().sum::<f64>() / losses.len().max(1) as f64
}

impl Sensitivities {
    /// What the cells `planned` said; none where one is not done.
    pub(super) fn of(planned: &[Planned], done: &Done) -> Result<Option<Self>> {
        let mut results = Vec::new();
        for cell in planned {
            let Some(result) = done.get(&cell.key) else { return Ok(None) };
            results.push(read(result)?);
        }
        let Some(dense) = results.iter().find(|(key, _)| key.text("layer").is_ok_and(|l| l == "none")) else {
            return Ok(None);
        };
        let dense = chooses(&dense.1);
        let mut known = Self { layers: Vec::new(), candidates: Vec::new(), effects: Vec::new(), uniform: Vec::new() };
        for (key, evaluated) in &results {
            let c = &evaluated.cell;
            let rise = chooses(evaluated) - dense;
            // A choice that overflows is none; a rise beyond all others keeps the arithmetic of the search.
            let rise = if rise.is_finite() { rise.min(OVERFLOWED) } else { OVERFLOWED };
            match key.text("layer")? {
                "none" => {}
                "all" => {
                    known.candidates.push(format!("{} {} {}", c.format, c.sparsity, c.order));
                    known.uniform.push(rise);
                }
                layer => {
                    let Some(cost) = evaluated.layers.iter().find(|cost| cost.layer == layer) else {
                        bail!("the layer `{layer}` has no cost");
                    };
                    if known.layers.last().is_none_or(|last| last != layer) {
                        known.layers.push(layer.to_owned());
                        known.effects.push(Vec::new());
                    }
                    let effect =
                        Effect { bits: cost.bits.unwrap_or(0), energy: cost.energy_pj.ceil() as u64, loss: rise };
                    known.effects.last_mut().expect("a layer was pushed").push(effect);
                }
            }
        }
        Ok(Some(known))
    }

    fn candidates(&self, resource: Resource) -> Vec<Vec<Candidate>> {
        let candidate = |effect: &Effect| Candidate {
            cost: match resource {
                Resource::Bits => effect.bits,
                Resource::Energy => effect.energy,
            },
            loss: effect.loss,
        };
        self.effects.iter().map(|layer| layer.iter().map(candidate).collect()).collect()
    }

    fn picks(&self, indices: &[usize]) -> BTreeMap<String, String> {
        let pick = |(layer, &index): (&String, &usize)| (layer.clone(), self.candidates[index].clone());
        self.layers.iter().zip(indices).map(pick).collect()
    }
}

/// The choices under a budget: greedy, exact, and the best single candidate; none where nothing fits.
pub(super) fn choices(known: &Sensitivities, budget: &Budget) -> Result<Vec<Choice>> {
    let layers = known.candidates(budget.resource);
    let total = |index: usize| layers.iter().map(|layer| layer[index].cost).sum::<u64>();
    let dearest = (0..known.candidates.len()).map(total).max().unwrap_or(0);
    let limit = u64::try_from(u128::from(dearest) * u128::from(budget.percent) / 100).unwrap_or(u64::MAX);
    let least: u64 = layers.iter().filter_map(|layer| layer.iter().map(|c| c.cost).min()).sum();
    if least > limit {
        return Ok(Vec::new());
    }
    let quick = greedy(&layers, limit)?;
    let Exact { choice, proven } = exact(&layers, limit)?;
    let mut found = vec![
        Choice { method: "greedy", proven: false, predicted: quick.loss, picks: known.picks(&quick.picks) },
        Choice { method: "exact", proven, predicted: choice.loss, picks: known.picks(&choice.picks) },
    ];
    // The rival is chosen by what all layers together did, which is more than the sum of each alone can know.
    let fits = (0..known.candidates.len()).filter(|&index| total(index) <= limit);
    if let Some(index) = fits.min_by(|&a, &b| known.uniform[a].total_cmp(&known.uniform[b])) {
        let picks = vec![index; layers.len()];
        let predicted = layers.iter().map(|layer| layer[index].loss).sum();
        found.push(Choice { method: "uniform", proven: false, predicted, picks: known.picks(&picks) });
    }
    Ok(found)
}
