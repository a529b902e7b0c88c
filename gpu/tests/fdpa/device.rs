//! The kernels against the CPU, on the device.

use super::operands::{Kind, Random, laid_out, values};
use crate::device::on_device;
use cubecl::prelude::*;
use cubecl::server::Handle;
use interplay_formats::Value;
use interplay_gpu::fdpa::{Fdpa, Matrix, Operand};
use interplay_hw::{Datapath, Row};
use libtest_mimic::Trial;

/// One unit of each kind of rounding, width and order.
const UNITS: [&str; 22] = [
    "volta.mma.f16.f32",
    "volta.mma.f16.f16",
    "turing.mma.f16.f32",
    "ampere.mma.f16.f16",
    "ampere.mma.bf16.f32",
    "ampere.mma.tf32.f32",
    "ada.mma.e4m3.f32",
    "ada.mma.e5m2.f16",
    "hopper.mma.f16.f32",
    "hopper.mma.bf16.f32",
    "hopper.mma.tf32.f32",
    "hopper.mma.e4m3.f32",
    "hopper.mma.e4m3.f16",
    "hopper.wgmma.e4m3.f32",
    "hopper.wgmma.e4m3xe5m2.f32",
    "b200.tcgen05.f16.f32",
    "b200.tcgen05.e4m3.f32",
    "b200.tcgen05.mxf8f6f4-e4m3.f32",
    "b200.tcgen05.mxf8f6f4-e5m2xe2m1.f32",
    "b200.tcgen05.mxf4.f32",
    "b200.tcgen05.nvf4.f32",
    "b200.tcgen05.nvf4-ue8m0.f32",
];

/// Shapes `m, n, k`.
const SHAPES: [(usize, usize, usize); 4] = [(1, 1, 1), (5, 3, 17), (33, 70, 45), (64, 64, 256)];

pub fn trials() -> Vec<Trial> {
    let trial = |name: &'static str| {
        on_device(format!("fdpa::device::{name}"), move |client| {
            against_cpu(client, name);
            Ok(())
        })
    };
    UNITS.into_iter().map(trial).collect()
}

/// The device's words.
fn read(client: &Client, handle: Handle) -> Vec<u32> {
    u32::from_bytes(client.read_one(handle).unwrap()).to_vec()
}

/// One operand: codes `[rows, k]` and scales `[rows, blocks]`.
struct Codes {
    rows: usize,
    k: usize,
    codes: Vec<u64>,
    scales: Vec<u64>,
}

impl Codes {
    fn row(&self, row: usize) -> (&[u64], &[u64]) {
        let blocks = self.scales.len() / self.rows;
        (&self.codes[row * self.k..][..self.k], &self.scales[row * blocks..][..blocks])
    }
}

fn against_cpu(client: &Client, name: &str) {
    let datapath = Datapath::by_name(name).unwrap();
    let fdpa = Fdpa::new(datapath).unwrap();
    let mut random = Random(7);
    for (m, n, k) in SHAPES {
        for kind in Kind::ALL {
            let codes = datapath.codes().unwrap();
            let k = codes.scale.map_or(k, |scale| k.next_multiple_of(scale.block));
            let blocks = codes.scale.map_or(0, |scale| k / scale.block);
            let operand = |format, rows: usize, random: &mut Random| Codes {
                rows,
                k,
                codes: kind.row(format, rows * k, random),
                scales: (0..rows * blocks)
                    .map(|_| super::operands::scale(codes.scale.unwrap().format, random))
                    .collect(),
            };
            let x = operand(codes.a.format, m, &mut random);
            let w = operand(codes.b.format, n, &mut random);
            let status = client.create_from_slice(u32::as_bytes(&[0, 0]));
            let upload = |words: &[u32]| client.create_from_slice(u32::as_bytes(words));
            let matrix = |codes: &Codes, side: usize| Matrix {
                elements: upload(&values(
                    &codes.codes,
                    [datapath.codes().unwrap().a, datapath.codes().unwrap().b][side].format,
                )),
                rows: codes.rows,
                k,
                scales: fdpa.unit().side(side).scaling.map(|scaling| {
                    upload(&laid_out(datapath.codes().unwrap().scale.unwrap().format, &codes.scales, scaling))
                }),
            };
            let px = fdpa.prepare(client, &matrix(&x, 0), Operand::Activations, &status);
            let pw = fdpa.prepare(client, &matrix(&w, 1), Operand::Weights, &status);
            let simple = read(client, fdpa.run_simple(client, &px, &pw));
            let tiled = read(client, fdpa.run(client, &px, &pw));
            assert_eq!(read(client, status), [0, 0], "{name}, {kind:?}: refused elements");
            // Large products are compared kernel with kernel, and by the interpreter on a part of their outputs.
            let every = (m * n).div_ceil(600);
            for at in 0..m * n {
                let want = if at % every == 0 {
                    definition(datapath, &x, &w, (at / n, at % n), fdpa.unit().nan())
                } else {
                    simple[at]
                };
                assert_eq!(
                    (simple[at], tiled[at]),
                    (want, want),
                    "{name}, {kind:?}, {m} {n} {k}: simple and tiled output {at} are {:08x} {:08x}, not {want:08x}",
                    simple[at],
                    tiled[at]
                );
            }
        }
    }
}

/// One output by the interpreter.
fn definition(datapath: &Datapath, x: &Codes, w: &Codes, (row, column): (usize, usize), nan: u32) -> u32 {
    let ((a, scale_a), (b, scale_b)) = (x.row(row), w.row(column));
    let code = datapath.dot(Row { a, b, c: 0, scale_a, scale_b, metadata: &[] }, None).unwrap();
    match datapath.accumulator.d.decode(code) {
        Value::Nan => nan,
        value => value.to_f32().to_bits(),
    }
}
