//! The cells of a run: one file each in `.cells`, under the name of the cell, whole or absent, with a digest of what was measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use interplay::files::{self, Claim};
use interplay::load::text::sha256;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::key::Key;
use super::kind::Planned;
use super::spec::Spec;
use crate::output::write_atomic;

/// Bytes that a cell leaves behind, at most: what is tried out before a run begins.
const CELL_BYTES: usize = 64 << 10;
/// The folder of the cells in a run's folder.
const CELLS: &str = ".cells";
/// The list of all cells, beside them.
const PLAN: &str = "plan.json";

/// A run's folder.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    /// The right to write; none where the folder is only read.
    claim: Option<Arc<Claim>>,
}

/// What a folder has of a cell.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The result as it was measured.
    Whole(Value),
    /// A file that is damaged, of another key, or changed since.
    Changed,
    /// Nothing.
    Absent,
}

/// One line of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The name of the cell.
    pub cell: String,
    /// What a person is shown.
    pub label: String,
}

/// Whose results a folder holds, said before there are any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The kind of study.
    pub study: String,
    /// The version of the program.
    pub version: String,
}

impl Mark {
    /// Those of the study in this version.
    pub fn new(study: &str) -> Self {
        Self { study: study.to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
    }
}

impl Store {
    /// The folder of a run of that study and version: refused where it holds something else.
    ///
    /// # Errors
    /// The folder holds results of another study or version, or cannot be written.
    pub fn open(claim: Claim, ours: &Mark) -> Result<Self> {
        let folder = claim.folder();
        if let Some(mark) = mark(folder)? {
            let shown = folder.display();
            if mark.study != ours.study {
                bail!(
                    "{shown} holds results of the study `{}`, not of `{}`; give another --out",
                    mark.study,
                    ours.study
                );
            }
            if mark.version != env!("CARGO_PKG_VERSION") {
                let ours = env!("CARGO_PKG_VERSION");
                bail!(
                    "{shown} holds results of version {}, this is {ours}; give another --out, or --restart to replace them",
                    mark.version
                );
            }
        }
        let store = Self { folder: folder.to_owned(), claim: Some(Arc::new(claim)) };
        files::folder(&store.cells())?;
        write_atomic(&store.cells().join("study.json"), serde_json::to_string(ours)?.as_bytes())?;
        Ok(store)
    }

    /// Opens the folder of a finished or unfinished run, to read it.
    ///
    /// # Errors
    /// There is none.
    pub fn existing(folder: &Path) -> Result<Self> {
        let store = Self { folder: folder.to_owned(), claim: None };
        if !store.cells().is_dir() {
            bail!("{} is no folder of a run: it has no `{CELLS}`", folder.display());
        }
        Ok(store)
    }

    /// Removes what an earlier run left in `folder`; nothing where it is no run's.
    ///
    /// # Errors
    /// The files cannot be removed.
    pub fn discard(folder: &Path) -> Result<()> {
        let cells = folder.join(CELLS);
        if cells.is_dir() {
            fs::remove_dir_all(&cells).with_context(|| format!("cannot remove {}", cells.display()))?;
        }
        match fs::remove_file(folder.join("run.json")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", folder.join("run.json").display()))
            }
            _ => Ok(()),
        }
    }

    /// Tries out that as much as `count` cells leave behind can be written, so that a full disk is met before any work is done.
    ///
    /// # Errors
    /// It cannot.
    pub fn reserve(&self, count: usize) -> Result<()> {
        files::room(&self.cells(), count.saturating_mul(CELL_BYTES).min(256 << 20))
            .with_context(|| format!("there is no room for the results in {}", self.folder.display()))
    }

    /// Whether the folder is still there: somebody may have removed it since it was opened.
    pub fn is_there(&self) -> bool {
        self.claim.as_ref().is_none_or(|claim| claim.holds()) && self.cells().is_dir()
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn cells(&self) -> PathBuf {
        self.folder.join(CELLS)
    }

    fn path(&self, cell: &str) -> PathBuf {
        self.cells().join(format!("{cell}.json"))
    }

    /// The result of a cell; none where it was not measured, or where its file is not what was measured.
    pub fn read(&self, key: &Key) -> Option<Value> {
        match self.find(key) {
            Found::Whole(result) => Some(result),
            Found::Changed | Found::Absent => None,
        }
    }

    /// What there is of a cell.
    pub fn find(&self, key: &Key) -> Found {
        match self.by_name(&key.digest()) {
            Some((found, result)) if found == *key => Found::Whole(result),
            None if !self.has(&key.digest()) => Found::Absent,
            _ => Found::Changed,
        }
    }

    /// The key and the result of the cell of that name; none where its file is missing or is not what was measured.
    pub fn by_name(&self, cell: &str) -> Option<(Key, Value)> {
        let mut object: Value = serde_json::from_slice(&fs::read(self.path(cell)).ok()?).ok()?;
        let key: Key = serde_json::from_value(object.get_mut("key")?.take()).ok()?;
        let result = object.get_mut("result")?.take();
        let whole = key.digest() == cell && object.get("sha256")?.as_str()? == digest(&result);
        whole.then_some((key, result))
    }

    /// Whether there is a file of the cell of that name, whole or not.
    pub fn has(&self, cell: &str) -> bool {
        self.path(cell).exists()
    }

    /// Keeps the result of a cell.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, key: &Key, result: &Value) -> Result<()> {
        let cell = json!({"key": key, "result": result, "sha256": digest(result)});
        Ok(write_atomic(&self.path(&key.digest()), cell.to_string().as_bytes())?)
    }

    /// Keeps the list of all cells and the study's file.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write_plan(&self, spec: &Spec, planned: &[Planned]) -> Result<()> {
        let list: Vec<Listed> =
            planned.iter().map(|p| Listed { cell: p.key.digest(), label: p.label.clone() }).collect();
        self.write_list(&list)?;
        Ok(write_atomic(&self.folder.join("study.toml"), spec.toml()?.as_bytes())?)
    }

    /// Keeps the list of all cells.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_list(&self, list: &[Listed]) -> Result<()> {
        Ok(write_atomic(&self.cells().join(PLAN), serde_json::to_string(list)?.as_bytes())?)
    }

    /// The list of all cells.
    ///
    /// # Errors
    /// There is none, or it is malformed.
    pub fn plan(&self) -> Result<Vec<Listed>> {
        let path = self.cells().join(PLAN);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no list of cells", path.display()))
    }
}

/// The digest of a result as its file has it.
fn digest(result: &Value) -> String {
    sha256(result.to_string().as_bytes())
}

/// Of which study and version the results in `folder` are; none where there are none.
fn mark(folder: &Path) -> Result<Option<Mark>> {
    for path in [folder.join(CELLS).join("study.json"), folder.join("run.json")] {
        if let Ok(text) = fs::read(&path) {
            let mark = serde_json::from_slice(&text);
            return mark.map(Some).with_context(|| {
                format!("{} does not say whose results these are; give another --out, or --restart", path.display())
            });
        }
    }
    Ok(None)
}
