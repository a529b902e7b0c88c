//! The figure and the caption: a dot a run, and what the paper's gap is made of.

use std::fmt::Write;

use anyhow::Result;
use interplay_formats::{Order, math};

use super::{ARMS, COLUMNS};
use crate::engine::frame::{Frame, Row};
use crate::published::{self, Setup};
use crate::report::chart::Panel;
use crate::report::dots::{self, Dots};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::number;
use crate::report::style::{HUES, INK, Look, Shape};
use crate::report::table::Table;

/// A mean over seeds with the standard deviation between them.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Spread {
    mean: f64,
    deviation: f64,
    count: usize,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let count = values.len();
        let mean = values.iter().sum::<f64>() / count as f64;
        let squares = values.iter().map(|value| math::powi(value - mean, 2)).sum::<f64>();
        let deviation = if count > 1 { (squares / (count - 1) as f64).sqrt() } else { f64::NAN };
        Self { mean, deviation, count }
    }

    /// `12.3 ±0.4`, or the mean alone of a single run.
    fn text(self, signed: bool) -> String {
        let mean = if signed { format!("{:+.3}", self.mean) } else { number(self.mean) };
        match self.count {
            0 => String::new(),
            1 => mean,
            _ => format!("{mean} ±{:.3}", self.deviation),
        }
    }

    /// Whether the mean is more than twice its standard error from zero; never of a single run.
    fn is_clear(self) -> bool {
        self.count > 1 && self.mean.abs() > 2.0 * self.deviation / (self.count as f64).sqrt()
    }
}

/// The value of a column for one arm, by seed.
fn by_seed(rows: &[Row], arm: &str, column: &str) -> Vec<(String, f64)> {
    let own = rows.iter().filter(|row| row.text("arm") == arm);
    own.map(|row| (row.text("seed").to_owned(), row.number(column))).collect()
}

fn spread(rows: &[Row], arm: &str, column: &str) -> Spread {
    Spread::of(&by_seed(rows, arm, column).into_iter().map(|(_, value)| value).collect::<Vec<_>>())
}

/// `b - a`, seed by seed: both saw the same data in the same order.
fn difference(rows: &[Row], a: &str, b: &str) -> Spread {
    let (first, second) = (by_seed(rows, a, "after"), by_seed(rows, b, "after"));
    let pair = |(seed, a): &(String, f64)| Some(second.iter().find(|(other, _)| other == seed)?.1 - a);
    Spread::of(&first.iter().filter_map(pair).collect::<Vec<_>>())
}

/// The rows of each model, pattern and format.
fn cases(frame: &Frame) -> Vec<(String, Vec<Row<'_>>)> {
    let mut cases: Vec<(String, Vec<Row>)> = Vec::new();
    for row in frame.rows() {
        let name = format!("{}, {}, {}", row.text("model"), row.text("format"), row.text("sparsity"));
        match cases.iter_mut().find(|(known, _)| *known == name) {
            Some((_, rows)) => rows.push(row),
            None => cases.push((name, vec![row])),
        }
    }
    cases
}

pub(super) fn figure(frame: &Frame) -> Result<Figure> {
    frame.expect(&COLUMNS)?;
    let panel = |(title, rows): (String, Vec<Row>)| {
        let arm = |name: &str| Dots {
            name: name.replace(' ', "\n"),
            values: by_seed(&rows, name, "after").into_iter().map(|(_, value)| value).collect(),
            look: Look::new(Shape::Circle, HUES[0]).order(if name.starts_with('Q') { "qs" } else { "sq" }),
        };
        let metric = rows.first().map_or("", |row| row.text("metric")).replace('_', " ");
        let arms: Vec<Dots> = ARMS.iter().map(|a| arm(a.name)).collect();
        dots::panel(title, &format!("{metric} (lower is better)"), &arms)
    };
    let panels: Vec<Panel> = cases(frame).into_iter().map(panel).collect();
    let mark = Look::new(Shape::Circle, HUES[0]);
    let mut legend = vec![
        Group::new("a dot a seed", [(Sample::Mark(mark), "S→Q"), (Sample::Mark(mark.order("qs")), "Q→S")]),
        Group::new("lines", [(Sample::Line(INK), "mean"), (Sample::Bar, "± one standard error over seeds")]),
    ];
    legend.extend(shared(frame).map(|words| Group::new("", [(Sample::Nothing, words)])));
    Ok(Figure::new(panels.chunks(2).map(<[Panel]>::to_vec).collect(), 330.0, legend))
}

/// The standard error over windows, which all dots of a model have in common.
fn shared(frame: &Frame) -> Option<String> {
    let perplexity = frame.rows().next()?.text("metric") == "perplexity";
    let most = frame.rows().map(|row| row.number("after_stderr")).fold(0.0, f64::max);
    let text = if perplexity { format!("{:.0} %", 100.0 * most) } else { number(most) };
    (most > 0.0).then(|| {
        format!(
            "over windows each dot has a standard error of up to {text}: all dots saw the same windows, and share it"
        )
    })
}

pub(super) fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let mut text = String::from(
        "`figure.svg`: the metric on held-out data after fine-tuning, a dot a seed, a line at the mean with its standard error over seeds; filled: S→Q, hollow: Q→S; lower is better. Every run has the same budget. Training is Burn's own arithmetic, so that the last bits of these numbers depend on the machine.\n\n\
         - **S→Q (paper)**: sparse training in FP32, then one-shot quantisation; formats share the run.\n\
         - **Q→S (paper)**: quantised, then sparsified in every forward pass; activations and gradients are quantised too.\n\
         - **common**: weights and activations quantised in every forward pass in the order that is named; gradients in FP32.\n\n\
         The paper's gap, Q→S (paper) − S→Q (paper), is exactly the sum of three differences: of the gradients (Q→S paper − Q→S common), of the order (Q→S common − S→Q \
         common), and of rounding in the loop (S→Q common − S→Q paper). All are taken seed by seed; ± is the standard deviation between seeds. Differences are \
         clear where they are more than two standard errors of their mean over seeds from zero.\n\n",
    );
    let mut results = Table::new(
        "after fine-tuning (before: one shot)",
        ["model, format, pattern"]
            .into_iter()
            .chain(ARMS.iter().map(|arm| arm.name))
            .chain(["before S→Q", "before Q→S"]),
    );
    let mut parts = Table::new(
        "what the gap is made of",
        ["model, format, pattern", "gap", "gradients", "order", "rounding in the loop"],
    );
    let mut words = String::new();
    for (name, rows) in cases(frame) {
        let after = ARMS.iter().map(|arm| spread(&rows, arm.name, "after").text(false));
        let before = [0, 1].map(|arm: usize| spread(&rows, ARMS[arm].name, "before")).map(|s| number(s.mean));
        results.row(std::iter::once(name.clone()).chain(after).chain(before));
        let found = differences(&rows);
        parts.row(std::iter::once(name.clone()).chain(found.map(|s| s.text(true))));
        let _ = writeln!(words, "- {}", said(&name, &rows));
    }
    let _ = writeln!(text, "{}\n{}", results.markdown(), parts.markdown());
    text.push_str(&words);
    text.push('\n');
    let ours: Vec<Setup> = frame.rows().map(setup).collect();
    text.push_str(&published::markdown(&published::beside(&ours)));
    Ok(text)
}

/// The paper's gap, and the gradients', the order's and the rounding's parts of it.
fn differences(rows: &[Row]) -> [Spread; 4] {
    let [sq, qs, common_sq, common_qs] = ARMS.each_ref().map(|arm| arm.name);
    [(sq, qs), (common_qs, qs), (common_sq, common_qs), (sq, common_sq)].map(|(a, b)| difference(rows, a, b))
}

/// What one case says, by its name.
fn said(name: &str, rows: &[Row]) -> String {
    let [gap, _, order, _] = differences(rows);
    format!("{name}: {}", verdict(gap, order, spread(rows, ARMS[0].name, "after").mean))
}

/// The answer in plain words, one entry a case.
pub(super) fn summary(frame: &Frame) -> Vec<String> {
    cases(frame).iter().map(|(name, rows)| said(name, rows)).collect()
}

/// A run as a published number is held against it.
fn setup(row: Row<'_>) -> Setup<'_> {
    let order = ARMS
        .iter()
        .find(|arm| arm.name == row.text("arm"))
        .map_or("", |arm| if arm.order == Order::Sq { "sq" } else { "qs" });
    Setup {
        model: row.text("model"),
        data: row.text("data"),
        window: row.text("window").parse().unwrap_or(0),
        whole: false,
        metric: row.text("metric"),
        fine_tuned: true,
        format: row.text("format"),
        sparsity: row.text("sparsity"),
        order,
        method: "magnitude",
        calibration: "none",
        value: row.number("after"),
    }
}

/// What one case says in words.
fn verdict(gap: Spread, order: Spread, base: f64) -> String {
    let say = |spread: Spread| match (spread.count, spread.is_clear(), spread.mean > 0.0) {
        (0, ..) => "was not measured".to_owned(),
        (1, ..) => format!("is {:+.2} % in one seed, which says nothing of its spread", 100.0 * spread.mean / base),
        (_, false, _) => format!("is {:+.2} %, not clear of the spread between seeds", 100.0 * spread.mean / base),
        (_, true, worse) => {
            format!("is {:+.2} %, clearly {}", 100.0 * spread.mean / base, if worse { "worse" } else { "better" })
        }
    };
    format!("the paper's gap of Q→S over S→Q {}; the order alone {}.", say(gap), say(order))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up_to_the_gap() {
        let mut frame = Frame::new(&COLUMNS);
        for (seed, shift) in [("1", 0.0), ("2", 0.25)] {
            for (arm, after) in ARMS.iter().zip([30.0, 34.0, 31.0, 32.5]) {
                let after = (after + shift).to_string();
                let row = [
                    "m",
                    "d",
                    "8",
                    "2",
                    "50%",
                    "hbfp8",
                    arm.name,
                    arm.recipe,
                    seed,
                    "9",
                    "perplexity",
                    "40",
                    &after,
                    "0.1",
                    "29",
                ];
                frame.push("finetune", row).unwrap();
            }
        }
        let (_, rows) = cases(&frame).remove(0);
        let of = |a: usize, b: usize| difference(&rows, ARMS[a].name, ARMS[b].name);
        assert_eq!(of(0, 1), Spread { mean: 4.0, deviation: 0.0, count: 2 });
        assert_eq!(of(3, 1).mean + of(2, 3).mean + of(0, 2).mean, of(0, 1).mean);
        assert!(of(0, 1).is_clear());
        let text = caption(&frame).unwrap();
        assert!(text.contains("clearly worse") && text.contains("+4.000 ±0.000"), "{text}");
        assert!(figure(&frame).unwrap().svg().contains("</svg>"));
    }

    #[test]
    fn one_seed_is_never_clear() {
        assert!(!Spread::of(&[3.0]).is_clear());
        assert_eq!(Spread::of(&[3.0]).text(true), "+3.000");
    }
}
