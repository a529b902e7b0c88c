//! One candidate for each layer under a budget: the multiple-choice knapsack.
//!
//! For each layer of a model somebody has measured what each candidate (a format, a pattern, an order) costs, in bits or picojoules, and how
//! much the loss rises when that layer alone is compressed so. Wanted is the choice with the least sum of rises whose costs fit a budget.
//!
//! [`greedy`] walks along each layer's lower convex hull, [`exact`] searches with the linear relaxation as its bound. Ties go to the lower
//! cost, then to the lower index; sums of losses are taken in the order of the layers.

mod front;
mod search;

pub use search::exact;

use crate::Error;
use front::Front;

/// One way to compress a layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// What it takes of the budget.
    pub cost: u64,
    /// By how much the loss rises; noise may make it negative.
    pub loss: f64,
}

/// A candidate for each layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The index of each layer's candidate.
    pub picks: Vec<usize>,
    /// The sum of costs.
    pub cost: u64,
    /// The sum of losses.
    pub loss: f64,
}

/// What [`exact`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct Exact {
    /// The best choice that was seen.
    pub choice: Choice,
    /// Whether no choice within the budget is better; false where the search was cut at its limit.
    pub proven: bool,
}

impl Choice {
    fn of(layers: &[Vec<Candidate>], picks: Vec<usize>) -> Self {
        let chosen = || layers.iter().zip(&picks).map(|(layer, &pick)| layer[pick]);
        let (cost, loss) = (chosen().map(|c| c.cost).sum(), chosen().map(|c| c.loss).sum());
        Self { picks, cost, loss }
    }
}

/// Refuses what is no problem, and gives each layer's useful candidates.
fn fronts(layers: &[Vec<Candidate>], budget: u64) -> Result<Vec<Front>, Error> {
    if layers.is_empty() {
        return Err(Error::Invalid("there are no layers to choose for; give at least one".into()));
    }
    if let Some(layer) = layers.iter().position(Vec::is_empty) {
        return Err(Error::Invalid(format!("layer {layer} has no candidates; give each layer at least one")));
    }
    for (layer, candidates) in layers.iter().enumerate() {
        if let Some((index, c)) = candidates.iter().enumerate().find(|(_, c)| !c.loss.is_finite()) {
            return Err(Error::Invalid(format!(
                "candidate {index} of layer {layer} has the loss {}; losses must be finite",
                c.loss
            )));
        }
    }
    // No choice costs more than the dearest of all, and none loses more than the largest magnitudes together.
    let dearest = |layer: &Vec<Candidate>| layer.iter().map(|c| c.cost).max().unwrap_or(0);
    let sum = layers.iter().try_fold(0_u64, |sum, layer| sum.checked_add(dearest(layer)));
    let losses: f64 = layers.iter().flatten().map(|c| c.loss.abs()).sum();
    if sum.is_none() || !losses.is_finite() {
        return Err(Error::Invalid("the sum of all costs or losses overflows; scale them down".into()));
    }
    let fronts: Vec<Front> = layers.iter().map(|layer| Front::of(layer)).collect();
    let least: u64 = fronts.iter().map(|front| front.points[0].cost).sum();
    if least > budget {
        return Err(Error::Invalid(format!("a budget of {budget} is below {least}, what the cheapest choice costs")));
    }
    Ok(fronts)
}

/// The choice of a walk along every layer's hull, from the cheapest candidates on, by the largest fall of the loss for the cost; then single
/// changes fill what is left.
///
/// The loss is at most that of the linear relaxation plus the fall of one hull step, the first that did not fit: until then the walk is
/// that of the relaxation, and what comes after only lowers the loss.
///
/// # Errors
/// [`Error::Invalid`]: no layers or candidates, a loss that is not finite, sums that overflow, a budget below the cheapest choice.
pub fn greedy(layers: &[Vec<Candidate>], budget: u64) -> Result<Choice, Error> {
    let fronts = fronts(layers, budget)?;
    Ok(Choice::of(layers, walk(&fronts, budget)))
}

/// The picks of [`greedy`].
fn walk(fronts: &[Front], budget: u64) -> Vec<usize> {
    let mut at: Vec<usize> = vec![0; fronts.len()];
    let mut left = budget - fronts.iter().map(|front| front.points[0].cost).sum::<u64>();
    let mut closed = vec![false; fronts.len()];
    for step in front::steps(fronts) {
        if closed[step.layer] {
            continue;
        }
        if step.cost > left {
            // The steps behind this one begin where the layer never came.
            closed[step.layer] = true;
            continue;
        }
        left -= step.cost;
        at[step.layer] = step.to;
    }
    while let Some((layer, to)) = best_change(fronts, &at, left) {
        left -= fronts[layer].points[to].cost - fronts[layer].points[at[layer]].cost;
        at[layer] = to;
    }
    fronts.iter().zip(at).map(|(front, at)| front.points[at].index).collect()
}

/// The single change with the largest fall of the loss that fits, if there is one.
fn best_change(fronts: &[Front], at: &[usize], left: u64) -> Option<(usize, usize)> {
    let mut best: Option<(f64, usize, usize)> = None;
    for (layer, (front, &from)) in fronts.iter().zip(at).enumerate() {
        let now = front.points[from];
        for (to, point) in front.points.iter().enumerate().skip(from + 1) {
            let fall = now.loss - point.loss;
            if point.cost - now.cost <= left && best.is_none_or(|(known, ..)| fall > known) {
                best = Some((fall, layer, to));
            }
        }
    }
    best.map(|(_, layer, to)| (layer, to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn layer(candidates: &[(u64, f64)]) -> Vec<Candidate> {
        candidates.iter().map(|&(cost, loss)| Candidate { cost, loss }).collect()
    }

    /// Every choice within the budget; the least loss.
    fn enumerated(layers: &[Vec<Candidate>], budget: u64) -> Option<f64> {
        let mut best: Option<f64> = None;
        let count: usize = layers.iter().map(Vec::len).product();
        for mut code in 0..count {
            let mut picks = Vec::new();
            for layer in layers {
                picks.push(code % layer.len());
                code /= layer.len();
            }
            let choice = Choice::of(layers, picks);
            if choice.cost <= budget && best.is_none_or(|known| choice.loss < known) {
                best = Some(choice.loss);
            }
        }
        best
    }

    fn problem() -> impl Strategy<Value = (Vec<Vec<Candidate>>, u64)> {
        // Quarters are exact in binary, so that sums are too, in any order.
        let candidate = (0_u64..40, -8_i32..40).prop_map(|(cost, q)| Candidate { cost, loss: f64::from(q) * 0.25 });
        let layers = proptest::collection::vec(proptest::collection::vec(candidate, 1..6), 1..7);
        (layers, 0_u64..200)
    }

    proptest! {
        #[test]
        fn exact_is_what_all_choices_give((layers, budget) in problem()) {
            match (exact(&layers, budget), enumerated(&layers, budget)) {
                (Ok(found), Some(least)) => {
                    prop_assert!(found.proven && found.choice.cost <= budget);
                    prop_assert_eq!(found.choice.loss, least);
                }
                (Err(error), None) => prop_assert!(error.to_string().contains("cheapest")),
                (found, least) => prop_assert!(false, "{found:?} but {least:?}"),
            }
        }

        #[test]
        fn greedy_fits_and_is_near((layers, budget) in problem()) {
            if let (Ok(quick), Ok(best)) = (greedy(&layers, budget), exact(&layers, budget)) {
                prop_assert!(quick.cost <= budget && quick.loss >= best.choice.loss);
                let fronts = fronts(&layers, budget).unwrap();
                let largest = front::steps(&fronts).map(|step| step.fall).fold(0.0, f64::max);
                prop_assert!(quick.loss <= best.choice.loss + largest);
            }
        }

        #[test]
        fn more_budget_never_hurts((layers, budget) in problem(), more in 0_u64..50) {
            if let (Ok(less), Ok(greater)) = (exact(&layers, budget), exact(&layers, budget + more)) {
                prop_assert!(greater.choice.loss <= less.choice.loss);
            }
        }
    }

    #[test]
    fn by_hand() {
        let layers = [layer(&[(4, 0.0), (1, 3.0), (2, 1.0)]), layer(&[(1, 1.0), (3, 0.5)])];
        let all = greedy(&layers, 100).unwrap();
        assert_eq!(all, Choice { picks: vec![0, 1], cost: 7, loss: 0.5 });
        let tight = exact(&layers, 3).unwrap();
        assert_eq!(tight.choice, Choice { picks: vec![2, 0], cost: 3, loss: 2.0 });
        assert_eq!(greedy(&layers, 3).unwrap(), tight.choice);
        // A candidate that costs more and loses more is never taken, nor one of two equal ones but the first.
        let equal = [layer(&[(2, 1.0), (2, 1.0), (3, 1.0)])];
        assert_eq!(exact(&equal, 9).unwrap().choice.picks, [0]);
    }

    #[test]
    fn what_is_no_problem_is_refused() {
        let message = |layers: &[Vec<Candidate>], budget| exact(layers, budget).unwrap_err().to_string();
        assert!(message(&[], 1).contains("no layers"));
        assert!(message(&[layer(&[(1, 0.0)]), Vec::new()], 1).contains("layer 1"));
        assert!(message(&[layer(&[(1, f64::NAN)])], 1).contains("finite"));
        assert!(message(&[layer(&[(7, 0.0)]), layer(&[(5, 0.0)])], 11).contains("12"));
        assert!(message(&[layer(&[(u64::MAX, 0.0)]), layer(&[(1, 0.0)])], 1).contains("overflows"));
        assert!(message(&[layer(&[(1, f64::MAX)]), layer(&[(1, f64::MAX)])], 2).contains("overflows"));
    }
}
