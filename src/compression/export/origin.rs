//! Where a model came from, opened again to be copied: its tensors under Hugging Face's names, its configuration, its tokenizer.

use std::path::{Path, PathBuf};

use super::CARD;
use crate::Error;
use crate::compress::Layer;
use crate::formats::Mask;
use crate::load::hf::Tensors;
use crate::load::{Bytes, Gguf, SafeTensors, Tokenizer, is_computed};
use crate::models::Weights;
use crate::models::embedded::Embedded;
use crate::models::llama::{LlamaConfig, Pairs};

/// The files beside the tensors that a folder's copy keeps.
const COPIED: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "generation_config.json",
];

/// Files by which a folder is known to hold a model.
const MODELS: [&str; 4] = ["config.json", "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"];

/// Where a model came from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A Hugging Face folder.
    Folder(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
    /// Part of the program.
    Embedded(Embedded),
}

impl Origin {
    /// The origin of the model at `path`.
    pub fn of(path: &Path) -> Self {
        if path.is_dir() { Self::Folder(path.to_owned()) } else { Self::Gguf(path.to_owned()) }
    }

    /// Whether an export may write to `folder`: it is not the source's own, and holds no model but one that an export wrote.
    ///
    /// # Errors
    /// It may not.
    pub fn may_be_written_to(&self, folder: &Path) -> Result<(), Error> {
        let real = |path: &Path| path.canonicalize().ok();
        let is_source = matches!(self, Self::Folder(path) if real(path) == real(folder));
        let is_model = MODELS.iter().any(|name| folder.join(name).exists());
        if is_source || (is_model && !folder.join(CARD).exists()) {
            let problem = "the folder holds a model that is not to be overwritten; give another folder".into();
            return Err(Error::Malformed { path: folder.to_owned(), problem });
        }
        Ok(())
    }
}

/// An opened origin.
pub(super) struct Source {
    weights: Box<dyn Weights>,
    names: Vec<String>,
    /// `config.json`.
    pub(super) config: String,
    texts: Vec<(String, String)>,
    /// Whether linear layers are stored `[in, out]`.
    pub(super) transposed: bool,
    /// The configuration whose heads have neighbouring pairs that must become halves.
    paired: Option<LlamaConfig>,
}

impl Source {
    pub(super) fn open(origin: &Origin) -> Result<Self, Error> {
        match origin {
            Origin::Folder(path) => Self::folder(path),
            Origin::Gguf(path) => Self::gguf(path),
            Origin::Embedded(embedded) => {
                let name = format!("{}/model.safetensors", embedded.name);
                let tensors = Tensors::single(SafeTensors::parse(Bytes::embedded(&name, embedded.weights))?)?;
                let tokenizer = embedded.tokenizer.map(|text| ("tokenizer.json".to_owned(), text.to_owned()));
                Ok(Self::of(tensors, embedded.config.to_owned(), tokenizer.into_iter().collect()))
            }
        }
    }

    fn of(tensors: Tensors, config: String, texts: Vec<(String, String)>) -> Self {
        let model_type = |config: &str| {
            Some(serde_json::from_str::<serde_json::Value>(config).ok()?.get("model_type")?.as_str()? == "gpt2")
        };
        let transposed = model_type(&config).unwrap_or(false);
        let names = tensors.names().into_iter().filter(|name| !is_computed(name)).collect();
        Self { names, weights: Box::new(tensors), config, texts, transposed, paired: None }
    }

    fn folder(path: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let place = path.join(name);
            std::fs::read_to_string(&place).map_err(|source| Error::Io { path: place, source })
        };
        let there = COPIED.iter().filter(|name| path.join(name).is_file());
        // SentencePiece's own model is no text; the copy does without it.
        let texts = there.filter_map(|name| Some(((*name).to_owned(), read(name).ok()?))).collect();
        Ok(Self::of(Tensors::open(path)?, read("config.json")?, texts))
    }

    fn gguf(path: &Path) -> Result<Self, Error> {
        let file = Gguf::open(path)?;
        let config = LlamaConfig { pairs: Pairs::Halves, ..file.llama_config()? };
        if config.frequency_factors.is_some() {
            let problem = "its rotary frequencies are scaled by a tensor, which no `config.json` can say; give the Hugging Face folder";
            return Err(Error::Malformed { path: path.to_owned(), problem: problem.into() });
        }
        let mut text = serde_json::to_value(&config).map_err(|e| Error::Invalid(format!("a configuration: {e}")))?;
        if let Some(object) = text.as_object_mut() {
            object.insert("architectures".into(), serde_json::json!(["LlamaForCausalLM"]));
            object.insert("torch_dtype".into(), "float32".into());
        }
        let tokenizer = Tokenizer::from_gguf(&file)?.to_json();
        Ok(Self {
            names: file.hugging_face_names(config.num_hidden_layers),
            config: format!("{text:#}\n"),
            texts: tokenizer.map(|text| ("tokenizer.json".to_owned(), text)).into_iter().collect(),
            transposed: false,
            paired: Some(config),
            weights: Box::new(file),
        })
    }

    /// Files of text beside the tensors and the configuration.
    pub(super) fn texts(&self) -> impl Iterator<Item = &(String, String)> {
        self.texts.iter()
    }

    /// Every tensor.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The source's own name of a tensor that a layer or a vector calls `name`.
    pub(super) fn canonical(&self, name: &str) -> Result<String, Error> {
        let missing = || Error::MissingTensor { name: name.to_owned(), near: None };
        let with_root = format!("model.{name}");
        if self.paired.is_some() {
            return self.names.iter().find(|known| **known == with_root).cloned().ok_or_else(missing);
        }
        if self.weights.has(name) { Ok(self.weights.canonical(name)) } else { Err(missing()) }
    }

    /// The shape of a tensor.
    pub(super) fn shape(&self, name: &str) -> Result<Vec<usize>, Error> {
        self.weights.shape(name).ok_or_else(|| Error::MissingTensor { name: name.to_owned(), near: None })
    }

    /// The values of a tensor that nothing replaces.
    pub(super) fn values(&self, name: &str) -> Result<Vec<f32>, Error> {
        let shape = self.shape(name)?;
        let values = self.weights.get(name, &shape)?;
        match self.row_order(name) {
            None => Ok(values),
            Some(order) => {
                let k = shape.last().copied().unwrap_or(1).max(1);
                Ok(order.iter().flat_map(|&row| values[row * k..(row + 1) * k].iter().copied()).collect())
            }
        }
    }

    /// A layer with its rows in the order that Hugging Face has.
    pub(super) fn reordered(&self, tensor: &str, layer: &Layer) -> Result<Layer, Error> {
        let Some(order) = self.row_order(tensor) else { return Ok(layer.clone()) };
        let k = layer.k;
        let pick =
            |values: &[f32]| order.iter().flat_map(|&row| values[row * k..(row + 1) * k].iter().copied()).collect();
        let kept =
            |mask: &Mask| order.iter().flat_map(|&row| mask.kept()[row * k..(row + 1) * k].iter().copied()).collect();
        let mask = layer.mask.as_ref().map(|mask| Mask::from_kept(mask.pattern(), k, kept(mask))).transpose()?;
        // Rows that share scales cannot be moved apart: such a layer is kept as the values that its codes stand for.
        let quantized = layer.quantized.as_ref().and_then(|quantized| quantized.select_rows(&order).ok());
        Ok(Layer { original: Vec::new(), values: pick(&layer.values), quantized, mask, ..layer.clone() })
    }

    /// Where each row of queries and keys comes from, where rotary pairs are neighbours.
    fn row_order(&self, tensor: &str) -> Option<Vec<usize>> {
        let config = self.paired.as_ref()?;
        let heads = match tensor.strip_suffix("_proj.weight")?.chars().last()? {
            'q' => config.num_attention_heads,
            'k' => config.kv_heads(),
            _ => return None,
        };
        let width = config.head_dim();
        let place = |i: usize| if i < width / 2 { 2 * i } else { 2 * (i - width / 2) + 1 };
        Some((0..heads).flat_map(|head| (0..width).map(move |i| head * width + place(i))).collect())
    }
}
