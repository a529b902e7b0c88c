//! Checksums of our own results, committed, so that a change of bits on any machine shows without other files.
//!
//! `INTERPLAY_UPDATE=1 cargo test -p interplay-formats --test formats packs` writes them anew.

use crate::support::{Random, case};
use interplay_formats::{Format, Pattern};
use libtest_mimic::Trial;
use std::path::Path;

pub fn trials() -> Vec<Trial> {
    vec![case("packs::checksums", checksums)]
}

/// 64-bit FNV-1a.
fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xCBF2_9CE4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01B3))
}

/// 64 rows of 100: a short last block, rows of every magnitude, a row of zeros.
fn input() -> Vec<f32> {
    let mut random = Random(2026);
    let mut x: Vec<f32> =
        (0..64).flat_map(|row| (0..100).map(move |_| row * 4 - 140)).map(|e| random.near(e)).collect();
    x[300..400].fill(0.0);
    x
}

/// One line a format: its name; packed bytes dense and 2:4; values.
fn computed() -> String {
    let x = input();
    let two_of_four: Pattern = "2:4".parse().expect("a pattern");
    let mask = two_of_four.magnitude_mask(&x, 100).expect("4 divides 100");
    let line = |format: &'static Format| {
        let q = format.quantize(&x, 100).expect("finite");
        let packed = |mask| {
            let p = q.packed(mask).expect("the same shape");
            fnv([p.values, p.scales, p.metadata].concat())
        };
        let values = fnv(q.dequantize().iter().flat_map(|v| v.to_bits().to_le_bytes()));
        format!("{} {:016x} {:016x} {values:016x}\n", format.name, packed(None), packed(Some(&mask)))
    };
    Format::all().iter().map(line).collect()
}

fn checksums() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packs/checksums.txt");
    if std::env::var("INTERPLAY_UPDATE").is_ok_and(|v| v == "1") {
        std::fs::write(&path, computed()).expect("the tests' own folder is writable");
    }
    let committed = std::fs::read_to_string(&path).expect("the pack is committed");
    let (got, want) = (computed(), committed);
    for (got, want) in got.lines().zip(want.lines()) {
        assert_eq!(got, want);
    }
    assert_eq!(got.lines().count(), want.lines().count(), "a format came or went: update the pack");
}
