//! Costs of products and models, sweeps, SCALE-Sim's files.

use std::fs;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::run::{command_in, interplay, interplay_in};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("cost::eval_and_cost_name_one_unit", eval_and_cost_name_one_unit),
        Trial::test("cost::a_product_and_its_files", a_product_and_its_files),
        Trial::test("cost::models_beside_each_other", models_beside_each_other),
        Trial::test("cost::a_model_and_what_it_holds", a_model_and_what_it_holds),
        Trial::test("cost::scalesim_files", scalesim_files),
        Trial::test("cost::a_sweep_is_the_same_on_any_threads", a_sweep_is_the_same_on_any_threads),
        Trial::test("cost::records_are_files", records_are_files),
        Trial::test("cost::losses_and_repeats", losses_and_repeats),
        #[cfg(target_os = "linux")]
        Trial::test("cost::a_large_sweep_stays_small", a_large_sweep_stays_small),
    ]
}

fn json(arguments: &[&str]) -> Result<Value, Failed> {
    let (code, out, err) = interplay(arguments);
    assert_eq!(code, 0, "{arguments:?}: {err}");
    Ok(serde_json::from_str(&out)?)
}

/// One product: the closed form, the figures, and shares that multiply.
fn a_product_and_its_files() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let arguments = [
        "cost",
        "--gemm",
        "197x768x3072",
        "--format",
        "hbfp6",
        "--sparsity",
        "2:4",
        "--accelerator",
        "systolic-128",
        "--cycle-model",
        "scalesim",
        "--out",
        "out",
        "--json",
    ];
    let output = interplay_in(folder.path(), &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let cost: Value = serde_json::from_slice(&output.stdout)?;
    // SCALE-Sim 3.0.0 gives 83,375 cycles for this product on this array.
    assert_eq!(cost["total"]["time"]["compute_cycles"], 83_375);
    let share = |name: &str| cost["total"]["share"][name].as_f64().unwrap_or(f64::NAN);
    let product = share("mapping") * share("fill_drain") * share("stall");
    assert!((product / share("utilisation") - 1.0).abs() < 1e-12);
    // 2:4: half of 6 bits, and a bit of metadata a position.
    assert_eq!(cost["footprint"]["weights_bits"], 768 * 3072 * (3 + 1) + 768 / 64 * 10 * 3072);
    for name in ["layers.csv", "roofline.svg", "energy.svg", "losses.svg", "utilisation.svg", "cost.json"] {
        let text = fs::read_to_string(folder.path().join("out").join(name))?;
        assert!(text.len() > 100 && !text.contains("NaN"), "{name}");
    }
    Ok(())
}

fn models_beside_each_other() -> Result<(), Failed> {
    let found = json(&[
        "cost",
        "--gemm",
        "197x768x3072",
        "--format",
        "int8",
        "--accelerator",
        "systolic-128",
        "--compare",
        "--json",
    ])?;
    let of = |name: &str| {
        let mut models = found["models"].as_array().into_iter().flatten();
        models.find(|model| model["cycle_model"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(of("scalesim")["time"]["compute_cycles"], 83_375);
    assert_eq!(of("double-buffered")["time"]["compute_cycles"], 28_877);
    assert_eq!(of("tpu")["time"]["compute_cycles"], 37_120);
    assert!(of("tensor-core")["error"].as_str().is_some_and(|error| error.contains("scalesim")));
    let (code, text, _) = interplay(&["cost", "--gemm", "64x64x64", "--format", "int8", "--compare"]);
    assert!(code == 0 && text.contains("leaves out") && text.contains("not counted"), "{text}");
    Ok(())
}

/// What `eval` computes on is what `cost` prices, on machines of the project and of a user.
fn eval_and_cost_name_one_unit() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let here = folder.path();
    let unit = "[datapath]\nname = \"acc20\"\ninputs = \"blocks\"\naccumulator = \"e8m11\"\n";
    let machine = "base = \"systolic-128-sparse24\"\nname = \"mine\"\n[[units]]\ndatapath = \"acc20\"\nformats = [\"hbfp*\"]\nskips = [\"2:4\"]\n";
    fs::write(here.join("acc20.toml"), unit)?;
    fs::write(here.join("mine.toml"), machine)?;
    let of = |arguments: &[&str]| -> Result<Value, Failed> {
        let output = interplay_in(here, &[arguments, &["--model", "vit", "--define", "acc20.toml", "--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let cases: [(&[&str], &str, &str); 6] = [
        (&["--format", "mxfp8", "--accelerator", "b200"], "b200.tcgen05.mxf8f6f4-e4m3.f32", "native"),
        (&["--format", "mxfp4", "--accelerator", "h100"], "hopper.mma.bf16.f32", "dequantised"),
        (
            &["--format", "e4m3", "--sparsity", "2:4", "--order", "sq", "--accelerator", "h100"],
            "hopper.wgmma-sp-h1.e4m3.f32",
            "hypothesis",
        ),
        (&["--format", "hbfp6", "--accelerator", "mine.toml"], "acc20", "native"),
        (&["--format", "hbfp6", "--sparsity", "2:4", "--order", "sq", "--datapath", "acc20"], "acc20", "native"),
        (&["--format", "int8", "--accelerator", "gemmini"], "int8", "native"),
    ];
    for (arguments, unit, runs) in cases {
        let eval = of(&[&["eval", "--windows", "2"], arguments].concat())?;
        let plain: Vec<&str> = arguments.iter().copied().filter(|a| !["--order", "sq"].contains(a)).collect();
        let cost = of(&[&["cost"], &plain[..]].concat())?;
        let words =
            |value: &Value| value.as_str().unwrap_or_default().split('+').map(str::to_owned).collect::<Vec<_>>();
        assert!(words(&eval["datapath"]).contains(&unit.to_owned()), "{arguments:?}: {}", eval["datapath"]);
        assert!(words(&cost["datapath"]).contains(&unit.to_owned()), "{arguments:?}: {}", cost["datapath"]);
        assert!(words(&eval["runs"]).contains(&runs.to_owned()) && words(&cost["runs"]).contains(&runs.to_owned()));
        assert_eq!(eval["machine"], cost["accelerator"], "{arguments:?}");
        assert_eq!(eval["cycles"]["total"], cost["total"]["cycles"], "{arguments:?}");
        assert_eq!(eval["energy_pj"]["total"], cost["total"]["energy_pj"]["total"]["typical"], "{arguments:?}");
    }
    // gemmini has no FP32 unit: attention is the host's, and counted nowhere.
    let apart = of(&["cost", "--format", "int8", "--accelerator", "gemmini"])?;
    assert!(apart["host"].as_array().is_some_and(|host| !host.is_empty()), "{apart}");
    Ok(())
}

/// The same weights as `eval` counts, and zeros that are really there.
fn a_model_and_what_it_holds() -> Result<(), Failed> {
    let arguments = ["--model", "vit", "--format", "int8", "--sparsity", "50%"];
    let of = |more: &[&str]| json(&[&["cost"][..], &arguments, more, &["--json"]].concat());
    let (plain, seen) = (of(&[])?, of(&["--statistics"])?);
    let energy = |cost: &Value| cost["total"]["energy_pj"]["mac"]["typical"].as_f64().unwrap_or(f64::NAN);
    assert!(energy(&seen) < energy(&plain), "half of the weights are zero");
    assert_eq!(plain["total"]["cycles"], seen["total"]["cycles"]);
    assert_eq!(plain["per"]["what"], "image");
    assert!(plain["elementwise"]["operations"].as_u64() > Some(10));
    assert!(plain["footprint"]["kv_cache_bits"].as_u64() > Some(0));
    let eval = json(&[&["eval"][..], &arguments, &["--order", "sq", "--windows", "1", "--json"]].concat())?;
    assert_eq!(eval["cycles"]["total"], plain["total"]["cycles"]);
    assert_eq!(eval["energy_pj"]["total"], plain["total"]["energy_pj"]["total"]["typical"]);
    Ok(())
}

fn scalesim_files() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let cfg = "[general]\nrun_name = small\n[architecture_presets]\nArrayHeight: 32\nArrayWidth: 32\nIfmapSramSzkB: 64\n\
               FilterSramSzkB: 64\nOfmapSramSzkB: 64\nIfmapOffset: 0\nFilterOffset: 10000000\nOfmapOffset: 20000000\n\
               Bandwidth: 10\nDataflow: ws\n[run_presets]\nInterfaceBandwidth: CALC\n";
    fs::write(folder.path().join("small.cfg"), cfg)?;
    fs::write(folder.path().join("small.csv"), "Layer, M, N, K,\nfc, 128, 768, 768,\n")?;
    let output = interplay_in(folder.path(), &["cost", "--scalesim", "small.cfg", "small.csv", "--out", "reports"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = fs::read_to_string(folder.path().join("reports/COMPUTE_REPORT.csv"))?;
    assert!(report.contains("127871"), "{report}");
    fs::write(folder.path().join("wrong.cfg"), cfg.replace("ArrayWidth", "ArrayWidht"))?;
    let output = interplay_in(folder.path(), &["cost", "--scalesim", "wrong.cfg", "small.csv", "--out", "none"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && error.contains("did you mean `arraywidth`"), "{error}");
    assert!(!folder.path().join("none").exists());
    Ok(())
}

const GRID: &str = r#"
gemm = ["197x768x3072"]
accelerator = "systolic-128"
[grid]
format = ["hbfp8", "hbfp4", "fp32"]
sparsity = ["dense", "2:4"]
"engine.rows" = [16, 128]
"memory.sram.kib" = [64, 2048]
"#;

fn a_sweep_is_the_same_on_any_threads() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("grid.toml"), GRID)?;
    let runs = ["1", "3"].map(|threads| {
        let output =
            interplay_in(folder.path(), &["sweep", "grid.toml", "--threads", threads, "--out", threads, "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    });
    assert_eq!(runs[0], runs[1]);
    let found: Value = serde_json::from_slice(&runs[0])?;
    let points = found["points"].as_array().cloned().unwrap_or_default();
    assert_eq!(points.len(), 24);
    let front = points.iter().filter(|point| point["front"] == true).count();
    assert!(front > 0 && front < 24, "{front}");
    for name in ["sweep.csv", "sweep.svg"] {
        let read = |run: &str| fs::read(folder.path().join(run).join(name));
        assert_eq!(read("1")?, read("3")?, "{name}");
    }
    fs::write(folder.path().join("wrong.toml"), GRID.replace("engine.rows", "engine.rowz"))?;
    let output = interplay_in(folder.path(), &["sweep", "wrong.toml"]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && error.contains("did you mean `rows`"), "{error}");
    Ok(())
}

/// What `list` prints of a machine is a file that `--accelerator` takes.
fn records_are_files() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (code, text, _) = interplay(&["list", "accelerators", "h100"]);
    assert_eq!(code, 0);
    fs::write(folder.path().join("own.toml"), text)?;
    let cost = |machine: &str| {
        let arguments = ["cost", "--accelerator", machine, "--gemm", "4096x4096x4096", "--format", "bf16", "--json"];
        let output = interplay_in(folder.path(), &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut cost: Value = serde_json::from_slice(&output.stdout)?;
        // The command that is recorded names the file.
        cost.as_object_mut().map(|fields| fields.remove("provenance"));
        Ok::<Value, Failed>(cost)
    };
    assert_eq!(cost("own.toml")?, cost("h100")?);
    for (kind, name) in [("prices", "horowitz45"), ("accelerators", "h100")] {
        let record = json(&["list", kind, name, "--json"])?;
        assert_eq!(record["name"], name, "{kind}");
    }
    Ok(())
}

/// Losses beside the utilisation, what bounds a layer, repeated products, components of the area.
fn losses_and_repeats() -> Result<(), Failed> {
    let shape = ["--gemm", "4096x4096x4096", "--format", "mxfp8"];
    let (code, text, err) = interplay(&[&["cost"], &shape[..]].concat());
    assert_eq!(code, 0, "{err}");
    let header = text.lines().next().unwrap_or_default();
    for column in ["util.", "pad", "fill", "launch", "wait", "bound"] {
        assert!(header.split_whitespace().any(|word| word == column), "{column}: {header}");
    }
    let row: Vec<&str> = text.lines().nth(2).unwrap_or_default().split_whitespace().collect();
    let at = row.iter().position(|word| *word == "compute").ok_or("no bound")?;
    assert_eq!(row[at - 5..at], ["100.0%", "0.0%", "0.0%", "0.0%", "0.0%"], "nothing waits: {text}");
    assert!(text.contains("by component: ") && text.contains("registers and clock"), "{text}");

    let of = |gemm: &str| json(&["cost", "--gemm", gemm, "--format", "mxfp8", "--accelerator", "h100", "--json"]);
    let (one, many) = (of("1x64x64")?, of("32*1x64x64")?);
    assert_eq!((&one["total"]["bound"], &one["layers"][0]["bound"]), (&Value::from("launch"), &Value::from("launch")));
    assert!(one["total"]["losses"]["launch"].as_f64() > Some(0.5), "{}", one["total"]["losses"]);
    assert_eq!((&many["layers"][0]["count"], &many["work"]), (&Value::from(32), &Value::from("32*1x64x64")));
    for field in ["macs", "cycles"] {
        let times = |cost: &Value| cost["total"][field].as_u64().unwrap_or_default();
        assert_eq!(times(&many), 32 * times(&one), "{field}");
    }
    let note = one["area_mm2"]["note"].as_str().unwrap_or_default();
    assert!(note.contains("every format that this machine dequantises"), "{note}");
    let parts = one["area_mm2"]["parts"].as_array().cloned().unwrap_or_default();
    let sum: f64 = parts.iter().filter_map(|part| part[1]["typical"].as_f64()).sum();
    assert!((sum / one["area_mm2"]["total"]["typical"].as_f64().unwrap_or_default() - 1.0).abs() < 1e-9, "{sum}");
    Ok(())
}

/// Tens of thousands of machines: what a sweep holds of each is its numbers.
#[cfg(target_os = "linux")]
fn a_large_sweep_stays_small() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let list = |from: usize, step: usize, count: usize| {
        (0..count).map(|i| (from + i * step).to_string()).collect::<Vec<_>>().join(", ")
    };
    let (rows, kib) = (list(8, 8, 150), list(64, 16, 200));
    let grid = format!(
        "gemm = [\"64x64x64\"]\naccelerator = \"systolic-128\"\n[grid]\nformat = [\"hbfp8\"]\n\"engine.rows\" = [{rows}]\n\"memory.sram.kib\" = [{kib}]\n"
    );
    fs::write(folder.path().join("grid.toml"), grid)?;
    let arguments = ["sweep", "grid.toml", "--out", "out"];
    let mut child = command_in(folder.path(), &arguments).stdout(std::process::Stdio::null()).spawn()?;
    // The most that was resident, in KiB; what a process that has ended says is empty.
    let mut most = 0u64;
    let status = loop {
        let text = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = most.max(kib.unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    assert!(status.success());
    assert!(most > 10_000 && most < 64_000, "{most} KiB for 30,000 points");
    let csv = fs::read_to_string(folder.path().join("out/sweep.csv"))?;
    assert_eq!(csv.lines().count(), 30_001);
    let figure = fs::read_to_string(folder.path().join("out/sweep.svg"))?;
    assert!(figure.contains("30000 points; of those beside the front one in 3 is drawn"), "{}", figure.len());
    assert!(figure.len() < 3_000_000, "{}", figure.len());
    Ok(())
}
