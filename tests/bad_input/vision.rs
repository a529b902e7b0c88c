//! Configurations of vision models that cannot be.

use std::fs;

use interplay::load;
use libtest_mimic::{Failed, Trial};

use super::container::{message, safetensors, says};

pub fn cases() -> Vec<Trial> {
    vec![Trial::test("bad_input::vision_configurations", configurations)]
}

/// No folder here has a tensor: what is wrong is seen before any is looked up.
fn configurations() -> Result<(), Failed> {
    let none = r#"{"image_size":32}"#;
    let cases: [(&str, &str, &[&str]); 10] = [
        (r#""model_type":"resnet","hidden_act":"gelu""#, none, &["hidden_act `gelu`", "only `relu`"]),
        (r#""model_type":"resnet","layer_type":"wide""#, none, &["wrong type", "wide", "bottleneck"]),
        (r#""model_type":"resnet","depths":[1,2]"#, none, &["4 hidden_sizes do not fit 2 depths"]),
        (r#""model_type":"resnet","depths":[1,0,1,1]"#, none, &["at least 1"]),
        (
            r#""model_type":"resnet","depths":[9223372036854775807,9223372036854775807,2,1]"#,
            none,
            &["depths", "beyond"],
        ),
        (r#""model_type":"resnet","hidden_sizes":[8,10,8,8]"#, none, &["[8, 10, 8, 8]", "multiples of 4"]),
        (r#""model_type":"resnet","image_size":4000000000"#, none, &["4000000000", "beyond"]),
        (r#""model_type":"resnet""#, r#"{"size":{"shortest_edge":0}}"#, &["3 x 0 x 0", "beyond"]),
        (r#""model_type":"resnet""#, "{", &["preprocessor_config.json", "not JSON"]),
        (r#""model_type":"deit","image_size":4000000000"#, none, &["4000000000", "beyond"]),
    ];
    for (config, preprocessor, parts) in cases {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("config.json"), format!("{{{config}}}"))?;
        fs::write(folder.path().join("preprocessor_config.json"), preprocessor)?;
        fs::write(folder.path().join("model.safetensors"), safetensors("{}", &[]))?;
        says(&message(load::open(folder.path()))?, parts)?;
    }
    Ok(())
}
