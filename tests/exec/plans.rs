//! Plans: presets, rules in order, the TOML form, and what is refused.

use burn::tensor::Tensor;
use interplay::burn::{Captured, Units, capture};
use interplay::plan::{Plan, Preset};
use libtest_mimic::{Failed, Trial};

use super::modules::{Block, tensor};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("exec::presets_cover_what_they_say", presets),
        Trial::test("exec::the_first_rule_decides", order),
        Trial::test("exec::plans_refuse_what_they_do_not_know", refused),
        Trial::test("exec::errors_name_the_layer", layer),
    ]
}

fn block() -> Result<Captured, Failed> {
    let x = tensor([1, 5, 32], 1);
    Ok(capture(&Block::new(32, 48, 4), |m, x: Tensor<3>| m.forward(x), &x)?)
}

/// `layer datapath` of every product that does not stay with the host's FP32.
fn placed(captured: &Captured, plan: &Plan, architecture: &str) -> Result<Vec<String>, Failed> {
    let units = Units::new(captured, plan, architecture)?;
    let placed = units.placements().into_iter().filter(|p| p.datapath != "fake" || p.footprint.is_some());
    Ok(placed.map(|p| format!("{} {}", p.layer, p.datapath)).collect())
}

fn presets() -> Result<(), Failed> {
    let captured = block()?;
    let with = |preset: &str| Plan::from_toml(&format!("preset = \"{preset}\"\nformat = \"mxfp8\""));
    assert_eq!(placed(&captured, &with("none")?, "")?, [""; 0]);
    assert_eq!(placed(&captured, &with("paper")?, "")?.len(), 6);
    assert_eq!(placed(&captured, &with("all")?, "")?.len(), 8);
    // A decoder's layers outside of its blocks are not the paper's.
    assert_eq!(placed(&captured, &with("paper")?, "opt")?, [""; 0]);
    assert_eq!(Preset::by_name("Paper")?, Preset::Paper);
    Ok(())
}

fn order() -> Result<(), Failed> {
    let plan = Plan::from_toml(
        "preset = \"none\"\n\
         [[layer]]\nmatch = \"fc1\"\nhost = true\n\
         [[layer]]\nmatch = \"fc?\"\nformat = \"hbfp8\"\nsparsity = \"2:4\"\norder = \"sq\"\n\
         [[layer]]\nmatch = \"*.qk\"\nformat = \"int8\"\n\
         [[layer]]\nmatch = \"*\"\nformat = \"fp32\"\ndatapath = \"ideal\"\n",
    )?;
    let expected = [
        "self_attn.q_proj ideal",
        "self_attn.k_proj ideal",
        "self_attn.v_proj ideal",
        "self_attn.qk int8",
        "self_attn.pv ideal",
        "self_attn.out_proj ideal",
        "fc2 block",
    ];
    assert_eq!(placed(&block()?, &plan, "")?, expected);
    Ok(())
}

fn refused() -> Result<(), Failed> {
    let captured = block()?;
    let message = |text: &str| -> Result<String, Failed> {
        let outcome = Plan::from_toml(text).and_then(|plan| Units::new(&captured, &plan, ""));
        Ok(outcome.err().ok_or("accepted")?.to_string())
    };
    for (text, expected) in [
        (
            "[[layer]]\nmatch = \"fc3\"\nformat = \"int8\"",
            "no layer of this model matches `fc3`; the nearest name it has is `fc1`; `*` stands for any characters",
        ),
        (
            "format = \"mxfp9\"",
            "unknown format `mxfp9`; did you mean `mxfp4`? `interplay list formats` prints them all",
        ),
        (
            "formt = \"int8\"",
            "unknown key `formt` in a plan; the keys there are preset, layer, format, weights, activations, sparsity, order, \
             datapath, low_rank",
        ),
        ("preset = \"some\"", "unknown preset `some`; it is `paper`, `all` or `none`"),
        (
            "format = \"int8\"\nsparsity = \"2:4\"",
            "2:4 sparsity and int8 together need an order: `sq` (sparsify first) or `qs` (quantise first)",
        ),
    ] {
        assert_eq!(message(text)?, expected);
    }
    assert!(message("[[layer]")?.starts_with("a plan must be TOML"));
    assert!(message("[[layer]]\nformat = \"int8\"")?.contains("match"));
    assert!(message("datapath = \"bloc\"")?.contains("block"));
    Ok(())
}

fn layer() -> Result<(), Failed> {
    let captured = block()?;
    let plan = Plan::from_toml("[[layer]]\nmatch = \"fc2\"\nsparsity = \"4:14p\"")?;
    let error = Units::new(&captured, &plan, "").err().ok_or("accepted")?;
    assert_eq!(
        error.to_string(),
        "layer `fc2`: 4:14p sparsity needs a matrix of whole tiles of 1 x 14, but this one is 32 x 48; choose a pattern whose \
         tile divides both"
    );
    let plan = Plan::from_toml("format = \"int8\"")?;
    let mut units = Units::new(&captured, &plan, "")?;
    let error = captured.run::<_, Tensor<3>>(tensor([1, 5, 32], 1) * f32::NAN, &mut units).err().ok_or("accepted")?;
    assert!(error.to_string().starts_with("layer `self_attn.q_proj`: row 0, column 0 is NaN"), "{error}");
    Ok(())
}
