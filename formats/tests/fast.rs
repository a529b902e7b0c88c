//! The fast path against the reference path: bit for bit, codes, scales and values.

use crate::support::{Random, case, codes, interesting, same_bits};
use interplay_formats::{Error, Format, Pattern};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let formats = Format::all().iter();
    let each = formats.map(|format| case(&format!("fast::{}", format.name), move || every_shape(format)));
    let whole = [
        case("fast::the_first_bad_value_is_named", the_first_bad_value_is_named),
        case("fast::threads_never_show", threads_never_show),
    ];
    each.chain(whole).collect()
}

/// All outputs of the fast path for one matrix.
#[track_caller]
fn check(format: &'static Format, x: &[f32], k: usize) {
    let slow = format.quantize_reference(x, k).expect("finite input of whole rows");
    let fast = format.quantize(x, k).expect("finite input of whole rows");
    let (got, want) = (codes(&fast), codes(&slow));
    let first = (0..want.len()).find(|&i| got[i] != want[i]);
    assert_eq!(first.map(|i| (i, got[i], want[i])), None, "{} in rows of {k}: the first code to differ", format.name);
    assert!(fast == slow, "{} in rows of {k}: shapes or scales differ", format.name);
    let values = slow.dequantize_reference();
    same_bits(&fast.dequantize(), &values, format.name);
    let mut fake = x.to_vec();
    format.fake_quantize(&mut fake, k).expect("finite input of whole rows");
    same_bits(&fake, &values, format.name);
}

fn every_shape(format: &'static Format) {
    let sweep = interesting();
    let whole = |k: usize| &sweep[..sweep.len() / k * k];
    // Neighbours side by side, so that every block's amax is near its elements …
    check(format, whole(64), 64);
    check(format, whole(4096), 4096);
    // … and far apart, so that elements vanish beside amax.
    let stride = 40_503;
    let shuffled: Vec<f32> = (0..sweep.len()).map(|i| sweep[i * stride % sweep.len()]).collect();
    check(format, &shuffled[..shuffled.len() / 100 * 100], 100);

    let mut random = Random(7);
    let bits: Vec<f32> = (0..1 << 17).map(|_| random.finite()).collect();
    check(format, &bits, 1 << 10);
    for exponent in (-150..=127).step_by(3) {
        for k in [1, 7, 31, 32, 33, 63, 64, 65, 96, 130] {
            let x: Vec<f32> = (0..2 * k).map(|_| random.near(exponent)).collect();
            check(format, &x, k);
        }
    }
    for tiny in [0.0, -0.0, f32::from_bits(1), f32::MIN_POSITIVE, f32::MAX, -f32::MAX] {
        check(format, &[tiny; 80], 80);
        check(format, &[tiny, 0.0, -0.0, -tiny], 4);
    }
    check(format, &[], 5);
    check(format, &[], 0);
}

/// A matrix that many tasks share, with bad values in several of them.
fn the_first_bad_value_is_named() {
    let (rows, k) = (6000, 40);
    let mut x = vec![1.0; rows * k];
    x[4567 * k + 23] = f32::NEG_INFINITY;
    x[4567 * k + 24] = f32::NAN;
    x[5999 * k] = f32::NAN;
    let want = Error::NonFinite { row: 4567, column: 23, value: f32::NEG_INFINITY };
    for format in Format::all() {
        assert_eq!(format.quantize(&x, k), Err(want.clone()), "{}", format.name);
        assert_eq!(format.fake_quantize(&mut x.clone(), k), Err(want.clone()), "{}", format.name);
    }
}

fn threads_never_show() {
    let mut random = Random(23);
    let x: Vec<f32> = (0..3000 * 72).map(|_| random.near(3)).collect();
    let half: Pattern = "50%".parse().expect("a pattern");
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let all = Format::all().iter().map(|f| f.quantize(&x, 72).map(|q| (q.dequantize(), q)));
            let all: Result<Vec<_>, Error> = all.collect();
            (all.expect("finite"), half.magnitude_mask(&x, 72).expect("finite"))
        })
    };
    assert!(run(1) == run(5), "the same codes, scales, values and mask");
}
