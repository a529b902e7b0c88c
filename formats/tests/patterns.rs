//! Patterns of pairs and of tiles: what is kept, what is refused, the metadata.

use crate::support::{Random, case};
use interplay_formats::{Error, Format, Mask, Pattern};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

pub fn trials() -> Vec<Trial> {
    vec![
        case("patterns::pairs_and_tiles_by_hand", pairs_and_tiles_by_hand),
        case("patterns::pairs_compare_exactly", pairs_compare_exactly),
        case("patterns::ragged_rows_by_hand", ragged_rows_by_hand),
        case("patterns::ragged_rows_are_padded_with_zeros", ragged_rows_are_padded_with_zeros),
        case("patterns::metadata_of_pairs_and_tiles", metadata_of_pairs_and_tiles),
    ]
}

pub fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern of the contract")
}

/// The mask of 0 and 1.
pub fn mask(text: &str, k: usize, kept: &[u8]) -> Mask {
    Mask::from_kept(pattern(text), k, kept.iter().map(|&kept| kept == 1).collect()).expect("whole rows")
}

fn pairs_and_tiles_by_hand() {
    // Pairs sum to 5, 4, 5, 5: 4 goes, then the first 5.
    let w = [1.0, -4.0, 2.0, 2.0, 5.0, 0.0, -2.0, -3.0];
    let kept = pattern("4:8p").magnitude_mask(&w, 8).expect("8 divides 8");
    assert_eq!(kept, mask("4:8p", 8, &[0, 0, 0, 0, 1, 1, 1, 1]));
    // Columns sum to 3, 9, 2, 2, 10, 2: 1, 4 and 0 stay, and of the equal ones 5, the highest.
    let w = [1.0, 4.0, 1.0, 2.0, -9.0, 0.0, 2.0, -5.0, 1.0, 0.0, 1.0, 2.0];
    let kept = pattern("2:2:6").magnitude_mask(&w, 6).expect("whole tiles");
    assert_eq!(kept, mask("2:2:6", 6, &[0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1]));
    for (text, rows, k, tile_rows, tile_k) in [("4:8p", 1, 12, 1, 8), ("64:2:8", 32, 8, 64, 8), ("2:2:6", 2, 8, 2, 6)] {
        let refused = pattern(text).magnitude_mask(&vec![1.0; rows * k], k);
        assert_eq!(refused, Err(Error::Untiled { pattern: text.to_owned(), tile_rows, tile_k, rows, k }));
    }
    for text in ["4:8p", "2:4p", "64:2:8", "1:1:5", "128:3:256"] {
        assert_eq!(pattern(text).to_string(), text);
    }
    for text in ["3:8p", "4:7p", "8:8p", "0:8p", "4:8:p", "4:8pp", "64:4:8", "64:2:4", "0:2:8", "8:0:8", "65537:2:8"] {
        assert_eq!(text.parse::<Pattern>(), Err(Error::UnknownPattern(text.to_owned())), "{text}");
    }
    let impossible = Pattern::NofM { n: 2, m: 0 }.magnitude_mask(&[], 0);
    assert_eq!(impossible, Err(Error::UnknownPattern("2:0".to_owned())));
    let impossible = Mask::from_kept(Pattern::Tiled { v: 0, n: 2, m: 8 }, 8, vec![true; 8]);
    assert_eq!(impossible, Err(Error::UnknownPattern("0:2:8".to_owned())));
}

/// Sums that FP64 alone cannot tell apart: the lower pair is the larger one.
fn pairs_compare_exactly() {
    let (tiny, less) = (2.0f32.powi(-60), 2.0f32.powi(-61));
    let kept = pattern("2:4p").magnitude_mask(&[1.0, tiny, less, 1.0], 4).expect("4 divides 4");
    assert_eq!(kept.kept(), [true, true, false, false]);
}

/// The last of nine positions is a group alone; of three, two stay, of equal ones the higher.
fn ragged_rows_by_hand() {
    let w = [1.0, -4.0, 2.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    let one = pattern("2:4").magnitude_mask(&w, 9).expect("finite");
    assert_eq!(one, mask("2:4", 9, &[0, 1, 0, 1, 0, 0, 1, 1, 1]));
    assert_eq!((one.metadata_bits(), one.metadata()), (10, vec![0b11_10_11_01, 0b00]));
    // Rows of three begin where they begin: the index of a position is that in its own row.
    let three = pattern("2:4").magnitude_mask(&[1.0, 1.0, -1.0, 5.0, 0.0, 1.0], 3).expect("finite");
    assert_eq!(three, mask("2:4", 3, &[0, 1, 1, 1, 0, 1]));
    assert_eq!(three.metadata(), [0b10_00_10_01]);
    // The stem of a ResNet: 3 channels at 3 x 3 positions, 6 groups and 3 positions.
    let stem = pattern("2:4").magnitude_mask(&vec![1.0; 64 * 27], 27).expect("finite");
    let footprint = Format::by_name("fp16").expect("known").footprint(64, 27, Some(&stem));
    assert_eq!((footprint.values, footprint.metadata), (64 * 14 * 16, 64 * 14 * 2));
}

/// The twin: rows filled up with zeros, of which each group prunes M - N, first what was filled in, then by magnitude, then
/// by index.
fn padded_twin(w: &[f32], k: usize, (n, m): (usize, usize)) -> Vec<bool> {
    let mut kept = vec![true; w.len()];
    for (row, w) in w.chunks(k).enumerate() {
        for start in (0..k).step_by(m) {
            let mut order: Vec<usize> = (start..start + m).collect();
            let score = |&i: &usize| w.get(i).map(|v| v.abs());
            order.sort_by(|a, b| score(a).partial_cmp(&score(b)).expect("finite").then(a.cmp(b)));
            order[..m - n].iter().filter(|&&i| i < k).for_each(|i| kept[row * k + i] = false);
        }
    }
    kept
}

fn ragged_rows_are_padded_with_zeros() {
    let config = Config { cases: 500, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let matrix = (1usize..40, 0usize..5, 1usize..12, 1usize..12);
    let matrix = matrix
        .prop_flat_map(|(k, rows, n, more)| (prop::collection::vec(-4i8..5, rows * k), Just(k), Just((n, n + more))));
    let law = |(w, k, (n, m)): (Vec<i8>, usize, (usize, usize))| {
        let w: Vec<f32> = w.into_iter().map(f32::from).collect();
        let mask = Pattern::NofM { n, m }.magnitude_mask(&w, k).expect("finite");
        prop_assert_eq!(mask.kept(), padded_twin(&w, k, (n, m)));
        for row in mask.kept().chunks(k) {
            prop_assert_eq!(row.iter().filter(|kept| **kept).count(), k / m * n + (k % m).min(n));
        }
        prop_assert_eq!(mask.metadata().len() as u64, mask.metadata_bits().div_ceil(8));
        let footprint = Format::by_name("int8").expect("known").footprint(mask.rows(), k, Some(&mask));
        let stored = (w.len() - mask.pruned()) as u64;
        prop_assert_eq!(footprint.values, 8 * stored);
        let index = u64::from((m as u64 - 1).ilog2() + 1);
        prop_assert_eq!(footprint.metadata, (stored * index).next_multiple_of(8));
        Ok(())
    };
    runner.run(&matrix, law).unwrap_or_else(|e| panic!("{e}"));
}

fn metadata_of_pairs_and_tiles() {
    let pairs = mask("4:8p", 8, &[0, 0, 1, 1, 0, 0, 1, 1]);
    assert_eq!((pairs.metadata_bits(), pairs.metadata()), (4, vec![0b11_01]));
    // Columns 1, 4, 5 and, to fill the list, 0: indices 1 2 | 1 3, then 3 bits for each of 0 1 4 5.
    let tile = mask("2:2:6", 6, &[0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!((tile.metadata_bits(), tile.metadata()), (20, vec![0b11_01_10_01, 0b00_001_000, 0b1011]));
    let mut random = Random(23);
    let w: Vec<f32> = (0..128 * 48).map(|_| random.near(0)).collect();
    for text in ["dense", "50%", "2:4", "3:8", "4:8p", "64:2:8", "32:1:16", "16:3:12"] {
        let mask = pattern(text).magnitude_mask(&w, 48).expect("whole tiles");
        assert_eq!(mask.metadata().len() as u64, mask.metadata_bits().div_ceil(8), "{text}");
    }
}
