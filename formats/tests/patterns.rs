//! Patterns of pairs and of tiles: what is kept, what is refused, the metadata.

use crate::support::{Random, case};
use interplay_formats::{Error, Mask, Pattern};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("patterns::pairs_and_tiles_by_hand", pairs_and_tiles_by_hand),
        case("patterns::pairs_compare_exactly", pairs_compare_exactly),
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
