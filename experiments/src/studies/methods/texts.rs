//! The three texts of the study: calibration, and two to evaluate on. What is used more than once is cut into equal parts, so that no
//! token serves twice.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use interplay::compression::{Calibration, LENGTH};
use interplay::eval;
use interplay::load::text;
use interplay::models::{Input, Task};

use crate::subject::{Checksums, DEFAULT_WINDOW, Data, Subject, open_model, read_text};

/// Windows of each text where the command line does not say; chosen, as the next, so that the full table takes a quarter of an hour.
const WINDOWS: usize = 20;
/// Calibration sequences where the command line does not say.
const SAMPLES: usize = 16;
/// The same of `--quick`.
const QUICK_WINDOWS: usize = 8;
/// Calibration sequences of `--quick`.
const QUICK_SAMPLES: usize = 8;

/// How much of each text is used.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Amounts {
    pub(super) window: Option<usize>,
    pub(super) windows: Option<usize>,
    pub(super) samples: Option<usize>,
    pub(super) length: Option<usize>,
    pub(super) quick: bool,
    pub(super) seed: u64,
}

/// The texts by name; `None` is the model's default.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pub(super) calibration: Option<String>,
    pub(super) data: Option<String>,
    pub(super) data2: Option<String>,
}

/// A model with its three texts.
pub(super) struct Opened {
    /// The model with the first text.
    pub(super) subject: Subject,
    /// The second text's name and windows.
    pub(super) second: (String, Vec<Vec<i64>>),
    /// What is calibrated on.
    pub(super) calibration: Calibration,
    /// Its text's name.
    pub(super) calibration_name: String,
}

impl Opened {
    /// Opens a language model and cuts its texts.
    ///
    /// # Errors
    /// The model or a text cannot be opened, the model is none of language, or a text is too short.
    pub(super) fn new(model_name: &str, names: &Names, amounts: &Amounts) -> Result<Self> {
        let mut checksums = Checksums::new();
        let (model, caveat) = open_model(model_name, &mut checksums)?;
        let Input::Tokens { longest, .. } = model.checkpoint.input() else {
            bail!("methods are calibrated on text; give a language model")
        };
        if model.checkpoint.task() != Task::CausalLm {
            bail!("methods are compared by perplexity; give a causal language model");
        }
        let Some(tokenizer) = &model.tokenizer else {
            bail!("the model has no tokenizer.json, so a text cannot be cut into tokens")
        };
        // Published calibration takes C4, and published perplexities are of Wikipedia.
        let defaults = if model_name == "lm" { ["heldout"; 3] } else { ["c4", "wiki", "c4"] };
        let given = [&names.calibration, &names.data, &names.data2];
        let names: Vec<&str> = given.iter().zip(defaults).map(|(g, d)| g.as_deref().unwrap_or(d)).collect();
        let mut ids = BTreeMap::new();
        for name in &names {
            if !ids.contains_key(name) {
                let read = read_text(name)?;
                checksums.insert(format!("data:{name}"), text::sha256(read.as_bytes()));
                ids.insert(*name, tokenizer.encode(&read, true)?);
            }
        }
        let part = |role: usize| {
            let (place, of) = place(&names, role);
            let all = &ids[names[role]];
            let label = if of == 1 { names[role].to_owned() } else { format!("{} {}/{of}", names[role], place + 1) };
            (label, &all[all.len() * place / of..all.len() * (place + 1) / of])
        };
        let window = amounts.window.unwrap_or(DEFAULT_WINDOW.min(longest));
        let count = amounts.windows.unwrap_or(if amounts.quick { QUICK_WINDOWS } else { WINDOWS });
        let windows = |role: usize| {
            let (label, ids) = part(role);
            let windows = eval::windows(ids, window, count).with_context(|| format!("text `{label}`"))?;
            anyhow::Ok((label, windows))
        };
        let (calibration_name, ids_of) = part(0);
        let samples = amounts.samples.unwrap_or(if amounts.quick { QUICK_SAMPLES } else { SAMPLES });
        let length = amounts.length.unwrap_or(LENGTH.min(longest));
        let calibration = Calibration::draw(ids_of, samples, length, amounts.seed)
            .with_context(|| format!("text `{calibration_name}`"))?;
        let ((data_name, windows_1), second) = (windows(1)?, windows(2)?);
        let subject = Subject {
            model_name: model_name.to_owned(),
            data_name,
            model,
            data: Data::Windows(windows_1),
            stride: window,
            protocol: None,
            caveat,
            checksums,
        };
        Ok(Self { subject, second, calibration, calibration_name })
    }
}

/// Which of how many equal parts of its text a role takes.
fn place(names: &[&str], role: usize) -> (usize, usize) {
    let wanted = names[role];
    let before = names[..role].iter().filter(|name| **name == wanted).count();
    (before, names.iter().filter(|name| **name == wanted).count())
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_text_is_cut_into_as_many_parts_as_it_has_uses() {
        let places = |names: [&str; 3]| [0, 1, 2].map(|role| place(&names, role));
        assert_eq!(places(["heldout"; 3]), [(0, 3), (1, 3), (2, 3)]);
        assert_eq!(places(["c4", "wiki", "c4"]), [(0, 2), (0, 1), (1, 2)]);
        assert_eq!(places(["a", "b", "c"]), [(0, 1); 3]);
    }
}
