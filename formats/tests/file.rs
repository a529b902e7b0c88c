//! Files of quantised tensors: what is written is read back, and what is damaged is refused without a panic.

use crate::support::{Random, case, codes, same_bits};
use interplay_formats::file::{Container, Dtype, Export, FileError, Options, Outline, QuantizedFile, Writer};
use interplay_formats::{Codes, Error, Format, NonFinite, Packed, PartsError, Quantized, Scales};
use libtest_mimic::Trial;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::io::Cursor;

pub fn trials() -> Vec<Trial> {
    vec![
        case("file::every_format_there_and_back", every_format_there_and_back),
        case("file::layout_of_the_contract", layout_of_the_contract),
        case("file::other_readers_understand_it", other_readers_understand_it),
        case("file::damage_is_refused", damage_is_refused),
        case("file::wrong_arrays_are_named", wrong_arrays_are_named),
        case("file::parts_are_checked", parts_are_checked),
        case("file::any_legal_parts_decode_alike", any_legal_parts_decode_alike),
        case("file::nan_factors_stay_nan", nan_factors_stay_nan),
        case("file::packed_bytes_come_back", packed_bytes_come_back),
        case("file::wide_codes_take_their_own_bits", wide_codes_take_their_own_bits),
        case("file::names_must_differ", names_must_differ),
        case("file::losses_by_hand", losses_by_hand),
    ]
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new_with_rng(
        Config { cases, failure_persistence: None, ..Config::default() },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    )
}

fn format(name: &str) -> &'static Format {
    Format::by_name(name).expect("known")
}

/// Values that every format takes: FP8 formats without zero too.
fn values(seed: u64, count: usize) -> Vec<f32> {
    let mut random = Random(seed);
    (0..count).map(|_| random.near(0)).collect()
}

/// A file of the given tensors.
fn file(format: &'static Format, options: Options, tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let mut export = Export::new(format, options);
    for (name, shape, _) in tensors {
        export.quantized(name, shape).expect("another name");
    }
    let mut writer = export.start(Cursor::new(Vec::new())).expect("memory");
    for (name, shape, values) in tensors {
        let k = shape.last().copied().unwrap_or(1);
        let q = format.quantize(values, k).expect("finite");
        writer.quantized(name, &q, &q.dequantize()).expect("announced");
    }
    writer.finish().expect("complete").into_inner()
}

const BOTH: [Options; 2] = [Options { packed: false, dequantized: true }, Options { packed: true, dequantized: false }];

fn every_format_there_and_back() {
    let shapes: [&[usize]; 6] = [&[3, 2, 70], &[17, 33], &[5], &[], &[4, 0], &[0, 8]];
    let families = ["hbfp5-b16", "int12", "s4", "u7", "fixed8.4", "int16-g32"].map(format);
    for format in Format::all().iter().chain(families) {
        for options in BOTH {
            let names: Vec<String> = (0..shapes.len()).map(|i| format!("t{i}")).collect();
            let data: Vec<Vec<f32>> = shapes.iter().map(|s| values(7, s.iter().product())).collect();
            let tensors: Vec<_> = (0..shapes.len()).map(|i| (names[i].as_str(), shapes[i], &data[i][..])).collect();
            let bytes = file(format, options, &tensors);
            assert_eq!(bytes, file(format, options, &tensors), "{}: the same bytes", format.name);
            let read = QuantizedFile::parse(&bytes).expect("just written");
            assert!(std::ptr::eq(read.format(), format), "{}", format.name);
            assert_eq!(read.tensors().count(), shapes.len());
            assert_eq!(read.copied().count(), 0);
            for (name, shape, values) in tensors {
                let want = format.quantize(values, shape.last().copied().unwrap_or(1)).expect("finite");
                let got = read.read(name).expect("just written");
                assert_eq!(got, want, "{} {shape:?}", format.name);
                let loss = got.loss(values, &got.dequantize()).expect("the same shape");
                assert!(loss.rms_error <= loss.max_error && loss.non_finite == 0, "{} {loss:?}", format.name);
                let written = read.dequantized(name).expect("well-formed");
                assert_eq!(written.is_some(), options.dequantized);
                same_bits(&got.dequantize(), &written.unwrap_or(want.dequantize()), format.name);
            }
        }
    }
}

fn layout_of_the_contract() {
    let x = values(3, 3 * 40);
    let arrays = |name: &str, packed| {
        let options = Options { packed, dequantized: true };
        let bytes = file(format(name), options, &[("w", &[3, 40], &x)]);
        let container = Container::parse(&bytes).expect("just written");
        let line = |(name, v): (&str, &interplay_formats::file::View)| format!("{name} {:?} {:?}", v.dtype, v.shape);
        container.tensors().map(line).collect::<Vec<_>>().join("; ")
    };
    for (name, want) in [
        ("mxfp8", "w.codes U8 [3, 64]; w.dequantized F32 [3, 40]; w.scales U8 [3, 2]"),
        ("mxint8", "w.codes I8 [3, 64]; w.dequantized F32 [3, 40]; w.scales U8 [3, 2]"),
        ("hbfp4", "w.codes I8 [3, 64]; w.dequantized F32 [3, 40]; w.scales I16 [3, 1]"),
        ("int8", "w.codes I8 [3, 40]; w.dequantized F32 [3, 40]; w.scales F32 [3, 1]"),
        ("int8-tensor", "w.codes I8 [3, 40]; w.dequantized F32 [3, 40]; w.scales F32 [1, 1]"),
        ("int8-feature", "w.codes I8 [3, 40]; w.dequantized F32 [3, 40]; w.scales F32 [1, 40]"),
        ("int4-asym", "w.codes U8 [3, 40]; w.dequantized F32 [3, 40]; w.scales F32 [3, 1]; w.zeros U8 [3, 1]"),
        ("nvfp4", "w.codes U8 [3, 48]; w.dequantized F32 [3, 40]; w.scale2 F32 []; w.scales U8 [3, 3]"),
        ("nvfp4-16x16", ""),
        ("mx9", "w.codes I8 [3, 48]; w.dequantized F32 [3, 40]; w.scales U16 [3, 3]"),
        ("bf16", "w.codes U16 [3, 40]; w.dequantized F32 [3, 40]"),
        ("int12", "w.codes I16 [3, 40]; w.dequantized F32 [3, 40]; w.scales F32 [3, 1]"),
        ("fp64", "w.codes U64 [3, 40]; w.dequantized F32 [3, 40]"),
    ] {
        match name {
            "nvfp4-16x16" => {
                let want = "w.codes U8 [3, 48]; w.dequantized F32 [3, 40]; w.scale2 F32 []; w.scales U8 [1, 3]";
                assert_eq!(arrays("nvfp4-te-16x16", false), want);
            }
            _ => assert_eq!(arrays(name, false), want, "{name}"),
        }
    }
    assert!(arrays("mxfp4", true).starts_with("w.codes U8 [96]; "));
    assert!(arrays("hbfp6", true).starts_with("w.codes U8 [144]; "));
}

/// The reference implementation of the container reads ours, and every tensor is aligned to its type.
fn other_readers_understand_it() {
    let x = values(3, 3 * 40);
    let bytes = file(format("nvfp4"), BOTH[0], &[("a", &[3, 40], &x), ("b", &[120], &x)]);
    let theirs = safetensors::SafeTensors::deserialize(&bytes).expect("well-formed");
    let ours = Container::parse(&bytes).expect("well-formed");
    assert_eq!(theirs.len(), ours.tensors().count());
    for (name, view) in ours.tensors() {
        let same = theirs.tensor(name).expect("the same names");
        assert_eq!((same.dtype(), same.shape(), same.data()), (view.dtype, &view.shape[..], view.bytes));
        let at = view.bytes.as_ptr().addr() - bytes.as_ptr().addr();
        assert_eq!(at % (view.dtype.bitsize() / 8), 0, "{name}");
    }
    let metadata = ours.metadata();
    assert_eq!(metadata.keys().collect::<Vec<_>>(), ["format", "packed", "shape", "version"]);
    assert_eq!(metadata["shape"], r#"{"a":[3,40],"b":[120]}"#);
}

/// Every byte of the file changed, and the file cut anywhere: an error or a tensor, never a panic.
fn damage_is_refused() {
    for (name, options) in
        [("mxfp4", BOTH[0]), ("hbfp6", BOTH[1]), ("int4-asym", BOTH[1]), ("nvfp4", BOTH[0]), ("mx6", BOTH[0])]
    {
        let x = values(5, 2 * 24);
        let bytes = file(format(name), options, &[("w", &[2, 24], &x)]);
        for length in 0..bytes.len() {
            assert!(QuantizedFile::parse(&bytes[..length]).is_err(), "{name} cut to {length} bytes");
        }
        let damage = prop::collection::vec((0..bytes.len(), any::<u8>()), 1..6);
        let law = |places: Vec<(usize, u8)>| {
            let mut bytes = bytes.clone();
            for (at, byte) in places {
                bytes[at] = byte;
            }
            if let Ok(read) = QuantizedFile::parse(&bytes) {
                for (name, _) in read.tensors() {
                    let _ = read.read(name).map(|q| same_bits(&q.dequantize(), &q.dequantize_reference(), name));
                    let _ = read.dequantized(name);
                }
            }
            Ok(())
        };
        runner(4000).run(&damage, law).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
    let huge = [u64::MAX.to_le_bytes().as_slice(), b"{}"].concat();
    assert!(matches!(Container::parse(&huge), Err(FileError::Short { .. })));
    let header =
        br#"{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}"#;
    let twice = [&(header.len() as u64).to_le_bytes()[..], header, &[7]].concat();
    let message = Container::parse(&twice).map(drop).unwrap_err().to_string();
    assert!(message.contains("key `w` is there twice"), "{message}");
}

/// A file with one array replaced by another, and the sentence that says so.
fn wrong_arrays_are_named() {
    let x = values(5, 2 * 40);
    let whole = file(format("hbfp6"), BOTH[1], &[("w", &[2, 40], &x)]);
    let refused = |array: &str, dtype: Dtype, shape: &[usize], bytes: &[u8]| {
        let container = Container::parse(&whole).expect("just written");
        let mut outline = Outline::default();
        for (key, value) in container.metadata() {
            outline.note(key, value.clone());
        }
        for (name, view) in container.tensors().filter(|(name, _)| *name != array) {
            outline.tensor(name, view.dtype, &view.shape).expect("another name");
        }
        if !shape.is_empty() {
            outline.tensor(array, dtype, shape).expect("another name");
        }
        let mut writer = Writer::new(Cursor::new(Vec::new()), &outline).expect("memory");
        for (name, view) in container.tensors().filter(|(name, _)| *name != array) {
            writer.raw(name, view.bytes).expect("announced");
        }
        if !shape.is_empty() {
            writer.raw(array, bytes).expect("announced");
        }
        let bytes = writer.finish().expect("complete").into_inner();
        let read = QuantizedFile::parse(&bytes).expect("the header is right");
        read.read("w").expect_err(array).to_string()
    };
    assert_eq!(refused("w.scales", Dtype::U8, &[], &[]), "tensor `w` lacks its array `w.scales`");
    let short = refused("w.codes", Dtype::U8, &[95], &[0; 95]);
    assert_eq!(short, "array `w.codes` has shape [95], but the shape of its tensor asks for [96]");
    let typed = refused("w.scales", Dtype::U16, &[2, 1], &[0; 4]);
    assert_eq!(typed, "array `w.scales` is U16, but here I16 belongs");
    // Column 63 of row 1 is padding.
    let mut codes = vec![0; 96];
    codes[95] = 0x80;
    let padding = refused("w.codes", Dtype::U8, &[96], &codes);
    assert!(padding.contains("tensor `w`") && padding.contains("row 1, column 63 is padding"), "{padding}");
    codes[95] = 0;
    codes[0] = 1;
    let scale = refused("w.scales", Dtype::I16, &[2, 1], &[0xFF, 0x7F, 0, 0]);
    assert!(scale.contains("the scale of block 0 is 32767; it must be -512 to 511"), "{scale}");
}

fn parts_are_checked() {
    let hbfp4 = format("hbfp4-b2");
    let make = |codes, scales| Quantized::from_parts(hbfp4, 2, 3, codes, scales, None);
    let problem = |made: Result<Quantized, Error>| match made {
        Err(Error::Parts { format: "hbfp4-b2", problem }) => problem,
        other => panic!("{other:?}"),
    };
    let good = Codes::I8(vec![7, -7, 3, 0, -8, 1, 0, 0]);
    let q = make(good.clone(), Scales::Exponent(vec![1, 2, 3, 999])).expect("legal: the last block is zero");
    assert_eq!(q.scales(), &Scales::Exponent(vec![1, 2, 3, 0]));
    assert_eq!(codes(&q)[4] as i64, -8, "a code that is never produced is read");
    let wide = problem(make(Codes::I8(vec![8, 0, 0, 0, 0, 0, 0, 0]), Scales::Exponent(vec![0; 4])));
    assert_eq!(wide, PartsError::Code { row: 0, column: 0, code: 8, bits: 4 });
    let padding = problem(make(Codes::I8(vec![0, 0, 0, 1, 0, 0, 0, 0]), Scales::Exponent(vec![0; 4])));
    assert_eq!(padding, PartsError::Padding { row: 0, column: 3, code: 1 });
    let kind = problem(make(Codes::U8(vec![0; 8]), Scales::Exponent(vec![0; 4])));
    assert_eq!(kind, PartsError::CodesKind { given: "U8", wanted: "I8" });
    let few = problem(make(good.clone(), Scales::Exponent(vec![0; 3])));
    assert_eq!(few, PartsError::Length { part: "scales", given: 3, wanted: 4 });
    let kind = problem(make(good.clone(), Scales::E8M0(vec![0; 4])));
    assert_eq!(kind, PartsError::ScalesKind { given: "E8M0 bytes", wanted: "block exponents" });
    let far = problem(make(good, Scales::Exponent(vec![0, 600, 0, 0])));
    let (given, wanted) = ("600".to_owned(), "-512 to 511".to_owned());
    assert_eq!(far, PartsError::Scale { block: 1, given, wanted });
    let size = Quantized::from_parts(hbfp4, usize::MAX, 3, Codes::I8(vec![]), Scales::Exponent(vec![]), None);
    assert_eq!(problem(size), PartsError::Size { rows: usize::MAX, k: 3 });
    let nvfp4 = format("nvfp4");
    let lone = Quantized::from_parts(nvfp4, 1, 1, Codes::U8(vec![0; 16]), Scales::Code(vec![1]), None);
    assert!(lone.is_err_and(|e| e.to_string().contains("tensor scale is missing")));
    let nan = Quantized::from_parts(nvfp4, 1, 1, Codes::U8(vec![0; 16]), Scales::Code(vec![0x7F]), Some(1.0));
    assert!(nan.is_err_and(|e| e.to_string().contains("block 0 is 0x7f")));
}

/// Codes and scales that no quantiser would make, but that the format can hold: fast and slow decoding agree.
fn any_legal_parts_decode_alike() {
    let mut random = Random(99);
    for format in Format::all() {
        let mut legal = 0;
        for i in 0..400 {
            let (rows, k) = (2, 32);
            let q = format.quantize(&values(random.bits(), rows * k), k).expect("finite");
            let scales = match q.scales().clone() {
                Scales::E8M0(s) => Scales::E8M0(s.iter().map(|_| random.bits() as u8).collect()),
                Scales::Exponent(s) => {
                    Scales::Exponent(s.iter().map(|_| random.bits() as i16 >> (6 + i % 3)).collect())
                }
                Scales::Micro(s) => Scales::Micro(s.iter().map(|_| u32::from(random.bits() as u16)).collect()),
                Scales::Float32(s) => Scales::Float32(s.iter().map(|_| random.finite()).collect()),
                Scales::Code(s) => Scales::Code(s.iter().map(|_| random.bits() as u8).collect()),
                other => other,
            };
            let made = Quantized::from_parts(format, rows, k, q.codes().clone(), scales, q.tensor_scale());
            let Ok(made) = made else { continue };
            legal += 1;
            same_bits(&made.dequantize(), &made.dequantize_reference(), format.name);
        }
        assert!(legal > 0, "{}: no legal scales tried", format.name);
    }
}

/// Every format from its packed bytes, of rows with a short last block; and bytes that cannot be.
fn packed_bytes_come_back() {
    let (rows, k) = (3, 70);
    let x = values(11, rows * k);
    for format in Format::all() {
        let (Ok(q), Ok(packed)) = (format.quantize(&x, k), format.pack(&x, k)) else { continue };
        assert!(Quantized::from_packed(format, rows, k, &packed) == Ok(q), "{}", format.name);
    }
    let hbfp = format("hbfp8-e10");
    let packed = hbfp.pack(&[1.5; 6], 3).expect("finite");
    let refused = |change: fn(&mut Packed)| {
        let mut packed = packed.clone();
        change(&mut packed);
        Quantized::from_packed(hbfp, 2, 3, &packed).expect_err("changed").to_string()
    };
    assert!(refused(|p| p.values.truncate(5)).contains("5 bytes of codes, but the shape asks for 128"));
    assert!(refused(|p| p.scales.push(0)).contains("4 bytes of scales"));
    assert!(refused(|p| p.metadata.push(0)).contains("1 bytes of metadata"));
    assert!(refused(|p| p.scales[2] = 0xF0).contains("only the low 4 bits are used"));
    assert!(refused(|p| p.values[9] = 1).contains("padding"));
    let size = Quantized::from_packed(hbfp, usize::MAX, 3, &packed).expect_err("no such shape");
    assert!(size.to_string().contains("more elements than can be counted"));
}

/// Rows that hold a NaN, in a record that marks them by a NaN factor.
fn nan_factors_stay_nan() {
    let marked = Format { name: "int8-nan-row", aliases: &[], non_finite: NonFinite::NanBlock, ..*format("int8") };
    let marked = marked.adopt().expect("a record that makes sense");
    let x = [1.0, f32::NAN, 3.0, 4.0];
    let q = marked.quantize_any(&x, 2, 0).expect("encoded");
    let bytes = file(marked, BOTH[1], &[("w", &[2, 2], &[1.0, 2.0, 3.0, 4.0])]);
    assert!(std::ptr::eq(QuantizedFile::parse(&bytes).expect("just written").format(), marked));
    for values in [q.dequantize(), q.dequantize_reference()] {
        assert!(values[0].is_nan() && values[1].is_nan() && values[3] == 4.0, "{values:?}");
    }
}

/// Codes of 33 to 63 bits lie in words of 64, but are packed as what they are.
fn wide_codes_take_their_own_bits() {
    for (exponent, mantissa, bits) in [(8, 24, 33u64), (8, 32, 41), (10, 52, 63)] {
        let text = format!("[format]\nname = \"wide{bits}\"\nexponent_bits = {exponent}\nmantissa_bits = {mantissa}");
        let format = Format::declare(&text).expect("a float");
        let x = values(11, 3 * 7);
        let q = format.quantize(&x, 7).expect("finite");
        let packed = q.packed(None).expect("no mask");
        let footprint = format.footprint(3, 7, None);
        let bytes = (21 * bits).div_ceil(8);
        assert_eq!((footprint.values, packed.values.len() as u64), (8 * bytes, bytes));
        assert_eq!(interplay_formats::pack::unpack(&packed.values, bits as u32, 21), Ok(codes(&q)));
        for options in BOTH {
            let bytes = file(format, options, &[("w", &[3, 7], &x)]);
            assert_eq!(QuantizedFile::parse(&bytes).expect("just written").read("w").expect("just written"), q);
        }
    }
}

fn names_must_differ() {
    let mut export = Export::new(format("mxfp8"), BOTH[0]);
    export.quantized("w", &[4, 32]).expect("the first");
    assert!(matches!(export.copied("w.codes", Dtype::I64, &[1]), Err(FileError::Twice(name)) if name == "w.codes"));
    assert!(export.quantized("w", &[4, 32]).is_err());
    assert!(matches!(export.quantized("v", &[usize::MAX, 32]), Err(FileError::TooLarge(_))));
    let mut export = Export::new(format("mxfp8"), BOTH[0]);
    export.quantized("w", &[1, 32]).expect("the first");
    let writer = export.start(Cursor::new(Vec::new())).expect("memory");
    assert!(matches!(writer.finish(), Err(FileError::Unwritten(_))));
}

fn losses_by_hand() {
    // HBFP4 of 1.0: one unit is 2^-3 and 8 units do not fit; 0.9 is 7.2 units. The second block is 0.
    let format = format("hbfp4-b2");
    let x = [1.0, 0.9, 0.0];
    let q = format.quantize(&x, 3).expect("finite");
    let loss = q.loss(&x, &q.dequantize()).expect("the same shape");
    assert_eq!((loss.max_error, loss.clipped, loss.non_finite, loss.padded_blocks), (0.125, 1, 0, 1));
    let squares = 0.125f64.powi(2) + (f64::from(0.9f32) - 0.875).powi(2);
    assert!((loss.rms_error - (squares / 3.0).sqrt()).abs() < 1e-12);
    let clipped = |name: &str, x: &[f32]| {
        let q = Format::by_name(name).expect("known").quantize_any(x, x.len(), 0).expect("encoded");
        q.loss(x, &q.dequantize()).expect("the same shape").clipped
    };
    // E2M1 ends at 6 in units of 4: 7 is the tie, whose even neighbour is 8.
    assert_eq!(clipped("e2m1", &[6.9, 7.0, -7.0, 6.0]), 2);
    // E4M3 ends at the even 448: its tie 464 stays.
    assert_eq!(clipped("e4m3", &[464.0, 465.0, -465.0, 448.0]), 2);
    assert_eq!(clipped("s4", &[7.5, -8.5, -8.6, 7.4]), 2);
    assert_eq!(clipped("u4", &[-0.5, -0.6, 15.5, 3.0]), 2);
    assert_eq!(clipped("int8", &[1.0, 0.3, -1.0]), 0);
    assert_eq!(clipped("int4-asym", &[1.0, 0.3, -1.0]), 0);
    let x = [f32::NAN, 1.0, f32::INFINITY];
    let q = Format::by_name("mxfp8").expect("known").quantize_any(&x, 3, 0).expect("a NaN block");
    let loss = q.loss(&x, &q.dequantize()).expect("the same shape");
    assert_eq!((loss.non_finite, loss.max_error), (2, f64::INFINITY));
}
