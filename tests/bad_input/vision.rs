//! Configurations of vision models that cannot be.

use std::fs;

use interplay::load;
use libtest_mimic::{Failed, Trial};

use super::container::{message, safetensors, says};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("bad_input::vision_configurations", configurations),
        Trial::test("bad_input::vision_labels", labels),
    ]
}

/// No folder here has a tensor: what is wrong is seen before any is looked up.
fn configurations() -> Result<(), Failed> {
    let none = r#"{"image_size":32}"#;
    let cases: [(&str, &str, &[&str]); 13] = [
        (r#""model_type":"vit","num_labels":0"#, none, &["config.json", "num_labels is 0", "1 to 1048576"]),
        (r#""model_type":"deit","num_labels":-3"#, none, &["num_labels is -3"]),
        (
            r#""model_type":"resnet","num_labels":3,"id2label":{"0":"a","1":"b"}"#,
            none,
            &["num_labels is 3", "id2label names 2"],
        ),
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

/// `num_labels` alone is the width of the head, which another head does not have.
fn labels() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let config = r#"{"model_type":"vit","hidden_size":2,"num_hidden_layers":0,"num_attention_heads":1,"num_labels":3}"#;
    fs::write(folder.path().join("config.json"), config)?;
    let shapes = [("vit.layernorm.weight", "2", 2), ("vit.layernorm.bias", "2", 2), ("classifier.bias", "3", 3)];
    for (rows, fits) in [(3, true), (4, false)] {
        let (mut header, mut end) = (Vec::new(), 0);
        for (name, shape, count) in shapes.into_iter().chain([("classifier.weight", &*format!("{rows},2"), 2 * rows)]) {
            let offsets = format!("[{end},{}]", end + 4 * count);
            header.push(format!(r#""{name}":{{"dtype":"F32","shape":[{shape}],"data_offsets":{offsets}}}"#));
            end += 4 * count;
        }
        let file = safetensors(&format!("{{{}}}", header.join(",")), &vec![0; end]);
        fs::write(folder.path().join("model.safetensors"), file)?;
        let head = load::open(folder.path())?.checkpoint.stage(1).map(drop);
        match fits {
            true => head?,
            false => says(&message(head)?, &["`classifier.weight`", "[4, 2]", "[3, 2]"])?,
        }
    }
    Ok(())
}
