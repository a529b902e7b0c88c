//! `interplay cost`: what products, or a model, cost on a machine.

mod compare;
mod machine;
mod scalesim;
mod show;
mod work;

use std::path::PathBuf;

use anyhow::{Result, ensure};
use interplay::files;
use interplay_hw::cost::cost;

use crate::output::{sayln, write_atomic};
use crate::report;
pub use machine::{Chosen, MachineNames, machine_of, prices_of};
pub use work::{Shape, WorkNames};

/// Arguments of `cost`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  interplay cost --gemm 197x768x3072 --format hbfp6 --sparsity 2:4
  interplay cost --model vit --format mxfp8 --accelerator b200 --out figures/vit-b200
  interplay cost --model smollm2 --window 512 --format int8 --accelerator h100 --json
  interplay cost --gemm 8192x8192x8192 --format bf16 --accelerator h200 --compare
  interplay list accelerators h100 > own.toml && interplay cost --accelerator own.toml --gemm 512x4096x4096 --format bf16
  interplay cost --scalesim eyeriss.cfg resnet.csv --out reports")]
pub struct Args {
    #[command(flatten)]
    work: WorkNames,

    #[command(flatten)]
    machine: MachineNames,

    /// Every cycle model beside the others, and why they differ.
    #[arg(long)]
    compare: bool,

    /// Read SCALE-Sim's configuration and topology and write its reports.
    #[arg(long, num_args = 2, value_names = ["CFG", "TOPOLOGY"], conflicts_with_all = ["compare", "accelerator"])]
    scalesim: Option<Vec<PathBuf>>,

    /// Write layers as CSV and JSON, and four figures: roofline, energy, losses, utilisation.
    #[arg(long, alias = "output", value_name = "DIR")]
    out: Option<PathBuf>,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Counts, prices and prints.
///
/// # Errors
/// An unknown name, a machine that cannot be or cannot multiply the formats, a count beyond 64 bits.
pub fn run(args: &Args) -> Result<()> {
    if let Some(files) = &args.scalesim {
        ensure!(!args.work.is_given(), "--scalesim takes its products from the topology: leave --gemm and --model out");
        return scalesim::run(&files[0], &files[1], args.out.as_deref(), args.json);
    }
    let chosen = args.machine.resolve()?;
    let work = args.work.open(&chosen.machine)?;
    if args.compare {
        return compare::run(&work, &chosen, args.json);
    }
    let cost = cost(&work.workload, &chosen.machine, chosen.model, &chosen.prices)?;
    let json = show::json(&work, &chosen, &cost)?;
    if let Some(folder) = &args.out {
        files::folder(folder)?;
        for (name, text) in report::cost::files(&work.name, &chosen.machine, &cost) {
            write_atomic(&folder.join(name), text.as_bytes())?;
        }
        write_atomic(&folder.join("cost.json"), format!("{}\n", serde_json::to_string_pretty(&json)?).as_bytes())?;
    }
    match args.json {
        true => sayln!("{}", serde_json::to_string_pretty(&json)?),
        false => show::table(&work, &chosen, &cost),
    }
    Ok(())
}
