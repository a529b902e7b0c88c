//! Whole products and typed arrays: kernels stand for the interpreter only where they are it, and numbers are never taken for
//! codes of another format.

use crate::support::{Random, case};
use crate::verify::{Case, encoded, packed, transposed, unit};
use interplay_formats::catalog::{BF16, E5M2, FP16};
use interplay_formats::{Range, Scalar, scalar};
use interplay_hw::verify::{Layout, Options};
use interplay_hw::{Datapath, Operands, Words, verify};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("verify::kernels_are_the_interpreter", kernels_are_the_interpreter),
        case("verify::whole_products_are_quick", whole_products_are_quick),
        case("verify::numbers", numbers),
    ]
}

/// Products from +0, where kernels compute, of every unit: any codes, and codes with many zeros, whole blocks of them too.
fn kernels_are_the_interpreter() {
    let mut random = Random(7);
    for datapath in Datapath::all().iter().filter(|datapath| datapath.codes().is_ok_and(|codes| codes.sparse.is_none()))
    {
        for zeros in [false, true] {
            let (m, n, k) = (4, 5, 96);
            let mut case = Case::new(datapath, (m, n, k), &mut random);
            case.c.fill(0);
            for code in case.a.iter_mut().chain(&mut case.b).filter(|_| zeros && random.bits() & 3 != 0) {
                *code = 0;
            }
            if zeros {
                case.a[32..64].fill(0);
                case.scale_a.iter_mut().chain(&mut case.scale_b).for_each(|code| *code = 0x30 + (*code & 7));
            }
            let blocks = case.scale_b.len() / n;
            let (b, scale_b) = (transposed(&case.b, k), transposed(&case.scale_b, blocks));
            let operands = case.operands(datapath, Layout::Matrices { m, n, k }, &b, &scale_b);
            let got = datapath.outputs(&operands, &Options::default()).unwrap();
            for (index, &got) in got.iter().enumerate() {
                let want = datapath.dot(case.row(index / n, index % n, 0), None).unwrap();
                assert_eq!(got, want, "{}: output {index}, zeros {zeros}", datapath.name);
            }
        }
    }
}

/// A product of 512 x 512 x 512 takes no longer than the interpreter takes for a thirty-second of it.
fn whole_products_are_quick() {
    let (datapath, n, few) = (unit("ampere.mma.f16.f32"), 512, 8192);
    let mut random = Random(11);
    // Numbers of about 1, either sign.
    let mut some =
        |count: usize| -> Vec<u16> { (0..count).map(|_| 0x3800 | (random.bits() & 0x83FF) as u16).collect() };
    let (a, b) = (some(n * n), some(n * n));
    let rows = |words: &[u16]| words.iter().copied().cycle().take(few * n).collect::<Vec<u16>>();
    let start = std::time::Instant::now();
    datapath.outputs(&Operands::rows(few, n, rows(&a), rows(&b)), &Options::default()).unwrap();
    let interpreted = start.elapsed();
    let operands = Operands::matrices((n, n, n), a, b);
    let mut d = datapath.outputs(&operands, &Options::default()).unwrap();
    let start = std::time::Instant::now();
    assert!(verify(datapath, &operands, &packed(32, &d)).unwrap().is_match());
    let verified = start.elapsed();
    assert!(verified < interpreted, "{verified:?} for all outputs, {interpreted:?} for a thirty-second of them");
    d[1000] ^= 1;
    let report = verify(datapath, &operands, &packed(32, &d)).unwrap();
    assert_eq!((report.mismatches, report.first[0].row, report.first[0].column), (1, 1, Some(488)));
}

/// Arrays that say what they are: numbers are never taken for codes of another format.
fn numbers() {
    let numbers = |format: Scalar, values: &[f32]| {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|&x| encoded(format, x).to_le_bytes().into_iter().take(format.bits() as usize / 8))
            .collect();
        match Words::numbers(format, &bytes).unwrap() {
            Words::Numbers(format, codes) => Words::Numbers(format, codes.into_owned().into()),
            other => panic!("{other:?}"),
        }
    };
    let (a, b) = ([1.5, -2.0, 0.25, 8.0], [4.0, 0.5, 16.0, -1.0]);
    let want = Words::from(&[6.0f32 - 1.0 + 4.0 - 8.0][..]);
    for name in ["ampere.mma.f16.f32", "ampere.mma.bf16.f32", "hopper.wgmma.e5m2.f32", "ideal"] {
        for given in [FP16, BF16, E5M2] {
            let operands = Operands::rows(1, 4, numbers(given, &a), numbers(given, &b));
            let report = verify(unit(name), &operands, &want).unwrap();
            assert!(report.is_match(), "{name}, {}: {report}", given.name);
            let report = verify(unit(name), &operands, &numbers(scalar::FP64, &[1.0])).unwrap();
            assert!(report.is_match(), "{report}");
        }
    }
    // 1 + 2^-9 is an FP16 number and no bfloat16 one, though both have 16 bits.
    let operands = Operands::rows(1, 1, numbers(FP16, &[1.0 + 0.001_953_125]), numbers(FP16, &[1.0]));
    let error = verify(unit("ampere.mma.bf16.f32"), &operands, &want).unwrap_err().to_string();
    assert!(error.contains("`a`, row 0, column 0: 1.001953125e0 is no `bf16` number"), "{error}");
    let s8 = Scalar::ranged("s8", Range::Full, 8, 0);
    let operands =
        Operands::rows(1, 2, Words::numbers(s8, &[0xFF, 3]).unwrap(), Words::numbers(s8, &[2, 0x80]).unwrap());
    let d = Words::from(&[-2i32 as u32 - 384][..]);
    for (name, given) in [("ampere.mma.s8.s32", d), ("hopper.wgmma.f16.f32", Words::from(&[-386.0f32][..]))] {
        assert!(verify(unit(name), &operands, &given).unwrap().is_match(), "{name}");
    }
    // FP32 numbers as integers of 32 bits are numbers, not bits.
    assert!(verify(unit("ampere.mma.s8.s32"), &operands, &numbers(scalar::FP32, &[-386.0])).unwrap().is_match());
}
