//! Theorem 3.9 on real layers: the error of a layer's products is the sum of four terms, exactly, and two of them are what pruning and
//! rounding add to each other.
//!
//! A cell is one configuration of one model: the FP32 model runs, and the operands of every linear layer are split by
//! [`Operands`](interplay::compress::theory::dot::Operands).

use std::fmt::Write;

use anyhow::Result;
use interplay::compress::theory::dot::{Operands, Split, TERMS};
use interplay::session::operands;
use interplay_formats::math;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::bench::{Bench, Point, Worker, inputs, points};
use crate::engine::frame::{Frame, Row, distinct, field};
use crate::engine::key::Key;
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::run::typed;
use crate::engine::spec::Spec;
use crate::report::chart::{Curve, Item, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::number;
use crate::report::scale::{Axis, Scale};
use crate::report::style::{self, Colour, HUES, Look, Shape};
use crate::report::table::Table;
use crate::subject::Subject;

/// The study.
pub const KIND: Kind = Kind {
    name: "theory-dot",
    question: "Which of the four terms of theorem 3.9 makes the error of real layers, by order and depth?",
    title: "The error of dot products, split in four",
    file: include_str!("theory_dot.toml"),
    many: &["models", "formats", "sparsity", "orders"],
    one: &[],
    plan,
    measure,
    frame,
    figure,
    caption,
    summary,
    shrink,
};

const COLUMNS: [&str; 18] = [
    "model",
    "data",
    "format",
    "sparsity",
    "order",
    "stage",
    "layer",
    "k",
    "products",
    "reference_rms",
    "error_rms",
    "quantised_rms",
    "sparse_rms",
    "correction_rms",
    "cross_rms",
    "tightness",
    "exact_checked",
    "exact_held",
];

/// What this study alone knows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    /// Products a layer that are checked in exact integers.
    exact: usize,
}

/// The result of a cell.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    model: String,
    data: String,
    format: String,
    sparsity: String,
    order: String,
    rows: Vec<Layer>,
}

/// One layer over all inputs: root mean squares over products.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Layer {
    layer: String,
    stage: usize,
    k: usize,
    products: u64,
    reference: f64,
    error: f64,
    terms: [f64; 4],
    tightness: f64,
    checked: u64,
    held: u64,
}

fn shrink(spec: &mut Spec) {
    spec.windows = Some(1);
    spec.images = Some(1);
}

fn plan(bench: &Bench, _: &Done) -> Result<Vec<Planned>> {
    bench.spec.needs("models", &bench.spec.models)?;
    let options: Options = bench.spec.options()?;
    let (formats, patterns) = bench.ordered()?;
    let points = points(&formats, &patterns, &bench.orders()?);
    let planned = |subject: &Subject, point: &Point| Planned {
        key: point.name(bench.key_of(subject), "fake").with("exact", options.exact),
        label: format!("{} {} {} {}", subject.model_name, point.format.name, point.pattern, point.order),
        work: subject.model_name.clone(),
        amount: inputs(subject),
    };
    Ok(bench.subjects.iter().flat_map(|subject| points.iter().map(move |point| planned(subject, point))).collect())
}

fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let bench = worker.bench;
    let point = Point::of(key)?;
    let (_, subject) = bench.subject(key.text("model")?)?;
    let exact = key.number("exact")?;
    let mut sums: Vec<Sum> = Vec::new();
    for input in super::propagation::one_by_one(subject)? {
        let mut next = 0;
        operands(&*subject.model.checkpoint, bench.preset()?, Some(input), &mut |o| {
            let (x, w) = ((o.inputs, point.format.for_activations()), (o.weights, point.format));
            let parts = Operands::new(x, w, o.k, point.pattern, point.order)?;
            if sums.len() == next {
                let layer = Layer { layer: o.layer.to_owned(), stage: o.stage, k: o.k, ..Layer::default() };
                sums.push(Sum { layer, ..Sum::default() });
            }
            sums[next].add(&parts.split());
            let rows = (o.inputs.len() / o.k.max(1)) as u64;
            for (row, output) in places(exact, rows, o.n as u64) {
                sums[next].layer.checked += 1;
                sums[next].layer.held += u64::from(parts.holds_exactly(row, output));
            }
            next += 1;
            Ok(())
        })?;
    }
    let labels = point.labels();
    let measured = Measured {
        model: subject.model_name.clone(),
        data: subject.data_name.clone(),
        format: labels.format,
        sparsity: labels.sparsity,
        order: labels.order,
        rows: sums.into_iter().map(Sum::finish).collect(),
    };
    Ok(serde_json::to_value(measured)?)
}

/// `count` different products spread over `rows` x `outputs`: multiples of about five eighths of all, which have no divisor in common
/// with it.
fn places(count: u64, rows: u64, outputs: u64) -> impl Iterator<Item = (usize, usize)> {
    let all = rows.saturating_mul(outputs);
    let mut stride = all / 8 * 5 + 1;
    while divisor(stride, all) != 1 {
        stride += 1;
    }
    let spread = move |i: u64| (u128::from(i) * u128::from(stride) % u128::from(all.max(1))) as u64;
    let place = move |at: u64| ((at / outputs.max(1)) as usize, (at % outputs.max(1)) as usize);
    (0..count.min(all)).map(move |i| place(spread(i)))
}

/// The greatest common divisor; of 1 and anything 1.
fn divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Sums over the inputs, each weighted by its products.
#[derive(Default)]
struct Sum {
    layer: Layer,
    magnitude: f64,
    bound: f64,
}

impl Sum {
    fn add(&mut self, split: &Split) {
        let weight = split.products as f64;
        let layer = &mut self.layer;
        layer.products += split.products;
        layer.reference += weight * split.reference;
        layer.error += weight * split.error;
        for (i, term) in layer.terms.iter_mut().enumerate() {
            *term += weight * split.gram[i][i];
        }
        self.magnitude += weight * split.magnitude;
        self.bound += weight * split.magnitudes.iter().sum::<f64>();
    }

    fn finish(mut self) -> Layer {
        let count = self.layer.products.max(1) as f64;
        let root = |sum: f64| (sum / count).sqrt();
        self.layer.reference = root(self.layer.reference);
        self.layer.error = root(self.layer.error);
        self.layer.terms = self.layer.terms.map(root);
        self.layer.tightness = if self.bound > 0.0 { self.magnitude / self.bound } else { 0.0 };
        self.layer
    }
}

fn frame(results: &[Value]) -> Result<Frame> {
    let mut frame = Frame::new(&COLUMNS);
    for result in results {
        let cell: Measured = typed(result)?;
        for row in &cell.rows {
            let names = [&cell.model, &cell.data, &cell.format, &cell.sparsity, &cell.order].map(Clone::clone);
            let place = [row.stage.to_string(), row.layer.clone(), row.k.to_string(), row.products.to_string()];
            let numbers = [row.reference, row.error].into_iter().chain(row.terms).chain([row.tightness]).map(field);
            let exact = [row.checked.to_string(), row.held.to_string()];
            frame.push(KIND.name, names.into_iter().chain(place).chain(numbers).chain(exact))?;
        }
    }
    Ok(frame)
}

/// The columns of the terms, in the order of [`TERMS`].
const TERM_COLUMNS: [&str; 4] = ["quantised_rms", "sparse_rms", "correction_rms", "cross_rms"];
/// Four colours that no two formats of a family have.
const TERM_COLOURS: [Colour; 4] = [HUES[0], HUES[2], HUES[1], HUES[5]];

fn of<'a>(rows: &[Row<'a>], format: &str, sparsity: &str, order: &str) -> Vec<Row<'a>> {
    let wanted = [("format", format), ("sparsity", sparsity), ("order", order)];
    rows.iter().filter(|row| row.is(&wanted)).copied().collect()
}

fn figure(frame: &Frame) -> Result<Figure> {
    frame.expect(&COLUMNS)?;
    let mut rows: [Vec<Panel>; 3] = Default::default();
    for model in distinct(frame.rows(), "model") {
        let own: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        let first = |column| distinct(own.iter().copied(), column).first().copied().unwrap_or_default();
        let (format, sparsity) = (first("format"), first("sparsity"));
        let terms = ["sq", "qs"].map(|order| terms(&of(&own, format, sparsity, order)));
        // One scale for both orders, so that they compare.
        let both = scale(terms.iter().flatten());
        for ((row, curves), name) in rows.iter_mut().zip(terms).zip(["S→Q", "Q→S"]) {
            row.push(panel(
                format!("{model}, {format}, {sparsity}, {name}"),
                "share of the output",
                curves,
                both.clone(),
            ));
        }
        let ratios = ratios(&own, sparsity);
        let own = scale(ratios.iter());
        rows[2].push(panel(format!("{model}, {sparsity}"), "correction, Q→S / S→Q", ratios, own));
    }
    let terms = TERMS.iter().zip(TERM_COLOURS).map(|(term, colour)| (Sample::Line(colour), *term));
    let formats = distinct(frame.rows(), "format").into_iter().map(|f| (Sample::Line(style::colour(f)), f));
    let legend = vec![Group::new("terms (upper rows)", terms), Group::new("formats (last row)", formats)];
    Ok(Figure::new(rows.to_vec(), 250.0, legend))
}

/// A logarithmic scale over all points of curves.
fn scale<'a>(curves: impl Iterator<Item = &'a Curve>) -> Scale {
    Scale::log(curves.flat_map(|curve| curve.points.iter().map(|p| p.1)), 1.15)
}

fn panel(title: String, y: &str, curves: Vec<Curve>, scale: Scale) -> Panel {
    let layers = curves.iter().flat_map(|c| c.points.iter().map(|p| p.0));
    Panel {
        title,
        x: Axis::new("linear layer, in order of execution", Scale::whole(layers, 0.03)),
        y: Axis::new(y, scale),
        items: curves.into_iter().map(Item::Curve).collect(),
        beyond: String::new(),
    }
}

/// A line with small dots.
fn line(colour: Colour, points: Vec<(f64, f64)>) -> Curve {
    let dot = Some(Look::new(Shape::Circle, colour).radius(1.4));
    Curve { colour, dashed: false, points, errors: Vec::new(), dot }
}

/// The four terms by layer, as shares of the layer's output.
fn terms(rows: &[Row]) -> Vec<Curve> {
    let curve = |(column, colour): (&str, Colour)| {
        let share = |(r, i): (&Row, i32)| (f64::from(i), r.number(column) / r.number("reference_rms"));
        line(colour, rows.iter().zip(0..).map(share).collect())
    };
    TERM_COLUMNS.into_iter().zip(TERM_COLOURS).map(curve).collect()
}

/// How much larger the correction of Q→S is than that of S→Q, by layer.
fn ratios(rows: &[Row], sparsity: &str) -> Vec<Curve> {
    let curve = |format: &&str| {
        let pairs = of(rows, format, sparsity, "sq").into_iter().zip(of(rows, format, sparsity, "qs")).zip(0..);
        let ratio = |((sq, qs), i): ((Row, Row), i32)| {
            (f64::from(i), qs.number("correction_rms") / sq.number("correction_rms"))
        };
        line(style::colour(format), pairs.map(ratio).collect())
    };
    distinct(rows.iter().copied(), "format").iter().map(curve).collect()
}

fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let mut text = String::from(
        "With activations that are quantised and weights that go through both steps, the error of a product `⟨x, w⟩` is exactly the \
         sum of four terms: *quantised*, the error of rounding alone; *sparse*, that of pruning alone; *correction*, `⟨q(x), ε̃(w)⟩`, what the weights' \
         joint error is beyond the sum of both; *cross*, `⟨ε_q(x), ε_s(w)⟩`. The last two are what pruning and rounding add to each other.\n\n\
         `figure.svg`: above, root mean squares of the terms over all products of a layer, as a share of the layer's output, for the first format and pattern; \
         below, how much larger the correction of Q→S is than that of S→Q. Inputs are the FP32 model's.\n\n",
    );
    let (said, holds) = identity(frame);
    let _ = writeln!(text, "{said}\n");
    if !holds {
        let _ = writeln!(text, "**{FAILED}**\n");
    }
    for model in distinct(frame.rows(), "model") {
        let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        let _ = writeln!(text, "{}", table(model, &rows).markdown());
    }
    text.push_str(
        "*bound used* is the mean error as a share of the theorem's bound, the sum of the four magnitudes.\n",
    );
    Ok(text)
}

/// What is said where the identity does not hold.
const FAILED: &str = "The identity failed: this is a defect of this program.";

/// On how many products the identity was checked and held, and whether it held on all.
fn identity(frame: &Frame) -> (String, bool) {
    let sum = |column: &str| frame.rows().map(|row| row.number(column)).sum::<f64>();
    let (checked, held) = (sum("exact_checked"), sum("exact_held"));
    let said = format!("The identity was checked in exact integers on {checked:.0} products and held on {held:.0}.");
    (said, held >= checked)
}

/// The answer in plain words: whether the identity holds, and in how many layers each term is the largest, one entry a model and order.
fn summary(frame: &Frame) -> Vec<String> {
    let (said, holds) = identity(frame);
    let mut all = vec![if holds { said } else { format!("{said} {FAILED}") }];
    for model in distinct(frame.rows(), "model") {
        for (order, name) in [("sq", "S→Q"), ("qs", "Q→S")] {
            let rows: Vec<Row> = frame.rows().filter(|row| row.is(&[("model", model), ("order", order)])).collect();
            let largest = |row: &Row| {
                let sizes = TERM_COLUMNS.map(|column| row.number(column));
                (0..sizes.len()).max_by(|&a, &b| sizes[a].total_cmp(&sizes[b]))
            };
            let count = |term: usize| rows.iter().filter(|row| largest(row) == Some(term)).count();
            let terms = TERM_COLUMNS
                .iter()
                .enumerate()
                .map(|(term, column)| format!("{} in {}", column.trim_end_matches("_rms"), count(term)));
            let terms = terms.collect::<Vec<_>>().join(", ");
            all.push(format!("{model}, {name}: of {} layers and settings, the largest term is {terms}.", rows.len()));
        }
    }
    all
}

/// The terms of each configuration, pooled over layers: each layer's as a share of its output, in root mean square over layers.
fn table(model: &str, rows: &[Row]) -> Table {
    let header = ["format, pattern, order", "error", "quantised", "sparse", "correction", "cross", "bound used"];
    let mut table = Table::new(format!("{model}: in % of the layer's output, over {} layers", layers(rows)), header);
    for sparsity in distinct(rows.iter().copied(), "sparsity") {
        for format in distinct(rows.iter().copied(), "format") {
            for (order, name) in [("sq", "S→Q"), ("qs", "Q→S")] {
                let own = of(rows, format, sparsity, order);
                if own.is_empty() {
                    continue;
                }
                let share = |column: &str| {
                    let squares = own.iter().map(|row| math::powi(row.number(column) / row.number("reference_rms"), 2));
                    number(100.0 * (squares.sum::<f64>() / own.len() as f64).sqrt())
                };
                let used = own.iter().map(|row| row.number("tightness")).sum::<f64>() / own.len() as f64;
                let numbers = ["error_rms"].iter().chain(&TERM_COLUMNS).map(|column| share(column));
                let line = std::iter::once(format!("{format}, {sparsity}, {name}")).chain(numbers);
                table.row(line.chain([format!("{used:.2}")]));
            }
        }
    }
    table
}

fn layers(rows: &[Row]) -> usize {
    distinct(rows.iter().copied(), "layer").len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checked_products_are_different_ones() {
        let mut seen: Vec<_> = places(50, 16, 30).collect();
        assert!(seen.iter().all(|&(row, output)| row < 16 && output < 30));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 50);
        assert_eq!(places(9, 1, 2).count(), 2);
        assert_eq!(places(9, 0, 2).count(), 0);
    }
}
