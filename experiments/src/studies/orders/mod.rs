//! Does the order of sparsifying and quantising matter, and what does each point cost?
//!
//! Every cell is one configuration of one model: a format, a sparsity pattern and an order. The model runs once under it; the
//! same run gives the metric, the stored bits, the cycles and the energy.

mod estimate;
mod run;
pub(super) mod tables;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use interplay::burn::Backend;
use interplay::plan::Preset;
use interplay_formats::{Format, Order, Pattern};

use crate::cell::{Labels, Machine};
use crate::commands::cost::MachineNames;
use crate::commands::eval::Host;
use crate::studies::{Study, formats, names, patterns};
use crate::subject::Amount;

/// The entry of the list of studies.
pub const STUDY: Study = Study {
    name: "orders",
    question: "does the order of sparsifying and quantising matter, and what does each point gain in memory, time and energy?",
};

/// Formats of the full table.
const FORMATS: [&str; 9] = ["fp32", "bf16", "int8", "mxfp8", "mxfp6", "mxfp4", "hbfp8", "hbfp6", "hbfp4"];
/// Patterns of the full table.
const PATTERNS: [&str; 4] = ["dense", "50%", "2:4", "1:4"];
/// Formats of `--quick`: one integer, and both ends of the two block families.
const QUICK_FORMATS: [&str; 4] = ["fp32", "int8", "mxfp4", "hbfp6"];
/// Patterns of `--quick`.
const QUICK_PATTERNS: [&str; 2] = ["dense", "2:4"];
/// Windows of `--quick`; images are ten times as many.
const QUICK_WINDOWS: usize = 8;

/// Options of `study orders`.
#[derive(Debug, Clone, clap::Parser)]
#[command(after_help = "\
Examples:
  interplay study orders
  interplay study orders --quick
  interplay study orders --model smollm2 --data wiki --window 512 --windows 4
  interplay study orders --model ./opt-125m --data text.txt --formats hbfp6,hbfp4 --sparsity 50%,2:4")]
pub struct Args {
    /// A model: `lm`, `vit`, a fetched name, a Hugging Face folder, a GGUF file; may be given again [default: lm and vit].
    #[arg(long)]
    pub model: Vec<String>,
    /// The data: a fetched text, a text file, a safetensors file of images [default: the embedded held-out set].
    #[arg(long)]
    pub data: Option<String>,
    /// Tokens a window.
    #[arg(long)]
    pub window: Option<usize>,
    /// Windows, or images.
    #[arg(long)]
    pub windows: Option<usize>,
    /// Formats, separated by commas [default: fp32,bf16,int8,mxfp8,mxfp6,mxfp4,hbfp8,hbfp6,hbfp4].
    #[arg(long, value_delimiter = ',')]
    pub formats: Vec<String>,
    /// Sparsity patterns, separated by commas [default: dense,50%,2:4,1:4].
    #[arg(long, value_delimiter = ',')]
    pub sparsity: Vec<String>,
    /// Which layers are compressed: `paper`, `all` or `none`.
    #[arg(long, default_value = "paper")]
    pub preset: String,
    #[command(flatten)]
    pub machine: MachineNames,
    #[command(flatten)]
    pub host: Host,
    /// Fewer formats, patterns and windows: under a minute.
    #[arg(long)]
    pub quick: bool,
    /// The folder for results [default: figures/orders, or figures/orders-quick].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// The seed, recorded with every result; this study draws nothing at random.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print the cells as JSON lines instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// One configuration of the table.
#[derive(Clone)]
struct Point {
    format: &'static Format,
    pattern: Pattern,
    order: Order,
}

impl Point {
    fn labels(&self) -> Labels {
        Labels {
            format: self.format.name.to_owned(),
            sparsity: self.pattern.to_string(),
            order: self.order.to_string(),
        }
    }
}

/// The study with every name looked up.
struct Request {
    subjects: Vec<(String, Option<String>)>,
    amount: Amount,
    points: Vec<Point>,
    /// The pattern whose cells are compared with FP32 layer by layer.
    compared: Option<Pattern>,
    preset: Preset,
    machine: Machine,
    backend: Backend,
    out: PathBuf,
    seed: u64,
    json: bool,
    quick: bool,
}

/// Runs the study.
///
/// # Errors
/// Bad use, or a model or data that cannot be opened or run; results of finished cells are kept.
pub fn run(args: &Args) -> Result<ExitCode> {
    run::run(&Request::new(args)?)
}

impl Request {
    fn new(args: &Args) -> Result<Self> {
        let models = names(&args.model, &["lm", "vit"]);
        if args.data.is_some() && models.len() > 1 {
            bail!("--data belongs to one model; give --model once");
        }
        let formats = formats(&args.formats, if args.quick { &QUICK_FORMATS } else { &FORMATS })?;
        let patterns = patterns(&args.sparsity, if args.quick { &QUICK_PATTERNS } else { &PATTERNS })?;
        let machine = args.machine.machine()?;
        let folder = if args.quick { "figures/orders-quick" } else { "figures/orders" };
        Ok(Self {
            subjects: models.into_iter().map(|m| (m, args.data.clone())).collect(),
            amount: Amount { window: args.window, windows: args.windows, ..Amount::default() },
            points: points(&formats, &patterns),
            compared: compared(&patterns),
            preset: Preset::by_name(&args.preset)?,
            machine,
            backend: args.host.backend,
            out: args.out.clone().unwrap_or_else(|| folder.into()),
            seed: args.seed,
            json: args.json,
            quick: args.quick,
        })
    }
}

/// The first N:M pattern, where the orders differ most among the usual ones, else the first sparse one.
fn compared(patterns: &[Pattern]) -> Option<Pattern> {
    let sparse = || patterns.iter().copied().filter(|p| *p != Pattern::Dense);
    sparse().find(|p| matches!(p, Pattern::NofM { .. })).or(sparse().next())
}

/// The cells of the table, patterns outermost. FP32 has nothing to quantise and dense nothing to prune, so those have one cell.
fn points(formats: &[&'static Format], patterns: &[Pattern]) -> Vec<Point> {
    let mut points = Vec::new();
    for &pattern in patterns {
        for &format in formats {
            let both = pattern != Pattern::Dense && !format.is_exact();
            let orders: &[Order] = if both { &[Order::Sq, Order::Qs] } else { &[Order::None] };
            points.extend(orders.iter().map(|&order| Point { format, pattern, order }));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use super::*;

    #[test]
    fn only_cells_with_something_to_order_come_twice() {
        let formats = ["fp32", "int8", "hbfp4"].map(|n| Format::by_name(n).unwrap());
        let patterns = ["dense", "2:4"].map(|n| Pattern::from_str(n).unwrap());
        let orders: Vec<String> = points(&formats, &patterns).iter().map(|p| p.order.to_string()).collect();
        assert_eq!(orders, ["none", "none", "none", "none", "sq", "qs", "sq", "qs"]);
    }
}
