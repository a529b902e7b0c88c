//! Cycle models against recorded runs of other tools.

use crate::support::{case, oracle};
use interplay_formats::Pattern;
use interplay_hw::{
    CycleModel, Cycles, Gemm, Ratio,
    cost::{Array, Dataflow, accesses},
};
use libtest_mimic::Trial;
use std::collections::HashMap;

pub fn trials() -> Vec<Trial> {
    vec![
        oracle("scalesim", "reference/scalesim_golden.csv", |csv| scalesim(&csv)),
        case("cycles::scalesim_table", scalesim_table),
        case("cycles::double_buffered", double_buffered),
        case("cycles::smallest", smallest),
        case("cycles::kept_positions_are_those_of_masks", kept_positions_are_those_of_masks),
    ]
}

fn cycles(model: CycleModel, (m, k, n): (u64, u64, u64), array: Array, skip: Option<Ratio>) -> u64 {
    let Cycles(cycles) = model.cycles(&Gemm::new("layer", m, k, n), &array, skip).unwrap();
    cycles
}

const ALL: [Dataflow; 3] = [Dataflow::OutputStationary, Dataflow::WeightStationary, Dataflow::InputStationary];

/// Every CALC row: dense ones, and sparse ones whose pattern is one for the whole layer.
fn scalesim(csv: &str) {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let (mut dense, mut sparse) = (0, 0);
    for line in lines {
        let row: HashMap<&str, &str> = header.iter().copied().zip(line.split(',')).collect();
        let number = |name: &str| row[name].parse::<u64>().unwrap_or_else(|_| panic!("{name} in {line}"));
        if row["bw_mode"] != "CALC" || row["optimized_mapping"] == "true" {
            continue;
        }
        let skip =
            row["sparsity"].split_once(':').map(|(n, m)| Ratio::new(n.parse().unwrap(), m.parse().unwrap()).unwrap());
        *(if skip.is_some() { &mut sparse } else { &mut dense }) += 1;
        let dataflow = ALL[["os", "ws", "is"].iter().position(|name| *name == row["dataflow"]).unwrap()];
        let (rows, columns) = (number("array_rows"), number("array_cols"));
        let array = Array { rows, columns, dataflow };
        let (m, k, n) = (number("M"), number("K"), number("N"));
        let total = cycles(CycleModel::Scalesim, (m, k, n), array, skip);
        assert_eq!(total, number("total_cycles"), "{line}");

        let counts = accesses(&Gemm::new("layer", m, k, n), &array, skip).unwrap();
        assert_eq!(counts.activation_reads, number("sram_ifmap_reads"), "{line}");
        assert_eq!(counts.weight_reads, number("sram_filter_reads"), "{line}");
        // SCALE-Sim adds R + C writes a fold to an output-stationary array.
        let folds = if dataflow == Dataflow::OutputStationary { m.div_ceil(rows) * n.div_ceil(columns) } else { 0 };
        assert_eq!(counts.output_writes + folds * (rows + columns), number("sram_ofmap_writes"), "{line}");

        if skip.is_none() {
            let percent = 100.0 * array.utilisation(m * k * n, Cycles(total));
            let recorded: f64 = row["overall_util_pct"].parse().unwrap();
            assert!((percent - recorded).abs() < 1e-4, "{percent}: {line}");
        }
    }
    assert_eq!((dense, sparse), (69, 5), "rows of the recorded file");
}

/// Totals measured with SCALE-Sim 3.0.0 in CALC mode: M, K, N, array, then OS, WS, IS.
fn scalesim_table() {
    let table = [
        ((128, 768, 768), 32, [79_679, 127_871, 82_751]),
        ((128, 768, 768), 128, [6_131, 18_359, 6_899]),
        ((197, 768, 3072), 32, [557_759, 670_463, 531_887]),
        ((197, 768, 3072), 128, [49_055, 83_375, 41_447]),
        ((2048, 768, 3072), 128, [392_447, 349_919, 331_583]),
        ((16, 40, 24), 8, [323, 569, 459]),
    ];
    for (shape, side, want) in table {
        for (dataflow, want) in ALL.into_iter().zip(want) {
            let array = Array { rows: side, columns: side, dataflow };
            assert_eq!(cycles(CycleModel::Scalesim, shape, array, None), want, "{shape:?} {array:?}");
        }
    }
    let array = Array { rows: 32, columns: 32, dataflow: Dataflow::WeightStationary };
    for (n, want) in [(1, 887), (2, 1_775), (3, 2_663), (4, 3_551)] {
        let skip = Some(Ratio::new(n, 4).unwrap());
        assert_eq!(cycles(CycleModel::Scalesim, (128, 128, 128), array, skip), want, "{n}:4");
    }
}

/// Values of the rule that ONNXim's core model follows.
fn double_buffered() {
    let table = [
        ((128, 768, 768), 32, 73_853),
        ((128, 768, 768), 128, 5_117),
        ((197, 768, 3072), 128, 28_877),
        ((2048, 768, 3072), 128, 295_421),
    ];
    for (shape, side, want) in table {
        let array = Array { rows: side, columns: side, dataflow: Dataflow::WeightStationary };
        assert_eq!(cycles(CycleModel::DoubleBuffered, shape, array, None), want, "{shape:?} {array:?}");
    }
}

/// The positions that the cycle models leave in a row are those that pruning leaves, also where M does not divide K.
fn kept_positions_are_those_of_masks() {
    for k in 1..40 {
        for (n, m) in [(1, 2), (2, 4), (1, 4), (3, 8), (5, 7), (15, 16)] {
            let mask = Pattern::NofM { n, m }.magnitude_mask(&vec![1.0; 3 * k], k).expect("finite");
            let ratio = Ratio::new(n as u64, m as u64).expect("a ratio");
            assert_eq!(mask.kept().len() as u64 - mask.pruned() as u64, 3 * ratio.kept(k as u64), "{n}:{m} of {k}");
        }
    }
}

/// One multiply-accumulate on one element.
fn smallest() {
    for (dataflow, want) in ALL.into_iter().zip([0, 1, 1]) {
        let array = Array { rows: 1, columns: 1, dataflow };
        assert_eq!(cycles(CycleModel::Scalesim, (1, 1, 1), array, None), want, "{dataflow:?}");
        assert!(array.utilisation(1, Cycles(want)) <= 1.0);
    }
}
