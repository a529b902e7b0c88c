//! `interplay trace`: every matrix product of a model, and what computes it.

use anyhow::Result;
use interplay::burn::{Activation, Backend};
use interplay::models::{Checkpoint, Input};
use interplay::plan::DEFAULT_MACHINE;
use interplay::session::Operation;
use serde_json::json;

use crate::commands::cost::machine_of;
use crate::commands::eval::Configuration;
use crate::output::sayln;
use crate::report::table::Table;
use crate::subject::open_model;
use crate::watched;

/// Arguments of `trace`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  interplay trace --model lm --format mxfp8
  interplay trace --model vit --preset all --format hbfp8 --sparsity 2:4 --order sq
  interplay trace --model smollm2 --window 2048 --layers rules.toml --json
  interplay trace --model lm --every")]
pub struct Args {
    /// `lm`, `vit`, a fetched model such as `smollm2`, a Hugging Face folder, a GGUF file, or a torch file (`.pth`).
    #[arg(long, alias = "models", default_value = "lm")]
    model: String,

    /// Tokens of the sequence; results of `eval` are for its own `--window` [default: 256, or the longest that the model takes].
    #[arg(long, value_name = "N")]
    window: Option<usize>,

    #[command(flatten)]
    configuration: Configuration,

    /// The accelerator whose units multiply, or a TOML file that describes one.
    #[arg(long, alias = "accelerators", value_name = "NAME|FILE.toml", default_value = DEFAULT_MACHINE)]
    accelerator: String,

    /// List the operations without a product too.
    #[arg(long)]
    every: bool,

    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Traces one sequence or one image and prints its products.
///
/// # Errors
/// An unknown name, a model that cannot be opened, or a configuration that the model cannot run.
pub fn run(args: &Args) -> Result<()> {
    let plan = args.configuration.plan()?.on(machine_of(&args.accelerator)?.into());
    let (model, _) = open_model(&args.model, &mut Default::default())?;
    let (input, _) = one_sequence(&*model.checkpoint, args.window)?;
    let mut session = watched::session(crate::host::on(Backend::default()), &model.checkpoint)?;
    session.set_plan(plan)?;
    let operations = session.trace(&input)?;
    match args.json {
        true => print_json(args, &input.shape(), &operations)?,
        false => print_table(args, &input.shape(), &operations),
    }
    Ok(())
}

/// One sequence of zeros of `window` tokens, or one image; how many tokens or images it is, and which of them.
///
/// # Errors
/// A window that the model does not take.
pub fn one_sequence(checkpoint: &dyn Checkpoint, window: Option<usize>) -> Result<(Activation, (u64, &'static str))> {
    Ok(match checkpoint.input() {
        Input::Tokens { longest, .. } => {
            let window = length(window, longest)?;
            (Activation::ids(&vec![0; window], window), (window as u64, "token"))
        }
        Input::Text { longest, .. } => {
            let window = length(window, longest)?;
            (Activation::text(&vec![0; window], &vec![0; window], window), (window as u64, "token"))
        }
        Input::Images { channels, height, width } => (Activation::images([1, channels, height, width]), (1, "image")),
    })
}

/// The length of the sequence.
fn length(window: Option<usize>, longest: usize) -> Result<usize> {
    let window = window.unwrap_or(crate::subject::DEFAULT_WINDOW.min(longest));
    anyhow::ensure!(
        (1..=longest).contains(&window),
        "--window is {window}, but this model takes sequences of 1 to {longest} tokens"
    );
    Ok(window)
}

fn print_table(args: &Args, input: &[usize], operations: &[Operation]) {
    let mut table = Table::new("", ["op", "output", "name", "m x k x n", "times", "datapath", "MACs"]).text();
    let mut products = 0;
    for operation in operations {
        let shape = format!("{:?}", operation.shape);
        for product in &operation.products {
            products += 1;
            table.row([
                operation.operation.clone(),
                shape.clone(),
                product.name.clone(),
                format!("{}x{}x{}", product.m, product.k, product.n),
                product.count.to_string(),
                product.datapath.to_owned(),
                product.macs.to_string(),
            ]);
        }
        if args.every && operation.products.is_empty() {
            table.row([operation.operation.clone(), shape]);
        }
    }
    table.print();
    let macs: u64 = operations.iter().map(|operation| operation.macs).sum();
    sayln!(
        "{} on an input of {input:?}: {} operations, {products} products, {macs} MACs",
        args.model,
        operations.len()
    );
}

fn print_json(args: &Args, input: &[usize], operations: &[Operation]) -> Result<()> {
    let operations: Vec<_> = operations
        .iter()
        .filter(|operation| args.every || !operation.products.is_empty())
        .map(|operation| {
            let products = operation.products.iter().map(|p| {
                json!({
                    "name": p.name, "m": p.m, "k": p.k, "n": p.n, "count": p.count, "datapath": p.datapath, "macs": p.macs
                })
            });
            json!({
                "stage": operation.stage,
                "op": operation.operation,
                "shape": operation.shape,
                "products": products.collect::<Vec<_>>(),
            })
        })
        .collect();
    let object = json!({
        "schema_version": crate::result::SCHEMA_VERSION,
        "model": args.model,
        "input": input,
        "operations": operations,
    });
    sayln!("{}", serde_json::to_string_pretty(&object)?);
    Ok(())
}
