//! Vision models against what PyTorch computes from them in `f32`, and torch files against what they hold.

use std::path::{Path, PathBuf};

use interplay::burn::Activation;
use interplay::eval::{Classification, Runner, input, logits};
use interplay::load::{self, Model, SafeTensors, TorchFile};
use interplay::models::Weights;
use interplay::plan::Plan;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use crate::bad_input::torch::trained;
use crate::goldens::{HIDDEN, LOGITS, all_logits, difference, session, within};
use crate::oracles::{case, case_of_fetched};

/// Every case of this file.
pub fn cases() -> Vec<Trial> {
    vec![
        case("goldens::resnet_basic", "data/checkpoints/resnet-basic", |folder| resnet(folder, 2, 3)),
        case("goldens::resnet_bottleneck", "data/checkpoints/resnet-bottleneck", |folder| resnet(folder, 3, 4)),
        case("goldens::resnet20_cifar10", "data/resnet20-cifar10", resnet20),
        case("goldens::resnet20_as_published", "data/resnet20-cifar10", resnet20_as_published),
        case("goldens::resnet20_cifar10_maps", "data/resnet20-cifar10", resnet20_maps),
        Trial::test("goldens::deit_one_head", || deit("deit/1-head", &["classifier"])),
        Trial::test("goldens::deit_two_heads", || deit("deit/2-head", &["cls_classifier", "distillation_classifier"])),
        Trial::test("goldens::torch_legacy", || torch_file("legacy.pth")),
        Trial::test("goldens::torch_zip", || torch_file("zip.pth")),
        case_of_fetched("goldens::efficientnet_lite0", "efficientnet-lite0", efficientnet),
    ]
}

/// What every stage before the head gives, on `input`.
fn activations(model: &Model, input: Activation) -> Result<Vec<Vec<f32>>, Failed> {
    let mut runner = session(model)?;
    let (mut activation, mut found) = (input, Vec::new());
    for stage in 0..model.checkpoint.stages() - 1 {
        runner.enter(stage)?;
        activation = runner.forward(activation)?;
        let data = match &activation {
            Activation::Images(t) => t.to_data(),
            Activation::Rows(t) => t.to_data(),
            Activation::Sequence(t) => t.to_data(),
            other => return Err(format!("a stage gave {:?}", other.shape()).into()),
        };
        found.push(data.try_into_vec::<f32>().map_err(|e| format!("{e:?}"))?);
    }
    Ok(found)
}

/// Compares what `stages` gave with the tensors of those names.
fn check(found: &[Vec<f32>], golden: &SafeTensors, stages: &[(usize, &str)]) -> Result<(), Failed> {
    for &(stage, name) in stages {
        within(name, difference(&found[stage], &golden.floats(name)?).0, HIDDEN)?;
    }
    Ok(())
}

/// Two images through a network of four stages of two blocks, each of `convolutions`; some blocks have shortcuts.
fn resnet(folder: &Path, convolutions: usize, shortcuts: usize) -> Result<(), Failed> {
    let model = load::open(folder)?;
    let golden = SafeTensors::open(&folder.join("golden.safetensors"))?;
    let input = input::images(&*model.checkpoint, &golden.floats("pixel_values")?)?;
    let found = activations(&model, input.clone())?;
    check(&found, &golden, &[(0, "stem"), (2, "stage_0"), (4, "stage_1"), (6, "stage_2"), (8, "pooled")])?;
    within("logits", difference(&all_logits(&model, &input)?, &golden.floats("logits")?).1, LOGITS)?;
    let session = Session::new(model.checkpoint, Plan::fp32())?;
    let names = session.layer_names();
    assert_eq!(names[0], "resnet.embedder.embedder.convolution");
    assert_eq!(names[1], "resnet.encoder.stages.0.layers.0.layer.0.convolution");
    assert_eq!(names.last().map(String::as_str), Some("classifier.1"));
    assert_eq!(names.iter().filter(|name| name.ends_with(".shortcut.convolution")).count(), shortcuts);
    assert_eq!(names.len(), 1 + 8 * convolutions + shortcuts + 1);
    Ok(())
}

/// Pixels `[N, 3, 32, 32]` and labels of the 500 images.
fn cifar(folder: &Path) -> Result<(Vec<f32>, Vec<usize>), Failed> {
    let file = SafeTensors::open(&folder.join("images.safetensors"))?;
    let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let bytes = file.octets("images")?;
    let mut pixels = Vec::with_capacity(bytes.len());
    for image in bytes.chunks_exact(32 * 32 * 3) {
        for channel in 0..3 {
            let plane = image.iter().skip(channel).step_by(3);
            pixels.extend(plane.map(|&b| (f32::from(b) / 255.0 - mean[channel]) / deviation[channel]));
        }
    }
    Ok((pixels, file.integers("labels")?.iter().map(|&label| label as usize).collect()))
}

/// All 500 images: the logits, and the predictions in number.
fn resnet20(folder: &Path) -> Result<(), Failed> {
    let model = load::open(folder)?;
    let golden = SafeTensors::open(&folder.join("golden.safetensors"))?;
    let (pixels, labels) = cifar(folder)?;
    let logits = logits(&mut session(&model)?, &pixels)?;
    let got: Vec<f32> = logits.rows().flatten().copied().collect();
    within("logits", difference(&got, &golden.floats("logits")?).1, LOGITS)?;
    let result = Classification::of(&logits, &labels, &logits)?;
    assert_eq!((result.top1.mean * 500.0).round(), 399.0);
    // The golden's own figure has the noise of its logits.
    within("cross-entropy", (result.cross_entropy.mean - 0.836_985_066_615_621_7).abs() as f32, LOGITS)
}

/// The tensors in the layout of the file that was published: the same tensors, the same logits.
fn resnet20_as_published(folder: &Path) -> Result<(), Failed> {
    let source = SafeTensors::open(&folder.join("model.safetensors"))?;
    let named = source.names().map(|name| Ok((name.to_owned(), source.shape(name)?.to_vec(), source.floats(name)?)));
    let named = named.collect::<Result<Vec<_>, interplay::Error>>()?;
    let copy = tempfile::tempdir()?;
    let path = copy.path().join("resnet20-12fca82f.th");
    std::fs::write(&path, trained(&named))?;
    let golden = SafeTensors::open(&folder.join("golden.safetensors"))?;
    let pixels = golden.floats("pixel_values_0_1")?;
    let of = |path: &Path| -> Result<_, Failed> { Ok(logits(&mut session(&load::open(path)?)?, &pixels)?) };
    assert_eq!(of(&path)?, of(folder)?);
    Ok(())
}

/// Two images, stage by stage.
fn resnet20_maps(folder: &Path) -> Result<(), Failed> {
    let model = load::open(folder)?;
    let golden = SafeTensors::open(&folder.join("golden.safetensors"))?;
    let input = input::images(&*model.checkpoint, &golden.floats("pixel_values_0_1")?)?;
    let found = activations(&model, input)?;
    let stages = [(0, "feature_map_0"), (3, "feature_map_1"), (6, "feature_map_2"), (9, "pooled_0_1")];
    check(&found, &golden, &stages)?;
    let names = Session::new(model.checkpoint, Plan::fp32())?.layer_names();
    assert_eq!([&names[0], &names[1], &names[19]], ["conv1", "layer1.0.conv1", "linear"]);
    assert_eq!(names.len(), 20);
    Ok(())
}

/// Where the project's own checkpoints are; their README says how they came to be.
fn zoo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo").join(name)
}

fn deit(name: &str, heads: &[&str]) -> Result<(), Failed> {
    let model = load::open(&zoo(name))?;
    let golden = SafeTensors::open(&zoo(name).join("golden.safetensors"))?;
    let input = input::images(&*model.checkpoint, &golden.floats("pixel_values")?)?;
    let states = golden.floats("hidden_states")?;
    let found = activations(&model, input.clone())?;
    // The last of the stages before the head is the norm over the tokens that the head reads.
    assert_eq!(states.len(), 3 * found[0].len());
    for (layer, want) in states.chunks_exact(found[0].len()).enumerate() {
        within(&format!("hidden state {layer}"), difference(&found[layer], want).0, HIDDEN)?;
    }
    within("logits", difference(&all_logits(&model, &input)?, &golden.floats("logits")?).1, LOGITS)?;
    let names = Session::new(model.checkpoint, Plan::fp32())?.layer_names();
    assert_eq!(names[0], "deit.embeddings.patch_embeddings.projection");
    assert_eq!(names[1], "deit.encoder.layer.0.attention.attention.query");
    assert!(names.iter().map(String::as_str).rev().take(heads.len()).eq(heads.iter().copied().rev()), "{names:?}");
    Ok(())
}

/// Every tensor bit for bit, and one of integers that is there and cannot be had.
fn torch_file(name: &str) -> Result<(), Failed> {
    let file = TorchFile::open(&zoo("torch").join(name))?;
    let golden = SafeTensors::open(&zoo("torch").join("golden.safetensors"))?;
    assert_eq!(file.names().count(), golden.names().count() + 1);
    for tensor in golden.names() {
        let shape = golden.shape(tensor)?;
        assert_eq!(file.shape(tensor).as_deref(), Some(shape), "{tensor}");
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(file.get(tensor, shape)?), bits(golden.floats(tensor)?), "{tensor}");
    }
    let message = file.get("counter", &[]).err().ok_or("integers were read as floats")?.to_string();
    assert!(message.contains(name) && message.contains("`counter` is stored as I64"), "{message}");
    Ok(())
}

/// Two generated images; scripts/tiny_vision.py makes the same.
fn efficientnet(file: &Path) -> Result<(), Failed> {
    let byte = |index: u64| ((index / 1000 * 2_654_435_761) % (1 << 32)) >> 24;
    let pixels: Vec<f32> = (0..2 * 3 * 224 * 224).map(|index| (byte(index) as f32 - 127.0) / 128.0).collect();
    let model = load::open(file)?;
    let golden = SafeTensors::open(&zoo("efficientnet-lite0").join("golden.safetensors"))?;
    let input = input::images(&*model.checkpoint, &pixels)?;
    within("logits", difference(&all_logits(&model, &input)?, &golden.floats("logits")?).1, LOGITS)?;
    let session = Session::new(model.checkpoint, Plan::fp32())?;
    let names = session.layer_names();
    // A stem, a head, a classifier, and three convolutions a block but for the first.
    assert_eq!(names.len(), 3 + 16 * 3 - 1);
    assert_eq!(
        [&names[0], &names[1], &names[3]],
        ["_conv_stem", "_blocks.0._depthwise_conv", "_blocks.1._expand_conv"]
    );
    let first = session.products().nth(1).ok_or("no products")?;
    assert_eq!([first.m, first.k, first.n, first.count], [112 * 112, 9, 1, 32]);
    Ok(())
}
