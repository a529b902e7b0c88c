//! `interplay compress`: a recipe on a language model, saved as folders that load again.
//!
//! The run's own folder is `DIR/.partial`; a killed run is finished by the same command.

mod job;
mod show;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use interplay::compress::Recipe;
use interplay::compression::{SAMPLES, Stream};

/// Arguments of `compress`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  interplay compress --model lm --pipeline 'wanda(2:4), gptq(mxfp4)' --out lm-wanda-mxfp4
  interplay compress --model smollm2 --pipeline 'sparsegpt(50%)' --calibration c4 --samples 16 --length 512 --out sparse
  interplay compress --model ./opt-125m --pipeline 'smoothquant(0.5), rtn(int8), activations(int8)' --calibration text.txt --out w8a8
  interplay compress --model ./llama --pipeline 'gptq(int4), pqp(50%)' --stream dense --samples 128 --length 2048 --calibration c4 --out pqp
  interplay compress --model lm --pipeline recipe.toml --out out      # a file with: pipeline = [\"ria(2:4,permute=assignment)\", \"gptq(hbfp4)\"]
  interplay eval --model lm-wanda-mxfp4 --data text.txt
  interplay list methods

The order of the list is the order of work: pruning first is S→Q, rounding first Q→S; `sparsegpt(2:4,mxfp4)` does both in one pass.
A run that was killed goes on where it was when the same command is given again.")]
pub struct Args {
    /// `lm`, a fetched model such as `smollm2`, a Hugging Face folder or a GGUF file of a language model.
    #[arg(long, alias = "models", default_value = "lm")]
    model: String,

    /// The steps, `[step, step]` with or without brackets, or a TOML file with `pipeline = ["step", "step"]`.
    #[arg(long, value_name = "STEPS|FILE.toml")]
    pipeline: String,

    /// The folder to write: the model in F32, and in `packed` the same as codes and scales.
    #[arg(long, alias = "output", value_name = "DIR")]
    out: PathBuf,

    /// Calibration text: a fetched text such as `c4`, or a file [default: for `lm` the second half of its held-out text, else `c4`].
    #[arg(long, value_name = "NAME|FILE")]
    calibration: Option<String>,

    /// Calibration sequences.
    #[arg(long, value_name = "N", default_value_t = SAMPLES)]
    samples: usize,

    /// Tokens a calibration sequence [default: 512, or the model's longest sequence where that is shorter].
    #[arg(long, value_name = "N")]
    length: Option<usize>,

    /// Where calibration sequences begin is drawn from this seed.
    #[arg(long, alias = "seeds", default_value_t = 0)]
    seed: u64,

    /// On what a block is calibrated: `compressed` (what passed the blocks before as they are by then) or `dense`.
    #[arg(long, value_parser = stream, default_value = "compressed")]
    stream: Stream,

    /// Begin anew where an unfinished run is in the way.
    #[arg(long)]
    restart: bool,

    /// Print one JSON object: the run, and a line a layer.
    #[arg(long)]
    json: bool,
}

fn stream(text: &str) -> Result<Stream, String> {
    match text.to_lowercase().as_str() {
        "compressed" => Ok(Stream::Compressed),
        "dense" => Ok(Stream::Dense),
        _ => Err("it is `compressed` or `dense`".into()),
    }
}

/// Runs the command.
///
/// # Errors
/// Bad use, a model or text that cannot be opened, a layer that a method refuses, a folder that cannot be written.
pub fn run(args: &Args) -> Result<ExitCode> {
    job::run(args)
}

/// The recipe that `--pipeline` gives: a TOML file, or the steps themselves.
fn recipe(text: &str) -> Result<Recipe> {
    if text.to_lowercase().ends_with(".toml") {
        let content = interplay::load::read_to_string(text).with_context(|| format!("cannot read {text}"))?;
        return Ok(Recipe::from_toml(&content)?);
    }
    Ok(text.parse()?)
}
