//! The loop over cells.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use interplay::burn::Backend;
use interplay::files::Claim;
use serde_json::Value;

use super::bench::{Bench, Worker};
use super::kind::{Done, Kind, Planned};
use super::shard::Shard;
use super::spec::Spec;
use super::store::{Found, Mark, Store};
use super::{rehearse, write};
use crate::interrupt;
use crate::output::sayln;
use crate::progress::Progress;

/// How a study is run.
pub struct Options {
    /// The run's folder.
    pub out: PathBuf,
    /// The part of the cells that is this run's.
    pub shard: Shard,
    /// Workers; none is one a thread where models are small.
    pub jobs: Option<usize>,
    /// Measure again what an earlier run left.
    pub restart: bool,
    /// Only say what there is to do.
    pub dry_run: bool,
    /// Print the cells as JSON lines instead of the summary.
    pub json: bool,
    /// Where models run.
    pub backend: Backend,
}

/// What workers hold in common.
struct Shared {
    queue: VecDeque<Planned>,
    progress: Progress,
    done: Outcome,
    /// Why no further cell is begun.
    stopped: Option<anyhow::Error>,
}

/// What became of the cells that were to be measured.
#[derive(Default)]
struct Outcome {
    /// Those that could not be measured, and why.
    failures: Vec<(String, anyhow::Error)>,
    /// Those that were kept, in this run or before it.
    kept: Vec<Planned>,
}

/// Runs a study.
///
/// # Errors
/// Bad use, or a folder that cannot be written; finished cells are kept.
pub fn run(kind: &'static Kind, spec: Spec, options: &Options) -> Result<ExitCode> {
    let bench = Bench::open(spec, options.backend)?;
    let mut planned = (kind.plan)(&bench, &Done::default())?;
    if planned.is_empty() {
        bail!("the grid of the study `{}` is empty: no cell follows from its lists", bench.spec.name);
    }
    distinct(&planned)?;
    let jobs = options.jobs.unwrap_or_else(|| jobs(&bench)).clamp(1, planned.len());
    if options.dry_run {
        return rehearse::print(kind, &bench, &planned, options, jobs);
    }
    let claim = Claim::new(&options.out)?;
    if options.restart {
        Store::discard(&options.out)?;
    }
    let store = Store::open(claim, &Mark::new(&bench.spec.study))?;
    interrupt::keep(kept(options));
    store.reserve(planned.len())?;
    let mut failures = Vec::new();
    let mut lost = Vec::new();
    loop {
        store.write_plan(&bench.spec, &planned)?;
        write::Facts::of(kind, &bench).write(store.folder(), 0, planned.len())?;
        let done = work(kind, &bench, &store, &planned, options.shard, jobs)?;
        failures.extend(done.failures);
        lost.extend(done.kept.into_iter().filter(|p| store.read(&p.key).is_none()).map(|p| p.label));
        if interrupt::asked() || !failures.is_empty() || !lost.is_empty() {
            break;
        }
        // What is measured may ask for more.
        let done: Vec<_> = planned.iter().filter_map(|p| Some((p.key.clone(), store.read(&p.key)?))).collect();
        let next = (kind.plan)(&bench, &Done::new(done))?;
        if next.len() <= planned.len() {
            break;
        }
        planned = next;
    }
    for (label, error) in &failures {
        eprintln!("error: {label}: {}", crate::sentence(error));
    }
    if !lost.is_empty() || !store.is_there() {
        return Ok(report_lost(&lost, planned.len(), options));
    }
    finish(kind, &bench, &store, &planned, options, failures.len())
}

/// Says which results were removed while others were measured.
fn report_lost(lost: &[String], planned: usize, options: &Options) -> ExitCode {
    let shown = options.out.display();
    for label in lost {
        eprintln!("lost: {label}");
    }
    eprintln!(
        "error: {} of {planned} cells were lost, because {shown} or files in it were removed while the study ran; the same command measures them again",
        lost.len()
    );
    ExitCode::FAILURE
}

/// What an interrupted run leaves.
fn kept(options: &Options) -> String {
    format!("{} holds the cells that were finished; the same command goes on from there", options.out.display())
}

/// That no cell is planned twice: it would count twice, and as its own repetition.
fn distinct(planned: &[Planned]) -> Result<()> {
    let mut seen = BTreeMap::new();
    for cell in planned {
        if let Some(other) = seen.insert(cell.key.digest(), &cell.label) {
            bail!("the grid has one cell twice, `{other}` and `{}`; give each name, record and seed once", cell.label);
        }
    }
    Ok(())
}

/// Writes the files of the run and says how it ended.
fn finish(
    kind: &'static Kind,
    bench: &Bench,
    store: &Store,
    planned: &[Planned],
    options: &Options,
    failures: usize,
) -> Result<ExitCode> {
    let results: Vec<Option<Value>> = planned.iter().map(|p| store.read(&p.key)).collect();
    let missing = results.iter().filter(|result| result.is_none()).count();
    let shown = options.out.display();
    if missing < planned.len() {
        let written = write::all(kind, store, &write::Facts::of(kind, bench), results)?;
        if options.json {
            crate::output::say(format_args!("{}", written.lines));
        } else {
            sayln!("wrote {shown}: {}", write::FILES.join(", "));
            write::say(kind.title, &written.summary, &options.out);
        }
    }
    if let Some(code) = interrupt::code() {
        eprintln!("interrupted: {}", kept(options));
        return Ok(code);
    }
    if failures > 0 {
        bail!("{failures} of {} cells could not be measured; {shown} holds the others", planned.len());
    }
    if missing > 0 {
        eprintln!(
            "part {} is done: {missing} of {} cells are of other parts; `interplay merge` joins them",
            options.shard,
            planned.len()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Workers where the command line does not say: one a thread, but one alone where each would hold a large model.
fn jobs(bench: &Bench) -> usize {
    let large = bench.subjects.iter().any(|subject| rehearse::weights(subject) > 256 << 20);
    if large { 1 } else { rayon::current_num_threads() }
}

/// Measures what is not there yet.
fn work(
    kind: &'static Kind,
    bench: &Bench,
    store: &Store,
    planned: &[Planned],
    shard: Shard,
    jobs: usize,
) -> Result<Outcome> {
    let of_this_part = planned.iter().enumerate().filter(|(place, _)| shard.has(*place)).map(|(_, p)| p);
    let (there, queue): (Vec<_>, Vec<_>) = of_this_part.cloned().partition(|p| store.read(&p.key).is_some());
    let progress = Progress::new(queue.iter().map(|p| p.work.clone()), false);
    for changed in queue.iter().filter(|p| store.find(&p.key) == Found::Changed) {
        progress.note(&format!("{} was changed since it was measured: it is measured again", changed.label));
    }
    if !there.is_empty() && !queue.is_empty() {
        progress.note(&format!("{} cells are there already, {} to do", there.len(), queue.len()));
    }
    let done = Outcome { kept: there, ..Outcome::default() };
    let shared = Mutex::new(Shared { queue: queue.into(), progress, done, stopped: None });
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| worker(kind, bench, store, &shared, jobs));
        }
    });
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    shared.progress.clear();
    match shared.stopped {
        Some(error) => Err(error),
        None => Ok(shared.done),
    }
}

/// One worker: takes a cell, measures it, keeps it, until there is none.
fn worker(kind: &'static Kind, bench: &Bench, store: &Store, shared: &Mutex<Shared>, jobs: usize) {
    let mut worker = Worker::new(bench);
    loop {
        let Some(planned) = next(shared, store, jobs) else { return };
        let since = Instant::now();
        let result = (kind.measure)(&mut worker, &planned.key);
        let kept = match &result {
            Ok(result) => store.write(&planned.key, result),
            Err(_) => Ok(()),
        };
        if result.is_err() && interrupt::asked() {
            return;
        }
        let mut shared = lock(shared);
        shared.progress.finished(&planned.work, since.elapsed());
        match (result, kept) {
            (Err(error), _) => shared.done.failures.push((planned.label, error)),
            // Without its folder a result is lost like those that were kept there.
            (_, Err(error)) if store.is_there() => {
                shared.stopped.get_or_insert(error.context("a cell was measured that cannot be kept"));
            }
            _ => shared.done.kept.push(planned),
        }
    }
}

fn next(shared: &Mutex<Shared>, store: &Store, jobs: usize) -> Option<Planned> {
    let mut shared = lock(shared);
    if interrupt::asked() || shared.stopped.is_some() || !store.is_there() {
        return None;
    }
    let planned = shared.queue.pop_front()?;
    shared.progress.show(&planned.label, jobs);
    Some(planned)
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The result of a cell as its study's type.
///
/// # Errors
/// It was written by another version.
pub fn typed<T: serde::de::DeserializeOwned>(result: &Value) -> Result<T> {
    T::deserialize(result).context("a cell's file is of another version of the study; use --restart")
}
