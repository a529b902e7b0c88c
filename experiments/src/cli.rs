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
  interplay study orders --models smollm2 --data wiki --window 512 --windows 4
  interplay eval --model lm --format hbfp6 --sparsity 2:4 --order sq --json
  interplay compress --model lm --pipeline 'wanda(2:4), gptq(mxfp4)' --out lm-mxfp4
  interplay finetune --recipe qs --format hbfp6 --sparsity 50%
  interplay cost --gemm 197x768x3072 --format hbfp6 --sparsity 2:4
  interplay cost --model vit --format mxfp8 --accelerator b200
  interplay format mxfp8 1.0 0.7 -0.3 0.004     # codes, scale and values of one block
  interplay format mxfp8 0.7                    # one value, step by step, under each rounding
  interplay quantize --format mxfp4 --input model.safetensors --out model-mxfp4.safetensors
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
    #[arg(long, global = true, value_name = "N", value_parser = threads)]
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

/// Threads beyond which no machine gains anything, and many fail.
const MOST_THREADS: usize = 1024;

/// The value of `--threads`.
fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads) if threads <= MOST_THREADS => Ok(threads),
        Ok(_) => Err(format!("at most {MOST_THREADS} threads; leave it out for one a core")),
        Err(_) => Err(format!("give a whole number up to {MOST_THREADS}")),
    }
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

#[cfg(test)]
mod tests {
    use clap::{Arg, ArgAction, Command, CommandFactory};

    use super::*;

    /// What commands take one of, or several of.
    const NOUNS: [&str; 6] = ["accelerator", "datapath", "format", "model", "order", "seed"];

    fn each_flag(command: &Command, path: &str, see: &mut dyn FnMut(&str, &Arg, &str)) {
        for argument in command.get_arguments() {
            if let Some(long) = argument.get_long() {
                see(path, argument, long);
            }
        }
        for other in command.get_subcommands() {
            each_flag(other, &format!("{path} {}", other.get_name()), see);
        }
    }

    #[test]
    fn a_flag_has_one_spelling() {
        let mut command = Cli::command();
        command.build();
        let mut seen = Vec::new();
        each_flag(&command, "interplay", &mut |path, argument, long| {
            let known = |name: &str| argument.get_all_aliases().is_some_and(|aliases| aliases.contains(&name));
            assert_ne!(long, "output", "{path}: what is written is --out");
            assert!(long != "out" || known("output"), "{path} --out: --output is not known");
            let Some(noun) = NOUNS.iter().find(|noun| long.trim_end_matches('s') == **noun) else { return };
            let plural = format!("{noun}s");
            let several = matches!(argument.get_action(), ArgAction::Append);
            let (spelt, other) = if several { (plural.as_str(), *noun) } else { (*noun, plural.as_str()) };
            assert_eq!(long, spelt, "{path} --{long} takes {}", if several { "several" } else { "one" });
            assert!(known(other), "{path} --{long}: --{other} is not known");
            seen.push(long.to_owned());
        });
        for noun in NOUNS {
            assert!(seen.iter().any(|long| long == noun), "no command has --{noun}, so nothing was checked");
        }
    }
}
