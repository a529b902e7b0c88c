//! `interplay list WHAT`: every record of a kind, as a table or as JSON.

use anyhow::Result;
use interplay::catalogue;
use interplay_formats::Format;
use interplay_hw::Datapath;
use interplay_hw::cost::Accelerator;
use serde_json::{Value, json};

use crate::cli::Listed;
use crate::output::{say, sayln};
use crate::report::table::Table;
use crate::studies;

/// Prints the list.
///
/// # Errors
/// A record that JSON cannot hold, which none is.
pub fn run(what: Listed, as_json: bool) -> Result<()> {
    let (table, json) = match what {
        Listed::Formats => formats()?,
        Listed::Datapaths => datapaths()?,
        Listed::Accelerators => accelerators()?,
        Listed::Models => models(),
        Listed::Studies => studies(),
    };
    if as_json {
        sayln!("{}", serde_json::to_string_pretty(&json)?);
    } else {
        say(format_args!("{table}"));
    }
    Ok(())
}

fn formats() -> Result<(Table, Value)> {
    let mut table = Table::new("", ["name", "bits/element", "element", "largest", "theorem 3.5", "scale"]);
    let cards: Vec<_> = Format::all().iter().map(Format::card).collect();
    for card in &cards {
        let scale = match (card.block, card.scale) {
            (Some(block), Some(scale)) => format!("{scale} for {block}"),
            _ => "none".to_owned(),
        };
        table.row([
            [&[card.name], card.aliases].concat().join(" = "),
            card.bits_per_element.to_string(),
            card.element.to_owned(),
            format!("{:e}", card.max),
            if card.laws.theorem_3_5 { "holds" } else { "-" }.to_owned(),
            scale,
        ]);
    }
    Ok((table, serde_json::to_value(&cards)?))
}

fn datapaths() -> Result<(Table, Value)> {
    let mut table = Table::new("", ["name", "what it does"]);
    for datapath in Datapath::all() {
        table.row([datapath.name, datapath.about]);
    }
    table.row(["auto", "the natural unit of the formats of a product (the default)"]);
    Ok((table, serde_json::to_value(Datapath::all())?))
}

fn accelerators() -> Result<(Table, Value)> {
    let mut table = Table::new("", ["name", "array", "clock", "units", "what it is"]);
    for a in Accelerator::all() {
        let array = format!("{}x{}", a.array.rows, a.array.columns);
        let clock = format!("{} MHz", a.clock.0 / 1_000_000);
        table.row([a.name, &array, &clock, &a.datapaths.join(" "), a.about]);
    }
    Ok((table, serde_json::to_value(Accelerator::all())?))
}

fn models() -> (Table, Value) {
    let mut table = Table::new("", ["name", "kind", "here", "licence", "from"]);
    let mut rows = vec![
        ("lm", "model", true, "CC BY-SA text, own weights", "embedded; trained by `interplay train lm`".to_owned()),
        ("vit", "model", true, "MIT data, own weights", "embedded; trained by `interplay train vit`".to_owned()),
    ];
    for item in &catalogue::ITEMS {
        let kind = match item.kind {
            catalogue::Kind::Model => "model",
            catalogue::Kind::Text => "text",
            catalogue::Kind::Images => "images",
        };
        let from = format!("{} {}; `interplay fetch {}`", item.package, item.version, item.name);
        rows.push((item.name, kind, catalogue::locate(item.name).is_ok(), item.licence, from));
    }
    for &(name, kind, here, licence, ref from) in &rows {
        table.row([name, kind, if here { "yes" } else { "no" }, licence, from.as_str()]);
    }
    let json = rows.into_iter().map(|(name, kind, here, licence, from)| {
        json!({"name": name, "kind": kind, "here": here, "licence": licence, "from": from})
    });
    let json = json.collect();
    (table, json)
}

fn studies() -> (Table, Value) {
    let mut table = Table::new("", ["name", "question"]);
    for study in studies::ALL {
        table.row([study.name, study.question]);
    }
    let json = studies::ALL.iter().map(|s| json!({"name": s.name, "question": s.question})).collect();
    (table, json)
}
