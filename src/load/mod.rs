//! Readers of checkpoints, tokenizers and texts.
//!
//! Every reader validates lengths before it allocates and answers malformed input with a typed error; none panics. Nothing here
//! executes what it reads: a pickle is read by a list of allowed names.

mod bounded;
mod byte_level;
mod bytes;
mod check;
mod complete;
mod file;
mod gguf;
mod gguf_llama;
pub mod hf;
pub mod image;
mod index;
mod packed;
mod pickle;
mod recognise;
mod safetensors;
mod sentence;
mod sentencepiece;
pub mod text;
mod tokenizer;
mod torch;
mod widen;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::models::llama::LlamaCheckpoint;
use crate::models::{Checkpoint, Input};

pub use bounded::{read, read_to_string};
pub use bytes::Bytes;
pub(crate) use check::{finite, nearest};
pub(crate) use complete::is_computed;
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

impl Model {
    /// Refuses a tokenizer that gives ids without a row in the token embedding; `path` is the model's.
    fn check_tokenizer(&self, path: &Path) -> Result<(), Error> {
        let (Some(tokenizer), Input::Tokens { vocabulary, .. }) = (&self.tokenizer, self.checkpoint.input()) else {
            return Ok(());
        };
        let ids = tokenizer.ids();
        if ids <= vocabulary {
            return Ok(());
        }
        let problem = format!(
            "the tokenizer has ids up to {}, but the token embedding has {vocabulary} rows; take both from the same model",
            ids - 1
        );
        Err(Error::Malformed { path: path.to_owned(), problem })
    }
}

/// Opens a Hugging Face folder, a GGUF file, or a torch checkpoint of an architecture that is known by its tensors.
///
/// # Errors
/// `path` is neither, what it holds is malformed or not supported, or the tokenizer does not fit the model.
pub fn open(path: &Path) -> Result<Model, Error> {
    let model = if path.is_dir() { hf::open(path)? } else { open_file(path)? };
    model.check_tokenizer(path)?;
    Ok(model)
}

fn open_file(path: &Path) -> Result<Model, Error> {
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
    let config = file.llama_config()?;
    let checkpoint = complete::complete(path, file, |weights| Ok(Arc::new(LlamaCheckpoint::new(config, weights)?)))?;
    Ok(Model { checkpoint, tokenizer: Some(tokenizer), files: vec![path.to_owned()] })
}

/// The torch checkpoint at `path`; `None` where the file is something else.
fn torch_file(path: &Path) -> Result<Option<TorchFile>, Error> {
    let bytes = Bytes::map(path)?;
    let named = path.extension().is_some_and(|extension| ["pth", "pt", "th", "bin"].iter().any(|e| extension == *e));
    Ok(if named || pickle::is_torch(&bytes) { Some(TorchFile::parse(bytes)?) } else { None })
}

/// The architectures that can be loaded, as `config.json` spells them where they have one.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    hf::architectures().chain(recognise::ARCHITECTURES)
}
