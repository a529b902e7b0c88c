//! The kernels against the CPU, on the device.

use super::operands::{Kind, Random, Side, definition};
use crate::device::on_device;
use cubecl::prelude::*;
use cubecl::server::Handle;
use interplay_formats::{Codes, Format, Quantized, Scales};
use interplay_gpu::fdpa::{Fdpa, Matrix, Operand, Prepared};
use interplay_gpu::{DeviceOperand, Error};
use interplay_hw::Datapath;
use interplay_hw::datapath::Operand as Values;
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
    all.push(on_device("fdpa::device::quantised".to_owned(), quantised));
    all.push(on_device("fdpa::device::nan_scales".to_owned(), nan_scales));
    all.push(on_device("fdpa::device::refused".to_owned(), refused));
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

/// Quantised operands of a format against [`Datapath::gemm`], factors of rows and tensors included.
fn quantised(client: &Client) -> Result<(), Failed> {
    let mut random = Random(11);
    let (m, n, k) = (5, 7, 150);
    let mut values = |rows: usize| -> Vec<f32> {
        let value = |random: &mut Random| (random.below(2001) as f32 - 1000.0) / 128.0;
        (0..rows * k).map(|i| if i / 32 % 5 == 4 { 0.0 } else { value(&mut random) }).collect()
    };
    let (x, w) = (values(m), values(n));
    let pairs = [
        ("ada.mma.e4m3.f32", "e4m3", "e4m3"),
        ("hopper.mma.bf16.f32", "bf16", "bf16"),
        ("b200.tcgen05.mxf8f6f4-e4m3xe5m2.f32", "mxfp8-e4m3", "mxfp8-e5m2"),
        ("b200.tcgen05.mxf4.f32", "mxfp4", "mxfp4"),
        ("b200.tcgen05.nvf4.f32", "nvfp4-te", "nvfp4-torchao"),
    ];
    for (name, fx, fw) in pairs {
        let datapath = Datapath::by_name(name)?;
        let fdpa = Fdpa::new(datapath)?;
        let (qx, qw) = (Format::by_name(fx)?.quantize(&x, k)?, Format::by_name(fw)?.quantize(&w, k)?);
        let want = datapath.gemm(Values::Quantized(&qx), &datapath.prepare(Values::Quantized(&qw))?)?;
        let status = client.create_from_slice(u32::as_bytes(&[0, 0]));
        let (dx, dw) = (DeviceOperand::upload(client, &qx)?, DeviceOperand::upload(client, &qw)?);
        let px = fdpa.prepare(client, &fdpa.matrix(&dx, Operand::Activations)?, Operand::Activations, &status)?;
        let pw = fdpa.prepare(client, &fdpa.matrix(&dw, Operand::Weights)?, Operand::Weights, &status)?;
        let got = read(client, fdpa.run(client, &px, &pw)?);
        let want: Vec<u32> = want.iter().map(|value| value.to_bits()).collect();
        assert_eq!(got, want, "{name}");
        assert_eq!(read(client, status), [0, 0], "{name}: refused elements");
    }
    Ok(())
}

/// The NaN scale of a block of zeros has no effect, as on the CPU; which refuses others, so that the rules alone have those.
fn nan_scales(client: &Client) -> Result<(), Failed> {
    let datapath = Datapath::by_name("b200.tcgen05.mxf8f6f4-e4m3.f32")?;
    let (format, fdpa) = (Format::by_name("mxfp8-e4m3")?, Fdpa::new(datapath)?);
    let mut codes = vec![0x38u8; 128];
    codes[32..64].fill(0);
    let scales = [127, 255, 127, 127].to_vec();
    let of =
        |codes: Vec<u8>, scales| Quantized::from_parts(format, 2, 64, Codes::U8(codes), Scales::E8M0(scales), None);
    let x = of(codes, scales)?;
    let w = of(vec![0x38u8; 128], vec![127; 4])?;
    for (x, w) in [(&x, &w), (&w, &x)] {
        let want = datapath.gemm(Values::Quantized(x), &datapath.prepare(Values::Quantized(w))?)?;
        let status = client.create_from_slice(u32::as_bytes(&[0, 0]));
        let (dx, dw) = (DeviceOperand::upload(client, x)?, DeviceOperand::upload(client, w)?);
        let px = fdpa.prepare(client, &fdpa.matrix(&dx, Operand::Activations)?, Operand::Activations, &status)?;
        let pw = fdpa.prepare(client, &fdpa.matrix(&dw, Operand::Weights)?, Operand::Weights, &status)?;
        let want: Vec<u32> = want.iter().map(|value| value.to_bits()).collect();
        assert_eq!(read(client, fdpa.run(client, &px, &pw)?), want);
    }
    Ok(())
}

/// What does not go together is refused.
fn refused(client: &Client) -> Result<(), Failed> {
    let status = client.create_from_slice(u32::as_bytes(&[0, 0]));
    let matrix = |k: usize| Matrix { elements: client.empty(4 * k), rows: 1, k, scales: None, factors: None };
    let [plain, other, scaled] = ["ada.mma.e4m3.f32", "ada.mma.e5m2.f32", "b200.tcgen05.nvf4.f32"]
        .map(|name| Fdpa::new(Datapath::by_name(name).unwrap()).unwrap());
    let x = plain.prepare(client, &matrix(8), Operand::Activations, &status)?;
    let short = plain.prepare(client, &matrix(7), Operand::Weights, &status)?;
    let strange = other.prepare(client, &matrix(8), Operand::Weights, &status)?;
    let mxfp4 = DeviceOperand::upload(client, &Format::by_name("mxfp4")?.quantize(&[1.0; 64], 64)?)?;
    let errors = [
        ("x", plain.run(client, &x, &short).err()),
        ("w", plain.run(client, &x, &strange).err()),
        ("w", plain.run(client, &x, &x).err()),
        ("x", scaled.prepare(client, &matrix(16), Operand::Activations, &status).err()),
        ("w", scaled.matrix(&mxfp4, Operand::Weights).err()),
        ("x", plain.matrix(&mxfp4, Operand::Activations).err()),
    ];
    for (wanted, error) in errors {
        match error {
            Some(Error::Operand { side, .. }) if side == wanted => {}
            other => panic!("{wanted}: {other:?}"),
        }
    }
    Ok(())
}
