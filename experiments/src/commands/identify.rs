//! `interplay identify`: which arithmetic explains the recorded results of an unknown matrix unit.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use interplay::load::Bytes;
use interplay_formats::file::{Container, View};
use interplay_hw::identify;
use interplay_hw::identify::{Options, Recorded, Report, Search, Widths};

use super::tensors::open;
use crate::output::{say, sayln};

/// Nothing explains every row.
const UNEXPLAINED: u8 = 1;

/// Arguments of `identify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The file holds codes: `a` and `b` [rows, K], results `d` [rows], and where there are any accumulators `c` [rows], scales
`sa` and `sb` [rows, K/block] and `agree` [rows], which is 0 in rows to leave out. The answer names the records of the
catalogue that give every result, bit for bit; where none does, or with --search, it names the parameters that do:
fraction bits, products a step, roundings, and which of them these rows cannot decide.

Exit code 1: nothing explains every row.

Examples:
  interplay identify --vectors recorded.safetensors --input f16
  interplay identify --vectors recorded.safetensors --prefix e4m3_e4m3_df32/k32i32 --search
  interplay identify --vectors recorded.safetensors --c zero --json")]
pub struct Args {
    /// The safetensors file of operands and results.
    #[arg(long, value_name = "FILE")]
    vectors: PathBuf,

    /// Read `P/a`, `P/b`, … instead of `a`, `b`, ….
    #[arg(long, value_name = "P")]
    prefix: Option<String>,

    /// The accumulator that entered: the file's `c`, or zero whatever the file says.
    #[arg(long, value_name = "C", value_parser = ["file", "zero"], default_value = "file")]
    c: String,

    /// The operands, as in the names of datapaths: `f16`, `e4m3xe5m2` [default: any that fit].
    #[arg(long, value_name = "NAME")]
    input: Option<String>,

    /// The reduction length of one instruction [default: any that the record has].
    #[arg(long, value_name = "N")]
    k: Option<NonZeroUsize>,

    /// Search for parameters even where a record explains every row.
    #[arg(long)]
    search: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Rows as they were read.
#[derive(Debug, Default)]
pub struct Vectors {
    a: Vec<u64>,
    b: Vec<u64>,
    c: Vec<u64>,
    d: Vec<u64>,
    scale_a: Vec<u64>,
    scale_b: Vec<u64>,
    k: usize,
    widths: Widths,
}

/// Reads the rows and prints what explains them.
///
/// # Errors
/// An unreadable file, rows of the wrong shape, an unknown input.
pub fn run(args: &Args) -> Result<ExitCode> {
    let bytes = Bytes::map(&args.vectors)?;
    let container = open(&args.vectors, &bytes)?;
    let mut vectors =
        Vectors::read(&container, args.prefix.as_deref()).with_context(|| args.vectors.display().to_string())?;
    if args.c == "zero" {
        vectors.c.clear();
    }
    let search = if args.search { Search::Always } else { Search::Unexplained };
    let report = vectors.identified(&Options { input: args.input.clone(), depth: args.k, search })?;
    if args.json {
        sayln!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say(format_args!("{report}"));
    }
    Ok(if report.is_explained() { ExitCode::SUCCESS } else { ExitCode::from(UNEXPLAINED) })
}

impl Vectors {
    /// The rows of a file.
    fn read(container: &Container<'_>, prefix: Option<&str>) -> Result<Self> {
        let path =
            |name: &str| prefix.map_or(name.to_owned(), |prefix| format!("{}/{name}", prefix.trim_end_matches('/')));
        let optional = |name: &str| container.tensor(&path(name));
        let Some(d) = optional("d") else {
            let sets = container.tensors().filter_map(|(name, _)| name.strip_suffix("/d"));
            bail!("no tensor `{}`; --prefix may be one of: {}", path("d"), sets.collect::<Vec<_>>().join(", "));
        };
        let tensor = |name: &str| optional(name).with_context(|| format!("no tensor `{}`", path(name)));
        let (a, b) = (tensor("a")?, tensor("b")?);
        let codes = |name: &str| optional(name).map_or(Vec::new(), codes);
        let k = *b.shape.last().context("`b` has no axis K")?;
        let width = |view: &View<'_>| 8 * (view.bytes.len() / view.shape.iter().product::<usize>().max(1)) as u32;
        let widths = Widths { a: width(a), b: width(b), c: optional("c").map_or(width(d), width), d: width(d) };
        let rows = codes("d").len();
        let all = Self {
            a: codes("a"),
            b: codes("b"),
            c: codes("c"),
            d: codes("d"),
            scale_a: codes("sa"),
            scale_b: codes("sb"),
            k,
            widths,
        };
        all.only(rows, &codes("agree"))
    }

    /// The rows whose flag is not 0.
    fn only(self, rows: usize, flags: &[u64]) -> Result<Self> {
        if flags.is_empty() {
            return Ok(self);
        }
        ensure!(flags.len() == rows, "`agree` has {} flags for {rows} rows", flags.len());
        let pick = |codes: Vec<u64>| -> Vec<u64> {
            let length = (codes.len() / rows).max(1);
            let kept = codes.chunks(length).zip(flags).filter(|(_, flag)| **flag != 0);
            kept.flat_map(|(row, _)| row).copied().collect()
        };
        Ok(Self {
            a: pick(self.a),
            b: pick(self.b),
            c: pick(self.c),
            d: pick(self.d),
            scale_a: pick(self.scale_a),
            scale_b: pick(self.scale_b),
            ..self
        })
    }

    /// What explains them.
    pub fn identified(&self, options: &Options) -> Result<Report> {
        let rows = Recorded {
            k: self.k,
            a: &self.a,
            b: &self.b,
            c: &self.c,
            d: &self.d,
            scale_a: &self.scale_a,
            scale_b: &self.scale_b,
            metadata: &[],
            widths: self.widths,
        };
        Ok(identify(&rows, options)?)
    }
}

/// Codes of a tensor, least significant byte first.
fn codes(view: &View<'_>) -> Vec<u64> {
    let elements = view.shape.iter().product::<usize>().max(1);
    let width = (view.bytes.len() / elements).clamp(1, 8);
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte));
    view.bytes.chunks_exact(width).map(word).collect()
}
