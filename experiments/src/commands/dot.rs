//! `interplay dot`: what a datapath makes of operands.

use std::path::PathBuf;

use anyhow::Result;
use interplay::files;
use interplay_formats::file::{Dtype, Outline, Writer};

use super::vectors::Vectors;
use crate::output::{sayln, write_whole};

/// Arguments of `dot`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the tensors that `interplay verify` reads, but for the results; writes d [rows] or D [M, N] as codes of the
accumulator: U16 for FP16, U32 for FP32 and 32-bit integers, U64 for FP64.

Examples:
  interplay dot --datapath ampere.mma.f16.f32 --vectors operands.safetensors --out d.safetensors
  interplay dot --datapath b200.tcgen05.nvf4.f32 --vectors v.safetensors --prefix tile --c zero --out d.safetensors")]
pub struct Args {
    /// The datapath; `interplay list datapaths` shows all.
    #[arg(long, alias = "datapaths", value_name = "NAME")]
    datapath: String,

    #[command(flatten)]
    vectors: Vectors,

    /// The safetensors file to write; it appears whole or not at all.
    #[arg(long = "out", alias = "output", value_name = "FILE")]
    output: PathBuf,
}

/// Computes and writes.
///
/// # Errors
/// As `verify`; an output that cannot be written.
pub fn run(args: &Args) -> Result<()> {
    files::ready(&args.output, &[&args.vectors.vectors])?;
    let datapath = super::define::datapath(&args.datapath)?;
    let (codes, name, shape) = args.vectors.read(|tensors, operands, options| {
        Ok((datapath.outputs(&operands, &options)?, tensors.name("d"), tensors.output_shape()))
    })?;
    let (dtype, width) = match datapath.accumulator.d.bits() {
        0..=8 => (Dtype::U8, 1),
        9..=16 => (Dtype::U16, 2),
        17..=32 => (Dtype::U32, 4),
        _ => (Dtype::U64, 8),
    };
    let words: Vec<u8> = codes.iter().flat_map(|code| code.to_le_bytes().into_iter().take(width)).collect();
    let mut outline = Outline::default();
    outline.note("datapath", datapath.name.to_owned());
    outline.tensor(&name, dtype, &shape)?;
    write_whole(&args.output, |file| {
        let mut writer = Writer::new(file, &outline)?;
        writer.raw(&name, &words)?;
        writer.finish()?;
        Ok(())
    })?;
    sayln!("{}: `{name}`, {} results of {}", args.output.display(), codes.len(), datapath.name);
    Ok(())
}
