//! What formats do to matrices on the device.

use super::expected::{Matrix, difference, expected, formats, inputs};
use super::plain_device::{on_plain_device, refuses_64_bits};
use super::rules::compare;
use crate::device::on_device;
use cubecl::client::Client;
use cubecl::server::Handle;
use interplay_formats::{Block, Format, Scale};
use interplay_gpu::DeviceOperand;
use interplay_gpu::format::{DeviceQuantized, Quantizer, Status};
use libtest_mimic::{Failed, Trial};

pub fn trials() -> Vec<Trial> {
    let one = |format: &'static Format| {
        let name = format!("format: {} on a device without 64-bit integers", format.name);
        on_plain_device(name, move |client| on_matrices(client, format))
    };
    let control = on_plain_device("format: that device refuses 64-bit integers".to_owned(), refuses_64_bits);
    let mut all: Vec<Trial> = formats().into_iter().map(one).chain([control]).collect();
    for (name, rows, k) in LARGE {
        let title = format!("format: {name} of a matrix [{rows}, {k}] on the default device");
        all.push(on_device(title, move |client| {
            let quantizer = Quantizer::new(Format::by_name(name)?)?;
            Ok(check(client, &quantizer, &waves(rows * k), (rows, k))?)
        }));
    }
    all.push(on_device("format: a matrix without elements on the default device".to_owned(), empty));
    all
}

/// More pieces than a cube has units, the last one short; more cubes than one dimension of a launch has.
const LARGE: [(&str, usize, usize); 5] = [
    ("nvfp4", 70, 16_411),
    ("int8-tensor", 70, 16_411),
    ("int8-asym-tensor", 3, 16_385),
    ("int8", 66_000, 65),
    ("int8-feature", 65, 66_000),
];

/// Numbers of both signs whose magnitudes rise to a single largest one near the end.
fn waves(count: usize) -> Vec<f32> {
    let wave = |i: usize| ((i * 7919) % 1009) as f32 - 504.0;
    let mut all: Vec<f32> = (0..count).map(|i| wave(i) * (1.0 + i as f32)).collect();
    all[count - 2] = -3e9;
    all
}

fn empty(client: &Client) -> Result<(), Failed> {
    for name in ["mxfp8", "int8", "nvfp4", "fp16"] {
        let quantizer = Quantizer::new(Format::by_name(name)?)?;
        let (values, status) = (upload(client, &[1.0]), Status::new(client));
        for shape in [(0, 32), (4, 0)] {
            quantizer.fake(client, &values, shape, 0, &status);
            let q = quantizer.quantize(client, &values, shape, 0, &status);
            assert_eq!((q.rows, q.k, q.k_padded), (shape.0, shape.1, shape.1));
        }
        assert_eq!(status.read(client)?, 0);
    }
    Ok(())
}

fn words(client: &Client, handle: &Handle, count: usize) -> Result<Vec<u32>, String> {
    let bytes = client.read_one(handle.clone()).map_err(|e| e.to_string())?;
    Ok(bytes.as_chunks().0.iter().take(count).map(|&word| u32::from_le_bytes(word)).collect())
}

fn upload(client: &Client, x: &[f32]) -> Handle {
    let bytes: Vec<u8> = x.iter().flat_map(|v| v.to_bits().to_le_bytes()).collect();
    client.create_from_slice(&bytes)
}

fn on_matrices(client: &Client, format: &'static Format) -> Result<(), Failed> {
    let quantizer = Quantizer::new(format).map_err(|e| e.to_string())?;
    let shapes = [(5, 100, true), (64, 256, false)];
    for (rows, k, special) in shapes {
        for (i, x) in inputs(rows, k, special).iter().enumerate() {
            check(client, &quantizer, x, (rows, k)).map_err(|e| format!("[{rows}, {k}] input {i}: {e}"))?;
        }
    }
    Ok(())
}

/// One matrix, held to the CPU's bits; or refused by both.
fn check(client: &Client, quantizer: &Quantizer, x: &[f32], (rows, k): (usize, usize)) -> Result<(), String> {
    let format = quantizer.format();
    let values = upload(client, x);
    let status = Status::new(client);
    let fake = quantizer.fake(client, &values, (rows, k), 7, &status);
    let q = quantizer.quantize(client, &values, (rows, k), 7, &status);
    let flags = status.read(client).map_err(|e| e.to_string())?;
    if (flags & 2 == 0) != x.iter().all(|v| v.is_finite()) {
        return Err(format!("flags {flags}"));
    }
    let want = match expected(format, x, k, 7) {
        Err(_) if flags & 1 == 1 => return Ok(()),
        Err(e) => return Err(format!("only the CPU refuses: {e}")),
        Ok(_) if flags & 1 == 1 => return Err("only the device refuses".to_owned()),
        Ok(want) => want,
    };
    let blocks = rows.div_ceil(q.block_rows) * (q.k_padded / q.block);
    let read = |handle: &Option<Handle>, count| handle.as_ref().map_or(Ok(Vec::new()), |h| words(client, h, count));
    let got = Matrix {
        codes: words(client, &q.codes, rows * q.k_padded)?,
        elements: words(client, &q.elements, rows * q.k_padded)?,
        scales: read(&q.scales, blocks)?,
        zeros: read(&q.zeros, blocks)?,
        tensor_scale: None,
        values: words(client, &fake, rows * k)?,
    };
    let tensor = want.tensor_scale.map_or(Vec::new(), |scale| vec![scale; rows]);
    difference("tensor scale", &read(&q.tensor_scale, rows)?, &tensor)?;
    compare(format, &got, &Matrix { tensor_scale: None, ..want })?;
    as_operand(client, format, q, x)?;
    if flags == 0 {
        let mut plain = x.to_vec();
        format.fake_quantize_seeded(&mut plain, k, 7).map_err(|e| e.to_string())?;
        let plain: Vec<u32> = plain.into_iter().map(super::expected::canonical).collect();
        difference("fake value", &got.values, &plain)?;
    }
    Ok(())
}

/// The operand that units take is the one that is made of what the CPU quantised; or no unit reads the scales.
fn as_operand(client: &Client, format: &'static Format, q: DeviceQuantized, x: &[f32]) -> Result<(), String> {
    let (rows, k, across) = (q.rows, q.k, q.k_padded / q.block);
    let got = match (DeviceOperand::quantized(format, q), format.scaling.map(|s| (s.scale, s.block))) {
        (Ok(operand), _) => operand,
        (Err(_), Some((Scale::Affine(_) | Scale::Micro { .. }, _))) => return Ok(()),
        (Err(_), Some((Scale::Float32, Block::Run(_)) | (_, Block::Column | Block::Tile { .. } | Block::Tensor))) => {
            return Ok(());
        }
        (Err(e), _) => return Err(e.to_string()),
    };
    let on_cpu = format.quantize_any(x, k, 7).map_err(|e| e.to_string())?;
    let want = DeviceOperand::upload(client, &on_cpu).map_err(|e| e.to_string())?;
    let read = |handle: &Option<Handle>, n| handle.as_ref().map_or(Ok(Vec::new()), |h| words(client, h, n));
    difference("operand scale", &read(&got.scales, rows * across)?, &read(&want.scales, rows * across)?)?;
    difference("operand factor", &read(&got.factors, rows)?, &read(&want.factors, rows)?)?;
    let count = rows * got.k_padded;
    difference("operand element", &words(client, &got.elements, count)?, &words(client, &want.elements, count)?)
}
