//! How fast the tiled kernels of the aligning tensor cores are on the present device, in multiply-accumulates a second.
//!
//! ## The bound
//!
//! Kernels work on 32-bit integers alone, so the device's rate for those bounds them. A product of two FP8 numbers costs,
//! by the text of `align` and `tiled`: an addition and a maximum in the first pass; in the second two subtractions, a
//! minimum, a multiplication, a shift and an addition. That is 8 operations, of which the multiplication runs beside the
//! others where the device has a second pipe for it; products of wider numbers cost two more for their sign. NVIDIA's
//! Hopper has 64 such operations a clock and multiprocessor, and the additions fuse in pairs (three-input additions, and
//! an addition with a minimum or a maximum): 5 issue slots are left of 7. An H200 with 132 multiprocessors at 1.755 GHz
//! then reaches at most `132 * 64 * 1.755e9 / 5 = 3.0e12` products a second, 2.1e12 where nothing fuses. What is not a
//! product comes on top, once a step of L products: about 60 operations for the common exponent and the rounding, or 2 a
//! product at L = 32, 4 at L = 16, 8 at L = 8. With them the bounds are 2.1e12 (L = 32), 1.6e12 (L = 16) and 1.1e12 (L = 8).
//! Words read from the shared memory are 24 for 16 products, 1.5 each, at 32 a clock and multiprocessor: 4.9e12, no bound.
//! FP4's exact groups cost half a multiplication a product, and about 45 operations a group of 16: 3.2 a product.
//!
//! On a CPU that stands in for a GPU (lavapipe) the same operations run on its vector units.
//!
//! Usage: `cargo bench -p interplay-gpu --bench fdpa [-- SIZE [ROUNDS]]`, for products of SIZE^3; the default is 512 and 5.
#![allow(clippy::disallowed_methods, reason = "what a test expects may come from the system")]

use cubecl::client::Client;
use cubecl::future::block_on;
use cubecl::prelude::*;
use interplay_gpu::fdpa::{Fdpa, Matrix, Operand, Prepared};
use interplay_gpu::{Choice, Gpu};
use interplay_hw::Datapath;
use std::error::Error;
use std::time::Instant;

const UNITS: [&str; 9] = [
    "hopper.wgmma.e4m3.f32",
    "b200.tcgen05.e4m3.f32",
    "ada.mma.e4m3.f32",
    "hopper.mma.e4m3.f32",
    "hopper.wgmma.bf16.f32",
    "hopper.wgmma.f16.f32",
    "ampere.mma.f16.f32",
    "b200.tcgen05.mxf8f6f4-e4m3.f32",
    "b200.tcgen05.nvf4.f32",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse::<usize>().ok());
    let (size, rounds) = (numbers.next().unwrap_or(512), numbers.next().unwrap_or(5).max(1));
    let gpu = Gpu::open(&Choice::Default)?;
    println!("{}: products of {size} x {size} x {size}, median of {rounds}", gpu.name());
    println!("{:<34} {:>12} {:>12}", "unit", "GMAC/s", "prepare, ms");
    for name in UNITS {
        let fdpa = Fdpa::new(Datapath::by_name(name)?)?;
        let (product, prepare) = measure(gpu.client(), &fdpa, size, rounds)?;
        println!("{name:<34} {:>12.3} {:>12.3}", (size as f64).powi(3) / product / 1e9, prepare * 1e3);
    }
    Ok(())
}

/// Seconds of a product, and of preparing both operands.
fn measure(client: &Client, fdpa: &Fdpa, size: usize, rounds: usize) -> Result<(f64, f64), Box<dyn Error>> {
    let status = client.create_from_slice(u32::as_bytes(&[0, 0]));
    let matrices = [0, 1].map(|side| matrix(client, fdpa, side, size));
    let prepare = || -> Result<[Prepared; 2], interplay_gpu::Error> {
        let x = fdpa.prepare(client, &matrices[0], Operand::Activations, &status)?;
        Ok([x, fdpa.prepare(client, &matrices[1], Operand::Weights, &status)?])
    };
    // The first launch of a kernel compiles it.
    let [x, w] = prepare()?;
    fdpa.run(client, &x, &w)?;
    let product = median(client, rounds, || fdpa.run(client, &x, &w).map(drop))?;
    let prepare = median(client, rounds, || prepare().map(drop))?;
    if client.read_one(status)?.iter().any(|&byte| byte != 0) {
        return Err("the operands are none of the unit's".into());
    }
    Ok((product, prepare))
}

/// The median time of a launch and all that it waits for, in seconds.
fn median(
    client: &Client,
    rounds: usize,
    mut run: impl FnMut() -> Result<(), interplay_gpu::Error>,
) -> Result<f64, Box<dyn Error>> {
    block_on(client.sync())?;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let start = Instant::now();
        run()?;
        block_on(client.sync())?;
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

/// Numbers of three significant bits within a few binades, which every format but E2M1 has; for that one its own.
fn matrix(client: &Client, fdpa: &Fdpa, side: usize, size: usize) -> Matrix {
    let side = fdpa.unit().side(side);
    let mut state = 1u32 + side.index as u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (sign, fraction) = (state & 0x8000_0000, (state >> 20 & 3) << 21);
        if side.port.precision < 3 {
            return sign | (127 + (state >> 8) % 3) << 23 | fraction & 1 << 22;
        }
        sign | (123 + (state >> 8) % 7) << 23 | fraction
    };
    let elements: Vec<u32> = (0..size * size).map(|_| next()).collect();
    let blocks = side.scaling.map(|scaling| size * (size / scaling.block));
    // A code of 56 is 1 in UE4M3; an exponent of 56 serves as well.
    let scales = blocks.map(|blocks| client.create_from_slice(u32::as_bytes(&vec![56u32; blocks])));
    let elements = client.create_from_slice(u32::as_bytes(&elements));
    Matrix { elements, rows: size, k: size, scales, factors: None }
}
