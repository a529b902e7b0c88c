//! What every record makes of NaN, infinities, blocks of zeros and blocks of FP32 subnormals: one table, complete.

use crate::support::case;
use interplay_formats::{Error, Format, NonFinite, Scales};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    let each = Format::all().iter().map(|f| case(&format!("specials::{}", f.name), move || policy(f)));
    each.chain([case("specials::every_record_has_one_row", every_record_has_one_row)]).collect()
}

/// What becomes of a NaN or an infinity.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// An error that says where.
    Refused,
    /// This value, NaN included; under a scale the whole block is NaN then.
    Becomes(f32),
}

/// The scale of a block of zeros.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stored {
    /// There is none.
    Nothing,
    /// A byte of E8M0, a code, or an exponent.
    Bits(i64),
    /// An FP32 factor of 1.
    One,
    /// An FP32 factor of 2 / (2^bits - 1), and the zero point: fl32(1 / factor), rounded.
    Rounded(u32),
    /// The same factor, and the zero point in the middle.
    Middle(u32),
}

/// Names, NaN, +infinity, -infinity, the scale of zeros, and what becomes of 2^-140 in a block whose other values are
/// zero, in units of 2^-149.
type Row = (&'static [&'static str], [Fate; 3], Stored, u32);

use Fate::{Becomes, Refused};
const NAN: f32 = f32::NAN;
const INF: f32 = f32::INFINITY;
const REFUSED: [Fate; 3] = [Refused; 3];
const NAN_BLOCK: [Fate; 3] = [Becomes(NAN); 3];

/// Infinities kept.
const IEEE: [Fate; 3] = [Becomes(NAN), Becomes(INF), Becomes(-INF)];

/// Infinities held to the largest number.
const fn held(largest: f32) -> [Fate; 3] {
    [Becomes(NAN), Becomes(largest), Becomes(-largest)]
}

/// The same without NaN.
const fn no_nan(largest: f32) -> [Fate; 3] {
    [Refused, Becomes(largest), Becomes(-largest)]
}

/// The same without sign: `smallest` is what is left for -infinity.
const fn unsigned(largest: f32, smallest: f32) -> [Fate; 3] {
    [Becomes(NAN), Becomes(largest), Becomes(smallest)]
}

const TABLE: &[Row] = &[
    (&["fp32", "fp64"], IEEE, Stored::Nothing, 512),
    (&["tf32", "bf16", "fp16"], IEEE, Stored::Nothing, 0),
    (&["e4m3"], held(448.0), Stored::Nothing, 0),
    (&["e5m2", "e5m2fnuz"], held(57344.0), Stored::Nothing, 0),
    (&["e4m3fnuz"], held(240.0), Stored::Nothing, 0),
    (&["e4m3b11fnuz"], held(30.0), Stored::Nothing, 0),
    (&["e3m4"], held(15.5), Stored::Nothing, 0),
    (&["e2m3"], no_nan(7.5), Stored::Nothing, 0),
    (&["e3m2"], no_nan(28.0), Stored::Nothing, 0),
    (&["e2m1"], no_nan(6.0), Stored::Nothing, 0),
    // No zero: everything below is the smallest number, 2^-127.
    (&["e8m0"], unsigned(1.7014118e38, f32::from_bits(1 << 22)), Stored::Nothing, 1 << 22),
    (&["ue4m3"], unsigned(448.0, 0.0), Stored::Nothing, 0),
    (&["ue5m3"], unsigned(114688.0, 0.0), Stored::Nothing, 0),
    // fl32(512 / 127) is 4 units, 512 / 4 clips to 127.
    (&["int8", "int8-tensor", "int8-feature"], REFUSED, Stored::One, 4 * 127),
    (&["int4", "int4-g32", "int4-g64", "int4-g128"], REFUSED, Stored::One, 73 * 7),
    (&["int8-asym", "int8-asym-tensor"], REFUSED, Stored::Rounded(8), 2 * 255),
    (&["int4-asym", "int4-asym-g32", "int4-asym-g128"], REFUSED, Stored::Rounded(4), 34 * 15),
    // Without negative values half the range clips.
    (&["interplay-int8", "interplay-int8-feature"], REFUSED, Stored::Middle(8), 2 * 127),
    (&["gptq-int4"], REFUSED, Stored::Middle(4), 34 * 7),
    (&["mxfp8", "interplay-mxfp8", "mxfp6", "interplay-mxfp6"], NAN_BLOCK, Stored::Bits(0), 0),
    // The smallest number of E5M2 is 2^-16, under the smallest scale 2^-143, 64 units.
    (&["mxfp8-e5m2"], NAN_BLOCK, Stored::Bits(0), 512),
    (&["mxfp6-e3m2", "mxfp4", "mxint8", "mxint4", "mxint2"], NAN_BLOCK, Stored::Bits(0), 0),
    (&["nvfp4", "nvfp4-te-16x16", "nvfp4-four-over-six", "nvfp4-four-over-six-mse"], REFUSED, Stored::Bits(0), 0),
    // The smallest normal number of UE4M3.
    (&["nvfp4-torchao", "nvfp4-torchao-one-level"], REFUSED, Stored::Bits(8), 0),
    (&["nvfp4-cudnn"], REFUSED, Stored::Bits(0), 0),
    // An amax of exactly 2^k clips by one unit of 2^-m.
    (&["hbfp8"], REFUSED, Stored::Bits(0), 512 - 4),
    (&["hbfp6"], REFUSED, Stored::Bits(0), 512 - 16),
    (&["hbfp4"], REFUSED, Stored::Bits(0), 512 - 64),
    // ceil(log2 1e-8) = -26.
    (&["compat-hbfp8", "compat-hbfp6", "compat-hbfp4"], REFUSED, Stored::Bits(-26), 0),
    (&["interplay-hbfp8", "interplay-hbfp6", "interplay-hbfp4"], REFUSED, Stored::Bits(-26), 0),
    (&["msfp16", "msfp12"], REFUSED, Stored::Bits(0), 0),
    // A run of zeros halves its unit: a bit for each of 8 pairs.
    (&["mx9", "mx6", "mx4"], REFUSED, Stored::Bits(0xFF00), 0),
];

fn every_record_has_one_row() {
    for f in Format::all() {
        let rows = TABLE.iter().filter(|(names, ..)| names.contains(&f.name)).count();
        assert_eq!(rows, 1, "{}", f.name);
    }
    let names = TABLE.iter().map(|(names, ..)| names.len()).sum::<usize>();
    assert_eq!(names, Format::all().len(), "rows for records that are gone");
}

fn policy(format: &'static Format) {
    let row = TABLE.iter().find(|(names, ..)| names.contains(&format.name));
    let &(_, fates, zero, tiny) = row.unwrap_or_else(|| panic!("{} has no row", format.name));
    let says = match (fates[1], format.scaling) {
        (_, None) => NonFinite::Encode,
        (Becomes(_), Some(_)) => NonFinite::NanBlock,
        (Refused, Some(_)) => NonFinite::Refuse,
    };
    assert_eq!(format.non_finite, says, "{}", format.name);
    for (special, fate) in [NAN, INF, -INF].into_iter().zip(fates) {
        meets(format, special, fate);
    }
    zeros(format, zero);
    subnormals(format, tiny);
}

/// One special value in a matrix of two rows, each a block; the other row is as it would be alone.
fn meets(format: &'static Format, special: f32, fate: Fate) {
    let x = [1.0, special, 0.5, 0.25, 2.0, 1.0, 0.5, -0.125];
    assert!(matches!(format.quantize(&x, 4), Err(Error::NonFinite { row: 0, column: 1, .. })), "{}", format.name);
    match (fate, format.quantize_any(&x, 4, 0)) {
        (Refused, Err(Error::NonFinite { row: 0, column: 1, .. })) => {}
        (Becomes(want), Ok(q)) => {
            let values = q.dequantize();
            let same = |got: f32| got == want || (got.is_nan() && want.is_nan());
            assert!(same(values[1]), "{}: {special} becomes {}", format.name, values[1]);
            assert_eq!(values[0].is_nan(), format.scaling.is_some(), "{}: its block", format.name);
            let alone = format.quantize(&x[4..], 4).expect("finite").dequantize();
            assert_eq!(values[4..], alone, "{}: the other row", format.name);
            assert_eq!(q.dequantize_reference()[4..], alone, "{}: the other row", format.name);
        }
        (fate, got) => panic!("{}: {special} should be {fate:?}, and is {got:?}", format.name),
    }
}

fn zeros(format: &'static Format, want: Stored) {
    for zero in [0.0f32, -0.0] {
        let q = format.quantize(&[zero; 16], 16).expect("finite");
        let factor = |bits: u32| 2.0 / ((1u32 << bits) - 1) as f32;
        let stored = match (q.scales(), want) {
            (Scales::None, _) => Stored::Nothing,
            (Scales::E8M0(s) | Scales::Code(s), _) => Stored::Bits(s[0].into()),
            (Scales::Exponent(s), _) => Stored::Bits(s[0].into()),
            (Scales::Micro(s), _) => Stored::Bits(s[0].into()),
            (Scales::Float32(s), _) if s[0] == 1.0 => Stored::One,
            (Scales::Affine(s, z), Stored::Rounded(bits))
                if s[0] == factor(bits) && f32::from(z[0]) == (1.0 / factor(bits)).round_ties_even() =>
            {
                want
            }
            (Scales::Affine(s, z), Stored::Middle(bits)) if s[0] == factor(bits) && z[0] == 1 << (bits - 1) => want,
            (other, _) => panic!("{}: {other:?}", format.name),
        };
        assert_eq!(stored, want, "{}", format.name);
        assert_eq!(q.tensor_scale().unwrap_or(1.0), 1.0, "{}: the tensor scale of zeros", format.name);
        let smallest = if format.name == "e8m0" { f32::from_bits(1 << 22) } else { 0.0 };
        assert!(q.dequantize().iter().all(|v| *v == smallest), "{}: zeros stay", format.name);
    }
}

fn subnormals(format: &'static Format, units: u32) {
    let mut x = [0.0f32; 16];
    x[0] = f32::from_bits(512);
    for sign in [1.0f32, -1.0] {
        let signed = format.element.is_signed();
        let values = format.quantize(&x.map(|v| v * sign), 16).expect("finite").dequantize();
        if sign > 0.0 {
            assert_eq!(values[0].to_bits(), units, "{}: 2^-140", format.name);
        } else if signed {
            assert_eq!(values[0].abs().to_bits(), units, "{}: -2^-140", format.name);
        }
        let others = if format.name == "e8m0" { units } else { 0 };
        assert!(values[1..].iter().all(|v| v.abs().to_bits() == others), "{}: zeros stay", format.name);
    }
}
