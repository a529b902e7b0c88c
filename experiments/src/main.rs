//! The interplay command line.

mod cell;
mod cli;
mod commands;
mod engine;
mod fetch;
mod help;
mod host;
mod images;
mod interrupt;
mod output;
mod progress;
mod published;
mod report;
mod result;
mod rules;
mod studies;
mod subject;
mod watched;

use std::borrow::Cow;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory, FromArgMatches, Parser};
use interplay_formats::shortened;

use cli::{Cli, Command};

/// Bad use or bad input, as clap's own errors.
const BAD_USE: u8 = 2;

fn main() -> ExitCode {
    interrupt::install();
    let matches = help::fitted(Cli::command(), help::width()).try_get_matches();
    let cli = matches.and_then(|matches| Cli::from_arg_matches(&matches)).unwrap_or_else(|error| refuse(&error));
    let result = run(&cli);
    // What failed because the user asked to stop is no error; what was finished all the same is not taken back.
    match (result, interrupt::code()) {
        (Ok(_), Some(code)) => code,
        (Err(_), Some(code)) => {
            eprintln!("interrupted");
            code
        }
        (Ok(code), None) => code,
        (Err(error), None) => {
            eprintln!("error: {}", shortened(&sentence(&error)));
            ExitCode::from(BAD_USE)
        }
    }
}

/// Ends with what clap says, which is no error where it was asked for; what it repeats of the command line may be long.
fn refuse(error: &clap::Error) -> ! {
    let message = error.render().to_string();
    match shortened(&message) {
        Cow::Owned(short) if error.use_stderr() && short != message => {
            eprint!("{short}");
            std::process::exit(error.exit_code())
        }
        _ => error.exit(),
    }
}

/// The error with its causes; a cause that the error before it already quotes is not said twice.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn run(cli: &Cli) -> Result<ExitCode> {
    if let Some(threads) = cli.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build_global().with_context(|| format!("cannot start {threads} threads"))?;
    }
    cli.simd.choose()?;
    host::choose(cli.host);
    let declared = commands::define::Declared::read(&cli.define)?;
    let main_job = Cli::parse_from(["interplay", "study", commands::study::DEFAULT]).command;
    let Some(command) = cli.command.as_ref().or(main_job.as_ref()) else { return Ok(ExitCode::SUCCESS) };
    match command {
        Command::Study(args) => return commands::study::run(args),
        Command::Merge(args) => return commands::merge::run(args),
        Command::Report(args) => return commands::report::run(args),
        Command::Figures(args) => commands::figures::run(args)?,
        Command::Eval(args) => commands::eval::run(args)?,
        Command::Compress(args) => return commands::compress::run(args),
        Command::Finetune(args) => return commands::finetune::run(args),
        Command::Cost(args) => commands::cost::run(args)?,
        Command::Sweep(args) => commands::sweep::run(args)?,
        Command::Trace(args) => commands::trace::run(args)?,
        Command::Logits(args) => commands::logits::run(args)?,
        Command::Fetch(args) => commands::fetch::run(args)?,
        Command::Train(args) => commands::train::run(args)?,
        Command::List { what, word, json } => commands::list::run(*what, word.as_deref(), *json, &declared)?,
        Command::Format(args) => commands::format::run(args)?,
        Command::Quantize(args) => commands::quantize::run(args)?,
        Command::Dequantize(args) => return commands::dequantize::run(args),
        Command::Dot(args) => commands::dot::run(args)?,
        Command::Verify(args) => return commands::verify::run(args),
        Command::Explain(args) => commands::explain::run(args)?,
        Command::Bench(bench) => commands::bench::run(bench, cli.threads)?,
        Command::Identify(args) => return commands::identify::run(args),
        Command::Sparsify(args) => commands::sparsify::run(args)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "interplay", &mut script);
            output::say(format_args!("{}", String::from_utf8_lossy(&script)));
        }
    }
    Ok(ExitCode::SUCCESS)
}
