//! With the hook off, every vision model of the zoo gives the bits of eager execution; with generated weights.

use std::sync::Arc;

use interplay::Error;
use interplay::burn::{Activation, Role};
use interplay::eval::{Eager, Runner, for_each_logits};
use interplay::models::deit::DeitCheckpoint;
use interplay::models::efficientnet::{EfficientNetCheckpoint, EfficientNetConfig, Row};
use interplay::models::resnet::{LayerType, ResnetCheckpoint, ResnetConfig};
use interplay::models::resnet_cifar::{ResnetCifarCheckpoint, ResnetCifarConfig};
use interplay::models::vit::VitConfig;
use interplay::models::{Checkpoint, Input, Weights};
use interplay::plan::Plan;
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::host::burns;
use super::modules::{tensor, values};

/// Makes a model.
pub type Build = fn() -> Result<Arc<dyn Checkpoint>, Error>;

/// Every vision model, with generated weights.
pub const MODELS: [(&str, Build); 6] = [
    ("resnet_basic", || resnet(LayerType::Basic)),
    ("resnet_bottleneck", || resnet(LayerType::Bottleneck)),
    ("resnet_cifar", resnet_cifar),
    ("efficientnet", efficientnet),
    ("deit_one_head", || deit(false)),
    ("deit_two_heads", || deit(true)),
];

pub fn cases() -> Vec<Trial> {
    let mut cases = Vec::new();
    for (name, model) in MODELS {
        cases.push(Trial::test(format!("exec::off_equals_eager_{name}"), move || off_equals_eager(model()?)));
        cases.push(Trial::test(format!("exec::paper_preset_{name}"), move || paper_preset(model()?)));
    }
    cases
}

/// Weights that follow from their names; variances are positive.
struct Generated {
    /// Whether a DeiT has a head for each token.
    teacher: bool,
}

impl Weights for Generated {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let seed = name.bytes().fold(7u64, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let positive = name.ends_with("running_var");
        let value = |v: f32| if positive { 0.5 + v.abs() } else { v / 4.0 };
        Ok(values(shape.iter().product(), seed).into_iter().map(value).collect())
    }

    fn has(&self, name: &str) -> bool {
        !name.contains("shortcut") && (self.teacher || !name.contains("cls_classifier"))
    }
}

fn resnet(layer_type: LayerType) -> Result<Arc<dyn Checkpoint>, Error> {
    let config = ResnetConfig {
        embedding_size: 8,
        hidden_sizes: vec![8, 16],
        depths: vec![2, 1],
        layer_type,
        image_size: 23,
        ..ResnetConfig::default()
    };
    Ok(Arc::new(ResnetCheckpoint::new(config, Arc::new(Generated { teacher: false }))?))
}

fn resnet_cifar() -> Result<Arc<dyn Checkpoint>, Error> {
    let config = ResnetCifarConfig { channels: 3, widths: vec![4, 8], depths: vec![1, 2], classes: 10 };
    Ok(Arc::new(ResnetCifarCheckpoint::new(config, Arc::new(Generated { teacher: false }))?))
}

fn efficientnet() -> Result<Arc<dyn Checkpoint>, Error> {
    let row = |blocks, kernel, stride, expansion, width| Row { blocks, kernel, stride, expansion, width };
    let rows = vec![row(1, 3, 1, 1, 4), row(2, 5, 2, 3, 6)];
    let config = EfficientNetConfig { stem: 8, rows, head: 16, classes: 10, image_size: 22 };
    Ok(Arc::new(EfficientNetCheckpoint::new(config, Arc::new(Generated { teacher: false }))?))
}

fn deit(teacher: bool) -> Result<Arc<dyn Checkpoint>, Error> {
    let config = VitConfig {
        model_type: "deit".into(),
        hidden_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 32,
        image_size: 8,
        patch_size: 4,
        ..VitConfig::default()
    };
    Ok(Arc::new(DeitCheckpoint::new(config, Arc::new(Generated { teacher }))?))
}

fn logits(runner: &mut dyn Runner, input: &Activation) -> Result<Vec<u32>, Failed> {
    let mut bits = Vec::new();
    for_each_logits(runner, std::slice::from_ref(input), |_, _, row| bits.extend(row.iter().map(|v| v.to_bits())))?;
    Ok(bits)
}

fn images(model: &dyn Checkpoint, count: usize) -> Result<Activation, Failed> {
    let Input::Images { channels, height, width } = model.input() else { return Err("takes no images".into()) };
    Ok(Activation::Images(tensor([count, channels, height, width], 2)))
}

fn off_equals_eager(model: Arc<dyn Checkpoint>) -> Result<(), Failed> {
    let input = images(&*model, 2)?;
    let eager = logits(&mut Eager::new(&*model), &input)?;
    assert!(eager.iter().any(|&bits| bits != eager[0]), "all logits are equal");
    assert_eq!(logits(&mut Session::on(burns(), model, Plan::fp32())?, &input)?, eager);
    Ok(())
}

/// Every parameter's product is quantised; the classifier of a convolutional network alone is not pruned.
fn paper_preset(model: Arc<dyn Checkpoint>) -> Result<(), Failed> {
    let plan = Plan::from_toml("format = \"int8\"\nsparsity = \"50%\"\norder = \"sq\"")?;
    let architecture = model.architecture().to_owned();
    let input = images(&*model, 1)?;
    let mut session = Session::new(model, plan.clone())?;
    let dense = session.layer_names().last().cloned().filter(|_| architecture != "deit");
    for product in session.products() {
        let config = plan.config(&architecture, product);
        assert_eq!(config.is_some(), product.role == Role::Weight, "{}", product.name);
        let Some(config) = config else { continue };
        assert_eq!(config.weight_format().name, "int8");
        let pruned = config.pattern() != interplay::formats::Pattern::Dense;
        assert_eq!(pruned, Some(&product.name) != dense.as_ref(), "{}", product.name);
    }
    assert!(!logits(&mut session, &input)?.is_empty());
    Ok(())
}
