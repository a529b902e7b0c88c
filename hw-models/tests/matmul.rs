//! Batches and orientations of [`Datapath::matmul`] against single products of rows.

use crate::support::{Kind, Random, case, same_bits};
use interplay_formats::Format;
use interplay_hw::datapath::Matmul;
use interplay_hw::{Datapath, Error, Operand};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("matmul::orientations", orientations),
        case("matmul::one_side_for_all", one_side_for_all),
        case("matmul::refused", refused),
    ]
}

/// Units with plain, coded and block operands; K fills neither a block nor an instruction.
const UNITS: [(&str, Option<&str>); 5] = [
    ("ideal", None),
    ("hopper.wgmma.e4m3.f32", Some("e4m3")),
    ("int8", Some("int8")),
    ("block", Some("mxfp4")),
    ("b200.tcgen05.mxf8f6f4-e4m3.f32", Some("mxfp8")),
];
const SHAPE: (usize, usize, usize, usize) = (3, 5, 70, 9);

fn orientations() {
    let (batch, m, k, n) = SHAPE;
    for (unit, format) in UNITS {
        let (datapath, format) = (datapath(unit), format.map(|name| Format::by_name(name).expect("known")));
        let mut random = Random(3);
        let a = Kind::ALL[0].matrix(batch * m, k, &mut random);
        let b = Kind::ALL[0].matrix(batch * n, k, &mut random);
        let single = |i: usize| rows(datapath, format, &a[i * m * k..][..m * k], &b[i * n * k..][..n * k], k);
        let want: Vec<f32> = (0..batch).flat_map(single).collect();
        for (a_transposed, b_transposed) in [(false, true), (true, true), (false, false), (true, false)] {
            let plain = Matmul::new(batch, m, k, n);
            let product = Matmul { a_transposed, b_transposed, a_format: format, b_format: format, ..plain };
            let a = if a_transposed { turned(&a, m, k) } else { a.clone() };
            let b = if b_transposed { b.clone() } else { turned(&b, n, k) };
            let c = datapath.matmul(&product, &a, &b).expect("a product");
            same_bits(&c, &want, &format!("{unit}, {a_transposed} {b_transposed}"));
        }
    }
}

fn one_side_for_all() {
    let (batch, m, k, n) = SHAPE;
    let (datapath, mut random) = (datapath("ideal"), Random(4));
    let a = Kind::ALL[0].matrix(batch * m, k, &mut random);
    let b = Kind::ALL[0].matrix(n, k, &mut random);
    let product = Matmul { b_transposed: true, ..Matmul::new(batch, m, k, n) };
    let c = datapath.matmul(&product, &a, &b).expect("a product");
    same_bits(&c, &rows(datapath, None, &a, &b, k), "one B");
    let repeated = a[..m * k].repeat(batch);
    let one = datapath.matmul(&product, &a[..m * k], &b.repeat(batch)).expect("a product");
    same_bits(&one, &datapath.matmul(&product, &repeated, &b).expect("a product"), "one A");
}

fn refused() {
    let datapath = datapath("ideal");
    let product = Matmul::new(2, 3, 4, 5);
    let wrong = datapath.matmul(&product, &[0.0; 25], &[0.0; 20]).expect_err("25 values");
    assert_eq!(wrong, Error::Matrices { side: "A", given: 25, batch: 2, rows: 3, k: 4 });
    assert!(wrong.to_string().contains("12 values for all products or 24"), "{wrong}");
    let wrong = datapath.matmul(&product, &[0.0; 24], &[0.0; 21]).expect_err("21 values");
    assert!(matches!(wrong, Error::Matrices { side: "B", .. }));
    assert!(datapath.matmul(&Matmul::new(2, 3, 0, 5), &[], &[]).is_err());
    assert!(datapath.matmul(&Matmul::new(usize::MAX, 3, 4, 5), &[], &[]).is_err());
    assert_eq!(datapath.matmul(&Matmul::new(0, 3, 4, 5), &[], &[]), Ok(vec![]));
}

fn datapath(name: &str) -> &'static Datapath {
    Datapath::by_name(name).expect("known")
}

/// One product of `[m, k]` and `[n, k]`.
fn rows(datapath: &Datapath, format: Option<&'static Format>, a: &[f32], b: &[f32], k: usize) -> Vec<f32> {
    let quantized = |data: &[f32]| format.map(|format| format.quantize(data, k).expect("finite"));
    let (qa, qb) = (quantized(a), quantized(b));
    let operand = |q, data| match q {
        Some(q) => Operand::Quantized(q),
        None => Operand::Values { data, k },
    };
    datapath.gemm_reference(operand(qa.as_ref(), a), operand(qb.as_ref(), b)).expect("a product")
}

/// Every `[rows, k]` of a batch as `[k, rows]`.
fn turned(data: &[f32], rows: usize, k: usize) -> Vec<f32> {
    let turn = |matrix: &[f32]| (0..k * rows).map(|i| matrix[i % rows * k + i / rows]).collect::<Vec<_>>();
    data.chunks(rows * k).flat_map(turn).collect()
}
