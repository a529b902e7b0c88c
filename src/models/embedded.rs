//! The two models that are part of the program, with the held-out data that they were not trained on.
//!
//! Every weight comes from `interplay train`; `models/*/training.json` is the record of the run.

use std::path::Path;
use std::sync::Arc;

use crate::Error;
use crate::load::hf::{Tensors, checkpoint};
use crate::load::{Bytes, Model, SafeTensors, Tokenizer};
use crate::models::Weights;

/// The files of an embedded model.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// The folder's name, for messages.
    pub name: &'static str,
    /// `config.json`.
    pub config: &'static str,
    /// `model.safetensors`.
    pub weights: &'static [u8],
    /// `tokenizer.json`, for language models.
    pub tokenizer: Option<&'static str>,
}

/// The language model: OPT architecture, trained on Wikipedia text.
pub fn lm() -> Embedded {
    Embedded {
        name: "models/lm",
        config: include_str!("../../models/lm/config.json"),
        weights: include_bytes!("../../models/lm/model.safetensors"),
        tokenizer: Some(include_str!("../../models/lm/tokenizer.json")),
    }
}

/// The vision transformer, trained on handwritten digits.
pub fn vit() -> Embedded {
    Embedded {
        name: "models/vit",
        config: include_str!("../../models/vit/config.json"),
        weights: include_bytes!("../../models/vit/model.safetensors"),
        tokenizer: None,
    }
}

/// The documents that the language model and its tokenizer have not seen.
pub fn heldout_text() -> &'static str {
    include_str!("../../models/lm/heldout.txt")
}

/// How images become what the vision transformer takes, as a `preprocessor_config.json`.
pub fn vit_preprocessor() -> &'static str {
    include_str!("../../models/vit/preprocessor_config.json")
}

/// The digits that the vision transformer has not seen: `images_u8` `[N, 28, 28]` and `labels` `[N]`.
pub fn heldout_images() -> &'static [u8] {
    include_bytes!("../../models/vit/test.safetensors")
}

impl Embedded {
    /// The model over the embedded bytes.
    ///
    /// # Errors
    /// The program was built from damaged files.
    pub fn open(&self) -> Result<Model, Error> {
        let folder = Path::new(self.name);
        let checkpoint = checkpoint(&folder.join("config.json"), self.config, Arc::new(self.file()?))?;
        let origin = folder.join("tokenizer.json");
        let tokenizer = self.tokenizer.map(|text| Tokenizer::parse(&origin, text.as_bytes())).transpose()?;
        Ok(Model { checkpoint, tokenizer, files: Vec::new() })
    }

    /// The model's tensors, to build a trainable model of.
    ///
    /// # Errors
    /// The program was built from damaged files.
    pub fn tensors(&self) -> Result<Arc<dyn Weights>, Error> {
        Ok(Arc::new(self.file()?))
    }

    fn file(&self) -> Result<Tensors, Error> {
        let name = format!("{}/model.safetensors", self.name);
        Tensors::single(SafeTensors::parse(Bytes::embedded(&name, self.weights))?)
    }
}

/// Pixels `[N, C, H, W]` in [-1, 1] and the label of each image, from `pixel_values` (F32, taken as they are) or `images_u8`
/// (one channel, 0 to 255), and `labels`.
///
/// # Errors
/// A tensor is missing, has another type, or a label is negative.
pub fn labelled_images(file: &SafeTensors) -> Result<(Vec<f32>, Vec<usize>), Error> {
    let pixels = if file.has("pixel_values") {
        file.floats("pixel_values")?
    } else {
        // The processor's rescaling by 1/255 and its normalisation by mean and deviation 0.5.
        file.octets("images_u8")?.iter().map(|&byte| (f32::from(byte) / 255.0 - 0.5) / 0.5).collect()
    };
    let labels = file.integers("labels")?.into_iter().map(usize::try_from).collect::<Result<_, _>>();
    let labels = labels.map_err(|_| Error::Invalid(format!("{}: a label is negative", file.origin().display())))?;
    Ok((pixels, labels))
}
