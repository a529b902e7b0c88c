//! What is printed, as snapshots.

use libtest_mimic::{Failed, Trial};

use crate::run::interplay;

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("text::formats_are_listed_with_exact_bits", formats_are_listed_with_exact_bits),
        Trial::test("text::values_of_one_block", values_of_one_block),
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

fn json_lists_parse() -> Result<(), Failed> {
    for what in ["formats", "datapaths", "accelerators", "models", "studies"] {
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
    for command in [&["--help"][..], &["study", "orders", "--help"], &["eval", "--help"], &["fetch", "--help"]] {
        let (code, out, _) = interplay(command);
        assert!(code == 0 && out.contains("Examples:"), "{command:?} has no examples");
    }
    Ok(())
}
