//! Speed of the tiled kernels, in GMAC/s: `cargo bench -p interplay-gpu --bench product [-- M K N [ROUNDS]]`.
//!
//! Operands are on the device and prepared before; a round is one launch and the wait for its end, and the median of the
//! rounds is printed, with the same for preparing both operands. The default, 256 x 1024 x 256, suits software Vulkan; on
//! a GPU give 4096 4096 4096, below which launches are what is measured.
//!
//! What bounds the kernels: a product of small integers is one integer multiplication and addition, which GPUs do at half
//! or less of the rate of FP32's, and the sum of a block costs about 100 integer operations an output (scale, round, add),
//! so that blocks of 16 take several times as long as blocks of 64. FP8 products have no common word and are sorted into
//! two to four integers by their size, at four operations an integer.

use std::process::ExitCode;
use std::time::Instant;

use interplay_formats::{Format, Stream};
use interplay_gpu::product::{Product, Which};
use interplay_gpu::{Choice, DeviceOperand, Gpu, device};
use interplay_hw::Datapath;

/// A datapath and the format of both sides.
const CASES: [(&str, &str); 6] = [
    ("int8", "int8"),
    ("block", "hbfp8"),
    ("block", "mxint8"),
    ("block", "mxfp8-e4m3"),
    ("block", "mxfp8-e5m2"),
    ("block", "nvfp4"),
];

fn main() -> ExitCode {
    // Cargo's own flags are not for this program.
    let given: Result<Vec<usize>, _> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).map(|number| number.parse()).collect();
    let (shape, rounds) = match given.as_deref() {
        Ok([]) => ([256, 1024, 256], 5),
        Ok(&[m, k, n]) => ([m, k, n], 5),
        Ok(&[m, k, n, rounds]) => ([m, k, n], rounds.max(1)),
        _ => {
            eprintln!("usage: cargo bench -p interplay-gpu --bench product [-- M K N [ROUNDS]]");
            return ExitCode::FAILURE;
        }
    };
    match measure(shape, rounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn measure([m, k, n]: [usize; 3], rounds: usize) -> Result<(), Box<dyn std::error::Error>> {
    let gpu = Gpu::open(&Choice::Default)?;
    let client = gpu.client();
    println!("{}: {m} x {k} x {n}, median of {rounds}", gpu.name());
    for (datapath, format) in CASES {
        let (record, format) = (Datapath::by_name(datapath)?, Format::by_name(format)?);
        let operand = |seed: u64, rows: usize| {
            let stream = Stream::new(seed);
            let value = |i: usize| stream.word(i as u64) as i32 as f32 / (1u32 << 30) as f32;
            let values: Vec<f32> = (0..rows * k).map(value).collect();
            Ok::<_, Box<dyn std::error::Error>>(DeviceOperand::upload(client, &format.quantize(&values, k)?)?)
        };
        let (x, w) = (operand(1, m)?, operand(2, n)?);
        let product = Product::new(record, format, format)?;
        let prepare = || Ok((product.prepare(client, Which::X, &x)?, product.prepare(client, Which::W, &w)?));
        let (a, b) = prepare()?;
        // The first launch compiles, and the read waits for it.
        device::read(client, product.multiply(client, &a, &b)?)?;
        let seconds = median(&gpu, rounds, || product.multiply(client, &a, &b).map(drop))?;
        let preparing = median(&gpu, rounds, || prepare().map(drop))?;
        let rate = (m * k) as f64 * n as f64 / seconds / 1e9;
        println!("{datapath:>8} {:<12} {rate:>10.2} GMAC/s, prepared in {:.3} ms", format.name, preparing * 1e3);
    }
    Ok(())
}

/// The median seconds of a launch until the device is done.
fn median(
    gpu: &Gpu,
    rounds: usize,
    mut launch: impl FnMut() -> Result<(), interplay_gpu::Error>,
) -> Result<f64, interplay_gpu::Error> {
    let mut seconds = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        launch()?;
        gpu.wait()?;
        seconds.push(start.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}
