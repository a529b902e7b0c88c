//! Commands on files of tensors: quantize, dequantize, sparsify, and formats of one's own.

use std::path::Path;
use std::process::Output;

use interplay_formats::Format;
use interplay_formats::file::{Container, Dtype, Outline, QuantizedFile, Writer};
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

use crate::run::interplay_in;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("files::every_format_there_and_back", every_format_there_and_back),
        Trial::test("files::threads_never_show", threads_never_show),
        Trial::test("files::what_was_lost_is_printed", what_was_lost_is_printed),
        Trial::test("files::changed_values_are_found", changed_values_are_found),
        Trial::test("files::pruned_by_magnitude", pruned_by_magnitude),
        Trial::test("files::bad_use_writes_nothing", bad_use_writes_nothing),
        Trial::test("files::formats_of_ones_own", formats_of_ones_own),
        Trial::test("files::datapaths_of_ones_own", datapaths_of_ones_own),
    ]
}

/// A tensor of a test file.
pub struct Tensor {
    pub name: &'static str,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

impl Tensor {
    fn floats(name: &'static str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self { name, dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }
}

pub fn write(path: &Path, tensors: &[Tensor]) -> Result<(), Failed> {
    let mut outline = Outline::default();
    for t in tensors {
        outline.tensor(t.name, t.dtype, &t.shape)?;
    }
    let mut writer = Writer::new(std::fs::File::create(path)?, &outline)?;
    for t in tensors {
        writer.raw(t.name, &t.bytes)?;
    }
    writer.finish()?;
    Ok(())
}

/// Some numbers of either sign over a few powers of two, none of them zero.
fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919 + 13) % 257) as f32 / 64.0 - 2.009).collect()
}

/// A matrix, a vector in bfloat16 (1.0 and -0.5), a scalar, and integers.
fn sample(folder: &Path) -> Result<(), Failed> {
    let ids: Vec<u8> = [3i64, 1, 4].iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensors = [
        Tensor::floats("block.weight", &[2, 3, 70], &values(420)),
        Tensor { name: "bias", dtype: Dtype::BF16, shape: vec![2], bytes: vec![0x80, 0x3F, 0x00, 0xBF] },
        Tensor::floats("scale", &[], &[0.75]),
        Tensor { name: "ids", dtype: Dtype::I64, shape: vec![3], bytes: ids },
    ];
    write(&folder.join("in.safetensors"), &tensors)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fine(output: &Output) -> Result<String, Failed> {
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        code => Err(format!("exit code {code:?}: {}", text(&output.stderr)).into()),
    }
}

fn quantize(folder: &Path, format: &str, more: &[&str]) -> Output {
    let files = ["--input", "in.safetensors", "--out", "q.safetensors"];
    interplay_in(folder, &[&["quantize", "--format", format], &files[..], more].concat())
}

fn dequantize(folder: &Path) -> Output {
    interplay_in(folder, &["dequantize", "--input", "q.safetensors", "--out", "back.safetensors"])
}

fn every_format_there_and_back() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    sample(folder.path())?;
    for format in Format::all() {
        for more in [&[][..], &["--packed"], &["--packed", "--codes-only"]] {
            fine(&quantize(folder.path(), format.name, more))?;
            fine(&dequantize(folder.path()))?;
            let bytes = std::fs::read(folder.path().join("back.safetensors"))?;
            let back = Container::parse(&bytes)?;
            for (name, k, given) in
                [("block.weight", 70, values(420)), ("bias", 2, vec![1.0, -0.5]), ("scale", 1, vec![0.75])]
            {
                let view = back.tensor(name).ok_or(format!("{name} is lost"))?;
                let want = format.quantize_reference(&given, k)?.dequantize_reference();
                let want: Vec<u8> = want.iter().flat_map(|v| v.to_le_bytes()).collect();
                assert!(view.bytes == want, "{} {more:?}: {name} has other bits", format.name);
            }
            assert_eq!(back.tensor("block.weight").map(|v| &v.shape[..]), Some(&[2, 3, 70][..]));
            assert_eq!(back.tensor("ids").map(|v| v.dtype), Some(Dtype::I64));
        }
    }
    Ok(())
}

fn threads_never_show() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    write(&folder.path().join("in.safetensors"), &[Tensor::floats("w", &[300, 260], &values(78000))])?;
    for format in ["mxfp4", "hbfp8@stochastic-8", "nvfp4", "int8-tensor"] {
        let run = |threads: &str| -> Result<_, Failed> {
            let printed = fine(&quantize(folder.path(), format, &["--threads", threads, "--json"]))?;
            Ok((printed, std::fs::read(folder.path().join("q.safetensors"))?))
        };
        let (one, three) = (run("1")?, run("3")?);
        assert_eq!(one.0, three.0, "{format}");
        assert!(one.1 == three.1, "{format}: the file depends on threads");
    }
    Ok(())
}

fn what_was_lost_is_printed() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    sample(folder.path())?;
    let output = quantize(folder.path(), "hbfp8", &["--json", "--only", "*i*"]);
    let object: Value = serde_json::from_str(&fine(&output)?)?;
    let notes = text(&output.stderr);
    assert!(notes.contains("copied unchanged: `ids`, I64 [3]"), "{notes}");
    assert!(notes.contains("`block.weight`, 6 last blocks, rows of 70 to 128"), "{notes}");
    let tensors = object["tensors"].as_array().ok_or("no tensors")?;
    let names: Vec<_> = tensors.iter().map(|t| t["name"].as_str().unwrap_or_default()).collect();
    assert_eq!(names, ["bias", "block.weight"]);
    assert!(notes.contains("1 tensors that `*i*` does not match"), "{notes}");
    // 1.0 is 128 units of 2^-7 and clips.
    assert_eq!(tensors[0]["max_error"], 0.0078125);
    assert_eq!(tensors[0]["clipped"], 1);
    // 6 rows of 128 codes of 8 bits, 12 exponents of 10 bits.
    let want = serde_json::json!({"values": 6144, "scales": 120, "metadata": 0, "total": 6264});
    assert_eq!(tensors[1]["footprint_bits"], want);
    assert_eq!(tensors[1]["padded_blocks"], 6);
    let copied: Vec<_> = object["copied"].as_array().ok_or("no copies")?.iter().map(|t| &t["name"]).collect();
    assert_eq!(copied, ["ids", "scale"]);
    let changed = fine(&quantize(folder.path(), "mxfp8", &["--rule", "ceil", "--rounding", "toward-zero"]))?;
    assert!(changed.contains("mxfp8@ceil@toward-zero"), "{changed}");
    fine(&dequantize(folder.path()))?;
    Ok(())
}

/// A value beside the codes that is not theirs: exit code 1, its place, nothing written.
fn changed_values_are_found() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    sample(folder.path())?;
    fine(&quantize(folder.path(), "mxfp8", &[]))?;
    let path = folder.path().join("q.safetensors");
    let mut bytes = std::fs::read(&path)?;
    let at = {
        let container = Container::parse(&bytes)?;
        let view = container.tensor("block.weight.dequantized").ok_or("no values")?;
        view.bytes.as_ptr().addr() - bytes.as_ptr().addr()
    };
    bytes[at + 4 * (2 * 70 + 5)] ^= 1;
    std::fs::write(&path, bytes)?;
    let output = dequantize(folder.path());
    assert_eq!(output.status.code(), Some(1));
    let message = text(&output.stderr);
    assert!(message.contains("`block.weight`, row 2, column 5"), "{message}");
    assert!(!folder.path().join("back.safetensors").exists());
    Ok(())
}

fn pruned_by_magnitude() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let weights = [1.0, 0.1, 0.2, 3.0, 0.0, 0.0, 5.0, -5.0];
    write(&folder.path().join("in.safetensors"), &[Tensor::floats("w", &[1, 8], &weights)])?;
    let arguments = ["sparsify", "--pattern", "2:4", "--input", "in.safetensors", "--out", "s.safetensors"];
    let printed = fine(&interplay_in(folder.path(), &arguments))?;
    assert!(printed.contains("pruned to 2:4"), "{printed}");
    let bytes = std::fs::read(folder.path().join("s.safetensors"))?;
    let file = Container::parse(&bytes)?;
    let floats = file.tensor("w").and_then(|v| v.floats());
    assert_eq!(floats, Some(vec![1.0, 0.0, 0.0, 3.0, 0.0, 0.0, 5.0, -5.0]));
    assert_eq!(file.tensor("w.mask").map(|v| v.bytes), Some(&[1, 0, 0, 1, 0, 0, 1, 1][..]));
    assert_eq!(file.metadata()["pattern"], "2:4");
    Ok(())
}

fn bad_use_writes_nothing() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let here = folder.path();
    sample(here)?;
    let whole = std::fs::read(here.join("in.safetensors"))?;
    std::fs::write(here.join("cut.safetensors"), &whole[..whole.len() - 1])?;
    std::fs::write(here.join("folder"), "not a folder")?;
    let ids = Tensor { name: "ids", dtype: Dtype::I64, shape: vec![1], bytes: vec![0; 8] };
    write(&here.join("ids.safetensors"), &[ids])?;
    write(&here.join("nan.safetensors"), &[Tensor::floats("w", &[2, 2], &[1.0, 2.0, 3.0, f32::NAN])])?;
    write(
        &here.join("twice.safetensors"),
        &[Tensor::floats("w", &[1], &[1.0]), Tensor::floats("w.codes", &[1], &[1.0])],
    )?;
    let before = std::fs::read_dir(here)?.count();
    let q = |input: &'static str, more: &[&'static str]| {
        [&["quantize", "--input", input, "--out", "out.safetensors"][..], more].concat()
    };
    let wrong: [(Vec<&str>, &[&str]); 12] = [
        (q("in.safetensors", &["--format", "mxpf4"]), &["mxpf4", "mxfp4"]),
        (q("in.safetensors", &["--format", "bf16", "--rule", "ceil"]), &["bf16", "ceil"]),
        (q("in.safetensors", &["--format", "mxfp4", "--rounding", "upward"]), &["upward", "nearest-even"]),
        (q("in.safetensors", &["--format", "mxfp4", "--only", "head*"]), &["in.safetensors", "head*"]),
        (q("nowhere.safetensors", &["--format", "mxfp4"]), &["nowhere.safetensors"]),
        (q("cut.safetensors", &["--format", "mxfp4"]), &["cut.safetensors", "header"]),
        (q("ids.safetensors", &["--format", "mxfp4"]), &["ids.safetensors", "F32, F16 or BF16"]),
        (q("nan.safetensors", &["--format", "hbfp8"]), &["`w`", "row 1, column 1 is NaN"]),
        (q("twice.safetensors", &["--format", "int8", "--only", "w"]), &["w.codes"]),
        (
            vec!["quantize", "--format", "int8", "--input", "in.safetensors", "--out", "folder/out.safetensors"],
            &["folder/out.safetensors"],
        ),
        (vec!["dequantize", "--input", "in.safetensors", "--out", "out.safetensors"], &["in.safetensors", "version"]),
        (
            vec!["sparsify", "--pattern", "2:4p", "--input", "in.safetensors", "--out", "out.safetensors"],
            &["`bias`", "4"],
        ),
    ];
    for (arguments, parts) in wrong {
        let output = interplay_in(here, &arguments);
        let (code, out, err) = (output.status.code(), text(&output.stdout), text(&output.stderr));
        assert_eq!(code, Some(2), "{arguments:?}: {err}");
        assert!(out.is_empty(), "{arguments:?} printed {out}");
        let missing: Vec<_> = parts.iter().filter(|p| !err.contains(**p)).collect();
        assert!(missing.is_empty() && !err.contains("panicked"), "{arguments:?} does not say {missing:?}: {err}");
        assert_eq!(std::fs::read_dir(here)?.count(), before, "{arguments:?} left files");
    }
    Ok(())
}

const OWN: &str = r#"
[format]
name = "e4m2-b16"
exponent_bits = 4
mantissa_bits = 2
specials = "nan-only"
block = { run = 16 }
scale = "e8m0"
rule = "floor"
"#;

/// A declared format works by name everywhere, and a file in it brings its record along.
fn formats_of_ones_own() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let here = folder.path();
    sample(here)?;
    std::fs::write(here.join("own.toml"), OWN)?;
    let card = fine(&interplay_in(here, &["format", "e4m2-b16", "--define", "own.toml"]))?;
    assert!(card.contains("7.5") && card.contains("declared by the user"), "{card}");
    let list = fine(&interplay_in(here, &["list", "formats", "--define", "own.toml", "--define", "own.toml"]))?;
    let lines = list.lines().filter(|line| line.contains("e4m2-b16")).count();
    assert_eq!(lines, 1, "{list}");
    fine(&quantize(here, "e4m2-b16@ceil", &["--define", "own.toml", "--packed"]))?;
    let bytes = std::fs::read(here.join("q.safetensors"))?;
    assert_eq!(QuantizedFile::parse(&bytes)?.format().name, "e4m2-b16@ceil");
    fine(&dequantize(here))?;
    std::fs::write(here.join("bad.toml"), OWN.replace("exponent_bits = 4", "exponent_bits = \"four\""))?;
    std::fs::write(here.join("odd.toml"), OWN.replace("rule = \"floor\"", "rule = \"absmax\""))?;
    for (file, parts) in [("bad.toml", ["bad.toml", "line 4, column"]), ("odd.toml", ["odd.toml", "e8m0 goes with"])] {
        let output = interplay_in(here, &["--define", file, "list", "formats"]);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(parts.iter().all(|p| err.contains(p)) && err.lines().count() == 1, "{err}");
    }
    Ok(())
}

/// HBFP with an accumulator of 20 bits.
const UNIT: &str =
    "[datapath]\nname = \"acc20\"\ninputs = \"blocks\"\naccumulator = \"e8m11\"\nrounding = \"toward-zero\"\n";

/// A declared datapath is listed and used by its name or its file; a wrong one names its field in one line.
fn datapaths_of_ones_own() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let here = folder.path();
    std::fs::write(here.join("acc20.toml"), UNIT)?;
    let list = fine(&interplay_in(here, &["list", "datapaths", "acc", "--define", "acc20.toml"]))?;
    assert!(list.contains("acc20") && list.contains("e8m11"), "{list}");
    let units = fine(&interplay_in(here, &["list", "datapaths"]))?;
    assert!(units.contains("hopper.wgmma") && units.contains("hypothesis"), "{units}");
    std::fs::write(here.join("wide.toml"), UNIT.replace("e8m11", "e8m99"))?;
    std::fs::write(here.join("odd.toml"), UNIT.replace("rounding", "rouding"))?;
    let cases = [("wide.toml", "mantissa_bits"), ("odd.toml", "rouding"), ("none.toml", "cannot read none.toml")];
    for (file, word) in cases {
        let output = interplay_in(here, &["eval", "--model", "lm", "--format", "hbfp6", "--datapath", file]);
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{err}");
        assert!(err.contains(word) && err.lines().count() == 1, "{err}");
    }
    Ok(())
}
