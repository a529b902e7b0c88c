//! `--dry-run`: the cells, and what they will take on this machine, from one small cell of each kind of work on every worker.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use interplay::eval::waiting_bytes;
use interplay::plan::Plan;
use interplay::session::Session;

use super::bench::{Bench, Worker};
use super::kind::{Done, Kind, Planned};
use super::run::Options;
use super::store::Store;
use crate::commands::trace::one_sequence;
use crate::output::fill;
use crate::progress::{Progress, clock, peak_resident};
use crate::report::table::Table;
use crate::subject::{Data, Subject};

/// What one cell of a kind of work takes.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// Whatever the amount: weights stored and packed.
    once: Duration,
    /// For each unit of the amount.
    each: Duration,
}

/// Prints the cells with the time of each, the whole time, and the memory.
///
/// # Errors
/// A cell cannot be measured.
pub fn print(
    kind: &'static Kind,
    bench: &Bench,
    planned: &[Planned],
    options: &Options,
    jobs: usize,
) -> Result<ExitCode> {
    let mut small = bench.spec.clone();
    (kind.shrink)(&mut small);
    let small = Bench::open(small, bench.backend)?;
    let probes = (kind.plan)(&small, &Done::default())?;
    let probes = one_of_each(probes);
    // The peak of a process never falls, so what no run does comes after it.
    let peak = memory(kind, bench, &small, &probes, jobs)?;
    let paces = paces(kind, &small, &probes)?;
    let store = Store::existing(&options.out).ok();
    let mut table = Table::new(format!("{} cells", planned.len()), ["cell", "kind of work", "amount", "time"]);
    let mut whole = Duration::ZERO;
    for (place, cell) in planned.iter().enumerate() {
        let there = store.as_ref().is_some_and(|store| store.read(&cell.key).is_some());
        let text = match paces.get(&cell.work) {
            _ if there => "there already".to_owned(),
            _ if !options.shard.has(place) => "of another part".to_owned(),
            None => "unknown".to_owned(),
            Some(pace) => {
                let time = pace.once + pace.each * u32::try_from(cell.amount).unwrap_or(u32::MAX);
                whole += time;
                format!("{:.2} s", time.as_secs_f64())
            }
        };
        table.row([cell.label.clone(), cell.work.clone(), cell.amount.to_string(), text]);
    }
    table.print();
    let effort = format!(
        "about {} on {jobs} worker{}, from one small cell of each kind of work; {} of memory",
        clock(whole / u32::try_from(jobs).unwrap_or(1)),
        if jobs == 1 { "" } else { "s" },
        peak.map_or_else(|| "an unknown amount".to_owned(), |bytes| format!("about {} MiB", bytes >> 20))
    );
    fill(0, &effort);
    fill(0, "nothing was written; further cells may follow from results where a study has several steps");
    Ok(ExitCode::SUCCESS)
}

/// The first probe of each kind of work.
fn one_of_each(probes: Vec<Planned>) -> Vec<Planned> {
    let mut seen = BTreeSet::new();
    probes.into_iter().filter(|probe| seen.insert(probe.work.clone())).collect()
}

/// Measures every probe twice: the second time everything is prepared.
fn paces(kind: &'static Kind, small: &Bench, probes: &[Planned]) -> Result<BTreeMap<String, Pace>> {
    let mut worker = Worker::new(small);
    let mut paces = BTreeMap::new();
    let mut progress = Progress::new(probes.iter().map(|probe| probe.work.clone()), false);
    for probe in probes {
        progress.start(&probe.work, &format!("trying {}", probe.label));
        let mut timed = || -> Result<Duration> {
            let since = Instant::now();
            (kind.measure)(&mut worker, &probe.key).with_context(|| probe.label.clone())?;
            Ok(since.elapsed())
        };
        let (first, second) = (timed()?, timed()?);
        let each = second / u32::try_from(probe.amount.max(1)).unwrap_or(u32::MAX);
        paces.insert(probe.work.clone(), Pace { once: first.saturating_sub(second), each });
        progress.finish_unit();
    }
    Ok(paces)
}

/// Bytes of a model's FP32 weights; 0 where they cannot be counted.
pub fn weights(subject: &Subject) -> u64 {
    let session = Session::new(subject.model.checkpoint.clone(), Plan::fp32());
    let counted = session.and_then(|mut session| session.footprint());
    counted.map_or(0, |footprint| footprint.total.total() / 8)
}

/// The most memory that this process had resident once every worker has measured every probe, and what more of the real amount of inputs
/// waits between two stages of a model.
fn memory(kind: &'static Kind, bench: &Bench, small: &Bench, probes: &[Planned], jobs: usize) -> Result<Option<u64>> {
    let measure_all = || -> Result<()> {
        let mut worker = Worker::new(small);
        probes.iter().try_for_each(|probe| {
            (kind.measure)(&mut worker, &probe.key).map(drop).with_context(|| probe.label.clone())
        })
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs).map(|_| scope.spawn(measure_all)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(measured) => measured,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    let Some(peak) = peak_resident() else { return Ok(None) };
    let waiting = bench.subjects.iter().zip(&small.subjects).map(|(subject, small)| {
        let held = |inputs| waiting(bench, subject, inputs);
        Ok(held(subject.inputs())?.saturating_sub(held(small.inputs())?))
    });
    let waiting = waiting.collect::<Result<Vec<u64>>>()?.into_iter().max().unwrap_or(0);
    Ok(Some(peak + waiting * jobs as u64))
}

/// Bytes that a worker holds of so many of a subject's inputs; pairs of texts go one after the other.
fn waiting(bench: &Bench, subject: &Subject, inputs: usize) -> Result<u64> {
    let checkpoint = &subject.model.checkpoint;
    let window = match subject.data {
        Data::Windows(_) => Some(subject.window()),
        Data::Images { .. } => None,
        Data::Pairs { .. } => return Ok(0),
    };
    let (input, _) = one_sequence(&**checkpoint, window)?;
    let mut session = Session::on(bench.backend, Arc::clone(checkpoint), Plan::fp32())?;
    Ok(waiting_bytes(&mut session, &input, inputs)?)
}

/// The time of a unit of work would be lost in noise below this: what [`Kind::shrink`] of text and image studies leaves.
pub const PROBE_WINDOWS: usize = 2;
/// The same for images; so many go through a model together.
pub const PROBE_IMAGES: usize = 100;

/// Steps of training that a probe takes: judging the result, which it does as well, is then a small part.
pub const PROBE_STEPS: i64 = 4;

/// The smaller specification of a study that trains models.
pub fn fewer_steps(spec: &mut super::spec::Spec) {
    fewer_inputs(spec);
    for key in ["steps", "image_steps"] {
        spec.options.insert(key.to_owned(), PROBE_STEPS.into());
    }
}

/// The smaller specification of a study that evaluates models.
pub fn fewer_inputs(spec: &mut super::spec::Spec) {
    let at_most = |given: Option<usize>, most: usize| Some(given.map_or(most, |given| given.min(most)));
    spec.windows = at_most(spec.windows, PROBE_WINDOWS);
    spec.images = at_most(spec.images, PROBE_IMAGES);
}
