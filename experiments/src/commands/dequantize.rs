//! `interplay dequantize`: what the codes of a file stand for.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use interplay::files;
use interplay::load::Bytes;
use interplay_formats::file::{Dtype, Outline, QuantizedFile, Writer};

use super::tensors::each;
use crate::output::{sayln, write_whole};

/// A check failed.
const FAILED: u8 = 1;

/// Arguments of `dequantize`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Where the file holds dequantised values, they are compared with what the codes stand for; the first difference ends
the command with exit code 1, and nothing is written.

Examples:
  interplay dequantize --input model-mxfp8.safetensors --out model-again.safetensors")]
pub struct Args {
    /// A file that `interplay quantize` wrote.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,

    /// The safetensors file to write: F32 tensors under their names, and what `quantize` had copied.
    #[arg(long = "out", alias = "output", value_name = "FILE")]
    output: PathBuf,
}

/// The first value that is not what its code stands for.
#[derive(Debug)]
struct Mismatch {
    tensor: String,
    row: usize,
    column: usize,
    code: f32,
    written: f32,
}

impl std::error::Error for Mismatch {}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tensor, row, column, code, written } = self;
        let bits = [code.to_bits(), written.to_bits()];
        write!(
            f,
            "tensor `{tensor}`, row {row}, column {column}: the code stands for {code:e} ({:08x}), but \
             `{tensor}.dequantized` has {written:e} ({:08x})",
            bits[0], bits[1]
        )
    }
}

/// Writes the values.
///
/// # Errors
/// A file that is not what `quantize` writes, an output that cannot be written.
pub fn run(args: &Args) -> Result<ExitCode> {
    files::ready(&args.output, &[&args.input])?;
    let bytes = Bytes::map(&args.input)?;
    let say = || args.input.display().to_string();
    let file = QuantizedFile::parse(&bytes).with_context(say)?;
    let mut outline = Outline::default();
    for (name, shape) in file.tensors() {
        outline.tensor(name, Dtype::F32, shape).with_context(say)?;
    }
    for (name, view) in file.copied() {
        outline.tensor(name, view.dtype, &view.shape).with_context(say)?;
    }
    let mut checked = 0;
    let written = write_whole(&args.output, |out| {
        let mut writer = Writer::new(out, &outline)?;
        let named: Vec<_> = file.tensors().map(|(name, shape)| (name, shape, ())).collect();
        each(named.iter().copied(), |name, ()| {
            let (values, compared) = values(&file, name).with_context(say)?;
            checked += usize::from(compared);
            Ok(writer.raw(name, &values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>())?)
        })?;
        for (name, view) in file.copied() {
            writer.raw(name, view.bytes)?;
        }
        writer.finish()?;
        Ok(())
    });
    match written {
        Err(error) if error.is::<Mismatch>() => {
            eprintln!("error: {}", crate::sentence(&error));
            return Ok(ExitCode::from(FAILED));
        }
        result => result?,
    }
    let (count, format) = (file.tensors().count(), file.format().name);
    sayln!(
        "{}: {count} tensors from {format}, {checked} compared with their dequantised values",
        args.output.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// The values of a tensor, and whether there was something to compare them with.
fn values(file: &QuantizedFile<'_>, name: &str) -> Result<(Vec<f32>, bool)> {
    let quantized = file.read(name)?;
    let values = quantized.dequantize();
    let Some(written) = file.dequantized(name)? else { return Ok((values, false)) };
    let differs = |(a, b): (&f32, &f32)| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
    match values.iter().zip(&written).position(differs) {
        None => Ok((values, true)),
        Some(at) => {
            let (row, column) = (at / quantized.k(), at % quantized.k());
            Err(Mismatch { tensor: name.to_owned(), row, column, code: values[at], written: written[at] }.into())
        }
    }
}
