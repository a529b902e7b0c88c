//! The built-in studies in their small sizes: theory that must hold, rows that must be there, costs that must agree.

use std::fs;
use std::path::Path;

use interplay_formats::Format;
use libtest_mimic::{Failed, Trial};

use crate::run::interplay_in;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("studies::theory_of_tensors_holds", theory_of_tensors_holds),
        Trial::test("studies::theory_of_dot_products_holds", theory_of_dot_products_holds),
        Trial::test("studies::rankings_are_shares", rankings_are_shares),
        Trial::test("studies::errors_propagate_from_zero", errors_propagate_from_zero),
        Trial::test("studies::narrow_accumulators_are_smaller", narrow_accumulators_are_smaller),
        Trial::test("studies::fronts_are_not_dominated", fronts_are_not_dominated),
        Trial::test("studies::choices_fit_their_budgets", choices_fit_their_budgets),
        Trial::test("studies::corrections_bring_loss_back", corrections_bring_loss_back),
        Trial::test("studies::bad_options_are_refused", bad_options_are_refused),
    ]
}

/// A table by columns.
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn text<'a>(&'a self, row: &'a [String], column: &str) -> &'a str {
        let index = self.columns.iter().position(|name| name == column);
        index.map_or_else(|| panic!("no column {column} in {:?}", self.columns), |index| row[index].as_str())
    }

    fn number(&self, row: &[String], column: &str) -> f64 {
        self.text(row, column).parse().unwrap_or(f64::NAN)
    }

    fn rows<'a>(&'a self, wanted: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = &'a Vec<String>> {
        self.rows.iter().filter(move |row| wanted.iter().all(|(column, text)| self.text(row, column) == *text))
    }
}

/// Runs a study in `folder` and reads its table; what is drawn again from that must have the same bytes.
fn study(folder: &Path, name: &str, arguments: &[&str]) -> Result<Table, Failed> {
    let output = interplay_in(folder, &[&["study", name, "--out", name], arguments].concat());
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    let run = folder.join(name);
    let drawn = || -> Result<_, Failed> { Ok((fs::read(run.join("figure.svg"))?, fs::read(run.join("caption.md"))?)) };
    let before = drawn()?;
    let again = interplay_in(folder, &["figures", name]);
    assert!(again.status.success(), "{name}: {}", String::from_utf8_lossy(&again.stderr));
    assert!(before == drawn()?, "{name}: what is drawn again differs");
    let mut reader = csv::Reader::from_path(run.join("data.csv"))?;
    let columns = reader.headers()?.iter().map(str::to_owned).collect();
    let rows = reader.records().map(|record| Ok(record?.iter().map(str::to_owned).collect()));
    Ok(Table { columns, rows: rows.collect::<Result<_, csv::Error>>()? })
}

fn theory_of_tensors_holds() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let table = study(folder.path(), "theory-tensor", &["--quick"])?;
    for row in &table.rows {
        for column in ["tight_violations", "paper_violations"] {
            let count = table.number(row, column);
            assert!(count.is_nan() || count == 0.0, "theorem 3.7 is violated: {row:?}");
        }
    }
    let claimed = |row: &&Vec<String>| table.text(row, "reason").is_empty();
    for row in table.rows(&[("part", "counted")]).filter(claimed) {
        assert_eq!(table.number(row, "sq_element"), 0.0, "theorem 3.5 is violated where it is claimed: {row:?}");
    }
    let searched: Vec<_> = table.rows(&[("part", "search")]).collect();
    assert!(!searched.is_empty());
    for row in searched {
        let found = !table.text(row, "example").is_empty();
        assert!(found, "no counterexample of theorem 3.6: {row:?}");
    }
    for format in Format::all() {
        assert!(table.rows(&[("format", format.name)]).next().is_some(), "{} is missing", format.name);
    }
    let caption = fs::read_to_string(folder.path().join("theory-tensor/caption.md"))?;
    assert!(!caption.contains("VIOLATED"), "{caption}");
    Ok(())
}

fn theory_of_dot_products_holds() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let table = study(folder.path(), "theory-dot", &["--quick"])?;
    assert!(table.rows.len() > 100, "every linear layer of both models, in both orders");
    for row in &table.rows {
        assert!(table.number(row, "exact_checked") > 0.0);
        assert_eq!(table.text(row, "exact_checked"), table.text(row, "exact_held"), "the identity fails: {row:?}");
        let share = table.number(row, "tightness");
        assert!((0.0..=1.0).contains(&share), "the error is beyond the theorem's bound: {row:?}");
    }
    Ok(())
}

fn rankings_are_shares() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let table = study(folder.path(), "ranking", &["--quick"])?;
    for row in &table.rows {
        let share = table.number(row, "disagreement");
        assert!(share.is_nan() || (0.0..=1.0).contains(&share), "{row:?}");
    }
    Ok(())
}

fn errors_propagate_from_zero() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let table = study(folder.path(), "propagation", &["--quick", "--model", "lm"])?;
    for row in table.rows(&[("output", "stream"), ("stage", "0")]) {
        assert_eq!(table.number(row, "absolute_error"), 0.0, "nothing is compressed before the first block");
    }
    let last = table.rows(&[("output", "stream"), ("stage", "3")]).next().ok_or("no last block")?;
    assert!(table.number(last, "relative_error") > 0.0);
    Ok(())
}

fn narrow_accumulators_are_smaller() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let small = ["--quick", "--model", "lm", "--formats", "hbfp6", "--windows", "2"];
    let table = study(folder.path(), "accumulator", &small)?;
    let varied: Vec<_> =
        table.rows(&[("sum", "accumulated"), ("own_block", "true"), ("base_format", "hbfp6")]).collect();
    assert!(varied.len() >= 3, "{:?}", table.columns);
    for pair in varied.windows(2) {
        let [narrow, wide] = [pair[0], pair[1]].map(|row| (table.number(row, "bits"), table.number(row, "units_mm2")));
        assert!((narrow.0 < wide.0) == (narrow.1 < wide.1), "{narrow:?} {wide:?}");
    }
    assert!(table.rows(&[("front", "true")]).next().is_some());
    Ok(())
}

fn fronts_are_not_dominated() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let small = [
        "--quick",
        "--model",
        "lm",
        "--formats",
        "fp32,int8,hbfp6",
        "--sparsity",
        "dense,2:4",
        "--accelerator",
        "systolic-128,h100",
        "--windows",
        "2",
    ];
    let table = study(folder.path(), "pareto", &small)?;
    assert_eq!(table.rows.len(), 2 * 8, "a row for each cell and machine");
    let refused: Vec<_> = table.rows(&[("format", "hbfp6"), ("accelerator", "h100")]).collect();
    assert!(
        refused.iter().all(|row| table.text(row, "energy_pj").is_empty() && !table.text(row, "refused").is_empty())
    );
    let values =
        |row: &Vec<String>| ["value", "linear_bits", "energy_pj", "seconds"].map(|column| table.number(row, column));
    let front: Vec<[f64; 4]> = table.rows(&[("front", "true")]).map(values).collect();
    assert!(!front.is_empty());
    for row in table.rows.iter().filter(|row| table.text(row, "refused").is_empty()) {
        let other = values(row);
        for one in &front {
            let beaten = other.iter().zip(one).all(|(a, b)| a <= b) && other != *one;
            assert!(!beaten, "{one:?} is on the front, but {other:?} is better");
        }
    }
    Ok(())
}

fn choices_fit_their_budgets() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let small = ["--quick", "--windows", "4", "--formats", "int8,hbfp4", "--sparsity", "dense"];
    let table =
        study(folder.path(), "adaptive", &[&small[..], &["--set", "options.budget_percent=[60, 100]"]].concat())?;
    let rows = |percent: &str, method: &str| -> Vec<f64> {
        let wanted = [("budget_percent", percent), ("method", method)];
        table.rows(&wanted).map(|row| table.number(row, "bits")).collect()
    };
    let all = rows("100", "uniform").into_iter().fold(0.0, f64::max);
    for method in ["greedy", "exact", "uniform"] {
        let found = rows("60", method);
        assert!(found.iter().all(|bits| *bits <= 0.6 * all), "{method}: {found:?} of {all}");
    }
    for row in table.rows(&[("method", "exact")]) {
        let greedy = [("budget_percent", table.text(row, "budget_percent")), ("method", "greedy")];
        let greedy =
            table.rows(&greedy).next().map(|row| table.number(row, "predicted_rise")).ok_or("no greedy choice")?;
        assert!(table.number(row, "predicted_rise") <= greedy, "exact is never worse by its own measure");
    }
    Ok(())
}

fn corrections_bring_loss_back() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    // Without distillation nothing is trained, and no training text is needed.
    let small = ["--quick", "--set", "options.distill_percent=[]", "--set", "options.ranks=[0, 1, 32]"];
    let table = study(folder.path(), "combined", &small)?;
    for order in ["sq", "qs"] {
        let wanted = [("order", order)];
        let rows: Vec<_> = table.rows(&wanted).collect();
        assert_eq!(rows.len(), 3);
        let of = |column: &str| rows.iter().map(|row| table.number(row, column)).collect::<Vec<f64>>();
        assert_eq!(of("recovered")[0], 0.0, "rank 0 is no correction");
        assert!(of("value")[2] < of("value")[0], "{order}: rank 32 brings nothing back: {:?}", of("value"));
        assert!(of("linear_bits").is_sorted() && of("energy_pj").is_sorted(), "a larger rank costs more");
    }
    Ok(())
}

fn bad_options_are_refused() -> Result<(), Failed> {
    let wrong: [(&[&str], &str); 12] = [
        (&["finetune", "--orders", "sq"], "does not use `orders`"),
        (&["adaptive", "--accelerator", "b200,h100"], "takes one value of `accelerators`"),
        (&["orders", "--quick", "--formats", "int8,INT8"], "one cell twice"),
        (&["adaptive", "--preset", "none"], "no linear layer"),
        (&["theory-tensor", "--set", "options.weights='many'"], "weights"),
        (&["theory-dot", "--sparsity", "dense"], "compares orders"),
        (&["theory-dot", "--set", "options.exakt=3"], "exakt"),
        (&["propagation", "--formats", "fp32"], "compares orders"),
        (&["accumulator", "--set", "options.accumulator_bits=[9]"], "9"),
        (&["pareto", "--quick", "--formats", "hbfp6", "--accelerator", "h100"], "hbfp6"),
        (&["adaptive", "--set", "options.resources=['time']"], "`bits` or `energy`"),
        (&["combined", "--set", "options.distill_percent=[101]"], "0 to 100"),
    ];
    for (arguments, part) in wrong {
        let folder = tempfile::tempdir()?;
        let output = interplay_in(folder.path(), &[&["study"], arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(part) && !errors.contains("panicked"), "{arguments:?} does not say {part}: {errors}");
        assert_eq!(fs::read_dir(folder.path())?.count(), 0, "{arguments:?} left files");
    }
    Ok(())
}
