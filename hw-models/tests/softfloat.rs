//! Berkeley SoftFloat 3 as a second opinion on chains of fused multiply-adds, in the four roundings of IEEE 754.

use crate::reference::unit::Unit;
use crate::rows::{self, Class};
use crate::support::{Random, case};
use interplay_formats::Value;
use interplay_hw::{Datapath, Row};
use libtest_mimic::Trial;
use softfloat_wrapper::{F32, F64, Float, RoundingMode};

const ROUNDINGS: [(&str, RoundingMode); 4] = [
    ("", RoundingMode::TiesToEven),
    ("-rz", RoundingMode::TowardZero),
    ("-rm", RoundingMode::TowardNegative),
    ("-rp", RoundingMode::TowardPositive),
];

pub fn trials() -> Vec<Trial> {
    ROUNDINGS
        .into_iter()
        .flat_map(|(suffix, mode)| {
            [
                case(&format!("softfloat::f32{suffix}"), move || chains::<F32>("f32", suffix, mode)),
                case(&format!("softfloat::f64{suffix}"), move || chains::<F64>("f64", suffix, mode)),
            ]
        })
        .collect()
}

/// A type of SoftFloat's by its bits.
trait Bits: Float + Copy {
    fn of(code: u64) -> Self;
    fn code(self) -> u64;
}

macro_rules! bits {
    ($($type:ty: $word:ty),+) => {
        $(impl Bits for $type {
            fn of(code: u64) -> Self {
                Self::from_bits(code as $word)
            }

            fn code(self) -> u64 {
                self.to_bits().into()
            }
        })+
    };
}

bits! { F32: u32, F64: u64 }

/// Every record that has this chain, each on its share of at least 10^5 random and 10^5 adversarial triples, and on
/// chains of them.
fn chains<F: Bits>(input: &str, suffix: &str, mode: RoundingMode) {
    let ending = format!(".{input}.{input}{suffix}");
    let records: Vec<&Datapath> =
        Datapath::all().iter().copied().filter(|record| record.name.ends_with(&ending)).collect();
    assert!(records.iter().any(|record| record.name.starts_with("ieee.fma")), "no record ends with {ending}");
    let unit = Unit::of(records[0].name).expect("a chain");
    let mut random = Random(0x50F7 + suffix.len() as u64 + u64::from(input == "f64"));
    let (mut any, mut adversarial) = (0, 0);
    while any < 100_000 || adversarial < 100_000 {
        for (i, record) in records.iter().enumerate() {
            // Half of all rows are of random bits.
            for class in Class::ALL.into_iter().flat_map(|class| [Class::AnyBits, class]) {
                let k = [1, 1, 1, 16][(any + i) % 4];
                let codes = rows::row(&unit, class, k, &mut random);
                agree::<F>(record, codes.row(), mode);
                *if class == Class::AnyBits { &mut any } else { &mut adversarial } += k;
            }
        }
    }
}

/// One chain, signs of zeros included; NaN has many codes there.
#[track_caller]
fn agree<F: Bits>(record: &Datapath, row: Row<'_>, mode: RoundingMode) {
    let step = |c: F, (&a, &b): (&u64, &u64)| F::of(a).fused_mul_add(F::of(b), c, mode);
    let want = row.a.iter().zip(row.b).fold(F::of(row.c), step).code();
    let got = record.dot(row, None).expect("a row of the right lengths");
    let nan = |code| record.accumulator.d.decode(code) == Value::Nan;
    assert!(got == want || nan(got) && nan(want), "{}: {got:#x}, not {want:#x}, of {row:x?}", record.name);
}
