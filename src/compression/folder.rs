//! A folder of finished blocks: a run that was killed goes on behind the last of them.
//!
//! `blocks-done.json` names the run and counts its blocks, and is replaced after a block and the streams behind it are on the disk, so that
//! what it counts is whole. Another run's folder is refused, not overwritten.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::finished::{Finished, floats, refused};
use super::run::{Store, Streams};
use crate::Error;
use crate::burn::Activation;
use crate::files::{self, replace};
use crate::formats::file::{Dtype, Outline, Writer};
use crate::load::SafeTensors;

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Done {
    /// Everything that decides the run's result, as one text.
    run: String,
    /// Finished blocks.
    blocks: usize,
}

/// Keeps blocks in a folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    run: String,
    blocks: usize,
}

impl Folder {
    /// The name of the file that counts finished blocks.
    pub const COUNT: &str = "blocks-done.json";

    /// The folder at `path`, made where it is missing once a block is finished; `run` is everything that decides the result.
    ///
    /// # Errors
    /// The folder cannot be made or read, or belongs to another run.
    pub fn open(path: &Path, run: &str) -> Result<Self, Error> {
        let mut folder = Self { path: path.to_owned(), run: run.to_owned(), blocks: 0 };
        let place = path.join(Self::COUNT);
        if let Some(done) = place.is_file().then(|| read::<Done>(&place)).transpose()? {
            if done.run != run {
                return Err(Error::Malformed {
                    path: place,
                    problem: format!(
                        "the folder holds an unfinished run of `{}`; finish it with that command, or remove the folder",
                        done.run
                    ),
                });
            }
            folder.blocks = done.blocks;
        }
        Ok(folder)
    }

    /// Finished blocks.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// A finished block.
    ///
    /// # Errors
    /// It is missing or damaged.
    pub fn block(&self, index: usize) -> Result<Finished, Error> {
        Finished::read(&self.block_path(index))
    }

    /// Removes the folder and all that it holds.
    ///
    /// # Errors
    /// Something in it cannot be removed.
    pub fn remove(self) -> Result<(), Error> {
        std::fs::remove_dir_all(&self.path).map_err(|source| Error::Io { path: self.path, source })
    }

    fn block_path(&self, index: usize) -> PathBuf {
        self.path.join(format!("block-{index:04}.safetensors"))
    }

    fn streams_path(&self, blocks: usize) -> PathBuf {
        self.path.join(format!("streams-{blocks:04}.safetensors"))
    }
}

impl Store for Folder {
    fn resume(&mut self) -> Result<Option<(usize, Streams)>, Error> {
        if self.blocks == 0 {
            return Ok(None);
        }
        Ok(Some((self.blocks, read_streams(&self.streams_path(self.blocks))?)))
    }

    fn keep(&mut self, index: usize, finished: Finished, streams: &Streams) -> Result<(), Error> {
        files::folder(&self.path)?;
        finished.write(&self.block_path(index))?;
        let blocks = index + 1;
        write_streams(&self.streams_path(blocks), streams)?;
        let text = serde_json::to_vec(&Done { run: self.run.clone(), blocks });
        let text = text.map_err(|e| Error::Invalid(format!("the count of blocks cannot be written: {e}")))?;
        files::write(&self.path.join(Self::COUNT), &text)?;
        self.blocks = blocks;
        // Nobody reads the former streams again; that they stay is no reason to stop.
        drop(std::fs::remove_file(self.streams_path(index)));
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|e| Error::Malformed { path: path.to_owned(), problem: e.to_string() })
}

/// The streams by name, in order.
fn named(streams: &Streams) -> impl Iterator<Item = (String, &Activation)> {
    let label = |stream: &'static str| move |(i, activation)| (format!("{stream}.{i:05}"), activation);
    let compressed = streams.compressed.iter().enumerate().map(label("compressed"));
    compressed.chain(streams.dense.iter().enumerate().map(label("dense")))
}

fn write_streams(path: &Path, streams: &Streams) -> Result<(), Error> {
    let fail = |e| refused(path, e);
    let mut outline = Outline::default();
    named(streams).try_for_each(|(name, a)| outline.tensor(&name, Dtype::F32, &a.shape())).map_err(fail)?;
    replace(path, |file| {
        let mut writer = Writer::new(std::io::BufWriter::new(file), &outline).map_err(fail)?;
        for (name, activation) in named(streams) {
            writer.raw(&name, &floats(&activation.clone().into_values()?)).map_err(fail)?;
        }
        writer.finish().map(drop).map_err(fail)
    })
}

fn read_streams(path: &Path) -> Result<Streams, Error> {
    let file = SafeTensors::open(path)?;
    let mut names: Vec<&str> = file.names().collect();
    names.sort_unstable();
    let mut streams = Streams::default();
    for name in names {
        let activation = Activation::sequence(&file.floats(name)?, file.shape(name)?)?;
        let stream = if name.starts_with("dense.") { &mut streams.dense } else { &mut streams.compressed };
        stream.push(activation);
    }
    Ok(streams)
}
