//! Does the order of sparsifying and quantising matter, and what does each point cost?
//!
//! Every cell is one configuration of one model: a format, a sparsity pattern and an order. The model runs once under it; the
//! same run gives the metric, the stored bits, the cycles and the energy.

mod tables;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::engine::bench::{Bench, points};
use crate::engine::frame::{Frame, field};
use crate::engine::kind::{Done, Kind, Planned};
use crate::engine::rehearse::fewer_inputs;
use crate::engine::run::typed;
use crate::report::figure::Figure;
use crate::report::numbers::Paired;
use crate::report::points::{self, Point};
use crate::studies::evaluated::{self, COLUMNS, Evaluated};
use crate::subject::Data;

/// The study.
pub const KIND: Kind = Kind {
    name: "orders",
    question: "Does the order of sparsifying and quantising matter, and what does each point gain in memory, time and energy?",
    title: "The order of sparsifying and quantising",
    file: include_str!("orders.toml"),
    many: &["models", "formats", "sparsity", "orders"],
    one: &["datapaths", "accelerators", "seeds"],
    plan,
    measure: evaluated::measure,
    frame,
    figure: draw,
    caption: tables::caption,
    summary: tables::summary,
    shrink: fewer_inputs,
};

/// What a row has beside the columns of an evaluated cell.
const MORE: [&str; 5] = ["gap_percent", "gap_stderr", "bound", "excess", "excess_stderr"];

/// The cells of a grid of formats, patterns and orders.
pub(super) fn plan(bench: &Bench, _: &Done) -> Result<Vec<Planned>> {
    bench.spec.needs("models", &bench.spec.models)?;
    bench.spec.needs("accelerators", &bench.spec.accelerators)?;
    let points = points(&bench.formats()?, &bench.patterns()?, &bench.orders()?);
    let datapath = bench.spec.datapaths.first().map_or("auto", String::as_str);
    let unit = crate::engine::bench::unit(datapath)?;
    let seed = bench.spec.seeds.first().copied().unwrap_or(0);
    let mut planned = Vec::new();
    for subject in &bench.subjects {
        // A rank correlation is of all pairs together: there is no loss of each to compare two orders by.
        ensure!(!matches!(subject.data, Data::Pairs { .. }), "an encoder of texts has no losses; use `interplay eval`");
        for point in &points {
            // FP32 is the host's own product, whatever unit the formats have.
            let unit = unit.filter(|_| !point.format.is_exact());
            let point = crate::engine::bench::Point { datapath: unit, ..point.clone() };
            planned.push(evaluated::planned(bench, subject, &point, datapath, seed));
        }
    }
    Ok(planned)
}

/// The cell of that pattern, format and order, of the model of `like`.
fn find<'a>(
    cells: &'a [Evaluated],
    like: &Evaluated,
    sparsity: &str,
    format: &str,
    order: &str,
) -> Option<&'a Evaluated> {
    let same = |c: &&Evaluated| {
        let c = &c.cell;
        c.model == like.cell.model && c.sparsity == sparsity && c.format == format && c.order == order
    };
    cells.iter().find(same)
}

fn frame(results: &[Value]) -> Result<Frame> {
    let cells: Vec<Evaluated> = results.iter().map(typed).collect::<Result<_>>()?;
    let mut frame = Frame::new(&[&COLUMNS[..], &MORE].concat());
    for one in &cells {
        let more = [gap(&cells, one), excess(&cells, one)].concat();
        frame.push(KIND.name, evaluated::values(one).into_iter().chain(more.into_iter().map(field)))?;
    }
    Ok(frame)
}

/// By how many percent Q→S is worse than S→Q, with the standard error of the paired difference.
pub(super) fn gap(cells: &[Evaluated], qs: &Evaluated) -> Vec<f64> {
    let (c, sq) = (&qs.cell, find(cells, qs, &qs.cell.sparsity, &qs.cell.format, "sq"));
    let Some(sq) = sq.filter(|_| c.order == "qs") else { return vec![f64::NAN; 2] };
    evaluated::increase_percent(sq, qs).to_vec()
}

/// The orthogonality bound of a cell that both prunes and rounds, `metric(dense) + Err_q + Err_s`, by how much the cell exceeds it, and
/// the standard error of that: the four metrics are of the same windows, so their errors are taken together, window by window.
fn excess(cells: &[Evaluated], one: &Evaluated) -> Vec<f64> {
    let c = &one.cell;
    let terms = match c.order.as_str() {
        "sq" | "qs" => [
            find(cells, one, "dense", &c.format, "none"),
            find(cells, one, &c.sparsity, "fp32", "none"),
            find(cells, one, "dense", "fp32", "none"),
        ],
        _ => [None; 3],
    };
    let [Some(rounded), Some(pruned), Some(dense)] = terms else { return vec![f64::NAN; 3] };
    let bound = rounded.cell.metric.value + pruned.cell.metric.value - dense.cell.metric.value;
    // To first order a metric moves with a window's loss by the metric itself for a perplexity, by 1 for the loss.
    let slope = |e: &Evaluated| if c.metric.name == "perplexity" { e.cell.metric.value } else { 1.0 };
    let window = |i: usize| {
        let term = |e: &Evaluated| slope(e) * e.losses.get(i).copied().unwrap_or(f64::NAN);
        term(one) - term(rounded) - term(pruned) + term(dense)
    };
    let moves: Vec<f64> = (0..one.losses.len()).map(window).collect();
    vec![bound, c.metric.value - bound, Paired::of(&vec![0.0; moves.len()], &moves).stderr]
}

fn draw(frame: &Frame) -> Result<Figure> {
    frame.expect(&points::NEEDED)?;
    Ok(points::pareto(&frame.rows().map(Point::of).collect::<Vec<_>>()))
}
