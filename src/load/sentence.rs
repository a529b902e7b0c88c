//! What sentence-transformers folders add to an encoder: `modules.json` lists what follows it, `1_Pooling` how rows become one vector.

use std::path::Path;

use serde_json::Value;

use super::hf::json;
use super::index::is_plain_file_name;
use crate::Error;
use crate::models::Pooling;

/// The switches of a pooling's `config.json` that are known here, and what each means.
const MODES: [(&str, Pooling); 2] =
    [("pooling_mode_mean_tokens", Pooling::Mean), ("pooling_mode_cls_token", Pooling::First)];

/// How the model in `folder` pools; the mean where the folder does not say, as sentence-transformers does.
///
/// # Errors
/// A file is malformed, or names a module or a mode that is not supported.
pub(super) fn pooling(folder: &Path) -> Result<Pooling, Error> {
    let path = folder.join("modules.json");
    if !path.is_file() {
        return Ok(Pooling::Mean);
    }
    let malformed = |problem: String| Error::Malformed { path: path.clone(), problem };
    let modules = json(&path)?;
    let modules = modules.as_array().ok_or_else(|| malformed("this is not a list of modules".into()))?;
    let mut pooling = Pooling::Mean;
    for module in modules {
        let text = |key: &str| module.get(key).and_then(Value::as_str).unwrap_or_default();
        match text("type").rsplit('.').next() {
            Some("Transformer" | "Normalize") => {}
            Some("Pooling") if is_plain_file_name(text("path")) => {
                pooling = mode(&folder.join(text("path")).join("config.json"))?;
            }
            Some("Pooling") => {
                let problem =
                    format!("the pooling's path `{}` is not the name of a folder in this folder", text("path"));
                return Err(malformed(problem));
            }
            _ => {
                let problem =
                    format!("module `{}` is not supported; only Transformer, Pooling and Normalize are", text("type"));
                return Err(malformed(problem));
            }
        }
    }
    Ok(pooling)
}

/// The one mode that a pooling's `config.json` switches on.
fn mode(path: &Path) -> Result<Pooling, Error> {
    let config = json(path)?;
    let switches = config.as_object().into_iter().flatten();
    let on: Vec<_> = switches
        .filter(|(key, value)| key.starts_with("pooling_mode_") && value.as_bool() == Some(true))
        .map(|(key, _)| key.as_str())
        .collect();
    let known = MODES.iter().find(|(key, _)| on == [*key]);
    known.map(|(_, pooling)| *pooling).ok_or_else(|| Error::Malformed {
        path: path.to_owned(),
        problem: format!(
            "the modes {on:?} are switched on; exactly one of {} must be",
            MODES.map(|(key, _)| key).join(" and ")
        ),
    })
}
