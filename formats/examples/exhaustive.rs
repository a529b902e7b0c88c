//! The fast path against the exact one over everything FP32 can say, in minutes a format:
//!
//! `cargo run --release -p interplay-formats --example exhaustive -- [--every] FORMAT...` (or `all`)
//!
//! - scalar formats of at most 16 bits: all 2^32 FP32 patterns, by [`Scalar::encode_slice`] and [`Scalar::encode`],
//!   nearest even held to the largest number and one other rounding with overflow to infinity or NaN;
//! - block formats under powers of two: all 2^31 - 2^23 finite magnitudes as the amax of a block, by the scale rule.
//!   `all` takes each of them under every rule that goes with its scale, and integers of every width.
//!
//! The fast path runs on every pattern. The exact one runs on the ends of each run of 64 and, where they differ, on all
//! of it: rounding and rules keep order, so that between equal answers there is no other. With `--every` it runs on all
//! of them.
//!
//! One line a check with its duration on stdout, progress with the time left on stderr. Exit status 1 at the first
//! mismatch, which is printed, and 2 for a format that has no check.

use interplay_formats::{Draw, Format, Overflow, Rounding, Scalar, Scale, Scaling, Value, judge};
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
        [all] if all == "all" => integers().map(|i| Format::all().iter().flat_map(with_rules).chain(i).collect()),
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
                "{} has no exhaustive check: more than 16 bits, scales that are no powers of two, or no fast path",
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

/// Integers of 2 to 16 bits, signed and not, and a fixed point: families, of which the catalogue has no entries.
fn integers() -> Result<Vec<&'static Format>, interplay_formats::Error> {
    let names = (2..=16).flat_map(|bits| [format!("s{bits}"), format!("u{bits}")]);
    names.chain(["fixed8.4".to_owned()]).map(|name| Format::by_name(&name)).collect()
}

/// A format that has checks, under its own scale rule and all others that go with its scale.
fn with_rules(format: &'static Format) -> impl Iterator<Item = &'static Format> {
    let rules = ["floor", "ceil", "even", "rceil", "floor-log2", "enclosing", "enclosing-log2", "above"];
    let others = rules.into_iter().filter(move |rule| format.scaling.is_some_and(|s| s.rule.name() != *rule));
    let changed = others.filter_map(|rule| format.changed(rule).ok());
    std::iter::once(format).chain(changed).filter(|f| checks(f, false).is_some())
}

/// What is compared at a range of patterns; the first mismatch in words.
type Compare = Box<dyn Fn(std::ops::Range<u64>) -> Option<String> + Sync>;

struct Check {
    title: String,
    count: u64,
    compare: Compare,
}

/// The checks of a format, if it has any.
fn checks(format: &'static Format, every: bool) -> Option<Vec<Check>> {
    match format.scaling {
        Some(scaling) => Some(vec![exponents(format, scaling, every)?]),
        None => (format.element.bits() <= 16).then(|| {
            let others = [Rounding::NearestAway, Rounding::TowardZero, Rounding::Up, Rounding::Down, Rounding::ToOdd];
            // Another one for each format, so that every rounding has its turn.
            let place = Format::all().iter().position(|f| f.name == format.name).unwrap_or(0);
            let other = (others[place % others.len()], Overflow::Infinity);
            [(Rounding::NearestEven, Overflow::Saturate), other].map(|mode| encodings(format, mode, every)).into()
        }),
    }
}

/// The scale rule of a format, where its scales are powers of two.
fn exponents(format: &'static Format, scaling: Scaling, every: bool) -> Option<Check> {
    if !judge::has_fast_exponents(format) {
        return None;
    }
    let e8m0 = match scaling.scale {
        Scale::E8M0 => true,
        Scale::Exponent(_) | Scale::Micro { .. } => false,
        _ => return None,
    };
    let (rule, element) = (scaling.rule, format.element);
    let compare = move |amax: std::ops::Range<u64>| {
        let amax: Vec<u32> = amax.map(|bits| bits as u32).collect();
        let fast = if e8m0 { judge::fast_exponents } else { judge::fast_block_exponents }(rule, element, &amax);
        let exact = |i: usize| match e8m0 {
            true => judge::slow_exponent(rule, element, amax[i]),
            false => judge::slow_block_exponent(rule, amax[i]),
        };
        first_difference(&fast, exact, every).map(|i| {
            let (v, got, want) = (f32::from_bits(amax[i]), fast[i], exact(i));
            format!("amax {v:e} ({:08x}): exponent {got}, not {want}", amax[i])
        })
    };
    let title = format!("{} scale rule {}", format.name, scaling.rule.name());
    Some(Check { title, count: u64::from(f32::INFINITY.to_bits()), compare: Box::new(compare) })
}

/// All patterns in one mode.
fn encodings(format: &'static Format, (rounding, overflow): (Rounding, Overflow), every: bool) -> Check {
    let element = format.element;
    let compare = move |patterns: std::ops::Range<u64>| {
        let x: Vec<f32> = patterns.map(|bits| f32::from_bits(bits as u32)).collect();
        let mut codes = vec![0u16; x.len()];
        element.encode_slice(&x, rounding, overflow, 0, &mut codes);
        let exact = |i: usize| encoded(element, x[i], rounding.into(), overflow);
        first_difference(&codes, exact, every).map(|i| {
            let (v, code, want) = (x[i], codes[i], exact(i));
            format!("{v:e} ({:08x}): code {code:#06x}, not {want:#06x}", v.to_bits())
        })
    };
    let title = format!("{} {rounding} overflow {overflow:?}", format.name);
    Check { title, count: 1 << 32, compare: Box::new(compare) }
}

/// The first place where the fast path's answer is not the exact one. NaN lies beyond infinity, so that the patterns of
/// one run are in order, up or down.
fn first_difference<T: Copy + PartialEq>(fast: &[T], exact: impl Fn(usize) -> T, every: bool) -> Option<usize> {
    (0..fast.len()).step_by(RUN).find_map(|start| {
        let end = (start + RUN).min(fast.len());
        let first = exact(start);
        let constant = !every && first == exact(end - 1);
        (start..end).find(|&i| fast[i] != if constant { first } else { exact(i) })
    })
}

/// The exact code; 0 for a NaN without one.
fn encoded(element: Scalar, v: f32, draw: Draw, overflow: Overflow) -> u16 {
    element.encode(Value::from_f32(v), draw, overflow).unwrap_or(0) as u16
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
