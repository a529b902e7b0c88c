//! A study's file.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::kind::Kind;
use crate::studies;

/// What a study is made of; every list is a dimension of its grid. What a kind of study does not use stays empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The kind of study.
    pub study: String,
    /// The name of the run, and by default of its folder in `figures/`; the file's where the file says none.
    pub name: String,
    /// Models: `lm`, `vit`, a fetched name, a folder, a GGUF file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// The data of each model, where it is not the embedded held-out set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// Tokens a window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<usize>,
    /// Windows of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<usize>,
    /// Images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<usize>,
    /// Formats of weights and activations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub formats: Vec<String>,
    /// Sparsity patterns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sparsity: Vec<String>,
    /// `sq`, `qs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<String>,
    /// Units that multiply: `auto`, a name, or a TOML file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datapaths: Vec<String>,
    /// Machines: names or TOML files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accelerators: Vec<String>,
    /// The price list, or a TOML file with one.
    #[serde(default = "prices")]
    pub prices: String,
    /// How cycles are counted; none is the machine's own way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cycle_model: Option<String>,
    /// Which layers are compressed: `paper`, `all` or `none`.
    #[serde(default = "preset")]
    pub preset: String,
    /// Seeds of what is drawn at random.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seeds: Vec<u64>,
    /// What this kind of study alone knows.
    #[serde(default, skip_serializing_if = "Table::is_empty")]
    pub options: Table,
}

fn prices() -> String {
    "horowitz45".to_owned()
}

fn preset() -> String {
    "paper".to_owned()
}

/// Which of a file's sizes is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Size {
    /// The file as it stands.
    #[default]
    Default,
    /// With the table `[quick]` on top.
    Quick,
    /// With the table `[full]` on top.
    Full,
}

impl Size {
    fn table(self) -> Option<&'static str> {
        match self {
            Self::Default => None,
            Self::Quick => Some("quick"),
            Self::Full => Some("full"),
        }
    }
}

impl Spec {
    /// The study `source`, a built-in name or a TOML file, in one size, with `changes` of the command line on top.
    ///
    /// # Errors
    /// An unknown study or key, a file that cannot be read or is no study, a list without entries, a size that the study does not have.
    pub fn read(source: &str, size: Size, changes: &Table) -> Result<(&'static Kind, Self)> {
        let path = Path::new(source);
        let is_file = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
        let (text, name) = if is_file {
            let text = interplay::load::read_to_string(path).with_context(|| format!("cannot read {source}"))?;
            (text, path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default())
        } else {
            (studies::kind(source)?.file.to_owned(), source.to_lowercase())
        };
        Self::parse(&text, &name, size, changes).with_context(|| source.to_owned())
    }

    /// The study in `text`; `name` is the run's where the text gives none.
    ///
    /// # Errors
    /// Those of [`Spec::read`].
    pub fn parse(text: &str, name: &str, size: Size, changes: &Table) -> Result<(&'static Kind, Self)> {
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| anyhow!("{}", e.to_string().trim_end()))?;
        let (quick, full) = (table.remove("quick"), table.remove("full"));
        let wanted = match size {
            Size::Default => None,
            Size::Quick => quick,
            Size::Full => full,
        };
        match (size.table(), wanted) {
            (Some(_), Some(Value::Table(on_top))) => overlay(&mut table, &on_top),
            (Some(key), _) => bail!("the study has no table [{key}], so there is no --{key} of it"),
            (None, _) => {}
        }
        overlay(&mut table, changes);
        if let Some(empty) = empty_list(&table) {
            bail!("`{empty} = []` leaves nothing to do; give at least one value, or leave the key out");
        }
        table.entry("name").or_insert_with(|| name.into());
        let spec: Self = Value::Table(table).try_into().map_err(|e| anyhow!("{}", sentence(&e)))?;
        let kind = studies::kind(&spec.study)?;
        spec.fits(kind)?;
        if !is_folder_name(&spec.name) {
            bail!(
                "`name = {:?}` cannot name a folder: give a word without `/`, `\\` and `:` that is not made of dots",
                spec.name
            );
        }
        if let Some(lost) = spec.data.keys().find(|model| !spec.models.contains(model)) {
            bail!("`data` has an entry for `{lost}`, which is not among the models {}", spec.models.join(", "));
        }
        Ok((kind, spec))
    }

    /// That every dimension is one that the kind of study uses: one that it would ignore is a mistake.
    fn fits(&self, kind: &Kind) -> Result<()> {
        let given = [
            ("models", self.models.len()),
            ("formats", self.formats.len()),
            ("sparsity", self.sparsity.len()),
            ("orders", self.orders.len()),
            ("datapaths", self.datapaths.len()),
            ("accelerators", self.accelerators.len()),
            ("seeds", self.seeds.len()),
        ];
        for (key, count) in given.into_iter().filter(|(_, count)| *count > 0) {
            if kind.one.contains(&key) && count > 1 {
                bail!("a study of the kind `{}` takes one value of `{key}`, not {count}", kind.name);
            }
            if !kind.one.contains(&key) && !kind.many.contains(&key) {
                let used = [kind.many, kind.one].concat().join(", ");
                bail!("a study of the kind `{}` does not use `{key}`; it uses {used}", kind.name);
            }
        }
        Ok(())
    }

    /// The file that gives this study again.
    ///
    /// # Errors
    /// None for what was read.
    pub fn toml(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// The options of the kind of study, read as `T`.
    ///
    /// # Errors
    /// An unknown option, or one of another type.
    pub fn options<'de, T: Deserialize<'de>>(&self) -> Result<T> {
        Value::Table(self.options.clone())
            .try_into()
            .map_err(|e: toml::de::Error| anyhow!("[options]: {}", sentence(&e)))
    }

    /// That a dimension which the study needs is given.
    ///
    /// # Errors
    /// It is not.
    pub fn needs(&self, key: &str, given: &[String]) -> Result<()> {
        if given.is_empty() {
            bail!("a study of the kind `{}` needs `{key} = […]` with at least one value", self.study);
        }
        Ok(())
    }
}

/// Whether a folder of that name lies in the folder that it is made in, on every system.
fn is_folder_name(name: &str) -> bool {
    let separates = |c: char| c.is_control() || matches!(c, '/' | '\\' | ':');
    !name.trim_matches([' ', '.']).is_empty() && !name.contains(separates)
}

/// The message of a TOML error as one sentence.
fn sentence(error: &toml::de::Error) -> String {
    error.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Replaces the values of `base` by those of `on_top`; tables are merged.
pub fn overlay(base: &mut Table, on_top: &Table) {
    for (key, value) in on_top {
        match (base.get_mut(key), value) {
            (Some(Value::Table(inner)), Value::Table(value)) => overlay(inner, value),
            _ => drop(base.insert(key.clone(), value.clone())),
        }
    }
}

/// The name of a dimension without entries; what an option without any means, its study knows.
fn empty_list(table: &Table) -> Option<&String> {
    let empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    table.iter().find(|(_, value)| empty(value)).map(|(key, _)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "study = 'orders'\nmodels = ['lm']\nformats = ['int8', 'mxfp4']\nwindows = 40\n[quick]\nwindows = 8\n";

    fn parse(text: &str, size: Size, changes: &str) -> Result<Spec> {
        Spec::parse(text, "mine", size, &changes.parse().unwrap()).map(|(_, spec)| spec)
    }

    #[test]
    fn sizes_and_the_command_line_replace_keys() {
        let spec = parse(FILE, Size::Quick, "formats = ['hbfp8']").unwrap();
        assert_eq!((spec.windows, spec.formats, spec.name), (Some(8), vec!["hbfp8".to_owned()], "mine".to_owned()));
        assert_eq!(parse(FILE, Size::Default, "").unwrap().windows, Some(40));
    }

    #[test]
    fn what_is_written_is_read() {
        let spec = parse(FILE, Size::Default, "data.lm = 'heldout'").unwrap();
        assert_eq!(parse(&spec.toml().unwrap(), Size::Default, "").unwrap(), spec);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let message = |text: &str, size, changes: &str| format!("{:#}", parse(text, size, changes).unwrap_err());
        assert!(message(FILE, Size::Full, "").contains("[full]"));
        assert!(message(FILE, Size::Default, "formats = []").contains("`formats = []`"));
        assert!(message(FILE, Size::Default, "formatz = ['int8']").contains("formatz"));
        assert!(message(FILE, Size::Default, "study = 'ordres'").contains("`orders`"));
        assert!(message(FILE, Size::Default, "data.vit = 'x'").contains("`vit`"));
        assert!(message("study = 3 4", Size::Default, "").contains("line 1"));
    }

    #[test]
    fn a_name_stays_in_its_folder() {
        for name in ["", " ", ".", "..", "../../x", "/x", "a/b", "..\\\\x", "C:x", "a\\nb"] {
            let error = parse(FILE, Size::Default, &format!("name = \"{name}\"")).unwrap_err().to_string();
            assert!(error.contains("cannot name a folder"), "{name}: {error}");
        }
        for name in ["mine", "v1.2", ".hidden", "zwei Wörter"] {
            assert_eq!(parse(FILE, Size::Default, &format!("name = '{name}'")).unwrap().name, name);
        }
    }
}
