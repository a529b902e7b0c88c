//! `interplay study`: a built-in study, or one of the user's own.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use toml::{Table, Value};

use crate::commands::eval::Host;
use crate::engine::run::{Options, run as work};
use crate::engine::shard::Shard;
use crate::engine::spec::{Size, Spec, overlay};
use crate::studies::methods;

/// Arguments of `study`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
Examples:
  interplay study orders                                 # the table of formats x patterns x orders on the embedded models
  interplay study orders --quick
  interplay study orders --models smollm2 --data wiki --window 512 --windows 4
  interplay study orders --models ./opt-125m --data text.txt --formats hbfp6,hbfp4 --sparsity 50%,2:4
  interplay study mine.toml --dry-run                    # its cells, the time and the memory that they will take
  interplay study mine.toml --set 'options.ranks=[0, 4, 16]'
  interplay study mine.toml --shard 2/8 --out part2      # one of eight parts, for another machine to do
  interplay merge part1 part2 --out whole
  interplay study methods --quick                        # compression methods, which have options of their own

A study is a TOML file: models, formats, sparsity, orders, accelerators and so on; the built-in ones are such files, which every run
writes into its folder as study.toml, to copy and edit. A run that was ended in any way goes on where it was when the same command is
given again. `interplay list studies` shows all; `interplay report DIR` makes a page of a run.")]
pub struct Args {
    /// A name of `interplay list studies`, or a TOML file.
    #[arg(value_name = "NAME|FILE.toml", required = true)]
    study: Option<String>,

    #[command(flatten)]
    changes: Changes,

    /// The file's small size: minutes at most.
    #[arg(long, conflicts_with = "full")]
    quick: bool,

    /// The file's largest size.
    #[arg(long)]
    full: bool,

    #[command(flatten)]
    host: Host,

    /// The folder for results [default: figures/NAME, with --quick figures/NAME-quick].
    #[arg(long, alias = "output", value_name = "DIR")]
    out: Option<PathBuf>,

    /// Do only part I of N of the cells; `interplay merge` joins the folders.
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    shard: Shard,

    /// Cells that are measured at the same time [default: one a thread, or 1 where models are large].
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,

    /// Print the cells, and the time and memory that they will take, without doing anything else.
    #[arg(long)]
    dry_run: bool,

    /// Measure again what an earlier run left in the folder.
    #[arg(long)]
    restart: bool,

    /// Print the cells as JSON lines instead of tables.
    #[arg(long)]
    json: bool,

    #[command(subcommand)]
    other: Option<Other>,
}

/// Studies with options of their own.
#[derive(Debug, clap::Subcommand)]
enum Other {
    /// Methods x order x format x sparsity: what calibration gains, and is PQP right to prune after rounding?
    Methods(methods::Args),
}

/// What the command line replaces in a study's file.
#[derive(Debug, clap::Args)]
struct Changes {
    /// Models, separated by commas: `lm`, `vit`, fetched names, Hugging Face folders, GGUF files.
    #[arg(long = "models", alias = "model", value_delimiter = ',')]
    model: Vec<String>,
    /// The data of the model: a fetched text, a text file, a safetensors file of images.
    #[arg(long)]
    data: Option<String>,
    /// Tokens a window.
    #[arg(long)]
    window: Option<usize>,
    /// Windows, or images.
    #[arg(long)]
    windows: Option<usize>,
    /// Formats, separated by commas.
    #[arg(long, alias = "format", value_delimiter = ',')]
    formats: Vec<String>,
    /// Sparsity patterns, separated by commas.
    #[arg(long, value_delimiter = ',')]
    sparsity: Vec<String>,
    /// Orders, separated by commas: `sq`, `qs`.
    #[arg(long, alias = "order", value_delimiter = ',')]
    orders: Vec<String>,
    /// Units that multiply, separated by commas: `auto`, names, TOML files.
    #[arg(long = "datapaths", alias = "datapath", value_delimiter = ',', value_name = "NAME|FILE.toml")]
    datapath: Vec<String>,
    /// Accelerators, separated by commas: names or TOML files.
    #[arg(long = "accelerators", alias = "accelerator", value_delimiter = ',', value_name = "NAME|FILE.toml")]
    accelerator: Vec<String>,
    /// The price list of energy, or a TOML file with one.
    #[arg(long, value_name = "NAME|FILE.toml")]
    prices: Option<String>,
    /// How cycles are counted.
    #[arg(long, value_name = "NAME")]
    cycle_model: Option<String>,
    /// Which layers are compressed: `paper`, `all` or `none`.
    #[arg(long)]
    preset: Option<String>,
    /// Seeds of what is drawn at random, separated by commas.
    #[arg(long = "seeds", alias = "seed", value_delimiter = ',')]
    seed: Vec<u64>,
    /// Any key of the file, as TOML; may be given again.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Changes {
    /// The keys that are replaced.
    fn table(&self) -> Result<Table> {
        let mut table = Table::new();
        for text in &self.set {
            let one: Table = text
                .parse()
                .map_err(|_| anyhow!("--set {text}: give KEY=VALUE in TOML, as in options.ranks=[0, 4]"))?;
            overlay(&mut table, &one);
        }
        let lists = [
            ("models", &self.model),
            ("formats", &self.formats),
            ("sparsity", &self.sparsity),
            ("orders", &self.orders),
            ("datapaths", &self.datapath),
            ("accelerators", &self.accelerator),
        ];
        for (key, given) in lists.into_iter().filter(|(_, given)| !given.is_empty()) {
            table.insert(key.to_owned(), given.clone().into());
        }
        let words = [("prices", &self.prices), ("cycle_model", &self.cycle_model), ("preset", &self.preset)];
        for (key, given) in words {
            table.extend(given.iter().map(|word| (key.to_owned(), Value::from(word.as_str()))));
        }
        for (key, given) in [("window", self.window), ("windows", self.windows), ("images", self.windows)] {
            if let Some(number) = given {
                table
                    .insert(key.to_owned(), i64::try_from(number).with_context(|| format!("--{key} {number}"))?.into());
            }
        }
        if !self.seed.is_empty() {
            let seeds = self.seed.iter().map(|&seed| i64::try_from(seed).map(Value::from));
            table.insert(
                "seeds".to_owned(),
                Value::Array(seeds.collect::<Result<_, _>>().context("--seeds: up to 2^63 - 1")?),
            );
        }
        match (&self.data, self.model.as_slice()) {
            (None, _) => {}
            (Some(data), [model]) => {
                table.insert(
                    "data".to_owned(),
                    Value::Table([(model.clone(), data.as_str().into())].into_iter().collect()),
                );
            }
            (Some(_), _) => bail!("--data belongs to one model; give --models with one name"),
        }
        Ok(table)
    }
}

/// Runs the study.
///
/// # Errors
/// Bad use, or a model, data or folder that cannot be opened; finished cells are kept.
pub fn run(args: &Args) -> Result<ExitCode> {
    if let Some(Other::Methods(args)) = &args.other {
        return methods::run(args);
    }
    let size = if args.quick {
        Size::Quick
    } else if args.full {
        Size::Full
    } else {
        Size::Default
    };
    let source = args.study.as_deref().unwrap_or(DEFAULT);
    let (kind, spec) = Spec::read(source, size, &args.changes.table()?)?;
    let folder = format!("figures/{}{}", spec.name, if args.quick { "-quick" } else { "" });
    let options = Options {
        out: args.out.clone().unwrap_or_else(|| folder.into()),
        shard: args.shard,
        jobs: args.jobs,
        restart: args.restart,
        dry_run: args.dry_run,
        json: args.json,
        backend: args.host.backend(),
    };
    work(kind, spec, &options)
}

/// The main job.
pub const DEFAULT: &str = "orders";
