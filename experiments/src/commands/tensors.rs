//! What the commands on files of tensors have in common: which tensors are meant, and what is done with the others.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use interplay::files;
use interplay::load::Bytes;
use interplay::plan::glob;
use interplay_formats::file::{Container, Dtype, View};

use crate::progress::Progress;

/// Which file is read, which is written, and which tensors are meant.
#[derive(Debug, clap::Args)]
pub struct Files {
    /// The safetensors file to read.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,

    /// The safetensors file to write; it appears whole or not at all.
    #[arg(long = "out", alias = "output", value_name = "FILE")]
    pub output: PathBuf,

    /// Only tensors whose name matches: `*` is any run of characters, `?` one; the others are copied.
    #[arg(long, value_name = "GLOB")]
    pub only: Option<String>,
}

impl Files {
    /// That the output can be written and is not the input.
    ///
    /// # Errors
    /// It cannot, or it is.
    pub fn ready(&self) -> Result<()> {
        Ok(files::ready(&self.output, &[&self.input])?)
    }

    /// Splits the tensors into floats that are meant and all others, and says on stderr which are copied.
    ///
    /// # Errors
    /// No float tensor is meant.
    pub fn split<'c, 'a>(&self, container: &'c Container<'a>) -> Result<Split<'c, 'a>> {
        let meant = |name: &str| self.only.as_ref().is_none_or(|pattern| glob::matches(pattern, name));
        let is_float = |view: &View| matches!(view.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16);
        let (chosen, copied): (Vec<_>, Vec<_>) =
            container.tensors().partition(|(name, view)| meant(name) && is_float(view));
        let pattern = self.only.as_deref().unwrap_or("*");
        let path = self.input.display();
        ensure!(!chosen.is_empty(), "{path}: no F32, F16 or BF16 tensor matches `{pattern}`; nothing to do");
        let others = copied.iter().filter(|(name, _)| meant(name));
        for (name, view) in others {
            eprintln!("copied unchanged: `{name}`, {:?} {:?}", view.dtype, view.shape);
        }
        let unmatched = copied.iter().filter(|(name, _)| !meant(name)).count();
        if unmatched > 0 {
            eprintln!("copied unchanged: {unmatched} tensors that `{pattern}` does not match");
        }
        Ok(Split { chosen, copied })
    }
}

/// Tensors by name, those that are meant and those that are copied.
pub struct Split<'c, 'a> {
    /// Float tensors that are meant.
    pub chosen: Vec<(&'c str, &'c View<'a>)>,
    /// All others.
    pub copied: Vec<(&'c str, &'c View<'a>)>,
}

impl Split<'_, '_> {
    /// [`each`] of the chosen tensors.
    ///
    /// # Errors
    /// The first that `one` gives.
    pub fn each<T>(&self, mut one: impl FnMut(&str, &View<'_>) -> Result<T>) -> Result<Vec<T>> {
        let shaped = self.chosen.iter().map(|&(name, view)| (name, view.shape.as_slice(), view));
        each(shaped, |name, view| one(name, view))
    }

    /// The copied tensors for JSON.
    pub fn copied_json(&self) -> serde_json::Value {
        let one = |(name, view): &(&str, &View)| serde_json::json!({"name": name, "dtype": format!("{:?}", view.dtype), "shape": view.shape});
        self.copied.iter().map(one).collect()
    }
}

/// Does `one` for every tensor of a name and a shape, in order, under a progress bar: tensors of one size take about the
/// same time.
///
/// # Errors
/// The first that `one` gives.
pub fn each<'t, I, T>(
    tensors: impl Iterator<Item = (&'t str, &'t [usize], I)> + Clone,
    mut one: impl FnMut(&str, I) -> Result<T>,
) -> Result<Vec<T>> {
    let kind = |shape: &[usize]| shape.iter().product::<usize>().to_string();
    let mut progress = Progress::new(tensors.clone().map(|(_, shape, _)| kind(shape)), false);
    let done = tensors.map(|(name, shape, tensor)| {
        progress.start(&kind(shape), name);
        let result = one(name, tensor)?;
        progress.finish_unit();
        Ok(result)
    });
    let done = done.collect();
    progress.clear();
    done
}

/// Reads a file's header; the bytes stay mapped in `bytes`.
///
/// # Errors
/// Not a safetensors file, or a damaged one.
pub fn open<'a>(path: &Path, bytes: &'a Bytes) -> Result<Container<'a>> {
    Container::parse(bytes).with_context(|| path.display().to_string())
}

/// The values of a float tensor, and the length of its rows.
///
/// # Errors
/// It is no float tensor, or larger than can be counted.
pub fn floats(name: &str, view: &View<'_>) -> Result<(Vec<f32>, usize)> {
    let (_, k) = view.matrix().with_context(|| format!("tensor `{name}` is too large"))?;
    let values = view.floats().with_context(|| format!("tensor `{name}` is {:?}, not a float", view.dtype))?;
    Ok((values, k))
}
