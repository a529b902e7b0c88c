//! The table, the figure and the caption.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;
use interplay_formats::math;
use serde_json::Value;

use super::choose::{judges, judging};
use super::read;
use crate::engine::frame::{Frame, Row, distinct, field};
use crate::report::chart::{Item, Mark, Panel};
use crate::report::figure::Figure;
use crate::report::legend::{Group, Sample};
use crate::report::numbers::{self, Paired, number};
use crate::report::scale::{Axis, Scale};
use crate::report::style::{Colour, HUES, Look, SOFT, Shape};
use crate::report::table::Table;
use crate::studies::evaluated::Evaluated;

const COLUMNS: [&str; 18] = [
    "model",
    "data",
    "inputs_judging",
    "resource",
    "budget_percent",
    "method",
    "proven",
    "predicted_rise",
    "metric",
    "value",
    "dense_value",
    "rise",
    "rise_stderr",
    "above_uniform",
    "above_uniform_stderr",
    "bits",
    "energy_pj",
    "picks",
];

/// The metric that a mean loss is: a perplexity's exponential, or the loss.
fn metric(evaluated: &Evaluated, loss: f64) -> f64 {
    if evaluated.cell.metric.name == "perplexity" { math::exp(loss) } else { loss }
}

pub(super) fn frame(results: &[Value]) -> Result<Frame> {
    let cells = results.iter().map(read).collect::<Result<Vec<_>>>()?;
    let mut frame = Frame::new(&COLUMNS);
    for (key, one) in cells.iter().filter(|(key, _)| key.text("layer").is_ok_and(|layer| layer == "chosen")) {
        let of_model = || cells.iter().filter(|(_, other)| other.cell.model == one.cell.model);
        let Some((_, dense)) = of_model().find(|(key, _)| key.text("layer").is_ok_and(|l| l == "none")) else {
            continue;
        };
        let (resource, percent) = (key.text("resource")?, key.number("percent")?);
        let rival = of_model().find(|(other, _)| {
            let same = other.text("resource").is_ok_and(|r| r == resource)
                && other.number("percent").is_ok_and(|p| p == percent);
            same && other.text("method").is_ok_and(|method| method == "uniform")
        });
        let against = |rival: &Evaluated| Paired::of(judging(rival), judging(one));
        let rise = against(dense);
        let above = rival.filter(|_| key.text("method").is_ok_and(|m| m != "uniform")).map(|(_, rival)| against(rival));
        let chosen: BTreeMap<String, String> = key.object("picks")?;
        let picks: Vec<String> = chosen.iter().map(|(layer, pick)| format!("{layer}={pick}")).collect();
        // What the choice covers: the other products of the model are in no budget.
        let covered = || one.layers.iter().filter(|cost| chosen.contains_key(&cost.layer));
        let values = [
            one.cell.model.clone(),
            one.cell.data.clone(),
            judging(one).len().to_string(),
            resource.to_owned(),
            percent.to_string(),
            key.text("method")?.to_owned(),
            key.flag("proven").to_string(),
            key.text("predicted")?.to_owned(),
            one.cell.metric.name.clone(),
            field(metric(one, judges(one))),
            field(metric(one, judges(dense))),
            field(rise.mean),
            field(rise.stderr),
            above.as_ref().map_or_else(String::new, |paired| field(paired.mean)),
            above.as_ref().map_or_else(String::new, |paired| field(paired.stderr)),
            covered().filter_map(|cost| cost.bits).sum::<u64>().to_string(),
            field(covered().map(|cost| cost.energy_pj).sum()),
            picks.join("; "),
        ];
        frame.push(super::KIND.name, values)?;
    }
    Ok(frame)
}

/// The methods, and how their marks look.
const METHODS: [(&str, Colour, Shape); 3] =
    [("greedy", HUES[1], Shape::Square), ("exact", HUES[0], Shape::Circle), ("uniform", SOFT, Shape::Diamond)];

/// The models and resources of the table.
fn cases<'a>(frame: &'a Frame) -> Vec<(&'a str, &'a str, Vec<Row<'a>>)> {
    let mut cases = Vec::new();
    for model in distinct(frame.rows(), "model") {
        for resource in distinct(frame.rows(), "resource") {
            let rows: Vec<Row> =
                frame.rows().filter(|row| row.is(&[("model", model), ("resource", resource)])).collect();
            cases.push((model, resource, rows));
        }
    }
    cases
}

pub(super) fn figure(frame: &Frame) -> Result<Figure> {
    frame.expect(&COLUMNS)?;
    let mut rows: Vec<Vec<Panel>> = vec![Vec::new(), Vec::new()];
    for (model, resource, own) in cases(frame) {
        let titles = [format!("{model}, budget of {resource}"), String::new()];
        let columns = [("rise", "rise of the loss, nats"), ("above_uniform", "above uniform, nats")];
        for ((row, title), (column, y)) in rows.iter_mut().zip(titles).zip(columns) {
            row.push(panel(title, &own, resource, (column, y)));
        }
    }
    let samples = METHODS.map(|(method, colour, shape)| (Sample::Mark(Look::new(shape, colour)), method));
    let legend = vec![
        Group::new("choice", samples),
        Group::new("lines", [(Sample::Bar, "± one standard error"), (Sample::Dashed(SOFT), "no difference")]),
    ];
    Ok(Figure::new(rows, 260.0, legend))
}

/// One resource: marks of the methods side by side at each budget.
fn panel(title: String, rows: &[Row], resource: &str, (column, y): (&str, &str)) -> Panel {
    let budgets = distinct(rows.iter().copied(), "budget_percent");
    let mut items = vec![Item::Level(0.0)];
    let mut heights = vec![0.0];
    for row in rows {
        let Some(at) = METHODS.iter().position(|(method, ..)| *method == row.text("method")) else { continue };
        let place = budgets.iter().position(|budget| *budget == row.text("budget_percent")).unwrap_or(0);
        let (value, stderr) = (row.number(column), row.number(&format!("{column}_stderr")));
        if !value.is_finite() {
            continue;
        }
        let error = stderr.is_finite().then_some((value - stderr, value + stderr));
        heights.extend([value].into_iter().chain(error.into_iter().flat_map(|(low, high)| [low, high])));
        let (_, colour, shape) = METHODS[at];
        let x = place as f64 + 0.16 * (at as f64 - 1.0);
        items.push(Item::Mark(Mark { at: (x, value), error, look: Look::new(shape, colour) }));
    }
    Panel {
        title,
        x: Axis::new(
            format!("budget of {resource}, % of the dearest choice"),
            Scale::Names(budgets.iter().map(|budget| (*budget).to_owned()).collect()),
        ),
        y: Axis::new(y, Scale::linear(heights.into_iter(), 0.08)),
        items,
        beyond: String::new(),
    }
}

pub(super) fn caption(frame: &Frame) -> Result<String> {
    frame.expect(&COLUMNS)?;
    let mut text = String::from(
        "Every layer was compressed alone in every way, and the rise of the loss measured; under a budget, *greedy* and *exact* then choose a way for each layer by \
         the least sum of these rises, greedily and by an exhaustive search with bounds. *uniform* is the best single way for all layers within the budget, chosen by what it does to all of them \
         together. One half of the inputs makes every choice, the other half judges it: the numbers below are of the second half. Budgets are in percent of what the dearest \
         candidate takes in all layers; one that not even the cheapest choice fits has no rows, and layers outside the preset are in no budget.\n\n\
         `figure.svg`: above, the rise of the loss over the dense FP32 model; below, the difference to the best single choice (below zero: the choice by layer is better).\n\n",
    );
    for (model, resource, rows) in cases(frame) {
        let _ = writeln!(text, "{}", table(model, resource, &rows).markdown());
        let _ = writeln!(text, "{}\n", verdict(model, resource, &rows));
    }
    Ok(text)
}

/// The answer in plain words, one entry a model and resource.
pub(super) fn summary(frame: &Frame) -> Vec<String> {
    cases(frame).into_iter().map(|(model, resource, rows)| verdict(model, resource, &rows)).collect()
}

fn table(model: &str, resource: &str, rows: &[Row]) -> Table {
    let first = rows.first();
    let dense = first.map_or(f64::NAN, |row| row.number("dense_value"));
    let metric = first.map_or("", |row| row.text("metric")).replace('_', " ");
    let title = format!("{model}, budget of {resource}: {metric}, dense FP32 {}", number(dense));
    let header = [
        "budget, method",
        "metric",
        "rise, nats",
        "predicted rise",
        "above uniform, nats",
        "KiB",
        "energy, uJ",
        "proven best",
    ];
    let mut table = Table::new(title, header);
    for row in rows {
        let spread = |value: &str, stderr: &str| numbers::spread(row.number(value), row.number(stderr), 4);
        table.row([
            format!("{} %, {}", row.text("budget_percent"), row.text("method")),
            number(row.number("value")),
            spread("rise", "rise_stderr"),
            format!("{:+.4}", row.number("predicted_rise")),
            spread("above_uniform", "above_uniform_stderr"),
            format!("{:.1}", row.number("bits") / 8192.0),
            format!("{:.2}", row.number("energy_pj") / 1e6),
            if row.text("proven") == "true" { "yes" } else { "" }.to_owned(),
        ]);
    }
    table
}

fn verdict(model: &str, resource: &str, rows: &[Row]) -> String {
    let exact: Vec<&Row> = rows.iter().filter(|row| row.text("method") == "exact").collect();
    let compared: Vec<&&Row> = exact.iter().filter(|row| !row.number("above_uniform").is_nan()).collect();
    let clear = |sign: f64| {
        let beyond = |row: &&&&Row| sign * row.number("above_uniform") > 2.0 * row.number("above_uniform_stderr");
        compared.iter().filter(beyond).count()
    };
    let orders = |word: &str| {
        let picks = exact.iter().flat_map(|row| row.text("picks").split("; "));
        picks.filter(|pick| pick.ends_with(word)).count()
    };
    format!(
        "{model}, {resource}: the choice by layer is better than the best single one by more than two standard errors under {} of {} budgets, and worse under {}. Of the layers that \
         it both prunes and rounds, it takes S→Q for {} and Q→S for {}.",
        clear(-1.0),
        compared.len(),
        clear(1.0),
        orders(" sq"),
        orders(" qs")
    )
}
