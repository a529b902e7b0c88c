//! What is fine-tuned, and on what: a model and the data that `train` would take.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use interplay::catalogue::{Item, locate};
use interplay::load::text;
use interplay::models::embedded;
use interplay::train::digits::{parse, split};
use interplay::train::finetune::{Data, Digits, Start, Subject, Text};
use interplay::train::vit;

use super::Defaults;
use crate::commands::train::digit_files;

/// Opens the model alone: `lm`, `vit` or a folder.
///
/// # Errors
/// There is none, or it cannot be fine-tuned.
pub fn start(model: &str) -> Result<Start> {
    let path = match model {
        "lm" => return Ok(Start::embedded(&embedded::lm(), Vec::new())?),
        "vit" => {
            let preprocessor = ("preprocessor_config.json".to_owned(), embedded::vit_preprocessor().to_owned());
            return Ok(Start::embedded(&embedded::vit(), vec![preprocessor])?);
        }
        name if Path::new(name).is_dir() => PathBuf::from(name),
        name if Path::new(name).exists() => bail!("`{name}` is a file; give `lm`, `vit` or a folder with a model"),
        name => match Item::by_name(name) {
            Ok(item) => locate(item.name)?,
            Err(_) => {
                bail!("there is no model `{name}`: give `lm`, `vit` or a Hugging Face folder of OPT's architecture")
            }
        },
    };
    Ok(Start::open(&path)?)
}

/// What the command line need not say, by the kind of model.
pub(super) fn defaults(start: &Start) -> Defaults {
    match start.architecture() {
        "vit" => Defaults { steps: 100, batch: 64, window: None, held_out: None },
        _ => Defaults {
            steps: 200,
            batch: 8,
            window: start.longest().map(|longest| longest.min(256)),
            held_out: Some(40),
        },
    }
}

/// The model with its data.
///
/// # Errors
/// The data are missing or malformed, or the tokenizer refuses.
pub fn subject(model: &str, data: Option<&Path>, start: Start) -> Result<Subject> {
    let images = start.architecture() == "vit";
    let path = match data {
        Some(path) => path.to_owned(),
        None => locate(if images { "mnist" } else { "wiki" })?,
    };
    let mut checksums = BTreeMap::new();
    let data = if images {
        let (digits, sums) = parse(&digit_files(&path)?)?;
        checksums.insert("digits".to_owned(), text::sha256(sums.concat().as_bytes()));
        let (per_class, seed) = division(model)?;
        let split = split(digits, per_class, seed)?;
        Data::Digits(Digits { train: split.train, held_out: split.test })
    } else {
        let content = text::read(&path)?;
        checksums.insert("text".to_owned(), text::sha256(content.as_bytes()));
        let sides = Text::from_extract(&content, &start.tokenizer()?);
        Data::Text(sides.with_context(|| path.display().to_string())?)
    };
    Ok(Subject { start, data, checksums })
}

/// How the digits were divided when the model was trained, so that what was held out then is held out now: images of a class, and the
/// seed. A folder that `train vit` wrote says so itself.
///
/// # Errors
/// The folder's record is malformed.
fn division(model: &str) -> Result<(usize, u64)> {
    let shipped = vit::Recipe::default();
    let record = Path::new(model).join("training.json");
    if model == "vit" || !record.is_file() {
        return Ok((shipped.test_per_class, shipped.seed));
    }
    let text = fs::read(&record).with_context(|| format!("cannot read {}", record.display()))?;
    let value: serde_json::Value = serde_json::from_slice(&text).with_context(|| record.display().to_string())?;
    let recipe: vit::Recipe =
        serde_json::from_value(value["recipe"].clone()).with_context(|| format!("{}: recipe", record.display()))?;
    Ok((recipe.test_per_class, recipe.seed))
}
