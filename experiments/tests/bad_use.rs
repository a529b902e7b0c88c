//! Bad use: one clear sentence, exit code 2, nothing written.

use libtest_mimic::{Failed, Trial};

use crate::run::{interplay, interplay_in};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("bad_use::messages_name_what_is_allowed", messages_name_what_is_allowed),
        Trial::test("bad_use::long_input_is_cut", long_input_is_cut),
        Trial::test("bad_use::images_for_an_image_model", images_for_an_image_model),
        Trial::test("bad_use::nothing_is_written", nothing_is_written),
    ]
}

/// Arguments, and what the message must say.
const WRONG: [(&[&str], &[&str]); 66] = [
    (&["format", "hbpf8"], &["hbpf8", "hbfp8"]),
    (&["eval", "--format", "mxpf4"], &["mxpf4", "mxfp4"]),
    (&["eval", "--format", "int8", "--sparsity", "2:4"], &["order", "sq", "qs"]),
    (&["eval", "--format", "int8", "--sparsity", "4:2", "--order", "sq"], &["4:2", "N:M"]),
    (&["eval", "--sparsity", "4:14p"], &["14", "192"]),
    (&["eval", "--datapath", "blok"], &["blok", "block"]),
    (&["eval", "--accelerator", "systolic-12"], &["systolic-12", "systolic-128"]),
    (&["cost", "--gemm", "3x4"], &["3x4", "MxKxN"]),
    (&["cost", "--gemm", "0x4x4"], &["M = 0"]),
    (&["cost", "--gemm", "0*4x4x4"], &["count = 0"]),
    (&["cost", "--gemm", "x*4x4x4"], &["x*4x4x4", "12*197x768x3072"]),
    (&["eval", "--format", "sq"], &["`sq` is an order", "--order"]),
    (&["list", "prices", "horowitz", "--json"], &["horowitz45"]),
    (&["eval", "--format", "int8", "--low-rank", "999999999"], &["999999999", "0 to 192"]),
    (&["cost", "--model", "lm", "--format", "int8", "--low-rank", "193"], &["193", "0 to 192"]),
    (&["cost", "--gemm", "4x4x4", "--format", "hbfp6", "--accelerator", "h100"], &["hbfp6", "h100", "hopper.wgmma"]),
    (&["eval", "--format", "hbfp6", "--accelerator", "h100"], &["hbfp6", "h100", "q_proj", "hopper.wgmma"]),
    (&["eval", "--format", "mxfp8", "--datapath", "int8"], &["int8", "mxfp8", "symmetric integers"]),
    (
        &["eval", "--format", "hbfp6", "--datapath", "block", "--accelerator", "h100"],
        &["block", "h100", "macs_per_cycle"],
    ),
    (&["cost", "--gemm", "99999999999x99999999999x4"], &["64 bits"]),
    (&["cost", "--gemm", "4x4x4", "--accelerator", "nowhere.toml"], &["cannot read nowhere.toml"]),
    (&["cost", "--gemm", "4x4x4", "--cycle-model", "tensor-core"], &["tensor-core", "scalesim"]),
    (&["list", "formats", "mxfp4"], &["only datapaths, methods, accelerators and prices"]),
    (&["eval", "--prices", "horowitz"], &["horowitz45"]),
    (&["eval", "--model", "nowhere"], &["nowhere", "Hugging Face folder"]),
    (&["eval", "--model", "smollm2", "--data", "wiki"], &["smollm2", "interplay fetch smollm2"]),
    (&["eval", "--window", "1"], &["window", "at least 2"]),
    (&["eval", "--stride", "0"], &["stride", "1 to 256"]),
    (&["eval", "--window", "16", "--stride", "17"], &["stride of 17", "1 to 16"]),
    (&["eval", "--protocol", "wikitext"], &["wikitext", "`wikitext2`"]),
    (&["eval", "--tasks", "nowhere"], &["nowhere", "no such folder"]),
    (&["eval", "--model", "vit", "--data", "nowhere"], &["nowhere", "interplay list data"]),
    (&["eval", "--backend", "flax"], &["flax", "`flex`"]),
    (&["study", "orders", "--quick", "--backend", "cuda"], &["cuda", "`flex`, `ndarray` or `wgpu`"]),
    (&["trace", "--window", "300"], &["300", "1 to 256"]),
    (&["study", "orders", "--formats", "fp31"], &["fp31", "fp32"]),
    (&["study", "ordres"], &["ordres", "`orders`", "list studies"]),
    (&["study", "nowhere.toml"], &["cannot read nowhere.toml"]),
    (&["study", "orders", "--set", "formatz=['int8']"], &["formatz", "formats"]),
    (&["study", "orders", "--set", "formats=[]"], &["formats = []", "at least one"]),
    (&["study", "orders", "--set", "ranks"], &["KEY=VALUE"]),
    (&["study", "orders", "--full"], &["[full]"]),
    (&["study", "orders", "--shard", "3/2"], &["3/2", "I/N"]),
    (&["study", "orders", "--data", "wiki", "--models", "lm,vit"], &["--models with one name"]),
    (&["study", "orders", "--quick", "--out", "/proc/here"], &["cannot make the folder"]),
    (&["merge", "nowhere", "--out", "here"], &["nowhere", "no folder of a run"]),
    (&["figures"], &["cannot read figures"]),
    (&["figures", "nowhere"], &["nowhere", "data.csv"]),
    (&["compress", "--out", "here", "--pipeline", "wnada(2:4)"], &["wnada", "`wanda`", "list methods"]),
    (&["compress", "--out", "here", "--pipeline", "wanda"], &["a sparsity pattern", "wanda(2:4)"]),
    (&["compress", "--out", "here", "--pipeline", "wanda(2:4,powr=1)"], &["powr", "wanda takes"]),
    (&["compress", "--out", "here", "--pipeline", "gptq(mxpf4)"], &["mxpf4", "mxfp4"]),
    (&["compress", "--out", "here", "--pipeline", "[wanda(2:4)"], &["one bracket"]),
    (&["compress", "--out", "here", "--pipeline", "besa(2:4)"], &["2:4", "a fraction"]),
    (&["compress", "--out", "here", "--pipeline", "rtn(int8), smoothquant"], &["before the quantiser"]),
    (&["compress", "--out", "here", "--pipeline", "rtn(int8)", "--length", "300"], &["300", "at most 256"]),
    (&["compress", "--out", "here", "--pipeline", "rtn(int8)", "--calibration", "nowhere.txt"], &["nowhere.txt"]),
    (&["compress", "--out", "here", "--pipeline", "rtn(int8)", "--model", "vit"], &["tokenizer"]),
    (&["finetune", "--recipe", "cmmon"], &["cmmon", "`common`"]),
    (&["finetune", "--format", "hbpf8"], &["hbpf8", "hbfp8"]),
    (&["finetune", "--recipe", "common"], &["order", "sq", "qs"]),
    (&["finetune", "--mask", "frozen"], &["frozen", "`freeze`"]),
    (&["finetune", "--schedule", "linaer"], &["linaer", "`linear`"]),
    (&["finetune", "--clip", "much"], &["much", "`none`"]),
    (&["finetune", "--out", "here"], &["wiki", "interplay fetch wiki"]),
    (&["list", "methods", "wnada"], &["wnada", "wanda"]),
];

fn messages_name_what_is_allowed() -> Result<(), Failed> {
    for (arguments, parts) in WRONG {
        let (code, out, err) = interplay(arguments);
        assert_eq!(code, 2, "{arguments:?} exits {code}: {err}");
        assert!(out.is_empty(), "{arguments:?} printed {out}");
        let missing: Vec<_> = parts.iter().filter(|p| !err.contains(**p)).collect();
        assert!(missing.is_empty(), "{arguments:?} does not say {missing:?}: {err}");
        assert!(!err.contains("panicked"), "{err}");
    }
    Ok(())
}

fn nothing_is_written() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let output = interplay_in(folder.path(), &["study", "orders", "--model", "nowhere", "--out", "here"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path())?.count(), 0, "a refused study left files");
    Ok(())
}

/// Messages repeat 200 characters of what was given, whoever writes them.
fn long_input_is_cut() -> Result<(), Failed> {
    let long = "x".repeat(20_000);
    let option = format!("--{long}");
    let spaced = "y ".repeat(10_000);
    let cases: [&[&str]; 6] = [
        &["eval", "--format", &long],
        &["eval", "--format", &spaced],
        &["eval", "--model", &long],
        &["eval", &option],
        &["study", "orders", "--set", &long],
        &["eval", "--window", &spaced],
    ];
    for arguments in cases {
        let (code, _, err) = interplay(arguments);
        assert_eq!(code, 2, "{err}");
        let repeated = err.matches(['x', 'y']).count();
        assert!((90..500).contains(&repeated) && err.contains('…'), "{repeated} characters repeated: {err}");
    }
    Ok(())
}

fn images_for_an_image_model() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let model = folder.path().join("resnet");
    std::fs::create_dir(&model)?;
    std::fs::write(model.join("config.json"), r#"{"model_type":"resnet","image_size":32}"#)?;
    std::fs::write(model.join("model.safetensors"), b"\x02\0\0\0\0\0\0\0{}")?;
    let output = interplay_in(folder.path(), &["eval", "--model", "resnet"]);
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("--data is needed") && err.contains("labelled images") && !err.contains("text"), "{err}");
    Ok(())
}
