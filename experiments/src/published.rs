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

/// Two tables: what is comparable with a result of ours, beside it, and what is not, with the reasons and without ours. Nothing where
/// there is nothing to show.
pub fn markdown(found: &[Beside<'_>]) -> String {
    let part = |comparable: bool, title: &str, third: &str| {
        let mut table = Table::new(title, ["what", "published", third, "source"]).text();
        let of_part: Vec<_> = found.iter().filter(|one| one.reasons.is_empty() == comparable).collect();
        for one in &of_part {
            let third = if comparable { number(one.ours.value) } else { one.reasons.join("; ") };
            table.row([one.published.what(), one.published.value.to_string(), third, one.published.cited()]);
        }
        (!of_part.is_empty()).then(|| table.markdown())
    };
    let parts = [
        part(true, "published, comparable with ours", "ours"),
        part(false, "published, not comparable with ours", "not comparable because"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("\n")
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
        let format = self.format.as_deref().unwrap_or("format?");
        let order = self.order.as_deref().unwrap_or("order?");
        format!("{}: {}, {format}, {}, {order}, {}", self.publication, self.model, self.sparsity, self.method)
    }

    fn cited(&self) -> String {
        self.note.as_ref().map_or_else(|| self.source.clone(), |note| format!("{} ({note})", self.source))
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
mod tests {
    use super::*;

    const OURS: Setup<'_> = Setup {
        model: "facebook/opt-125m",
        data: "wikitext2",
        window: 2048,
        whole: true,
        metric: "perplexity",
        fine_tuned: false,
        format: "fp32",
        sparsity: "dense",
        order: "none",
        method: "magnitude",
        calibration: "none",
        value: 27.66,
    };

    fn llama2(format: &str, sparsity: &str, order: &str) -> f64 {
        let found = all().iter().filter(|p| p.publication == "interplay" && p.model == "llama-2-7b");
        let is = |p: &&Published| p.sparsity == sparsity && p.format.as_deref() == Some(format);
        let mut found = found.filter(is).filter(|p| p.order.as_deref() == Some(order));
        found.next().unwrap().value
    }

    #[test]
    fn every_table_is_whole_and_every_number_has_a_source() {
        let count = |key: &str| all().iter().filter(|p| p.publication == key).count();
        let keys =
            ["interplay", "sparsegpt_hbfp", "sparsegpt", "wanda", "ria", "besa", "pqp", "smoothquant", "expectation"];
        assert_eq!(keys.map(count), [30, 4, 1, 3, 11, 35, 64, 1, 27]);
        assert_eq!(all().len(), 176, "a publication without a count");
        for p in all() {
            let sure = ["read: ", "third-party: ", "recomputed: "].iter().any(|how| p.source.starts_with(how));
            assert!(sure && p.source.len() > 20 && p.value > 0.0, "{p:?}");
            assert!(p.source.starts_with("recomputed") || p.data == "wikitext2", "{p:?}");
        }
        let twice =
            |p: &&Published| all().iter().filter(|q| Published { value: p.value, ..(*q).clone() } == **p).count() > 1;
        assert_eq!(all().iter().find(twice), None);
    }

    #[test]
    fn numbers_stand_in_their_columns() {
        assert_eq!([llama2("hbfp6", "2:4", "sq"), llama2("hbfp6", "2:4", "qs")], [10.68, 18.64]);
        let of = |key: &str, model: &str, method: &str| {
            let mut found = all().iter().filter(|p| p.publication == key && p.model == model && p.method == method);
            found.next().unwrap().value
        };
        assert_eq!([of("pqp", "llama-3.1-8b", "sparsegpt"), of("pqp", "llama-7b", "pqp")], [92.41, 7.08]);
        assert_eq!([of("besa", "llama-2-70b", "besa"), of("ria", "llama-3-8b", "ria permuted")], [4.09, 20.05]);
    }

    /// Both rows of the bound, and S→Q above it, that the reference notes computed of the same table.
    #[test]
    fn orthogonality_bounds_follow_from_the_table() {
        let bounds = [
            ("50%", [6.34, 6.36, 6.35, 6.31, 6.43], [0.60, 0.04, 0.03, 0.01, 0.08]),
            ("2:4", [9.33, 9.35, 9.34, 9.30, 9.42], [0.04, 0.00, -0.02, 0.09, 1.26]),
        ];
        for (sparsity, bound, excess) in bounds {
            for (i, format) in ["int8", "mxfp8", "mxfp6", "hbfp8", "hbfp6"].into_iter().enumerate() {
                let (dense, pruned) = (llama2("fp32", "dense", "none"), llama2("fp32", sparsity, "none"));
                let found = llama2(format, "dense", "none") + pruned - dense;
                assert!((found - bound[i]).abs() < 0.005, "{sparsity} {format}: {found}");
                let above = llama2(format, sparsity, "sq") - found;
                assert!((above - excess[i]).abs() < 0.005, "{sparsity} {format}: {above}");
            }
        }
    }

    #[test]
    fn only_full_agreement_is_comparable() {
        let dense = all().iter().find(|p| p.publication == "sparsegpt_hbfp" && p.method == "none").unwrap();
        assert_eq!(dense.comparable(&OURS), Ok(()));
        let others = [
            Setup { model: "opt-350m", ..OURS },
            Setup { data: "c4", ..OURS },
            Setup { window: 256, ..OURS },
            Setup { whole: false, ..OURS },
            Setup { metric: "cross_entropy", ..OURS },
            Setup { fine_tuned: true, ..OURS },
            Setup { format: "bf16", ..OURS },
            Setup { sparsity: "2:4", method: "none", ..OURS },
            Setup { order: "sq", ..OURS },
            Setup { method: "wanda", ..OURS },
            Setup { calibration: "c4 128x2048", ..OURS },
        ];
        for ours in others {
            assert_eq!(dense.comparable(&ours).unwrap_err().len(), 1, "{ours:?}");
        }
        let strip: [fn(&mut Published); 4] =
            [|p| p.window = None, |p| p.fine_tuned = None, |p| p.format = None, |p| p.order = None];
        for strip in strip {
            let mut less = dense.clone();
            strip(&mut less);
            let reasons = less.comparable(&OURS).unwrap_err();
            assert!(reasons.len() == 1 && reasons[0].contains("not stated"), "{reasons:?}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_shown_without_ours() {
        let pruned = Setup { model: "lm", format: "hbfp8", sparsity: "50%", order: "sq", value: 77.77, ..OURS };
        let ours = [OURS, pruned, Setup { method: "pqp", order: "qs", ..pruned }];
        let text = markdown(&beside(&ours));
        let line = |words: &str| text.lines().find(|line| line.contains(words)).unwrap_or_default();
        assert!(
            line("opt-125m, fp32, dense").contains("| 27.65 ") && line("opt-125m, fp32, dense").contains("| 27.66 "),
            "{text}"
        );
        assert!(
            line("opt-125m, hbfp8, 50%, sq").contains("model opt-125m, ours lm; window not stated; fine-tuned"),
            "{text}"
        );
        assert!(line("pqp: llama-2-7b, format?, 50%, qs, pqp ").contains("format not stated"), "{text}");
        assert!(!text.contains("77.77") && !text.contains("34.71") && !text.contains("wanda, "), "{text}");
        assert_eq!(markdown(&[]), "");
    }

    #[test]
    fn models_are_known_by_their_last_name() {
        for name in ["meta-llama/Llama-2-7b-hf", "/models/LLaMA-2-7B/", r"C:\models\llama-2-7b"] {
            assert_eq!(model(name), "llama-2-7b");
        }
        assert_eq!(model("meta-llama/Meta-Llama-3-8B"), "llama-3-8b");
    }

    #[test]
    fn a_field_that_is_none_and_a_column_too_few_are_refused() {
        let (head, rest) = FILE.split_once("publication = ").unwrap();
        assert!(parse(&format!("{head}colour = 1\npublication = {rest}")).is_err());
        assert!(parse(&FILE.replacen("[5.12, ", "[", 1)).is_err());
    }
}
