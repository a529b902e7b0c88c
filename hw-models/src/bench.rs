//! Speed of datapaths in multiply-accumulates a second, beside a plain FP32 GEMM of the same shape, in one run, medians.
//!
//! Three bounds, by kernel. Units that need one fused multiply-add a product reach the FP32 rate, or half of it where
//! sums need FP64; `fp32`, which does nothing else, comes nearest. Elements of 8 bits go through byte dot products: four
//! times the FP32 rate with AVX-512 VNNI, where one instruction has 64 products, and twice that of AVX2's FMA less the
//! additions that `vpmaddwd` leaves to do. Tensor cores cost six vector operations a product instead of one (two on
//! exponents at half the width, a product, a scaling, a conversion, an addition), and about forty a step and output: a
//! fifth of the FP32 rate at best, a tenth in sight.
//!
//! Weights are packed once outside the clock, as in use; activations are packed inside.

mod peer;

use crate::datapath::{Codes, Inputs};
use crate::{Datapath, Error, Operand, Path};
use interplay_formats::{Block, Format, Scale};
use serde::Serialize;
use std::hint::black_box;
use std::time::Instant;

/// The datapaths that are measured unless others are named, each kernel at least once.
pub const DATAPATHS: [&str; 13] = [
    "fp32",
    "ideal",
    "int8",
    "block",
    "volta.mma.f16.f32",
    "ampere.mma.f16.f32",
    "hopper.mma.f16.f32",
    "hopper.mma.bf16.f32",
    "hopper.wgmma.e4m3.f32",
    "hopper.mma.e4m3.f32",
    "b200.tcgen05.mxf8f6f4-e4m3.f32",
    "b200.tcgen05.mxf4.f32",
    "ampere.mma.s8.s32",
];

/// M, K, N of a product unless others are given: a feed-forward layer of a small model.
pub const SHAPE: (usize, usize, usize) = (512, 768, 3072);

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The datapath.
    pub datapath: &'static str,
    /// The format of its operands.
    pub format: &'static str,
    /// Multiply-accumulates of one thread, in 10^9 a second.
    pub gmacs_per_core: f64,
    /// The same of all threads together.
    pub gmacs: f64,
    /// What an FP32 GEMM of the same shape does on one thread.
    pub f32_gemm_gmacs_per_core: f64,
    /// What it does on all threads.
    pub f32_gemm_gmacs: f64,
}

/// A datapath and the format of its operands.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    datapath: &'static Datapath,
    format: &'static Format,
}

impl Subject {
    /// The datapath of that name, and a format of the catalogue that it takes: HBFP8 for blocks unless another one is
    /// named after a colon (`block:mxint8`).
    ///
    /// # Errors
    /// Unknown names; [`Error::Unsupported`] where no format of the catalogue goes with the unit.
    pub fn by_name(name: &str) -> Result<Self, Error> {
        let (unit, format) = name.split_once(':').map_or((name, None), |(unit, format)| (unit, Some(format)));
        let datapath = Datapath::by_name(unit)?;
        let format = match format {
            Some(format) => Format::by_name(format)?,
            None => natural(datapath).ok_or_else(|| Error::Unsupported {
                datapath: datapath.name.to_owned(),
                given: "any format of the catalogue".to_owned(),
                allowed: "operands of its own".to_owned(),
            })?,
        };
        Ok(Self { datapath, format })
    }
}

/// A format of the catalogue that a unit takes.
fn natural(datapath: &Datapath) -> Option<&'static Format> {
    let Inputs::Codes(Codes { a, scale, .. }) = datapath.inputs else {
        return Format::by_name(match datapath.inputs {
            Inputs::Integers => "int8",
            Inputs::Blocks(_) => "hbfp8",
            _ => "fp32",
        })
        .ok();
    };
    // Integers come with a scale a row, as models have them; TF32 is an FP32 register.
    let integers = a.format.name == "s8" || a.format.name == "s4";
    let fits = |format: &&Format| match (format.scaling, scale) {
        (None, None) => !integers && format.element.encoding == a.format.encoding,
        (Some(own), None) => integers && own.block == Block::Row && format.element.bits() == a.format.bits(),
        (Some(own), Some(scale)) => {
            let same = match own.scale {
                Scale::E8M0 => scale.format == interplay_formats::catalog::E8M0,
                Scale::Code(code) => code.encoding == scale.format.encoding,
                _ => false,
            };
            same && own.block == Block::Run(scale.block) && format.element.encoding == a.format.encoding
        }
        (None, Some(_)) => false,
    };
    Format::all().iter().find(fits)
}

/// Measures some datapaths on one shape (M, K, N) and so many threads, 0 for all.
///
/// # Errors
/// A unit that does not take its format, or a shape without a product.
pub fn measure(subjects: &[Subject], shape: (usize, usize, usize), threads: usize) -> Result<Vec<Row>, Error> {
    measure_on(Path::best(), subjects, shape, threads)
}

/// [`measure`] on one instruction set.
///
/// # Errors
/// As [`measure`].
pub fn measure_on(
    path: Path,
    subjects: &[Subject],
    (m, k, n): (usize, usize, usize),
    threads: usize,
) -> Result<Vec<Row>, Error> {
    let (x, w) = (values(m * k, 1), values(n * k, 2));
    let pools = [1, threads].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().ok());
    let on = |pool: &Option<rayon::ThreadPool>, run: &mut (dyn FnMut() + Send)| {
        let seconds = match pool {
            Some(pool) => pool.install(|| median(run)),
            None => median(run),
        };
        m as f64 * k as f64 * n as f64 / seconds / 1e9
    };
    let peer = pools.each_ref().map(|pool| on(pool, &mut || peer::multiply((m, k, n), &x, &w)));
    let row = |subject: &Subject| {
        let Subject { datapath, format } = *subject;
        let (qx, qw) = (format.quantize(&x, k)?, format.quantize(&w, k)?);
        let weights = datapath.prepare(Operand::Quantized(&qw))?;
        datapath.gemm_on(path, Operand::Quantized(&qx), &weights)?;
        let mut run = || {
            black_box(datapath.gemm_on(path, Operand::Quantized(&qx), &weights)).ok();
        };
        let rates = pools.each_ref().map(|pool| on(pool, &mut run));
        Ok(Row {
            datapath: datapath.name,
            format: format.name,
            gmacs_per_core: rates[0],
            gmacs: rates[1],
            f32_gemm_gmacs_per_core: peer[0],
            f32_gemm_gmacs: peer[1],
        })
    };
    subjects.iter().map(row).collect()
}

/// Median seconds of a run, after one to warm up: as many as two seconds hold, 3 to 15.
fn median(run: &mut (dyn FnMut() + Send)) -> f64 {
    let mut once = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    let first = once();
    let runs = ((2.0 / first.max(1e-9)) as usize).clamp(3, 15);
    let mut seconds: Vec<f64> = (0..runs).map(|_| once()).collect();
    seconds.sort_by(f64::total_cmp);
    seconds[runs / 2]
}

/// Values with the spread of a trained layer, from a counter.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let word = |i: u64| {
        (i ^ seed << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29).wrapping_mul(0xBF58_476D_1CE4_E5B9)
    };
    (0..count as u64).map(|i| (word(i) >> 40) as f32 / (1u64 << 23) as f32 - 1.0).collect()
}
