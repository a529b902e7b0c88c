//! One block: the error of both steps against the errors of each, in FP64 where that tells, else exactly.

use super::tally::{Example, Norms, Tally};
use crate::theory::exact;
use std::cmp::Ordering;

/// A block and what became of it, of the same length each.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) index: u64,
    pub(super) x: &'a [f32],
    pub(super) q: &'a [f32],
    pub(super) s: &'a [f32],
    pub(super) both: &'a [f32],
}

/// What FP64 sees of the errors of a block: of both, and of each added up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Errors {
    both: Norms<f64>,
    apart: Norms<f64>,
    /// The sum over elements of |x - both| - |x - q| - |x - s|; elements that cancel are left out and cost no precision.
    pub(super) excess: f64,
    /// What rounding may have moved `excess` by.
    pub(super) doubt: f64,
}

/// Which relations hold element by element.
#[derive(Clone, Copy)]
struct Elements {
    greater: bool,
    less: bool,
    /// Quantisation alone left every pruned value as it was.
    pruned_on_grid: bool,
}

impl Block<'_> {
    fn quadruples(&self) -> impl Iterator<Item = (f32, f32, f32, f32)> {
        let pairs = self.x.iter().zip(self.q);
        pairs.zip(self.s.iter().zip(self.both)).map(|((&x, &q), (&s, &both))| (x, q, s, both))
    }

    /// A bound of the relative error of a sum of so many terms that were rounded twice before.
    fn precision(&self) -> f64 {
        (self.x.len() + 8) as f64 * f64::EPSILON
    }

    pub(super) fn errors(&self) -> Errors {
        let mut errors = Errors::default();
        let (mut q, mut s) = (Norms::default(), Norms::default());
        let mut doubtful = 0.0;
        let add = |sums: &mut Norms<f64>, d: f64| {
            sums.l1 += d;
            sums.l2 += d * d;
            sums.linf = if d > sums.linf { d } else { sums.linf };
        };
        for (x, own_q, own_s, both) in self.quadruples() {
            let distance = |y: f32| (f64::from(x) - f64::from(y)).abs();
            let (to_q, to_s, to_both) = (distance(own_q), distance(own_s), distance(both));
            add(&mut q, to_q);
            add(&mut s, to_s);
            add(&mut errors.both, to_both);
            let excess = (to_both - to_q) - to_s;
            errors.excess += excess;
            doubtful += if excess == 0.0 { 0.0 } else { to_both + to_q + to_s };
        }
        errors.both.l2 = errors.both.l2.sqrt();
        errors.apart = Norms { element: 0.0, l1: q.l1 + s.l1, l2: q.l2.sqrt() + s.l2.sqrt(), linf: q.linf + s.linf };
        errors.doubt = self.precision() * doubtful;
        errors
    }

    /// Compares element by element, exactly.
    fn elements(&self) -> Elements {
        // What almost every element is: kept and rounded as without pruning, or pruned by both. No branch, so that many go at once.
        let (mut usual, mut less, mut pruned_on_grid) = (true, false, true);
        for (x, q, s, both) in self.quadruples() {
            let (kept, pruned) = ((s == x) & (both == q), (s == 0.0) & (both == 0.0));
            usual &= kept | pruned;
            less |= !kept & (q != x);
            pruned_on_grid &= (s == x) | (q == x);
        }
        if usual {
            return Elements { greater: false, less, pruned_on_grid };
        }
        let mut found = Elements { greater: false, less: false, pruned_on_grid };
        for (x, q, s, both) in self.quadruples() {
            let order = element(x, q, s, both);
            found.greater |= order.is_gt();
            found.less |= order.is_lt();
        }
        found
    }

    /// How both compares with the sum of each in every norm, exactly. Where no element exceeds, no norm does: all of them grow with
    /// magnitudes and obey the triangle inequality.
    fn exceeds(&self, errors: &Errors) -> Norms<bool> {
        let sure = self.precision();
        let above = |both: f64, apart: f64, exactly: &dyn Fn() -> Ordering| {
            if (both - apart).abs() > sure * apart { both > apart } else { exactly().is_gt() }
        };
        let (x, q, s, y) = (self.x, self.q, self.s, self.both);
        let l1 = || exact::excess(x, q, s, y).cmp(&num_bigint::BigInt::ZERO);
        let Errors { both, apart, .. } = errors;
        Norms {
            element: true,
            l1: if errors.excess.abs() > errors.doubt { errors.excess > 0.0 } else { l1().is_gt() },
            l2: above(both.l2, apart.l2, &|| exact::euclidean(x, q, s, y)),
            linf: above(both.linf, apart.linf, &|| exact::largest(x, q, s, y)),
        }
    }

    /// Counts the block.
    pub(super) fn count(&self, errors: &Errors, tally: &mut Tally) {
        let elements = self.elements();
        tally.blocks += 1;
        let equal = !elements.greater && !elements.less;
        tally.equal += u64::from(equal);
        tally.pruned_on_grid += u64::from(elements.pruned_on_grid);
        tally.unexplained += u64::from(equal != elements.pruned_on_grid);
        let quotients = errors.both.zip(errors.apart, |both, apart| if apart > 0.0 { both / apart } else { 0.0 });
        tally.worst = tally.worst.zip(quotients, f64::max);
        if !elements.greater {
            return;
        }
        let exceeds = self.exceeds(errors);
        tally.violations = tally.violations.zip(exceeds, |count, exceeds| count + u64::from(exceeds));
        let excess = errors.both.zip(errors.apart, |both, apart| both - apart);
        let excess = Norms { element: self.largest_excess(), l1: errors.excess, ..excess };
        let examples = std::mem::take(&mut tally.examples);
        let candidates = exceeds.zip(excess, |exceeds, excess| exceeds.then_some(excess));
        tally.examples = examples.zip(candidates, |example, excess| self.better(example, excess));
    }

    fn largest_excess(&self) -> f64 {
        let excess = |(x, q, s, both): (f32, f32, f32, f32)| {
            let distance = |y: f32| (f64::from(x) - f64::from(y)).abs();
            (distance(both) - distance(q)) - distance(s)
        };
        self.quadruples().map(excess).fold(f64::NEG_INFINITY, f64::max)
    }

    /// The smaller example of one and this block, if this one exceeds at all.
    fn better(&self, example: Option<Example>, excess: Option<f64>) -> Option<Example> {
        let Some(excess) = excess else { return example };
        if example.as_ref().is_some_and(|e| !e.may_yield(self.nonzero(), excess)) {
            return example;
        }
        Example::first(example, Some(self.example(excess)))
    }

    fn nonzero(&self) -> usize {
        self.x.iter().filter(|x| **x != 0.0).count()
    }

    pub(super) fn example(&self, excess: f64) -> Example {
        Example {
            index: self.index,
            nonzero: self.nonzero(),
            excess,
            x: self.x.to_vec(),
            q: self.q.to_vec(),
            s: self.s.to_vec(),
            both: self.both.to_vec(),
        }
    }
}

/// |x - both| against |x - q| + |x - s|, exactly.
#[inline]
fn element(x: f32, q: f32, s: f32, both: f32) -> Ordering {
    if s == x && both == q {
        return Ordering::Equal;
    }
    if s == 0.0 && both == 0.0 {
        return if q == x { Ordering::Equal } else { Ordering::Less };
    }
    let distance = |y: f32| (f64::from(x) - f64::from(y)).abs();
    let (to_both, apart) = (distance(both), distance(q) + distance(s));
    // Two differences and a sum, each rounded once.
    if (to_both - apart).abs() > 4.0 * f64::EPSILON * apart {
        return to_both.total_cmp(&apart);
    }
    exact::element(x, q, s, both)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(x: &[f32], q: &[f32], s: &[f32], both: &[f32]) -> Tally {
        let block = Block { index: 0, x, q, s, both };
        let mut tally = Tally::default();
        block.count(&block.errors(), &mut tally);
        tally
    }

    /// FP64 sees 1 on both sides; one is 2^-149 more.
    #[test]
    fn what_fp64_cannot_tell_is_told() {
        let tiny = f32::from_bits(1);
        let more = tally(&[1.0, 0.0], &[1.0, 0.0], &[0.0, 0.0], &[-tiny, 0.0]);
        assert_eq!(more.violations, Norms { element: 1, l1: 1, l2: 1, linf: 1 });
        assert_eq!(more.worst, Norms { element: 0.0, l1: 1.0, l2: 1.0, linf: 1.0 });
        assert_eq!(more.examples.l1.map(|e| (e.nonzero, e.x)), Some((1, vec![1.0, 0.0])));
        let equal = tally(&[1.0, 0.0], &[1.0, 0.0], &[0.0, 0.0], &[0.0, 0.0]);
        assert_eq!((equal.violations.is_zero(), equal.equal), (true, 1));
        let less = tally(&[1.0, 0.0], &[1.0, 0.0], &[0.0, 0.0], &[tiny, 0.0]);
        assert_eq!((less.violations.is_zero(), less.equal, less.unexplained), (true, 0, 1));
    }

    /// One element exceeds, and what others gain decides norm by norm.
    #[test]
    fn norms_decide_for_themselves() {
        let found = tally(&[4.0, 3.0], &[4.0, 3.0], &[4.0, 0.0], &[2.0, 3.0]);
        assert_eq!(found.violations, Norms { element: 1, l1: 0, l2: 0, linf: 0 });
        let found = tally(&[4.0, 3.0], &[4.0, 3.0], &[4.0, 0.0], &[1.0, 2.5]);
        assert_eq!(found.violations, Norms { element: 1, l1: 1, l2: 1, linf: 0 });
        assert!(found.examples.linf.is_none() && found.examples.l2.is_some());
    }
}
