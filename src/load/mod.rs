//! Readers of checkpoints, tokenizers and texts.
//!
//! Every reader validates lengths before it allocates and answers malformed input with a typed error; none panics. Nothing here
//! executes what it reads: a pickle is read by a list of allowed names.

mod bytes;
mod gguf;
pub mod hf;
mod pickle;
mod recognise;
mod safetensors;
pub mod text;
mod tokenizer;
mod torch;
mod widen;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::models::Checkpoint;
use crate::models::llama::LlamaCheckpoint;

pub use bytes::Bytes;
pub use gguf::Gguf;
pub use safetensors::SafeTensors;
pub use tokenizer::Tokenizer;
pub use torch::TorchFile;

/// A model ready to be run: its stages, its tokenizer, and the files that it came from.
pub struct Model {
    /// The stages.
    pub checkpoint: Arc<dyn Checkpoint>,
    /// The tokenizer, for language models that come with one.
    pub tokenizer: Option<Tokenizer>,
    /// The files that were opened, none for an embedded model.
    pub files: Vec<PathBuf>,
}

/// Opens a Hugging Face folder, a GGUF file, or a torch checkpoint of an architecture that is known by its tensors.
///
/// # Errors
/// `path` is neither, or what it holds is malformed or not supported.
pub fn open(path: &Path) -> Result<Model, Error> {
    if path.is_dir() {
        return hf::open(path);
    }
    if !path.exists() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such folder or GGUF file");
        return Err(Error::Io { path: path.to_owned(), source });
    }
    if let Some(file) = torch_file(path)? {
        let files = vec![path.to_owned()];
        return match recognise::checkpoint(Arc::new(file))? {
            Some(checkpoint) => Ok(Model { checkpoint, tokenizer: None, files }),
            None => Err(Error::Malformed { path: path.to_owned(), problem: recognise::UNKNOWN.into() }),
        };
    }
    let file = Arc::new(Gguf::open(path)?);
    let tokenizer = Tokenizer::from_gguf(&file)?;
    let checkpoint = LlamaCheckpoint::new(file.llama_config()?, file)?;
    Ok(Model { checkpoint: Arc::new(checkpoint), tokenizer: Some(tokenizer), files: vec![path.to_owned()] })
}

/// The torch checkpoint at `path`; `None` where the file is something else.
fn torch_file(path: &Path) -> Result<Option<TorchFile>, Error> {
    let bytes = Bytes::map(path)?;
    let named = path.extension().is_some_and(|extension| ["pth", "pt", "th", "bin"].iter().any(|e| extension == *e));
    Ok(if named || pickle::is_torch(&bytes) { Some(TorchFile::parse(bytes)?) } else { None })
}

/// The known name that is most like `given`, if any is like it at all.
pub(crate) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|name| (strsim::normalized_damerau_levenshtein(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.4)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}

/// Passes `values` of tensor `name` on unless one is NaN or infinite.
pub(crate) fn finite(origin: &Path, name: &str, shape: &[usize], values: Vec<f32>) -> Result<Vec<f32>, Error> {
    let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(values) };
    let width = shape.last().copied().unwrap_or(1).max(1);
    let problem = format!(
        "tensor `{name}` holds {} at row {}, column {}; weights must be finite, so the checkpoint is damaged",
        values[at],
        at / width,
        at % width
    );
    Err(Error::Malformed { path: origin.to_owned(), problem })
}
