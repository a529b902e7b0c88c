//! A finished block, in memory and as a file.
//!
//! The file is the project's layout of quantised tensors: layers that have a stored form as codes and scales, the others as F32, masks
//! as `<layer>.mask` (1 = kept), orders of inputs as `<layer>.order`, changed vectors under their paths; `report` in the metadata says
//! the rest.

use std::io::BufWriter;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::report::LayerReport;
use crate::Error;
use crate::compress::Layer;
use crate::files::replace;
use crate::formats::file::{Dtype, Export, FileError, Options, QuantizedFile, Writer};
use crate::formats::{Format, Mask, Pattern};
use crate::load::Bytes;

/// A block as its recipe left it.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its linear layers by name.
    pub layers: Vec<(String, Layer)>,
    /// Vectors that a step changed, by path (`layers.0.input_layernorm.gamma`).
    pub vectors: Vec<(String, Vec<f32>)>,
    /// A line a layer.
    pub reports: Vec<LayerReport>,
    /// Bytes that its calibration held: weights, statistics, streams.
    pub bytes: u64,
}

/// What the metadata say beside the tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Notes {
    /// Each layer: name, outputs, inputs, pattern.
    layers: Vec<(String, usize, usize, String)>,
    /// The vectors that changed.
    vectors: Vec<String>,
    reports: Vec<LayerReport>,
    #[serde(default)]
    bytes: u64,
}

/// Announces a layer's tensors.
pub(super) fn announce(export: &mut Export, name: &str, layer: &Layer) -> Result<(), FileError> {
    let shape = [layer.rows(), layer.k];
    match layer.quantized {
        Some(_) => export.quantized(name, &shape)?,
        None => export.copied(name, Dtype::F32, &shape)?,
    }
    if layer.mask.is_some() {
        export.copied(&format!("{name}.mask"), Dtype::U8, &shape)?;
    }
    if layer.order.is_some() {
        export.copied(&format!("{name}.order"), Dtype::U32, &[layer.k])?;
    }
    Ok(())
}

/// Writes a layer's tensors.
pub(super) fn put<W: std::io::Write + std::io::Seek>(
    writer: &mut Writer<W>,
    name: &str,
    layer: &Layer,
) -> Result<(), FileError> {
    match &layer.quantized {
        Some(quantized) => writer.quantized(name, quantized, &[])?,
        None => writer.raw(name, &floats(&layer.values))?,
    }
    if let Some(mask) = &layer.mask {
        let bytes: Vec<u8> = mask.kept().iter().map(|&kept| u8::from(kept)).collect();
        writer.raw(&format!("{name}.mask"), &bytes)?;
    }
    if let Some(order) = &layer.order {
        let bytes: Vec<u8> = order.iter().flat_map(|&i| (i as u32).to_le_bytes()).collect();
        writer.raw(&format!("{name}.order"), &bytes)?;
    }
    Ok(())
}

/// Little-endian bytes.
pub(super) fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// The one format of the layers that have a stored form; FP32 where none has.
pub(super) fn format_of<'a>(layers: impl IntoIterator<Item = &'a Layer>) -> &'static Format {
    layers.into_iter().find_map(|layer| layer.quantized.as_ref()).map_or_else(Format::fp32, |q| q.format())
}

impl Finished {
    /// Writes the block.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let options = Options { packed: false, dequantized: false };
        let fail = |e| refused(path, e);
        let mut export = Export::new(format_of(self.layers.iter().map(|(_, l)| l)), options);
        self.layers.iter().try_for_each(|(name, layer)| announce(&mut export, name, layer)).map_err(fail)?;
        self.vectors.iter().try_for_each(|(name, v)| export.copied(name, Dtype::F32, &[v.len()])).map_err(fail)?;
        let layer =
            |(name, layer): &(String, Layer)| (name.clone(), layer.rows(), layer.k, layer.pattern().to_string());
        let notes = Notes {
            layers: self.layers.iter().map(layer).collect(),
            vectors: self.vectors.iter().map(|(name, _)| name.clone()).collect(),
            reports: self.reports.clone(),
            bytes: self.bytes,
        };
        let notes =
            serde_json::to_string(&notes).map_err(|e| Error::Invalid(format!("a report cannot be written: {e}")))?;
        export.note("report", notes);
        replace(path, |file| {
            let mut writer = export.start(BufWriter::new(file)).map_err(fail)?;
            self.layers.iter().try_for_each(|(name, layer)| put(&mut writer, name, layer)).map_err(fail)?;
            self.vectors.iter().try_for_each(|(name, v)| writer.raw(name, &floats(v))).map_err(fail)?;
            writer.finish().map(drop).map_err(fail)
        })
    }

    /// Reads what [`Finished::write`] wrote.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let bytes = Bytes::map(path)?;
        let file = QuantizedFile::parse(&bytes).map_err(|e| refused(path, e))?;
        let notes = file.note("report").ok_or_else(|| bytes.malformed("the file has no report of its layers"))?;
        let notes: Notes =
            serde_json::from_str(notes).map_err(|e| bytes.malformed(format!("the report is malformed: {e}")))?;
        let copied = |name: &str| {
            let view = file.copied().find(|(known, _)| *known == name).map(|(_, view)| view.clone());
            view.ok_or_else(|| bytes.malformed(format!("there is no tensor `{name}`")))
        };
        let vector = |name: &str| copied(name)?.floats().ok_or_else(|| bytes.malformed(format!("`{name}` is not F32")));
        let mut layers = Vec::new();
        for (name, rows, k, pattern) in notes.layers {
            let mut layer = match file.tensors().any(|(known, _)| known == name) {
                true => {
                    let quantized = file.read(&name).map_err(|e| refused(path, e))?;
                    let mut layer = Layer::new(k, quantized.dequantize());
                    layer.quantized = Some(quantized);
                    layer
                }
                false => Layer::new(k, vector(&name)?),
            };
            if layer.values.len() != rows * k {
                return Err(bytes.malformed(format!("`{name}` is not {rows} x {k}")));
            }
            let pattern: Pattern = pattern.parse()?;
            if pattern != Pattern::Dense {
                let kept = copied(&format!("{name}.mask"))?.bytes.iter().map(|&b| b != 0).collect();
                layer.mask = Some(Mask::from_kept(pattern, k, kept)?);
            }
            if let Ok(order) = copied(&format!("{name}.order")) {
                let (words, _) = order.bytes.as_chunks();
                layer.order = Some(words.iter().map(|&w| u32::from_le_bytes(w) as usize).collect());
            }
            layers.push((name, layer));
        }
        let vectors = notes.vectors.into_iter().map(|name| Ok((name.clone(), vector(&name)?)));
        let vectors = vectors.collect::<Result<_, Error>>()?;
        Ok(Self { layers, vectors, reports: notes.reports, bytes: notes.bytes })
    }
}

pub(super) fn refused(path: &Path, e: FileError) -> Error {
    Error::Malformed { path: path.to_owned(), problem: e.to_string() }
}
