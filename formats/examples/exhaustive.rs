//! The fast path against the exact one over everything FP32 can say, in minutes a format:
//!
//! `cargo run --release -p interplay-formats --example exhaustive -- [--every] FORMAT...` (or `all`)
//!
//! - scalar formats of at most 16 bits: all 2^32 FP32 patterns, by [`Scalar::encode_slice`] and [`Scalar::encode`],
//!   nearest even held to the largest number and one other rounding with overflow to infinity or NaN. The fast path
//!   runs on every pattern. The exact one runs on the ends of each run of 64 and, where they differ, on all of it:
//!   rounding keeps order, so that between equal codes there is no other. With `--every` it runs on all of them;
//! - block formats under powers of two: all 2^31 - 2^23 finite magnitudes as the amax of a block, by the scale rule.
//!
//! One line a check with its duration on stdout, progress with the time left on stderr. Exit status 1 at the first
//! mismatch, which is printed, and 2 for a format that has no check.

use interplay_formats::{Draw, Format, Overflow, Rounding, Scalar, Scale, Value, judge};
use rayon::prelude::*;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Patterns that one task checks.
const CHUNK: u64 = 1 << 16;

/// Patterns between two of which the exact path is not asked again if it gives both the same code.
const RUN: usize = 64;

fn main() -> ExitCode {
    let (flags, names): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|a| a.starts_with("--"));
    let every = flags.iter().any(|flag| flag == "--every");
    if names.is_empty() || flags.len() > usize::from(every) {
        eprintln!("usage: exhaustive [--every] FORMAT... | all");
        return ExitCode::from(2);
    }
    let chosen: Result<Vec<&'static Format>, _> = match names.as_slice() {
        [all] if all == "all" => Ok(Format::all().iter().filter(|f| checks(f, every).is_some()).collect()),
        names => names.iter().map(|name| Format::by_name(name)).collect(),
    };
    let chosen = match chosen {
        Ok(chosen) => chosen,
        Err(e) => {
            eprintln!("{e}");
            return ExitCode::from(2);
        }
    };
    for format in chosen {
        let Some(checks) = checks(format, every) else {
            eprintln!(
                "{} has no exhaustive check: more than 16 bits, or scales that are no powers of two",
                format.name
            );
            return ExitCode::from(2);
        };
        for check in checks {
            if let Err(mismatch) = check.run() {
                println!("{}: {mismatch}", check.title);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// What is compared at a run of patterns; the first mismatch in words.
type Compare = Box<dyn Fn(std::ops::Range<u64>) -> Option<String> + Sync>;

struct Check {
    title: String,
    count: u64,
    compare: Compare,
}

/// The checks of a format, if it has any.
fn checks(format: &'static Format, every: bool) -> Option<Vec<Check>> {
    let element = format.element;
    let Some(scaling) = format.scaling else {
        return (element.bits() <= 16).then(|| {
            let others = [Rounding::NearestAway, Rounding::TowardZero, Rounding::Up, Rounding::Down, Rounding::ToOdd];
            // Another one for each format, so that every rounding has its turn.
            let place = Format::all().iter().position(|f| f.name == format.name).unwrap_or(0);
            let other = (others[place % others.len()], Overflow::Infinity);
            [(Rounding::NearestEven, Overflow::Saturate), other].map(|mode| encodings(format, mode, every)).into()
        });
    };
    let (fast, slow): (fn(_, _, _) -> _, fn(_, _, _) -> _) = match scaling.scale {
        Scale::E8M0 => (judge::fast_exponent, judge::slow_exponent),
        Scale::Exponent(_) | Scale::Micro { .. } => {
            (judge::fast_block_exponent, |rule, _, amax| judge::slow_block_exponent(rule, amax))
        }
        _ => return None,
    };
    let compare = move |amax: std::ops::Range<u64>| {
        let differs =
            |amax: &u64| fast(scaling.rule, element, *amax as u32) != slow(scaling.rule, element, *amax as u32);
        amax.into_iter().find(differs).map(|amax| {
            let (got, want) = (fast(scaling.rule, element, amax as u32), slow(scaling.rule, element, amax as u32));
            format!("amax {:e} ({amax:08x}): exponent {got}, not {want}", f32::from_bits(amax as u32))
        })
    };
    let title = format!("{} scale rule {}", format.name, scaling.rule.name());
    Some(vec![Check { title, count: u64::from(f32::INFINITY.to_bits()), compare: Box::new(compare) }])
}

fn encodings(format: &'static Format, (rounding, overflow): (Rounding, Overflow), every: bool) -> Check {
    let element = format.element;
    let exact = move |v: f32| encoded(element, v, rounding.into(), overflow);
    let compare = move |patterns: std::ops::Range<u64>| {
        let x: Vec<f32> = patterns.map(|bits| f32::from_bits(bits as u32)).collect();
        let mut codes = vec![0u16; x.len()];
        element.encode_slice(&x, rounding, overflow, 0, &mut codes);
        x.chunks(RUN).zip(codes.chunks(RUN)).find_map(|(x, codes)| {
            let (first, last) = (exact(x[0]), exact(x[x.len() - 1]));
            let constant = !every && first == last && !x[x.len() - 1].is_nan();
            let want = |i: usize| if constant { first } else { exact(x[i]) };
            let differs = (0..x.len()).find(|&i| u64::from(codes[i]) != want(i))?;
            let (v, code, want) = (x[differs], codes[differs], exact(x[differs]));
            Some(format!("{v:e} ({:08x}): code {code:#06x}, not {want:#06x}", v.to_bits()))
        })
    };
    let title = format!("{} {rounding} overflow {overflow:?}", format.name);
    Check { title, count: 1 << 32, compare: Box::new(compare) }
}

/// The exact code; 0 for a NaN without one.
fn encoded(element: Scalar, v: f32, draw: Draw, overflow: Overflow) -> u64 {
    element.encode(Value::from_f32(v), draw, overflow).unwrap_or(0)
}

impl Check {
    /// Compares all patterns on all threads.
    fn run(&self) -> Result<(), String> {
        let (start, done) = (Instant::now(), AtomicU64::new(0));
        let tasks = self.count.div_ceil(CHUNK);
        let mismatch = (0..tasks).into_par_iter().find_map_first(|task| {
            let first = task * CHUNK;
            let mismatch = (self.compare)(first..(first + CHUNK).min(self.count));
            self.progress(start, done.fetch_add(1, Ordering::Relaxed) + 1, tasks);
            mismatch
        });
        eprint!("\r\x1b[K");
        mismatch.map_or(Ok(()), Err)?;
        println!("{}: {} patterns agree, {:.1} s", self.title, self.count, start.elapsed().as_secs_f64());
        Ok(())
    }

    /// A line that is written over, some hundred times in all.
    fn progress(&self, start: Instant, done: u64, tasks: u64) {
        if done.is_multiple_of(tasks / 128 + 1) {
            let left = start.elapsed().as_secs_f64() / done as f64 * (tasks - done) as f64;
            let left = Duration::from_secs(left as u64);
            eprint!("\r\x1b[K{}: {} %, {left:?} left", self.title, done * 100 / tasks);
        }
    }
}
