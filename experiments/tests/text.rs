//! What is printed, as snapshots.

use libtest_mimic::{Failed, Trial};

use crate::run::interplay;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("text::formats_are_listed_with_exact_bits", formats_are_listed_with_exact_bits),
        Trial::test("text::values_of_one_block", values_of_one_block),
        Trial::test("text::blocks_of_every_format", blocks_of_every_format),
        Trial::test("text::codes_of_small_elements", codes_of_small_elements),
        Trial::test("text::one_value_step_by_step", one_value_step_by_step),
        Trial::test("text::json_lists_parse", json_lists_parse),
        Trial::test("text::completions_for_every_shell", completions_for_every_shell),
        Trial::test("text::help_has_examples", help_has_examples),
    ]
}

fn formats_are_listed_with_exact_bits() -> Result<(), Failed> {
    let (code, out, _) = interplay(&["list", "formats"]);
    assert_eq!(code, 0);
    // The width of an element plus its share of the scale.
    let bits = [("mxfp8", "8.25"), ("mxfp6", "6.25"), ("mxfp4", "4.25"), ("hbfp8", "8.15625"), ("hbfp4", "4.15625")];
    for (name, bits) in bits {
        let line = out.lines().find(|l| l.trim_start().starts_with(name)).ok_or(format!("{name} is not listed"))?;
        assert!(line.contains(bits), "{line}");
    }
    let header = out.lines().next().unwrap_or_default();
    assert!(header.contains("S→Q bound") && !header.contains("3.5"), "{header}");
    assert!(out.contains("S→Q bound: where yes, pruning by magnitude"), "the column has a legend");
    Ok(())
}

/// The values of one HBFP8 block, worked out by hand: the block exponent is 0 since 1.0 is exactly 2^0, so one unit is
/// 2^-7; 128 units do not fit and become 127, 0.7 is 89.6 units, -0.3 is -38.4, 0.004 is 0.512.
fn values_of_one_block() -> Result<(), Failed> {
    let (code, out, err) = interplay(&["format", "hbfp8", "1.0", "0.7", "-0.3", "0.004", "--json"]);
    assert_eq!(code, 0, "{err}");
    let object: serde_json::Value = serde_json::from_str(&out)?;
    assert_eq!(object["codes"], serde_json::json!(["127", "90", "-38", "1"]));
    assert_eq!(object["dequantized"], serde_json::json!([0.9921875, 0.703125, -0.296875, 0.0078125]));
    assert_eq!(object["scales"], serde_json::json!(["2^0"]));
    Ok(())
}

/// Every kind of scale has a text; the values are those of the library.
fn blocks_of_every_format() -> Result<(), Failed> {
    let values = [1.0f32, 0.7, -0.3, 0.004];
    let words = values.map(|v| v.to_string());
    let arguments = |format: &'static str| [&["format", format], &words.each_ref().map(String::as_str)[..]].concat();
    for format in interplay_formats::Format::all() {
        let (code, out, err) = interplay(&[&arguments(format.name)[..], &["--json"]].concat());
        assert_eq!(code, 0, "{}: {err}", format.name);
        let object: serde_json::Value = serde_json::from_str(&out)?;
        let want = format.quantize_reference(&values, 4)?.dequantize_reference();
        let got = object["dequantized"].as_array().ok_or("no values")?.iter().map(|v| v.as_f64().map(|v| v as f32));
        assert_eq!(got.collect::<Vec<_>>(), want.into_iter().map(Some).collect::<Vec<_>>(), "{}", format.name);
        let scales = object["scales"].as_array().ok_or("no scales")?.len();
        assert_eq!(scales > 0, format.scaling.is_some(), "{}", format.name);
    }
    let table = interplay(&arguments("int4-asym")).1;
    assert!(table.contains("zero") && table.contains("becomes"), "{table}");
    Ok(())
}

fn codes_of_small_elements() -> Result<(), Failed> {
    let (_, out, _) = interplay(&["format", "e2m1"]);
    assert!(out.contains("0x00      0  0.5    1  1.5    2    3    4    6"), "{out}");
    for format in interplay_formats::Format::all() {
        let (code, out, _) = interplay(&["format", format.name]);
        let long: Vec<_> = out.lines().filter(|line| line.chars().count() > 130).collect();
        assert!(code == 0 && long.is_empty(), "{}: {long:?}", format.name);
    }
    let (_, out, _) = interplay(&["format", "e4m3fnuz", "--json"]);
    let card: serde_json::Value = serde_json::from_str(&out)?;
    let codes = card["codes"].as_array().ok_or("no codes")?;
    assert_eq!((codes.len(), &codes[0x80]["value"], &codes[0x7F]["value"]), (256, &"NaN".into(), &240.0.into()));
    Ok(())
}

fn one_value_step_by_step() -> Result<(), Failed> {
    let (code, out, err) = interplay(&["format", "mxfp8", "0.7"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("floor(log2 amax) - emax = -1 - 8") && out.contains("13107/65536"), "{out}");
    let (_, out, _) = interplay(&["format", "int4", "0.7", "--amax", "2", "--json"]);
    let object: serde_json::Value = serde_json::from_str(&out)?;
    assert_eq!(object["below"]["code"], "2");
    assert_eq!(object["above"]["code"], "3");
    Ok(())
}

fn json_lists_parse() -> Result<(), Failed> {
    for what in ["formats", "datapaths", "accelerators", "models", "data", "studies", "rules", "roundings"] {
        let (code, out, _) = interplay(&["list", what, "--json"]);
        assert_eq!(code, 0);
        let list: serde_json::Value = serde_json::from_str(&out)?;
        assert!(list.as_array().is_some_and(|l| l.iter().all(|x| x["name"].is_string())), "{what}: {out}");
    }
    Ok(())
}

fn completions_for_every_shell() -> Result<(), Failed> {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, _) = interplay(&["completions", shell]);
        assert!(code == 0 && out.contains("study"), "{shell}");
    }
    Ok(())
}

fn help_has_examples() -> Result<(), Failed> {
    for command in [
        &["--help"][..],
        &["study", "--help"],
        &["study", "methods", "--help"],
        &["merge", "--help"],
        &["figures", "--help"],
        &["eval", "--help"],
        &["trace", "--help"],
        &["fetch", "--help"],
        &["format", "--help"],
        &["quantize", "--help"],
        &["dequantize", "--help"],
        &["sparsify", "--help"],
        &["dot", "--help"],
        &["verify", "--help"],
        &["explain", "--help"],
    ] {
        let (code, out, _) = interplay(command);
        assert!(code == 0 && out.contains("Examples:"), "{command:?} has no examples");
    }
    Ok(())
}
