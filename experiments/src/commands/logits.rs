//! `interplay logits`: the FP32 logits of given inputs, to compare with another implementation.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use interplay::burn::Backend;
use interplay::eval::{Runner, for_each_logits, input};
use interplay::files;
use interplay::load::SafeTensors;
use interplay::models::Task;
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

    /// A safetensors file with `input_ids` [B, T] (I32 or I64) or `pixel_values` [B, C, H, W] (F32).
    #[arg(long, value_name = "FILE")]
    input: PathBuf,

    /// The safetensors file to write: `logits` F32, [B, T, V] or [B, classes].
    #[arg(long = "out", alias = "output", value_name = "FILE")]
    output: PathBuf,
}

/// Runs the model in FP32 and writes the logits.
///
/// # Errors
/// The model or the input cannot be opened, they do not fit, or the output cannot be written.
pub fn run(args: &Args) -> Result<()> {
    files::ready(&args.output, &[&args.input])?;
    let (model, _) = open_model(&args.model, &mut Default::default())?;
    let file = SafeTensors::open(&args.input)?;
    if let Task::SentenceEmbedding(_) = model.checkpoint.task() {
        bail!("`{}` is a sentence encoder and has no logits", args.model);
    }
    let backend = crate::host::on(Backend::default());
    let mut session = watched::session(backend, &model.checkpoint)?;
    let (mut shape, values) = match model.checkpoint.task() {
        Task::ImageClassification => image_logits(&mut session, &file)?,
        _ => token_logits(&mut session, &file)?,
    };
    let rows: usize = shape.iter().product();
    shape.push(values.len() / rows.max(1));
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape.clone(), &bytes)?;
    write_atomic(&args.output, &serialize([("logits", view)], None)?)?;
    sayln!("{}: logits {shape:?}", args.output.display());
    Ok(())
}

/// The logits of `input_ids`, with the shape `[B, T]` of their rows.
fn token_logits(session: &mut Session, file: &SafeTensors) -> Result<(Vec<usize>, Vec<f32>)> {
    let shape = shaped::<2>(file, "input_ids", "[B, T]")?;
    let ids = file.integers("input_ids")?;
    if ids.is_empty() {
        bail!("{}: `input_ids` of shape {shape:?} has no tokens", file.origin().display());
    }
    // One sequence at a time: each is independent, and a long batch would need memory for nothing.
    let inputs = ids.chunks(shape[1]).map(|ids| input::tokens(session.checkpoint(), ids, shape[1]));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let mut values = Vec::new();
    for_each_logits(session, &inputs, |_, _, row| values.extend_from_slice(row))?;
    Ok((shape.to_vec(), values))
}

/// The logits of `pixel_values`, with the shape `[B]` of their rows.
fn image_logits(session: &mut Session, file: &SafeTensors) -> Result<(Vec<usize>, Vec<f32>)> {
    let shape = shaped::<4>(file, "pixel_values", "[B, C, H, W]")?;
    if let interplay::models::Input::Images { channels, height, width } = session.checkpoint().input()
        && shape[1..] != [channels, height, width]
    {
        bail!("`pixel_values` has images of {:?}, but the model takes {:?}", &shape[1..], [channels, height, width]);
    }
    let logits = interplay::eval::logits(session, &file.floats("pixel_values")?)?;
    Ok((vec![shape[0]], logits.rows().flatten().copied().collect()))
}

/// The shape of tensor `name`, which must have `D` axes.
fn shaped<const D: usize>(file: &SafeTensors, name: &str, wanted: &str) -> Result<[usize; D]> {
    let shape = file.shape(name)?;
    shape
        .try_into()
        .ok()
        .with_context(|| format!("{}: `{name}` has shape {shape:?}, but {wanted} is needed", file.origin().display()))
}
