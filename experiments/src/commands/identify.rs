//! `interplay identify`: which arithmetic explains the recorded results of an unknown matrix unit.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use anyhow::{Context, Result};
use interplay_hw::identify::{Options, Search};
use interplay_hw::identify_words;

use super::vectors::{HALF, SINGLE, Vectors};
use crate::output::{say, sayln};

/// Nothing explains every row.
const UNEXPLAINED: u8 = 1;

/// Arguments of `identify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads the tensors that `interplay verify` reads. Numbers in FP32 or FP64 bits are tried in every format that has them all,
unless --input says which it is; results are d, or d_fp32, or d_fp16 with `--accumulator f16`. The answer names the records
of the catalogue that give every result, bit for bit; where none does, or with --search, it names the parameters that do:
fraction bits, products a step, roundings, and which of them these rows cannot decide.

Exit code 0: something explains every row; 1: nothing does; 2: bad use. docs/datapaths.md has more.

Examples:
  interplay identify --vectors a100.safetensors --input f16
  interplay identify --vectors a100.safetensors --input f16 --accumulator f16
  interplay identify --vectors recorded.safetensors --prefix e4m3_e4m3_df32/k32i32 --search
  interplay identify --vectors h100.safetensors --input e4m3 --c zero --json")]
pub struct Args {
    #[command(flatten)]
    vectors: Vectors,

    /// The operands, as in the names of datapaths: `f16`, `e4m3xe5m2` [default: any that fit].
    #[arg(long, value_name = "NAME")]
    input: Option<String>,

    /// The accumulator, as in the names of datapaths: `f16`, `f32`, `f16-f32` [default: any that fit].
    #[arg(long, value_name = "NAME")]
    accumulator: Option<String>,

    /// Search for parameters even where a record explains every row.
    #[arg(long)]
    search: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Reads the rows and prints what explains them.
///
/// # Errors
/// A file that cannot be read, tensors that are missing or do not fit, numbers that no format asked for has, an unknown
/// input or accumulator.
pub fn run(args: &Args) -> Result<ExitCode> {
    let report = args.vectors.read(|tensors, operands, given| {
        let by_name = || tensors.only_half_results().then(|| "f16".to_owned());
        let accumulator = args.accumulator.as_ref().map(|name| name.trim().to_lowercase()).or_else(by_name);
        let results = tensors.results_named(if accumulator.as_deref() == Some("f16") { HALF } else { SINGLE })?;
        let depth = given.depth.map(|k| NonZeroUsize::new(k).context("give --k a length of at least 1")).transpose()?;
        let search = if args.search { Search::Always } else { Search::Unexplained };
        let options = Options { input: args.input.clone(), accumulator, depth, search };
        Ok(identify_words(&operands, &results, &given.k_order, &options)?)
    })?;
    if args.json {
        sayln!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say(format_args!("{report}"));
    }
    Ok(if report.is_explained() { ExitCode::SUCCESS } else { ExitCode::from(UNEXPLAINED) })
}
