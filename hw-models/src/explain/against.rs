//! Why two units give different results: by what their records say, and by experiment.

use super::rules::{RULES, Rule};
use super::{Explanation, Number, explained};
use crate::verify::{Operands, Options, distance};
use crate::{Datapath, Error};
use interplay_formats::Value;
use serde::Serialize;

/// Rules that are changed together at most, in search of those that make a difference.
const TOGETHER: u32 = 4;

/// One output of two units, and what in their records makes the difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The first unit.
    pub a: Explanation,
    /// The second one.
    pub b: Explanation,
    /// Whether both results are the same, by the second record's rule for NaN and zeros.
    pub same: bool,
    /// Units in the last place between the results, where both are numbers of one format.
    pub ulp: Option<u64>,
    /// What the records say differently.
    pub differences: Vec<Difference>,
    /// The smallest sets of rules that turn the first result into the second one; none where that takes more than four.
    pub decisive: Vec<Vec<&'static str>>,
}

/// Something that two records say differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// What it is about.
    pub rule: &'static str,
    /// What the first record says.
    pub a: String,
    /// What the second one says.
    pub b: String,
    /// The result of the first unit with this one rule of the second; none where no such unit can exist.
    pub alone: Option<Number>,
    /// Whether that is the second unit's result.
    pub decides: bool,
}

/// [`explain`](super::explain) for two units, and why they differ. Each reads the operands by its own formats.
///
/// # Errors
/// As [`explain`](super::explain), for either unit.
pub fn explain_against(
    (a, b): (&Datapath, &Datapath),
    operands: &Operands<'_>,
    index: usize,
    options: &Options,
) -> Result<Comparison, Error> {
    let (first, got) = explained(&operands.prepare(a, options)?, operands, index)?;
    let (second, want) = explained(&operands.prepare(b, options)?, operands, index)?;
    let one = operands.output(index);
    // The result of a unit that does not exist, unless it cannot.
    let result = |unit: &Datapath| -> Option<u64> {
        unit.check().ok()?;
        unit.outputs(&one, options).ok()?.first().copied()
    };
    let is_want = |unit: &Datapath, code: u64| same(unit, code, b, want);
    let rules: Vec<&Rule> = RULES.iter().filter(|rule| rule.differs(a, b)).collect();
    let differences: Vec<Difference> = rules
        .iter()
        .map(|rule| {
            let changed = rule.taken(*a, b);
            let code = result(&changed);
            Difference {
                rule: rule.name,
                a: rule.show(a),
                b: rule.show(b),
                alone: code.map(|code| Number::code(changed.accumulator.d, code)),
                decides: code.is_some_and(|code| is_want(&changed, code)),
            }
        })
        .collect();
    let same = is_want(a, got);
    let together = |mask: u32| -> bool {
        let chosen = rules.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1);
        let changed = chosen.fold(*a, |changed, (_, rule)| rule.taken(changed, b));
        result(&changed).is_some_and(|code| is_want(&changed, code))
    };
    let decisive = if same { Vec::new() } else { smallest(rules.len(), together) };
    let named = |mask: u32| rules.iter().enumerate().filter(|(i, _)| mask >> i & 1 == 1).map(|(_, r)| r.name).collect();
    let decisive = decisive.into_iter().map(named).collect();
    let ulp = (a.accumulator.d == b.accumulator.d).then(|| distance(b, got, want).ulp).flatten();
    Ok(Comparison { a: first, b: second, same, ulp, differences, decisive })
}

/// The smallest sets of `count` things that do it, as masks: all of one size, of at most [`TOGETHER`] things.
fn smallest(count: usize, does_it: impl Fn(u32) -> bool) -> Vec<u32> {
    let of_size = |size: u32| (0..1u32 << count).filter(move |mask| mask.count_ones() == size);
    let sets = (1..=TOGETHER).map(|size| of_size(size).filter(|&mask| does_it(mask)).collect::<Vec<u32>>());
    sets.into_iter().find(|sets| !sets.is_empty()).unwrap_or_default()
}

/// Whether two units' results are the same: by their codes where they have one format, else by value.
fn same(a: &Datapath, code_a: u64, b: &Datapath, code_b: u64) -> bool {
    let (x, y) = (a.accumulator.d, b.accumulator.d);
    if x.encoding == y.encoding {
        return distance(b, code_a, code_b).same;
    }
    match (x.decode(code_a), y.decode(code_b)) {
        (Value::Finite(x), Value::Finite(y)) => x.same_value(y),
        (x, y) => x == y,
    }
}
