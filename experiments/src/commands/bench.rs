//! `interplay bench`: how fast the emulation is on this machine.

mod model;

use anyhow::Result;
use interplay_formats::{Format, bench};

use crate::output::sayln;
use crate::progress::Progress;
use crate::report::table::Table;

/// The benches.
#[derive(Debug, clap::Subcommand)]
pub enum Bench {
    /// Number formats: values quantised a second, beside a memcpy of the bytes that must move.
    Formats(Args),
    /// Datapaths: multiply-accumulates a second, beside a plain FP32 GEMM of the same shape.
    Datapaths(Datapaths),
    /// A model in FP32: tokens or images a second, and the memory that it takes.
    Model(model::Args),
}

/// Arguments of `bench datapaths`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A name after a colon is the format of the operands, where the unit takes several. 1 MAC = 2 operations.

Examples:
  interplay bench datapaths
  interplay bench datapaths hopper.wgmma.e4m3.f32 block:mxint8 --shape 512x2048x2048 --json")]
pub struct Datapaths {
    /// The datapaths [default: one of each kernel].
    #[arg(value_name = "NAME[:FORMAT]")]
    names: Vec<String>,

    /// M, K and N of the product.
    #[arg(long, value_name = "MxKxN", default_value = "512x768x3072", value_parser = shape)]
    shape: (usize, usize, usize),

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Largest M, K or N, so that a product's size is countable.
const LONGEST: usize = 1 << 16;

/// `512x768x3072`.
fn shape(text: &str) -> Result<(usize, usize, usize), String> {
    let sizes: Option<Vec<usize>> = text.split('x').map(|size| size.parse().ok()).collect();
    match sizes.as_deref() {
        Some(&[m, k, n]) if [m, k, n].iter().all(|size| (1..=LONGEST).contains(size)) => Ok((m, k, n)),
        _ => Err(format!("three sizes of 1 to {LONGEST}, as 512x768x3072")),
    }
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
    match bench {
        Bench::Formats(args) => formats(args, threads),
        Bench::Datapaths(args) => datapaths(args, threads),
        Bench::Model(args) => model::run(args),
    }
}

/// Measures one subject after the other, under a progress bar of their names.
fn each<S, R>(subjects: &[S], names: &[&str], measure: impl Fn(&[S]) -> Result<Vec<R>>) -> Result<Vec<R>> {
    let mut progress = Progress::new(names.iter().map(|name| (*name).to_owned()), false);
    let mut rows = Vec::new();
    for (subject, name) in subjects.iter().zip(names) {
        progress.start(name, name);
        rows.extend(measure(std::slice::from_ref(subject))?);
        progress.finish_unit();
    }
    Ok(rows)
}

fn datapaths(args: &Datapaths, threads: Option<usize>) -> Result<()> {
    use interplay_hw::bench::{DATAPATHS, Subject, measure};
    let named = args.names.iter().map(String::as_str);
    let names: Vec<&str> = if args.names.is_empty() { DATAPATHS.to_vec() } else { named.collect() };
    let subjects = names.iter().map(|name| Subject::by_name(name)).collect::<Result<Vec<_>, _>>()?;
    let rows = each(&subjects, &names, |one| Ok(measure(one, args.shape, threads.unwrap_or(0))?))?;
    if args.json {
        sayln!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    let mut table = Table::new("", ["datapath", "format", "GMAC/s a core", "of f32 gemm", "GMAC/s", "of f32 gemm"]);
    for row in &rows {
        table.row([
            row.datapath.to_owned(),
            row.format.to_owned(),
            format!("{:.2}", row.gmacs_per_core),
            format!("{:.2}", row.gmacs_per_core / row.f32_gemm_gmacs_per_core),
            format!("{:.2}", row.gmacs),
            format!("{:.2}", row.gmacs / row.f32_gemm_gmacs),
        ]);
    }
    table.print();
    Ok(())
}

fn formats(args: &Args, threads: Option<usize>) -> Result<()> {
    let named = args.formats.iter().map(String::as_str);
    let names: Vec<&str> = if args.formats.is_empty() { bench::FORMATS.to_vec() } else { named.collect() };
    let formats = names.iter().map(|name| Format::by_name(name)).collect::<Result<Vec<_>, _>>()?;
    let rows = each(&formats, &names, |one| Ok(bench::measure(one, args.elements, threads.unwrap_or(0))?))?;
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
    table.print();
    Ok(())
}
