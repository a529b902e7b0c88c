//! Whole training runs: a model of layers without an emulation is trained as one of Burn's own layers, bit for bit.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use interplay::emu::{EmuLinear, Emulation};
use interplay::formats::{Format, Order, Pattern};
use interplay::plan::LayerConfig;
use libtest_mimic::{Failed, Trial};

use super::host;
use crate::exec::modules::{bits, tensor};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("emu::off_trains_as_burn_does", off),
        Trial::test("emu::threads_do_not_change_a_trained_bit", threads),
        Trial::test("emu::pruned_weights_are_trained_and_come_back", come_back),
    ]
}

/// A model as a user writes it.
#[derive(Module, Debug)]
struct Burns {
    first: Linear,
    second: Linear,
}

/// The same with the layer type swapped.
#[derive(Module, Debug)]
struct Swapped {
    first: EmuLinear,
    second: EmuLinear,
}

impl Burns {
    fn new() -> Self {
        let layer = |k, n, seed| {
            let weight = Param::from_tensor(tensor([k, n], seed).autodiff().require_grad());
            Linear { weight, bias: Some(Param::from_tensor(tensor([n], seed + 1).autodiff().require_grad())) }
        };
        Self { first: layer(40, 24, 1), second: layer(24, 8, 3) }
    }

    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        self.second.forward(relu(self.first.forward(x))).powi_scalar(2).mean()
    }
}

impl Swapped {
    fn new(burns: Burns, emulation: impl Fn(&str) -> Result<Option<Emulation>, Failed>) -> Result<Self, Failed> {
        let first = EmuLinear::from(burns.first).emulated(emulation("first")?)?;
        let second = EmuLinear::from(burns.second).emulated(emulation("second")?)?;
        Ok(Self { first, second })
    }

    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        self.second.forward(relu(self.first.forward(x))).powi_scalar(2).mean()
    }
}

/// The model after ten steps of AdamW, each on other inputs.
fn trained<M: Module>(mut model: M, loss: impl Fn(&M, Tensor<2>) -> Tensor<1>) -> M {
    let mut optimizer = AdamWConfig::new().init();
    for step in 0..10 {
        let gradients = loss(&model, tensor::<2>([16, 40], 100 + step).autodiff()).backward();
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(1e-2, model, gradients);
    }
    model
}

fn off() -> Result<(), Failed> {
    let burns = Burns::new();
    let swapped = trained(Swapped::new(burns.clone(), |_| Ok(None))?, Swapped::loss);
    let start = bits(burns.first.weight.val().without_autodiff());
    let burns = trained(burns, Burns::loss);
    let weight = |weight: &Param<Tensor<2>>| bits(weight.val().without_autodiff());
    let bias = |bias: &Option<Param<Tensor<1>>>| bias.as_ref().map(|b| bits(b.val().without_autodiff()));
    assert!(weight(&burns.first.weight) != start, "nothing was trained");
    assert!(weight(&burns.first.weight) == weight(&swapped.first.weight));
    assert!(weight(&burns.second.weight) == weight(&swapped.second.weight));
    assert!(bias(&burns.first.bias) == bias(&swapped.first.bias));
    assert!(bias(&burns.second.bias) == bias(&swapped.second.bias));
    Ok(())
}

fn emulated(format: &str, order: Order) -> Result<Swapped, Failed> {
    let format = Format::by_name(format)?;
    Swapped::new(Burns::new(), |name| {
        let config = LayerConfig::new(format, "2:4".parse::<Pattern>()?, order)?;
        Ok(Some(Emulation::new(name, config)?.with_gradients(format)))
    })
}

fn threads() -> Result<(), Failed> {
    for format in ["hbfp8", "mxfp4", "int8", "nvfp4"] {
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let model = emulated(format, Order::Qs)?;
            Ok::<_, Failed>(pool.install(|| bits(trained(model, Swapped::loss).first.weight.val().without_autodiff())))
        };
        assert!(on(1)? == on(3)?, "{format}");
    }
    Ok(())
}

/// A weight that starts pruned grows under its gradient until it is kept.
fn come_back() -> Result<(), Failed> {
    let kept = |model: &Swapped| {
        let columns = host(model.first.weight.val().transpose());
        let mask = "2:4".parse::<Pattern>()?.magnitude_mask(&columns, 40)?;
        Ok::<_, Failed>(mask.kept().to_vec())
    };
    let model = emulated("hbfp8", Order::Sq)?;
    let before = kept(&model)?;
    let after = kept(&trained(model, Swapped::loss))?;
    let back = before.iter().zip(&after).filter(|(before, after)| !**before && **after).count();
    assert!(back > 0, "ten steps moved no mask");
    Ok(())
}
