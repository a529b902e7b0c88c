//! `--dry-run`: the cells, and what they will take on this machine, from one small cell of each kind of work.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use interplay::plan::Plan;
use interplay::session::Session;

use super::bench::{Bench, Worker};
use super::kind::{Done, Kind, Planned};
use super::run::Options;
use super::store::Store;
use crate::output::fill;
use crate::progress::clock;
use crate::report::table::Table;
use crate::subject::Subject;

/// Memory of the program without a model.
const PROGRAM_BYTES: u64 = 64 << 20;

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
    let bytes = memory(bench, jobs);
    let effort = format!(
        "about {} on {jobs} worker{}, from one small cell of each kind of work; about {} MiB of memory",
        clock(whole / u32::try_from(jobs).unwrap_or(1)),
        if jobs == 1 { "" } else { "s" },
        bytes >> 20
    );
    fill(0, &effort);
    fill(0, "nothing was written; further cells may follow from results where a study has several steps");
    Ok(ExitCode::SUCCESS)
}

/// Measures the first probe of each kind of work twice: the second time everything is prepared.
fn paces(kind: &'static Kind, small: &Bench, probes: &[Planned]) -> Result<BTreeMap<String, Pace>> {
    let mut worker = Worker::new(small);
    let mut paces = BTreeMap::new();
    for probe in probes {
        if paces.contains_key(&probe.work) {
            continue;
        }
        let mut timed = || -> Result<Duration> {
            let since = Instant::now();
            (kind.measure)(&mut worker, &probe.key).with_context(|| probe.label.clone())?;
            Ok(since.elapsed())
        };
        let (first, second) = (timed()?, timed()?);
        let each = second / u32::try_from(probe.amount.max(1)).unwrap_or(u32::MAX);
        paces.insert(probe.work.clone(), Pace { once: first.saturating_sub(second), each });
    }
    Ok(paces)
}

/// Bytes of a model's FP32 weights; 0 where they cannot be counted.
pub fn weights(subject: &Subject) -> u64 {
    let session = Session::new(subject.model.checkpoint.clone(), Plan::fp32());
    let counted = session.and_then(|mut session| session.footprint());
    counted.map_or(0, |footprint| footprint.total.total() / 8)
}

/// Bytes that the workers hold: the weights in FP32 and as they are stored, and the FP32 session that some studies compare with.
fn memory(bench: &Bench, jobs: usize) -> u64 {
    let largest = bench.subjects.iter().map(weights).max().unwrap_or(0);
    PROGRAM_BYTES + 3 * largest * jobs as u64
}

/// The time of a unit of work would be lost in noise below this: what [`Kind::shrink`] of text and image studies leaves.
pub const PROBE_WINDOWS: usize = 2;
/// The same for images.
pub const PROBE_IMAGES: usize = 16;

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
    spec.windows = Some(PROBE_WINDOWS);
    spec.images = Some(PROBE_IMAGES);
}
