//! What is evaluated: a model with the data it is evaluated on, opened by the names of the command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use interplay::eval::similarity::{self, Pair};
use interplay::eval::{PROTOCOLS, Protocol};
use interplay::load::{self, Model, text};
use interplay::models::{Input, Task, embedded};
use interplay::{catalogue, eval};

use crate::images::Wanted;
use crate::progress::Waiting;

/// Windows where the command line does not say; chosen, as the next, so that the main job stays within minutes.
const DEFAULT_WINDOWS: usize = 40;
/// Tokens a window where the command line does not say.
pub const DEFAULT_WINDOW: usize = 256;

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
    /// Pairs of texts that people judged.
    Pairs {
        /// The pairs.
        pairs: Vec<Pair>,
        /// The token ids of every text in them.
        texts: BTreeMap<String, Vec<i64>>,
    },
}

/// How much of the data is used, and how it is cut.
#[derive(Debug, Clone, Default)]
pub struct Amount {
    /// How a file becomes a text; none is the file as it is.
    pub protocol: Option<&'static Protocol>,
    /// Tokens from the beginning of one window to that of the next; none is the window's length.
    pub stride: Option<usize>,
    /// Tokens a window.
    pub window: Option<usize>,
    /// Windows, images, or pairs.
    pub windows: Option<usize>,
    /// Images, where they are to be of another number: more of them are needed for the same standard error, and each costs less.
    pub images: Option<usize>,
    /// The `preprocessor_config.json` for images, where it is not the model's own.
    pub preprocess: Option<PathBuf>,
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
    /// Tokens from the beginning of one window to that of the next; 0 for images.
    pub stride: usize,
    /// The protocol that made the text, where one was asked for.
    pub protocol: Option<&'static Protocol>,
    /// What a reader of the results must know.
    pub caveat: Option<String>,
    /// sha256 of every input by name.
    pub checksums: BTreeMap<String, String>,
}

impl Subject {
    /// Opens a model (`lm`, `vit`, a fetched name, a Hugging Face folder, a GGUF file) and its data (`heldout` for the embedded
    /// models, a fetched text, a text file, a safetensors file with `pixel_values` and `labels`, pairs of texts).
    ///
    /// # Errors
    /// Either cannot be opened, or they do not go together.
    pub fn open(model_name: &str, data_name: Option<&str>, amount: Amount) -> Result<Self> {
        ensure!(
            amount.windows != Some(0) && amount.images != Some(0),
            "--windows 0 evaluates nothing; give at least 1"
        );
        let mut checksums = BTreeMap::new();
        let (model, caveat) = open_model(model_name, &mut checksums)?;
        let embedded = matches!(model_name, "lm" | "vit");
        let data_name = match data_name {
            Some(name) => name,
            None if embedded => "heldout",
            None => bail!("--data is needed for `{model_name}`: {}", wanted(model.checkpoint.task())),
        };
        let reading = Waiting::on(format!("reading {data_name}"));
        let data = match model.checkpoint.task() {
            Task::CausalLm => windows(&model, data_name, &amount, &mut checksums)?,
            Task::ImageClassification => images(&model, model_name, data_name, &amount, &mut checksums)?,
            Task::SentenceEmbedding(_) => pairs(&model, data_name, &amount, &mut checksums)?,
        };
        drop(reading);
        let stride = match &data {
            Data::Windows(windows) => amount.stride.unwrap_or(windows[0].len()),
            Data::Images { .. } | Data::Pairs { .. } => 0,
        };
        let (model_name, data_name) = (model_name.to_owned(), data_name.to_owned());
        Ok(Self { model_name, data_name, model, data, stride, protocol: amount.protocol, caveat, checksums })
    }

    /// Predicted tokens, images, or pairs.
    pub fn tokens(&self) -> usize {
        match &self.data {
            Data::Windows(windows) => {
                (0..windows.len()).map(|index| eval::predicted(index, self.window(), self.stride)).sum()
            }
            Data::Images { .. } | Data::Pairs { .. } => self.inputs(),
        }
    }

    /// Tokens a window; 0 for images and pairs.
    pub fn window(&self) -> usize {
        match &self.data {
            Data::Windows(windows) => windows.first().map_or(0, Vec::len),
            Data::Images { .. } | Data::Pairs { .. } => 0,
        }
    }

    /// What goes through the model: windows, images, or the texts of pairs.
    pub fn evaluated(&self) -> usize {
        match &self.data {
            Data::Pairs { texts, .. } => texts.len(),
            Data::Windows(_) | Data::Images { .. } => self.inputs(),
        }
    }

    /// What [`Subject::inputs`] counts.
    pub fn inputs_named(&self) -> String {
        match &self.data {
            Data::Windows(_) => format!("windows of {} tokens", self.window()),
            Data::Images { .. } => "images".to_owned(),
            Data::Pairs { .. } => "pairs of texts".to_owned(),
        }
    }

    /// Windows, images, or pairs.
    pub fn inputs(&self) -> usize {
        match &self.data {
            Data::Windows(windows) => windows.len(),
            Data::Images { labels, .. } => labels.len(),
            Data::Pairs { pairs, .. } => pairs.len(),
        }
    }
}

/// What a model of some task is evaluated on.
fn wanted(task: Task) -> &'static str {
    match task {
        Task::CausalLm => "a fetched text such as `wiki`, or a file",
        Task::ImageClassification => {
            "labelled images: a name of `interplay list data`, a folder with one folder a class, or a safetensors file with \
             `pixel_values` and `labels`"
        }
        Task::SentenceEmbedding(_) => "pairs of texts that people judged: a name of `interplay list data`, or a file",
    }
}

/// sha256 by name.
pub type Checksums = BTreeMap<String, String>;

/// Opens a model by the name of the command line, adds its checksums, and says what a reader of results must know.
///
/// # Errors
/// There is no such model, or it cannot be opened.
pub fn open_model(name: &str, checksums: &mut Checksums) -> Result<(Model, Option<String>)> {
    match name {
        "lm" | "vit" => {
            let files = if name == "lm" { embedded::lm() } else { embedded::vit() };
            checksums.insert(format!("{name}/model.safetensors"), text::sha256(files.weights));
            return Ok((files.open()?, None));
        }
        _ => {}
    }
    let _reading = Waiting::on(format!("reading {name}"));
    let known = catalogue::Item::by_name(name).ok().filter(|item| item.kind == catalogue::Kind::Model);
    if let Some(unread) = known.and_then(catalogue::Item::unread) {
        bail!("`{name}` cannot be evaluated: {unread}")
    }
    let path = match known {
        Some(item) => catalogue::locate(item.name)?,
        None if Path::new(name).exists() => Path::new(name).to_owned(),
        None => bail!(
            "there is no model `{name}`: give `lm`, `vit`, a name of `interplay list models`, a Hugging Face folder, a GGUF file or a torch file"
        ),
    };
    let model = load::open(&path)?;
    for file in &model.files {
        let label = file.file_name().map_or_else(|| file.display().to_string(), |f| f.to_string_lossy().into_owned());
        checksums.insert(label, text::sha256_of_file(file)?);
    }
    let of_tokenizer = model.tokenizer.as_ref().and_then(|tokenizer| tokenizer.note());
    let caveats: Vec<_> = known.and_then(|item| item.caveat).into_iter().chain(of_tokenizer).collect();
    let caveat = (!caveats.is_empty()).then(|| caveats.join("; "));
    Ok((model, caveat))
}

/// The file or folder of a model that is not embedded.
///
/// # Errors
/// There is no such model, or it was not fetched.
pub fn locate_model(name: &str) -> Result<PathBuf> {
    match catalogue::Item::by_name(name).ok().filter(|item| item.kind == catalogue::Kind::Model) {
        Some(item) => Ok(catalogue::locate(item.name)?),
        None => Ok(PathBuf::from(name)),
    }
}

/// The tokens of a calibration text: a fetched text, a file, or by default for the embedded model the second half of its held-out text,
/// whose first half is evaluated, and `c4` for every other.
///
/// # Errors
/// The model has no tokenizer, or the text cannot be read.
pub fn calibration_ids(
    model_name: &str,
    model: &Model,
    text: Option<&str>,
    checksums: &mut Checksums,
) -> Result<Vec<u32>> {
    let Some(tokenizer) = &model.tokenizer else {
        bail!("the model has no tokenizer.json, so a calibration text cannot be cut into tokens")
    };
    let (name, content) = match (text, model_name) {
        (None | Some("heldout"), "lm") => ("heldout", second_half(embedded::heldout_text()).to_owned()),
        (given, _) => {
            let name = given.unwrap_or("c4");
            (name, read_text(name)?)
        }
    };
    let _reading = Waiting::on(format!("reading {name}"));
    checksums.insert(format!("calibration:{name}"), text::sha256(content.as_bytes()));
    Ok(tokenizer.encode(&content, false)?)
}

/// What follows the first line that begins in the second half.
fn second_half(text: &str) -> &str {
    let middle = text.len() / 2;
    let line = text.bytes().skip(middle).position(|byte| byte == b'\n').map_or(text.len(), |at| middle + at + 1);
    &text[line..]
}

/// A text by the name of the command line: `heldout`, a fetched text, or a file.
///
/// # Errors
/// There is no such text, or it cannot be read.
pub fn read_text(data: &str) -> Result<String> {
    Ok(match data {
        "heldout" => embedded::heldout_text().to_owned(),
        "wiki" => text::clean_wiki(&text::read(&catalogue::locate("wiki")?)?)?,
        name if Path::new(name).exists() => text::read(Path::new(name))?,
        name => text::read(&catalogue::locate(name)?)?,
    })
}

fn windows(model: &Model, data: &str, amount: &Amount, checksums: &mut Checksums) -> Result<Data> {
    let Some(tokenizer) = &model.tokenizer else {
        bail!("the model has no tokenizer.json, so a text cannot be cut into tokens")
    };
    let text = read_text(data)?;
    let protocol = amount.protocol.unwrap_or(&PROTOCOLS[0]);
    let text = protocol.text(&text).with_context(|| format!("`{data}` under the protocol `{}`", protocol.name))?;
    checksums.insert(format!("data:{data}"), text::sha256(text.as_bytes()));
    let Input::Tokens { longest, .. } = model.checkpoint.input() else { bail!("this model takes images, not text") };
    // One token of beginning at the very start, where the tokenizer adds one.
    let ids = tokenizer.encode(&text, true)?;
    let length = amount.window.or(protocol.window.map(|w| w.min(longest))).unwrap_or(DEFAULT_WINDOW.min(longest));
    let count = amount.windows.or(protocol.windows).unwrap_or(DEFAULT_WINDOWS);
    Ok(Data::Windows(eval::strided_windows(&ids, length, amount.stride.unwrap_or(length), count)?))
}

fn pairs(model: &Model, data: &str, amount: &Amount, checksums: &mut Checksums) -> Result<Data> {
    let Some(tokenizer) = &model.tokenizer else {
        bail!("the model has no tokenizer.json, so a text cannot be cut into tokens")
    };
    let path = if Path::new(data).exists() { PathBuf::from(data) } else { catalogue::locate(data)? };
    let text = text::read(&path)?;
    checksums.insert(format!("data:{data}"), text::sha256(text.as_bytes()));
    let mut pairs = similarity::pairs(&path, &text)?;
    pairs.truncate(amount.windows.unwrap_or(usize::MAX));
    let mut texts = BTreeMap::new();
    for text in pairs.iter().flat_map(|pair| [&pair.first, &pair.second]) {
        let ids = tokenizer.encode(text, true)?;
        texts.insert(text.clone(), ids.into_iter().map(i64::from).collect());
    }
    Ok(Data::Pairs { pairs, texts })
}

fn images(model: &Model, model_name: &str, data: &str, amount: &Amount, checksums: &mut Checksums) -> Result<Data> {
    let Input::Images { channels, height, width } = model.checkpoint.input() else {
        bail!("this model takes text, not images")
    };
    let wanted = Wanted {
        shape: (channels, height, width),
        count: amount.images.or(amount.windows).unwrap_or(usize::MAX),
        model: model_name,
        preprocess: amount.preprocess.as_deref(),
    };
    let (pixels, labels) = crate::images::open(data, &wanted, checksums)?;
    Ok(Data::Images { pixels, labels })
}
