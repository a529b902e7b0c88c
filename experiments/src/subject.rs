//! What is evaluated: a model with the data it is evaluated on, opened by the names of the command line.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use interplay::load::{self, Model, SafeTensors, text};
use interplay::models::{Input, Task, embedded};
use interplay::{catalogue, eval};

/// Tokens a window, and windows, where the command line does not say; chosen so that the main job stays within minutes.
const DEFAULT_WINDOWS: usize = 40;
const DEFAULT_WINDOW: usize = 256;

/// Held-out inputs.
pub enum Data {
    /// Token windows of equal length.
    Windows(Vec<Vec<i64>>),
    /// Images `[N, C, H, W]` with a label each.
    Images {
        /// Pixels, row-major.
        pixels: Vec<f32>,
        /// The class of each image.
        labels: Vec<usize>,
    },
}

/// How much of the data is used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Amount {
    /// Tokens a window.
    pub window: Option<usize>,
    /// Windows, or images.
    pub windows: Option<usize>,
}

/// A model and its data.
pub struct Subject {
    /// The model as it was asked for.
    pub model_name: String,
    /// The data as it was asked for.
    pub data_name: String,
    /// The model.
    pub model: Model,
    /// The inputs.
    pub data: Data,
    /// What a reader of the results must know.
    pub caveat: Option<&'static str>,
    /// sha256 of every input by name.
    pub checksums: BTreeMap<String, String>,
}

impl Subject {
    /// Opens a model (`lm`, `vit`, a fetched name, a Hugging Face folder, a GGUF file) and its data (`heldout` for the embedded
    /// models, a fetched text, a text file, a safetensors file with `pixel_values` and `labels`).
    ///
    /// # Errors
    /// Either cannot be opened, or they do not go together.
    pub fn open(model_name: &str, data_name: Option<&str>, amount: Amount) -> Result<Self> {
        let mut checksums = BTreeMap::new();
        let (model, caveat) = open_model(model_name, &mut checksums)?;
        let embedded = matches!(model_name, "lm" | "vit");
        let data_name = match data_name {
            Some(name) => name,
            None if embedded => "heldout",
            None => bail!("--data is needed for `{model_name}`: a fetched text such as `wiki`, or a file"),
        };
        let data = match model.checkpoint.task() {
            Task::CausalLm => windows(&model, data_name, amount, &mut checksums)?,
            Task::ImageClassification => images(&model, data_name, amount, &mut checksums)?,
            Task::SentenceEmbedding(_) => {
                bail!("`{model_name}` is a sentence encoder; this command takes models that predict")
            }
        };
        let names = (model_name.to_owned(), data_name.to_owned());
        Ok(Self { model_name: names.0, data_name: names.1, model, data, caveat, checksums })
    }

    /// Tokens a window; 0 for images.
    pub fn window(&self) -> usize {
        match &self.data {
            Data::Windows(windows) => windows.first().map_or(0, Vec::len),
            Data::Images { .. } => 0,
        }
    }

    /// Windows, or images.
    pub fn inputs(&self) -> usize {
        match &self.data {
            Data::Windows(windows) => windows.len(),
            Data::Images { labels, .. } => labels.len(),
        }
    }
}

/// sha256 by name.
pub type Checksums = BTreeMap<String, String>;

/// Opens a model by the name of the command line, adds its checksums, and says what a reader of results must know.
///
/// # Errors
/// There is no such model, or it cannot be opened.
pub fn open_model(name: &str, checksums: &mut Checksums) -> Result<(Model, Option<&'static str>)> {
    match name {
        "lm" | "vit" => {
            let files = if name == "lm" { embedded::lm() } else { embedded::vit() };
            checksums.insert(format!("{name}/model.safetensors"), text::sha256(files.weights));
            return Ok((files.open()?, None));
        }
        _ => {}
    }
    let known = catalogue::Item::by_name(name).ok().filter(|item| item.kind == catalogue::Kind::Model);
    let path = match known {
        Some(item) => catalogue::locate(item.name)?,
        None if Path::new(name).exists() => Path::new(name).to_owned(),
        None => bail!(
            "there is no model `{name}`: give `lm`, `vit`, a name of `interplay list models`, a Hugging Face folder or a GGUF file"
        ),
    };
    let model = load::open(&path)?;
    for file in &model.files {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let label = file.file_name().map_or_else(|| file.display().to_string(), |f| f.to_string_lossy().into_owned());
        checksums.insert(label, text::sha256(&bytes));
    }
    Ok((model, known.and_then(|item| item.caveat)))
}

fn windows(model: &Model, data: &str, amount: Amount, checksums: &mut Checksums) -> Result<Data> {
    let Some(tokenizer) = &model.tokenizer else {
        bail!("the model has no tokenizer.json, so a text cannot be cut into tokens")
    };
    let text = match data {
        "heldout" => embedded::heldout_text().to_owned(),
        "wiki" => text::clean_wiki(&text::read(&catalogue::locate("wiki")?)?)?,
        name if Path::new(name).exists() => text::read(Path::new(name))?,
        name => text::read(&catalogue::locate(name)?)?,
    };
    checksums.insert(format!("data:{data}"), text::sha256(text.as_bytes()));
    let Input::Tokens { longest, .. } = model.checkpoint.input() else { bail!("this model takes images, not text") };
    // One token of beginning at the very start, where the tokenizer adds one.
    let ids = tokenizer.encode(&text, true)?;
    let length = amount.window.unwrap_or(DEFAULT_WINDOW.min(longest));
    Ok(Data::Windows(eval::windows(&ids, length, amount.windows.unwrap_or(DEFAULT_WINDOWS))?))
}

fn images(model: &Model, data: &str, amount: Amount, checksums: &mut Checksums) -> Result<Data> {
    let Input::Images { channels, height, width } = model.checkpoint.input() else {
        bail!("this model takes text, not images")
    };
    let file = match data {
        "heldout" => SafeTensors::from_bytes("heldout", embedded::heldout_images().to_vec())?,
        name => SafeTensors::open(Path::new(name))?,
    };
    checksums.insert(format!("data:{data}"), text::sha256(file.bytes()));
    let (pixels, labels) = embedded::labelled_images(&file)?;
    let image = channels * height * width;
    let count = amount.windows.unwrap_or(labels.len()).min(labels.len());
    if count == 0 || pixels.len() < count * image {
        bail!(
            "`{data}` has {} values for {} labels; an image is {channels} x {height} x {width}",
            pixels.len(),
            labels.len()
        );
    }
    Ok(Data::Images { pixels: pixels[..count * image].to_vec(), labels: labels[..count].to_vec() })
}
