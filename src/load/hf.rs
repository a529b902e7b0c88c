//! Hugging Face folders: `config.json` says which architecture, `model.safetensors` or its shards hold the tensors, in older folders
//! torch's `pytorch_model.bin` or its shards.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::complete::complete;
use super::file::File;
use super::safetensors::SafeTensors;
use super::{Tokenizer, finite, index, nearest, recognise, sentence};
use crate::Error;
use crate::models::bert::BertCheckpoint;
use crate::models::deit::DeitCheckpoint;
use crate::models::gpt2::Gpt2Checkpoint;
use crate::models::llama::{LlamaCheckpoint, LlamaConfig};
use crate::models::opt::OptCheckpoint;
use crate::models::resnet::ResnetCheckpoint;
use crate::models::vit::VitCheckpoint;
use crate::models::{Checkpoint, Weights};

/// Builds a checkpoint from the place of its `config.json`, what that says, and the tensors.
type Build = fn(&Path, Value, Arc<dyn Weights>) -> Result<Arc<dyn Checkpoint>, Error>;

/// Each `model_type` and who builds it.
const ARCHITECTURES: [(&str, Build); 9] = [
    ("bert", bert),
    ("deit", |path, config, weights| {
        Ok(Arc::new(DeitCheckpoint::new(typed(path, with_labels(path, config)?)?, weights)?))
    }),
    ("gpt2", |path, config, weights| Ok(Arc::new(Gpt2Checkpoint::new(typed(path, config)?, weights)?))),
    ("llama", llama),
    ("mistral", llama),
    ("opt", |path, config, weights| Ok(Arc::new(OptCheckpoint::new(typed(path, config)?, weights)?))),
    ("qwen2", llama),
    ("resnet", resnet),
    ("vit", |path, config, weights| {
        Ok(Arc::new(VitCheckpoint::new(typed(path, with_labels(path, config)?)?, weights)?))
    }),
];

/// The architectures that [`checkpoint`] builds, as `model_type` spells them.
pub fn architectures() -> impl Iterator<Item = &'static str> {
    ARCHITECTURES.iter().map(|(name, _)| *name)
}

fn bert(path: &Path, config: Value, weights: Arc<dyn Weights>) -> Result<Arc<dyn Checkpoint>, Error> {
    let pooling = sentence::pooling(path.parent().unwrap_or(path))?;
    Ok(Arc::new(BertCheckpoint::new(typed(path, config)?, pooling, weights)?))
}

fn llama(path: &Path, config: Value, weights: Arc<dyn Weights>) -> Result<Arc<dyn Checkpoint>, Error> {
    let config = LlamaConfig::parse(config).map_err(|e| wrong_type(path, &e))?;
    Ok(Arc::new(LlamaCheckpoint::new(config, weights)?))
}

fn resnet(path: &Path, config: Value, weights: Arc<dyn Weights>) -> Result<Arc<dyn Checkpoint>, Error> {
    let config = with_image_size(with_labels(path, config)?, &path.with_file_name("preprocessor_config.json"))?;
    Ok(Arc::new(ResnetCheckpoint::new(typed(path, config)?, weights)?))
}

/// What older and partial exports put in front of a name, or leave away.
const PREFIXES: [&str; 7] = ["model.", "transformer.", "decoder.", "vit.", "bert.", "deit.", "resnet."];

/// The file of a model that this project has compressed, its layers as codes and scales.
pub(crate) const PACKED: &str = "model.packed.safetensors";

/// The index of shards and the single file of each form, the preferred one first.
const FORMS: [(&str, &str); 3] = [
    ("model.safetensors.index.json", "model.safetensors"),
    ("pytorch_model.bin.index.json", "pytorch_model.bin"),
    ("model.packed.safetensors.index.json", PACKED),
];

/// The tensors of a folder, from one file or many.
#[derive(Debug)]
pub struct Tensors {
    folder: PathBuf,
    files: Vec<File>,
    /// The file of each stored name.
    exact: BTreeMap<String, usize>,
    /// The stored name of each name as [`bare`] has it; none where two tensors share it.
    bare: BTreeMap<String, Option<String>>,
}

impl Tensors {
    /// Opens the first of `FORMS` that is in `folder`.
    ///
    /// # Errors
    /// None is there, or a file is malformed or does not have the tensors that the index promises.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        for (index, single) in FORMS {
            let (index, single) = (folder.join(index), folder.join(single));
            if index.is_file() {
                return Self::open_shards(folder, &index);
            }
            if single.exists() {
                return Self::join(folder, vec![File::open(&single)?]);
            }
        }
        let names = FORMS.map(|(index, single)| format!("{single}, {index}")).join(", ");
        let problem = format!("the folder has none of {names}; fetch the model's weights into it");
        Err(Error::Malformed { path: folder.to_owned(), problem })
    }

    /// The tensors of one opened file.
    ///
    /// # Errors
    /// Never for a single file; shards share this path, and theirs may hold a name twice.
    pub fn single(file: SafeTensors) -> Result<Self, Error> {
        let folder = file.origin().to_owned();
        Self::join(&folder, vec![File::SafeTensors(file)])
    }

    fn open_shards(folder: &Path, index: &Path) -> Result<Self, Error> {
        let text = super::bounded::read(index).map_err(|source| Error::Io { path: index.to_owned(), source })?;
        let mut files = Vec::new();
        for (file, tensors) in index::shards(index, &text)? {
            let place = folder.join(&file);
            if !place.exists() {
                let problem = format!("shard `{file}` is not in the folder; fetch it, or the checkpoint again");
                return Err(Error::Malformed { path: index.to_owned(), problem });
            }
            let opened = File::open(&place)?;
            if let Some(absent) = tensors.iter().find(|tensor| !opened.has(tensor)) {
                let problem = format!("`{file}` does not have tensor `{absent}` that the index promises");
                return Err(Error::Malformed { path: index.to_owned(), problem });
            }
            files.push(opened);
        }
        Self::join(folder, files)
    }

    fn join(folder: &Path, files: Vec<File>) -> Result<Self, Error> {
        let mut exact = BTreeMap::new();
        let mut bare: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (number, file) in files.iter().enumerate() {
            for name in file.names() {
                if exact.insert(name.to_owned(), number).is_some() {
                    let problem = format!("tensor `{name}` is in two files");
                    return Err(Error::Malformed { path: folder.to_owned(), problem });
                }
                let unique = Some(name.to_owned());
                bare.entry(self::bare(name).into_owned()).and_modify(|known| *known = None).or_insert(unique);
            }
        }
        Ok(Self { folder: folder.to_owned(), files, exact, bare })
    }

    /// The files, in the order in which they were opened.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(File::origin)
    }

    /// The file that has `name`, and the name it has there.
    fn find<'a>(&'a self, name: &'a str) -> Option<(&'a File, &'a str)> {
        let stored = match self.exact.contains_key(name) {
            true => name,
            false => self.bare.get(&*bare(name))?.as_deref()?,
        };
        Some((&self.files[*self.exact.get(stored)?], stored))
    }
}

impl Weights for Tensors {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let (file, stored) = self.find(name).ok_or_else(|| Error::MissingTensor {
            name: name.to_owned(),
            near: nearest(name, self.exact.keys().map(String::as_str)),
        })?;
        if let Some(given) = file.shape(stored).filter(|given| given != shape) {
            return Err(Error::Shape { name: stored.to_owned(), given, expected: shape.to_vec() });
        }
        finite(&self.folder, stored, shape, file.floats(stored)?)
    }

    fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn canonical(&self, name: &str) -> String {
        self.find(name).map_or(name, |(_, stored)| stored).to_owned()
    }

    fn names(&self) -> Vec<String> {
        self.exact.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (file, stored) = self.find(name)?;
        file.shape(stored)
    }
}

/// The checkpoint that `config`, the text of a `config.json` found at `path`, describes over `weights`.
///
/// # Errors
/// The text is not a configuration, or its architecture or a variant of it is not supported.
pub fn checkpoint(path: &Path, config: &str, weights: Arc<dyn Weights>) -> Result<Arc<dyn Checkpoint>, Error> {
    let malformed = |problem: String| Error::Malformed { path: path.to_owned(), problem };
    let value: Value = serde_json::from_str(config).map_err(|e| malformed(format!("this is not JSON: {e}")))?;
    let list = || architectures().collect::<Vec<_>>().join(", ");
    let kind = value.get("model_type").and_then(Value::as_str);
    let kind = kind.ok_or_else(|| malformed(format!("there is no `model_type`; one of {} is needed", list())))?;
    let Some((_, build)) = ARCHITECTURES.iter().find(|(name, _)| *name == kind) else {
        let near = nearest(kind, architectures()).map_or_else(String::new, |near| format!("; the nearest is `{near}`"));
        return Err(malformed(format!("architecture `{kind}` is not known; known are {}{near}", list())));
    };
    complete(path, weights, |weights| build(path, value, weights))
}

/// The most classes that a configuration may count without naming them.
const MOST_LABELS: u64 = 1 << 20;

/// A configuration with a name for every class: `num_labels` alone counts them.
fn with_labels(path: &Path, mut config: Value) -> Result<Value, Error> {
    let malformed = |problem: String| Err(Error::Malformed { path: path.to_owned(), problem });
    let Some(given) = config.get("num_labels").filter(|given| !given.is_null()) else { return Ok(config) };
    let Some(count) = given.as_u64().filter(|count| (1..=MOST_LABELS).contains(count)) else {
        return malformed(format!("num_labels is {given}; a number of classes of 1 to {MOST_LABELS} is needed"));
    };
    match config.get("id2label") {
        Some(Value::Object(names)) if names.len() as u64 != count => {
            let named = names.len();
            malformed(format!(
                "num_labels is {count}, but id2label names {named} classes; give the number that the head has"
            ))
        }
        None | Some(Value::Null) => {
            let label = |class: u64| (class.to_string(), Value::from(format!("LABEL_{class}")));
            config["id2label"] = (0..count).map(label).collect();
            Ok(config)
        }
        Some(_) => Ok(config),
    }
}

/// A configuration with the size of the images that the folder's preprocessing makes, where one file lacks it and the other
/// has it.
fn with_image_size(mut config: Value, preprocessor: &Path) -> Result<Value, Error> {
    if !preprocessor.is_file() {
        return Ok(config);
    }
    let prepared = json(preprocessor)?;
    let sizes = ["/crop_size/height", "/crop_size", "/size/height", "/size/shortest_edge", "/size"];
    let size = sizes.iter().find_map(|place| prepared.pointer(place).filter(|size| size.is_u64()));
    if let (Some(config), Some(size)) = (config.as_object_mut(), size) {
        config.entry("image_size").or_insert_with(|| size.clone());
    }
    Ok(config)
}

fn typed<C: DeserializeOwned>(path: &Path, value: Value) -> Result<C, Error> {
    serde_json::from_value(value).map_err(|e| wrong_type(path, &e))
}

fn wrong_type(path: &Path, e: &serde_json::Error) -> Error {
    Error::Malformed { path: path.to_owned(), problem: format!("a key has a value of the wrong type: {e}") }
}

/// Opens the model in `folder`, with its tokenizer where it has one. A folder of tensors alone is known by their names.
///
/// # Errors
/// A file is missing or malformed, or the architecture is not supported.
pub fn open(folder: &Path) -> Result<super::Model, Error> {
    let config = folder.join("config.json");
    if !config.exists()
        && let Ok(tensors) = Tensors::open(folder)
        && let files = tensors.files().map(Path::to_owned).collect()
        && let Some(checkpoint) = recognise::checkpoint(Arc::new(tensors))?
    {
        return Ok(super::Model { checkpoint, tokenizer: None, files });
    }
    let text = super::bounded::read_to_string(&config).map_err(|source| Error::Io { path: config.clone(), source })?;
    let tensors = Arc::new(Tensors::open(folder)?);
    let mut files = vec![config.clone()];
    files.extend(tensors.files().map(Path::to_owned));
    let checkpoint = checkpoint(&config, &text, tensors)?;
    let tokenizer = folder.join("tokenizer.json");
    let tokenizer = match tokenizer.is_file() {
        true => {
            files.push(tokenizer.clone());
            Some(Tokenizer::open(&tokenizer)?)
        }
        false => None,
    };
    Ok(super::Model { checkpoint, tokenizer, files })
}

pub(super) fn json(path: &Path) -> Result<Value, Error> {
    let text = super::bounded::read(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&text)
        .map_err(|e| Error::Malformed { path: path.to_owned(), problem: format!("this is not JSON: {e}") })
}

/// A name without its prefixes; the first exports of BERT call a norm's weight and bias gamma and beta.
fn bare(mut name: &str) -> Cow<'_, str> {
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        name = rest;
    }
    for (old, new) in [("gamma", "weight"), ("beta", "bias")] {
        if let Some(norm) = name.strip_suffix(old).filter(|norm| norm.ends_with("LayerNorm.")) {
            return format!("{norm}{new}").into();
        }
    }
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_do_not_matter() {
        assert_eq!(bare("model.decoder.layers.0.fc1.weight"), "layers.0.fc1.weight");
        assert_eq!(bare("vit.encoder.layer.0.x"), "encoder.layer.0.x");
        assert_eq!(bare("lm_head.weight"), "lm_head.weight");
    }

    #[test]
    fn norms_have_two_pairs_of_names() {
        assert_eq!(bare("bert.embeddings.LayerNorm.gamma"), "embeddings.LayerNorm.weight");
        assert_eq!(bare("encoder.layer.0.output.LayerNorm.beta"), "encoder.layer.0.output.LayerNorm.bias");
        assert_eq!(bare("layer.0.beta"), "layer.0.beta");
    }
}
