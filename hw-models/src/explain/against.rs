//! Why two units give different results: by what their records say, and by experiment.

use super::rules::{RULES, Rule};
use super::{Explanation, Number, explained};
use crate::verify::{Operands, Options, distance};
use crate::{Datapath, Error};
use interplay_formats::Value;
use serde::Serialize;

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
    /// The rules that turn the first result into the second one: each that does it alone; else each two that do it
    /// together; else none.
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
    let mut decisive = Vec::new();
    if !same {
        decisive = differences.iter().filter(|d| d.decides).map(|d| vec![d.rule]).collect();
        let pairs = rules.iter().enumerate().flat_map(|(i, x)| rules[i + 1..].iter().map(move |y| (x, y)));
        if decisive.is_empty() {
            let together = |(x, y): &(&&Rule, &&Rule)| {
                let changed = y.taken(x.taken(*a, b), b);
                result(&changed).is_some_and(|code| is_want(&changed, code))
            };
            decisive = pairs.filter(together).map(|(x, y)| vec![x.name, y.name]).collect();
        }
    }
    let ulp = (a.accumulator.d == b.accumulator.d).then(|| distance(b, got, want).ulp).flatten();
    Ok(Comparison { a: first, b: second, same, ulp, differences, decisive })
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
