//! Laws of sparse storage on random matrices, masks and bytes.

use crate::patterns::pattern;
use crate::support::case;
use interplay_formats::sparse::{Compressed, Layout, Parts, Shape};
use interplay_formats::{Mask, Pattern};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// Layouts, the patterns that they are tried with, and the rows and columns that whole blocks have.
const LAYOUTS: [(Layout, &[&str], usize, usize); 11] = [
    (Layout::Logical, &["2:4"], 1, 4),
    (Layout::Cutlass, &["2:4", "1:2"], 32, 64),
    (Layout::OneOfTwo, &["1:2"], 1, 2),
    (Layout::Pairwise, &["4:8p"], 1, 8),
    (Layout::Indices, &["1:3", "2:6", "5:6", "2:6p", "4:6p"], 1, 6),
    (Layout::Indices, &["2:4", "3:5", "6:7", "1:16", "15:16"], 1, 9),
    (Layout::Bitmap, &["50%", "dense", "30%-row", "2:4", "4:8p", "4:2:8"], 4, 8),
    (Layout::Bitmap, &["2:4", "3:8", "1:16", "15:16"], 1, 9),
    (Layout::Csr, &["50%", "dense", "30%-row", "2:4", "4:8p", "4:2:8"], 4, 8),
    (Layout::Venom, &["2:1:8", "2:2:8", "1:3:8"], 2, 8),
    (Layout::S2ta, &["1:8", "4:8", "7:8"], 1, 8),
];

const WIDTHS: [u32; 8] = [1, 4, 6, 8, 13, 16, 31, 32];

pub fn trials() -> Vec<Trial> {
    let each = LAYOUTS.into_iter().flat_map(|layout| {
        let round_trip =
            case(&format!("sparse_law::round_trip::{}_{}", layout.0, layout.3), move || round_trips(layout));
        let bytes = case(&format!("sparse_law::any_bytes::{}_{}", layout.0, layout.3), move || any_bytes(layout));
        [round_trip, bytes]
    });
    each.collect()
}

fn run<T: std::fmt::Debug>(values: impl Strategy<Value = T>, law: impl Fn(T) -> Result<(), TestCaseError>) {
    let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    runner.run(&values, law).unwrap_or_else(|e| panic!("{e}"));
}

/// A pattern, a width that the layout has with it, rows and columns.
fn shapes(
    (layout, patterns, rows, k): (Layout, &'static [&'static str], usize, usize),
) -> impl Strategy<Value = Shape> {
    let pattern = prop::sample::select(patterns).prop_map(pattern);
    (pattern, prop::sample::select(&WIDTHS[..]), 0usize..4, 0usize..4).prop_map(move |(pattern, width, r, c)| {
        let width = match (layout, pattern) {
            (Layout::Cutlass, Pattern::NofM { m: 2, .. }) => 32,
            (Layout::Cutlass, _) => {
                if width <= 8 {
                    8
                } else {
                    16
                }
            }
            _ => width,
        };
        let rows = if c == 0 { 0 } else { r * rows };
        Shape { layout, pattern, width, rows, k: c * k }
    })
}

/// Random codes and a mask by random magnitudes, of which some more positions are then pruned.
fn matrices(shape: Shape) -> impl Strategy<Value = (Shape, Vec<u64>, Mask, Mask)> {
    let count = shape.rows * shape.k;
    let position = (0..=u64::MAX >> (64 - shape.width), 0u8..5, prop::bool::weighted(0.9));
    prop::collection::vec(position, count).prop_map(move |positions| {
        let w: Vec<f32> = positions.iter().map(|(_, score, _)| f32::from(*score)).collect();
        let full = shape.pattern.magnitude_mask(&w, shape.k).expect("whole groups");
        let kept = full.kept().iter().zip(&positions).map(|(&kept, (.., keep))| kept && *keep).collect();
        let fewer = Mask::from_kept(shape.pattern, shape.k, kept).expect("whole rows");
        (shape, positions.into_iter().map(|(code, ..)| code).collect(), full, fewer)
    })
}

/// Codes and masks come back, sizes are those of the bytes, and storing again gives the same bytes.
fn round_trips(layout: (Layout, &'static [&'static str], usize, usize)) {
    run(shapes(layout).prop_flat_map(matrices), |(shape, codes, full, fewer)| {
        for mask in [&full, &fewer] {
            let compressed = Compressed::compress(shape.layout, shape.width, &codes, mask).expect("this layout");
            let (stored, slots) = compressed.decompress().expect("legal");
            for i in 0..codes.len() {
                prop_assert_eq!(stored[i], if mask.kept()[i] { codes[i] } else { 0 });
                prop_assert!(slots.kept()[i] || !mask.kept()[i], "what is kept is stored");
            }
            prop_assert!(mask != &full || slots == full, "whole groups come back as they are");
            let again = Compressed::compress(shape.layout, shape.width, &stored, &slots);
            prop_assert_eq!(again.as_ref(), Ok(&compressed));
            let parts = compressed.parts().clone();
            let bytes = [&parts.values, &parts.metadata, &parts.index].map(|part| 8 * part.len() as u64);
            let ideal = compressed.sizes().ideal_bits;
            prop_assert!((ideal..ideal + 24).contains(&bytes.iter().sum()), "{ideal} bits in {bytes:?}");
            prop_assert_eq!(bytes[0], (compressed.stored() * u64::from(shape.width)).next_multiple_of(8));
            prop_assert!(8 * compressed.sizes().library_bytes >= compressed.stored() * u64::from(shape.width));
            prop_assert_eq!(Compressed::from_parts(shape, parts), Ok(compressed));
        }
        Ok(())
    });
}

/// Bytes of the right lengths: refused, or they mean a matrix that is stored as what they mean.
fn any_bytes(layout: (Layout, &'static [&'static str], usize, usize)) {
    let random = shapes(layout).prop_flat_map(matrices).prop_flat_map(|(shape, codes, full, _)| {
        let compressed = Compressed::compress(shape.layout, shape.width, &codes, &full).expect("this layout");
        let Parts { values, metadata, index } = compressed.parts().clone();
        // A few bytes are replaced, or all of a part.
        (Just(shape), damaged(values), damaged(metadata), damaged(index), 0usize..20)
    });
    run(random, |(shape, values, metadata, index, cut)| {
        let parts = Parts { values, metadata: metadata[..metadata.len().min(cut * 8)].to_vec(), index };
        let Ok(compressed) = Compressed::from_parts(shape, parts) else { return Ok(()) };
        let _ = compressed.sizes();
        let Ok((codes, mask)) = compressed.decompress() else { return Ok(()) };
        let again = Compressed::compress(shape.layout, shape.width, &codes, &mask).expect("the same shape");
        prop_assert_eq!(again.decompress(), Ok((codes, mask)));
        Ok(())
    });
}

fn damaged(bytes: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::collection::vec(any::<u8>(), bytes.len());
    let places = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    prop_oneof![
        whole,
        places.prop_map(move |places| {
            let mut bytes = bytes.clone();
            for (place, byte) in places {
                if let Some(damaged) = bytes.len().checked_sub(1).map(|last| place.index(last + 1)) {
                    bytes[damaged] = byte;
                }
            }
            bytes
        })
    ]
}
