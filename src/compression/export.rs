//! A compressed model as a folder that Hugging Face's libraries and this one open.
//!
//! The folder has the source's configuration and tokenizer, and all tensors as F32 under the source's names, the compressed ones replaced.
//! The packed form has the compressed layers as codes and scales instead (`model.packed.safetensors`, the layout of
//! `interplay_formats::file`, matrices as `[out, in]`, masks as `<tensor>.mask`), which only this library opens. `config.json` is written
//! last: without it a folder is no model, so that nothing half-written is ever loaded.
//!
//! A GGUF file becomes a folder of Hugging Face's LLaMA: rotary pairs are moved from neighbours to halves, by a permutation of the rows
//! of queries and keys.

mod origin;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

pub use origin::Origin;
use origin::Source;

use super::finished::{announce, floats, format_of, put, refused};
use super::folder::Folder;
use crate::Error;
use crate::compress::Layer;
use crate::files::{self, replace};
use crate::formats::file::{self, Dtype, FileError, Options, Outline, Writer};
use crate::load::hf::PACKED;
use crate::models::transposed;

/// The file that says what made an export.
const CARD: &str = "compression.json";
/// The file of tensors as F32.
const FLOATS: &str = "model.safetensors";

/// A folder to be written.
#[derive(Debug)]
pub struct Export<'a> {
    /// Where the model came from.
    pub origin: &'a Origin,
    /// Its finished blocks.
    pub blocks: &'a Folder,
    /// What the folder says of itself, `compression.json`.
    pub card: &'a serde_json::Value,
}

/// What takes a tensor's place.
struct Replaced {
    /// Compressed layers by the source's name of their weight.
    layers: BTreeMap<String, (usize, String)>,
    /// Changed vectors by the source's name.
    vectors: BTreeMap<String, (usize, String)>,
}

impl Export<'_> {
    /// Writes the model to `folder`, packed or as F32, in the place of a former export.
    ///
    /// # Errors
    /// The source cannot be read again, a block is damaged, the folder cannot be written, or holds a model that is no export.
    pub fn write(&self, folder: &Path, packed: bool) -> Result<(), Error> {
        let source = Source::open(self.origin)?;
        files::folder(folder)?;
        self.origin.may_be_written_to(folder)?;
        let (config, floats, codes) = (folder.join("config.json"), folder.join(FLOATS), folder.join(PACKED));
        // What is there is the model of another run until the last file is in place; of two forms one would hide the other.
        remove(&config)?;
        remove(if packed { &floats } else { &codes })?;
        // The card comes first: it is by that a folder is known as one that an export may write to again.
        let card = serde_json::to_string_pretty(self.card).unwrap_or_default() + "\n";
        files::write(&folder.join(CARD), card.as_bytes())?;
        let replaced = self.replaced(&source)?;
        if packed {
            self.write_packed(&source, &replaced, &codes)?;
        } else {
            self.write_floats(&source, &replaced, &floats)?;
        }
        for (name, text) in source.texts() {
            files::write(&folder.join(name), text.as_bytes())?;
        }
        files::write(&config, source.config.as_bytes())
    }

    fn replaced(&self, source: &Source) -> Result<Replaced, Error> {
        let mut replaced = Replaced { layers: BTreeMap::new(), vectors: BTreeMap::new() };
        for index in 0..self.blocks.blocks() {
            let block = self.blocks.block(index)?;
            for (name, _) in block.layers {
                let tensor = source.canonical(&format!("{name}.weight"))?;
                replaced.layers.insert(tensor, (index, name));
            }
            for (path, _) in block.vectors {
                // Burn calls a norm's gain and shift by Greek letters.
                let name = path.strip_suffix(".gamma").map(|p| format!("{p}.weight"));
                let name = name.or_else(|| path.strip_suffix(".beta").map(|p| format!("{p}.bias")));
                let tensor = source.canonical(&name.unwrap_or_else(|| path.clone()))?;
                replaced.vectors.insert(tensor, (index, path));
            }
        }
        Ok(replaced)
    }

    fn write_floats(&self, source: &Source, replaced: &Replaced, path: &Path) -> Result<(), Error> {
        let fail = |e| refused(path, e);
        let mut outline = Outline::default();
        outline.note("format", "pt".into());
        for name in source.names() {
            outline.tensor(name, Dtype::F32, &source.shape(name)?).map_err(fail)?;
        }
        replace(path, |file| {
            let mut writer = Writer::new(BufWriter::new(file), &outline).map_err(fail)?;
            self.others(source, replaced, &mut writer, path)?;
            for index in 0..self.blocks.blocks() {
                let block = self.blocks.block(index)?;
                for (tensor, (_, name)) in replaced.layers.iter().filter(|(_, (at, _))| *at == index) {
                    let Some((_, layer)) = block.layers.iter().find(|(known, _)| known == name) else { continue };
                    let rows = source.reordered(tensor, layer)?;
                    let values =
                        if source.transposed { transposed(&rows.values, rows.rows(), rows.k) } else { rows.values };
                    writer.raw(tensor, &floats(&values)).map_err(fail)?;
                }
                vectors(&block, replaced, index, &mut writer).map_err(fail)?;
            }
            writer.finish().map(drop).map_err(fail)
        })
    }

    fn write_packed(&self, source: &Source, replaced: &Replaced, path: &Path) -> Result<(), Error> {
        let fail = |e| refused(path, e);
        let options = Options { packed: true, dequantized: false };
        let first = self.blocks.block(0)?;
        let mut export = file::Export::new(format_of(first.layers.iter().map(|(_, layer)| layer)), options);
        export.note("transposed", source.transposed.to_string());
        export.note("layers", serde_json::json!(replaced.layers.keys().collect::<Vec<_>>()).to_string());
        for name in source.names().filter(|name| !replaced.layers.contains_key(*name)) {
            export.copied(name, Dtype::F32, &source.shape(name)?).map_err(fail)?;
        }
        self.each_layer(source, replaced, |tensor, layer| announce(&mut export, tensor, layer).map_err(fail))?;
        replace(path, |file| {
            let mut writer = export.start(BufWriter::new(file)).map_err(fail)?;
            self.others(source, replaced, &mut writer, path)?;
            self.each_layer(source, replaced, |tensor, layer| put(&mut writer, tensor, layer).map_err(fail))?;
            for index in 0..self.blocks.blocks() {
                vectors(&self.blocks.block(index)?, replaced, index, &mut writer).map_err(fail)?;
            }
            writer.finish().map(drop).map_err(fail)
        })
    }

    /// Every compressed layer under the source's name of its weight, one block in memory at a time.
    fn each_layer(
        &self,
        source: &Source,
        replaced: &Replaced,
        mut visit: impl FnMut(&str, &Layer) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for index in 0..self.blocks.blocks() {
            let block = self.blocks.block(index)?;
            for (tensor, (_, name)) in replaced.layers.iter().filter(|(_, (at, _))| *at == index) {
                let Some((_, layer)) = block.layers.iter().find(|(known, _)| known == name) else { continue };
                visit(tensor, &source.reordered(tensor, layer)?)?;
            }
        }
        Ok(())
    }

    /// The tensors that nothing replaces.
    fn others(
        &self,
        source: &Source,
        replaced: &Replaced,
        writer: &mut Writer<BufWriter<&File>>,
        path: &Path,
    ) -> Result<(), Error> {
        let stays = |name: &&str| !replaced.layers.contains_key(*name) && !replaced.vectors.contains_key(*name);
        for name in source.names().filter(stays) {
            writer.raw(name, &floats(&source.values(name)?)).map_err(|e| refused(path, e))?;
        }
        Ok(())
    }
}

/// The changed vectors of block `index`.
fn vectors(
    block: &super::Finished,
    replaced: &Replaced,
    index: usize,
    writer: &mut Writer<BufWriter<&File>>,
) -> Result<(), FileError> {
    for (tensor, (_, path)) in replaced.vectors.iter().filter(|(_, (at, _))| *at == index) {
        if let Some((_, values)) = block.vectors.iter().find(|(known, _)| known == path) {
            writer.raw(tensor, &floats(values))?;
        }
    }
    Ok(())
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::Io { path: path.to_owned(), source: e }),
        _ => Ok(()),
    }
}
