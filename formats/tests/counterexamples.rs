//! For every law that a record does not claim, a small matrix that breaks it.

use crate::laws::{Outcome, fake, idempotent, permutation_invariant, scale_invariant};
use crate::laws_theorems::element_by_element;
use crate::support::case;
use interplay_formats::Format;
use libtest_mimic::Trial;
use proptest::prelude::*;

pub fn trials() -> Vec<Trial> {
    vec![
        case("counterexamples::each_breaks_its_law", each_breaks_its_law),
        case("counterexamples::every_law_not_claimed_has_one", every_law_not_claimed_has_one),
        case("counterexamples::paper_int8_compounds", paper_int8_compounds),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Law {
    Idempotent,
    ScaleInvariant,
    PermutationInvariant,
    /// Theorem 3.5 under this pattern.
    Theorem(&'static str),
    /// A precondition of theorem 3.5.
    ZeroIsExact,
}

use Law::{Idempotent, PermutationInvariant, ScaleInvariant, Theorem, ZeroIsExact};

/// The law, the records, the matrix in rows of k.
type Row = (Law, &'static [&'static str], &'static [f32], usize);

const TABLE: &[Row] = &[
    // The grid ends at the smallest subnormal.
    (ScaleInvariant, &["tf32", "bf16"], &[1e-40], 1),
    (ScaleInvariant, &["fp16"], &[6e-8], 1),
    (ScaleInvariant, &["e4m3", "e4m3fnuz", "ue4m3"], &[0.001953125], 1),
    (ScaleInvariant, &["e5m2", "e5m2fnuz", "ue5m3"], &[1e-5], 1),
    (ScaleInvariant, &["e4m3b11fnuz"], &[0.00012207031], 1),
    (ScaleInvariant, &["e3m4"], &[0.015625], 1),
    (ScaleInvariant, &["e2m3"], &[0.125], 1),
    (ScaleInvariant, &["e3m2"], &[0.0625], 1),
    (ScaleInvariant, &["e2m1"], &[0.5], 1),
    // Zero becomes 2^-127, whatever it is multiplied by.
    (ScaleInvariant, &["e8m0"], &[0.0], 1),
    (ZeroIsExact, &["e8m0"], &[0.0], 1),
    // The least and the greatest code are not those of lo and hi, once the zero point is rounded.
    (Idempotent, &["int8-asym", "int8-asym-tensor", "int4-asym", "int4-asym-g32", "int4-asym-g128"], &[-1.0, 1.0], 2),
    // Half the range clips each time.
    (Idempotent, &["gptq-int4", "interplay-int8", "interplay-int8-feature"], &[1.0], 1),
    // Pruning the least value moves lo.
    (Theorem("2:4"), &["int8-asym", "int8-asym-tensor"], &[-2.0, 0.5, -0.5, 0.001], 4),
    (Theorem("2:4"), &["int4-asym", "int4-asym-g32", "int4-asym-g128"], &[-0.5, 7.0, 0.5, 0.02], 4),
    // Pruning the only negative value halves the grid.
    (Theorem("1:2"), &["gptq-int4", "interplay-int8"], &[-1.0, 1.0], 2),
    (Theorem("1:2"), &["interplay-int8-feature"], &[0.004, 0.25, -0.7, -0.3], 2),
    // 200 outranks 127 in its row, and 127 was the largest of its column.
    (Theorem("1:2"), &["int8-feature"], &[127.0, 200.0, 3.0, 0.0, 2.0, 0.0], 2),
    // The scale depends on all errors: the second row leaves room for 1.5 times the scale of the first.
    (Theorem("2:4"), &["nvfp4-four-over-six"], &[6.0, 4.3, 2.4, 2.4, 24.0, 0.0, 0.0, 0.0], 4),
    (Theorem("2:4"), &["nvfp4-four-over-six-mse"], &[6.0, 1.1, 0.4, 5.6, 24.0, 0.0, 0.0, 0.0], 4),
    // And FP32 sums of errors depend on their order.
    (PermutationInvariant, &["nvfp4-four-over-six"], &[6.0, 0.85714287, 0.1, 5.58, 24.0, 0.0, 0.0, 0.0], 4),
    (PermutationInvariant, &["nvfp4-four-over-six-mse"], &[6.0, 3.0200002, 2.67, 2.19, 24.0, 0.0, 0.0, 0.0], 4),
    // The tensor's factor is a rounded reciprocal of a rounded reciprocal.
    (Idempotent, &["nvfp4", "nvfp4-te-16x16", "nvfp4-four-over-six", "nvfp4-four-over-six-mse"], &[-0.1, 3.0], 2),
    // 0.0235 / 6 is a hair above 2 units of UE4M3, and is 2 units the second time.
    (Idempotent, &["nvfp4-cudnn"], &[0.0235, 0.003], 2),
    // Without tensor scale the block scales meet the ends of UE4M3.
    (ScaleInvariant, &["nvfp4-torchao-one-level", "nvfp4-cudnn"], &[0.1], 1),
    // 1.0001 -> 1 -> 1 - 2^-m: a power of two clips.
    (Idempotent, &["hbfp8", "hbfp6", "hbfp4"], &[1.0001], 1),
    (Idempotent, &["compat-hbfp8", "compat-hbfp6", "compat-hbfp4"], &[1.0001], 1),
    (Idempotent, &["interplay-hbfp8", "interplay-hbfp6", "interplay-hbfp4"], &[1.0001], 1),
    // 1e-8 lifts 0.125 over its power of two, and not 0.25.
    (ScaleInvariant, &["compat-hbfp8", "compat-hbfp6", "compat-hbfp4"], &[0.25], 1),
    (ScaleInvariant, &["interplay-hbfp8", "interplay-hbfp6", "interplay-hbfp4"], &[0.25], 1),
    // Whoever is the partner of 1 has the coarser unit.
    (PermutationInvariant, &["mx9"], &[1.0, 1.0, 0.0234375, 0.0234375], 4),
    (PermutationInvariant, &["mx6"], &[1.0, 1.0, 0.1875, 0.1875], 4),
    (PermutationInvariant, &["mx4"], &[1.0, 1.0, 0.75, 0.75], 4),
];

fn zero_is_exact(format: &'static Format, x: &[f32], k: usize) -> Outcome {
    prop_assert_eq!(fake(format, x, k)?, x);
    Ok(())
}

fn each_breaks_its_law() {
    for &(law, names, x, k) in TABLE {
        for name in names {
            let format = Format::by_name(name).unwrap_or_else(|e| panic!("{e}"));
            let outcome = match law {
                Idempotent => idempotent(format, x, k),
                ScaleInvariant => scale_invariant(format, x, k),
                PermutationInvariant => permutation_invariant(format, x, k),
                Theorem(pattern) => element_by_element(pattern, x, k, |x| fake(format, x, k)),
                ZeroIsExact => zero_is_exact(format, x, k),
            };
            assert!(outcome.is_err(), "{name} obeys {law:?} for {x:?}");
        }
    }
}

fn every_law_not_claimed_has_one() {
    for f in Format::all() {
        let kept = |wanted: fn(Law) -> bool| {
            TABLE.iter().filter(|(law, names, ..)| wanted(*law) && names.contains(&f.name)).count()
        };
        let laws = [
            (f.laws.idempotent, kept(|law| law == Idempotent)),
            (f.laws.scale_invariant, kept(|law| law == ScaleInvariant)),
            (f.laws.permutation_invariant, kept(|law| law == PermutationInvariant)),
            (f.laws.theorem_3_5, kept(|law| matches!(law, Theorem(_) | ZeroIsExact))),
        ];
        for (claimed, count) in laws {
            assert_eq!(count, usize::from(!claimed), "{}: {laws:?}", f.name);
        }
    }
}

/// The paper's INT8 under 2:4, in sums of magnitudes: the pruned row has no negative value, and half its range clips.
fn paper_int8_compounds() {
    let x = [1.0, 0.7, -0.1, 0.004];
    let distance = |y: &[f32]| x.iter().zip(y).map(|(a, b)| (a - b).abs()).sum::<f32>();
    let format = Format::by_name("interplay-int8").unwrap_or_else(|e| panic!("{e}"));
    let values = |x: &[f32]| fake(format, x, 4).unwrap_or_else(|e| panic!("{e}"));
    let pruned = [1.0, 0.7, 0.0, 0.0];
    assert_eq!(format!("{:.3}", distance(&values(&pruned[..]))), "0.808");
    assert_eq!(format!("{:.3}", distance(&values(&x)) + distance(&pruned[..])), "0.116");
}
