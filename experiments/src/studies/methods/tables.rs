//! The study's tables: perplexity by pruner, quantiser and order, what the cells cost, and the two questions about PQP.

use interplay_formats::{Format, math};

use super::bench::Measured;
use super::entries::{NONE, Point, TABLE};
use super::run::Model;
use super::{Request, layers, pqp};
use crate::report::numbers::{Paired, in_order, number, spread};
use crate::report::table::Table;
use crate::result::Metric;

/// Which text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Text {
    First,
    Second,
}

/// All tables of one model.
pub(super) fn all(request: &Request, model: &Model) -> Vec<Table> {
    let mut tables = Vec::new();
    for pattern in in_order(model.cells.iter().filter(|m| in_table(m)).map(|m| m.cell.sparsity.clone())) {
        if pattern == "dense" {
            continue;
        }
        for format in &request.formats {
            tables.push(perplexity(model, &pattern, format, Text::First));
        }
        for format in &request.formats {
            tables.push(perplexity(model, &pattern, format, Text::Second));
        }
    }
    tables.extend(tasks(model));
    tables.push(cost(model));
    tables.extend(updates(model));
    for format in &request.formats {
        tables.extend(metric(model, format));
    }
    tables.extend(learned(model));
    tables.push(published(model));
    tables.push(methods(model));
    tables
}

/// The recipe that loses least on the first text, a sentence a format and pattern.
pub(super) fn best(request: &Request, model: &Model) -> Vec<String> {
    let mut said = Vec::new();
    for pattern in in_order(model.cells.iter().filter(|m| in_table(m)).map(|m| m.cell.sparsity.clone())) {
        for format in request.formats.iter().filter(|_| pattern != "dense") {
            let of = |m: &&Measured| in_table(m) && m.cell.format == format.name && m.cell.sparsity == pattern;
            let cells = model.cells.iter().filter(of);
            if let Some(best) = cells.min_by(|a, b| a.cell.metric.value.total_cmp(&b.cell.metric.value)) {
                let (value, fp32) = (number(best.cell.metric.value), number(best.cell.fp32.value));
                let (name, recipe) = (&model.name, best.recipe());
                said.push(format!(
                    "{name}: {recipe} loses least in {} at {pattern}: perplexity {value}, dense FP32 {fp32}.",
                    format.name
                ));
            }
        }
    }
    said
}

fn in_table(m: &Measured) -> bool {
    m.cell.compression.as_ref().is_some_and(|c| c.part == TABLE)
}

/// A cell of the table by its names.
fn find<'a>(model: &'a Model, pattern: &str, format: &str, who: (&str, &str), order: &str) -> Option<&'a Measured> {
    model.cells.iter().find(|m| {
        let names = m.cell.compression.as_ref().map(|c| (c.pruner.as_str(), c.quantiser.as_str()));
        in_table(m)
            && names == Some(who)
            && m.cell.sparsity == pattern
            && m.cell.format == format
            && m.cell.order == order
    })
}

fn value(m: &Measured, text: Text) -> &Metric {
    match (&m.cell.other_text, text) {
        (Some(other), Text::Second) => &other.metric,
        _ => &m.cell.metric,
    }
}

/// The number of a cell, with a star where its weights left the grid.
fn shown(m: Option<&Measured>, text: Text) -> String {
    m.map_or_else(String::new, |m| format!("{}{}", number(value(m, text).value), if m.off_grid() { "*" } else { "" }))
}

/// One row a pruner, one column a quantiser and order; on the first text the paired difference of the orders.
fn perplexity(model: &Model, pattern: &str, format: &Format, text: Text) -> Table {
    let names = |of: fn(&crate::result::Compression) -> &str| {
        let names = model.cells.iter().filter(|m| in_table(m)).filter_map(|m| m.cell.compression.as_ref());
        in_order(names.map(|c| of(c).to_owned()))
    };
    let quantisers: Vec<String> =
        names(|c| &c.quantiser).into_iter().filter(|name| name != NONE && name != "joint").collect();
    let mut header = vec![String::new(), "fp32".to_owned()];
    for quantiser in &quantisers {
        header.extend([format!("{quantiser} S→Q"), format!("{quantiser} Q→S")]);
        header.extend((text == Text::First).then(|| "Q→S − S→Q, %".to_owned()));
    }
    header.push("joint".to_owned());
    let mut table = Table::new(title(model, format.name, pattern, text), header);
    for pruner in names(|c| &c.pruner) {
        let pattern = if pruner == NONE { "dense" } else { pattern };
        let one = |format: &str, quantiser: &str, order| find(model, pattern, format, (&pruner, quantiser), order);
        let mut row = vec![pruner.clone(), shown(one("fp32", NONE, NONE), text)];
        for quantiser in &quantisers {
            let order = if pruner == NONE { NONE } else { "sq" };
            let (sq, qs) = (one(format.name, quantiser, order), one(format.name, quantiser, "qs"));
            row.extend([shown(sq, text), shown(qs, text)]);
            row.extend((text == Text::First).then(|| sq.zip(qs).map_or_else(String::new, |(a, b)| gap(a, b))));
        }
        row.push(shown(one(format.name, "joint", "joint"), text));
        if row.iter().skip(1).any(|cell| !cell.is_empty()) {
            table.row(row);
        }
    }
    table
}

fn title(model: &Model, format: &str, pattern: &str, text: Text) -> String {
    let Some(c) = model.cells.first().map(|m| &m.cell) else { return String::new() };
    let (data, fp32) = match (&c.other_text, text) {
        (Some(other), Text::Second) => (&other.data, &other.fp32),
        _ => (&c.data, &c.fp32),
    };
    format!(
        "{}, {format}, {pattern}: perplexity on {data} ({} windows of {} tokens); FP32 {}; lower is better",
        model.name,
        c.windows,
        c.window,
        number(fp32.value)
    )
}

/// By how many percent `b` is worse than `a`, with the standard error of the paired difference of losses.
pub(super) fn gap(a: &Measured, b: &Measured) -> String {
    let paired = Paired::of(&a.losses, &b.losses);
    spread(math::exp_m1(paired.mean) * 100.0, paired.stderr * 100.0, 2)
}

/// Zero-shot accuracy, one row a recipe.
fn tasks(model: &Model) -> Option<Table> {
    let names = in_order(model.cells.iter().flat_map(|m| &m.cell.tasks).map(|t| t.task.clone()));
    if names.is_empty() {
        return None;
    }
    let title = format!("{}: zero-shot accuracy, %", model.name);
    let mut table = Table::new(title, ["recipe".to_owned()].into_iter().chain(names.iter().cloned()));
    let percent = |m: &Metric| {
        let stderr = m.stderr.map_or_else(String::new, |stderr| format!(" ±{:.1}", 100.0 * stderr));
        format!("{:.1}{stderr}", 100.0 * m.value)
    };
    for m in &model.cells {
        let score = |name: &String| m.cell.tasks.iter().find(|t| t.task == *name);
        let texts = names.iter().map(|name| score(name).map_or_else(String::new, |t| percent(&t.accuracy)));
        table.row([m.recipe().to_owned()].into_iter().chain(texts));
    }
    Some(table)
}

/// What cells cost: one row for all that store and compute the same.
fn cost(model: &Model) -> Table {
    let names = ["stored as", "cells", "linears, KiB", "whole model, KiB", "cycles", "energy, uJ"];
    let (cycles, prices) = model.cells.first().map_or(("", ""), |m| (&m.cell.cycles.model, &m.cell.energy_pj.prices));
    let title = format!("{}: stored size, and cycles ({cycles}) and energy ({prices}) of a window", model.name);
    let mut table = Table::new(title, names);
    let mut rows: Vec<([String; 5], usize)> = Vec::new();
    for m in &model.cells {
        let c = &m.cell;
        // An unstructured pattern that is learned stores as many values as it kept, so that it has a row of its own.
        let stored = if m.off_grid() { "fp32 (off the grid)" } else { &c.format };
        let f = c.footprint_bits;
        let kib = |bits: u64| format!("{:.1}", bits as f64 / 8192.0);
        let row = [
            format!("{stored} {}", c.sparsity),
            kib(f.values + f.scales + f.metadata),
            kib(f.total),
            c.cycles.total.to_string(),
            format!("{:.2}", c.energy_pj.total / 1e6),
        ];
        match rows.iter_mut().find(|(known, _)| *known == row) {
            Some((_, count)) => *count += 1,
            None => rows.push((row, 1)),
        }
    }
    for ([stored, linears, whole, cycles, energy], count) in rows {
        table.row([stored, count.to_string(), linears, whole, cycles, energy]);
    }
    table
}

/// What is known of a pruner and a quantiser beside perplexity.
fn methods(model: &Model) -> Table {
    let names = ["recipe", "measured sparsity, %", "mean output error", "on the grid, %", "calibration, KiB"];
    let mut table = Table::new(format!("{}: what each recipe left", model.name), names);
    for m in &model.cells {
        let Some(c) = &m.cell.compression else { continue };
        table.row([
            c.recipe.clone(),
            format!("{:.2}", 100.0 * c.sparsity),
            format!("{:.4}", c.output_error),
            c.on_grid.map_or_else(String::new, |share| format!("{:.0}", 100.0 * share)),
            format!("{:.1}", c.calibration.bytes as f64 / 1024.0),
        ]);
    }
    table
}

/// Where moving errors pays, each exception named.
fn updates(model: &Model) -> Option<Table> {
    let title = format!("{}: layers in which moving the error pays, by the output error in calibration", model.name);
    let mut table = Table::new(title, ["", "layers", "better", "share, %", "with", "without"]);
    let shares = layers::shares(model);
    let any = !shares.is_empty();
    for share in shares {
        let percent = format!("{:.1}", 100.0 * share.wins as f64 / share.layers as f64);
        let counts = [share.name.to_owned(), share.layers.to_string(), share.wins.to_string(), percent];
        table.row(counts.into_iter().chain([String::new(), String::new()]));
        for (recipe, layer, with, without) in share.exceptions {
            let blank = || [String::new(), String::new(), String::new()];
            let name = format!("exception: {layer} {recipe}");
            let errors = [format!("{with:.5}"), format!("{without:.5}")];
            table.row([name].into_iter().chain(blank()).chain(errors));
        }
    }
    any.then_some(table)
}

/// PQP's metric on given and on rounded weights.
fn metric(model: &Model, format: &'static Format) -> Option<Table> {
    let pqp::Metric { given, rounded, gptq } = pqp::Metric::of(format).ok()?;
    let show = |point: &Point| shown(model.find(point), Text::First);
    let title = format!(
        "{}: PQP's metric, 50%, {}: perplexity by what it scores and what its masks are put on",
        model.name, format.name
    );
    let header = ["masks from", "W, FP32", "W, then rtn (S→Q)", "rtn(W) (Q→S)", "gptq, own order"];
    let mut table = Table::new(title, header);
    table.row(["W".to_owned()].into_iter().chain(given.iter().map(show)).chain([show(&gptq[0])]));
    table.row(["the rounded W (PQP)".to_owned()].into_iter().chain(rounded.iter().map(show)).chain([show(&gptq[1])]));
    let pairs = given.iter().zip(&rounded).chain([(&gptq[0], &gptq[1])]);
    let gaps: Vec<String> =
        pairs.map(|(a, b)| model.find(a).zip(model.find(b)).map_or_else(String::new, |(a, b)| gap(a, b))).collect();
    let any = gaps.iter().any(|gap| !gap.is_empty());
    table.row(["difference, %".to_owned()].into_iter().chain(gaps));
    any.then_some(table)
}

/// Learned sparsity: BESA and PQP in both orders, and the weight of PQP's loss.
fn learned(model: &Model) -> Option<Table> {
    let pqp::Learned { besa, pqp, errors } = pqp::Learned::of(Format::by_name(pqp::FORMAT).ok()?).ok()?;
    let first = model.find(&besa[1])?;
    let title = format!("{}: learned sparsity with gptq({}), 50%", model.name, pqp::FORMAT);
    let mut table = Table::new(title, ["recipe", "perplexity", "against BESA Q→S, %", "measured sparsity, %"]);
    let rows = besa.iter().chain(&pqp).chain(errors.iter().filter(|e| e.text() != pqp[1].text()));
    for m in rows.filter_map(|point| model.find(point)) {
        let against = if m.recipe() == first.recipe() { String::new() } else { gap(first, m) };
        let sparsity = m.cell.compression.as_ref().map_or(0.0, |c| c.sparsity);
        let numbers = [shown(Some(m), Text::First), against, format!("{:.2}", 100.0 * sparsity)];
        table.row([m.recipe().to_owned()].into_iter().chain(numbers));
    }
    Some(table)
}

/// PQP's table with our cell beside each row.
fn published(model: &Model) -> Table {
    let title = format!(
        "PQP's table (WikiText-2 perplexity, 50%, windows of 2048 tokens), and {} with {} on {}",
        model.name,
        pqp::FORMAT,
        model.cells.first().map_or("", |m| &m.cell.data)
    );
    let ours = [format!("ours: {}", model.name), "as PQP's code ran it".to_owned()];
    let header = ["method".to_owned()].into_iter().chain(pqp::MODELS.map(str::to_owned)).chain(ours);
    let mut table = Table::new(title, header);
    for row in &pqp::TABLE {
        let point = Format::by_name(pqp::FORMAT).ok().and_then(|format| row.point(format).ok());
        let cell = point.as_ref().and_then(|point| model.find(point));
        let (shown, recipe) = (shown(cell, Text::First), point.map_or_else(String::new, |p| p.text()));
        let numbers = row.perplexity.iter().map(|p| format!("{p:.2}"));
        table.row([row.method.to_owned()].into_iter().chain(numbers).chain([shown, recipe]));
    }
    table
}
