//! Commands on operands and results in raw bits: dot, verify, explain, identify.

use std::path::Path;
use std::process::Output;

use interplay_formats::catalog::FP16;
use interplay_formats::file::{Container, Dtype};
use interplay_formats::{Overflow, Rounding, Value as X};
use interplay_hw::{Datapath, Operands};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::files::{Tensor, write};
use crate::run::interplay_in;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("verify::equal_and_not", equal_and_not),
        Trial::test("verify::unused_c_is_named", unused_c_is_named),
        Trial::test("verify::dot_writes_what_verify_wants", dot_writes_what_verify_wants),
        Trial::test("verify::matrices", matrices),
        Trial::test("verify::sets_depths_and_orders", sets_depths_and_orders),
        Trial::test("verify::one_row_explained", one_row_explained),
        Trial::test("verify::numbers_by_their_type", numbers_by_their_type),
        Trial::test("verify::transposed_operands", transposed_operands),
        Trial::test("verify::bad_use", bad_use),
        Trial::test("verify::units_identified", units_identified),
        Trial::test("verify::identify_refuses", identify_refuses),
    ]
}

const ROWS: usize = 5;
const K: usize = 64;
const UNIT: &str = "hopper.wgmma.e4m3.f32";

/// E4M3 codes without NaN, all of them different along a row.
fn codes(count: usize, step: usize) -> Vec<u8> {
    (0..count).map(|i| (i * step + i / 7) % 0x7E + 0x80 * (i % 3 % 2)).map(|code| code as u8).collect()
}

fn tensor(name: &'static str, dtype: Dtype, shape: &[usize], bytes: impl IntoIterator<Item = u8>) -> Tensor {
    Tensor { name, dtype, shape: shape.to_vec(), bytes: bytes.into_iter().collect() }
}

fn words(name: &'static str, shape: &[usize], words: &[u32]) -> Tensor {
    tensor(name, Dtype::U32, shape, words.iter().flat_map(|word| word.to_le_bytes()))
}

fn operands() -> [Tensor; 3] {
    let c: Vec<u32> = (0..ROWS).map(|i| (i as f32 * 0.3 - 0.7).to_bits()).collect();
    [
        tensor("a", Dtype::U8, &[ROWS, K], codes(ROWS * K, 5)),
        tensor("b", Dtype::U8, &[ROWS, K], codes(ROWS * K, 11)),
        words("c", &[ROWS], &c),
    ]
}

/// The unit's results on [`operands`].
fn results() -> Vec<u32> {
    let [.., c] = operands();
    results_from(Some(c.bytes.as_chunks().0.iter().map(|&word| u32::from_le_bytes(word)).collect()))
}

/// The same, accumulated from something else.
fn results_from(c: Option<Vec<u32>>) -> Vec<u32> {
    let [a, b, _] = operands();
    let operands = Operands { c: c.map(Into::into), ..Operands::rows(ROWS, K, a.bytes, b.bytes) };
    let d = Datapath::by_name(UNIT).and_then(|unit| unit.outputs(&operands, &Default::default()));
    d.expect("the operands are the unit's").into_iter().map(|code| code as u32).collect()
}

fn run(folder: &Path, command: &str, more: &[&str]) -> Output {
    interplay_in(folder, &[&[command, "--datapath", UNIT, "--vectors", "v.safetensors"], more].concat())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn exits(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn equal_and_not() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (path, mut d) = (folder.path().join("v.safetensors"), results());
    write(&path, &[&operands()[..], &[words("d", &[ROWS], &d)]].concat_tensors())?;
    assert!(exits(&run(folder.path(), "verify", &[]), 0).contains("5 outputs, 0 mismatches"));
    let right = d[3];
    d[3] += 2;
    d[4] += 1;
    let agree = tensor("agree", Dtype::U8, &[ROWS], [1, 1, 1, 1, 0]);
    write(&path, &[&operands()[..], &[words("d_fp32", &[ROWS], &d), agree]].concat_tensors())?;
    let found: Value = serde_json::from_str(&exits(&run(folder.path(), "verify", &["--json"]), 1))?;
    let want = json!({
        "datapath": UNIT, "rows": 5, "mismatches": 1, "skipped": 1, "max_ulp": 2, "ulp_histogram": {"0": 3, "2": 1},
        "first": [{"row": 3, "got": format!("{:08x}", right + 2), "want": format!("{right:08x}")}],
    });
    assert_eq!(found, want);
    exits(&run(folder.path(), "verify", &["--tolerance", "ulp=2"]), 0);
    exits(&run(folder.path(), "verify", &["--tolerance", "ulp=1"]), 1);
    exits(&run(folder.path(), "verify", &["--c", "zero"]), 1);
    for threads in ["1", "3"] {
        let again = exits(&run(folder.path(), "verify", &["--json", "--threads", threads]), 1);
        assert_eq!(serde_json::from_str::<Value>(&again)?, want);
    }
    Ok(())
}

/// Recorded results that do not use the c beside them are told as such.
fn unused_c_is_named() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("v.safetensors");
    let [a, b, _] = operands();
    let c = words("c", &[ROWS], &[1.0e9f32.to_bits(); ROWS]);
    write(&path, &[a, b, c, words("d", &[ROWS], &results_from(None))])?;
    assert!(exits(&run(folder.path(), "verify", &[]), 1).contains("With --c zero every row agrees"));
    let right = exits(&run(folder.path(), "verify", &["--c", "zero"]), 0);
    assert!(!right.contains("--c zero"), "{right}");
    Ok(())
}

/// Borrowed tensors side by side, as [`write`] takes them.
trait Concat {
    fn concat_tensors(&self) -> Vec<Tensor>;
}

impl<const N: usize> Concat for [&[Tensor]; N] {
    fn concat_tensors(&self) -> Vec<Tensor> {
        let copy = |t: &Tensor| Tensor { name: t.name, dtype: t.dtype, shape: t.shape.clone(), bytes: t.bytes.clone() };
        self.iter().flat_map(|tensors| tensors.iter().map(copy)).collect()
    }
}

fn dot_writes_what_verify_wants() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    write(&folder.path().join("v.safetensors"), &operands())?;
    assert!(exits(&run(folder.path(), "dot", &["--out", "d.safetensors"]), 0).contains("5 results"));
    let bytes = std::fs::read(folder.path().join("d.safetensors"))?;
    let container = Container::parse(&bytes)?;
    let d = container.tensor("d").ok_or("no d")?;
    assert_eq!((d.dtype, &d.shape[..]), (Dtype::U32, &[ROWS][..]));
    let want: Vec<u8> = results().iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(d.bytes == want);
    let arguments =
        ["dot", "--datapath", "ada.mma.e4m3.f16", "--vectors", "v.safetensors", "--out", "half.safetensors"];
    exits(&interplay_in(folder.path(), &arguments), 0);
    let bytes = std::fs::read(folder.path().join("half.safetensors"))?;
    assert_eq!(Container::parse(&bytes)?.tensor("d").map(|d| d.dtype), Some(Dtype::U16));
    Ok(())
}

/// A product of whole matrices, in FP32 bits: exact here, so that the result is known.
fn matrices() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let floats = |name, shape: &[usize], values: &[f32]| {
        words(name, shape, &values.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
    };
    let a = floats("A", &[2, 3], &[1.0, 2.0, -1.0, 0.5, 0.0, 4.0]);
    let b = floats("B", &[3, 2], &[1.0, 0.25, 2.0, -1.0, 3.0, 8.0]);
    let c = floats("C", &[2, 2], &[0.0, 1.0, 2.0, 3.0]);
    let d = floats("D", &[2, 2], &[2.0, -8.75, 14.5, 35.125]);
    write(&folder.path().join("v.safetensors"), &[a, b, c, d])?;
    exits(&run(folder.path(), "verify", &[]), 0);
    let found: Value = serde_json::from_str(&exits(&run(folder.path(), "verify", &["--c", "zero", "--json"]), 1))?;
    assert_eq!(found["first"][0], json!({"row": 0, "column": 1, "got": "c10c0000", "want": "c11c0000"}));
    exits(&run(folder.path(), "dot", &["--out", "d.safetensors"]), 0);
    let bytes = std::fs::read(folder.path().join("d.safetensors"))?;
    assert_eq!(Container::parse(&bytes)?.tensor("D").map(|d| d.shape.clone()), Some(vec![2, 2]));
    assert!(exits(&run(folder.path(), "explain", &["--row", "3"]), 0).contains("row 1, column 1"));
    assert!(exits(&run(folder.path(), "explain", &["--row", "1,1"]), 0).contains("row 1, column 1"));
    let both = exits(&run(folder.path(), "verify", &["--row", "1,0"]), 0);
    assert!(
        both.contains("0 mismatches") && both.contains("row 1, column 0") && both.contains("aligned to 2^"),
        "{both}"
    );
    let json: Value = serde_json::from_str(&exits(&run(folder.path(), "verify", &["--row", "0,1", "--json"]), 0))?;
    assert_eq!((&json["mismatches"], &json["explanation"]["column"]), (&json!(0), &json!(1)));
    refused(&run(folder.path(), "verify", &["--row", "1,2"]), &["no output 1,2", "2 x 2"], &["--row 1,2"]);
    refused(&run(folder.path(), "verify", &["--row", "1,x"]), &["--row", "M,N"], &["--row 1,x"]);
    Ok(())
}

/// A tensor's type says what it holds: codes of its own format, numbers for another, never bits of one as codes of the other.
fn numbers_by_their_type() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("v.safetensors");
    let half = |values: &[f32]| -> Vec<u8> {
        let code =
            |&x: &f32| FP16.encode(X::from_f32(x), Rounding::NearestEven, Overflow::Infinity).unwrap_or(0) as u16;
        values.iter().flat_map(|x| code(x).to_le_bytes()).collect()
    };
    let floats = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
    // 1.5 * 2 + (-3) * 4 = -9 in every type.
    let types: [(Dtype, Vec<u8>, Vec<u8>); 6] = [
        (Dtype::F8_E4M3, vec![0x3C, 0xC4], vec![0x40, 0x48]),
        (Dtype::F8_E5M2, vec![0x3E, 0xC2], vec![0x40, 0x44]),
        (Dtype::F16, half(&[1.5, -3.0]), half(&[2.0, 4.0])),
        (Dtype::BF16, vec![0xC0, 0x3F, 0x40, 0xC0], vec![0x00, 0x40, 0x80, 0x40]),
        (Dtype::F32, floats(&[1.5, -3.0]), floats(&[2.0, 4.0])),
        (Dtype::I8, vec![3, 0xFA], vec![1, 2]),
    ];
    for (dtype, a, b) in types {
        for datapath in
            ["hopper.wgmma.f16.f32", "hopper.wgmma.bf16.f32", UNIT, "ieee.fma.f32.f32", "ampere.mma.tf32.f32"]
        {
            let tensors = [tensor("a", dtype, &[1, 2], a.clone()), tensor("b", dtype, &[1, 2], b.clone())];
            let d = tensor("d", Dtype::F64, &[1], (-9.0f64).to_le_bytes());
            write(&path, &[&tensors[..], &[d]].concat_tensors())?;
            let arguments = ["verify", "--datapath", datapath, "--vectors", "v.safetensors", "--c", "zero"];
            exits(&interplay_in(folder.path(), &arguments), 0);
        }
    }
    // FP16 operands are no bfloat16 ones, though their words are as wide.
    let [a, b] = ["a", "b"].map(|name| tensor(name, Dtype::F16, &[1, 2], half(&[1.0 + 0.001_953_125, 1.0])));
    write(&path, &[a, b, words("d", &[1], &[0x4000_0000])])?;
    let bf16 = ["verify", "--datapath", "hopper.wgmma.bf16.f32", "--vectors", "v.safetensors", "--c", "zero"];
    refused(&interplay_in(folder.path(), &bf16), &["`a`, row 0, column 0", "no `bf16` number"], &bf16);
    let input = ["--c", "zero", "--input", "bf16"];
    refused(&identify(folder.path(), &input), &["`a` holds `fp16` numbers", "takes `bf16`"], &input);
    Ok(())
}

fn transposed_operands() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("v.safetensors");
    let ones = |name, m: usize, n: usize| tensor(name, Dtype::U8, &[m, n], vec![0x38; m * n]);
    let d = || words("D", &[2, 5], &[0; 10]);
    let cases: [(Tensor, Tensor, &[&str]); 3] = [
        (ones("A", 2, 3), ones("B", 5, 3), &["`B` looks transposed", "is 3 x 5, got 5 x 3"]),
        (ones("A", 3, 2), ones("B", 3, 5), &["`A` looks transposed", "is 2 x 3, got 3 x 2"]),
        (ones("A", 2, 3), ones("B", 4, 5), &["differ in K, 3 and 4"]),
    ];
    for (a, b, parts) in cases {
        write(&path, &[a, b, d()])?;
        refused(&run(folder.path(), "verify", &["--c", "zero"]), parts, parts);
        refused(&identify(folder.path(), &["--c", "zero"]), parts, parts);
    }
    write(&path, &[ones("a", 2, 3), ones("b", 3, 2), words("d", &[2], &[0; 2])])?;
    refused(&run(folder.path(), "verify", &["--c", "zero"]), &["`b` looks transposed", "got 3 x 2"], &["rows"]);
    Ok(())
}

fn sets_depths_and_orders() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("v.safetensors");
    let one = 0x3F80_0000;
    let set = |d: u32| {
        [
            words("set/k4i4/a", &[1, 4], &[one, 0x3300_0000, 0x3300_0000, one]),
            words("set/k4i4/b", &[1, 4], &[one; 4]),
            words("set/k4i4/c", &[1], &[0]),
            words("set/k4i4/d", &[1], &[d]),
        ]
    };
    // In order both small terms fall below half a unit of 1; the other way round 2 is reached before them as well; small
    // ones first they are a whole unit of 2^-23 together with nothing lost.
    write(&path, &set(0x4000_0000))?;
    let verify = |more: &[&str]| {
        let set = ["verify", "--datapath", "ieee.fma.f32.f32", "--vectors", "v.safetensors", "--prefix", "set/k4i4"];
        interplay_in(folder.path(), &[&set[..], more].concat())
    };
    exits(&verify(&[]), 0);
    exits(&verify(&["--k-order", "3,2,1,0"]), 0);
    std::fs::write(folder.path().join("order.txt"), "1 2\n0 3\n")?;
    let smaller_first = exits(&verify(&["--k-order", "order.txt", "--json"]), 0);
    assert!(smaller_first.contains("\"max_ulp\": 0"), "{smaller_first}");
    exits(&verify(&["--k", "2"]), 0);
    let without = run(folder.path(), "verify", &[]);
    assert!(exits(&without, 2).is_empty() && text(&without.stderr).contains("set/k4i4"), "{}", text(&without.stderr));
    Ok(())
}

fn one_row_explained() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    write(&folder.path().join("v.safetensors"), &operands())?;
    let plain = exits(&run(folder.path(), "explain", &["--row", "2"]), 0);
    for part in ["row 2", "instruction 2, step 1", "aligned to 2^", "k 63", "to e8m13, toward-zero"] {
        assert!(plain.contains(part), "no `{part}`: {plain}");
    }
    let against = ["--row", "2", "--against", "ada.mma.e4m3.f32"];
    let both = exits(&run(folder.path(), "explain", &against), 0);
    assert!(both.contains("products a step") && both.contains("A  hopper.wgmma"), "{both}");
    let json: Value =
        serde_json::from_str(&exits(&run(folder.path(), "explain", &[&against[..], &["--json"]].concat()), 0))?;
    assert_eq!(json["a"]["d"]["bits"], format!("{:08x}", results()[2]));
    assert_eq!(json["differences"][0]["rule"], "products a step");
    Ok(())
}

/// A changed file, arguments, and what the message must say.
type Wrong = (Vec<Tensor>, Vec<&'static str>, &'static [&'static str]);

/// Files and arguments that are refused.
fn wrong() -> Vec<Wrong> {
    let with = |tensor: Tensor| {
        let name = tensor.name;
        operands().into_iter().filter(|t| t.name != name).chain([tensor]).collect::<Vec<_>>()
    };
    let without = |name: &str| operands().into_iter().filter(|t| t.name != name).collect::<Vec<_>>();
    let mut values = vec![1.0f32; ROWS * K];
    values[K + 7] = 1.03;
    let odd = words("a", &[ROWS, K], &values.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
    let signed = tensor("a", Dtype::I8, &[ROWS, K], codes(ROWS * K, 5));
    let halves = tensor("b", Dtype::U16, &[ROWS, K], vec![0; 2 * ROWS * K]);
    vec![
        (without("a"), vec!["verify"], &["`a`", "`A`"]),
        (without("c"), vec!["verify"], &["`c`", "--c zero"]),
        (operands().into(), vec!["verify"], &["`d`", "`d_fp32`"]),
        (with(odd), vec!["dot"], &["`a`, row 1, column 7", "1.03", "e4m3"]),
        (with(signed), vec!["dot"], &["`a`, row 0, column 1: -1.23e2 is no `e4m3` number"]),
        (
            with(tensor("a", Dtype::I64, &[ROWS, K], vec![0; 8 * ROWS * K])),
            vec!["dot"],
            &["`a` is I64", "F8_E4M3", "U8, U16"],
        ),
        (with(halves), vec!["dot"], &["`b` has 16-bit words", "e4m3"]),
        (with(words("c", &[ROWS + 1], &[0; ROWS + 1])), vec!["dot"], &["`c` has shape [6], not [5]"]),
        (with(tensor("a", Dtype::U8, &[ROWS * K], codes(ROWS * K, 5))), vec!["dot"], &["[rows, K]"]),
        (with(tensor("sa", Dtype::U8, &[ROWS, 2], vec![0; 10])), vec!["dot"], &["`scale_a` has 10 codes, not 0"]),
        (with(tensor("e", Dtype::U8, &[2, 5], vec![0; 10])), vec!["dot"], &["`e` has shape [2, 5]"]),
        (operands().into(), vec!["dot", "--k", "16"], &["no instruction of depth 16", "[32]"]),
        (operands().into(), vec!["dot", "--k-order", "0,0"], &["0 is there twice"]),
        (operands().into(), vec!["dot", "--k-order", "nowhere.txt"], &["nowhere.txt", "neither a list"]),
        (operands().into(), vec!["dot", "--prefix", "set"], &["`set/a`"]),
        (operands().into(), vec!["explain", "--row", "5"], &["no output 5", "have 5"]),
        (operands().into(), vec!["explain", "--row", "0", "--against", "adda"], &["unknown datapath `adda`"]),
        (operands().into(), vec!["verify", "--tolerance", "2"], &["ulp=N"]),
    ]
}

fn bad_use() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("v.safetensors");
    for (tensors, arguments, parts) in wrong() {
        write(&path, &tensors)?;
        let more = [&arguments[1..], if arguments[0] == "dot" { &["--out", "d.safetensors"] } else { &[] }].concat();
        refused(&run(folder.path(), arguments[0], &more), parts, &arguments);
    }
    let whole = std::fs::read(&path)?;
    std::fs::write(&path, &whole[..whole.len() - 3])?;
    refused(&run(folder.path(), "verify", &[]), &["v.safetensors", "header"], &["a cut file"]);
    let unknown = ["verify", "--datapath", "hoper.wgmma.e4m3.f32", "--vectors", "v.safetensors"];
    refused(&interplay_in(folder.path(), &unknown), &["did you mean `hopper.wgmma.e4m3.f32`"], &unknown);
    let unsettled = ["verify", "--datapath", "hopper.wgmma-sp.e4m3.f32", "--vectors", "v.safetensors"];
    refused(&interplay_in(folder.path(), &unsettled), &["-sp-h1", "-sp-h2"], &unsettled);
    assert!(!folder.path().join("d.safetensors").exists(), "a refused command wrote its output");
    Ok(())
}

#[track_caller]
fn refused(output: &Output, parts: &[&str], what: &[&str]) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(2), "{what:?}: {out}{err}");
    assert!(out.is_empty() && !err.contains("panicked"), "{what:?}: {out}{err}");
    let missing: Vec<_> = parts.iter().filter(|part| !err.contains(**part)).collect();
    assert!(missing.is_empty(), "{what:?} does not say {missing:?}: {err}");
}

fn identify(folder: &Path, more: &[&str]) -> Output {
    interplay_in(folder, &[&["identify", "--vectors", "v.safetensors"], more].concat())
}

/// Codes, FP32 bits and a wrong result.
fn units_identified() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (path, mut d) = (folder.path().join("v.safetensors"), results());
    let e4m3 = ["--input", "e4m3"];
    write(&path, &[&operands()[..], &[words("d_fp32", &[ROWS], &d)]].concat_tensors())?;
    assert!(exits(&identify(folder.path(), &e4m3), 0).contains(UNIT));
    let [a, b, c] = operands();
    let format = interplay_formats::catalog::E4M3;
    let wide = |tensor: &Tensor| -> Vec<u32> {
        tensor.bytes.iter().map(|&code| format.decode(code.into()).to_f32().to_bits()).collect()
    };
    let (a, b) = (words("a", &[ROWS, K], &wide(&a)), words("b", &[ROWS, K], &wide(&b)));
    write(&path, &[a, b, c, words("d_fp32", &[ROWS], &d)])?;
    assert!(exits(&identify(folder.path(), &[]), 0).contains(UNIT));
    let found: Value = serde_json::from_str(&exits(&identify(folder.path(), &[&e4m3[..], &["--json"]].concat()), 0))?;
    assert_eq!((&found["rows"], &found["k"], &found["inputs"]), (&json!(ROWS), &json!(K), &json!(["e4m3"])));
    d[0] ^= 0x0055_5555;
    write(&path, &[&operands()[..], &[words("d", &[ROWS], &d)]].concat_tensors())?;
    let nothing = exits(&identify(folder.path(), &e4m3), 1);
    assert!(nothing.contains("Nothing found: ") && nothing.contains("all 5 rows; the best explains 4"), "{nothing}");
    let agree = tensor("agree", Dtype::U8, &[ROWS], [0, 1, 1, 1, 1]);
    write(&path, &[&operands()[..], &[words("d", &[ROWS], &d), agree]].concat_tensors())?;
    assert!(exits(&identify(folder.path(), &e4m3), 0).contains("4 rows of K = 64"));
    Ok(())
}

fn identify_refuses() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("v.safetensors");
    refused(&identify(folder.path(), &[]), &["v.safetensors"], &["a missing file"]);
    std::fs::write(&path, "nonsense")?;
    refused(&identify(folder.path(), &[]), &["v.safetensors"], &["nonsense"]);
    write(&path, &operands())?;
    refused(&identify(folder.path(), &[]), &["`d`", "`d_fp32`"], &["no results"]);
    refused(&identify(folder.path(), &["--accumulator", "f16"]), &["`d`", "`d_fp16`"], &["no FP16 results"]);
    let d = words("d", &[ROWS], &results());
    write(&path, &[&operands()[..], &[d]].concat_tensors())?;
    for (arguments, parts) in [
        (["--input", "e3m4"], ["unknown input `e3m4`", "did you mean"]),
        (["--accumulator", "f23"], ["unknown accumulator `f23`", "did you mean"]),
        (["--input", "f16"], ["`a` has 8-bit words", "fp16"]),
        (["--k", "0"], ["--k", "at least 1"]),
        (["--k-order", "0,0"], ["0 is there twice", "no permutation"]),
        (["--prefix", "set"], ["`set/a`", "`set/b`"]),
    ] {
        refused(&identify(folder.path(), &arguments), &parts, &arguments);
    }
    let mut values = vec![1.0f32; ROWS * K];
    values[K + 7] = 1.03;
    let odd = words("a", &[ROWS, K], &values.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
    let [_, b, c] = operands();
    write(&path, &[odd, b, c, words("d", &[ROWS], &results())])?;
    let place = ["`a`, row 1, column 7", "1.03", "e4m3"];
    refused(&identify(folder.path(), &["--input", "e4m3"]), &place, &["a number that E4M3 has not"]);
    Ok(())
}
