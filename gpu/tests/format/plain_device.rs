//! A device on which no optional feature is on: neither 64-bit integers nor narrow or wide floats.

use cubecl::Device;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::wgpu::{RuntimeOptions, WgpuDevice, WgpuSetup, init_device, wgpu};
use libtest_mimic::{Failed, Trial};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

/// A case on such a device, ignored where there is none.
pub fn on_plain_device(name: String, run: impl FnOnce(&Client) -> Result<(), Failed> + Send + 'static) -> Trial {
    match device() {
        Ok(device) => Trial::test(name, move || run(&Device::Wgpu(device).client())),
        Err(reason) => Trial::test(format!("{name} ({reason})"), || Ok(())).with_ignored_flag(true),
    }
}

/// The device, or why there is none.
fn device() -> Result<WgpuDevice, String> {
    static DEVICE: OnceLock<Result<WgpuDevice, String>> = OnceLock::new();
    DEVICE.get_or_init(open).clone()
}

fn open() -> Result<WgpuDevice, String> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = now(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?.map_err(|e| e.to_string())?;
    let descriptor = wgpu::DeviceDescriptor {
        required_features: wgpu::Features::empty(),
        required_limits: adapter.limits(),
        ..Default::default()
    };
    let (device, queue) = now(adapter.request_device(&descriptor))?.map_err(|e| e.to_string())?;
    let backend = adapter.get_info().backend;
    Ok(init_device(WgpuSetup { instance, adapter, device, queue, backend }, RuntimeOptions::default()))
}

/// What a future holds that is ready at once, as those of native drivers are.
fn now<T>(future: impl Future<Output = T>) -> Result<T, String> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Ok(done),
        Poll::Pending => Err("the driver did not answer at once".to_owned()),
    }
}

#[cube(launch)]
fn with_64_bits(words: &mut [u32]) {
    if ABSOLUTE_POS == 0 {
        let product = words[0] as u64 * words[1] as u64;
        words[0] = (product >> 32u64) as u32;
    }
}

/// The device refuses what this crate must not write; or that it runs the kernels would say nothing.
/// A device of its own, as a refused kernel may spoil it.
pub fn refuses_64_bits(_: &Client) -> Result<(), Failed> {
    let client = &Device::Wgpu(open()?).client();
    let bytes: Vec<u8> = [u32::MAX, u32::MAX].iter().flat_map(|word| word.to_le_bytes()).collect();
    let words = client.create_from_slice(&bytes);
    let arg = unsafe { BufferArg::from_raw_parts(words.clone(), 2) };
    with_64_bits::launch(client, CubeCount::new_single(), CubeDim::new_1d(1), arg);
    match client.read_one(words) {
        Err(error) if format!("{error:?}").contains("u64") => Ok(()),
        Err(error) => Err(format!("another failure: {error:?}").into()),
        Ok(_) => Err("a kernel with 64-bit integers ran".into()),
    }
}
