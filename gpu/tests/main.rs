use cubecl::prelude::*;
use cubecl::wgpu::{WgpuDevice, WgpuRuntime};
fn main() {
    assert_eq!(interplay_gpu::double(3, 4), 6);
    let client = WgpuRuntime::client(&WgpuDevice::DefaultDevice);
    println!("{:?}", client.properties());
}
