//! The fast path against the reference path: bit for bit, codes, scales and values.

use crate::support::{Random, case, codes, interesting, same_bits};
use interplay_formats::{
    Block, Error, Format, Overflow, Pattern, Rounding, Scalar, Scale, ScaleRule, Scaling, Stream, Value, catalog,
    judge, pack,
};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let formats = Format::all().iter();
    let each = formats.map(|format| case(&format!("fast::{}", format.name), move || every_shape(format)));
    let whole = [
        case("fast::the_first_bad_value_is_named", the_first_bad_value_is_named),
        case("fast::threads_never_show", threads_never_show),
        case("fast::float_elements_under_a_real_scale", float_elements_under_a_real_scale),
        case("fast::scalar_casts", scalar_casts),
        case("fast::exponents", exponents),
        case("fast::non_finite_scalars", non_finite_scalars),
        case("fast::buffers_are_used_again", buffers_are_used_again),
    ];
    let own = OWN.iter().map(|f| case(&format!("fast::own::{}", f.name), move || every_shape(f)));
    let changed = Format::all().iter().map(|f| case(&format!("fast::changed::{}", f.name), move || variants(f)));
    each.chain(own).chain(changed).chain(whole).collect()
}

/// Records that are not in the catalogue and that a user may write: some have a kernel, the others take the reference
/// path, and no caller can tell.
static OWN: [Format; 12] = [
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
    own("int6-tiles", Scalar::integer("int6", 6, 0), Some((TILE, Scale::Float32, ScaleRule::AbsMax))),
    own("mxfp8-tiles", catalog::E4M3, Some((TILE, Scale::E8M0, ScaleRule::Floor))),
    own("mxint8-columns", Scalar::integer("int8.6", 8, 6), Some((Block::Column, Scale::E8M0, ScaleRule::Rceil))),
    own("hbfp4-held", Scalar::integer("int4", 4, 0), Some((Block::Run(8), Scale::Exponent(3), ScaleRule::Enclosing))),
    own("bf16-of-64", catalog::BF16, Some((Block::Run(64), Scale::E8M0, ScaleRule::Floor))),
    own("fp16-of-tensor", catalog::FP16, Some((Block::Tensor, Scale::Float32, ScaleRule::AbsMax))),
];

/// A tile that no shape below divides.
const TILE: Block = Block::Tile { rows: 3, k: 20 };

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
    let packed = fast.packed(None).expect("no mask");
    let width = format.element.bits();
    let low: Vec<u64> = want.iter().map(|c| c & (u64::MAX >> (64 - width))).collect();
    let unpacks = width > 32 || pack::unpack(&packed.values, width, low.len()).as_deref() == Ok(&low[..]);
    assert!(unpacks, "{} in rows of {k}: packed codes", format.name);
    let at_once = format.pack(x, k).expect("finite input of whole rows");
    assert!(at_once == packed, "{} in rows of {k}: packed at once", format.name);
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
    odd_shapes(format);
}

/// Blocks cut at the ends of rows and of the matrix, on one, two and three threads.
fn odd_shapes(format: &'static Format) {
    let mut random = Random(11);
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        for (rows, k) in [(1, 1), (17, 1), (1, 33), (5, 33), (7, 200), (18, 24), (2, 2100)] {
            let near: Vec<f32> = (0..rows * k).map(|_| random.near(2)).collect();
            let any: Vec<f32> = (0..rows * k).map(|_| random.finite()).collect();
            let mut holes = near.clone();
            holes.iter_mut().enumerate().filter(|(i, _)| i / 16 % 2 == 0).for_each(|(_, v)| *v = 0.0);
            pool.install(|| [near, any, holes].iter().for_each(|x| check(format, x, k)));
        }
    }
}

/// Every rounding, overflow and scale rule that goes with a format.
fn variants(format: &'static Format) {
    let roundings = Rounding::ALL.map(|r| r.to_string());
    let drawn = ["stochastic-1", "stochastic-7", "stochastic-32"].map(str::to_owned);
    let overflows = ["saturate", "infinity", "nan", "wrap"].map(str::to_owned);
    let rules = ScaleRule::ALL.map(|r| r.name().to_owned());
    let changes = roundings.into_iter().chain(drawn).chain(overflows).chain(rules);
    let mut random = Random(13);
    let any: Vec<f32> = (0..4000).map(|_| random.finite()).collect();
    for changed in changes.filter_map(|change| format.changed(&change).ok()) {
        check(changed, &any, 200);
        for exponent in [-149, -126, -10, 3, 60, 127] {
            let x: Vec<f32> = (0..7 * 40).map(|_| random.near(exponent)).collect();
            check(changed, &x, 40);
            check(changed, &x, 35);
        }
        check(changed, &[0.0; 64], 32);
        check(changed, &[f32::MAX, -f32::MAX, f32::from_bits(1), -0.0], 2);
    }
}

/// The total cast against the reference encoder: every scalar, rounding and overflow, NaN and infinities too.
fn scalar_casts() {
    let mut x = interesting();
    x.extend([f32::INFINITY, f32::NEG_INFINITY, f32::NAN, -f32::NAN]);
    let scalars = Format::all().iter().map(|f| f.element).filter(|s| s.bits() <= 16);
    let mut seen: Vec<Scalar> = Vec::new();
    for scalar in scalars {
        if seen.iter().any(|s| s.encoding == scalar.encoding) {
            continue;
        }
        seen.push(scalar);
        // Each rounding and overflow sees its own eleventh of the values.
        let roundings = Rounding::ALL.into_iter().chain([1, 8, 32].map(Rounding::Stochastic));
        for (i, rounding) in roundings.enumerate() {
            for (j, overflow) in
                [Overflow::Saturate, Overflow::Infinity, Overflow::Nan, Overflow::Wrap].into_iter().enumerate()
            {
                let own: Vec<f32> = x.iter().rev().skip(i + j).step_by(11).chain(&x[x.len() - 4..]).copied().collect();
                let mut got = vec![0; own.len()];
                scalar.encode_slice(&own, rounding, overflow, 5, &mut got);
                for (at, (&v, &got)) in own.iter().zip(&got).enumerate() {
                    let draw = rounding.drawing(Stream::new(5).word(at as u64));
                    let want = scalar.encode(Value::from_f32(v), draw, overflow).unwrap_or(0);
                    assert_eq!(u64::from(got), want, "{} {rounding} {overflow:?} {v:e}", scalar.name);
                }
            }
        }
    }
}

/// Exponents by bits against exact ones.
fn exponents() {
    let amax: Vec<u32> = interesting().iter().map(|v| v.to_bits()).filter(|b| b >> 31 == 0).collect();
    let blocks = [ScaleRule::Enclosing, ScaleRule::Above, ScaleRule::EnclosingLog2];
    for element in Format::all().iter().map(|f| f.element).filter(|e| e.bits() <= 8 && e.emax() >= 0) {
        for rule in [ScaleRule::Floor, ScaleRule::Ceil, ScaleRule::Even, ScaleRule::Rceil] {
            for (&bits, got) in amax.iter().zip(judge::fast_exponents(rule, element, &amax)) {
                assert_eq!(got, judge::slow_exponent(rule, element, bits), "{} {rule:?} {bits:08x}", element.name);
            }
        }
    }
    for rule in blocks {
        for (&bits, got) in amax.iter().zip(judge::fast_block_exponents(rule, catalog::E2M1, &amax)) {
            assert_eq!(got, judge::slow_block_exponent(rule, bits), "{rule:?} {bits:08x}");
        }
    }
}

/// Scalar formats encode NaN and infinities one by one, or say which NaN has no code.
fn non_finite_scalars() {
    let x = [1.0, f32::INFINITY, -3.5, f32::NEG_INFINITY, f32::NAN, 0.0];
    for format in Format::all().iter().filter(|f| f.scaling.is_none()) {
        let infinite = format.quantize_any(&x[..4], 2, 0).expect("infinities have an answer");
        let want = |v: f32| format.element.encode(Value::from_f32(v), format.rounding, format.overflow);
        let first: Vec<_> = x[..4].iter().map(|&v| want(v)).collect();
        assert_eq!(codes(&infinite).into_iter().map(Some).collect::<Vec<_>>(), first, "{}", format.name);
        match (format.quantize_any(&x, 3, 0), want(f32::NAN)) {
            (Ok(all), Some(nan)) => assert_eq!(codes(&all)[4], nan, "{}", format.name),
            (Err(Error::NonFinite { row: 1, column: 1, .. }), None) => {}
            (got, want) => panic!("{}: {got:?}, but the code of NaN is {want:?}", format.name),
        }
    }
}

/// A buffer that held something else gives the same bytes.
fn buffers_are_used_again() {
    let mut random = Random(3);
    let large: Vec<f32> = (0..40 * 330).map(|_| random.near(1)).collect();
    for format in Format::all() {
        let mut packed = format.pack(&large, 330).expect("finite");
        packed.values.fill(0xA5);
        for k in [33, 64, 200] {
            let x = &large[..9 * k];
            format.pack_into(x, k, &mut packed).expect("finite");
            assert!(packed == format.quantize(x, k).and_then(|q| q.packed(None)).expect("finite"), "{}", format.name);
        }
    }
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
