//! Captured graphs on the GPU: modelled units give the CPU's bits, and tensors stay there.

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use interplay::burn::{Activation, Backend, Boundary, Units, capture, gpu_reads};
use interplay::eval::input;
use interplay::models::{Checkpoint, embedded};
use interplay::plan::{LayerSpec, Plan, Preset};
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::modules::{Fused, Vision, bits, grouped_convolution, tensor, values};

pub fn cases() -> Vec<Trial> {
    vec![
        case("exec::gpu_units_have_the_cpus_bits", units),
        case("exec::gpu_tensor_cores_have_the_cpus_bits", tensor_cores),
        case("exec::gpu_convolutions_have_the_cpus_bits", convolutions),
        case("exec::gpu_attention_has_the_cpus_bits", attention),
        case("exec::gpu_scales_across_rows_cover_one_sequence", one_sequence),
        case("exec::gpu_models_stay_on_the_device", resident),
        case("exec::gpu_models_agree_with_the_cpu", agree),
        case("exec::gpu_says_what_it_refuses", refused),
        case("exec::gpu_refuses_a_correction", correction),
    ]
}

/// A case that is listed as ignored where there is no GPU.
fn case(name: &str, run: fn() -> Result<(), Failed>) -> Trial {
    match Backend::Wgpu.check() {
        Ok(()) => Trial::test(name, run),
        Err(error) => Trial::test(format!("{name} ({error})"), || Ok(())).with_ignored_flag(true),
    }
}

fn plan(preset: Preset, format: &str, datapath: &str) -> Result<Plan, Failed> {
    let (format, datapath) = (Some(format.to_owned()), Some(datapath.to_owned()));
    Ok(Plan::new(preset, LayerSpec { format, datapath, ..LayerSpec::default() }.resolve()?))
}

/// A module's output through its units on one backend, and what they noted.
fn on<M: Module, I: Boundary, const D: usize>(
    backend: Backend,
    module: &M,
    forward: fn(&M, I) -> Tensor<D>,
    x: &I,
    plan: &Plan,
) -> Result<Tensor<D>, Failed> {
    let captured = capture(module, forward, x)?.on(backend);
    let mut units = Units::new(&captured, plan, "")?;
    let y: Tensor<D> = captured.run(x.clone(), &mut units)?;
    units.check()?;
    Ok(y.to_device(&Device::flex()))
}

fn same<M: Module, I: Boundary, const D: usize>(
    module: &M,
    forward: fn(&M, I) -> Tensor<D>,
    x: &I,
    plan: &Plan,
    what: &str,
) -> Result<(), Failed> {
    let [cpu, gpu] = [Backend::default(), Backend::Wgpu].map(|backend| on(backend, module, forward, x, plan));
    assert!(bits(cpu?) == bits(gpu?), "{what}");
    Ok(())
}

fn units() -> Result<(), Failed> {
    let linear = LinearConfig::new(100, 9).init(&Device::flex());
    for format in [
        "int8",
        "int4",
        "hbfp8",
        "hbfp4",
        "mxfp8",
        "mxfp8-e5m2",
        "mxfp6",
        "mxfp4",
        "mxint8",
        "nvfp4",
        "nvfp4-four-over-six",
    ] {
        let plan = plan(Preset::All, format, "auto")?;
        same(&linear, |m: &Linear, x: Tensor<3>| m.forward(x), &tensor([2, 5, 100], 1), &plan, format)?;
    }
    Ok(())
}

/// Values with few enough bits for FP16, as a tensor core takes them.
fn halves<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let round = |value: f32| f32::from_bits(value.to_bits() & 0xffff_e000);
    let values: Vec<f32> = values(shape.iter().product(), seed).into_iter().map(round).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

fn tensor_cores() -> Result<(), Failed> {
    let layer = LinearConfig::new(80, 9).init(&Device::flex());
    let linear = Linear { weight: burn::module::Param::from_tensor(halves([80, 9], 2)), ..layer };
    for (format, datapath) in [
        ("fp16", "volta.mma.f16.f32"),
        ("fp16", "hopper.wgmma.f16.f16"),
        ("bf16", "ampere.mma.bf16.f32"),
        ("e4m3", "hopper.wgmma.e4m3.f32"),
        ("e5m2", "ada.mma.e5m2.f32"),
        ("mxfp8", "b200.tcgen05.mxf8f6f4-e4m3.f32"),
    ] {
        let plan = plan(Preset::All, format, datapath)?;
        same(&linear, |m: &Linear, x: Tensor<3>| m.forward(x), &halves([2, 5, 80], 1), &plan, datapath)?;
    }
    Ok(())
}

fn convolutions() -> Result<(), Failed> {
    for format in ["hbfp8", "mxfp4", "int8"] {
        let plan = plan(Preset::All, format, "auto")?;
        let x = tensor([2, 4, 7, 8], 3);
        same(&grouped_convolution(), |m, x: Tensor<4>| m.forward(x), &x, &plan, format)?;
    }
    let patches = Vision::new(3, 16).patch;
    let plan = plan(Preset::All, "hbfp6", "auto")?;
    same(&patches, |m, x: Tensor<4>| m.forward(x), &tensor([2, 3, 16, 16], 4), &plan, "patches")
}

/// Both products of fused attention, taken apart: what is between them is Burn's on either device, so the first one is compared.
fn attention() -> Result<(), Failed> {
    let fused = Fused::new(32);
    let x = tensor([1, 2, 6, 32], 2);
    for format in ["hbfp8", "int8"] {
        let plan = plan(Preset::All, format, "auto")?;
        let seen = |backend| {
            let captured = capture(&fused, |m: &Fused, x: Tensor<4>| m.forward(x), &x)?.on(backend);
            let mut units = Units::new(&captured, &plan, "")?;
            let mut outputs = Vec::new();
            let mut observer = |product: &interplay::burn::Product, values: &[f32]| {
                outputs.push((product.name.clone(), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>()));
            };
            let _: Tensor<4> = captured.run(x.clone(), &mut units.observed(&mut observer))?;
            units.check()?;
            Ok::<_, Failed>(outputs)
        };
        let (cpu, gpu) = (seen(Backend::default())?, seen(Backend::Wgpu)?);
        assert_eq!(cpu.len(), gpu.len());
        // The last product follows a softmax, which each backend computes in its own float code.
        for (cpu, gpu) in cpu.iter().zip(&gpu).take(cpu.len() - 1) {
            assert!(cpu == gpu, "{format}: {}", cpu.0);
        }
        assert!(cpu.len() >= 4, "{}", cpu.len());
    }
    Ok(())
}

/// A tensor's scale covers one sequence of a batch, on the device as well.
fn one_sequence() -> Result<(), Failed> {
    let linear = LinearConfig::new(64, 8).init(&Device::flex());
    let x = Tensor::cat(vec![tensor::<3>([1, 5, 64], 1), tensor::<3>([1, 5, 64], 2) * 100.0], 0);
    for (format, datapath) in [("nvfp4", "auto"), ("interplay-int8", "fake")] {
        let plan = plan(Preset::All, format, datapath)?;
        let whole = on(Backend::Wgpu, &linear, |m: &Linear, x: Tensor<3>| m.forward(x), &x, &plan)?;
        let part =
            on(Backend::Wgpu, &linear, |m: &Linear, x: Tensor<3>| m.forward(x), &x.clone().narrow(0, 1, 1), &plan)?;
        assert!(bits(whole.narrow(0, 1, 1)) == bits(part), "{format}");
    }
    Ok(())
}

fn tokens(checkpoint: &dyn Checkpoint) -> Result<Activation, Failed> {
    let ids: Vec<i64> = (0..40).map(|i| i * 37 % 2048).collect();
    Ok(input::tokens(checkpoint, &ids, ids.len())?)
}

fn resident() -> Result<(), Failed> {
    let model = embedded::lm().open()?;
    let ids = tokens(&*model.checkpoint)?;
    for (format, datapath) in [("hbfp8", "auto"), ("int8", "auto"), ("mxfp4", "fake")] {
        let plan = plan(Preset::Paper, format, datapath)?;
        let mut session = Session::on(Backend::Wgpu, model.checkpoint.clone(), plan)?;
        session.hidden(ids.clone())?;
        let before = gpu_reads();
        let hidden = session.hidden(ids.clone())?;
        let logits = session.run(4, hidden.into_all_rows())?;
        assert_eq!(gpu_reads(), before, "{format}: a tensor came to the host between two layers");
        let Activation::Rows(logits) = logits else { return Err("rows of logits".into()) };
        assert_eq!(logits.dims(), [40, 2048]);
    }
    Ok(())
}

/// The embedded model's logits.
fn logits(backend: Backend, format: &str, datapath: &str) -> Result<Vec<f32>, Failed> {
    let model = embedded::lm().open()?;
    let ids = tokens(&*model.checkpoint)?;
    let mut session = Session::on(backend, model.checkpoint, plan(Preset::Paper, format, datapath)?)?;
    let hidden = session.hidden(ids)?;
    Ok(session.run(4, hidden.into_all_rows())?.into_values()?)
}

fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn agree() -> Result<(), Failed> {
    // Both add the same FP32 products in another order; each is within 2e-5 of PyTorch (see `goldens::LOGITS`).
    let fp32 = logits(Backend::default(), "fp32", "fake")?;
    let (fp32_gpu, bound) = (logits(Backend::Wgpu, "fp32", "fake")?, 4e-5);
    assert!(apart(&fp32, &fp32_gpu) <= bound, "fp32: {} apart", apart(&fp32, &fp32_gpu));
    for (format, datapath) in [("hbfp8", "auto"), ("mxfp8", "auto"), ("int8", "auto"), ("mxfp4", "fake")] {
        let (cpu, gpu) = (logits(Backend::default(), format, datapath)?, logits(Backend::Wgpu, format, datapath)?);
        // A difference of 1e-6 before a layer tips the rounding of an activation that lies that near to a tie: it moves by one
        // step, where the format itself has moved every activation by up to half of one. So few tip that what they make of the
        // logits stays below what the format makes of them.
        let own = apart(&cpu, &fp32);
        assert!(apart(&cpu, &gpu) < own, "{format}: {} apart, {own} from FP32", apart(&cpu, &gpu));
    }
    Ok(())
}

fn refused() -> Result<(), Failed> {
    let linear = LinearConfig::new(64, 8).init(&Device::flex());
    let forward: fn(&Linear, Tensor<2>) -> Tensor<2> = |m, x| m.forward(x);
    // A unit that has no kernel.
    for datapath in ["ideal", "fp32", "cdna3.mfma.f16.f32"] {
        let error = on(Backend::Wgpu, &linear, forward, &tensor([2, 64], 1), &plan(Preset::All, "fp32", datapath)?);
        let message = error.err().map(|e| e.message().unwrap_or_default().to_owned()).unwrap_or_default();
        assert!(message.contains("CPU only") && message.contains(datapath), "{datapath}: {message}");
    }
    // A value that the format has no code for is noted on the device and named at the end.
    let x = tensor::<2>([2, 64], 1).mul_scalar(f32::INFINITY);
    let error = on(Backend::Wgpu, &linear, forward, &x, &plan(Preset::All, "hbfp8", "auto")?);
    let message = error.err().map(|e| e.message().unwrap_or_default().to_owned()).unwrap_or_default();
    assert!(message.contains("not finite"), "{message}");
    // A session says so behind its last stage, observed or not.
    let model = embedded::lm().open()?;
    let mut session = Session::on(Backend::Wgpu, model.checkpoint, plan(Preset::All, "hbfp8", "auto")?)?;
    let rows = || Activation::Rows(tensor([2, 192], 1).mul_scalar(f32::INFINITY));
    for error in [session.run(4, rows()).err(), session.run_observed(4, rows(), &mut |_, _| {}).err()] {
        let message = error.map_or_else(String::new, |error| error.to_string());
        assert!(message.contains("not finite") && message.contains("lm_head"), "{message}");
    }
    // Full mantissas are no FP16 numbers.
    let error =
        on(Backend::Wgpu, &linear, forward, &tensor([2, 64], 1), &plan(Preset::All, "fp32", "ampere.mma.f16.f32")?);
    let message = error.err().map(|e| e.message().unwrap_or_default().to_owned()).unwrap_or_default();
    assert!(message.contains("input format"), "{message}");
    // Nothing of the kind in an ordinary layer.
    on(Backend::Wgpu, &linear, forward, &tensor([2, 64], 1), &plan(Preset::All, "mxfp8", "auto")?)?;
    Ok(())
}

/// A correction runs on the CPU, and is not left out in silence elsewhere.
fn correction() -> Result<(), Failed> {
    let linear = LinearConfig::new(32, 9).init(&Device::flex());
    let captured = capture(&linear, |l: &Linear, x: Tensor<2>| l.forward(x), &tensor([3, 32], 1))?.on(Backend::Wgpu);
    let plan = Plan::from_toml("format = \"mxfp8\"\nlow_rank = 2")?;
    let error = Units::new(&captured, &plan, "").err().ok_or("it was taken")?.to_string();
    assert!(error.contains("`low_rank`") && error.contains("`flex`"), "{error}");
    Ok(())
}
