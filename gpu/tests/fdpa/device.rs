//! The kernels against the CPU, on the device.

use super::operands::{Kind, Random, Side, definition};
use crate::device::on_device;
use cubecl::prelude::*;
use cubecl::server::Handle;
use interplay_gpu::fdpa::{Fdpa, Matrix, Operand, Prepared};
use interplay_hw::Datapath;
use libtest_mimic::{Failed, Trial};

/// Units of each rounding, width and order.
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
const SHAPES: [[usize; 3]; 4] = [[1, 1, 1], [5, 3, 17], [33, 70, 45], [64, 64, 256]];

/// Outputs of a product that the interpreter computes; the others are compared between the kernels.
const JUDGED: usize = 600;

pub fn trials() -> Vec<Trial> {
    let unit = |name: &'static str| {
        on_device(format!("fdpa::device::{name}"), move |client| {
            SHAPES.iter().for_each(|&shape| against_cpu(client, name, shape));
            Ok(())
        })
    };
    let mut all: Vec<Trial> = UNITS.into_iter().map(unit).collect();
    all.push(on_device("fdpa::device::strangers".to_owned(), strangers));
    all.push(on_device("fdpa::device::nothing".to_owned(), nothing));
    all
}

/// The device's words.
fn read(client: &Client, handle: Handle) -> Vec<u32> {
    u32::from_bytes(&client.read_one(handle).unwrap()).to_vec()
}

/// An operand on the device.
fn prepare(client: &Client, fdpa: &Fdpa, side: &Side, operand: Operand, status: &Handle) -> Prepared {
    let upload = |words: Vec<u32>| client.create_from_slice(u32::as_bytes(&words));
    let scaling = fdpa.unit().side(usize::from(operand == Operand::Weights)).scaling;
    let scales = scaling.map(|scaling| upload(side.laid_out(scaling)));
    let matrix = Matrix { elements: upload(side.values()), rows: side.rows, k: side.k, scales, factors: None };
    fdpa.prepare(client, &matrix, operand, status).unwrap()
}

/// Both kernels on operands of every kind.
fn against_cpu(client: &Client, name: &str, [m, n, k]: [usize; 3]) {
    let datapath = Datapath::by_name(name).unwrap();
    let fdpa = Fdpa::new(datapath).unwrap();
    let mut random = Random(7);
    for kind in Kind::ALL {
        let (x, w) = Side::pair(datapath, kind, [m, n, k], &mut random);
        let status = client.create_from_slice(u32::as_bytes(&[0, 0]));
        let px = prepare(client, &fdpa, &x, Operand::Activations, &status);
        let pw = prepare(client, &fdpa, &w, Operand::Weights, &status);
        let simple = read(client, fdpa.run_simple(client, &px, &pw).unwrap());
        let tiled = read(client, fdpa.run(client, &px, &pw).unwrap());
        assert_eq!(read(client, status), [0, 0], "{name}, {kind:?}: refused elements");
        for at in 0..m * n {
            let judged = at % (m * n).div_ceil(JUDGED) == 0;
            let nan = fdpa.unit().nan();
            let want = if judged { definition(datapath, &x, &w, [at / n, at % n], nan) } else { simple[at] };
            let got = [simple[at], tiled[at]];
            assert_eq!(
                got, [want; 2],
                "{name}, {kind:?}, {m} {n} {k}: simple and tiled output {at} are {got:08x?}, not {want:08x}"
            );
        }
    }
}

/// A number that the input format does not have is reported, for its side alone.
fn strangers(client: &Client) -> Result<(), Failed> {
    let fdpa = Fdpa::new(Datapath::by_name("hopper.wgmma.e4m3.f32")?)?;
    // Too fine, too large, an infinity; the format's largest number and its smallest are its own.
    let values = [(1.0625f32, 1), (449.0, 1), (f32::INFINITY, 1), (448.0, 0), (0.001953125, 0), (f32::NAN, 0)];
    for (value, strange) in values {
        for operand in [Operand::Activations, Operand::Weights] {
            let status = client.create_from_slice(u32::as_bytes(&[0, 0]));
            let words = [0, value.to_bits(), 1f32.to_bits()];
            let elements = client.create_from_slice(u32::as_bytes(&words));
            let matrix = Matrix { elements, rows: 1, k: 3, scales: None, factors: None };
            fdpa.prepare(client, &matrix, operand, &status)?;
            let want = if operand == Operand::Activations { [strange, 0] } else { [0, strange] };
            assert_eq!(read(client, status), want, "{value}, {operand:?}");
        }
    }
    Ok(())
}

/// Operands without rows or without a reduction.
fn nothing(client: &Client) -> Result<(), Failed> {
    let fdpa = Fdpa::new(Datapath::by_name("ada.mma.e4m3.f32")?)?;
    let status = client.create_from_slice(u32::as_bytes(&[0, 0]));
    let empty = |rows: usize, k: usize, operand: Operand| {
        let matrix =
            Matrix { elements: client.create_from_slice(u32::as_bytes(&[0])), rows, k, scales: None, factors: None };
        fdpa.prepare(client, &matrix, operand, &status)
    };
    let y = fdpa.run(client, &empty(2, 0, Operand::Activations)?, &empty(3, 0, Operand::Weights)?)?;
    assert_eq!(read(client, y), [0; 6]);
    fdpa.run(client, &empty(0, 5, Operand::Activations)?, &empty(3, 5, Operand::Weights)?)?;
    Ok(())
}
