//! `interplay report`: one HTML page about the run of a study.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use interplay::files;

use crate::engine::write::FILES;
use crate::output::{sayln, write_atomic};
use crate::progress::Waiting;
use crate::report::html;

/// Arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The page needs no other file and no network: figures, a chart to explore, tables that sort, the layers of each cell,
caveats, and how to run the study again. An address that ends in `#sort=data:energy_pj:desc` opens it sorted.

Examples:
  interplay report runs/orders
  interplay report runs/orders --out orders.html")]
pub struct Args {
    /// The folder that a study wrote, with data.csv and run.json.
    #[arg(value_name = "RUN_DIR")]
    run: PathBuf,

    /// The page to write [default: RUN_DIR/report.html].
    #[arg(long, alias = "output", value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the page and says where.
///
/// # Errors
/// A file of the run is missing or malformed, or the page cannot be written.
pub fn run(args: &Args) -> Result<ExitCode> {
    let making = Waiting::on(format!("making the page of {}", args.run.display()));
    let out = args.out.clone().unwrap_or_else(|| args.run.join("report.html"));
    let read: Vec<PathBuf> = FILES.into_iter().chain(["study.toml"]).map(|name| args.run.join(name)).collect();
    files::ready(&out, &read.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
    let page = html::page(&args.run)?;
    write_atomic(&out, page.as_bytes())?;
    drop(making);
    sayln!("{}", out.display());
    Ok(ExitCode::SUCCESS)
}
