//! `interplay bench`: how fast the emulation is on this machine.

use anyhow::Result;
use interplay_formats::{Format, bench};

use crate::output::{say, sayln};
use crate::report::table::Table;

/// The benches.
#[derive(Debug, clap::Subcommand)]
pub enum Bench {
    /// Number formats: values quantised a second, beside a memcpy of the bytes that must move.
    Formats(Args),
}

/// Arguments of `bench formats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`fake` rounds values in place, `pack` writes packed bytes; the ratio is a memcpy's time over the time taken.

Examples:
  interplay bench formats
  interplay bench formats mxfp4 hbfp8@stochastic-8 --elements 4194304 --json")]
pub struct Args {
    /// The formats [default: the usual six].
    #[arg(value_name = "NAME")]
    formats: Vec<String>,

    /// Values of the matrix.
    #[arg(long, value_name = "N", default_value_t = 1 << 26)]
    elements: usize,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Measures and prints.
///
/// # Errors
/// An unknown format.
pub fn run(bench: &Bench, threads: Option<usize>) -> Result<()> {
    let Bench::Formats(args) = bench;
    let named = args.formats.iter().map(String::as_str);
    let names: Vec<&str> = if args.formats.is_empty() { bench::FORMATS.to_vec() } else { named.collect() };
    let formats = names.into_iter().map(Format::by_name).collect::<Result<Vec<_>, _>>()?;
    let rows = bench::measure(&formats, args.elements, threads.unwrap_or(0))?;
    if args.json {
        sayln!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let mut table = Table::new("", ["format", "operation", "G/s a core", "G/s", "bytes moved", "of memcpy"]);
    for row in &rows {
        table.row([
            row.format.to_owned(),
            row.operation.to_owned(),
            format!("{:.3}", row.elements_per_s_core / 1e9),
            format!("{:.3}", row.elements_per_s / 1e9),
            row.bytes_moved.to_string(),
            format!("{:.2}", row.memcpy_ratio),
        ]);
    }
    say(format_args!("{table}"));
    Ok(())
}
