//! Which method, in which order, onto which format: every pruner with every quantiser, and what each cell costs.
//!
//! A cell is a recipe. The model is compressed by it block by block, run by a session on two texts, and costed by the same session. Two
//! questions about PQP come on top ([`pqp`]): its published table beside ours, and whether it is right to prune after rounding.

mod bench;
mod entries;
mod figure;
mod layers;
mod pqp;
mod run;
mod tables;
mod texts;
mod verdict;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use interplay::burn::Backend;
use interplay_formats::{Format, Pattern};

use crate::cell::Machine;
use crate::commands::cost::MachineNames;
use crate::commands::eval::Host;
use crate::engine::frame::Frame;
use crate::report::figure::Figure;
use crate::studies::{Study, formats, names, patterns};

/// The entry of the list of studies.
pub const STUDY: Study = Study {
    name: "methods",
    question: "Which compression method, in which order, onto which format: accuracy, memory, time and energy, and is PQP right to prune after rounding?",
};

/// The title of the caption.
const TITLE: &str = "Compression methods, in both orders";

/// Formats of the full table: PQP's inferred one, with a scale a row, and one with a scale every 32 values.
const FORMATS: [&str; 2] = ["int4-asym", "mxfp4"];
/// Patterns of the full table.
const PATTERNS: [&str; 2] = ["50%", "2:4"];
/// Formats of `--quick`.
const QUICK_FORMATS: [&str; 1] = ["int4-asym"];

/// Options of `study methods`.
#[derive(Debug, Clone, clap::Parser)]
#[command(after_help = "\
Examples:
  interplay study methods --quick
  interplay study methods
  interplay study methods --model smollm2 --window 512 --windows 4 --samples 16 --methods wanda,sparsegpt,gptq
  interplay study methods --model ./opt-125m --data test.txt --data2 c4 --calibration train.txt --formats mxfp4 --sparsity 2:4")]
pub struct Args {
    /// A language model: `lm`, a fetched name, a Hugging Face folder, a GGUF file; may be given again [default: lm].
    #[arg(long)]
    pub model: Vec<String>,
    /// The first text: a fetched one, or a file [default: heldout for lm, wiki for others].
    #[arg(long)]
    pub data: Option<String>,
    /// The second text [default: heldout for lm, c4 for others].
    #[arg(long)]
    pub data2: Option<String>,
    /// A folder with a file `TASK.jsonl` for each zero-shot task.
    #[arg(long, value_name = "DIR")]
    pub tasks: Option<PathBuf>,
    /// Items a task.
    #[arg(long, default_value_t = 100)]
    pub items: usize,
    /// The text that methods are calibrated on; a text with several uses is cut into equal parts, in the order calibration, data,
    /// data2 [default: heldout for lm, c4 for others].
    #[arg(long, value_name = "NAME|FILE")]
    pub calibration: Option<String>,
    /// Calibration sequences [default: 16].
    #[arg(long)]
    pub samples: Option<usize>,
    /// Tokens a calibration sequence [default: 512, or the model's longest].
    #[arg(long)]
    pub length: Option<usize>,
    /// Tokens a window of both texts [default: 256].
    #[arg(long)]
    pub window: Option<usize>,
    /// Windows of each text [default: 20].
    #[arg(long)]
    pub windows: Option<usize>,
    /// Formats of the weights, separated by commas [default: int4-asym,mxfp4].
    #[arg(long, value_delimiter = ',')]
    pub formats: Vec<String>,
    /// Sparsity patterns, separated by commas [default: 50%,2:4].
    #[arg(long, value_delimiter = ',')]
    pub sparsity: Vec<String>,
    /// Pruners (magnitude, wanda, ria, bawa, jsq, sparsegpt, besa, pqp) and quantisers (rtn, gptq, awq), separated by commas; where none
    /// of a kind is named, all of the kind [default: all].
    #[arg(long, value_delimiter = ',')]
    pub methods: Vec<String>,
    /// Format of the layers' inputs when the model runs.
    #[arg(long, default_value = "fp32")]
    pub activations: String,
    #[command(flatten)]
    pub machine: MachineNames,
    #[command(flatten)]
    pub host: Host,
    /// One format, fewer methods, windows and sequences: two minutes.
    #[arg(long)]
    pub quick: bool,
    /// The folder for results [default: figures/methods, or figures/methods-quick].
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// The seed of the calibration sequences.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Print the cells as JSON lines instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// The study with every name looked up.
struct Request {
    models: Vec<String>,
    names: texts::Names,
    amounts: texts::Amounts,
    points: Vec<entries::Point>,
    /// What there is no cell of, and why.
    skipped: Vec<String>,
    formats: Vec<&'static Format>,
    activations: &'static Format,
    tasks: Option<PathBuf>,
    items: usize,
    machine: Machine,
    backend: Backend,
    out: PathBuf,
    seed: u64,
    json: bool,
}

/// The figure of a table that this study wrote.
///
/// # Errors
/// It is not one: a column is missing.
pub fn redrawn(frame: &Frame) -> Result<Figure> {
    figure::draw(frame)
}

/// Runs the study.
///
/// # Errors
/// Bad use, or a model or text that cannot be opened or run; results of finished cells are kept.
pub fn run(args: &Args) -> Result<ExitCode> {
    run::run(&Request::new(args)?)
}

impl Request {
    fn new(args: &Args) -> Result<Self> {
        let formats = formats(&args.formats, if args.quick { &QUICK_FORMATS } else { &FORMATS })?;
        if let Some(exact) = formats.iter().find(|f| f.is_exact()) {
            bail!("--formats {}: weights are not rounded in it; pruning alone is in the table anyway", exact.name);
        }
        let patterns = patterns(&args.sparsity, &PATTERNS)?;
        if patterns.contains(&Pattern::Dense) {
            bail!("--sparsity dense: nothing is pruned in it; rounding alone is in the table anyway");
        }
        let (pruners, quantisers) = entries::chosen(&args.methods, args.quick)?;
        let span = entries::Span { pruners, quantisers, formats, patterns };
        let (mut points, skipped) = span.points()?;
        points.extend(pqp::points(&span.formats, args.quick, &points)?);
        let folder = if args.quick { "figures/methods-quick" } else { "figures/methods" };
        Ok(Self {
            models: names(&args.model, &["lm"]),
            names: texts::Names {
                calibration: args.calibration.clone(),
                data: args.data.clone(),
                data2: args.data2.clone(),
            },
            amounts: texts::Amounts {
                window: args.window,
                windows: args.windows,
                samples: args.samples,
                length: args.length,
                quick: args.quick,
                seed: args.seed,
            },
            points,
            skipped,
            formats: span.formats,
            activations: Format::by_name(&args.activations)?,
            tasks: args.tasks.clone(),
            items: args.items,
            machine: args.machine.machine()?,
            backend: args.host.backend(),
            out: args.out.clone().unwrap_or_else(|| folder.into()),
            seed: args.seed,
            json: args.json,
        })
    }
}
