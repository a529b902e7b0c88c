//! Theorem 3.7: how far Q→S may exceed the sum of the errors of each.

use super::case::Case;
use super::measure::{Block, Errors};
use super::steps;
use super::tally::{Bound, Example};
use crate::theory::exact;
use interplay_formats::Scale;

/// What rounds in FP32 under a real or coded scale: quotients, products, reciprocals, at most 16 of 2^-24 each.
const REAL: f64 = 1.0 / (1 << 20) as f64;
/// The same below FP32's normal numbers: 32 of the smallest subnormal.
const SUBNORMAL: f64 = 32.0 * SMALLEST;
/// The smallest subnormal of FP32, 2^-149.
const SMALLEST: f64 = 1.401298464324817e-45;

/// The bounds of all blocks of a case.
pub(super) struct Bounds {
    /// How many steps rounding adds at most.
    round_up: f64,
    groups: Vec<Group>,
    /// Scales of a block.
    pub(super) scales: usize,
    /// What FP32 arithmetic may add to a value, relative and absolute.
    slack: (f64, f64),
}

/// Values among which the pattern ranks.
struct Group {
    /// The scales under which they lie.
    scales: Vec<usize>,
    pruned: f64,
    /// Pairs of a value pruned only before quantisation and one pruned only after it, at most.
    swaps: f64,
}

impl Bounds {
    /// `None` where no bound is claimed.
    pub(super) fn of(case: &Case) -> Option<Self> {
        let round_up = case.largest_round_up()?;
        let shape = case.shape;
        let (tall, wide) = steps::extent(case.format, shape);
        let across = shape.k.div_ceil(wide);
        let group = |(places, kept): (std::ops::Range<usize>, usize)| {
            let pruned = places.len() - kept;
            let mut scales: Vec<usize> = places.map(|i| i / shape.k / tall * across + i % shape.k / wide).collect();
            scales.sort_unstable();
            scales.dedup();
            Group { scales, pruned: pruned as f64, swaps: kept.min(pruned) as f64 }
        };
        let slack = match case.format.scaling.map(|s| s.scale) {
            None | Some(Scale::E8M0 | Scale::Exponent(_) | Scale::Micro { .. }) => (0.0, SMALLEST),
            Some(_) => (REAL, SUBNORMAL),
        };
        let groups = case.groups().into_iter().map(group).collect();
        Some(Self { round_up, groups, scales: shape.rows.div_ceil(tall) * across, slack })
    }

    /// Counts a block whose scales have these gaps.
    pub(super) fn count(&self, block: &Block, errors: &Errors, steps: &[f64], bound: &mut Bound) {
        bound.blocks += 1;
        if errors.excess <= -errors.doubt || errors.excess == 0.0 && errors.doubt == 0.0 {
            return;
        }
        let widest = |group: &Group| group.scales.iter().map(|&scale| steps[scale]).fold(0.0, f64::max);
        let (mut tight, mut paper, mut swaps) = (0.0, 0.0, 0.0);
        for group in &self.groups {
            let step = widest(group);
            tight += self.round_up * step * group.swaps;
            paper += 2.0 * step * group.pruned;
            swaps += group.swaps;
        }
        let amax = block.x.iter().fold(0.0f32, |m, v| m.max(v.abs()));
        let slack = swaps * (self.slack.0 * f64::from(amax) + self.slack.1);
        bound.exceeding += u64::from(errors.excess > errors.doubt || above(block, errors, 0.0));
        bound.violations += u64::from(above(block, errors, tight + slack));
        bound.paper_violations += u64::from(above(block, errors, paper + slack));
        if errors.excess > 0.0 && tight > 0.0 {
            let tightness = errors.excess / tight;
            bound.bins[((tightness * 20.0) as usize).min(19)] += 1;
            bound.paper_tightness = bound.paper_tightness.max(errors.excess / paper);
            if tightness >= bound.tightness {
                let example = Some(block.example(errors.excess));
                let kept = bound.example.take().filter(|_| tightness == bound.tightness);
                bound.example = Example::first(kept, example);
                bound.tightness = tightness;
            }
        }
    }
}

/// Whether the excess of a block is above a limit, exactly.
fn above(block: &Block, errors: &Errors, limit: f64) -> bool {
    if (errors.excess - limit).abs() > errors.doubt + 4.0 * f64::EPSILON * limit {
        return errors.excess > limit;
    }
    exact::excess(block.x, block.q, block.s, block.both) > exact::integer(limit)
}
