//! `interplay list models` and `interplay list data`: what is embedded, fetched, or can be fetched, and what a user brings.

use interplay::catalogue::{self, ITEMS, Item, Kind};
use interplay::eval::tasks::FORMS;
use interplay::load::hf;
use serde_json::{Value, json};

use crate::report::table::Table;

/// One line of either list.
struct Row {
    name: String,
    kind: &'static str,
    /// Whether it is on this machine; none for what a user brings.
    here: Option<bool>,
    /// Why it cannot be loaded.
    unread: Option<String>,
    licence: &'static str,
    from: String,
}

/// Models: the embedded ones, those of registries, and what `--model` takes beside names.
pub fn models() -> (Table, Value) {
    let mut rows = vec![
        embedded("lm", "model", "CC BY-SA text, own weights", "embedded; trained by `interplay train lm`"),
        embedded("vit", "model", "MIT data, own weights", "embedded; trained by `interplay train vit`"),
    ];
    rows.extend(ITEMS.iter().filter(|item| item.kind == Kind::Model).map(fetched));
    rows.extend(hf::architectures().map(|architecture| {
        yours(
            format!("FOLDER ({architecture})"),
            "model",
            "a Hugging Face folder whose config.json has this `model_type`",
        )
    }));
    rows.push(yours("FILE.gguf (llama)".to_owned(), "model", "a GGUF file"));
    let torch = "a torch file of EfficientNet-Lite0 or of a ResNet of CIFAR";
    rows.push(yours("FILE.pth".to_owned(), "model", torch));
    lines(rows)
}

/// Data: the embedded ones, those of registries, and what `--data` and `--tasks` take beside names.
pub fn data() -> (Table, Value) {
    let mut rows = vec![
        embedded("heldout", "text", "CC BY-SA", "embedded: what `lm` was not trained on"),
        embedded("heldout", "images", "MIT", "embedded: what `vit` was not trained on"),
    ];
    rows.extend(ITEMS.iter().filter(|item| item.kind != Kind::Model).map(fetched));
    rows.push(yours("FILE.txt".to_owned(), "text", "any UTF-8 text"));
    rows.push(yours("FOLDER".to_owned(), "images", "a sub-folder a class, or files NAME_LABEL.png or .jpg"));
    rows.push(yours("FILE.safetensors".to_owned(), "images", "`pixel_values` or `images_u8`, and `labels`"));
    rows.extend(FORMS.iter().map(|form| {
        yours(form.name.to_owned(), "task", &format!("{}; DIR/{}.jsonl of `eval --tasks DIR`", form.about, form.name))
    }));
    lines(rows)
}

fn embedded(name: &str, kind: &'static str, licence: &'static str, from: &str) -> Row {
    Row { name: name.to_owned(), kind, here: Some(true), unread: None, licence, from: from.to_owned() }
}

fn fetched(item: &Item) -> Row {
    Row {
        name: item.name.to_owned(),
        kind: item.kind.name(),
        here: Some(catalogue::locate(item.name).is_ok()),
        unread: item.unread(),
        licence: item.licence,
        from: format!("{} {}; `interplay fetch {}`", item.package, item.version, item.name),
    }
}

fn yours(name: String, kind: &'static str, what: &str) -> Row {
    Row { name, kind, here: None, unread: None, licence: "yours", from: what.to_owned() }
}

fn lines(rows: Vec<Row>) -> (Table, Value) {
    let mut table = Table::new("", ["name", "kind", "here", "loads", "licence", "from"]).text();
    for row in &rows {
        let here = row.here.map_or("-", |here| if here { "yes" } else { "no" });
        let from = row.unread.as_ref().map_or_else(|| row.from.clone(), |why| format!("{}; {why}", row.from));
        let loads = if row.unread.is_none() { "yes" } else { "no" };
        table.row([&row.name, row.kind, here, loads, row.licence, &from]);
    }
    let json = rows.iter().map(|row| {
        json!({
            "name": row.name,
            "kind": row.kind,
            "here": row.here,
            "loads": row.unread.is_none(),
            "why_not": row.unread,
            "licence": row.licence,
            "from": row.from,
        })
    });
    let json = json.collect();
    (table, json)
}
