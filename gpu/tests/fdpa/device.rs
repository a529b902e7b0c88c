//! The kernels against the CPU, on the device.

use super::operands::{Kind, Random, values};
use cubecl::Device;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;
use interplay_gpu::fdpa::{Fdpa, Matrix, Operand};
use interplay_hw::datapath::Operand as Values;
use interplay_hw::Datapath;
use libtest_mimic::Trial;

/// One unit of each kind of rounding, width and order.
const UNITS: [&str; 3] = ["volta.mma.f16.f32", "hopper.wgmma.e4m3.f32", "hopper.mma.e4m3.f16"];

/// Shapes `m, n, k`.
const SHAPES: [(usize, usize, usize); 4] = [(1, 1, 1), (5, 3, 17), (33, 70, 45), (64, 64, 256)];

pub fn trials() -> Vec<Trial> {
    let trial = |name: &'static str| {
        Trial::test(format!("fdpa::device::{name}"), move || {
            against_cpu(name);
            Ok(())
        })
    };
    UNITS.into_iter().map(trial).collect()
}

/// The device's words.
fn read(client: &Client, handle: Handle) -> Vec<u32> {
    u32::from_bytes(&client.read_one(handle).unwrap()).to_vec()
}

fn against_cpu(name: &str) {
    let datapath = Datapath::by_name(name).unwrap();
    let codes = datapath.codes().unwrap();
    let fdpa = Fdpa::new(datapath).unwrap();
    let client = Device::Wgpu(Default::default()).client();
    let mut random = Random(7);
    for (m, n, k) in SHAPES {
        for kind in Kind::ALL {
            let x = values(&kind.row(codes.a.format, m * k, &mut random), codes.a.format);
            let w = values(&kind.row(codes.b.format, n * k, &mut random), codes.b.format);
            let status = client.create_from_slice(u32::as_bytes(&[0, 0]));
            let matrix = |values: &[u32], rows: usize| Matrix {
                elements: client.create_from_slice(u32::as_bytes(values)),
                rows,
                k,
                scales: None,
            };
            let px = fdpa.prepare(&client, &matrix(&x, m), Operand::Activations, &status);
            let pw = fdpa.prepare(&client, &matrix(&w, n), Operand::Weights, &status);
            let simple = read(&client, fdpa.run_simple(&client, &px, &pw));
            let tiled = read(&client, fdpa.run(&client, &px, &pw));
            let floats = |bits: &[u32]| bits.iter().map(|&bits| f32::from_bits(bits)).collect::<Vec<f32>>();
            let (x, w) = (floats(&x), floats(&w));
            let want = datapath.gemm_reference(Values::Values { data: &x, k }, Values::Values { data: &w, k }).unwrap();
            let want: Vec<u32> = want.iter().map(|value| value.to_bits()).collect();
            assert_eq!(read(&client, status), [0, 0], "{name}, {kind:?}: refused elements");
            for (kernel, got) in [("simple", simple), ("tiled", tiled)] {
                let wrong = got.iter().zip(&want).position(|(got, want)| got != want);
                if let Some(at) = wrong {
                    panic!("{name}, {kind:?}, {m} {n} {k}, {kernel}: output {at} {:08x}, not {:08x}", got[at], want[at]);
                }
            }
        }
    }
}
