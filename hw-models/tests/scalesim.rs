//! SCALE-Sim's files against what SCALE-Sim itself wrote; see `scripts/scalesim_runs.py`.

use crate::support::{case, oracle};
use interplay_hw::{
    Error,
    scalesim::{Cell, Reports, run},
};
use libtest_mimic::Trial;
use std::collections::HashMap;

pub fn trials() -> Vec<Trial> {
    vec![
        case("scalesim::runs", runs),
        case("scalesim::notation", notation),
        case("scalesim::refusals", refusals),
        case("scalesim::json", json),
        oracle("scalesim_reports", "reference/scalesim_golden.csv", |csv| recorded(&csv)),
    ]
}

const ARRAY: &str = include_str!("scalesim/array.cfg");
const GEMM: &str = include_str!("scalesim/gemm.csv");
const RUNS: &str = include_str!("scalesim/runs.txt");

/// SCALE-Sim adds up to a thousand quotients in floats before it divides; each addition errs by half a unit of 2^-52.
const SUMMED: f64 = 1000.0 * f64::EPSILON / 2.0;

/// Columns that it sums in this way; IFMAP reads only where M/N is no power of two.
const SUMS: [&str; 3] = ["Mapping Efficiency %", "Compute Util %", "SRAM IFMAP Reads"];

/// A text of the folder by its name in `runs.txt`.
fn topology(name: &str) -> &'static str {
    match name {
        "gemm.csv" => GEMM,
        "conv.csv" => include_str!("scalesim/conv.csv"),
        "sparse.csv" => include_str!("scalesim/sparse.csv"),
        "sparse_conv.csv" => include_str!("scalesim/sparse_conv.csv"),
        other => panic!("no topology {other}"),
    }
}

/// The configuration with some values changed.
fn changed(changes: &str) -> String {
    let changes: HashMap<&str, &str> =
        changes.split_whitespace().map(|change| change.split_once('=').unwrap()).collect();
    let line = |line: &str| match line.split_once(" = ").and_then(|(key, _)| Some((key, changes.get(key)?))) {
        Some((key, value)) => format!("{key} = {value}\n"),
        None => format!("{line}\n"),
    };
    ARRAY.lines().map(line).collect()
}

/// Compares a report with the recorded one; the entries that are `n/a`.
fn compare(got: &str, want: &str, what: &str) -> usize {
    let header: Vec<&str> = want.lines().next().unwrap().split(", ").collect();
    assert_eq!(got.lines().next(), want.lines().next(), "{what}");
    assert_eq!(got.lines().count(), want.lines().count(), "{what}");
    let mut unknown = 0;
    for (got, want) in got.lines().zip(want.lines()).skip(1) {
        let (got, want): (Vec<&str>, Vec<&str>) = (got.split(", ").collect(), want.split(", ").collect());
        assert_eq!(got.len(), want.len(), "{what}");
        for ((got, want), column) in got.into_iter().zip(want).zip(&header) {
            let (got, want, column) =
                (got.trim_end_matches(','), want.trim_end_matches(','), column.trim_end_matches(','));
            let number = |text: &str| text.parse::<f64>().unwrap();
            match got {
                "n/a" => unknown += 1,
                _ if SUMS.contains(&column) => {
                    assert!((number(got) / number(want) - 1.0).abs() <= SUMMED, "{what}, {column}: {got}, not {want}");
                }
                _ => assert_eq!(got, want, "{what}, {column}"),
            }
        }
    }
    unknown
}

/// Every report of every recorded run; how much is `n/a` is pinned.
fn runs() {
    let mut counts = Vec::new();
    for text in RUNS.split("run ").skip(1).filter(|text| text.contains("report ")) {
        let mut parts = text.split("report ");
        let head = parts.next().unwrap().trim();
        let (name, changes) = head.split_once(' ').unwrap();
        let reports = run(&changed(changes), topology(name)).unwrap();
        let recorded: Vec<_> = parts.map(|part| part.split_once('\n').unwrap()).collect();
        assert_eq!(reports.files.len(), recorded.len(), "{head}");
        let mut unknown = 0;
        for ((file, got), (name, want)) in reports.files.iter().zip(recorded) {
            assert_eq!(*file, name, "{head}");
            unknown += compare(got, want, &format!("{head}, {name}"));
        }
        assert_eq!(unknown > 0, !reports.layers.iter().all(|layer| layer.unknown.is_empty()), "{head}");
        println!("{unknown:>3} n/a: {head}");
        counts.push(unknown);
    }
    // Overhanging windows, random patterns, images under sparse weights, small buffers, USER.
    assert_eq!(counts, [0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 66, 78, 22, 2, 9, 13, 13, 75, 0]);
}

/// What SCALE-Sim's own files may look like.
fn notation() {
    let base = run(ARRAY, GEMM).unwrap();
    let loose = "\u{feff}; a comment\n[Architecture_Presets]\narrayheight : 8\nARRAYWIDTH=4\nIfmapSramSzkB = 64\n\
                 FilterSramSzkB = 64\nOfmapSramSzkB = 64\nDataflow = WS\n";
    let reports = run(loose, GEMM).unwrap();
    assert_eq!((reports.files, reports.run_name.as_str()), (base.files.clone(), "scale_run"));
    assert_eq!(base.run_name, "small");
    let bare: String = GEMM.lines().map(|line| format!("{}\r\n\r\n", line.trim_end_matches(','))).collect();
    assert_eq!(run(ARRAY, &bare).unwrap().files, base.files);
    let notes = run(&format!("{ARRAY}\n[general]\nColourOfTheChip = red\n"), GEMM).unwrap().notes;
    assert_eq!(notes.len(), 1);
    assert!(notes[0].contains("ColourOfTheChip") && notes[0].contains("ignored"), "{notes:?}");
    let depthwise = run(ARRAY, topology("conv.csv")).unwrap();
    let names: Vec<&str> = depthwise.layers.iter().map(|layer| layer.name.as_str()).collect();
    assert_eq!(names, ["c1", "c2", "DPcChannel_0", "DPcChannel_1"]);
}

fn refusals() {
    let refused = |result: Result<Reports, Error>, words: &[&str]| {
        let message = result.expect_err(&words.concat()).to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    };
    let config = |from: &str, to: &str| run(&ARRAY.replace(from, to), GEMM);
    refused(config("ArrayHeight", "ArrayHieght"), &["config, line 4", "did you mean `arrayheight`"]);
    refused(config("ArrayHeight = 8\n", ""), &["`arrayheight` is missing in [architecture_presets]"]);
    refused(config("ArrayHeight = 8", "ArrayHeight = 0"), &["line 4", "whole number from 1"]);
    refused(config("ArrayHeight = 8", "ArrayHeight = 99999999999999999999"), &["whole number from 1"]);
    refused(config("ArrayHeight = 8", "ArrayHeight 8"), &["neither"]);
    refused(config("Dataflow = ws", "Dataflow = wss"), &["did you mean `ws`"]);
    refused(config("[sparsity]", "[sparcity]"), &["did you mean `sparsity`"]);
    refused(config("[general]\n", ""), &["before the first [section]"]);
    refused(config("ArrayWidth = 4", "ArrayHeight = 4"), &["line 5", "given in line 4"]);
    refused(config("InterfaceBandwidth = CALC", "InterfaceBandwidth = USE"), &["did you mean `user`"]);
    let drawn = changed("SparsitySupport=true OptimizedMapping=true BlockSize=16");
    refused(run(&drawn, GEMM), &["blocksize", "at most the rows"]);
    let drawn = changed("SparsitySupport=true OptimizedMapping=true Dataflow=os");
    refused(run(&drawn, GEMM), &["OptimizedMapping", "ws only"]);

    let layers = |text: &str| run(ARRAY, text);
    refused(layers(""), &["no header"]);
    refused(layers("Layer, M, N, K,\n"), &["no layer"]);
    refused(layers("Layer, M, N,\n"), &["3 columns"]);
    refused(layers("Layer, M, N, K,\na, 1, 2,\n"), &["topology, line 2", "3 fields, not 4"]);
    refused(layers("Layer, M, N, K,\na, 1, 0, 2,\n"), &["line 2", "N is `0`"]);
    refused(layers("Layer, M, N, K,\na, 1, x, 2,\n"), &["N is `x`"]);
    refused(layers("Layer, M, N, K,\na, 1, 1, 2, 4:2,\n"), &["sparsity is `4:2`"]);
    refused(layers("Layer, M, N, K,\na, 18446744073709551615, 2, 2,\n"), &["`a`", "64 bits"]);
    let header = "name, h, w, fh, fw, c, n, stride,\n";
    refused(layers(&format!("{header}a, 3, 3, 4, 1, 1, 1, 1,\n")), &["larger than the image"]);
    refused(layers(&format!("{header}aDP, 3, 3, 1, 1, 99999999999, 1, 1,\n")), &["layers"]);
    let vast = "18446744073709551615";
    refused(layers(&format!("{header}a, {vast}, {vast}, 1, 1, 1, 1, 1,\n")), &["64 bits"]);
    assert!(layers(&format!("{header}a, {vast}, 1, 1, 1, 1, 1, {vast},\n")).is_ok(), "a single window");
}

fn json() {
    let json = serde_json::to_value(run(ARRAY, GEMM).unwrap()).unwrap();
    assert_eq!(json["layers"][0]["name"], "first");
    assert_eq!(json["layers"][0]["compute"]["Total Cycles"], 1019);
    assert_eq!(json["layers"][0]["detail"]["DRAM IFMAP Start Cycle"], -66.0);
    let user = serde_json::to_value(run(&changed("InterfaceBandwidth=USER"), GEMM).unwrap()).unwrap();
    assert_eq!(user["layers"][0]["compute"]["Total Cycles"], serde_json::Value::Null);
    assert_eq!(user["layers"][0]["stall_free_cycles"], 1019);
    assert!(user["notes"][0].as_str().unwrap().contains("USER"));
}

/// Every dense row of the recorded runs, through the files. Percentages have four decimals there.
fn recorded(csv: &str) {
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let (mut rows, mut whole) = (0, 0);
    for line in lines {
        let row: HashMap<&str, &str> = header.iter().copied().zip(line.split(',')).collect();
        if row["set"] != "dense" {
            continue;
        }
        let changes = [
            ("ArrayHeight", "array_rows"),
            ("ArrayWidth", "array_cols"),
            ("Dataflow", "dataflow"),
            ("IfmapSramSzkB", "ifmap_sram_kB"),
            ("FilterSramSzkB", "filter_sram_kB"),
            ("OfmapSramSzkB", "ofmap_sram_kB"),
        ];
        let changes: Vec<String> = changes.iter().map(|(key, column)| format!("{key}={}", row[column])).collect();
        let topology = format!("Layer, M, N, K,\na, {}, {}, {},\n", row["M"], row["N"], row["K"]);
        let reports = run(&changed(&changes.join(" ")), &topology).unwrap();
        let layer = &reports.layers[0];
        let columns = [
            (&layer.compute, "Total Cycles (incl. prefetch)", "total_cycles_incl_prefetch"),
            (&layer.compute, "Total Cycles", "total_cycles"),
            (&layer.compute, "Stall Cycles", "stall_cycles"),
            (&layer.compute, "Overall Util %", "overall_util_pct"),
            (&layer.compute, "Mapping Efficiency %", "mapping_eff_pct"),
            (&layer.compute, "Compute Util %", "compute_util_pct"),
            (&layer.detail, "SRAM IFMAP Reads", "sram_ifmap_reads"),
            (&layer.detail, "SRAM Filter Reads", "sram_filter_reads"),
            (&layer.detail, "SRAM OFMAP Writes", "sram_ofmap_writes"),
            (&layer.detail, "DRAM IFMAP Reads", "dram_ifmap_reads"),
            (&layer.detail, "DRAM Filter Reads", "dram_filter_reads"),
            (&layer.detail, "DRAM OFMAP Writes", "dram_ofmap_writes"),
        ];
        rows += 1;
        whole += usize::from(layer.unknown.is_empty());
        for (report, column, recorded) in columns {
            let cell = &report.0.iter().find(|(name, _)| *name == column).unwrap().1;
            let want: f64 = row[recorded].parse().unwrap();
            match cell {
                Cell::Unknown => assert!(!layer.unknown.is_empty()),
                Cell::Real(got) => assert!((got - want).abs() <= 5e-5 + 1e-9, "{column}: {got}, not {want}: {line}"),
                cell => assert_eq!(cell.to_string(), row[recorded], "{column}: {line}"),
            }
        }
    }
    println!("{whole} of {rows} rows without n/a");
    assert_eq!(rows, 69);
}
