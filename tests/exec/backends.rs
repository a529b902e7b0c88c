//! The backends by name, and with the feature `ndarray` the two on the CPU against each other.

use interplay::burn::Backend;
use libtest_mimic::{Failed, Trial};

pub fn cases() -> Vec<Trial> {
    let mut cases = vec![Trial::test("exec::backends_by_name", by_name)];
    #[cfg(feature = "ndarray")]
    cases.extend(both::cases());
    cases.sort_by(|a, b| a.name().cmp(b.name()));
    cases
}

fn by_name() -> Result<(), Failed> {
    assert_eq!(Backend::by_name(" Flex ")?, Backend::default());
    assert_eq!(Backend::default().name(), "flex");
    let message = |name| Backend::by_name(name).err().map_or_else(String::new, |e| e.to_string());
    assert!(
        message("flax").contains("`flax`") && message("flax").contains("did you mean `flex`"),
        "{}",
        message("flax")
    );
    assert!(message("cuda").contains("`flex`, `ndarray` or `wgpu`"), "{}", message("cuda"));
    match cfg!(feature = "ndarray") {
        true => assert_eq!(Backend::by_name("ndarray")?.name(), "ndarray"),
        false => assert!(message("ndarray").contains("--features ndarray"), "{}", message("ndarray")),
    }
    match cfg!(feature = "wgpu") {
        true => assert_eq!(Backend::by_name("WGPU")?.name(), "wgpu"),
        false => assert!(message("wgpu").contains("--features wgpu"), "{}", message("wgpu")),
    }
    Ok(())
}

/// What needs both backends.
#[cfg(feature = "ndarray")]
mod both {
    use std::path::Path;
    use std::sync::Arc;

    use burn::module::Module;
    use burn::nn::LinearConfig;
    use burn::tensor::{Device, Int, Tensor, TensorData};
    use interplay::burn::{Backend, Boundary, Off, Units, capture};
    use interplay::eval::{Runner, for_each_logits, input};
    use interplay::load::{self, SafeTensors};
    use interplay::plan::Plan;
    use interplay::session::Session;
    use libtest_mimic::{Failed, Trial};

    use super::super::modules::{Decoder, Fused, Vision, bits, grouped_convolution, tensor};
    use crate::goldens::{COMMITTED, difference, within};
    use crate::oracles::case;

    /// Both add the same float32 products in another order. Each is within 2e-5 of PyTorch, which adds them in a third (see
    /// [`crate::goldens::LOGITS`]), so that the two are within twice that of each other.
    const LOGITS: f32 = 4e-5;

    /// What computes a product of these formats is a modelled unit, never a backend.
    const PLANS: [&str; 5] = ["mxfp8", "mxint8", "hbfp6", "nvfp4", "int8"];

    pub fn cases() -> Vec<Trial> {
        let mut cases = vec![
            Trial::test("exec::ndarray_replays_its_own_bits", replay),
            Trial::test("exec::ndarray_gives_units_the_same_bits", units),
            case("exec::ndarray_agrees_with_flex_opt", "data/checkpoints/opt-pre-ln", agree),
            case("exec::ndarray_agrees_with_flex_gpt2", "data/checkpoints/gpt2", agree),
        ];
        for name in COMMITTED {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/zoo").join(name);
            cases.push(Trial::test(format!("exec::ndarray_agrees_with_flex_{}", name.replace('-', "_")), move || {
                agree(&folder)
            }));
        }
        cases
    }

    /// With the hook off the executor gives the bits of eager execution on the same backend.
    fn own<M: Module, I: Boundary, const D: usize>(
        module: &M,
        forward: fn(&M, I) -> Tensor<D>,
        x: I,
    ) -> Result<(), Failed> {
        let device = Device::ndarray();
        let eager = forward(&module.clone().to_device(&device), x.clone().on(&device));
        let captured = capture(module, forward, &x)?.on(Backend::NdArray);
        assert_eq!(bits(captured.run::<_, Tensor<D>>(x, &mut Off)?), bits(eager));
        Ok(())
    }

    fn replay() -> Result<(), Failed> {
        let ids = TensorData::new((0..18).map(|i| i * 7 % 50).collect::<Vec<i64>>(), [2, 9]);
        let ids = Tensor::<2, Int>::from_data(ids, &Device::flex());
        own(&Decoder::new(50, 32, 2), |m, x: Tensor<2, Int>| m.forward(x), ids)?;
        own(&Vision::new(3, 16), |m, x: Tensor<4>| m.forward(x), tensor([2, 3, 16, 16], 1))?;
        own(&Fused::new(8), |m, x: Tensor<4>| m.forward(x), tensor([1, 2, 5, 8], 2))
    }

    /// A layer's output through its unit, on each backend.
    fn through<M: Module, I: Boundary, const D: usize>(
        module: &M,
        forward: fn(&M, I) -> Tensor<D>,
        x: &I,
        plan: &Plan,
    ) -> Result<(), Failed> {
        let outputs = [Backend::default(), Backend::NdArray].map(|backend| -> Result<_, Failed> {
            let captured = capture(module, forward, x)?.on(backend);
            Ok(bits(captured.run::<_, Tensor<D>>(x.clone(), &mut Units::new(&captured, plan, "")?)?))
        });
        let [flex, ndarray] = outputs;
        assert_eq!(flex?, ndarray?, "{plan:?}");
        Ok(())
    }

    fn units() -> Result<(), Failed> {
        let linear = LinearConfig::new(96, 7).init(&Device::flex());
        for format in PLANS {
            let plan = Plan::from_toml(&format!("preset = \"all\"\nformat = \"{format}\""))?;
            through(&linear, |m, x: Tensor<3>| m.forward(x), &tensor([2, 5, 96], 1), &plan)?;
            through(&grouped_convolution(), |m, x: Tensor<4>| m.forward(x), &tensor([2, 4, 7, 8], 3), &plan)?;
        }
        Ok(())
    }

    fn agree(folder: &Path) -> Result<(), Failed> {
        let model = load::open(folder)?;
        let golden = SafeTensors::open(&folder.join("golden.safetensors"))?;
        let length = golden.shape("input_ids")?[1];
        let input = input::tokens(&*model.checkpoint, &golden.integers("input_ids")?, length)?;
        let logits = |backend| -> Result<Vec<f32>, Failed> {
            let mut session = Session::on(backend, Arc::clone(&model.checkpoint), Plan::fp32())?;
            let (mut all, runner): (Vec<f32>, &mut dyn Runner) = (Vec::new(), &mut session);
            for_each_logits(runner, std::slice::from_ref(&input), |_, _, row| all.extend_from_slice(row))?;
            Ok(all)
        };
        within("logits", difference(&logits(Backend::NdArray)?, &logits(Backend::default())?).1, LOGITS)
    }
}
