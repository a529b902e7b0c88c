//! Products on the GPU: our kernels beside Burn's own f32 matmul on the same device.
//!
//! `cargo bench -p interplay --features wgpu --bench gpu -- SIZE ROUNDS` prints, for square products, the median of each after one
//! launch that compiles, in GMAC/s, and the ratio to Burn's. The bound of our kernels is the device's rate of 32-bit integer
//! operations over the operations a product (see `gpu/benches`); Burn's is that of its FP32 units, which are twice as many on
//! recent NVIDIA cards: the ratio says what bit-accuracy costs, not how good a kernel is.

use std::time::Instant;

use burn::backend::{Backend as _, Wgpu};
use burn::nn::LinearConfig;
use burn::tensor::{Device, Distribution, Tensor};
use interplay::Error;
use interplay::burn::{Backend, Captured, Hook, Off, Units, capture};
use interplay::plan::{LayerSpec, Plan, Preset};

/// Formats and units to measure.
const CELLS: [[&str; 2]; 6] = [
    ["int8", "int8"],
    ["hbfp8", "block"],
    ["mxfp8", "block"],
    ["nvfp4", "block"],
    ["mxfp8", "fake"],
    ["e4m3", "hopper.wgmma.e4m3.f32"],
];

fn main() -> Result<(), Error> {
    Backend::Wgpu.check()?;
    let mut given = std::env::args().skip(1).filter_map(|argument| argument.parse::<usize>().ok());
    let (size, rounds) = (given.next().unwrap_or(256).max(1), given.next().unwrap_or(5).max(1));
    let linear = LinearConfig::new(size, size).with_bias(false).init(&Device::flex());
    let x = Tensor::<2>::random([size, size], Distribution::Default, &Device::flex());
    let captured = capture(&linear, |layer, x: Tensor<2>| layer.forward(x), &x)?.on(Backend::Wgpu);
    let x = x.to_device(&Device::wgpu(burn::tensor::DeviceKind::DefaultDevice));
    let macs = (size * size * size) as f64;
    let burns = median(&captured, &x, &mut Off, rounds)?;
    println!("{size}^3, median of {rounds}\nburn f32: {:.3} GMAC/s", macs / burns / 1e9);
    for [format, datapath] in CELLS {
        let spec = LayerSpec { format: Some(format.into()), datapath: Some(datapath.into()), ..LayerSpec::default() };
        let mut units = Units::new(&captured, &Plan::new(Preset::All, spec.resolve()?), "")?;
        let ours = median(&captured, &x, &mut units, rounds)?;
        units.check()?;
        let rate = macs / ours / 1e9;
        println!("{format} on {datapath}, quantising activations too: {rate:.3} GMAC/s, {:.2} of Burn's", burns / ours);
    }
    Ok(())
}

/// Seconds of one product, all of it on the device.
fn median(captured: &Captured, x: &Tensor<2>, hook: &mut dyn Hook, rounds: usize) -> Result<f64, Error> {
    let mut seconds = Vec::new();
    for round in 0..=rounds {
        let start = Instant::now();
        let _y: Tensor<2> = captured.run(x.clone(), hook)?;
        let synced = Wgpu::sync(&Default::default());
        synced.map_err(|error| Error::Invalid(format!("the GPU did not answer: {error:?}")))?;
        // The first launch compiles.
        if round > 0 {
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}
