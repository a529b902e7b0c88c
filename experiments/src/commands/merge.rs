//! `interplay merge`: the parts of a study, done apart, as one run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use interplay::files::Claim;

use crate::engine::store::{Mark, Store};
use crate::engine::write::{self, Facts};
use crate::output::{sayln, write_atomic};
use crate::progress::Progress;

/// Arguments of `merge`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  interplay study orders --shard 1/2 --out part1        # on one machine
  interplay study orders --shard 2/2 --out part2        # on another
  interplay merge part1 part2 --out figures/orders      # the bytes of a run on one machine

Exit code 1: the parts do not hold all cells, or further ones follow from them as in `adaptive`; what they hold is merged, and
`interplay study … --out DIR` does the rest.")]
pub struct Args {
    /// The folders of the parts.
    #[arg(value_name = "DIR", required = true)]
    parts: Vec<PathBuf>,

    /// The folder of the whole.
    #[arg(long, alias = "output", value_name = "DIR")]
    out: PathBuf,
}

/// Merges the parts.
///
/// # Errors
/// A folder is no run's, the parts are of different studies, or a file cannot be written.
pub fn run(args: &Args) -> Result<ExitCode> {
    let parts: Vec<Store> = args.parts.iter().map(|part| Store::existing(part)).collect::<Result<_>>()?;
    let first = &parts[0];
    let (plan, facts) = (first.plan()?, Facts::read(first.folder())?);
    let file = |store: &Store| {
        let path = store.folder().join("study.toml");
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let study = file(first)?;
    for part in &parts[1..] {
        let same = part.plan()? == plan && file(part)? == study && Facts::read(part.folder())?.mark() == facts.mark();
        ensure!(
            same,
            "{} is a part of another study, or of other models or another version, than {}: their cells differ",
            part.folder().display(),
            first.folder().display()
        );
    }
    let kind = facts.kind()?;
    ensure!(
        facts.mark() == Mark::new(kind.name),
        "{} is of version {}, this is {}; merge by the version that made the parts",
        first.folder().display(),
        facts.mark().version,
        env!("CARGO_PKG_VERSION")
    );
    let whole = Store::open(Claim::new(&args.out)?, &facts.mark())?;
    whole.write_list(&plan)?;
    write_atomic(&args.out.join("study.toml"), &study)?;
    let mut results = Vec::with_capacity(plan.len());
    let mut progress = Progress::new(plan.iter().map(|_| "cell".to_owned()), false);
    for listed in &plan {
        progress.start("cell", "joining");
        let found = parts.iter().chain([&whole]).find_map(|part| part.by_name(&listed.cell));
        if let Some((key, result)) = &found {
            whole.write(key, result)?;
        } else if let Some(part) = parts.iter().find(|part| part.has(&listed.cell)) {
            let folder = part.folder().display();
            eprintln!("{folder}: the cell {} was changed since it was measured, and is left out", listed.label);
        }
        results.push(found.map(|(_, result)| result));
        progress.finish_unit();
    }
    progress.clear();
    let missing = results.iter().filter(|result| result.is_none()).count();
    let written = if missing < plan.len() { Some(write::all(kind, &whole, &facts, results)?) } else { None };
    let rows = written.as_ref().map_or(0, |written| written.rows);
    sayln!("{}: {} of {} cells", args.out.display(), plan.len() - missing, plan.len());
    if missing == 0 && rows == 0 {
        // What these cells say asks for others.
        sayln!("the study goes on from here: `interplay study … --out {}` does its next step", args.out.display());
    }
    if let Some(written) = written.filter(|written| written.rows > 0) {
        write::say(kind.title, &written.summary, &args.out);
    }
    Ok(if missing == 0 && rows > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
