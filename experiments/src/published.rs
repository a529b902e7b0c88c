//! Published numbers, and whether one may stand beside a number of ours.
//!
//! They are comparable only if everything that decides a number agrees. What a publication does not state is a reason against it, never
//! an agreement.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use toml::{Table as Fields, Value};

use crate::report::numbers::number;
use crate::report::table::Table;

const FILE: &str = include_str!("../data/published.toml");

static ALL: LazyLock<Vec<Published>> =
    LazyLock::new(|| parse(FILE).expect("a file of the project, which a test reads"));

/// A published number. The file says what each field means.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// A short key of the publication.
    pub publication: String,
    /// What it was taken from, and how sure it is.
    pub source: String,
    /// The model, without its organisation.
    pub model: String,
    /// The data.
    pub data: String,
    /// Tokens a window.
    pub window: Option<usize>,
    /// What was measured.
    pub metric: String,
    /// How the model was pruned, or its rounding prepared.
    pub method: String,
    /// What that was calibrated on; none where it was not.
    pub calibration: Option<String>,
    /// The sparsity pattern.
    pub sparsity: String,
    /// `sq`, `qs` or `none`.
    pub order: Option<String>,
    /// The format of weights and activations.
    pub format: Option<String>,
    /// Whether the model was trained on.
    pub fine_tuned: Option<bool>,
    /// The number.
    pub value: f64,
    /// What a reader must know.
    pub note: Option<String>,
}

/// One of our own results, by the names that our tables have.
#[derive(Debug, Clone, Copy)]
pub struct Setup<'a> {
    /// The model: a name, or a folder whose last part is one.
    pub model: &'a str,
    /// The data: the protocol's name where one made the text.
    pub data: &'a str,
    /// Tokens a window; 0 for images.
    pub window: usize,
    /// Whether all of the data was used, in windows that do not overlap.
    pub whole: bool,
    /// What was measured.
    pub metric: &'a str,
    /// Whether the model was trained on.
    pub fine_tuned: bool,
    /// The format.
    pub format: &'a str,
    /// The sparsity pattern.
    pub sparsity: &'a str,
    /// `sq`, `qs` or `none`.
    pub order: &'a str,
    /// How the model was pruned, or its rounding prepared.
    pub method: &'a str,
    /// What that was calibrated on; `none` where it was not.
    pub calibration: &'a str,
    /// The number.
    pub value: f64,
}

/// A published number with the result of ours that is nearest to it.
#[derive(Debug)]
pub struct Beside<'a> {
    /// The published number.
    pub published: &'static Published,
    /// The nearest of ours.
    pub ours: &'a Setup<'a>,
    /// Why the two are not comparable; empty where they are.
    pub reasons: Vec<String>,
}

/// Sets of numbers as the file has them: fields that all share, fields by column, fields by row with a value a column.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    set: Vec<Set>,
}

#[derive(Deserialize)]
struct Set {
    across: BTreeMap<String, Vec<Value>>,
    rows: Vec<Row>,
    /// A field that [`Published`] lacks is refused there.
    #[serde(flatten)]
    shared: Fields,
}

#[derive(Deserialize)]
struct Row {
    values: Vec<f64>,
    #[serde(flatten)]
    own: Fields,
}

fn parse(text: &str) -> Result<Vec<Published>> {
    let file: File = toml::from_str(text)?;
    let mut all = Vec::new();
    for set in &file.set {
        for row in &set.rows {
            for (column, &value) in row.values.iter().enumerate() {
                let mut fields = set.shared.clone();
                fields.extend(row.own.clone());
                for (field, columns) in &set.across {
                    ensure!(columns.len() == row.values.len(), "`{field}`: give one a value of {:?}", row.values);
                    fields.insert(field.clone(), columns[column].clone());
                }
                fields.insert("value".to_owned(), value.into());
                all.push(Published::deserialize(fields.clone()).with_context(|| fields.to_string())?);
            }
        }
    }
    Ok(all)
}

/// Every published number.
pub fn all() -> &'static [Published] {
    &ALL
}

/// The published numbers of the metric, pattern, order, format and method of some of ours, each once, beside the nearest of ours. A format
/// that is not stated may be any.
pub fn beside<'a>(ours: &'a [Setup<'a>]) -> Vec<Beside<'a>> {
    let nearest = |published: &'static Published| {
        let near = ours.iter().filter(|ours| published.is_near(ours));
        let judged = near.map(|ours| (ours, published.comparable(ours).err().unwrap_or_default()));
        let (ours, reasons) = judged.min_by_key(|(_, reasons)| reasons.len())?;
        Some(Beside { published, ours, reasons })
    };
    all().iter().filter_map(nearest).collect()
}

/// Two tables, what is comparable beside ours, and the rest with the reasons and without ours, then the sources. Nothing where there is
/// nothing to show.
pub fn markdown(found: &[Beside<'_>]) -> String {
    let part = |comparable: bool, title: &str, third: &str| {
        let mut table = Table::new(title, ["what", "published", third]).text();
        let of_part: Vec<_> = found.iter().filter(|one| one.reasons.is_empty() == comparable).collect();
        for one in &of_part {
            let third = if comparable { number(one.ours.value) } else { one.reasons.join("; ") };
            table.row([one.published.what(), one.published.value.to_string(), third]);
        }
        if of_part.is_empty() { String::new() } else { format!("{}\n", table.markdown()) }
    };
    let mut text = part(true, "published, comparable with ours", "ours");
    text += &part(false, "published, not comparable with ours", "not comparable because");
    for one in found {
        let cited = one.published.cited();
        if !text.contains(&cited) {
            text += &cited;
        }
    }
    text
}

impl Published {
    /// Whether the number may stand beside one of ours.
    ///
    /// # Errors
    /// The reasons why not.
    pub fn comparable(&self, ours: &Setup<'_>) -> Result<(), Vec<String>> {
        let differs = |what: &str, theirs: Option<&str>, ours: &str| match theirs {
            None => Some(format!("{what} not stated")),
            Some(theirs) => (!theirs.eq_ignore_ascii_case(ours)).then(|| format!("{what} {theirs}, ours {ours}")),
        };
        let windows = (self.window.map(|window| window.to_string()), ours.window.to_string());
        let trained = match (self.fine_tuned, ours.fine_tuned) {
            (None, _) => Some("not stated whether fine-tuned"),
            (Some(true), false) => Some("fine-tuned, ours is not"),
            (Some(false), true) => Some("not fine-tuned, ours is"),
            // Neither the trained models nor all settings of the training are public.
            (Some(true), true) => Some("fine-tuned by a training that cannot be repeated"),
            (Some(false), false) => None,
        };
        let reasons = [
            differs("model", Some(&model(&self.model)), &model(ours.model)),
            differs("data", Some(&self.data), ours.data),
            differs("window", windows.0.as_deref(), &windows.1),
            (!ours.whole).then(|| "all of the data, ours is a part or overlaps".to_owned()),
            differs("metric", Some(&self.metric), ours.metric),
            trained.map(str::to_owned),
            differs("format", self.format.as_deref(), ours.format),
            differs("sparsity", Some(&self.sparsity), ours.sparsity),
            differs("order", self.order.as_deref(), ours.order),
            differs("method", Some(&self.method), ours.method()),
            differs("calibration", Some(self.calibration.as_deref().unwrap_or("none")), ours.calibration),
        ];
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// Whether the number is of the kind of ours, so that a reader would look for it there.
    fn is_near(&self, ours: &Setup<'_>) -> bool {
        let open = |stated: &Option<String>, ours| stated.as_deref().is_none_or(|stated| stated == ours);
        self.metric == ours.metric
            && self.sparsity == ours.sparsity
            && self.method == ours.method()
            && open(&self.order, ours.order)
            && open(&self.format, ours.format)
    }

    fn what(&self) -> String {
        let format = self.format.as_deref().unwrap_or("unstated format");
        let order = self.order.as_deref().unwrap_or("unstated order");
        format!("{}: {}, {format}, {}, {order}, {}", self.publication, self.model, self.sparsity, self.method)
    }

    fn cited(&self) -> String {
        let note = self.note.as_ref().map_or_else(String::new, |note| format!(". Note: {note}"));
        format!("- {}: {}{note}.\n", self.publication, self.source)
    }
}

impl Setup<'_> {
    /// Pruning by magnitude leaves a dense model as it is.
    fn method(&self) -> &str {
        if self.sparsity == "dense" && self.method == "magnitude" { "none" } else { self.method }
    }
}

/// A model's name without organisation, folder, and what registries put around it.
fn model(name: &str) -> String {
    let last = name.split(['/', '\\']).rfind(|part| !part.is_empty()).unwrap_or(name).to_lowercase();
    let bare = last.strip_prefix("meta-").unwrap_or(&last);
    bare.strip_suffix("-hf").unwrap_or(bare).to_owned()
}

#[cfg(test)]
mod tests;
