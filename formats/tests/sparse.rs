//! Sparse storage by hand: recorded compressions of torch, worked examples of layouts, all formats, and refusals.

use crate::patterns::{mask, pattern};
use crate::support::{Pack, Random, case, oracle};
use interplay_formats::sparse::{Compressed, Layout, Parts, Shape};
use interplay_formats::{Error, Format, Mask};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        oracle("sparse/two_of_four", |pack| two_of_four(&pack)),
        case("sparse::layouts_by_hand", layouts_by_hand),
        case("sparse::words_of_cutlass_by_hand", words_of_cutlass_by_hand),
        case("sparse::short_groups_are_filled", short_groups_are_filled),
        case("sparse::every_format_comes_back", every_format_comes_back),
        case("sparse::layouts_refuse_what_they_do_not_have", layouts_refuse_what_they_do_not_have),
        case("sparse::metadata_is_checked", metadata_is_checked),
    ]
}

/// Little-endian words to bytes.
fn bytes(words: &[u64], size: usize) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes().into_iter().take(size)).collect()
}

/// Codes of four bits to bytes.
fn nibbles(codes: &[u64]) -> Vec<u8> {
    codes.chunks(2).map(|pair| (pair[0] | pair[1] << 4) as u8).collect()
}

/// torch's conversions: values, codes, and words in rows and in CUTLASS's order, of all matrices.
fn two_of_four(pack: &Pack) {
    let types = [
        ("fp16", 16, "2:4", Layout::Logical, [32, 64, 96]),
        ("bf16", 16, "2:4", Layout::Logical, [32, 64, 96]),
        ("int8", 8, "2:4", Layout::Logical, [16, 64, 48]),
        ("fp32_1of2", 32, "1:2", Layout::OneOfTwo, [32, 64, 96]),
    ];
    for (name, width, text, layout, rows) in types {
        let sign = if name == "int8" { 0 } else { 1 << (width - 1) };
        let (size, word) = (width as usize / 8, if width == 8 { 4 } else { 2 });
        for (index, rows) in rows.into_iter().enumerate() {
            let get = |what: &str| pack.get(&format!("{name}/{index}/{what}"));
            let dense = get("dense");
            let is_zero = |code: u64| code & !sign == 0;
            let mask = Mask::of_nonzero(pattern(text), dense.len() / rows, &dense, is_zero).expect("sparse already");
            let logical = Compressed::compress(layout, width, &dense, &mask).expect("this layout");
            let cutlass = Compressed::compress(Layout::Cutlass, width, &dense, &mask).expect("whole blocks");
            let what = format!("{name}/{index}");
            assert_eq!(logical.parts().values, bytes(&get("values"), size), "{what}: values");
            assert_eq!(logical.parts().metadata, nibbles(&get("codes")), "{what}: codes");
            assert_eq!(logical.parts().metadata, bytes(&get("meta_rows"), word), "{what}: words in rows");
            assert_eq!(cutlass.parts().values, logical.parts().values, "{what}: values for CUTLASS");
            assert_eq!(cutlass.parts().metadata, bytes(&get("meta_cutlass"), word), "{what}: CUTLASS");
            for compressed in [logical, cutlass] {
                let (codes, stored) = compressed.decompress().expect("legal");
                assert_eq!(stored, mask, "{what}: mask");
                // A -0 that is not stored comes back as +0.
                let want: Vec<u64> =
                    dense.iter().zip(mask.kept()).map(|(&c, &kept)| if kept { c } else { 0 }).collect();
                assert_eq!(codes, want, "{what}: codes");
            }
        }
    }
}

fn compress(layout: Layout, width: u32, codes: &[u64], mask: &Mask) -> Parts {
    let compressed = Compressed::compress(layout, width, codes, mask).expect("this layout");
    compressed.parts().clone()
}

fn layouts_by_hand() {
    let codes = [1, 2, 3, 4, 5, 6, 7, 8];
    let two = mask("2:4", 4, &[1, 0, 0, 1, 0, 1, 1, 0]);
    let parts = |values: &[u8], metadata: &[u8], index: &[u8]| Parts {
        values: values.to_vec(),
        metadata: metadata.to_vec(),
        index: index.to_vec(),
    };
    assert_eq!(compress(Layout::Logical, 8, &codes, &two), parts(&[1, 4, 6, 7], &[0b1001_1100], &[]));
    assert_eq!(compress(Layout::Indices, 4, &codes, &two), parts(&[0x41, 0x76], &[0b1001_1100], &[]));
    assert_eq!(compress(Layout::Bitmap, 8, &codes, &two), parts(&[1, 4, 6, 7], &[0b0110_1001], &[]));
    let pointers = [0, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0];
    assert_eq!(compress(Layout::Csr, 8, &codes, &two), parts(&[1, 4, 6, 7], &[0b1001_1100], &pointers));
    let one = mask("1:2", 4, &[1, 0, 0, 1, 0, 1, 1, 0]);
    assert_eq!(compress(Layout::OneOfTwo, 8, &codes, &one), parts(&[1, 4, 6, 7], &[0xE4, 0x4E], &[]));
    let pairs = mask("4:8p", 8, &[0, 0, 1, 1, 0, 0, 1, 1]);
    assert_eq!(compress(Layout::Pairwise, 4, &codes, &pairs), parts(&[0x43, 0x87], &[0b1101], &[]));
    let block = mask("3:8", 8, &[0, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(compress(Layout::S2ta, 8, &codes, &block), parts(&[2, 8, 0], &[0b1000_0010], &[]));
    let tile = mask("2:2:6", 6, &[0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1]);
    let codes: Vec<u64> = (1..=12).collect();
    let want = parts(&[2, 5, 8, 12], &[0b11_01_10_01], &[0b00_001_000, 0b1011]);
    assert_eq!(compress(Layout::Venom, 8, &codes, &tile), want);
}

/// Where single words of a 32 x 32 matrix go: rows in steps of 4, off-diagonal words swapped.
fn words_of_cutlass_by_hand() {
    for (row, column, want) in [(0, 0, 0), (8, 0, 1), (0, 1, 2), (8, 1, 3), (16, 0, 4), (1, 0, 8), (31, 1, 63)] {
        let in_word = |i: usize| i / 32 == row && i % 32 / 16 == column;
        let kept = (0..32 * 32).map(|i| (i % 4 < 2) != in_word(i)).collect();
        let mask = Mask::from_kept(pattern("2:4"), 32, kept).expect("whole rows");
        let words = compress(Layout::Cutlass, 16, &[1; 32 * 32], &mask).metadata;
        let at: Vec<usize> = (0..64).filter(|word| words[2 * word..][..2] == [0xEE, 0xEE]).collect();
        assert_eq!((words.len(), at), (128, vec![want]), "word {column} of row {row}");
    }
}

/// As torch fills 2:4 and 1:2 (its codes for none, only the first, second, third, fourth), with zeros.
fn short_groups_are_filled() {
    let codes = [0, 0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 4];
    let kept: Vec<bool> = codes.iter().map(|&code| code != 0).collect();
    let short = Mask::from_kept(pattern("2:4"), 20, kept.clone()).expect("one row");
    let full = Mask::of_nonzero(pattern("2:4"), 20, &codes, |code| code == 0).expect("at most one of four");
    for mask in [&short, &full] {
        let parts = compress(Layout::Logical, 8, &codes, mask);
        assert_eq!(parts.metadata, [0b1000_1110, 0b1110_1001, 0b1110]);
        assert_eq!(parts.values, [0, 0, 1, 0, 2, 0, 3, 0, 0, 4]);
    }
    let compressed = Compressed::compress(Layout::Logical, 8, &[9; 20], &short).expect("short groups");
    let (stored, mask) = compressed.decompress().expect("legal");
    let want: Vec<u64> = kept.iter().map(|&kept| if kept { 9 } else { 0 }).collect();
    assert_eq!((stored, mask), (want, full), "what is pruned is stored as zero");
    let crowded = Mask::of_nonzero(pattern("2:4"), 4, &[1, 0, 0, 0, 1, 1, 0, 1], |code| code == 0);
    let (pattern, unit) = ("2:4".to_owned(), "positions");
    assert_eq!(crowded, Err(Error::Crowded { pattern, row: 1, column: 0, unit, kept: 3, allowed: 2 }));
}

/// Every format in every layout that does not ask for a width; rows of 72 end in a padded block in most of them.
fn every_format_comes_back() {
    let layouts = [
        ("2:4", Layout::Logical),
        ("1:2", Layout::OneOfTwo),
        ("4:8p", Layout::Pairwise),
        ("2:6p", Layout::Indices),
        ("5:9", Layout::Indices),
        ("50%", Layout::Bitmap),
        ("70%-row", Layout::Csr),
        ("64:2:8", Layout::Venom),
        ("3:8", Layout::S2ta),
    ];
    let mut random = Random(37);
    let w: Vec<f32> = (0..64 * 72).map(|_| random.near(0)).collect();
    for format in Format::all() {
        let dense = format.quantize(&w, 72).expect("finite");
        for (text, layout) in layouts {
            let mask = pattern(text).magnitude_mask(&w, 72).expect("whole groups");
            let compressed = dense.compressed(&mask, layout).expect("this layout");
            let mut pruned = dense.clone();
            pruned.apply_mask(&mask).expect("the same shape");
            assert_eq!(dense.with_compressed(&compressed), Ok(pruned), "{} {text}", format.name);
            assert_eq!(compressed.decompress().map(|(_, mask)| mask), Ok(mask), "{} {text}", format.name);
        }
    }
    let fp4 = Format::by_name("mxfp4").expect("known").quantize(&w, 72).expect("finite");
    let fp8 = Format::by_name("mxfp8").expect("known").quantize(&w, 72).expect("finite");
    let mask = pattern("2:4").magnitude_mask(&w, 72).expect("whole groups");
    let compressed = fp8.compressed(&mask, Layout::Logical).expect("this layout");
    let refused = Err(Error::Width { given: 8, format: "mxfp4", allowed: 4 });
    assert_eq!(fp4.with_compressed(&compressed), refused);
}

fn layouts_refuse_what_they_do_not_have() {
    let refused = |layout, width, text: &str, rows: usize, k: usize| {
        let mask = pattern(text).magnitude_mask(&vec![1.0; rows * k], k).expect("whole groups");
        let error = Compressed::compress(layout, width, &vec![0; rows * k], &mask).expect_err("not this layout");
        assert!(matches!(error, Error::Layout { .. }), "{layout} {width} {text}: {error}");
    };
    for (layout, text) in [
        (Layout::Logical, "1:2"),
        (Layout::OneOfTwo, "2:4"),
        (Layout::Pairwise, "4:8"),
        (Layout::Indices, "50%"),
        (Layout::Venom, "2:4"),
        (Layout::S2ta, "2:4"),
        (Layout::Cutlass, "4:8"),
    ] {
        refused(layout, 8, text, 64, 128);
    }
    for (layout, text, k) in [(Layout::Logical, "2:4", 27), (Layout::OneOfTwo, "1:2", 27), (Layout::S2ta, "3:8", 9)] {
        refused(layout, 8, text, 4, k);
    }
    refused(Layout::Cutlass, 4, "2:4", 64, 128);
    refused(Layout::Cutlass, 32, "2:4", 64, 128);
    refused(Layout::Cutlass, 16, "2:4", 16, 128);
    refused(Layout::Cutlass, 16, "2:4", 32, 16);
    refused(Layout::Cutlass, 8, "2:4", 16, 32);
    refused(Layout::Bitmap, 0, "50%", 1, 8);
    refused(Layout::Bitmap, 65, "50%", 1, 8);
    let mask = mask("50%", 4, &[1, 0, 1, 0]);
    let short = Compressed::compress(Layout::Bitmap, 8, &[1, 2, 3], &mask);
    assert_eq!(short, Err(Error::Codes { given: 3, rows: 1, k: 4 }));
}

fn metadata_is_checked() {
    let read = |layout, text: &str, k: usize, rows: usize, parts: [&[u8]; 3]| {
        let shape = Shape { layout, pattern: pattern(text), width: 8, rows, k };
        let [values, metadata, index] = parts.map(<[u8]>::to_vec);
        Compressed::from_parts(shape, Parts { values, metadata, index }).and_then(|c| c.decompress()).map(|(c, _)| c)
    };
    let at = |result: Result<Vec<u64>, Error>| match result {
        Err(Error::Metadata { row, column, given, .. }) => (row, column, given),
        other => panic!("{other:?}"),
    };
    // The second group has its index twice; then the indices descend.
    assert_eq!(at(read(Layout::Logical, "2:4", 4, 2, [&[0; 4], &[0b0101_1110], &[]])), (1, 0, 0b0101));
    assert_eq!(at(read(Layout::Logical, "2:4", 8, 1, [&[0; 4], &[0b0110_1110], &[]])), (0, 4, 0b0110));
    // Halves of different values; an index beyond a group of three.
    assert_eq!(at(read(Layout::OneOfTwo, "1:2", 2, 2, [&[0; 2], &[0b1001_0100], &[]])), (1, 0, 0b1001));
    assert_eq!(at(read(Layout::Indices, "1:3", 3, 1, [&[0], &[0b11], &[]])), (0, 0, 0b11));
    // The last group has one position, which is kept: its index is 0.
    assert_eq!(read(Layout::Indices, "2:4", 5, 1, [&[1, 2, 3], &[0b00_1110], &[]]), Ok(vec![0, 0, 1, 2, 3]));
    assert_eq!(at(read(Layout::Indices, "2:4", 5, 2, [&[0; 6], &[0b1110_1110, 0b0001], &[]])), (0, 4, 0b10));
    // Pointers that start late, descend, or pass the end; columns that repeat or are none.
    let csr = |pointers: [u8; 3], columns: u8| {
        let index: Vec<u8> = pointers.iter().flat_map(|&p| [p, 0, 0, 0]).collect();
        let stored = [0; 2];
        read(Layout::Csr, "50%", 3, 2, [&stored[..pointers[2].into()], &[columns], &index])
    };
    assert_eq!(csr([0, 1, 2], 0b0110), Ok(vec![0; 6]));
    assert_eq!(at(csr([1, 1, 2], 0b0100)), (0, 0, 1));
    assert_eq!(at(csr([0, 3, 2], 0b0100)), (0, 0, 3));
    assert_eq!(at(csr([0, 2, 1], 0b01)), (0, 0, 2));
    assert_eq!(at(csr([0, 2, 2], 0b0101)), (0, 2, 1));
    assert_eq!(at(csr([0, 1, 2], 0b1101)), (1, 0, 3));
    // A tile whose columns descend or are none; a row of one whose indices repeat.
    assert_eq!(at(read(Layout::Venom, "1:2:5", 5, 1, [&[0; 2], &[0b0100], &[0b10_000_001, 0b1000]])), (0, 0, 0));
    assert_eq!(at(read(Layout::Venom, "1:2:5", 5, 1, [&[0; 2], &[0b0100], &[0b10_001_000, 0b1010]])), (0, 0, 5));
    assert_eq!(at(read(Layout::Venom, "1:2:5", 5, 1, [&[0; 2], &[0b0101], &[0b10_001_000, 0b0110]])), (0, 0, 1));
    let (pattern, unit) = ("2:8".to_owned(), "positions");
    let crowded = Err(Error::Crowded { pattern, row: 0, column: 0, unit, kept: 3, allowed: 2 });
    assert_eq!(read(Layout::S2ta, "2:8", 8, 1, [&[0; 2], &[0b111], &[]]), crowded);
    assert_eq!(read(Layout::S2ta, "2:8", 8, 1, [&[5, 6], &[1], &[]]), Err(Error::Padding { at: 1, code: 6 }));
    let length = |part, given, expected| Err(Error::PartLength { part, given, expected });
    assert_eq!(read(Layout::Logical, "2:4", 4, 1, [&[0; 3], &[4], &[]]), length("values", 3, 2));
    assert_eq!(read(Layout::Logical, "2:4", 4, 1, [&[0; 2], &[], &[]]), length("metadata", 0, 1));
    assert_eq!(read(Layout::Logical, "2:4", 4, 1, [&[0; 2], &[4], &[0]]), length("index", 1, 0));
    assert_eq!(read(Layout::Csr, "50%", 3, 1, [&[], &[], &[0; 7]]), length("index", 7, 8));
    // Bits behind the last position are no positions.
    assert_eq!(read(Layout::Bitmap, "50%", 3, 1, [&[7], &[0b1111_1010], &[]]), Ok(vec![0, 7, 0]));
    let (rows, positions) = (usize::MAX, u32::MAX as usize);
    assert_eq!(read(Layout::Bitmap, "50%", 9, rows, [&[], &[], &[]]), Err(Error::TooLarge { rows, k: 9, positions }));
}
