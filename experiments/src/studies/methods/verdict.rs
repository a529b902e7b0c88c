//! The answers in a sentence each, from the numbers: who is right about the order, and when.

use interplay_formats::{Format, math};

use super::bench::Measured;
use super::entries::Point;
use super::run::Model;
use super::{Request, pqp};
use crate::report::numbers::{Paired, spread};

/// How many standard errors hold 95 % of the means of so few windows that differ by nothing: Student's t from one degree of freedom.
const STUDENT: [f64; 10] = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23];

/// The same for any number of windows; never, where one says nothing about the spread.
fn quantile(windows: usize) -> f64 {
    match windows.checked_sub(2) {
        None => f64::INFINITY,
        // What the normal distribution has, and a little more where windows are few.
        Some(at) => STUDENT.get(at).copied().unwrap_or(1.96 + 2.7 / (at + 1) as f64),
    }
}

/// A paired difference, and what it says.
struct Difference {
    percent: f64,
    stderr: f64,
    windows: usize,
}

impl Difference {
    /// By how much `b` is worse than `a`.
    fn of(a: &Measured, b: &Measured) -> Self {
        let Paired { mean, stderr } = Paired::of(&a.losses, &b.losses);
        Self { percent: math::exp_m1(mean) * 100.0, stderr: stderr * 100.0, windows: a.losses.len() }
    }

    /// -1 where `b` is better, 1 where it is worse, 0 where nobody can tell.
    fn sign(&self) -> i32 {
        match self.percent.abs() > quantile(self.windows) * self.stderr {
            true if self.percent < 0.0 => -1,
            true => 1,
            false => 0,
        }
    }

    /// How the second compares with the first, which is called `other`; `verb` is `is` or `are`.
    fn against(&self, verb: &str, other: &str) -> String {
        let relation = match self.sign() {
            -1 => format!("better than {other}"),
            1 => format!("worse than {other}"),
            _ => format!("no different from {other} at 95 %"),
        };
        format!("{verb} {relation} ({} %)", spread(self.percent, self.stderr, 2))
    }
}

/// Every sentence that the cells allow.
pub(super) fn sentences(request: &Request, model: &Model) -> Vec<String> {
    let mut out = Vec::new();
    let metrics: Vec<_> =
        request.formats.iter().filter_map(|format| Some((format.name, pqp::Metric::of(format).ok()?))).collect();
    let compare = |points: &dyn Fn(&pqp::Metric) -> (Point, Point)| -> Vec<(&'static str, Difference)> {
        let found = metrics.iter().filter_map(|(name, metric)| {
            let (a, b) = points(metric);
            Some((*name, Difference::of(model.find(&a)?, model.find(&b)?)))
        });
        found.collect()
    };
    let orders = [
        ("rtn", compare(&|m| (m.given[1].clone(), m.rounded[2].clone()))),
        ("gptq", compare(&|m| (m.gptq[0].clone(), m.gptq[1].clone()))),
    ];
    for (quantiser, found) in &orders {
        out.extend(order(model, quantiser, found));
    }
    let scrambled = compare(&|m| (m.given[0].clone(), m.rounded[0].clone()));
    for (format, difference) in &scrambled {
        let ranking = match difference.sign() {
            0 => "rounding does not scramble the ranking",
            1 => "rounding scrambles the ranking",
            _ => "rounding helps the ranking",
        };
        out.push(format!(
            "{}: on weights that stay FP32, the mask that PQP's metric takes after rounding to {format} {}: {ranking}.",
            model.name,
            difference.against("is", "the mask taken before"),
        ));
    }
    let kept = compare(&|m| (m.rounded[1].clone(), m.rounded[2].clone()));
    for (format, difference) in &kept {
        out.push(format!(
            "{}: under the mask that PQP takes, weights rounded to {format} before pruning {}.",
            model.name,
            difference.against("are", "weights rounded after it, whose scales see only what is left"),
        ));
    }
    out.extend(learned(model));
    out
}

/// Who is right about the order, over all formats.
fn order(model: &Model, quantiser: &str, found: &[(&'static str, Difference)]) -> Option<String> {
    if found.is_empty() {
        return None;
    }
    let with = |sign: i32| -> Vec<String> {
        let matching = found.iter().filter(|(_, d)| d.sign() == sign);
        matching.map(|(name, d)| format!("{name} ({} %)", spread(d.percent, d.stderr, 2))).collect()
    };
    let (prune_first, round_first, even) = (with(1), with(-1), with(0));
    let verdict = match (prune_first.is_empty(), round_first.is_empty()) {
        (false, true) => "pruning first is right, as the paper says",
        (true, false) => "PQP is right to round first",
        (true, true) => "neither order is better at 95 %",
        (false, false) => "it depends on the format",
    };
    let list = |names: Vec<String>, what: &str| match names.is_empty() {
        true => String::new(),
        false => format!("; {what}: {}", names.join(", ")),
    };
    Some(format!(
        "{}: with PQP's metric and {quantiser}, {verdict} (Q→S against S→Q, paired over windows){}{}{}.",
        model.name,
        list(prune_first, "Q→S is worse"),
        list(round_first, "Q→S is better"),
        list(even, "no difference"),
    ))
}

/// PQP's learned masks against BESA's, the orders of both, and what its loss of the quantisation error gains.
fn learned(model: &Model) -> Vec<String> {
    let learned = Format::by_name(pqp::FORMAT).ok().and_then(|format| pqp::Learned::of(format).ok());
    let Some(pqp::Learned { besa, pqp, errors }) = learned else { return Vec::new() };
    let between = |a: &Point, b: &Point| Some(Difference::of(model.find(a)?, model.find(b)?));
    let mut out = Vec::new();
    let name = &model.name;
    if let Some(found) = between(&besa[1], &pqp[1]) {
        let words = found.against("is", "BESA's");
        let sparsity = |point: &Point| {
            let cell = model.find(point).and_then(|m| m.cell.compression.as_ref());
            cell.map_or(0.0, |c| 100.0 * c.sparsity)
        };
        let (learned, besa) = (sparsity(&pqp[1]), sparsity(&besa[1]));
        let format = pqp::FORMAT;
        out.push(format!(
            "{name}: after gptq({format}), the mask that PQP learns (sparsity {learned:.2} %) {words} (sparsity {besa:.2} %)."
        ));
    }
    for (who, [sq, qs]) in [("BESA", &besa), ("PQP", &pqp)] {
        if let Some(found) = between(sq, qs) {
            let words = found.against("is", "before it");
            out.push(format!("{name}: {who} after gptq({}) {words}.", pqp::FORMAT));
        }
    }
    for (weight, point) in pqp::ERRORS.iter().zip(&errors).skip(1) {
        if let Some(found) = errors.first().and_then(|none| between(none, point)) {
            let words = found.against("is", "without it");
            out.push(format!("{name}: PQP with its loss of the quantisation error at weight {weight} {words}."));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_windows_ask_for_more() {
        let sign = |percent, windows| Difference { percent, stderr: 1.0, windows }.sign();
        assert_eq!([sign(3.0, 1), sign(3.0, 2), sign(3.0, 8), sign(-3.0, 8), sign(2.0, 40)], [0, 0, 1, -1, 0]);
        assert!(quantile(12) > quantile(13) && quantile(40) > 2.0, "the table and what follows it join");
    }
}
