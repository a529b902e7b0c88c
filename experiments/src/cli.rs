//! The command line: what can be asked, and its help.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use interplay::burn::Host;
use interplay_formats::simd::Simd;

use crate::commands::train::Train;
use crate::commands::{
    bench, compress, cost, dequantize, dot, eval, explain, fetch, figures, finetune, format, identify, logits, merge,
    quantize, report, sparsify, study, sweep, trace, verify,
};

const EXAMPLES: &str = "\
Examples:
  interplay                                     # the main job: the order table of the embedded models
  interplay study orders --quick                # the same in under a minute
  interplay study methods --quick               # compression methods in both orders
  interplay fetch smollm2 && interplay fetch wiki
  interplay study orders --model smollm2 --data wiki --window 512 --windows 4
  interplay eval --model lm --format hbfp6 --sparsity 2:4 --order sq --json
  interplay compress --model lm --pipeline 'wanda(2:4), gptq(mxfp4)' --out lm-mxfp4
  interplay finetune --recipe qs --format hbfp6 --sparsity 50%
  interplay cost --gemm 197x768x3072 --format hbfp6 --sparsity 2:4
  interplay cost --model vit --format mxfp8 --accelerator b200
  interplay format mxfp8 1.0 0.7 -0.3 0.004     # codes, scale and values of one block
  interplay format mxfp8 0.7                    # one value, step by step, under each rounding
  interplay quantize --format mxfp4 --input model.safetensors --output model-mxfp4.safetensors
  interplay verify --datapath hopper.wgmma.e4m3.f32 --vectors kernel.safetensors
  interplay identify --vectors recorded.safetensors
  interplay list formats";

/// Accuracy, footprint, cycles and energy of a compressed model, from one execution.
#[derive(Debug, Parser)]
#[command(name = "interplay", version, about, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do; without it, `study orders` on the embedded models.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Threads to use; results do not depend on it [default: one a core].
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,

    /// Instructions that kernels may use: `auto`, `avx512`, `avx2` or `scalar`; results do not depend on it.
    #[arg(long, global = true, value_name = "NAME", default_value = "auto", value_parser = Simd::by_name)]
    pub simd: Simd,

    /// Who computes what no modelled unit does: `fixed`, with the same bits on every machine, or `burn`, Burn's own operations.
    #[arg(long, global = true, value_name = "NAME", default_value = "fixed", value_parser = Host::by_name)]
    pub host: Host,

    /// Declare a number format or a datapath from a TOML file; it is then known by its name. May be given several times.
    #[arg(long, global = true, value_name = "FILE.toml")]
    pub define: Vec<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a study: a table, figures and machine-readable results.
    Study(Box<study::Args>),
    /// Join the parts of a study that were done apart.
    Merge(merge::Args),
    /// Make a page of a run: tables that sort, figures, layers, and everything needed to run it again.
    Report(report::Args),
    /// Draw the figures and captions of studies again from their tables.
    Figures(figures::Args),
    /// Evaluate one model in one format, sparsity and order.
    Eval(eval::Args),
    /// Prune and quantise a language model by a recipe of published methods, and save it.
    Compress(compress::Args),
    /// Train a model on through the emulation of what it will run on, so that it regains accuracy there.
    Finetune(finetune::Args),
    /// Cycles, traffic, energy and area of products, or of a model, on a machine.
    Cost(cost::Args),
    /// Costs over a grid of machines, formats and patterns, with the Pareto front.
    Sweep(sweep::Args),
    /// List every matrix product of a model: operation, shape, name, datapath, multiply-accumulates.
    Trace(trace::Args),
    /// Write the logits of given inputs, to compare with another implementation.
    Logits(logits::Args),
    /// Fetch a model or a data set into the cache, checked by its sha256.
    Fetch(fetch::Args),
    /// Train an embedded model from scratch.
    #[command(subcommand)]
    Train(Train),
    /// List what there is.
    List {
        /// What to list.
        what: Listed,
        /// Datapaths: every record whose name holds this, e.g. `hopper.wgmma`. Accelerators and prices: the record of that
        /// name as TOML, to copy and edit. Methods: the arguments of that one.
        word: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Describe a number format, or show what it does to values.
    Format(format::Args),
    /// Quantise the tensors of a safetensors file and report what was lost.
    Quantize(quantize::Args),
    /// Turn a file that `quantize` wrote back into F32 tensors, and check it.
    Dequantize(dequantize::Args),
    /// Prune the tensors of a safetensors file.
    Sparsify(sparsify::Args),
    /// Compute dot products or whole products as a datapath does, in raw bits.
    Dot(dot::Args),
    /// Check results, of a kernel or a machine, against a datapath, bit for bit.
    Verify(verify::Args),
    /// Show how a datapath computes one result, and why another one gets something else.
    Explain(explain::Args),
    /// Name the arithmetic that explains recorded results of an unknown matrix unit.
    Identify(identify::Args),
    /// Measure how fast the emulation is on this machine.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Print a completion script, e.g. `interplay completions bash > /etc/bash_completion.d/interplay`.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// What `list` can list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    /// Number formats with their exact bits.
    Formats,
    /// Matrix units.
    Datapaths,
    /// Machines: engines, units, memories.
    Accelerators,
    /// Ways to count cycles, and where each is valid.
    CycleModels,
    /// Prices of operations and memories.
    Prices,
    /// Models that are embedded, fetched, can be fetched, or are yours.
    Models,
    /// Texts, images, pairs and tasks to evaluate on.
    Data,
    /// Studies.
    Studies,
    /// Pruning and quantisation methods for `compress`.
    Methods,
    /// Rules by which a scale follows from its block.
    Rules,
    /// Roundings of elements.
    Roundings,
}
