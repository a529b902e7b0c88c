//! `interplay explain`: one output step by step, and why two datapaths differ in it.

use anyhow::Result;
use interplay_hw::{explain, explain_against};

use super::vectors::{Place, Vectors, place};
use crate::output::sayln;

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Shows each product, the exponent that the terms are aligned to, the bits kept and dropped there, the sum, and its
roundings. With --against also the same of another datapath, what their records say differently, and which of it turns
the one result into the other.

Examples:
  interplay explain --datapath hopper.wgmma.e4m3.f32 --vectors v.safetensors --row 17
  interplay explain --datapath hopper.wgmma.e4m3.f32 --against ada.mma.e4m3.f32 --vectors v.safetensors --row 17")]
pub struct Args {
    /// The datapath; `interplay list datapaths` shows all.
    #[arg(long, alias = "datapaths", value_name = "NAME")]
    datapath: String,

    /// Another datapath, to compare with.
    #[arg(long, value_name = "NAME")]
    against: Option<String>,

    #[command(flatten)]
    vectors: Vectors,

    /// The row, from 0; of matrices M,N: row and column, or row * N + column.
    #[arg(long, value_name = "N", value_parser = place)]
    row: Place,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Explains and prints.
///
/// # Errors
/// As `verify`; a row that the operands do not have.
pub fn run(args: &Args) -> Result<()> {
    let datapath = super::define::datapath(&args.datapath)?;
    let against = args.against.as_deref().map(super::define::datapath).transpose()?;
    let (text, json) = args.vectors.read(|tensors, operands, options| {
        let index = args.row.index(tensors.layout)?;
        match against {
            Some(other) => {
                let comparison = explain_against((datapath, other), &operands, index, &options)?;
                Ok((comparison.to_string(), serde_json::to_string_pretty(&comparison)?))
            }
            None => {
                let explanation = explain(datapath, &operands, index, &options)?;
                Ok((explanation.to_string(), serde_json::to_string_pretty(&explanation)?))
            }
        }
    })?;
    sayln!("{}", if args.json { json } else { text });
    Ok(())
}
