//! `interplay list datapaths`: units with what they take, or every record that a word picks.

use anyhow::Result;
use interplay_hw::Datapath;
use interplay_hw::datapath::{Group, Inputs, Proof};
use serde_json::Value;

use crate::report::table::Table;

/// The records whose names hold `word`; without a word one line a unit.
pub fn list(word: Option<&str>, declared: &[&'static Datapath]) -> Result<(Table, Value)> {
    let word = word.map(str::to_lowercase);
    let mut records: Vec<&'static Datapath> = Datapath::all().to_vec();
    for datapath in declared {
        if !records.iter().any(|known| std::ptr::eq(*known, *datapath)) {
            records.push(datapath);
        }
    }
    records.retain(|record| word.as_ref().is_none_or(|word| record.name.contains(word.as_str())));
    let table = if word.is_some() { each(&records) } else { units(&records) };
    Ok((table, serde_json::to_value(&records)?))
}

/// One line a record.
fn each(records: &[&Datapath]) -> Table {
    let mut table = Table::new("", ["name", "a step", "depths", "result", "runs on", "proof", "what it does"]).text();
    for record in records {
        let depths: Vec<String> = record.depths.iter().map(usize::to_string).collect();
        table.row([
            record.name.to_owned(),
            step(record),
            if depths.is_empty() { "any".to_owned() } else { depths.join(" ") },
            record.sum.round.last().map_or("-", |round| round.format.name).to_owned(),
            runs_on([*record]).to_owned(),
            proof(record.proof).to_owned(),
            record.about.to_owned(),
        ]);
    }
    table
}

/// One line a unit and kind of proof: `arch.unit` with its inputs and accumulators, and units that are no machine's by
/// name.
fn units(records: &[&Datapath]) -> Table {
    let mut table = Table::new("", ["unit", "inputs", "accumulators", "runs on", "proof", "records"]).text();
    type Unit<'a> = (String, Vec<&'a str>, Vec<&'a str>, Proof, Vec<&'a Datapath>);
    let mut rows: Vec<Unit<'_>> = Vec::new();
    for record in records {
        let parts: Vec<&str> = record.name.splitn(3, '.').collect();
        let [arch, unit, rest] = parts[..] else {
            let (name, result) = (record.name.to_owned(), record.accumulator.d.name);
            rows.push((name, vec![inputs(record)], vec![result], record.proof, vec![record]));
            continue;
        };
        let (input, accumulator) = rest.rsplit_once('.').unwrap_or((rest, "-"));
        let name = format!("{arch}.{unit}");
        let known = rows.iter().position(|row| row.0 == name && row.3 == record.proof);
        let at = known.unwrap_or(rows.len());
        if known.is_none() {
            rows.push((name, Vec::new(), Vec::new(), record.proof, Vec::new()));
        }
        let (_, inputs, accumulators, _, all) = &mut rows[at];
        all.push(record);
        for part in input.split_once('-').map_or(input, |(kind, _)| kind).split('x') {
            push(inputs, part);
        }
        push(accumulators, accumulator);
    }
    // The proofs of a unit stand together, where the catalogue has its first.
    let mut order: Vec<String> = Vec::new();
    rows.iter().for_each(|row| {
        if !order.contains(&row.0) {
            order.push(row.0.clone())
        }
    });
    rows.sort_by_key(|row| order.iter().position(|name| *name == row.0));
    for (name, inputs, accumulators, known, all) in rows {
        let (count, devices) = (all.len().to_string(), runs_on(all).to_owned());
        table.row([name, inputs.join(" "), accumulators.join(" "), devices, proof(known).to_owned(), count]);
    }
    table.row(["auto", "-", "-", "-", "-", "1"].map(str::to_owned));
    table
}

fn push<'a>(list: &mut Vec<&'a str>, item: &'a str) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// What enters a unit that is no machine's.
fn inputs(record: &Datapath) -> &'static str {
    match record.inputs {
        Inputs::Host => "the host",
        Inputs::Values => "values",
        Inputs::Integers => "integers, a scale a row",
        Inputs::Blocks(_) => "blocks",
        Inputs::Codes(codes) => codes.a.format.name,
        _ => "-",
    }
}

/// On what the records run: the CPU always, a GPU where there are kernels.
fn runs_on<'a>(records: impl IntoIterator<Item = &'a Datapath>) -> &'static str {
    let (with, without): (Vec<&Datapath>, Vec<&Datapath>) =
        records.into_iter().partition(|record| record.has_gpu_kernel());
    match (with.is_empty(), without.is_empty()) {
        (true, _) => "CPU only",
        (false, true) => "CPU, GPU",
        (false, false) => "CPU, some GPU",
    }
}

/// Products a step.
fn step(record: &Datapath) -> String {
    match record.order.group {
        Group::All => "all".to_owned(),
        Group::Block => "block".to_owned(),
        Group::Of(group) => group.to_string(),
    }
}

/// How a record is known to be right.
pub fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::Silicon => "silicon",
        Proof::Simulator => "simulator",
        Proof::Document => "document",
        Proof::Definition => "definition",
        Proof::Hypothesis => "hypothesis",
    }
}
