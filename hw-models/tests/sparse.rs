//! Sparse units: both hypotheses are the dense unit's rule on the gathered operands, they differ in bits, and metadata
//! that names no positions is refused.

use crate::mmasim::same;
use crate::reference::{stored_positions, unit::Unit};
use crate::rows::{self, Class};
use crate::support::{Random, case};
use interplay_hw::datapath::{BlockScale, Codes, Group, Inputs, Node, Order};
use interplay_hw::{Datapath, Error, Row};
use libtest_mimic::Trial;

pub fn trials() -> Vec<Trial> {
    vec![
        case("sparse::gathered", gathered),
        case("sparse::hypotheses_differ", hypotheses_differ),
        case("sparse::saturation_differs", saturation_differs),
        case("sparse::every_pattern", every_pattern),
        case("sparse::metadata", metadata),
    ]
}

/// Every sparse record with the name of its hypothesis, and the dense record of the same instruction.
fn sparse() -> Vec<(&'static Datapath, &'static str, &'static Datapath)> {
    let find = |record: &&'static Datapath| {
        let (unit, rest) = record.name.split_once("-sp-")?;
        let (hypothesis, rest) = rest.split_once('.')?;
        let dense = Datapath::by_name(&format!("{unit}.{rest}")).expect("a sparse unit has a dense one");
        Some((*record, if hypothesis == "h1" { "h1" } else { "h2" }, dense))
    };
    Datapath::all().iter().filter_map(find).collect()
}

/// The dense unit on stored products: a step of as many of them (`h1`), or of half as many (`h2`). Where a dense step is
/// a whole instruction (integers), it is the longest one. FP4's exact groups halve too.
fn dense_twin(sparse: &Datapath, hypothesis: &str, dense: &Datapath) -> Datapath {
    let step = match dense.order.group {
        Group::Of(step) => step,
        _ => dense.depths[dense.depths.len() - 1],
    };
    let step = if hypothesis == "h1" { step } else { step / 2 };
    let Inputs::Codes(codes) = dense.inputs else { panic!("{}: no codes", dense.name) };
    // Gathered elements bring their scales along.
    let scale = codes.scale.map(|scale| BlockScale { block: 1, ..scale });
    let halved = hypothesis == "h2" && matches!(dense.sum.arms[0].node, Node::Runs { .. });
    let sum = if halved { sparse.sum } else { dense.sum };
    let order = Order { group: Group::Of(step), ..dense.order };
    Datapath { depths: &[], inputs: Inputs::Codes(Codes { scale, ..codes }), order, sum, ..*dense }
}

/// For every sparse record: its dot is that of the dense twin on what the metadata gathers.
fn gathered() {
    let mut records = 0;
    for (record, hypothesis, dense) in sparse() {
        let Inputs::Codes(codes) = record.inputs else { panic!("{}: no codes", record.name) };
        let unit = Unit::of(record.name).expect("a sparse unit takes codes");
        let twin = dense_twin(record, hypothesis, dense);
        let mut random = Random(0x5BA5 + records);
        for depth in record.depths {
            let sparsity = codes.sparse.expect("a sparse unit");
            for class in Class::ALL {
                let own = rows::row(&unit, class, 2 * depth, &mut random);
                let positions = stored_positions(unit.sparse, &own.metadata, 2 * depth);
                let met: Vec<u64> = positions.iter().map(|&p| own.b[p]).collect();
                let each = |scales: &[u64]| -> Vec<u64> {
                    codes.scale.map_or(Vec::new(), |scale| positions.iter().map(|&p| scales[p / scale.block]).collect())
                };
                let (scale_a, scale_b) = (each(&own.scale_a), each(&own.scale_b));
                let row = Row { a: &own.a, b: &met, c: own.c, scale_a: &scale_a, scale_b: &scale_b, metadata: &[] };
                let stored = depth * sparsity.n / sparsity.m;
                let (got, want) = (record.dot(own.row(), Some(*depth)), twin.dot(row, Some(stored)));
                assert_eq!(got.unwrap(), want.unwrap(), "{}, depth {depth}, {class:?}", record.name);
            }
        }
        records += 1;
    }
    assert!(records > 400, "only {records}");
}

/// 64 rows of spread exponents tell the hypotheses apart wherever the dense unit truncates; integers far from the ends of
/// their range do not.
fn hypotheses_differ() {
    let mut pairs = 0;
    for (h1, hypothesis, _) in sparse() {
        if hypothesis == "h2" {
            continue;
        }
        let h2 = Datapath::by_name(&h1.name.replace("-sp-h1", "-sp-h2")).unwrap();
        let unit = Unit::of(h1.name).unwrap();
        let depth = h1.depths[h1.depths.len() - 1];
        let mut random = Random(0xD1FF);
        let different = |_: &u64| {
            let codes = rows::row(&unit, Class::Spread, depth, &mut random);
            let [a, b] = [h1, h2].map(|record| record.dot(codes.row(), Some(depth)).unwrap());
            !same(h1, a, b)
        };
        let count = (0..64u64).filter(different).count();
        let integer = h1.accumulator.d.name == "s32";
        assert_eq!(count > 0, !integer, "{}: {count} of 64 rows differ", h1.name);
        pairs += 1;
    }
    assert!(pairs > 50, "only {pairs}");
}

/// Integers held to 32 bits: from the largest one, sixteen products up and sixteen down. One step adds nothing; of two,
/// the first is lost. Modulo 2^32 there is no difference.
fn saturation_differs() {
    let a = [[127u64; 16], [129; 16]].concat(); // 127 and -127
    let row = Row { a: &a, b: &[1; 64], c: i32::MAX as u64, metadata: &[0b0100; 16], ..Row::default() };
    let dot = |unit: &str| Datapath::by_name(unit).unwrap().dot(row, Some(64)).unwrap();
    assert_eq!(dot("hopper.mma-sp-h1.s8.s32sat"), 0x7FFF_FFFF);
    assert_eq!(dot("hopper.mma-sp-h2.s8.s32sat"), 0x7FFF_FFFF - 16 * 127);
    assert_eq!(dot("hopper.mma-sp-h1.s8.s32"), dot("hopper.mma-sp-h2.s8.s32"));
}

/// All six codes of two of four, and both of one of two, name the positions that PTX says.
fn every_pattern() {
    let record = Datapath::by_name("hopper.mma-sp-h1.f16.f32").unwrap();
    // B holds 1, 2, 4, 8 at positions 0 to 3; A stores 1 and 1: the sum says which two were met.
    let b = [0x3C00, 0x4000, 0x4400, 0x4800, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (code, sum) in [(0b0100, 3.0f32), (0b1000, 5.0), (0b1100, 9.0), (0b1001, 6.0), (0b1101, 10.0), (0b1110, 12.0)] {
        let row = Row { a: &[0x3C00; 8], b: &b, metadata: &[code, 4, 4, 4], ..Row::default() };
        assert_eq!(record.dot(row, Some(16)).unwrap(), u64::from(sum.to_bits()), "{code:#06b}");
    }
    let record = Datapath::by_name("hopper.mma-sp-h1.tf32.f32").unwrap();
    let [one, two] = [1.0f32, 2.0].map(|x| u64::from(x.to_bits()));
    for (code, sum) in [(0b0100, one), (0b1110, two)] {
        let row = Row { a: &[one; 4], b: &[one, two, 0, 0, 0, 0, 0, 0], metadata: &[code, 4, 4, 4], ..Row::default() };
        assert_eq!(record.dot(row, Some(8)).unwrap(), sum, "{code:#06b}");
    }
}

/// Codes that name a position twice, backwards, or not at all are refused, with the group and the code.
fn metadata() {
    for (record, _, _) in sparse() {
        let unit = Unit::of(record.name).unwrap();
        let (_, m, _) = unit.sparse.unwrap();
        let legal: &[u64] = if m == 2 { &[0b0100, 0b1110] } else { &[0b0100, 0b1000, 0b1001, 0b1100, 0b1101, 0b1110] };
        let mut codes = rows::row(&unit, Class::Near, record.depths[0], &mut Random(3));
        let last = codes.metadata.len() - 1;
        for code in (0..40).chain([u64::MAX]) {
            codes.metadata[last] = code;
            match record.dot(codes.row(), None) {
                Ok(_) => assert!(legal.contains(&code), "{}: {code:#b} was taken", record.name),
                Err(Error::Metadata { group, code: given }) => {
                    assert!(!legal.contains(&code) && (group, given) == (last, code), "{}: {code:#b}", record.name);
                }
                Err(error) => panic!("{}: {error}", record.name),
            }
        }
        codes.metadata.pop();
        assert!(matches!(record.dot(codes.row(), None), Err(Error::Lengths { field: "metadata", .. })));
    }
}
