//! Grids: fixed scales agree with `quantize`, rounding one value with coding a matrix, refitting with fitting.

use crate::support::{Random, case, same_bits};
use interplay_formats::{Error, Format, Grids, Rounding};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let each = Format::all().iter().flat_map(|format| {
        [
            case(&format!("grids::fitted::{}", format.name), move || fitted(format)),
            case(&format!("grids::rounding::{}", format.name), move || rounding(format)),
            case(&format!("grids::fixed_points::{}", format.name), move || fixed_points(format)),
        ]
    });
    let whole = [
        case("grids::changed_records", changed_records),
        case("grids::refitting", refitting),
        case("grids::families", families),
        case("grids::bad_input", bad_input),
    ];
    each.chain(whole).collect()
}

/// Shapes with blocks that are cut at the ends of rows and of the matrix.
const SHAPES: [(usize, usize); 5] = [(1, 1), (5, 33), (7, 200), (18, 64), (40, 16)];

/// Matrices of one shape: near each other, of any size, with holes, around the ends of FP32.
fn matrices(rows: usize, k: usize) -> Vec<Vec<f32>> {
    let mut random = Random(5);
    let near: Vec<f32> = (0..rows * k).map(|_| random.near(2)).collect();
    let any: Vec<f32> = (0..rows * k).map(|_| random.finite()).collect();
    let mut holes = near.clone();
    holes.iter_mut().enumerate().filter(|(i, _)| i / 16 % 2 == 0).for_each(|(_, v)| *v = 0.0);
    let small = (0..rows * k).map(|_| random.near(-130)).collect();
    let large = (0..rows * k).map(|_| random.near(127)).collect();
    vec![near, any, holes, small, large]
}

/// grids(w).quantize(w) = quantize(w).
fn fitted(format: &'static Format) {
    for (rows, k) in SHAPES {
        for w in matrices(rows, k) {
            match format.quantize(&w, k) {
                Ok(want) => {
                    let grids = format.grids(&w, k).expect("what can be quantised has scales");
                    let got = grids.quantize(&w).expect("the same matrix");
                    assert!(got == want, "{} of {rows} x {k}", format.name);
                }
                // A narrower input type makes infinities of the largest numbers.
                Err(_) => assert!(format.grids(&w, k).is_err(), "{} of {rows} x {k}", format.name),
            }
        }
    }
    assert!(format.grids(&[], 0).is_ok());
}

/// One value rounded is that value coded and decoded by the reference path, and so are codes; also values that the scales do not fit.
fn rounding(format: &'static Format) {
    let mut random = Random(9);
    for (rows, k) in SHAPES {
        for w in matrices(rows, k) {
            let Ok(grids) = format.grids(&w, k) else { continue };
            let other: Vec<f32> = w.iter().map(|v| v * (random.bits() % 7) as f32 / 3.0).collect();
            let any: Vec<f32> = (0..w.len()).map(|_| random.finite()).collect();
            let negated: Vec<f32> = w.iter().map(|v| -v).collect();
            for values in [w, other, any, negated, vec![0.0; rows * k], vec![-0.0; rows * k]] {
                let Ok(coded) = grids.quantize_reference(&values) else { continue };
                assert!(grids.quantize(&values).is_ok_and(|quick| quick == coded), "{}: codes", format.name);
                same_bits(&rounded(&grids, &values, k), &coded.dequantize_reference(), format.name);
            }
        }
    }
}

/// Every value by its column.
fn rounded(grids: &Grids, values: &[f32], k: usize) -> Vec<f32> {
    let mut all = values.to_vec();
    for column in 0..k {
        let mut own: Vec<f32> = values.iter().skip(column).step_by(k).copied().collect();
        grids.round_column(column, &mut own);
        all.iter_mut().skip(column).step_by(k).zip(own).for_each(|(to, v)| *to = v);
    }
    all
}

/// Values on the grid stay: by number, since integers have one zero.
fn fixed_points(format: &'static Format) {
    for (rows, k) in SHAPES {
        let w = &matrices(rows, k)[0];
        let grids = format.grids(w, k).expect("finite");
        let once = grids.quantize(w).expect("the same matrix").dequantize();
        assert_eq!(grids.quantize(&once).expect("finite").dequantize(), once, "{} of {rows} x {k}", format.name);
    }
}

/// Other roundings, overflows and rules than the catalogue's.
fn changed_records() {
    let roundings = Rounding::ALL.map(|r| r.to_string()).into_iter();
    let others = ["stochastic-1", "stochastic-7", "infinity", "nan", "wrap", "ceil", "rceil", "half-grid", "min-max"];
    let changes: Vec<String> = roundings.chain(others.map(str::to_owned)).collect();
    for format in Format::all() {
        for changed in changes.iter().filter_map(|change| format.changed(change).ok()) {
            for w in matrices(7, 40) {
                let Ok(want) = changed.quantize(&w, 40) else { continue };
                let grids = changed.grids(&w, 40).expect("what can be quantised has scales");
                assert!(grids.quantize(&w).expect("the same matrix") == want, "{}", changed.name);
                same_bits(&rounded(&grids, &w, 40), &want.dequantize_reference(), changed.name);
            }
        }
    }
}

/// Blocks that begin in the columns are fitted on the new values, the others stay; the scale of the tensor stays too.
fn refitting() {
    let mut random = Random(21);
    let (rows, k) = (18, 128);
    let w: Vec<f32> = (0..rows * k).map(|_| random.near(1)).collect();
    let other: Vec<f32> = w.iter().map(|v| v * (1 + random.bits() % 3) as f32 / 4.0).collect();
    for format in Format::all() {
        let mut grids = format.grids(&w, k).expect("finite");
        grids.refit(0..64, &other).expect("the same shape");
        let got = grids.quantize(&other).expect("finite").dequantize();
        let two_level = format.scaling.is_some_and(|s| s.two_level);
        let fresh = format.quantize(&other, k).expect("finite").dequantize();
        let stale = format.grids(&w, k).and_then(|g| g.quantize(&other)).expect("finite").dequantize();
        for i in 0..rows * k {
            let new = i % k / format.block_len(k) * format.block_len(k) < 64;
            if !new || !two_level {
                assert_eq!(got[i], if new { fresh[i] } else { stale[i] }, "{} at {i}", format.name);
            }
        }
        if two_level {
            let scale = |w: &[f32]| format.quantize(w, k).expect("finite").tensor_scale();
            assert_eq!(grids.quantize(&other).expect("finite").tensor_scale(), scale(&w), "{}", format.name);
            assert_ne!(scale(&w), scale(&other), "{}: the test tells nothing", format.name);
        }
    }
}

/// Asymmetric integers by name.
fn families() {
    let w = [-1.0f32, 0.5, 2.0, 0.25, -0.5, 1.0, 3.0, 0.0];
    let same = |made: &str, known: &str| {
        let of = |name| Format::by_name(name).expect("a format").quantize(&w, 4).expect("finite").dequantize();
        assert_eq!(of(made), of(known), "{made}");
    };
    same("int4-asym-g4", "int4-asym");
    same("int4-asym@half-grid", "gptq-int4");
    assert_eq!(Format::by_name("int3-asym").expect("a format").element.bits(), 3);
    assert!(Format::by_name("int9-asym").is_err(), "zero points are bytes");
    assert!(Format::by_name("int4-asym-g0").is_err());
}

fn bad_input() {
    let format = Format::by_name("mxfp4").expect("in the catalogue");
    assert!(matches!(format.grids(&[1.0; 5], 3), Err(Error::Ragged { .. })));
    assert!(matches!(format.grids(&[1.0, f32::NAN], 2), Err(Error::NonFinite { column: 1, .. })));
    let mut grids = format.grids(&[1.0; 6], 3).expect("finite");
    assert!(matches!(grids.quantize(&[1.0; 3]), Err(Error::GridShape { grid_rows: 2, grid_k: 3, len: 3 })));
    assert!(matches!(grids.refit(0..3, &[f32::INFINITY; 6]), Err(Error::NonFinite { .. })));
    for format in Format::all() {
        let grids = format.grids(&[1.0, 2.0], 2).expect("finite");
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().for_each(|v| {
            grids.round(0, 1, v);
        });
    }
}
