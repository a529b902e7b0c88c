//! Plausible arguments at the ends of their types: an answer or an error, no panic but where one is promised.

use crate::support::case;
use interplay_formats::{
    Error, Exact, Footprint, Format, Grid, Mask, Overflow, Pattern, Quantized, Rounding, Scale, ScaleRule, Scaling,
    Scope, Value, catalog, pack,
};
use libtest_mimic::Trial;
use std::panic::catch_unwind;

pub fn trials() -> Vec<Trial> {
    vec![
        case("extremes::widths_of_bit_strings", widths_of_bit_strings),
        case("extremes::places_outside_of_grids", places_outside_of_grids),
        case("extremes::sizes_that_nothing_counts", sizes_that_nothing_counts),
        case("extremes::impossible_patterns", impossible_patterns),
        case("extremes::numbers_of_random_bits", numbers_of_random_bits),
    ]
}

const SIZES: [usize; 6] = [0, 1, 33, usize::MAX / 2, usize::MAX - 1, usize::MAX];

fn widths_of_bit_strings() {
    for given in [0, 65, u32::MAX] {
        assert_eq!(pack::unpack(&[1, 2], given, 2), Err(Error::CodeWidth { given }));
    }
    assert_eq!(pack::unpack(&[0xFF; 8], 64, 2), Ok(vec![u64::MAX, 0]));
    assert_eq!(pack::unpack(&[5], 1, 3), Ok(vec![1, 0, 1]));
    for count in [usize::MAX / 8, usize::MAX] {
        assert!(matches!(pack::unpack(&[5], 1, count), Err(Error::Memory { .. })));
    }
}

/// The one place where a number outside is the caller's mistake: a column beyond the last must not be another row's.
fn places_outside_of_grids() {
    let grids = Format::by_name("mxfp4").unwrap().grids(&[1.0; 3 * 64], 64).unwrap();
    assert_eq!(grids.round(2, 63, 0.9), 1.0);
    for (row, column) in [(3, 0), (0, 64), (usize::MAX, 0), (0, usize::MAX)] {
        assert!(catch_unwind(|| grids.round(row, column, 0.9)).is_err(), "{row} {column}");
    }
    assert!(catch_unwind(|| grids.round_column(0, &mut [0.5; 4])).is_err());
}

fn sizes_that_nothing_counts() {
    for format in Format::all() {
        for k in SIZES {
            let padded = format.padded(k);
            assert!(padded.is_multiple_of(format.block_len(k)), "{}: {padded}", format.name);
            assert!(padded >= k || usize::MAX - padded < format.block_len(k), "{}: {padded}", format.name);
            let empty = format.quantize(&[], k).map(|q| (q.rows(), q.k()));
            assert_eq!(empty, Ok((0, k)), "{}", format.name);
            let packed = format.pack(&[], k).expect("an empty matrix");
            assert!(packed.values.is_empty(), "{}", format.name);
            let one = format.quantize(&[1.0], k);
            assert!(k == 1 || one == Err(Error::Ragged { len: 1, k }), "{}", format.name);
            let bits = format.bits_per_element().in_rows_of(k);
            assert!(bits.is_finite(), "{}", format.name);
            for rows in SIZES {
                let stored = format.footprint(rows, k, None);
                assert!(stored.total() >= stored.values, "{}", format.name);
                let two_of_four = format.footprint_of("2:4".parse().unwrap(), rows, k);
                assert!(two_of_four.values <= stored.values, "{}", format.name);
                if rows > 33 && k > 33 {
                    assert!(Quantized::from_packed(format, rows, k, &packed).is_err(), "{}", format.name);
                }
            }
        }
    }
    let most = Footprint { values: u64::MAX, scales: 1, metadata: 1, other: u64::MAX };
    assert_eq!((most + most).total(), u64::MAX);
    let micro = Scaling {
        block: interplay_formats::Block::Row,
        scale: Scale::Micro { run: 0 },
        rule: ScaleRule::Enclosing,
        two_level: false,
    };
    assert_eq!(micro.scale_bits(usize::MAX), u64::MAX);
}

fn impossible_patterns() {
    let format = Format::by_name("mxfp8").unwrap();
    let dense = format.footprint(4, 64, None);
    for pattern in [
        Pattern::NofM { n: 5, m: 0 },
        Pattern::PairsOfM { n: 2, m: 1 },
        Pattern::Tiled { v: 0, n: 2, m: 0 },
        Pattern::Unstructured { basis_points: u32::MAX, scope: Scope::Matrix },
        Pattern::Unstructured { basis_points: 5000, scope: Scope::Columns(0) },
    ] {
        assert!(pattern.check(4, 64).is_err(), "{pattern}");
        assert_eq!(format.footprint_of(pattern, 4, 64), dense, "{pattern}");
        assert!(Mask::from_kept(pattern, 64, vec![true; 64]).is_err(), "{pattern}");
    }
}

fn numbers_of_random_bits() {
    let x = Value::from_f32(1.3);
    let one = Exact::integer(3).scaled(-1);
    for (given, meant) in [(0, 1), (33, 32), (u32::MAX, 32)] {
        let [given, meant] = [given, meant].map(Rounding::Stochastic);
        for random in [0, 1 << 31, u32::MAX] {
            let code = |rounding: Rounding| catalog::E4M3.encode(x, rounding.drawing(random), Overflow::Saturate);
            assert_eq!(code(given), code(meant), "{given}");
            let rounded =
                |rounding: Rounding| Grid { precision: Some(1), lsb_min: 0 }.round(one, rounding.drawing(random));
            assert_eq!(rounded(given), rounded(meant), "{given}");
        }
        let slice = |rounding| {
            let mut out = [0; 3];
            catalog::E4M3.encode_slice(&[1.3, -0.7, 9.1], rounding, Overflow::Saturate, 5, &mut out);
            out
        };
        assert_eq!(slice(given), slice(meant), "{given}");
    }
}
