//! Low-rank corrections: their bits by hand, how much they make good, what they cost, and who has none.

use std::sync::Arc;

use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData};
use interplay::burn::{Units, capture};
use interplay::compress::{Layer, lowrank};
use interplay::emu::Emulation;
use interplay::formats::{Footprint, Format, Order, Pattern};
use interplay::hw::{Datapath, Workload};
use interplay::plan::{Correction, LayerConfig, Plan, Preset};
use interplay::session::Session;
use libtest_mimic::{Failed, Trial};

use super::modules::{Block, bits, grouped_convolution, tensor};
use super::sessions::{ids, opt};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("exec::correction_of_rank_0_is_none", rank_0),
        Trial::test("exec::correction_by_hand_on_every_kind_of_unit", by_hand),
        Trial::test("exec::correction_of_full_rank_gives_the_dense_layer_back", full_rank),
        Trial::test("exec::correction_error_falls_with_the_rank", falls),
        Trial::test("exec::correction_costs_its_formula_and_two_thin_products", costs),
        Trial::test("exec::correction_of_a_grouped_convolution", convolution),
        Trial::test("exec::correction_is_the_same_on_any_threads", threads),
        Trial::test("exec::correction_statistics_stay_with_their_layers", statistics),
        Trial::test("exec::correction_in_plan_files", files),
        Trial::test("exec::correction_refusals", refusals),
    ]
}

const SHAPE: [usize; 3] = [5, 24, 10];

fn layer() -> Linear {
    let [_, k, n] = SHAPE;
    let weight = burn::module::Param::from_tensor(tensor([k, n], 11));
    Linear { weight, bias: None }
}

/// `[k, n]` as rows `[n, k]`.
fn rows(layer: &Linear) -> Vec<f32> {
    host(layer.weight.val().transpose())
}

fn host<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32 data")
}

fn matrix(values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// 2:4, then `format`, on `datapath`, with activations in `activations`.
fn config(format: &str, activations: &str, datapath: &str, rank: usize) -> Result<LayerConfig, Failed> {
    Ok(LayerConfig {
        activations: Format::by_name(activations)?,
        datapath: Some(Datapath::by_name(datapath)?),
        correction: Some(Correction { rank }),
        ..LayerConfig::new(Format::by_name(format)?, Pattern::NofM { n: 2, m: 4 }, Order::Sq)?
    })
}

fn run(layer: &Linear, x: &Tensor<2>, config: LayerConfig) -> Result<Tensor<2>, Failed> {
    let captured = capture(layer, |l: &Linear, x: Tensor<2>| l.forward(x), x)?;
    let mut units = Units::new(&captured, &Plan::new(Preset::All, config), "")?;
    Ok(captured.run(x.clone(), &mut units)?)
}

/// What the pipeline of `config` takes from the weights of `layer`, `[n, k]`.
fn residual(layer: &Linear, config: &LayerConfig) -> Result<(Vec<f32>, Vec<f32>), Failed> {
    let dense = rows(layer);
    let stored = config.weights.apply(&dense, SHAPE[1])?.values;
    Ok((dense.iter().zip(&stored).map(|(w, c)| w - c).collect(), stored))
}

fn without(config: &LayerConfig) -> LayerConfig {
    LayerConfig { correction: None, ..config.clone() }
}

fn rank_0() -> Result<(), Failed> {
    let block = Block::new(32, 48, 4);
    let x = tensor([2, 5, 32], 1);
    let captured = capture(&block, |m, x: Tensor<3>| m.forward(x), &x)?;
    for (format, datapath) in [("mxfp4", "fake"), ("hbfp6", "block"), ("int8", "int8")] {
        let zero = config(format, format, datapath, 0)?;
        let of = |config: LayerConfig| -> Result<_, Failed> {
            let mut units = Units::new(&captured, &Plan::new(Preset::All, config), "")?;
            let y = bits(captured.run::<_, Tensor<3>>(x.clone(), &mut units)?);
            Ok((y, units.placements(), units.workload(&captured)?))
        };
        assert!(of(zero.clone())? == of(without(&zero))?, "{format} on {datapath}");
    }
    Ok(())
}

/// The unit's own output, plus two FP32 products of bf16 operands: factors, activations as they came, and what lies between.
fn by_hand() -> Result<(), Failed> {
    let ([m, k, n], rank, layer) = (SHAPE, 3, layer());
    let x = tensor([m, k], 3);
    let bf16 = |t: Tensor<2>| -> Result<Tensor<2>, Failed> {
        let (shape, mut values) = (t.dims(), host(t));
        Format::by_name("bf16")?.fake_quantize(&mut values, shape[1])?;
        Ok(matrix(values, shape))
    };
    for (format, datapath) in [("mxfp4", "fake"), ("hbfp6", "block"), ("int4", "int8"), ("mxfp8", "ideal")] {
        let config = config(format, format, datapath, rank)?;
        let factors = lowrank::approximate(&residual(&layer, &config)?.0, n, k, rank)?.into_bf16()?;
        let right = matrix(factors.right, [rank, k]).transpose();
        let left = matrix(factors.left, [n, rank]).transpose();
        let plain = run(&layer, &x, without(&config))?;
        let want = plain.clone() + bf16(bf16(x.clone())?.matmul(right))?.matmul(left);
        assert_ne!(bits(want.clone()), bits(plain), "{format}: the correction adds nothing");
        assert_eq!(bits(run(&layer, &x, config)?), bits(want), "{format} on {datapath}");
    }
    Ok(())
}

/// At full rank nothing of the residual is left but roundings. With exact factors `A B = R`, four operands of the path are rounded to bf16
/// (`u = 2^-8` each: `x`, `B`, what lies between, `A`), so that an output errs by at most `((1 + u)^4 - 1) |x| |B|ᵀ |A|ᵀ`; sums of `k` and
/// `rank` terms, the factors' own type and the last addition are of FP32, below `(2 k + 8) 2^-24` of all magnitudes that meet.
fn full_rank() -> Result<(), Failed> {
    let ([m, k, n], layer) = (SHAPE, layer());
    let x = tensor([m, k], 3);
    let config = config("mxfp4", "fp32", "fake", n.min(k))?;
    let (residual, stored) = residual(&layer, &config)?;
    let factors = lowrank::approximate(&residual, n, k, n.min(k))?;
    let (a, b) = (matrix(factors.left, [n, n]).abs(), matrix(factors.right, [n, k]).abs());
    let size = |t: Tensor<2>| host(x.clone().abs().matmul(t));
    let (path, stored) = (size(a.matmul(b).transpose()), size(matrix(stored, [n, k]).abs().transpose()));
    let (dense, inputs) = (rows(&layer), host(x.clone()));
    let exact = |i: usize| -> f64 {
        let (x, w) = (&inputs[i / n * k..][..k], &dense[i % n * k..][..k]);
        x.iter().zip(w).map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
    };
    let errors = |y: Tensor<2>| -> Vec<f64> {
        host(y).iter().enumerate().map(|(i, y)| (f64::from(*y) - exact(i)).abs()).collect()
    };
    let (plain, corrected) = (errors(run(&layer, &x, without(&config))?), errors(run(&layer, &x, config)?));
    let narrow = (1.0 + 2f64.powi(-8)).powi(4) - 1.0;
    let wide = (2 * k + 8) as f64 * 2f64.powi(-24);
    let bound = |i: usize| narrow * f64::from(path[i]) + wide * f64::from(path[i] + stored[i]);
    for (i, error) in corrected.iter().enumerate() {
        assert!(*error <= bound(i), "output {i} errs by {error}, at most {}", bound(i));
    }
    let most = |of: &mut dyn Iterator<Item = f64>| of.fold(0.0, f64::max);
    let (allowed, lost) = (most(&mut (0..m * n).map(bound)), most(&mut plain.into_iter()));
    assert!(allowed < lost / 2.0, "the bound {allowed} says nothing beside the uncorrected {lost}");
    Ok(())
}

/// The identity as input shows the weights that the layer really has.
fn falls() -> Result<(), Failed> {
    let ([_, k, n], layer) = (SHAPE, layer());
    let identity = matrix((0..k * k).map(|i| f32::from(u8::from(i / k == i % k))).collect(), [k, k]);
    let error = |rank| -> Result<f64, Failed> {
        let seen = host(run(&layer, &identity, config("int4", "fp32", "fake", rank)?)?.transpose());
        Ok(seen.iter().zip(rows(&layer)).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt())
    };
    let errors: Vec<f64> = (0..=n + 2).map(error).collect::<Result<_, _>>()?;
    assert!(errors[..=n].windows(2).all(|pair| pair[1] < pair[0]), "{errors:?}");
    // Of the residual, two factors of bf16 leave a share of at most (1 + 2^-8)^2 - 1, component by component.
    assert!(errors[n] < 0.0079 * (n as f64).sqrt() * errors[0], "{errors:?}");
    assert_eq!(errors[n..], [errors[n]; 3], "a rank above the smaller side is that side");
    Ok(())
}

fn costs() -> Result<(), Failed> {
    let block = Block::new(32, 48, 4);
    let x = tensor([2, 5, 32], 1);
    let captured = capture(&block, |m, x: Tensor<3>| m.forward(x), &x)?;
    let of = |config: LayerConfig| -> Result<(Vec<Option<Footprint>>, Workload), Failed> {
        let units = Units::new(&captured, &Plan::new(Preset::All, config), "")?;
        let stored = units.placements().into_iter().map(|placement| placement.footprint).collect();
        Ok((stored, units.workload(&captured)?))
    };
    let (rank, config) = (6, config("mxfp8", "mxfp8", "block", 6)?);
    let ((plain, few), (corrected, more)) = (of(without(&config))?, of(config)?);
    let mut layers = more.layers.iter();
    for ((product, layer), (plain, corrected)) in
        captured.products().iter().zip(&few.layers).zip(plain.iter().zip(&corrected))
    {
        // The layer itself is what it is without, its stored bits too.
        assert_eq!(layers.next(), Some(layer));
        let Some(plain) = plain else {
            assert_eq!(*corrected, None, "a product of two activations has no weights to correct");
            continue;
        };
        let [m, k, n] = [product.m, product.k, product.n].map(|x| x as u64);
        let values = plain.values + 16 * rank * (n + k);
        assert_eq!(*corrected, Some(Footprint { values, ..*plain }), "{}", product.name);
        for (part, k, n) in [("right", k, rank), ("left", rank, n)] {
            let thin = layers.next().ok_or("a thin product is missing")?;
            assert_eq!(thin.gemm.name, format!("{}.low_rank.{part}", product.name));
            assert_eq!([thin.gemm.m, thin.gemm.k, thin.gemm.n, thin.gemm.count], [m, k, n, 1]);
            assert_eq!([thin.weight.name, thin.activation.name], ["bf16"; 2]);
            assert_eq!(thin.stored.total(), 16 * k * n);
        }
    }
    assert_eq!(layers.next(), None);
    assert_eq!(more.elementwise, few.elementwise);
    assert_eq!(corrected.iter().flatten().count(), 6);
    Ok(())
}

/// Each group's matrix has factors of its own; 3 rows leave rank 3.
fn convolution() -> Result<(), Failed> {
    let model = grouped_convolution();
    let x = tensor([2, 4, 7, 8], 3);
    let captured = capture(&model, |m: &burn::nn::conv::Conv2d, x: Tensor<4>| m.forward(x), &x)?;
    let eager = host(model.forward(x.clone()));
    let of = |config: LayerConfig| -> Result<(f32, u64), Failed> {
        let mut units = Units::new(&captured, &Plan::new(Preset::All, config), "")?;
        let y: Tensor<4> = captured.run(x.clone(), &mut units)?;
        let stored = units.placements()[0].footprint.ok_or("not stored")?;
        Ok((host(y).iter().zip(&eager).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max), stored.values))
    };
    for datapath in ["fake", "fp32"] {
        let config = config("mxfp4", "fp32", datapath, 100)?;
        let ((lost, few), (left, more)) = (of(without(&config))?, of(config)?);
        assert_eq!(more - few, 2 * 16 * 3 * (3 + 12), "two groups of [3, 12]");
        // Four roundings of 2^-8, of magnitudes that sum to a few times the residual's.
        assert!(left < lost / 10.0, "{datapath}: {lost} to {left}");
    }
    Ok(())
}

fn threads() -> Result<(), Failed> {
    let block = Block::new(64, 96, 4);
    let x = tensor([2, 33, 64], 1);
    let captured = capture(&block, |m, x: Tensor<3>| m.forward(x), &x)?;
    for (format, datapath) in [("int4", "fake"), ("mxfp4", "block")] {
        let plan = Plan::new(Preset::All, config(format, format, datapath, 5)?);
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

/// What is seen of a layer's values is that layer's, though two products stand behind it.
fn statistics() -> Result<(), Failed> {
    let of = |low_rank: usize| -> Result<Workload, Failed> {
        let plan = format!("format = \"mxfp8\"\nsparsity = \"2:4\"\norder = \"sq\"\nlow_rank = {low_rank}");
        Ok(Session::new(opt()?, Plan::from_toml(&plan)?)?.observed_workload(ids(6))?)
    };
    let (plain, corrected) = (of(0)?, of(4)?);
    let thin = |name: &str| name.contains(".low_rank.");
    assert_eq!(corrected.layers.iter().filter(|layer| thin(&layer.gemm.name)).count(), 2 * 2 * 6);
    let own = corrected.layers.iter().filter(|layer| !thin(&layer.gemm.name));
    for (plain, corrected) in plain.layers.iter().zip(own) {
        assert_eq!(plain.gemm, corrected.gemm);
        assert_eq!(plain.statistics.is_some(), corrected.statistics.is_some(), "{}", plain.gemm.name);
        let zeros = |layer: &interplay::hw::Layer| layer.statistics.map(|seen| seen.weight_zeros);
        assert_eq!(zeros(plain), zeros(corrected), "{}", plain.gemm.name);
    }
    assert!(corrected.layers.iter().all(|layer| !thin(&layer.gemm.name) || layer.statistics.is_none()));
    Ok(())
}

fn files() -> Result<(), Failed> {
    let plan = Plan::from_toml(
        "format = \"mxfp8\"\nlow_rank = 16\n[[layer]]\nmatch = \"fc1\"\nformat = \"int8\"\nlow_rank = 0\n[[layer]]\nmatch = \"fc2\"\nlow_rank = 2\nformat = \"int4\"",
    )?;
    assert_eq!(plan.base.correction, Some(Correction { rank: 16 }));
    let ranks: Vec<_> =
        plan.rules.iter().map(|rule| rule.config.as_ref().and_then(|config| config.correction)).collect();
    assert_eq!(ranks, [None, Some(Correction { rank: 2 })]);
    for (text, part) in [
        ("low_rank = -1", "`low_rank` is -1, not a whole number from 0"),
        ("[[layer]]\nmatch = \"fc1\"\nlow_rank = 1.5", "`low_rank` is 1.5"),
        ("lowrank = 1", "unknown key `lowrank`"),
    ] {
        let error = Plan::from_toml(text).err().ok_or(text)?.to_string();
        assert!(error.contains(part), "{error}");
    }
    // A layer that stays as it came has lost nothing.
    let captured = capture(&layer(), |l: &Linear, x: Tensor<2>| l.forward(x), &tensor([2, 24], 1))?;
    let units = Units::new(&captured, &Plan::from_toml("format = \"fp32\"\nlow_rank = 4")?, "")?;
    assert_eq!(units.placements()[0].footprint.map(Footprint::total), Some(32 * 24 * 10));
    assert_eq!(units.workload(&captured)?.layers.len(), 1);
    Ok(())
}

fn refusals() -> Result<(), Failed> {
    let [_, k, _] = SHAPE;
    let correction = Some(Correction { rank: 2 });
    let config = config("int8", "int8", "int8", 2)?;
    let given = Layer::new(k, rows(&layer()));
    let given = LayerConfig { correction, ..LayerConfig::of_layer(Arc::new(given), Format::by_name("int8")?, None) };
    let error = run(&layer(), &tensor([2, k], 1), given).err().ok_or("given weights were corrected")?;
    assert!(format!("{error:?}").contains("low_rank"), "{error:?}");
    let error = Emulation::new("fc1", config.clone()).err().ok_or("it was taken")?.to_string();
    assert!(error.contains("`fc1` has a low-rank correction"), "{error}");
    assert!(Emulation::new("fc1", LayerConfig { correction: Some(Correction { rank: 0 }), ..config }).is_ok());
    // A NaN is the unit's to refuse, by the layer's name.
    let error = run(&layer(), &(tensor([2, k], 1) * f32::NAN), self::config("int8", "int8", "int8", 2)?);
    assert!(format!("{:?}", error.err().ok_or("a NaN was taken")?).contains("NaN"));
    Ok(())
}
