//! Sizes of sparse storage by hand: to the bit, in libraries, and with scales.

use crate::patterns::pattern;
use crate::support::{Random, case};
use interplay_formats::Format;
use interplay_formats::sparse::{Compressed, Layout, Sizes};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("sparse_sizes::ideal_sizes_by_hand", ideal_sizes_by_hand),
        case("sparse_sizes::library_sizes_by_hand", library_sizes_by_hand),
        case("sparse_sizes::bits_an_element_with_scales", bits_an_element_with_scales),
    ]
}

/// A matrix [rows, k] pruned by magnitude and compressed from codes that are all 1.
fn sizes(layout: Layout, width: u32, text: &str, rows: usize, k: usize) -> Sizes {
    let mut random = Random(29);
    let w: Vec<f32> = (0..rows * k).map(|_| random.near(0)).collect();
    let mask = pattern(text).magnitude_mask(&w, k).expect("whole groups");
    Compressed::compress(layout, width, &vec![1; w.len()], &mask).expect("this layout").sizes()
}

/// Bits by formula, in 64 x 128 positions.
fn ideal_sizes_by_hand() {
    let positions = 64 * 128;
    let tile_bits = 4 * 3 * (positions / (64 * 8));
    let cases = [
        (Layout::Logical, 16, "2:4", positions * 16 * 9 / 16),
        (Layout::Cutlass, 16, "2:4", positions * 16 * 9 / 16),
        (Layout::Logical, 8, "2:4", positions * 8 * 10 / 16),
        (Layout::Cutlass, 8, "2:4", positions * 8 * 10 / 16),
        (Layout::OneOfTwo, 32, "1:2", positions * 32 * 9 / 16),
        (Layout::Pairwise, 4, "4:8p", positions * 4 * 10 / 16),
        (Layout::Indices, 6, "3:8", positions / 8 * 3 * (6 + 3)),
        (Layout::Bitmap, 8, "75%", positions / 4 * 8 + positions),
        (Layout::Csr, 8, "75%", positions / 4 * (8 + 7) + 65 * 32),
        (Layout::Venom, 16, "64:2:8", positions / 8 * 2 * (16 + 2) + tile_bits),
        (Layout::S2ta, 8, "4:8", positions / 8 * (8 + 4 * 8)),
    ];
    for (layout, width, text, want) in cases {
        assert_eq!(sizes(layout, width, text, 64, 128).ideal_bits, want, "{layout} {width} {text}");
    }
}

/// Bytes by the libraries' rules, most of them for shapes that must be padded.
fn library_sizes_by_hand() {
    let cases = [
        (Layout::Logical, 16, "2:4", 64, 128, 64 * 128 * 2 * 9 / 16),
        (Layout::Logical, 16, "2:4", 3, 20, 16 * 32 * 2 * 9 / 16),
        (Layout::Logical, 8, "2:4", 3, 20, 32 * 32 * 10 / 16),
        (Layout::Logical, 6, "2:4", 3, 20, 32 * 32 * 10 / 16),
        (Layout::OneOfTwo, 32, "1:2", 8, 6, 8 * 8 * 4 * 9 / 16),
        (Layout::Pairwise, 4, "4:8p", 1, 8, 64 * 64 / 2 * 10 / 16),
        (Layout::Cutlass, 16, "2:4", 32, 32, 32 * 64 + 32 * 64 / 8),
        (Layout::Cutlass, 8, "2:4", 16, 64, 16 * 128 / 2 + 16 * 128 / 8),
        (Layout::Cutlass, 32, "1:2", 32, 16, 32 * 32 * 2 + 32 * 32 / 4),
        (Layout::Indices, 6, "3:8", 1, 16, 16 + 16),
        (Layout::Bitmap, 4, "75%", 3, 12, 9 + 3 * 2 + 3 * 8),
        (Layout::Csr, 8, "75%", 3, 12, 16 + 48 + 16),
        (Layout::Venom, 16, "64:2:8", 64, 8, 256 + 32 + 16),
        (Layout::S2ta, 8, "4:8", 1, 24, 16),
        (Layout::S2ta, 6, "3:8", 8, 8, 8 * (1 + 3)),
    ];
    for (layout, width, text, rows, k, want) in cases {
        assert_eq!(sizes(layout, width, text, rows, k).library_bytes, want, "{layout} {width} {text} {rows} x {k}");
    }
}

/// Codes and metadata, and scales that are not compressed.
fn bits_an_element_with_scales() {
    let cases = [
        ("mxfp4", "4:8p", Layout::Pairwise, 2.75),
        ("mxfp4", "2:4", Layout::Logical, 3.25),
        ("mxfp6", "2:4", Layout::Logical, 4.25),
        ("mxfp8", "2:4", Layout::Logical, 5.25),
        ("hbfp4", "2:4", Layout::Logical, 2.0 + 1.0 + 10.0 / 64.0),
        ("fp16", "2:4", Layout::Logical, 9.0),
    ];
    let mut random = Random(31);
    let w: Vec<f32> = (0..64 * 256).map(|_| random.near(0)).collect();
    for (name, text, layout, want) in cases {
        let format = Format::by_name(name).expect("known");
        let mask = pattern(text).magnitude_mask(&w, 256).expect("whole groups");
        let footprint = format.footprint(64, 256, Some(&mask));
        assert_eq!(footprint.total() as f64 / w.len() as f64, want, "{name} {text}");
        let q = format.quantize(&w, 256).expect("finite");
        let sizes = q.compressed(&mask, layout).expect("this layout").sizes();
        assert_eq!(sizes.ideal_bits, footprint.values + footprint.metadata, "{name} {text}");
    }
}
