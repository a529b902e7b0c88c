//! `interplay logits`: the FP32 logits or hidden states of given inputs, to compare with another implementation.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use interplay::burn::{Activation, Backend};
use interplay::eval::{Runner, for_each_logits, input};
use interplay::files;
use interplay::load::SafeTensors;
use interplay::models::{Input, Task};
use interplay::session::Session;
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::output::{sayln, write_atomic};
use crate::subject::open_model;
use crate::watched;

/// Arguments of `logits`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// `lm`, `vit`, a fetched model, a Hugging Face folder, a GGUF file, or a torch file (`.pth`).
    #[arg(long, alias = "models")]
    model: String,

    /// A safetensors file with `input_ids` [B, T] (I32 or I64) or `pixel_values` [B, C, H, W] (F32); an encoder of texts also
    /// takes `token_type_ids` [B, T], else all 0.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,

    /// The safetensors file to write: `logits` F32, [B, T, V] or [B, classes].
    #[arg(long = "out", alias = "output", value_name = "FILE")]
    output: PathBuf,

    /// Write `hidden` F32 instead, what the last block gives: [B, T, D] of texts, with a class token in front [B, patches + 1, D]
    /// of images, [B, C, H, W] or pooled [B, D] of a convolutional network. A norm behind the last block belongs to the head.
    #[arg(long)]
    hidden: bool,
}

/// Runs the model in FP32 and writes the logits, or the hidden states.
///
/// # Errors
/// The model or the input cannot be opened, they do not fit, or the output cannot be written.
pub fn run(args: &Args) -> Result<()> {
    files::ready(&args.output, &[&args.input])?;
    let (model, _) = open_model(&args.model, &mut Default::default())?;
    let file = SafeTensors::open(&args.input)?;
    if let (Task::SentenceEmbedding(_), false) = (model.checkpoint.task(), args.hidden) {
        bail!("`{}` is an encoder of texts and has no logits; add --hidden for its last hidden states", args.model);
    }
    let backend = crate::host::on(Backend::default());
    let mut session = watched::session(backend, &model.checkpoint)?;
    let (name, (shape, values)) = match (args.hidden, model.checkpoint.task()) {
        (true, _) => ("hidden", hidden(&mut session, &file)?),
        (false, Task::ImageClassification) => ("logits", image_logits(&mut session, &file)?),
        (false, _) => ("logits", token_logits(&mut session, &file)?),
    };
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape.clone(), &bytes)?;
    write_atomic(&args.output, &serialize([(name, view)], None)?)?;
    sayln!("{}: {name} {shape:?}", args.output.display());
    Ok(())
}

/// A tensor's shape and values.
type Array = (Vec<usize>, Vec<f32>);

/// What the last block gives for each input, one after the other.
fn hidden(session: &mut Session, file: &SafeTensors) -> Result<Array> {
    let inputs = match session.checkpoint().input() {
        Input::Tokens { .. } | Input::Text { .. } => sequences(session, file)?,
        Input::Images { channels, height, width } => {
            let images = pixels(session, file)?;
            let images =
                images.chunks(channels * height * width).map(|image| input::images(session.checkpoint(), image));
            images.collect::<Result<Vec<_>, _>>()?
        }
    };
    let (mut shape, mut values) = (Vec::new(), Vec::new());
    for input in &inputs {
        let states = session.hidden(input.clone())?;
        shape = states.shape();
        values.extend(states.into_values()?);
    }
    shape[0] = inputs.len();
    Ok((shape, values))
}

/// The logits of `input_ids`, [B, T, V].
fn token_logits(session: &mut Session, file: &SafeTensors) -> Result<Array> {
    let inputs = sequences(session, file)?;
    let mut values = Vec::new();
    for_each_logits(session, &inputs, |_, _, row| values.extend_from_slice(row))?;
    let [batch, length] = shaped::<2>(file, "input_ids", "[B, T]")?;
    let classes = values.len() / (batch * length);
    Ok((vec![batch, length, classes], values))
}

/// The sequences of `input_ids`, one by one: each is independent, and a long batch would need memory for nothing.
fn sequences(session: &Session, file: &SafeTensors) -> Result<Vec<Activation>> {
    let shape = shaped::<2>(file, "input_ids", "[B, T]")?;
    let ids = file.integers("input_ids")?;
    if ids.is_empty() {
        bail!("{}: `input_ids` of shape {shape:?} has no tokens", file.origin().display());
    }
    let (checkpoint, length) = (session.checkpoint(), shape[1]);
    let sequences = ids.chunks(length);
    let inputs: Result<Vec<_>, _> = match checkpoint.input() {
        Input::Text { .. } => {
            refuse_padding(file)?;
            let segments = segments(file, shape)?;
            let texts = sequences.zip(segments.chunks(length));
            texts.map(|(ids, segments)| input::text(checkpoint, ids, segments, length)).collect()
        }
        _ => sequences.map(|ids| input::tokens(checkpoint, ids, length)).collect(),
    };
    Ok(inputs?)
}

/// The segment of each token, 0 unless the file says.
fn segments(file: &SafeTensors, shape: [usize; 2]) -> Result<Vec<i64>> {
    if !file.has("token_type_ids") {
        return Ok(vec![0; shape[0] * shape[1]]);
    }
    let given = shaped::<2>(file, "token_type_ids", "[B, T]")?;
    if given != shape {
        bail!(
            "{}: `token_type_ids` has shape {given:?}, `input_ids` {shape:?}; give one each",
            file.origin().display()
        );
    }
    Ok(file.integers("token_type_ids")?)
}

/// An encoder sees every position, so padding would change the others.
fn refuse_padding(file: &SafeTensors) -> Result<()> {
    if file.has("attention_mask") && file.integers("attention_mask")?.contains(&0) {
        bail!(
            "{}: `attention_mask` has zeros; padding is not masked, so give texts of one length",
            file.origin().display()
        );
    }
    Ok(())
}

/// The logits of `pixel_values`, [B, classes].
fn image_logits(session: &mut Session, file: &SafeTensors) -> Result<Array> {
    let pixels = pixels(session, file)?;
    let logits = interplay::eval::logits(session, &pixels)?;
    Ok((vec![logits.images(), logits.classes()], logits.rows().flatten().copied().collect()))
}

/// The values of `pixel_values`, images that the model takes.
fn pixels(session: &Session, file: &SafeTensors) -> Result<Vec<f32>> {
    let shape = shaped::<4>(file, "pixel_values", "[B, C, H, W]")?;
    if let Input::Images { channels, height, width } = session.checkpoint().input()
        && shape[1..] != [channels, height, width]
    {
        bail!("`pixel_values` has images of {:?}, but the model takes {:?}", &shape[1..], [channels, height, width]);
    }
    if shape[0] == 0 {
        bail!("{}: `pixel_values` of shape {shape:?} has no images", file.origin().display());
    }
    Ok(file.floats("pixel_values")?)
}

/// The shape of tensor `name`, which must have `D` axes.
fn shaped<const D: usize>(file: &SafeTensors, name: &str, wanted: &str) -> Result<[usize; D]> {
    let shape = file.shape(name)?;
    shape
        .try_into()
        .ok()
        .with_context(|| format!("{}: `{name}` has shape {shape:?}, but {wanted} is needed", file.origin().display()))
}
