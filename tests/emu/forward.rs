//! The emulation's outputs have the bits of the captured executor on Burn's host, within which it trains.

use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use interplay::burn::{Activation, Units, capture};
use interplay::emu::{EmuLinear, Emulation, Layers, matmul};
use interplay::eval::Runner;
use interplay::eval::input;
use interplay::hw::Datapath;
use interplay::models::embedded;
use interplay::models::opt::{OptConfig, OptModel};
use interplay::models::vit::{VitConfig, VitModel};
use interplay::plan::{LayerSpec, Plan, Preset};
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::host;
use crate::exec::host::burns;
use crate::exec::modules::{bits, tensor};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("emu::a_layer_has_the_bits_of_the_executor", layer),
        Trial::test("emu::a_language_model_has_the_bits_of_the_session", language_model),
        Trial::test("emu::a_vision_transformer_has_the_bits_of_the_session", vision),
        Trial::test("emu::without_an_emulation_it_is_burns_layer", off),
        Trial::test("emu::an_emulated_layer_is_captured_as_burns_product", captured),
        Trial::test("emu::what_is_not_finite_gives_nan_and_a_reason", not_finite),
        Trial::test("emu::a_layer_that_cannot_be_emulated_is_refused", refused),
    ]
}

/// Format, sparsity, order, datapath.
type Spec = [&'static str; 4];

const SPECS: [Spec; 16] = [
    ["hbfp8", "50%", "sq", "auto"],
    ["hbfp8", "50%", "qs", "auto"],
    ["hbfp4", "2:4", "qs", "auto"],
    ["mxfp8", "dense", "none", "auto"],
    ["mxfp4", "2:4", "sq", "auto"],
    ["nvfp4", "dense", "none", "auto"],
    ["int8", "50%", "sq", "auto"],
    ["int4-asym", "dense", "none", "auto"],
    ["bf16", "dense", "none", "auto"],
    ["interplay-mxfp8", "2:4", "sq", "auto"],
    ["interplay-int8", "dense", "none", "fake"],
    ["fp32", "50%", "none", "fake"],
    ["fp32", "dense", "none", "fake"],
    ["fp32", "2:4", "none", "fp32"],
    ["mxfp6", "50%", "qs", "fake"],
    ["fp16", "dense", "none", "ampere.mma.f16.f32"],
];

fn spec([format, sparsity, order, datapath]: Spec) -> LayerSpec {
    let given = |text: &str| Some(text.to_owned()).filter(|text| text != "none");
    LayerSpec {
        format: given(format),
        sparsity: given(sparsity),
        order: given(order),
        datapath: given(datapath),
        ..LayerSpec::default()
    }
}

fn layer() -> Result<(), Failed> {
    for wanted in SPECS {
        let config = spec(wanted).resolve()?;
        let linear = LinearConfig::new(100, 9).init(&Device::flex());
        // What a tensor core takes must be FP16 already.
        let (linear, x) = if wanted[0] == "fp16" {
            (halved(linear), tensor([2, 5, 100], 3) * 0.0 + 0.5)
        } else {
            (linear, tensor([2, 5, 100], 3))
        };
        let plan = Plan::new(Preset::All, config.clone());
        let captured = capture(&linear, |l: &Linear, x: Tensor<3>| l.forward(x), &x)?.on(burns());
        let want: Tensor<3> = captured.run(x.clone(), &mut Units::new(&captured, &plan, "")?)?;
        let emulated = EmuLinear::from(linear).emulated(Some(Emulation::new("layer", config)?))?;
        assert!(bits(emulated.forward(x.clone())) == bits(want.clone()), "{wanted:?}");
        let y = emulated.forward(x.autodiff().require_grad()).without_autodiff();
        assert!(bits(y) == bits(want), "{wanted:?} with autodiff");
    }
    Ok(())
}

fn halved(linear: Linear) -> Linear {
    let round = |value: f32| f32::from_bits(value.to_bits() & 0xffff_e000);
    let weight = host(linear.weight.val()).into_iter().map(round).collect::<Vec<_>>();
    let weight = Tensor::<2>::from_data(TensorData::new(weight, linear.weight.dims()), &Device::flex());
    Linear { weight: burn::module::Param::from_tensor(weight), ..linear }
}

/// Logits of the embedded language model by a session, and by the model that training differentiates.
fn language_model() -> Result<(), Failed> {
    let lm = embedded::lm();
    let weights = lm.tensors()?;
    let config: OptConfig = serde_json::from_str(lm.config)?;
    let ids: Vec<i64> = (0..48).map(|i| i * 37 % 2048).collect();
    for wanted in [SPECS[0], SPECS[4], SPECS[8], SPECS[12]] {
        let plan = Plan::new(Preset::Paper, spec(wanted).resolve()?);
        let model = lm.open()?;
        let embedded = input::tokens(&*model.checkpoint, &ids, ids.len())?;
        let mut session = Session::on(burns(), model.checkpoint, plan.clone())?;
        let Activation::Sequence(hidden) = session.hidden(embedded)? else { return Err("a sequence".into()) };
        let [_, rows, width] = hidden.dims();
        let head = session.run(4, Activation::Rows(hidden.reshape([rows, width])))?;
        let Activation::Rows(want) = head else { return Err("rows of logits".into()) };
        let layers = Layers::new(plan, "opt", |emulation, _| Ok(emulation));
        // On a tape Burn computes softmax and norms by other operations, whose roundings differ: the products are held to their bits
        // there by the case above.
        let model = OptModel::load_with(&config, &*weights, &Device::flex(), &layers)?;
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids.clone(), [1, ids.len()]), &Device::flex());
        assert!(bits(model.forward(ids)) == bits(want), "{wanted:?}");
    }
    Ok(())
}

/// The same of the vision transformer, whose patches are a convolution.
fn vision() -> Result<(), Failed> {
    let vit = embedded::vit();
    let config: VitConfig = serde_json::from_str(vit.config)?;
    let images = tensor([2, 1, 28, 28], 9);
    for wanted in [SPECS[0], SPECS[4], SPECS[6], SPECS[9], SPECS[12]] {
        let plan = Plan::new(Preset::Paper, spec(wanted).resolve()?);
        let mut session = Session::on(burns(), vit.open()?.checkpoint, plan.clone())?;
        let hidden = session.hidden(Activation::Images(images.clone()))?;
        let head = session.checkpoint().stages() - 1;
        let Activation::Rows(want) = session.run(head, hidden.into_first_rows())? else {
            return Err("rows of logits".into());
        };
        let layers = Layers::new(plan, "vit", |emulation, _| Ok(emulation));
        let model = VitModel::load_with(&config, &*vit.tensors()?, &Device::flex(), &layers)?;
        assert!(bits(model.forward(images.clone())) == bits(want), "{wanted:?}");
    }
    Ok(())
}

fn off() -> Result<(), Failed> {
    let linear = LinearConfig::new(33, 7).init(&Device::flex());
    let x = tensor::<3>([2, 5, 33], 1);
    let plain = EmuLinear::from(linear.clone());
    assert!(plain.emulation().is_none());
    assert_eq!(bits(plain.forward(x.clone())), bits(linear.forward(x.clone())));
    assert_eq!(bits(plain.emulated(None)?.forward(x.clone())), bits(linear.forward(x)));
    Ok(())
}

/// A user's model keeps its emulation when it is captured, and the plan decides.
fn captured() -> Result<(), Failed> {
    let linear = LinearConfig::new(64, 8).init(&Device::flex());
    let x = tensor::<2>([5, 64], 1);
    let emulated =
        EmuLinear::from(linear.clone()).emulated(Some(Emulation::new("layer", spec(SPECS[2]).resolve()?)?))?;
    let seen = capture(&emulated, |l: &EmuLinear, x: Tensor<2>| l.forward(x), &x)?.on(burns());
    assert_eq!(seen.products().len(), 1);
    let y: Tensor<2> = seen.run(x.clone(), &mut interplay::burn::Off)?;
    assert_eq!(bits(y), bits(linear.forward(x)));
    Ok(())
}

fn not_finite() -> Result<(), Failed> {
    let emulation = Emulation::new("fc1", spec(SPECS[0]).resolve()?)?;
    let x = Tensor::<2>::from_floats([[1.0, f32::INFINITY], [0.0, 1.0]], &Device::flex());
    let w = tensor([2, 3], 5);
    assert!(emulation.failure().is_none());
    let y = host(matmul(x, w, &emulation));
    assert!(y.len() == 6 && y.iter().all(|v| v.is_nan()), "{y:?}");
    let reason = emulation.failure().ok_or("no reason was noted")?;
    assert!(reason.contains("fc1"), "{reason}");
    Ok(())
}

fn refused() -> Result<(), Failed> {
    let linear = || EmuLinear::from(LinearConfig::new(32, 4).init(&Device::flex()));
    let with = |wanted: Spec| Ok::<_, Failed>(Emulation::new("fc1", spec(wanted).resolve()?)?);
    // MXFP8 elements are not what a unit for FP16 takes.
    let message =
        linear().emulated(Some(with(["fp32", "dense", "none", "ampere.mma.f16.f32"])?)).expect_err("full mantissas");
    assert!(message.to_string().starts_with("layer `fc1`: "), "{message}");
    let message = linear().emulated(Some(with(["hbfp8", "4:8p", "sq", "int8"])?)).expect_err("blocks on `int8`");
    assert!(message.to_string().contains("int8"), "{message}");
    assert!(Datapath::by_name("int8").is_ok());
    Ok(())
}
