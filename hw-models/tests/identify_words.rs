//! Units identified from words, as files hold them.

use crate::identify::{FP16, Rows};
use crate::support::{case, oracle_bytes};
use interplay_formats::file::Container;
use interplay_hw::identify::{Options, Search};
use interplay_hw::{Datapath, Error, Operands, Words, identify, identify_words};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let words = WORDS.into_iter().map(|(file, options, expected)| {
        let path = format!("vectors/silicon/{file}.safetensors");
        let name = format!("identify::words of {file} {options:?}");
        oracle_bytes(&name, &path, move |bytes| named_words(&bytes, options, expected))
    });
    let cases = [
        case("identify::words in every layout", words_in_every_layout),
        case("identify::sparse words", sparse_words),
        case("identify::words that no reading takes", words_that_no_reading_takes),
    ];
    words.chain(cases).collect()
}

/// A recorded file, the input and the accumulator if they are given, and a record that must explain every row. Small BF16
/// numbers are FP16 numbers as well, so it need not be the only one.
type WordsOf = (&'static str, [Option<&'static str>; 2], &'static str);

const WORDS: [WordsOf; 6] = [
    ("A100_fp16", [Some("f16"), None], "ampere.mma.f16.f32"),
    ("A100_fp16", [Some("f16"), Some("f16")], "ampere.mma.f16.f16"),
    ("A100_fp16", [None, None], "ampere.mma.f16.f32"),
    ("A100_bf16", [None, None], "ampere.mma.bf16.f32"),
    ("H100_tf32", [Some("tf32"), None], "hopper.mma.tf32.f32"),
    ("Ada_E4M3", [None, Some("f32")], "ada.mma.e4m3.f32"),
];

fn options([input, accumulator]: [Option<&str>; 2], search: Search) -> Options {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Options { input: owned(input), accumulator: owned(accumulator), search, ..Options::default() }
}

/// FP32 bits as the files have them, C of an FP16 unit not yet rounded.
fn named_words(bytes: &[u8], given: [Option<&str>; 2], expected: &str) {
    let container = Container::parse(bytes).expect("a safetensors file");
    let tensor = |name: &str| Words::little_endian(4, container.tensor(name).expect("a tensor").bytes).unwrap();
    let d = tensor(if given[1] == Some("f16") { "d_fp16" } else { "d_fp32" });
    let (rows, a) = (d.len(), tensor("a"));
    let k = a.len() / rows;
    let operands = Operands { c: Some(tensor("c")), ..Operands::rows(rows, k, a, tensor("b")) };
    let report = identify_words(&operands, &d, &[], &options(given, Search::Never)).unwrap();
    assert!(report.is_explained(), "{report}");
    let perfect = report.records.iter().filter(|record| record.explained == rows);
    assert!(perfect.flat_map(|record| &record.names).any(|name| *name == expected), "{report}");
    let input = expected.split('.').nth(2).unwrap();
    assert!(report.inputs.contains(&input), "{report}");
    assert!(given[0].is_none() || report.inputs == [input], "{report}");
}

/// Rows, rows in FP32 bits, and whole matrices give one answer; so do rows in another order of K, and more rows of which
/// only these count.
fn words_in_every_layout() {
    let rows = Rows::of(Datapath::by_name("ampere.mma.f16.f32").unwrap(), 16, 16, 300);
    let want = identify(&rows.view(), &options([Some("f16"), None], Search::Never)).unwrap();
    let halves = |codes: &[u64]| -> Words<'static> { codes.iter().map(|&code| code as u16).collect::<Vec<_>>().into() };
    let singles =
        |codes: &[u64]| -> Words<'static> { codes.iter().map(|&code| code as u32).collect::<Vec<_>>().into() };
    let wide = |codes: &[u64]| -> Vec<u64> {
        codes.iter().map(|&code| u64::from(FP16.decode(code).to_f32().to_bits())).collect()
    };
    let of = |a, b, c: &[u64]| Operands { c: Some(singles(c)), ..Operands::rows(300, 16, a, b) };
    let f16 = options([Some("f16"), None], Search::Never);
    let answer = |operands: &Operands<'_>, d: &[u64], order: &[usize]| {
        identify_words(operands, &singles(d), order, &f16).unwrap()
    };
    let codes = of(halves(&rows.a), halves(&rows.b), &rows.c);
    assert_eq!(answer(&codes, &rows.d, &[]), want);
    let numbers = of(singles(&wide(&rows.a)), singles(&wide(&rows.b)), &rows.c);
    assert_eq!(answer(&numbers, &rows.d, &[]), want);
    // Position i of the reduction is position 3 - i of every four.
    let turned = |codes: &[u64]| codes.chunks(4).flat_map(|four| four.iter().rev()).copied().collect::<Vec<_>>();
    let reversed = of(halves(&turned(&rows.a)), halves(&turned(&rows.b)), &rows.c);
    assert_eq!(answer(&reversed, &rows.d, &[3, 2, 1, 0]), want);
    let mut d = rows.d.clone();
    d[7] ^= 1 << 20;
    assert!(!answer(&codes, &d, &[]).is_explained());
    let agree = (0..300).map(|row| u8::from(row != 7)).collect::<Vec<_>>();
    let agreed = Operands { agree: Some(agree.into()), ..codes };
    let report = answer(&agreed, &d, &[]);
    assert!(report.is_explained() && report.rows == 299, "{report}");
    // 20 rows by 15 columns.
    let unit = Datapath::by_name("ampere.mma.f16.f32").unwrap();
    let matrices = Operands {
        c: Some(singles(&rows.c)),
        ..Operands::matrices((20, 15, 16), halves(&rows.a[..320]), halves(&rows.b[..240]))
    };
    let d = unit.outputs(&matrices, &Default::default()).unwrap();
    let report = answer(&matrices, &d, &[]);
    assert!(report.is_explained() && report.rows == 300, "{report}");
    assert!(report.records[0].names.contains(&unit.name), "{report}");
}

/// Stored halves of A in FP32 bits, and metadata.
fn sparse_words() {
    let unit = Datapath::by_name("hopper.mma-sp-h2.f16.f32").unwrap();
    let rows = Rows::of(Datapath::by_name("hopper.mma.f16.f32").unwrap(), 16, 64, 100);
    let legal = [0b0100u8, 0b1000, 0b1100, 0b1001, 0b1101, 0b1110];
    let e: Vec<u8> = (0..100 * 16).map(|i| legal[i * 7 % 11 % 6]).collect();
    let a: Vec<u32> = rows.a[..100 * 32].iter().map(|&code| FP16.decode(code).to_f32().to_bits()).collect();
    let b: Vec<u16> = rows.b.iter().map(|&code| code as u16).collect();
    let operands = Operands { metadata: Some(e.into()), ..Operands::rows(100, 64, a, b) };
    let d = unit.outputs(&operands, &Default::default()).unwrap();
    let d = Words::from(d.into_iter().map(|code| code as u32).collect::<Vec<_>>());
    let report = identify_words(&operands, &d, &[], &options([None, None], Search::Never)).unwrap();
    let perfect = report.records.iter().filter(|record| record.explained == 100);
    assert!(perfect.flat_map(|record| &record.names).any(|name| *name == unit.name), "{report}");
}

fn words_that_no_reading_takes() {
    let one = |value: f32| Words::from(&[1.0, value][..]);
    let operands = |a: f32| Operands::rows(1, 2, one(a), one(1.0));
    let d = Words::from(&[2.0f32][..]);
    let asked = options([Some("f16"), None], Search::Never);
    let error = identify_words(&operands(1.0003), &d, &[], &asked).unwrap_err();
    assert!(matches!(error, Error::Element { array: "a", row: 0, column: 1, .. }), "{error}");
    let known = identify_words(&operands(1.0), &d, &[], &asked).unwrap();
    assert_eq!(known.inputs, ["f16"]);
    let any = identify_words(&operands(1.0003), &d, &[], &options([None, None], Search::Never)).unwrap();
    assert!(any.inputs.contains(&"f32") && !any.inputs.contains(&"f16"), "{any}");
    let error = identify_words(&operands(1.0), &Words::from(vec![2u8]), &[], &asked).unwrap_err();
    assert!(matches!(error, Error::Words { array: "d", given: 8, .. }), "{error}");
    let error = identify_words(&operands(1.0), &d, &[0, 0], &asked).unwrap_err();
    assert!(matches!(error, Error::KOrder { .. }), "{error}");
    let error = identify_words(&Operands { agree: Some(vec![0u8].into()), ..operands(1.0) }, &d, &[], &asked);
    assert!(matches!(error, Err(Error::Lengths { field: "d", .. })), "{error:?}");
    let unknown = identify_words(&operands(1.0), &d, &[], &options([None, Some("f61")], Search::Never)).unwrap_err();
    assert!(unknown.to_string().contains("unknown accumulator `f61`, did you mean `f16`"), "{unknown}");
}
