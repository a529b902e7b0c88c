//! The fast path against the reference path: bit for bit, codes, scales and values.

use crate::support::{Random, case, codes, interesting, same_bits};
use interplay_formats::{
    Block, Error, Format, Overflow, Pattern, Rounding, Scalar, Scale, ScaleRule, Scaling, catalog, pack,
};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let formats = Format::all().iter();
    let each = formats.map(|format| case(&format!("fast::{}", format.name), move || every_shape(format)));
    let whole = [
        case("fast::the_first_bad_value_is_named", the_first_bad_value_is_named),
        case("fast::threads_never_show", threads_never_show),
        case("fast::float_elements_under_a_real_scale", float_elements_under_a_real_scale),
    ];
    let own = OWN.iter().map(|f| case(&format!("fast::own::{}", f.name), move || every_shape(f)));
    each.chain(own).chain(whole).collect()
}

/// Records that are not in the catalogue and that a user may write: some have a kernel, the others take the reference
/// path, and no caller can tell.
static OWN: [Format; 6] = [
    own("hbfp16", Scalar::integer("int16", 16, 0), Some((Block::Run(64), Scale::Exponent(10), ScaleRule::Enclosing))),
    own(
        "hbfp5-of-16",
        Scalar::integer("int5", 5, 0),
        Some((Block::Run(16), Scale::Exponent(10), ScaleRule::Enclosing)),
    ),
    own("mxfp8-of-row", catalog::E4M3, Some((Block::Row, Scale::E8M0, ScaleRule::Floor))),
    Format {
        rounding: Rounding::NearestAway,
        ..own("mxfp4-away", catalog::E2M1, Some((Block::Run(32), Scale::E8M0, ScaleRule::Floor)))
    },
    own("e4m3-of-row", catalog::E4M3, Some((Block::Row, Scale::Float32, ScaleRule::AbsMax))),
    Format { overflow: Overflow::Infinity, ..own("e4m3-with-nan", catalog::E4M3, None) },
];

const fn own(name: &'static str, element: Scalar, scaling: Option<(Block, Scale, ScaleRule)>) -> Format {
    let scaling = match scaling {
        Some((block, scale, rule)) => Some(Scaling { block, scale, rule, two_level: false }),
        None => None,
    };
    let (rounding, overflow) = (Rounding::NearestEven, Overflow::Saturate);
    Format { name, aliases: &[], element, scaling, rounding, overflow, source: "this test", ..*Format::fp32() }
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
    let packed = fast.packed(None).expect("no mask").values;
    let width = format.element.bits();
    let low: Vec<u64> = want.iter().map(|c| c & ((1 << width) - 1)).collect();
    assert!(pack::unpack(&packed, width, low.len()) == low, "{} in rows of {k}: packed codes", format.name);
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

/// The largest element is a value, not a code: 448 for E4M3.
fn float_elements_under_a_real_scale() {
    let Some(format) = OWN.iter().find(|f| f.name == "e4m3-of-row") else { panic!("it is in the list") };
    let q = format.quantize(&[896.0, -2.0, 448.0], 3).expect("finite");
    assert_eq!((q.row_scales(), q.dequantize()), (Some(&[2.0][..]), vec![896.0, -2.0, 448.0]));
}
