//! Where a run starts: a model's configuration, weights and texts.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::Error;
use crate::load::hf::Tensors;
use crate::load::text::{sha256, sha256_of_file};
use crate::load::{Tokenizer, nearest};
use crate::models::Weights;
use crate::models::embedded::Embedded;

/// The files beside the tensors that the result keeps.
const COPIED: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
    "generation_config.json",
    "ATTRIBUTION.md",
];

/// The architectures that can be fine-tuned.
const TRAINABLE: [&str; 2] = ["opt", "vit"];

/// A model to fine-tune.
#[derive(Clone)]
pub struct Start {
    /// `config.json`.
    pub(super) config: Value,
    /// Its tensors.
    pub(super) weights: Arc<dyn Weights>,
    /// Files of text that the result keeps, by name.
    pub(super) texts: Vec<(String, String)>,
    /// The sha256 of the files that decide the result, by name.
    pub(super) checksums: Vec<(String, String)>,
}

impl Start {
    /// A model that is part of the program; `texts` are further files that the result keeps.
    ///
    /// # Errors
    /// The program was built from damaged files.
    pub fn embedded(model: &Embedded, texts: Vec<(String, String)>) -> Result<Self, Error> {
        let tokenizer = model.tokenizer.map(|text| ("tokenizer.json".to_owned(), text.to_owned()));
        let path = Path::new(model.name).join("config.json");
        Ok(Self {
            config: config(&path, model.config)?,
            weights: model.tensors()?,
            texts: tokenizer.into_iter().chain(texts).collect(),
            checksums: vec![("model.safetensors".into(), sha256(model.weights))],
        })
    }

    /// The model in a Hugging Face folder.
    ///
    /// # Errors
    /// A file is missing or malformed, or the architecture cannot be fine-tuned.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("config.json");
        let text = fs::read_to_string(&path).map_err(|source| Error::Io { path: path.clone(), source })?;
        let config = config(&path, &text)?;
        let weights = Tensors::open(folder)?;
        let mut checksums = Vec::new();
        for file in weights.files() {
            let name = file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
            checksums.push((name, sha256_of_file(file)?));
        }
        let read = |name: &&str| Some(((**name).to_owned(), fs::read_to_string(folder.join(name)).ok()?));
        let texts = COPIED.iter().filter_map(read).collect();
        Ok(Self { config, weights: Arc::new(weights), texts, checksums })
    }

    /// `opt` or `vit`.
    pub fn architecture(&self) -> &str {
        self.config["model_type"].as_str().unwrap_or_default()
    }

    /// The longest sequence that a decoder takes.
    pub fn longest(&self) -> Option<usize> {
        self.config["max_position_embeddings"].as_u64().and_then(|longest| usize::try_from(longest).ok())
    }

    /// The model's tokenizer.
    ///
    /// # Errors
    /// There is none, or it is malformed.
    pub fn tokenizer(&self) -> Result<Tokenizer, Error> {
        let text = self.texts.iter().find(|(name, _)| name == "tokenizer.json");
        let (name, text) = text.ok_or_else(|| {
            Error::Invalid("the model has no tokenizer.json, so a text cannot be cut into tokens".into())
        })?;
        Tokenizer::parse(Path::new(name), text.as_bytes())
    }
}

/// A configuration of an architecture that can be fine-tuned.
fn config(path: &Path, text: &str) -> Result<Value, Error> {
    let malformed = |problem: String| Error::Malformed { path: path.to_owned(), problem };
    let config: Value = serde_json::from_str(text).map_err(|e| malformed(format!("this is not JSON: {e}")))?;
    let kind = config["model_type"].as_str().unwrap_or_default();
    if !TRAINABLE.contains(&kind) {
        let near = nearest(kind, TRAINABLE.into_iter()).map_or_else(String::new, |n| format!("; the nearest is `{n}`"));
        return Err(malformed(format!("architecture `{kind}` cannot be fine-tuned; it must be `opt` or `vit`{near}")));
    }
    Ok(config)
}
