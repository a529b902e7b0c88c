//! What formats do to matrices on the device.

use super::expected::{Matrix, difference, expected, formats, inputs};
use super::rules::compare;
use crate::device::on_device;
use cubecl::client::Client;
use cubecl::server::Handle;
use interplay_formats::Format;
use interplay_gpu::format::{Quantizer, Status};
use libtest_mimic::{Failed, Trial};

pub fn trials() -> Vec<Trial> {
    let one = |format: &'static Format| {
        on_device(format!("format: {} on the device", format.name), move |client| on_matrices(client, format))
    };
    formats().into_iter().map(one).collect()
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
    if flags == 0 {
        let mut plain = x.to_vec();
        format.fake_quantize_seeded(&mut plain, k, 7).map_err(|e| e.to_string())?;
        let plain: Vec<u32> = plain.into_iter().map(super::expected::canonical).collect();
        difference("fake value", &got.values, &plain)?;
    }
    Ok(())
}
