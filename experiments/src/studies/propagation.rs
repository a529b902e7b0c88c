//! How the error of a compressed model grows through depth, and where the orders part.
//!
//! A cell is one configuration of one model. The model and the FP32 model run on the same inputs, each on its own residual stream; the
//! outputs of every product, and the stream that every stage hands on, are compared.

use std::fmt::Write;

use anyhow::Result;
use interplay::burn::Activation;
use interplay::eval::input;
use interplay::plan::Plan;
use interplay::session::propagation;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::bench::{Bench, Point, Worker, inputs, points};
use crate::engine::frame::{Frame, Row, distinct, field};
use crate::engine::key::Key;
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::rehearse::fewer_inputs;
use crate::engine::run::typed;
use crate::report::chart::{Curve, Item, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::scale::{Axis, Scale};
use crate::report::style::{self, INK, Look, SOFT, Shape};
use crate::report::table::Table;
use crate::subject::{Data, Subject};

/// The study.
pub const KIND: Kind = Kind {
    name: "propagation",
    question: "How do the errors of both orders grow through depth, absolutely and relatively, and where do they part?",
    title: "Error through depth",
    file: include_str!("propagation.toml"),
    many: &["models", "formats", "sparsity", "orders"],
    one: &[],
    plan,
    measure,
    frame,
    figure,
    caption,
    summary,
    shrink: fewer_inputs,
};

/// Both orders have parted where their relative errors of the residual stream differ by more than this share.
const PARTED: f64 = 0.01;

const COLUMNS: [&str; 11] = [
    "model",
    "data",
    "windows",
    "format",
    "sparsity",
    "order",
    "stage",
    "output",
    "layer",
    "absolute_error",
    "relative_error",
];

/// The result of a cell.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    model: String,
    data: String,
    windows: usize,
    format: String,
    sparsity: String,
    order: String,
    rows: Vec<Output>,
}

/// How far one output is from the FP32 model's.
#[derive(Debug, Serialize, Deserialize)]
struct Output {
    layer: String,
    stage: usize,
    /// `stream`: what a stage hands on; `product`: what a layer gives.
    output: String,
    absolute: f64,
    relative: f64,
}

fn plan(bench: &Bench, _: &Done) -> Result<Vec<Planned>> {
    bench.spec.needs("models", &bench.spec.models)?;
    let (formats, patterns) = bench.ordered()?;
    let points = points(&formats, &patterns, &bench.orders()?);
    let planned = |subject: &Subject, point: &Point| Planned {
        key: point.name(bench.key_of(subject), "auto"),
        label: format!("{} {} {} {}", subject.model_name, point.format.name, point.pattern, point.order),
        work: format!("{} {}", subject.model_name, point.format.element.bits()),
        amount: inputs(subject),
    };
    Ok(bench.subjects.iter().flat_map(|subject| points.iter().map(move |point| planned(subject, point))).collect())
}

fn measure(worker: &mut Worker<'_>, key: &Key) -> Result<Value> {
    let bench = worker.bench;
    let point = Point::of(key)?;
    let (place, subject) = bench.subject(key.text("model")?)?;
    let inputs = activations(subject)?;
    let [reference, session] = worker.sessions(place, ["reference", "cell"])?;
    session.set_plan(bench.on_first(Plan::new(bench.preset()?, point.config()?)))?;
    let errors = propagation(reference, session, &inputs)?;
    let labels = point.labels();
    let rows = errors.into_iter().map(|e| Output {
        output: if e.is_stream { "stream" } else { "product" }.to_owned(),
        layer: e.layer,
        stage: e.stage,
        absolute: e.absolute,
        relative: e.error,
    });
    let measured = Measured {
        model: subject.model_name.clone(),
        data: subject.data_name.clone(),
        windows: subject.inputs(),
        format: labels.format,
        sparsity: labels.sparsity,
        order: labels.order,
        rows: rows.collect(),
    };
    Ok(serde_json::to_value(measured)?)
}

/// Every window, the images at once, or every text.
fn activations(subject: &Subject) -> Result<Vec<Activation>> {
    match &subject.data {
        Data::Images { pixels, .. } => Ok(vec![input::images(&*subject.model.checkpoint, pixels)?]),
        _ => one_by_one(subject),
    }
}

/// Every window, image or text.
pub(super) fn one_by_one(subject: &Subject) -> Result<Vec<Activation>> {
    let checkpoint = &*subject.model.checkpoint;
    Ok(match &subject.data {
        Data::Windows(windows) => {
            windows.iter().map(|w| input::tokens(checkpoint, w, w.len())).collect::<Result<_, _>>()?
        }
        Data::Images { pixels, labels } => {
            let images = pixels.chunks((pixels.len() / labels.len().max(1)).max(1));
            images.map(|image| input::images(checkpoint, image)).collect::<Result<_, _>>()?
        }
        Data::Pairs { pairs, texts } => {
            let ids = pairs.iter().filter_map(|pair| texts.get(&pair.first));
            ids.map(|ids| input::text(checkpoint, ids, &vec![0; ids.len()], ids.len())).collect::<Result<_, _>>()?
        }
    })
}

fn frame(results: &[Value]) -> Result<Frame> {
    let mut frame = Frame::new(&COLUMNS);
    for result in results {
        let cell: Measured = typed(result)?;
        for row in &cell.rows {
            let names = [&cell.model, &cell.data, &cell.windows.to_string(), &cell.format, &cell.sparsity, &cell.order];
            let place = [&row.stage.to_string(), &row.output, &row.layer];
            let numbers = [field(row.absolute), field(row.relative)];
            frame.push(KIND.name, names.into_iter().chain(place).chain(&numbers))?;
        }
    }
    Ok(frame)
}

/// The stream of one configuration: (stage, value of `column`).
fn stream<'a>(rows: &[Row<'a>], column: &str, (format, sparsity, order): (&str, &str, &str)) -> Vec<(f64, f64)> {
    let wanted = [("format", format), ("sparsity", sparsity), ("order", order), ("output", "stream")];
    rows.iter().filter(|row| row.is(&wanted)).map(|row| (row.number("stage"), row.number(column))).collect()
}

fn figure(frame: &Frame) -> Result<Figure> {
    frame.expect(&COLUMNS)?;
    let mut rows: [Vec<Panel>; 3] = Default::default();
    for model in distinct(frame.rows(), "model") {
        let own: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        // The figure has one pattern: the first N:M one, where the orders differ most among the usual ones.
        let patterns = distinct(own.iter().copied(), "sparsity");
        let Some(&sparsity) = patterns.iter().find(|p| p.contains(':')).or(patterns.first()) else { continue };
        let title = format!("{model}, {sparsity}: error of the residual stream");
        rows[0].push(panel(title, "absolute error", curves(&own, "absolute_error", sparsity), true));
        rows[1].push(panel(String::new(), "relative error", curves(&own, "relative_error", sparsity), true));
        rows[2].push(panel(String::new(), "Q→S above S→Q, %", differences(&own, sparsity), false));
    }
    let formats = distinct(frame.rows(), "format").into_iter().map(|f| (Sample::Line(style::colour(f)), f));
    let dot = |order| Sample::Mark(Look::new(Shape::Circle, INK).order(order));
    let legend = vec![
        Group::new("format", formats),
        Group::new("order (upper rows)", [(dot("sq"), "S→Q, solid"), (dot("qs"), "Q→S, dashed")]),
        Group::new("", [(Sample::Dashed(SOFT), "no difference")]),
    ];
    Ok(Figure::new(rows.to_vec(), 250.0, legend))
}

/// Curves over stages. On a logarithmic axis an error of 0, as before the first stage, has no place.
fn panel(title: String, y: &str, curves: Vec<Curve>, logarithmic: bool) -> Panel {
    let stages = curves.iter().flat_map(|c| c.points.iter().map(|p| p.0));
    let heights = curves.iter().flat_map(|c| c.points.iter().map(|p| p.1));
    let scale = if logarithmic { Scale::log(heights, 1.06) } else { Scale::linear(heights.chain([0.0]), 0.06) };
    let level = (!logarithmic).then_some(Item::Level(0.0));
    Panel {
        title,
        x: Axis::new("behind stage", Scale::whole(stages, 0.03)),
        y: Axis::new(y, scale),
        items: level.into_iter().chain(curves.into_iter().map(Item::Curve)).collect(),
        beyond: String::new(),
    }
}

/// Both orders of every format.
fn curves(rows: &[Row], column: &str, sparsity: &str) -> Vec<Curve> {
    let curve = |format: &str, order: &str| line(format, order, stream(rows, column, (format, sparsity, order)));
    distinct(rows.iter().copied(), "format").iter().flat_map(|f| [curve(f, "sq"), curve(f, "qs")]).collect()
}

/// The line of a format under an order.
fn line(format: &str, order: &str, points: Vec<(f64, f64)>) -> Curve {
    let colour = style::colour(format);
    let dot = Look::new(Shape::Circle, colour).order(order).radius(2.6);
    Curve { colour, dashed: order == "qs", points, errors: Vec::new(), dot: Some(dot) }
}

/// By how many percent Q→S is above S→Q, by depth.
fn differences(rows: &[Row], sparsity: &str) -> Vec<Curve> {
    let curve = |format: &&str| {
        let of = |order: &str| stream(rows, "relative_error", (format, sparsity, order));
        let percent = of("sq")
            .into_iter()
            .zip(of("qs"))
            .map(|((stage, sq), (_, qs))| (stage, if sq > 0.0 { (qs / sq - 1.0) * 100.0 } else { 0.0 }));
        line(format, "sq", percent.collect())
    };
    distinct(rows.iter().copied(), "format").iter().map(curve).collect()
}

fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let mut text = format!(
        "`figure.svg`: the error of the residual stream behind each stage against the FP32 model's, for one pattern; above the absolute \
         error `‖Y − Y'‖`, in the middle the relative one `‖Y − Y'‖ / ‖Y‖`, below by how much Q→S exceeds S→Q. Every execution is on its own stream, so that errors accumulate as in use. \
         Norms are over all inputs together; `data.csv` has every product as well.\n\nThe orders have parted at the first stage behind which their relative \
         errors differ by more than {:.0} %.\n\n",
        100.0 * PARTED
    );
    for model in distinct(frame.rows(), "model") {
        let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        let _ = writeln!(text, "{}", table(model, &rows).markdown());
        let _ = writeln!(text, "{}\n", verdict(model, &rows));
    }
    Ok(text)
}

/// The answer in plain words, one entry a model.
fn summary(frame: &Frame) -> Vec<String> {
    let said = |model: &str| {
        let rows: Vec<Row> = frame.rows().filter(|row| row.text("model") == model).collect();
        verdict(model, &rows)
    };
    distinct(frame.rows(), "model").into_iter().map(said).collect()
}

fn configurations<'a>(rows: &[Row<'a>]) -> Vec<(&'a str, &'a str)> {
    let mut seen = Vec::new();
    for pair in rows.iter().map(|row| (row.text("format"), row.text("sparsity"))) {
        if !seen.contains(&pair) {
            seen.push(pair);
        }
    }
    seen
}

/// The relative error of both orders behind the last stage, and where they part.
fn table(model: &str, rows: &[Row]) -> Table {
    let header = ["format, pattern", "first S→Q", "last S→Q", "last Q→S", "Q→S − S→Q, %", "parted behind stage"];
    let mut table = Table::new(format!("{model}: relative error of the residual stream, in %"), header);
    for (format, sparsity) in configurations(rows) {
        let of = |order: &str| stream(rows, "relative_error", (format, sparsity, order));
        let (sq, qs) = (of("sq"), of("qs"));
        let percent = |point: Option<&(f64, f64)>| point.map_or_else(String::new, |(_, e)| format!("{:.2}", 100.0 * e));
        let gap =
            sq.last().zip(qs.last()).map_or_else(String::new, |(s, q)| format!("{:+.2}", (q.1 / s.1 - 1.0) * 100.0));
        let parted = sq.iter().zip(&qs).find(|(s, q)| (q.1 / s.1 - 1.0).abs() > PARTED);
        table.row([
            format!("{format}, {sparsity}"),
            percent(sq.first()),
            percent(sq.last()),
            percent(qs.last()),
            gap,
            parted.map_or_else(|| "never".to_owned(), |(s, _)| format!("{:.0}", s.0)),
        ]);
    }
    table
}

/// What the table says in words.
fn verdict(model: &str, rows: &[Row]) -> String {
    let (mut grows, mut worse, mut count) = (0, 0, 0);
    for (format, sparsity) in configurations(rows) {
        let of = |order: &str, column: &str| stream(rows, column, (format, sparsity, order));
        let absolute = of("sq", "absolute_error");
        let (sq, qs) = (of("sq", "relative_error"), of("qs", "relative_error"));
        let Some((last_sq, last_qs)) = sq.last().zip(qs.last()) else { continue };
        count += 1;
        grows += usize::from(absolute.is_sorted_by(|a, b| a.1 <= b.1));
        worse += usize::from(last_qs.1 > last_sq.1);
    }
    format!(
        "{model}: the absolute error of S→Q grows with every stage in {grows} of {count} configurations; behind the last stage Q→S is further from FP32 than \
         S→Q in {worse} of {count}."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_orders_part_where_they_differ_by_a_percent() {
        let mut frame = Frame::new(&COLUMNS);
        for (order, errors) in [("sq", [0.1, 0.2, 0.3]), ("qs", [0.1, 0.2001, 0.33])] {
            for (stage, error) in errors.into_iter().enumerate() {
                let stage = stage.to_string();
                let (name, error) = (format!("stream.{stage}"), error.to_string());
                let row = ["m", "d", "1", "int8", "2:4", order, &stage, "stream", &name, &error, &error];
                frame.push(KIND.name, row).unwrap();
            }
        }
        let text = caption(&frame).unwrap();
        assert!(text.contains("+10.00") && text.contains("|                   2 |"), "{text}");
        assert!(text.contains("grows with every stage in 1 of 1") && text.contains("in 1 of 1."), "{text}");
        assert!(figure(&frame).unwrap().svg().contains("</svg>"));
    }
}
