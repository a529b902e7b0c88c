//! `--define FILE.toml` and names that are files: records that a user declares.

use std::path::Path;

use anyhow::{Context, Result};
use interplay_formats::Format;
use interplay_hw::Datapath;

/// What the files of `--define` declared, in their order.
#[derive(Debug, Default)]
pub struct Declared {
    /// Tables `[format]`.
    pub formats: Vec<&'static Format>,
    /// Tables `[datapath]`.
    pub datapaths: Vec<&'static Datapath>,
}

impl Declared {
    /// Reads every file; each holds one table, `[format]` or `[datapath]`.
    ///
    /// # Errors
    /// A file that cannot be read, or a record that cannot be.
    pub fn read<P: AsRef<Path>>(paths: &[P]) -> Result<Self> {
        let mut declared = Self::default();
        for path in paths.iter().map(AsRef::as_ref) {
            let text = text(path)?;
            // A text that is no TOML goes to the formats, whose error says where it is wrong.
            let table = text.parse::<toml::Table>().unwrap_or_default();
            if table.contains_key("datapath") {
                declared.datapaths.push(Datapath::from_toml(&text).with_context(|| path.display().to_string())?);
            } else {
                declared.formats.push(Format::declare(&text).with_context(|| path.display().to_string())?);
            }
        }
        Ok(declared)
    }
}

/// The datapath of that name, or the one that the file `NAME.toml` declares.
///
/// # Errors
/// An unknown name, a file that cannot be read, or a record that cannot be.
pub fn datapath(name: &str) -> Result<&'static Datapath> {
    match declaration(name)? {
        Some(text) => Datapath::from_toml(&text).with_context(|| name.to_owned()),
        None => Ok(Datapath::by_name(name)?),
    }
}

/// The text of the file `NAME.toml`; `None` where the name is no file's.
///
/// # Errors
/// The file cannot be read.
pub fn declaration(name: &str) -> Result<Option<String>> {
    let path = Path::new(name);
    let is_file = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"));
    is_file.then(|| text(path)).transpose()
}

fn text(path: &Path) -> Result<String> {
    interplay::load::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
