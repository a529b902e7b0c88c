//! Products through modelled units: against the formats and hardware crates called by hand, against exact integers, and
//! whatever the number of threads.

use burn::module::Module;
use burn::tensor::Tensor;
use interplay::burn::{Boundary, Captured, Off, Units, capture};
use interplay::formats::{Format, Order, Pattern};
use interplay::hw::{Datapath, Operand};
use interplay::plan::{LayerConfig, LayerSpec, Plan, Preset};
use libtest_mimic::{Failed, Trial};
use num_bigint::BigInt;

use super::host::burns;
use super::modules::{Bare, Block, Fused, Vision, bits, grouped_convolution, tensor, values};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("exec::fake_fp32_equals_eager", fake_fp32),
        Trial::test("exec::int8_and_hbfp8_equal_the_crates_by_hand", by_hand),
        Trial::test("exec::tensor_cores_equal_the_crates_by_hand", tensor_cores),
        Trial::test("exec::fake_rounds_weights_and_activations", fake_by_hand),
        Trial::test("exec::a_scale_across_rows_covers_one_sequence", one_sequence),
        Trial::test("exec::outputs_and_biases_in_bf16", sandwich),
        Trial::test("exec::ideal_equals_exact_integers", ideal),
        Trial::test("exec::convolution_by_units_equals_eager", convolution),
        Trial::test("exec::convolution_blocks_restart_at_each_position", convolution_blocks),
        Trial::test("exec::convolution_rows_that_no_groups_fill", ragged_groups),
        Trial::test("exec::attention_products_switch", attention),
        Trial::test("exec::fused_attention_is_taken_apart", fused),
        Trial::test("exec::parameter_on_the_left", left),
        Trial::test("exec::threads_change_nothing", threads),
        Trial::test("exec::a_changed_plan_keeps_what_it_does_not_change", replan),
    ]
}

fn plan(preset: Preset, spec: [&str; 2]) -> Result<Plan, Failed> {
    let spec = LayerSpec { format: Some(spec[0].into()), datapath: Some(spec[1].into()), ..LayerSpec::default() };
    Ok(Plan::new(preset, spec.resolve()?))
}

fn run<M, I, const D: usize>(
    module: &M,
    forward: fn(&M, I) -> Tensor<D>,
    x: &I,
    plan: &Plan,
) -> Result<Tensor<D>, Failed>
where
    M: Module,
    I: Boundary,
{
    let captured = capture(module, forward, x)?;
    let mut units = Units::new(&captured, plan, "")?;
    Ok(captured.run(x.clone(), &mut units)?)
}

/// Rows `[rows, columns]` as columns.
fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|c| x.iter().skip(c).step_by(columns).copied()).collect()
}

fn host<const D: usize>(t: &Tensor<D>) -> Vec<f32> {
    t.to_data().try_to_vec::<f32>().expect("f32 data")
}

fn largest_difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    host(&a).iter().zip(host(&b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn fake_fp32() -> Result<(), Failed> {
    let block = Block::new(32, 64, 4);
    let x = tensor([2, 7, 32], 1);
    let plans = (plan(Preset::All, ["fp32", "fake"])?, plan(Preset::All, ["fp32", "auto"])?);
    let captured = capture(&block, Block::forward_owned, &x)?.on(burns());
    let y: Tensor<3> = captured.run(x.clone(), &mut Units::new(&captured, &plans.0, "")?)?;
    assert!(bits(y) == bits(block.forward(x)));
    let vision = Vision::new(3, 16);
    let x = tensor([2, 3, 16, 16], 1);
    let captured = capture(&vision, |m: &Vision, x: Tensor<4>| m.forward(x), &x)?.on(burns());
    let y: Tensor<3> = captured.run(x.clone(), &mut Units::new(&captured, &plans.1, "")?)?;
    assert!(bits(y) == bits(vision.forward(x)));
    Ok(())
}

/// A linear layer alone on `auto`, so that the expected bits are a handful of calls.
fn linear(format: &str, datapath: &str) -> Result<[Vec<u32>; 2], Failed> {
    linear_on(format, "auto", datapath)
}

/// A linear layer on `asked`, and what `datapath` makes of it.
fn linear_on(format: &str, asked: &str, datapath: &str) -> Result<[Vec<u32>; 2], Failed> {
    let (m, k, n) = (5, 96, 7);
    let layer = burn::nn::LinearConfig::new(k, n).init(&burn::tensor::Device::flex());
    let x = tensor([1, m, k], 3);
    let plan = plan(Preset::Paper, [format, asked])?;
    let got = run(&layer, |l: &burn::nn::Linear, x: Tensor<3>| l.forward(x), &x, &plan)?;
    let format = Format::by_name(format)?;
    let unit = Datapath::by_name(datapath)?;
    let weights = format.quantize(&transposed(&host(&layer.weight.val()), n), k)?;
    let inputs = format.quantize(&host(&x), k)?;
    let mut want = unit.gemm_reference(Operand::Quantized(&inputs), Operand::Quantized(&weights))?;
    let bias = layer.bias.as_ref().map(|b| host(&b.val())).unwrap_or_default();
    want.chunks_mut(n).flat_map(|row| row.iter_mut().zip(&bias)).for_each(|(y, b)| *y += b);
    Ok([bits(got), want.into_iter().map(f32::to_bits).collect()])
}

fn by_hand() -> Result<(), Failed> {
    for (format, datapath) in
        [("int8", "int8"), ("hbfp8", "block"), ("mxfp8", "block"), ("nvfp4", "block"), ("bf16", "fp32")]
    {
        let [got, want] = linear(format, datapath)?;
        assert_eq!(got, want, "{format}");
    }
    Ok(())
}

/// A machine's unit, or one of the user's, is chosen by name as any other.
fn tensor_cores() -> Result<(), Failed> {
    Datapath::from_toml("[datapath]\nname = \"exec-20\"\ninputs = \"blocks\"\naccumulator = \"e8m11\"")?;
    for (format, unit) in [
        ("fp16", "hopper.mma.f16.f32"),
        ("e4m3", "hopper.wgmma.e4m3.f32"),
        ("int8", "ampere.mma.s8.s32"),
        ("mxfp8", "b200.tcgen05.mxf8f6f4-e4m3.f32"),
        ("nvfp4", "b200.tcgen05.nvf4.f32"),
        ("bf16", "cdna3.mfma.bf16.f32"),
        ("hbfp6", "exec-20"),
    ] {
        let [got, want] = linear_on(format, unit, unit)?;
        assert_eq!(got, want, "{format} on {unit}");
    }
    assert!(linear_on("mxfp8", "hopper.wgmma.e4m3.f32", "block").is_err(), "a unit without scales");
    Ok(())
}

/// A scale that spans rows covers one sequence or image: alone and in a batch a sequence gives the same bits.
fn one_sequence() -> Result<(), Failed> {
    let block = Block::new(32, 64, 4);
    let (whole, vision) = (tensor([3, 7, 32], 21), Vision::new(3, 16));
    let images = tensor([3, 3, 16, 16], 22);
    for format in ["nvfp4", "nvfp4-te-16x16", "interplay-int8", "int8-tensor"] {
        let plan = plan(Preset::Paper, [format, "auto"])?;
        let forward = |x: &Tensor<3>| run(&block, Block::forward_owned, x, &plan);
        let look = |x: &Tensor<4>| run(&vision, |m: &Vision, x: Tensor<4>| m.forward(x), x, &plan);
        let (together, seen) = (bits(forward(&whole)?), bits(look(&images)?));
        for i in 0..3 {
            let alone = bits(forward(&whole.clone().narrow(0, i, 1))?);
            assert_eq!(alone, together[i * alone.len()..][..alone.len()], "{format}, sequence {i}");
            let alone = bits(look(&images.clone().narrow(0, i, 1))?);
            assert_eq!(alone, seen[i * alone.len()..][..alone.len()], "{format}, image {i}");
        }
    }
    Ok(())
}

/// The paper's MX: values, output and bias in bf16, rounded half away, and the sum once more.
fn sandwich() -> Result<(), Failed> {
    let (m, k, n) = (5, 96, 7);
    let layer = burn::nn::LinearConfig::new(k, n).init(&burn::tensor::Device::flex());
    let x = tensor([1, m, k], 3);
    let got = run(
        &layer,
        |l: &burn::nn::Linear, x: Tensor<3>| l.forward(x),
        &x,
        &plan(Preset::Paper, ["interplay-mxfp8", "fp32"])?,
    )?;
    let format = Format::by_name("interplay-mxfp8")?;
    let bf16 = |v: f32| f32::from_bits((v.to_bits() + 0x8000) & 0xFFFF_0000);
    let mxfp8 = Format::by_name("mxfp8@nearest-away")?;
    let narrow = |v: Vec<f32>| mxfp8.quantize(&v.into_iter().map(bf16).collect::<Vec<_>>(), k).map(|q| q.dequantize());
    let (inputs, weights) = (narrow(host(&x))?, narrow(transposed(&host(&layer.weight.val()), n))?);
    assert_eq!(format.quantize(&host(&x), k)?.dequantize(), inputs);
    let operand = |data| Operand::Values { data, k };
    let y = Datapath::by_name("fp32")?.gemm_reference(operand(&inputs), operand(&weights))?;
    let bias = layer.bias.as_ref().map(|b| host(&b.val())).unwrap_or_default();
    let want = y.iter().zip(bias.iter().cycle()).map(|(&y, &b)| bf16(bf16(y) + bf16(b)).to_bits());
    assert_eq!(bits(got), want.collect::<Vec<_>>());
    Ok(())
}

fn fake_by_hand() -> Result<(), Failed> {
    let x = tensor([6, 40], 6);
    let layer = burn::nn::LinearConfig::new(40, 8).with_bias(false).init(&burn::tensor::Device::flex());
    let format = Format::by_name("hbfp6")?;
    let base = LayerConfig {
        datapath: Some(Datapath::by_name("fake")?),
        ..LayerConfig::new(format, Pattern::NofM { n: 2, m: 4 }, Order::Sq)?
    };
    let stored = base.weights.apply(&transposed(&host(&layer.weight.val()), 8), 40)?;
    let plan = Plan::new(Preset::Paper, base);
    let got = run(&layer, |l: &burn::nn::Linear, x: Tensor<2>| l.forward(x), &x, &plan)?;
    let mut rounded = host(&x);
    format.fake_quantize(&mut rounded, 40)?;
    let device = burn::tensor::Device::flex();
    let place =
        |v: Vec<f32>, shape: [usize; 2]| Tensor::<2>::from_data(burn::tensor::TensorData::new(v, shape), &device);
    let want = place(rounded, [6, 40]).matmul(place(transposed(&stored.values, 40), [40, 8]));
    assert_eq!(bits(got), bits(want));
    Ok(())
}

/// `ideal` on FP32 operands is the exact sum, rounded once: judged by integers, with operands whose sum needs 60 bits.
fn ideal() -> Result<(), Failed> {
    let n = 6;
    let model = Bare::new(n);
    let x = tensor([n, 4], 8);
    let got = run(&model, |m: &Bare, x: Tensor<2>| m.mix.val().matmul(x), &x, &plan(Preset::All, ["fp32", "ideal"])?)?;
    let (w, x) = (values(n * n, 5), host(&x));
    let scaled = |v: f32| BigInt::from((f64::from(v) * 8_388_608.0) as i64);
    let want: Vec<u32> = (0..n * 4)
        .map(|at| {
            let (row, column) = (at / 4, at % 4);
            let sum: BigInt = (0..n).map(|k| scaled(w[row * n + k]) * scaled(x[k * 4 + column])).sum();
            // The sum stays below 2^53, so the conversion to f64 is exact and the one to f32 rounds once.
            let exact: f64 = sum.to_string().parse().expect("an integer");
            ((exact / 70_368_744_177_664.0) as f32).to_bits()
        })
        .collect();
    assert_eq!(bits(got), want);
    Ok(())
}

/// The same numbers through im2col and a chain of fused multiply-adds: equal up to the order of the sums.
fn convolution() -> Result<(), Failed> {
    let model = grouped_convolution();
    let x = tensor([2, 4, 7, 8], 3);
    let forward = |m: &burn::nn::conv::Conv2d, x: Tensor<4>| m.forward(x);
    for datapath in ["ideal", "fp32"] {
        let y = run(&model, forward, &x, &plan(Preset::Paper, ["fp32", datapath])?)?;
        assert!(largest_difference(y, model.forward(x.clone())) < 1e-6, "{datapath}");
    }
    Ok(())
}

/// With 3 channels every block holds one kernel position: the same as quantising rows of 3.
fn convolution_blocks() -> Result<(), Failed> {
    let model = Vision::new(3, 16).patch;
    let x = tensor([1, 3, 8, 8], 3);
    let forward = |m: &burn::nn::conv::Conv2d, x: Tensor<4>| m.forward(x);
    let format = Format::by_name("hbfp8")?;
    let mut rounded = model.clone();
    // [out, 3, 4, 4] with channels last, quantised in rows of 3, and back.
    let channels_last = |t: Tensor<4>| t.permute([0, 2, 3, 1]);
    let quantised = |t: Tensor<4>| -> Result<Tensor<4>, Failed> {
        let last = channels_last(t);
        let (dims, mut data) = (last.dims(), host(&last));
        format.fake_quantize(&mut data, 3)?;
        let data = burn::tensor::TensorData::new(data, dims);
        Ok(Tensor::<4>::from_data(data, &burn::tensor::Device::flex()).permute([0, 3, 1, 2]))
    };
    rounded.weight = burn::module::Param::from_tensor(quantised(model.weight.val())?);
    let want = rounded.forward(quantised(x.clone())?);
    for datapath in ["fake", "ideal", "block"] {
        let got = run(&model, forward, &x, &plan(Preset::Paper, ["hbfp8", datapath])?)?;
        assert!(largest_difference(got, want.clone()) < 1e-6, "{datapath}");
    }
    Ok(())
}

/// 2:4 of a stem's rows of 27 and of a depthwise kernel's rows of 9: the last group has 3 positions, of which 2 stay, or 1.
fn ragged_groups() -> Result<(), Failed> {
    let device = burn::tensor::Device::flex();
    let convolution = |channels, groups| {
        burn::nn::conv::Conv2dConfig::new(channels, [3, 3]).with_groups(groups).with_bias(false).init(&device)
    };
    let forward = |m: &burn::nn::conv::Conv2d, x: Tensor<4>| m.forward(x);
    let pattern: Pattern = "2:4".parse()?;
    for (channels, groups, matrices, kept) in [([3, 8], 1, 1, 8 * 14), ([4, 4], 4, 4, 5)] {
        let (model, x) = (convolution(channels, groups), tensor([2, channels[0], 6, 7], 3));
        let captured = capture(&model, forward, &x)?;
        for format in ["fp32", "fp16", "int8", "mxfp8"] {
            let format = Format::by_name(format)?;
            let order = if format.is_exact() { Order::None } else { Order::Sq };
            let plan = Plan::new(Preset::All, LayerConfig::new(format, pattern, order)?);
            let mut units = Units::new(&captured, &plan, "")?;
            let stored = units.placements()[0].footprint.ok_or("not stored")?;
            assert_eq!(stored.values, matrices * kept * u64::from(format.element.bits()), "{}", format.name);
            assert_eq!(stored.metadata, matrices * (2 * kept).next_multiple_of(8), "{}", format.name);
            let y: Tensor<4> = captured.run(x.clone(), &mut units)?;
            // Channels are last in a row, and a row begins with each output.
            let last = model.weight.val().permute([0, 2, 3, 1]);
            let (dims, mut data) = (last.dims(), host(&last));
            pattern.magnitude_mask(&data, dims[1] * dims[2] * dims[3])?.apply(&mut data)?;
            let pruned = Tensor::<4>::from_data(burn::tensor::TensorData::new(data, dims), &device);
            let mut by_hand = model.clone();
            by_hand.weight = burn::module::Param::from_tensor(pruned.permute([0, 3, 1, 2]));
            // Sums of at most 14 products below 1 in another order; 8-bit values are within 2^-4 of their own.
            let allowed = if format.is_exact() { 1e-6 } else { 0.25 };
            assert!(largest_difference(y, by_hand.forward(x.clone())) < allowed, "{}", format.name);
        }
    }
    Ok(())
}

fn attention() -> Result<(), Failed> {
    let block = Block::new(32, 64, 4);
    let x = tensor([2, 9, 32], 1);
    let eager = block.forward(x.clone());
    let paper = run(&block, Block::forward_owned, &x, &plan(Preset::Paper, ["int8", "auto"])?)?;
    let all = run(&block, Block::forward_owned, &x, &plan(Preset::All, ["int8", "auto"])?)?;
    assert_ne!(bits(paper.clone()), bits(all.clone()));
    for y in [paper, all] {
        let error = largest_difference(y, eager.clone());
        assert!(error > 0.0 && error < 0.1, "{error}");
    }
    let exact = run(&block, Block::forward_owned, &x, &plan(Preset::All, ["fp32", "ideal"])?)?;
    assert!(largest_difference(exact, eager) < 1e-5);
    Ok(())
}

fn fused() -> Result<(), Failed> {
    let model = Fused::new(8);
    let x = tensor([1, 2, 5, 8], 2);
    let y = run(&model, |m: &Fused, x: Tensor<4>| m.forward(x), &x, &plan(Preset::All, ["fp32", "ideal"])?)?;
    assert!(largest_difference(y, model.forward(x)) < 1e-6);
    Ok(())
}

fn left() -> Result<(), Failed> {
    let model = Bare::new(6);
    let x = tensor([6, 4], 6);
    for datapath in ["fp32", "ideal"] {
        let y = run(&model, |m: &Bare, x: Tensor<2>| m.forward(x), &x, &plan(Preset::All, ["fp32", datapath])?)?;
        assert!(largest_difference(y, model.forward(x.clone())) < 1e-5, "{datapath}");
    }
    Ok(())
}

fn threads() -> Result<(), Failed> {
    let block = Block::new(64, 96, 4);
    let x = tensor([2, 33, 64], 1);
    let captured = capture(&block, |m, x: Tensor<3>| m.forward(x), &x)?;
    for format in ["int8", "hbfp8", "mxfp4"] {
        let plan = plan(Preset::All, [format, "auto"])?;
        let on = |threads: usize| -> Result<Vec<u32>, Failed> {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            pool.install(|| {
                let mut units = Units::new(&captured, &plan, "")?;
                Ok(bits(captured.run::<_, Tensor<3>>(x.clone(), &mut units)?))
            })
        };
        let one = on(1)?;
        assert_eq!(one, on(2)?, "{format}");
        assert_eq!(one, on(5)?, "{format}");
    }
    Ok(())
}

fn replan() -> Result<(), Failed> {
    let block = Block::new(32, 64, 4);
    let x = tensor([1, 5, 32], 1);
    let captured = capture(&block, |m, x: Tensor<3>| m.forward(x), &x)?;
    let [int8, hbfp8] = [plan(Preset::Paper, ["int8", "auto"])?, plan(Preset::Paper, ["hbfp8", "auto"])?];
    let once = |units: &mut Units, captured: &Captured| -> Result<Vec<u32>, Failed> {
        Ok(bits(captured.run::<_, Tensor<3>>(x.clone(), units)?))
    };
    let mut units = Units::new(&captured, &int8, "")?;
    let first = once(&mut units, &captured)?;
    units.prepare(&captured, &hbfp8, "")?;
    assert_ne!(once(&mut units, &captured)?, first);
    units.prepare(&captured, &int8, "")?;
    assert_eq!(once(&mut units, &captured)?, first);
    units.prepare(&captured, &Plan::fp32(), "")?;
    assert_eq!(once(&mut units, &captured)?, bits(captured.run::<_, Tensor<3>>(x.clone(), &mut Off)?));
    Ok(())
}
