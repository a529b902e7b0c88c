//! Packed bytes, footprint, sparsity and pipelines.

use crate::support::{Random, case, codes, same_bits};
use interplay_formats::{Error, Footprint, Format, Order, Pattern, Pipeline, Scales, Step, pack};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("storage::packing_is_undone", packing_is_undone),
        case("storage::nibbles_and_sextets", nibbles_and_sextets),
        case("storage::footprint_is_the_length_of_the_bytes", footprint_is_the_length_of_the_bytes),
        case("storage::bits_of_the_contract", bits_of_the_contract),
        case("storage::metadata_of_two_of_four", metadata_of_two_of_four),
        case("storage::patterns_parse_and_print", patterns_parse_and_print),
        case("storage::pruned_counts", pruned_counts),
        case("storage::orders_differ_as_they_should", orders_differ_as_they_should),
        case("storage::pipelines_of_any_length", pipelines_of_any_length),
        case("storage::none_needs_no_order", none_needs_no_order),
    ]
}

fn matrix(seed: u64, len: usize) -> Vec<f32> {
    let mut random = Random(seed);
    (0..len).map(|_| random.near(0)).collect()
}

fn pattern(text: &str) -> Pattern {
    text.parse().expect("a pattern of the contract")
}

fn packing_is_undone() {
    for format in Format::all() {
        for k in [64, 100, 5] {
            let q = format.quantize(&matrix(3, 7 * k), k).expect("finite");
            let packed = q.packed(None).expect("no mask");
            let width = format.element.bits();
            let mask = u64::MAX >> (64 - width);
            let want: Vec<u64> = codes(&q).iter().map(|c| c & mask).collect();
            assert_eq!(pack::unpack(&packed.values, width, want.len()), Ok(want), "{} in rows of {k}", format.name);
            assert!(packed.metadata.is_empty());
        }
    }
}

/// The first code of a byte lies in its low bits.
fn nibbles_and_sextets() {
    let fp4 = Format::by_name("mxfp4").expect("known");
    let x: Vec<f32> = [0.5, 1.0, 6.0, -6.0].into_iter().chain([0.0; 28]).collect();
    let packed = fp4.quantize(&x, 32).expect("finite").packed(None).expect("no mask");
    assert_eq!(packed.values[..3], [0x21, 0xF7, 0x00]);
    assert_eq!((packed.values.len(), packed.scales), (16, vec![127]));
    let fp6 = Format::by_name("mxfp6").expect("known");
    let x: Vec<f32> = [0.125, 7.5, -7.5, 1.0].into_iter().chain([0.0; 28]).collect();
    let packed = fp6.quantize(&x, 32).expect("finite").packed(None).expect("no mask");
    // 000001, 011111, 111111, 001000, least significant bits first.
    assert_eq!(packed.values[..4], [0b1100_0001, 0b1111_0111, 0b0010_0011, 0]);
    assert_eq!(packed.values.len(), 24);
}

fn footprint_is_the_length_of_the_bytes() {
    for format in Format::all() {
        for k in [64, 128, 100, 12, 27, 9, 1] {
            let w = matrix(5, 9 * k);
            let q = format.quantize(&w, k).expect("finite");
            for text in ["dense", "50%", "30%-row", "2:4", "1:4", "5:7"] {
                let mask = pattern(text).magnitude_mask(&w, k).expect("finite");
                let packed = q.packed(Some(&mask)).expect("the same shape");
                let bits = |bytes: &[u8]| 8 * bytes.len() as u64;
                let bytes = Footprint {
                    values: bits(&packed.values),
                    scales: bits(&packed.scales),
                    metadata: bits(&packed.metadata),
                    other: 0,
                };
                assert_eq!(format.footprint(9, k, Some(&mask)), bytes, "{} {text} {k}", format.name);
            }
        }
    }
}

fn bits_of_the_contract() {
    let bits = |name: &str, k: usize| {
        let format = Format::by_name(name).expect("known");
        let footprint = format.footprint(512, k, None);
        assert_eq!(footprint.total() as f64 / (512 * k) as f64, format.bits_per_element().in_rows_of(k), "{name}");
        format.bits_per_element().to_string()
    };
    let table = [
        ("fp32", "32"),
        ("bf16", "16"),
        ("fp16", "16"),
        ("int8", "8 + 32/K"),
        ("int4", "4 + 32/K"),
        ("mxfp8", "8.25"),
        ("mxfp6", "6.25"),
        ("mxfp4", "4.25"),
        ("mxint8", "8.25"),
        ("hbfp8", "8.15625"),
        ("hbfp6", "6.15625"),
        ("hbfp4", "4.15625"),
    ];
    for (name, want) in table {
        assert_eq!(bits(name, 256), want, "{name}");
    }
    // MXFP8 with 2:4: 4 bits of values, 1 of metadata, 0.25 of scales an element.
    let w = matrix(2, 64 * 64);
    let mask = pattern("2:4").magnitude_mask(&w, 64).expect("4 divides 64");
    let sparse = Format::by_name("mxfp8").expect("known").footprint(64, 64, Some(&mask));
    assert_eq!(sparse, Footprint { values: 4 * 4096, metadata: 4096, scales: 1024, other: 0 });
    assert_eq!([sparse, Footprint::other(6)].into_iter().sum::<Footprint>().total(), 21_510);
}

fn metadata_of_two_of_four() {
    let w = [1.0, 0.1, 0.2, 3.0, 0.0, 0.0, 5.0, 5.0];
    let mask = pattern("2:4").magnitude_mask(&w, 8).expect("4 divides 8");
    assert_eq!(mask.kept(), [true, false, false, true, false, false, true, true]);
    // Positions 0 and 3, then 2 and 3: 0b1100 and 0b1110.
    assert_eq!(mask.metadata(), [0xEC]);
    assert_eq!(pattern("50%").magnitude_mask(&w, 8).expect("finite").metadata(), [0b1100_1001]);
    let eight = pattern("3:8").magnitude_mask(&w, 8).expect("8 divides 8");
    assert_eq!((eight.metadata_bits(), eight.metadata()), (9, pack_bits(&[3, 6, 7], 3)));
}

fn pack_bits(values: &[u64], width: usize) -> Vec<u8> {
    let number = values.iter().rev().fold(0u64, |n, v| n << width | v);
    number.to_le_bytes()[..(values.len() * width).div_ceil(8)].to_vec()
}

fn patterns_parse_and_print() {
    for text in ["dense", "50%", "50%-row", "2:4", "1:4", "4:8", "37%", "62.5%", "0%", "100%", "12.25%-row", "7:256"] {
        assert_eq!(pattern(text).to_string(), text);
    }
    assert_eq!(pattern(" 62.50% "), pattern("62.5%"));
    for text in [
        "", "50", "%", "150%", "100.01%", "-5%", "4:2", "4:4", "0:4", "2:512", "2:4:8", "1e1%", "50%-col", "1.234%",
        ".5%", "5.%",
    ] {
        assert_eq!(text.parse::<Pattern>(), Err(Error::UnknownPattern(text.to_owned())), "{text}");
    }
}

fn pruned_counts() {
    let w = matrix(11, 30 * 64);
    for percent in 0..=100usize {
        let mask = pattern(&format!("{percent}%")).magnitude_mask(&w, 64).expect("finite");
        assert_eq!(mask.pruned(), w.len() * percent / 100, "{percent}%");
        let mask = pattern(&format!("{percent}%-row")).magnitude_mask(&w, 64).expect("finite");
        assert!(mask.kept().chunks(64).all(|row| row.iter().filter(|k| !**k).count() == 64 * percent / 100));
    }
    // All equal: the lower indices go.
    let mask = pattern("50%").magnitude_mask(&[-2.0, 2.0, 2.0, -2.0, 2.0], 5).expect("finite");
    assert_eq!(mask.kept(), [false, false, true, true, true]);
    let mask = pattern("1:4").magnitude_mask(&[2.0, -2.0, 2.0, 1.0], 4).expect("finite");
    assert_eq!(mask.kept(), [false, false, true, false]);
}

fn orders_differ_as_they_should() {
    let two_of_four = pattern("2:4");
    for format in Format::all().iter().filter(|f| f.scaling.is_some() && f.laws.theorem_3_5) {
        let w = matrix(13, 6 * 128);
        let run = |order| {
            let pipeline = Pipeline::ordered(order, two_of_four, format).expect("an order is given");
            pipeline.apply(&w, 128).expect("finite")
        };
        let (sq, qs) = (run(Order::Sq), run(Order::Qs));
        let dense = format.quantize(&w, 128).expect("finite");
        let (sq_codes, qs_codes) =
            (sq.quantized.as_ref().expect("quantised"), qs.quantized.as_ref().expect("quantised"));
        // Q->S keeps the scales of the dense matrix; S->Q takes them from the survivors, the same where the largest
        // magnitude of a block survives and alone decides.
        assert_eq!(qs_codes.scales(), dense.scales(), "{}", format.name);
        if format.laws.theorem_3_5 {
            // The halving bits of microexponents follow the survivors of each pair.
            let block = |scales: &Scales| match scales {
                Scales::Micro(s) => Scales::Micro(s.iter().map(|s| s & 0xFF).collect()),
                other => other.clone(),
            };
            assert_eq!(block(sq_codes.scales()), block(dense.scales()), "{}", format.name);
        }
        let mask = qs.mask.as_ref().expect("pruned");
        assert_eq!(mask, &two_of_four.magnitude_mask(&dense.dequantize(), 128).expect("finite"));
        assert_eq!(sq.mask.as_ref(), Some(&two_of_four.magnitude_mask(&w, 128).expect("finite")));
        let want = dense.dequantize();
        for (i, kept) in mask.kept().iter().enumerate() {
            assert_eq!(qs.values[i].to_bits(), if *kept { want[i].to_bits() } else { 0 }, "{} {i}", format.name);
        }
        same_bits(&qs_codes.dequantize(), &qs.values, format.name);
        same_bits(&sq_codes.dequantize(), &sq.values, format.name);
        assert_eq!(sq.footprint(), qs.footprint(), "both orders store the same");
    }
    // Where the mask spares no large value the scales do part: all of a block pruned.
    let int8 = Format::by_name("int8").expect("known");
    let w = [1.0, 2.0, 8.0, 9.0];
    let half = |order| Pipeline::ordered(order, pattern("50%"), int8).expect("an order").apply(&w, 2).expect("finite");
    assert_eq!(half(Order::Sq).quantized.expect("quantised").row_scales(), Some(&[1.0, 9.0 / 127.0][..]));
    assert_eq!(half(Order::Qs).quantized.expect("quantised").row_scales(), Some(&[2.0 / 127.0, 9.0 / 127.0][..]));
}

fn pipelines_of_any_length() {
    let format = |name| Format::by_name(name).expect("known");
    let steps = vec![
        Step::Quantize(format("bf16")),
        Step::Prune(pattern("25%")),
        Step::Quantize(format("hbfp8")),
        Step::Prune(pattern("2:4")),
        Step::Quantize(format("mxfp4")),
    ];
    let w = matrix(17, 4 * 64);
    let stored = Pipeline { steps }.apply(&w, 64).expect("finite");
    let mut by_hand = w.clone();
    format("bf16").fake_quantize(&mut by_hand, 64).expect("finite");
    pattern("25%").magnitude_mask(&by_hand, 64).expect("finite").apply(&mut by_hand).expect("the same shape");
    format("hbfp8").fake_quantize(&mut by_hand, 64).expect("finite");
    pattern("2:4").magnitude_mask(&by_hand, 64).expect("finite").apply(&mut by_hand).expect("the same shape");
    format("mxfp4").fake_quantize(&mut by_hand, 64).expect("finite");
    same_bits(&stored.values, &by_hand, "five steps");
    assert_eq!(stored.mask.as_ref().map(|m| m.pattern()), Some(pattern("2:4")), "the last mask is what is stored");
    let nothing = Pipeline::default().apply(&w, 64).expect("finite");
    same_bits(&nothing.values, &w, "no steps");
    assert_eq!(nothing.footprint().total(), 32 * 256);
}

fn none_needs_no_order() {
    let (int8, fp32) = (Format::by_name("int8").expect("known"), Format::fp32());
    let steps = |order, text, format| Pipeline::ordered(order, pattern(text), format).map(|p| p.steps);
    assert_eq!(steps(Order::None, "dense", int8), Ok(vec![Step::Quantize(int8)]));
    assert_eq!(steps(Order::None, "2:4", fp32), Ok(vec![Step::Prune(pattern("2:4"))]));
    assert_eq!(steps(Order::Qs, "2:4", int8), Ok(vec![Step::Quantize(int8), Step::Prune(pattern("2:4"))]));
    assert_eq!(steps(Order::Sq, "dense", fp32), Ok(vec![]));
    let refused = steps(Order::None, "2:4", int8);
    assert_eq!(refused, Err(Error::OrderNeeded { pattern: "2:4".to_owned(), format: "int8" }));
}
