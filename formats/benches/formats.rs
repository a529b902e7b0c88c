//! Speed of formats: `cargo bench -p interplay-formats [-- ELEMENTS [FORMAT ...]]`, a number of Mi values (64 unless
//! told) and names, or `all`. What is counted is written at `interplay_formats::bench`.
//!
//! Three tables: a large matrix on all threads, bound by memory; 64 Ki values on one thread, bound by instructions; and
//! FP32 to the codes of scalar formats on one thread, which other libraries offer too.

use interplay_formats::{Error, Format, Rounding, bench};
use std::hint::black_box;
use std::time::Instant;

/// Values that fit a second-level cache.
const IN_CACHE: usize = 64 << 10;
/// Scalar formats of at most 16 bits that ml_dtypes has too.
const CASTS: [&str; 9] = ["e4m3", "e5m2", "e4m3fnuz", "e3m4", "e2m3", "e3m2", "e2m1", "e8m0", "bf16"];

fn main() -> Result<(), Error> {
    let words: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let mebi: usize = words.iter().find_map(|w| w.parse().ok()).unwrap_or(64);
    let names: Vec<&str> = words.iter().map(String::as_str).filter(|w| w.parse::<usize>().is_err()).collect();
    let formats: Vec<&'static Format> = match names.as_slice() {
        [] => bench::FORMATS.iter().map(|name| Format::by_name(name)).collect::<Result<_, _>>()?,
        ["all"] => Format::all().iter().collect(),
        names => names.iter().map(|name| Format::by_name(name)).collect::<Result<_, _>>()?,
    };
    println!("{mebi} Mi values, all threads");
    table(&bench::measure(&formats, mebi << 20, 0)?);
    println!("\n{} Ki values, one thread", IN_CACHE >> 10);
    table(&bench::measure(&formats, IN_CACHE, 1)?);
    println!("\nFP32 to codes, {} Ki values, one thread\n{:<12}{:>14}", IN_CACHE >> 10, "format", "Mval/s");
    CASTS.iter().try_for_each(|name| cast(name))
}

/// One line a measurement.
fn table(rows: &[bench::Row]) {
    println!("{:<28}{:<6}{:>14}{:>14}{:>10}", "format", "", "Mval/s", "a core", "memcpy");
    for row in rows {
        let (all, core) = (row.elements_per_s / 1e6, row.elements_per_s_core / 1e6);
        println!("{:<28}{:<6}{all:>14.0}{core:>14.0}{:>10.2}", row.format, row.operation, row.memcpy_ratio);
    }
}

/// The rate of `Scalar::encode_slice`.
fn cast(name: &str) -> Result<(), Error> {
    let format = Format::by_name(name)?;
    let x: Vec<f32> =
        (0..IN_CACHE as u32).map(|i| f32::from_bits((i.wrapping_mul(0x9E37_79B9) >> 6) + 0x3D00_0000)).collect();
    let mut codes = vec![0; x.len()];
    let mut times: Vec<f64> = (0..201)
        .map(|_| {
            let start = Instant::now();
            let (rounding, overflow) = (Rounding::NearestEven, format.overflow);
            format.element.encode_slice(black_box(&x), rounding, overflow, 0, black_box(&mut codes));
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name:<12}{:>14.0}", x.len() as f64 / times[100] / 1e6);
    Ok(())
}
