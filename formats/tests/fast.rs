//! The fast path against the reference path: bit for bit, codes, scales and values.

use crate::support::{Random, case, codes, interesting, same_bits};
use interplay_formats::Format;
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let formats = Format::all().iter();
    formats.map(|format| case(&format!("fast::{}", format.name), move || every_shape(format))).collect()
}

/// All outputs of the fast path for one matrix.
#[track_caller]
fn check(format: &'static Format, x: &[f32], k: usize) {
    let slow = format.quantize_reference(x, k).expect("finite input of whole rows");
    let fast = format.quantize(x, k).expect("finite input of whole rows");
    let (got, want) = (codes(&fast), codes(&slow));
    let first = (0..want.len()).find(|&i| got[i] != want[i]);
    assert_eq!(first.map(|i| (i, got[i], want[i])), None, "{} in rows of {k}: the first code to differ", format.name);
    assert!(fast == slow, "{} in rows of {k}: shapes or scales differ", format.name);
    let values = slow.dequantize_reference();
    same_bits(&fast.dequantize(), &values, format.name);
    let mut fake = x.to_vec();
    format.fake_quantize(&mut fake, k).expect("finite input of whole rows");
    same_bits(&fake, &values, format.name);
}

fn every_shape(format: &'static Format) {
    let sweep = interesting();
    let whole = |k: usize| &sweep[..sweep.len() / k * k];
    // Neighbours side by side, so that every block's amax is near its elements …
    check(format, whole(64), 64);
    check(format, whole(4096), 4096);
    // … and far apart, so that elements vanish beside amax.
    let stride = 40_503;
    let shuffled: Vec<f32> = (0..sweep.len()).map(|i| sweep[i * stride % sweep.len()]).collect();
    check(format, &shuffled[..shuffled.len() / 100 * 100], 100);

    let mut random = Random(7);
    let bits: Vec<f32> = (0..1 << 17).map(|_| random.finite()).collect();
    check(format, &bits, 1 << 10);
    for exponent in (-150..=127).step_by(3) {
        for k in [1, 7, 31, 32, 33, 63, 64, 65, 96, 130] {
            let x: Vec<f32> = (0..2 * k).map(|_| random.near(exponent)).collect();
            check(format, &x, k);
        }
    }
    for tiny in [0.0, -0.0, f32::from_bits(1), f32::MIN_POSITIVE, f32::MAX, -f32::MAX] {
        check(format, &[tiny; 80], 80);
        check(format, &[tiny, 0.0, -0.0, -tiny], 4);
    }
    check(format, &[], 5);
    check(format, &[], 0);
}
