//! Branch and bound.

use super::front::{Front, Step, steps};
use super::{Candidate, Choice, Exact, fronts, walk};
use crate::Error;

/// Nodes after which the search gives what it has: a second or so.
const NODES: u64 = 1 << 21;

/// The choice with the least loss within the budget.
///
/// Layers are decided one after the other; what the others can still reach is bounded by the linear relaxation of their hulls. The bound is a
/// float, so a branch is cut only where it is worse by more than rounding can make it. After two million nodes the best
/// choice so far is given as unproven.
///
/// # Errors
/// Those of [`greedy`](super::greedy).
pub fn exact(layers: &[Vec<Candidate>], budget: u64) -> Result<Exact, Error> {
    let fronts = fronts(layers, budget)?;
    let picks = walk(&fronts, budget);
    let incumbent = Choice::of(layers, picks);
    // The cheapest and the loss at the cheapest of all layers from each one on.
    let mut tails = vec![(0, 0.0)];
    for front in fronts.iter().rev() {
        let (cost, loss) = tails[tails.len() - 1];
        tails.push((cost + front.points[0].cost, loss + front.points[0].loss));
    }
    tails.reverse();
    let steps: Vec<Step> = steps(&fronts).collect();
    // Each bound adds at most one term a layer and one a step, and each sum is at most that of all magnitudes, twice for the steps: every
    // addition rounds by half an ulp of that, and the fraction of the last step by two more.
    let magnitude: f64 = layers.iter().map(|layer| layer.iter().map(|c| c.loss.abs()).fold(0.0, f64::max)).sum();
    let terms = (layers.len() + steps.len() + 4) as f64;
    let slack = 4.0 * terms * f64::EPSILON * magnitude;
    let mut search =
        Search { layers, fronts: &fronts, steps, tails, slack, best: incumbent, picks: Vec::new(), nodes: 0 };
    search.visit(0, 0.0, budget);
    let proven = search.nodes < NODES;
    Ok(Exact { choice: search.best, proven })
}

struct Search<'a> {
    layers: &'a [Vec<Candidate>],
    fronts: &'a [Front],
    steps: Vec<Step>,
    /// By layer: cost and loss of the cheapest choice from it on.
    tails: Vec<(u64, f64)>,
    slack: f64,
    best: Choice,
    picks: Vec<usize>,
    nodes: u64,
}

impl Search<'_> {
    /// Decides layer `layer` and those behind it; `loss` is that of the layers before, `left` what they leave.
    fn visit(&mut self, layer: usize, loss: f64, left: u64) {
        self.nodes += 1;
        if self.nodes >= NODES {
            return;
        }
        if layer == self.fronts.len() {
            let choice = Choice::of(self.layers, self.picks.clone());
            if choice.loss < self.best.loss {
                self.best = choice;
            }
            return;
        }
        if loss + self.bound(layer, left) - self.slack >= self.best.loss {
            return;
        }
        let tail = self.tails[layer + 1].0;
        // The best candidate first: what follows is then cut early.
        for place in (0..self.fronts[layer].points.len()).rev() {
            let point = self.fronts[layer].points[place];
            if point.cost.checked_add(tail).is_some_and(|needed| needed <= left) {
                self.picks.push(point.index);
                self.visit(layer + 1, loss + point.loss, left - point.cost);
                self.picks.pop();
            }
        }
    }

    /// What the layers from `layer` on lose at least with `left`: the linear relaxation.
    fn bound(&self, layer: usize, left: u64) -> f64 {
        let (cost, mut loss) = self.tails[layer];
        let mut left = left.saturating_sub(cost);
        for step in self.steps.iter().filter(|step| step.layer >= layer) {
            if step.cost > left {
                return loss - step.fall * (left as f64 / step.cost as f64);
            }
            left -= step.cost;
            loss -= step.fall;
        }
        loss
    }
}
