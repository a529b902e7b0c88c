//! The interpreter of records: one output after the other, in exact arithmetic. It is the definition that judges the
//! fast kernels, so it has no fast paths of its own.

use super::record::{Align, Arm, Datapath, Group, Joins, Node, Order, Round, Sum, Unit, Zero};
use super::term::{NO_EXPONENT, Term, emin};
use crate::exact;
use interplay_formats::{Exact, Grid, Lost, Rounding, Value};

/// Someone who looks on; by default at nothing.
///
/// An instruction tells all its products; then its steps, each with the sums of the tree, inner ones first; then, where
/// the accumulator joins last, that sum. Roundings follow the product or the sum that they belong to.
pub(crate) trait Watch {
    /// An instruction begins.
    fn instruction(&mut self) {}
    /// An exact product, within the unit's bound.
    fn product(&mut self, _product: Term) {}
    /// A step begins, on these positions of the instruction.
    fn step(&mut self, _positions: &[usize]) {}
    /// Terms are aligned to an exponent and cut; their sum follows.
    fn aligned(&mut self, _exponent: i32, _terms: &[Cut]) {}
    /// Terms were summed.
    fn summed(&mut self, _terms: &[Term], _sum: Value) {}
    /// A sum or a product was rounded.
    fn rounded(&mut self, _before: Value, _round: &Round, _after: Value, _lost: Lost) {}
}

impl Watch for () {}

/// A term before and after it was brought to the common exponent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub kept: Exact,
    pub fraction_bits: u32,
}

/// The two rows of one output, read by the ports.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    /// Stored elements of A, `[k]` or, where A is sparse, `[k * n / m]`.
    pub a: &'a [Term],
    /// Elements of B that meet them, as many.
    pub b: &'a [Term],
    /// Products of an instruction.
    pub depth: usize,
    /// Elements of an operand's block, for [`Group::Block`].
    pub block: usize,
}

impl Datapath {
    /// `c + a . b`, instruction by instruction; a short last one is filled with products of zeros.
    pub(crate) fn evaluate(&self, rows: Rows<'_>, c: Term, watch: &mut impl Watch) -> Value {
        let depth = rows.depth.max(1);
        let mut accumulator = c;
        let instructions = rows.a.chunks(depth).zip(rows.b.chunks(depth));
        for (a, b) in instructions {
            watch.instruction();
            let mut products: Vec<Term> = a.iter().zip(b).map(|(&a, &b)| self.multiplied(a, b, watch)).collect();
            if !self.depths.is_empty() {
                products.resize(depth, Term::ZERO);
            }
            accumulator = self.instruction(&products, rows.block, accumulator, watch);
        }
        self.signed(accumulator.value)
    }

    /// One product.
    fn multiplied(&self, a: Term, b: Term, watch: &mut impl Watch) -> Term {
        let mut term = a.times(b);
        let leading = term.value.finite().and_then(Exact::leading_exponent);
        if let (Value::Finite(x), Some(leading), Some(limit)) = (term.value, leading, self.product.infinite_from)
            && leading >= limit
        {
            term.value = Value::Infinite { negative: x.negative };
        }
        watch.product(term);
        match &self.product.round {
            Some(round) => rounded(term, std::slice::from_ref(round), watch),
            None => term,
        }
    }

    /// One instruction on all its products.
    fn instruction(&self, products: &[Term], block: usize, c: Term, watch: &mut impl Watch) -> Term {
        let positions = self.order.positions(products.len());
        let mut accumulator = match self.order.joins {
            Joins::First => c,
            Joins::Last(_) => Term::ZERO,
        };
        for step in positions.chunks(self.order.group.length(products.len(), block)) {
            watch.step(step);
            let products: Vec<Term> = step.iter().map(|&k| products[k]).collect();
            accumulator = self.sum.evaluate(&products, accumulator, watch);
        }
        if let Joins::Last(round) = &self.order.joins {
            let terms = [accumulator, c];
            let value = exact_sum(&terms, round.rounding);
            watch.summed(&terms, value);
            let sum = Term { value, exponent: accumulator.exponent.max(c.exponent) };
            accumulator = rounded(sum, std::slice::from_ref(round), watch);
        }
        accumulator
    }

    /// A result of zero with the sign that the unit gives it.
    fn signed(&self, value: Value) -> Value {
        match value {
            Value::Finite(x) if x.is_zero() && self.accumulator.zero == Zero::Positive => Value::Finite(Exact::ZERO),
            value => value,
        }
    }
}

impl Order {
    /// The positions of an instruction of `depth` in the order of the steps.
    pub fn positions(&self, depth: usize) -> Vec<usize> {
        let modulus = self.classes.iter().map(|class| class.len()).sum::<usize>().max(1);
        if self.classes.len() < 2 {
            return (0..depth).collect();
        }
        self.classes.iter().flat_map(|class| (0..depth).filter(|k| class.contains(&(k % modulus)))).collect()
    }
}

impl Group {
    /// Products of a step.
    pub(crate) fn length(self, depth: usize, block: usize) -> usize {
        let length = match self {
            Self::All => depth,
            Self::Block => block,
            Self::Of(length) => length.min(depth),
        };
        length.max(1)
    }
}

impl Sum {
    /// The sum over the products of a step and the accumulator.
    pub(crate) fn evaluate(&self, products: &[Term], accumulator: Term, watch: &mut impl Watch) -> Term {
        let mut terms: Vec<(Term, &Arm)> = Vec::with_capacity(products.len() + 1);
        for arm in self.arms {
            terms.extend(arm.node.terms(products, accumulator, watch).into_iter().map(|term| (term, arm)));
        }
        let plain: Vec<Term> = terms.iter().map(|(term, _)| *term).collect();
        let (value, exponent) = match (special(&plain), self.align) {
            (Some(value), _) => (value, NO_EXPONENT),
            (None, Some(align)) => aligned_sum(align, &terms, watch),
            (None, None) => {
                let rounding = self.round.first().map_or(Rounding::NearestEven, |round| round.rounding);
                (exact_sum(&plain, rounding), plain.iter().map(|term| term.exponent).fold(NO_EXPONENT, i32::max))
            }
        };
        watch.summed(&plain, value);
        rounded(Term { value, exponent }, self.round, watch)
    }
}

impl Node {
    /// The terms of this input.
    fn terms(&self, products: &[Term], accumulator: Term, watch: &mut impl Watch) -> Vec<Term> {
        match *self {
            Self::Products { first, every } => products.iter().skip(first).step_by(every.max(1)).copied().collect(),
            Self::Accumulator => vec![accumulator],
            Self::Sum(sum) => vec![sum.evaluate(products, accumulator, watch)],
            Self::Runs { length, sum } => {
                products.chunks(length.max(1)).map(|run| sum.evaluate(run, accumulator, watch)).collect()
            }
        }
    }
}

/// The result of terms among which an infinity or a NaN is.
fn special(terms: &[Term]) -> Option<Value> {
    let has = |negative| terms.iter().any(|term| term.value == Value::Infinite { negative });
    let nan = terms.iter().any(|term| term.value == Value::Nan);
    match (has(false), has(true)) {
        _ if nan => Some(Value::Nan),
        (true, true) => Some(Value::Nan),
        (false, false) => None,
        (_, negative) => Some(Value::Infinite { negative }),
    }
}

/// Terms brought to a common exponent, cut, and added; and that exponent.
fn aligned_sum(align: Align, terms: &[(Term, &Arm)], watch: &mut impl Watch) -> (Value, i32) {
    let exponent = terms.iter().map(|(term, _)| term.exponent).fold(align.floor, i32::max);
    let cuts: Vec<Cut> = terms.iter().map(|(term, arm)| cut(*term, arm, exponent)).collect();
    watch.aligned(exponent, &cuts);
    let mut sum = exact::Sum::new();
    cuts.iter().for_each(|cut| sum.add(cut.kept));
    (Value::Finite(sum.value()), exponent)
}

/// One term at the common exponent.
fn cut(term: Term, arm: &Arm, exponent: i32) -> Cut {
    let x = term.value.finite().unwrap_or(Exact::ZERO);
    let dropped = arm.reach.is_some_and(|reach| term.exponent < exponent - reach as i32);
    let grid = Grid { precision: None, lsb_min: exponent - arm.fraction_bits as i32 };
    let kept = if dropped { Exact::ZERO } else { grid.round(x, arm.rounding).0 };
    Cut { kept, fraction_bits: arm.fraction_bits }
}

/// The exact sum of finite terms; the sign of an exact zero is the one that IEEE 754 gives it.
fn exact_sum(terms: &[Term], rounding: Rounding) -> Value {
    if let Some(value) = special(terms) {
        return value;
    }
    let mut sum = exact::Sum::new();
    terms.iter().filter_map(|term| term.value.finite()).for_each(|x| sum.add(x));
    let mut x = sum.value();
    if x.is_zero() {
        let negative = |term: &Term| term.value.finite().is_some_and(|x| x.is_zero() && x.negative);
        let positive = |term: &Term| term.value.finite().is_some_and(|x| x.is_zero() && !x.negative);
        let all = !terms.is_empty() && terms.iter().all(negative);
        x.negative = all || rounding == Rounding::Down && !terms.iter().all(positive);
    }
    Value::Finite(x)
}

/// A sum after its roundings, which may be none. A unit of [`Unit::Scale`] is two to the exponent of the sum's terms.
fn rounded(sum: Term, rounds: &[Round], watch: &mut impl Watch) -> Term {
    rounds.iter().fold(sum, |term, round| {
        let shift = if round.unit == Unit::Scale && sum.exponent != NO_EXPONENT { sum.exponent } else { 0 };
        let (after, lost) = round.apply(scaled(term.value, -shift));
        let value = scaled(after, shift);
        watch.rounded(term.value, round, value, lost);
        match round.unit {
            Unit::One => Term::of(value, emin(round.format)),
            Unit::Scale => Term { value, exponent: sum.exponent },
        }
    })
}

/// The value times `2^power`.
fn scaled(value: Value, power: i32) -> Value {
    value.finite().map_or(value, |x| Value::Finite(x.scaled(power)))
}
