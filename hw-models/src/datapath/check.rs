//! Which records make sense.

use super::record::{Codes, Datapath, Group, Inputs, Node, Overflow, Round, Sum};
use crate::Error;
use crate::exact;
use interplay_formats::{Encoding, Rounding, Scalar};

/// Bits that an aligned term keeps at most, so that every sum of a step fits the exact arithmetic behind it.
const WIDEST: u32 = 80;
/// Exponents that a floor may have.
const FLOORS: std::ops::RangeInclusive<i32> = -2000..=2000;

/// A field and what is wrong with it.
type Problem = (&'static str, String);

impl Datapath {
    /// Whether the record can exist.
    ///
    /// # Errors
    /// [`Error::Record`] with the first field that is wrong.
    pub fn check(&self) -> Result<(), Error> {
        let problem = self.order_problem().or_else(|| self.inputs_problem()).or_else(|| self.sums_problem());
        match problem {
            None => Ok(()),
            Some((field, problem)) => Err(Error::Record { name: self.name.to_owned(), field, problem }),
        }
    }

    fn order_problem(&self) -> Option<Problem> {
        let stored = |depth: usize| match self.inputs {
            Inputs::Codes(Codes { sparse: Some(s), .. }) => depth * s.n / s.m,
            _ => depth,
        };
        if self.depths.contains(&0) || !self.depths.is_sorted() {
            return Some(("depths", format!("{:?} are not increasing lengths of at least 1", self.depths)));
        }
        if let Group::Of(group) = self.order.group {
            if group == 0 {
                return Some(("group", "a step has at least one product".to_owned()));
            }
            let odd = |depth: &&usize| stored(**depth) > group && !stored(**depth).is_multiple_of(group);
            if let Some(depth) = self.depths.iter().find(odd) {
                let products = stored(*depth);
                return Some(("group", format!("{group} does not divide the {products} products of an instruction")));
            }
        }
        let mut residues: Vec<usize> = self.order.classes.iter().flat_map(|class| class.iter().copied()).collect();
        residues.sort_unstable();
        let each_once = residues.iter().enumerate().all(|(i, residue)| i == *residue);
        (!each_once).then(|| ("classes", "together they list 0, 1, 2, … once each".to_owned()))
    }

    fn inputs_problem(&self) -> Option<Problem> {
        let Inputs::Codes(codes) = self.inputs else { return None };
        let reach = |format: Scalar| (format.grid().lsb_min, format.emax() + 1);
        let scale = codes.scale.map_or((0, 0), |scale| reach(scale.format));
        let sides = [codes.a, codes.b].map(|port| reach(port.format));
        let low = sides[0].0 + sides[1].0 + 2 * scale.0;
        let high = sides[0].1 + sides[1].1 + 2 * scale.1;
        if !exact::Sum::holds(low, high) {
            return Some(("inputs", "products span more than those of two FP64 numbers".to_owned()));
        }
        if codes.scale.is_some_and(|scale| scale.block == 0) {
            return Some(("scale", "a block has at least one element".to_owned()));
        }
        if let Some(s) = codes.sparse {
            let known = [(1, 2, 1), (2, 4, 1), (4, 8, 2)];
            if !known.contains(&(s.n, s.m, s.together)) {
                let given = format!("{}:{} in units of {}", s.n, s.m, s.together);
                return Some(("sparse", format!("{given} is not 1:2, 2:4, or 4:8 in pairs")));
            }
            if let Some(depth) = self.depths.iter().find(|depth| !depth.is_multiple_of(s.m)) {
                return Some(("sparse", format!("groups of {} do not divide an instruction of {depth}", s.m)));
            }
        }
        None
    }

    fn sums_problem(&self) -> Option<Problem> {
        if let Some(problem) = sum_problem(self.sum, true) {
            return Some(problem);
        }
        let last = self.sum.round.last()?;
        let stored = (last.format.grid(), self.accumulator.d.grid());
        let finer = match (stored.0.precision, stored.1.precision) {
            (Some(result), Some(register)) => result > register || stored.0.lsb_min < stored.1.lsb_min,
            (None, None) => last.format != self.accumulator.d,
            _ => true,
        };
        finer.then(|| {
            let (result, register) = (last.format.name, self.accumulator.d.name);
            ("accumulator", format!("results rounded to `{result}` do not fit the register `{register}`"))
        })
    }
}

/// What is wrong with a sum; `outer` for the one of the record.
fn sum_problem(sum: &Sum, outer: bool) -> Option<Problem> {
    if sum.arms.is_empty() {
        return Some(("sum", "a sum adds at least one thing".to_owned()));
    }
    if outer && sum.round.is_empty() {
        return Some(("sum", "the sum of a step is rounded to the accumulator".to_owned()));
    }
    if let Some(align) = sum.align.filter(|align| !FLOORS.contains(&align.floor)) {
        return Some(("floor", format!("{} is not within {FLOORS:?}", align.floor)));
    }
    for arm in sum.arms {
        if arm.fraction_bits > WIDEST {
            return Some(("fraction_bits", format!("{} are too wide; 0 to {WIDEST} are allowed", arm.fraction_bits)));
        }
        if matches!(arm.rounding, Rounding::Stochastic(_)) {
            return Some(("rounding", "a unit draws no random bits; pick a deterministic rounding".to_owned()));
        }
        let inner = match arm.node {
            Node::Sum(inner) | Node::Runs { sum: inner, .. } => sum_problem(inner, false),
            Node::Products { .. } | Node::Accumulator => None,
        };
        if inner.is_some() {
            return inner;
        }
    }
    sum.round.iter().find_map(round_problem)
}

/// What is wrong with a rounding.
fn round_problem(round: &Round) -> Option<Problem> {
    let integer = matches!(round.format.encoding, Encoding::Integer { .. });
    if let Some(problem) = round.format.problem() {
        return Some(("format", format!("`{}`: {problem}", round.format.name)));
    }
    if matches!(round.rounding, Rounding::Stochastic(_)) {
        return Some(("rounding", "a unit draws no random bits; pick a deterministic rounding".to_owned()));
    }
    match round.overflow {
        Overflow::Wrap | Overflow::Error if !integer => {
            Some(("overflow", format!("only integers wrap or refuse; `{}` is a float", round.format.name)))
        }
        Overflow::Infinity | Overflow::Ieee if integer => {
            Some(("overflow", format!("`{}` is an integer and has no infinity", round.format.name)))
        }
        _ => None,
    }
}
