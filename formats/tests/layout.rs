//! The layouts of real kernels: hand examples, exact round trips, refusals.

use crate::support::{Random, case};
use interplay_formats::layout::{
    CodeLayout, Container, Holds, KernelLayout, NibbleOrder, swizzle_scales, swizzled_len, unswizzle_scales,
};
use interplay_formats::{Error, Format, pack};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const LOW: CodeLayout = CodeLayout::Nibbles(NibbleOrder::LowFirst);
const HIGH: CodeLayout = CodeLayout::Nibbles(NibbleOrder::HighFirst);
const E2M1: CodeLayout = CodeLayout::Container(Container::E2M1);
const FP6: CodeLayout = CodeLayout::Container(Container::Fp6);
const FP8: CodeLayout = CodeLayout::Container(Container::Fp8);

pub fn trials() -> Vec<Trial> {
    vec![
        case("layout::hand_examples", hand_examples),
        case("layout::packed_bytes_of_formats", packed_bytes_of_formats),
        case("layout::codes_come_back", codes_come_back),
        case("layout::any_bytes_are_codes_or_refused", any_bytes_are_codes_or_refused),
        case("layout::wide_codes_are_refused", wide_codes_are_refused),
        case("layout::padding_is_refused", padding_is_refused),
        case("layout::lengths_are_checked", lengths_are_checked),
        case("layout::scales_by_hand", scales_by_hand),
        case("layout::scales_as_views_and_transposes", scales_as_views_and_transposes),
        case("layout::scales_come_back", scales_come_back),
        case("layout::scales_of_absurd_shapes", scales_of_absurd_shapes),
        case("layout::names", names),
    ]
}

fn runner() -> TestRunner {
    let config = Config { cases: 2000, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn code_layouts() -> impl Strategy<Value = CodeLayout> {
    prop::sample::select(vec![LOW, HIGH, CodeLayout::Sextets, E2M1, FP6, FP8])
}

fn hand_examples() {
    let stored = |layout: CodeLayout, codes: &[u8]| layout.store(codes).expect("codes fit");
    assert_eq!(stored(LOW, &[0x1, 0x2, 0xF]), [0x21, 0x0F]);
    assert_eq!(stored(HIGH, &[0x1, 0x2, 0xF]), [0x12, 0xF0]);
    // 000001, 011111, 111111, 001000, then a fifth code alone.
    let sextets = stored(CodeLayout::Sextets, &[1, 0b01_1111, 0b11_1111, 0b00_1000, 0b10_0001]);
    assert_eq!(sextets, [0b1100_0001, 0b1111_0111, 0b0010_0011, 0b0010_0001]);
    // -6 of e2m1 is 1111, in bits 5..2.
    assert_eq!(stored(E2M1, &[0b1111, 0b0001]), [0b0011_1100, 0b0000_0100]);
    assert_eq!(stored(FP6, &[0b10_0001]), [0b0010_0001]);
    assert_eq!(stored(FP8, &[0xFF, 0x7E]), [0xFF, 0x7E]);
}

/// The packed bytes of a quantised tensor are the layouts of memory.
fn packed_bytes_of_formats() {
    let mut random = Random(7);
    let x: Vec<f32> = (0..3 * 64).map(|_| random.near(0)).collect();
    for (name, layout) in [("mxfp4", LOW), ("mxfp6", CodeLayout::Sextets), ("mxfp8", FP8)] {
        let q = Format::by_name(name).expect("known").quantize(&x, 64).expect("finite");
        let packed = q.packed(None).expect("no mask");
        let codes = layout.load(&packed.values, 3 * 64).expect("the length fits");
        let want = pack::unpack(&packed.values, layout.bits(), 3 * 64).expect("a width");
        assert!(codes.iter().map(|&c| u64::from(c)).eq(want), "{name}");
        assert_eq!(layout.store(&codes), Ok(packed.values), "{name}");
    }
}

fn codes_come_back() {
    let inputs = (code_layouts(), prop::collection::vec(any::<u8>(), 0..70));
    runner()
        .run(&inputs, |(layout, codes)| {
            let codes: Vec<u8> = codes.iter().map(|c| c >> (8 - layout.bits())).collect();
            let stored = layout.store(&codes).expect("codes fit");
            prop_assert_eq!(stored.len(), layout.stored_len(codes.len()));
            prop_assert_eq!(layout.load(&stored, codes.len()), Ok(codes));
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
}

/// Whatever loads is what storing gives: no two byte strings mean the same codes.
fn any_bytes_are_codes_or_refused() {
    let inputs = (code_layouts(), prop::collection::vec(any::<u8>(), 0..24), 0usize..40);
    runner()
        .run(&inputs, |(layout, bytes, count)| {
            if let Ok(codes) = layout.load(&bytes, count) {
                prop_assert_eq!(codes.len(), count);
                prop_assert_eq!(layout.store(&codes), Ok(bytes));
            }
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
}

fn wide_codes_are_refused() {
    for (layout, bits) in [(LOW, 4), (HIGH, 4), (E2M1, 4), (CodeLayout::Sextets, 6), (FP6, 6)] {
        let code = 1 << bits;
        assert_eq!(layout.store(&[0, code - 1, code]), Err(Error::CodeTooWide { index: 2, code, bits }));
    }
    assert_eq!(FP8.store(&[0xFF]), Ok(vec![0xFF]));
}

fn padding_is_refused() {
    let refused = |layout: CodeLayout, bytes: &[u8], count, index, padding| {
        let want = Error::LayoutPadding { index, byte: bytes[index], padding };
        assert_eq!(layout.load(bytes, count), Err(want), "{layout:?} {bytes:x?}");
    };
    refused(LOW, &[0x21, 0x1F], 3, 1, 0xF0);
    refused(HIGH, &[0x21, 0xF1], 3, 1, 0x0F);
    // One, two and three codes use 6, 12 and 18 bits.
    refused(CodeLayout::Sextets, &[0x40], 1, 0, 0xC0);
    refused(CodeLayout::Sextets, &[0xFF, 0x10], 2, 1, 0xF0);
    refused(CodeLayout::Sextets, &[0xFF, 0xFF, 0x04], 3, 2, 0xFC);
    for bit in [0, 1, 6, 7] {
        refused(E2M1, &[0x3C, 0, 1 << bit], 3, 2, 0b1100_0011);
    }
    refused(FP6, &[0x3F, 0x40], 2, 1, 0xC0);
    refused(FP6, &[0x80, 0x40], 2, 0, 0xC0);
}

fn lengths_are_checked() {
    let wrong = |given, allowed| Err(Error::LayoutLength { what: "bytes of codes", given, allowed });
    for layout in [LOW, HIGH] {
        assert_eq!(layout.load(&[0; 2], 5), wrong(2, 3));
        assert_eq!(layout.load(&[0; 4], 5), wrong(4, 3));
    }
    assert_eq!(CodeLayout::Sextets.load(&[0; 4], 4), wrong(4, 3));
    assert_eq!(E2M1.load(&[0; 4], 5), wrong(4, 5));
    for layout in [LOW, HIGH, CodeLayout::Sextets, E2M1, FP6, FP8] {
        assert_eq!(layout.load(&[], 0), Ok(vec![]));
        assert_eq!(layout.load(&[1], usize::MAX), wrong(1, layout.stored_len(usize::MAX)));
    }
}

/// Row r and block b of a tile lie at r % 32 * 16 + r / 32 * 4 + b.
fn scales_by_hand() {
    let at = |row: usize, block: usize, rows: usize, blocks: usize| {
        let mut scales = vec![0; rows * blocks];
        scales[row * blocks + block] = 0xA5;
        let tiles = swizzle_scales(&scales, rows, blocks).expect("the length fits");
        assert_eq!(tiles.iter().filter(|&&b| b != 0).count(), 1);
        tiles.iter().position(|&b| b == 0xA5)
    };
    assert_eq!(at(0, 0, 128, 4), Some(0));
    assert_eq!(at(0, 3, 128, 4), Some(3));
    assert_eq!(at(1, 0, 128, 4), Some(16));
    assert_eq!(at(5, 2, 128, 8), Some(82));
    assert_eq!(at(32, 0, 128, 4), Some(4));
    assert_eq!(at(97, 1, 128, 4), Some(16 + 12 + 1));
    assert_eq!(at(127, 3, 128, 4), Some(511));
    // The next four blocks are the next tile, and the next 128 rows the next row of tiles.
    assert_eq!(at(0, 4, 128, 8), Some(512));
    assert_eq!(at(128, 0, 129, 5), Some(1024));
    assert_eq!(swizzled_len(129, 5), Ok(2048));
    assert_eq!(swizzled_len(1, 1), Ok(512));
}

/// The other definition, torchao's `to_blocked`: view as [tiles, 128, tiles, 4], bring tiles together, view each as
/// [4, 32, 4] and swap the first two.
fn scales_as_views_and_transposes() {
    for (rows, blocks) in [(1, 1), (128, 4), (130, 9), (300, 16), (31, 3)] {
        let mut random = Random(rows as u64);
        let scales: Vec<u8> = (0..rows * blocks).map(|_| random.bits() as u8).collect();
        let padded = |row: usize, block: usize| {
            if row < rows && block < blocks { scales[row * blocks + block] } else { 0 }
        };
        let mut want = Vec::new();
        for (tile_row, tile_block) in (0..rows.div_ceil(128)).flat_map(|r| (0..blocks.div_ceil(4)).map(move |b| (r, b)))
        {
            for (line, quarter) in (0..32).flat_map(|line| (0..4).map(move |quarter| (line, quarter))) {
                let row = tile_row * 128 + quarter * 32 + line;
                want.extend((0..4).map(|b| padded(row, tile_block * 4 + b)));
            }
        }
        assert_eq!(swizzle_scales(&scales, rows, blocks), Ok(want), "{rows} x {blocks}");
    }
}

fn scales_come_back() {
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 200, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    runner
        .run(&(0usize..300, 0usize..20, any::<u64>()), |(rows, blocks, seed)| {
            let mut random = Random(seed);
            let scales: Vec<u8> = (0..rows * blocks).map(|_| random.bits() as u8).collect();
            let mut tiles = swizzle_scales(&scales, rows, blocks).expect("the length fits");
            prop_assert_eq!(Ok(tiles.len()), swizzled_len(rows, blocks));
            prop_assert_eq!(&unswizzle_scales(&tiles, rows, blocks).expect("the length fits"), &scales);
            // What lies between the scales does not matter.
            let ones = swizzle_scales(&vec![1; rows * blocks], rows, blocks).expect("the length fits");
            tiles.iter_mut().zip(ones).filter(|(_, used)| *used == 0).for_each(|(b, _)| *b = 0xFF);
            prop_assert_eq!(unswizzle_scales(&tiles, rows, blocks), Ok(scales));
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
}

fn scales_of_absurd_shapes() {
    const MAX: usize = usize::MAX;
    let too_large = |rows, blocks| Err(Error::LayoutTooLarge { rows, blocks });
    assert_eq!(swizzle_scales(&[1], MAX, 2), too_large(MAX, 2));
    assert_eq!(unswizzle_scales(&[1], MAX, 1), too_large(MAX, 1));
    assert_eq!(unswizzle_scales(&[1], MAX / 2, 8), too_large(MAX / 2, 8));
    assert_eq!(swizzle_scales(&[1], 2, 2), Err(Error::LayoutLength { what: "scales", given: 1, allowed: 4 }));
    let wrong = Error::LayoutLength { what: "bytes of scale tiles", given: 511, allowed: 512 };
    assert_eq!(unswizzle_scales(&[0; 511], 1, 1), Err(wrong));
    // No blocks, any number of rows; no rows, any number of blocks.
    assert_eq!(unswizzle_scales(&[], 1 << 60, 0), Ok(vec![]));
    assert_eq!(swizzle_scales(&[], 0, 1 << 60), Ok(vec![]));
}

fn names() {
    for layout in KernelLayout::all() {
        assert_eq!(KernelLayout::by_name(layout.name), Ok(layout));
        assert!(!layout.applies_to.is_empty() && !layout.source.is_empty());
        assert_eq!(KernelLayout::all().iter().filter(|l| l.name == layout.name || l.holds == layout.holds).count(), 1);
    }
    let unknown = Error::UnknownLayout { given: "scales-128".to_owned(), nearest: "scales-128x4" };
    assert_eq!(KernelLayout::by_name("scales-128"), Err(unknown));
    let listed = serde_json::to_value(KernelLayout::by_name("fp4-low-first").expect("known")).expect("plain data");
    assert_eq!(listed["holds"], serde_json::json!({"codes": {"nibbles": "low-first"}}));
    assert!(matches!(KernelLayout::by_name("scales-128x4").map(|l| l.holds), Ok(Holds::Scales)));
}
