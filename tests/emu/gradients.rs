//! The backward pass: finite differences, the straight-through rule by hand, and rounded gradients.

use burn::module::{Module, Param};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::tanh;
use burn::tensor::{Device, Tensor, TensorData};
use interplay::emu::{EmuLinear, Emulation, matmul};
use interplay::formats::{Format, Order, Pattern};
use interplay::hw::Datapath;
use interplay::plan::LayerConfig;
use libtest_mimic::{Failed, Trial};

use super::host;
use crate::exec::modules::{bits, tensor, values};

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("emu::gradients_are_those_of_finite_differences", differences),
        Trial::test("emu::straight_through_by_hand", by_hand),
        Trial::test("emu::gradients_are_rounded_before_both_products", rounded),
        Trial::test("emu::only_what_is_tracked_gets_a_gradient", tracked),
        Trial::test("emu::off_has_the_gradients_of_burn", off),
        Trial::test("emu::outputs_in_bf16_pass_gradients_on", narrow),
    ]
}

/// Two layers with a tanh between.
#[derive(Module, Debug)]
struct Two {
    first: EmuLinear,
    second: EmuLinear,
}

const SHAPE: [usize; 4] = [5, 6, 4, 3];

impl Two {
    /// Under FP32 emulation: the operation of the backend extension, with nothing rounded.
    fn new() -> Result<Self, Failed> {
        let config = LayerConfig { datapath: Some(Datapath::by_name("fake")?), ..LayerConfig::fp32() };
        let layer = |name: &str, k, n, seed| {
            let weight = Param::from_tensor(tensor([k, n], seed).autodiff().require_grad());
            let bias = Some(Param::from_tensor(tensor([n], seed + 1).autodiff().require_grad()));
            let layer = EmuLinear::from(Linear { weight, bias });
            Ok::<_, Failed>(layer.emulated(Some(Emulation::new(name, config.clone())?))?)
        };
        let [_, k, hidden, n] = SHAPE;
        Ok(Self { first: layer("first", k, hidden, 10)?, second: layer("second", hidden, n, 20)? })
    }

    fn loss(&self, x: Tensor<2>) -> Tensor<1> {
        self.second.forward(tanh(self.first.forward(x))).powi_scalar(2).sum()
    }
}

/// The same loss in FP64, of the parameters `w1 b1 w2 b2 x` one after another.
fn loss(p: &[f64]) -> f64 {
    let [m, k, h, n] = SHAPE;
    let (w1, rest) = p.split_at(k * h);
    let (b1, rest) = rest.split_at(h);
    let (w2, rest) = rest.split_at(h * n);
    let (b2, x) = rest.split_at(n);
    let layer = |x: &[f64], w: &[f64], b: &[f64], k: usize, n: usize| -> Vec<f64> {
        (0..x.len() / k * n)
            .map(|i| b[i % n] + (0..k).map(|j| x[i / n * k + j] * w[j * n + i % n]).sum::<f64>())
            .collect()
    };
    let hidden: Vec<f64> = layer(x, w1, b1, k, h).into_iter().map(f64::tanh).collect();
    assert_eq!(x.len(), m * k);
    layer(&hidden, w2, b2, h, n).into_iter().map(|y| y * y).sum()
}

fn differences() -> Result<(), Failed> {
    let model = Two::new()?;
    let x = tensor::<2>([SHAPE[0], SHAPE[1]], 30).autodiff().require_grad();
    let gradients = model.loss(x.clone()).backward();
    let layer = |l: &EmuLinear| {
        let bias = l.bias.as_ref().expect("it has one").val();
        [
            (host(l.weight.val()), l.weight.val().grad(&gradients).map(host)),
            (host(bias.clone()), bias.grad(&gradients).map(host)),
        ]
    };
    let parts = layer(&model.first)
        .into_iter()
        .chain(layer(&model.second))
        .chain([(host(x.clone()), x.grad(&gradients).map(host))]);
    let (mut at, mut got) = (Vec::new(), Vec::new());
    for (values, gradient) in parts {
        at.extend(values.into_iter().map(f64::from));
        got.extend(gradient.ok_or("a parameter without a gradient")?);
    }
    // Central differences of the FP64 function: truncation below h^2 = 1e-10 times a third derivative of order 10, rounding below 1e-10.
    let h = 1e-5;
    let largest = got.iter().fold(0f32, |a, g| a.max(g.abs()));
    for (i, &got) in got.iter().enumerate() {
        let moved = |d: f64| {
            let mut at = at.clone();
            at[i] += d;
            loss(&at)
        };
        let want = (moved(h) - moved(-h)) / (2.0 * h);
        // A gradient is sums of at most 20 products of numbers with FP32 errors of a few units: 64 units of the largest gradient.
        let bound = 64.0 * f64::from(f32::EPSILON) * f64::from(largest);
        assert!((f64::from(got) - want).abs() < bound, "parameter {i}: {got} instead of {want}");
    }
    Ok(())
}

/// One row through a layer of two outputs in INT4 with 2:4: everything is small enough to be done by hand.
///
/// The scale of both columns of w is 7/7 = 1. By magnitude 2:4 keeps two of each column's four.
fn by_hand() -> Result<(), Failed> {
    let device = Device::flex().autodiff();
    let config = LayerConfig::new(Format::by_name("int4")?, "2:4".parse::<Pattern>()?, Order::Sq)?;
    let emulation = Emulation::new("layer", config)?;
    let w = Tensor::<2>::from_floats([[7.0, 0.4], [-2.6, 7.0], [1.0, -3.2], [0.2, 2.0]], &device).require_grad();
    // Scale 1 as well: 7, -2, 4 (a tie to even), 0.
    let x = Tensor::<2>::from_floats([[7.0, -2.4, 4.5, 0.3]], &device).require_grad();
    let y = matmul(x.clone(), w.clone(), &emulation);
    // Stored weights: columns (7, -3, 0, 0) and (0, 7, -3, 0).
    assert_eq!(host(y.clone()), [7.0 * 7.0 + 2.0 * 3.0, -2.0 * 7.0 - 4.0 * 3.0]);
    let g = Tensor::<2>::from_floats([[0.5, 2.0]], &device);
    let gradients = (y * g).sum().backward();
    let dx = x.grad(&gradients).map(host).ok_or("no gradient of x")?;
    assert_eq!(dx, [3.5, -1.5 + 14.0, -6.0, 0.0]);
    let dw = w.grad(&gradients).map(host).ok_or("no gradient of w")?;
    // Rounded inputs times g, at the positions of pruned weights too.
    assert_eq!(dw, [3.5, 14.0, -1.0, -4.0, 2.0, 8.0, 0.0, 0.0]);
    Ok(())
}

/// Against the two products written out, with every operand rounded by the formats crate.
fn rounded() -> Result<(), Failed> {
    let (m, k, n) = (6, 70, 40);
    let device = Device::flex().autodiff();
    let format = Format::by_name("hbfp4")?;
    let config = LayerConfig::new(format, Pattern::Dense, Order::None)?;
    let emulation = Emulation::new("layer", config)?.with_gradients(format);
    let x = tensor::<3>([2, m / 2, k], 1).autodiff().require_grad();
    let w = tensor::<2>([k, n], 2).autodiff().require_grad();
    let g = values(m * n, 3);
    let given = Tensor::<3>::from_data(TensorData::new(g.clone(), [2, m / 2, n]), &device);
    let gradients = (matmul(x.clone(), w.clone(), &emulation) * given).sum().backward();
    let fake = |mut values: Vec<f32>, k: usize| format.fake_quantize(&mut values, k).map(|()| values);
    let (xs, gs) = (fake(host(x.clone()), k)?, fake(g, n)?);
    let columns = host(w.clone().transpose());
    let ws = fake(columns, k)?;
    let sum =
        |terms: &mut dyn Iterator<Item = (f32, f32)>| terms.map(|(a, b)| f64::from(a) * f64::from(b)).sum::<f64>();
    let dx = x.grad(&gradients).map(host).ok_or("no gradient of x")?;
    let dw = w.grad(&gradients).map(host).ok_or("no gradient of w")?;
    // Burn sums 40 and 6 products of numbers below 1 in FP32: less than a hundred roundings of 2^-24 of a sum below 40.
    let bound = 100.0 * 40.0 * 2f64.powi(-24);
    for (i, &got) in dx.iter().enumerate() {
        let want = sum(&mut (0..n).map(|j| (gs[i / k * n + j], ws[j * k + i % k])));
        assert!((f64::from(got) - want).abs() < bound, "dx {i}: {got} instead of {want}");
    }
    for (i, &got) in dw.iter().enumerate() {
        let want = sum(&mut (0..m).map(|r| (xs[r * k + i / n], gs[r * n + i % n])));
        assert!((f64::from(got) - want).abs() < bound, "dw {i}: {got} instead of {want}");
    }
    // The rounding of gradients is not a small matter at 3 bits: without it the result is another one.
    let plain = Emulation::new("layer", emulation.config().clone())?;
    let other = matmul(x.clone(), w.clone(), &plain);
    let given = Tensor::<3>::from_data(TensorData::new(values(m * n, 3), [2, m / 2, n]), &device);
    let other = w.grad(&(other * given).sum().backward()).map(host).ok_or("no gradient of w")?;
    assert!(other.iter().zip(&dw).any(|(a, b)| f64::from(a - b).abs() > bound));
    Ok(())
}

fn tracked() -> Result<(), Failed> {
    let emulation = Emulation::new("layer", LayerConfig::new(Format::by_name("mxfp8")?, Pattern::Dense, Order::None)?)?;
    let (x, w) = (tensor::<2>([3, 32], 1).autodiff(), tensor::<2>([32, 4], 2).autodiff());
    let of_w = w.clone().require_grad();
    let gradients = matmul(x.clone(), of_w.clone(), &emulation).sum().backward();
    assert!(of_w.grad(&gradients).is_some() && x.grad(&gradients).is_none());
    let of_x = x.require_grad();
    let gradients = matmul(of_x.clone(), w.clone(), &emulation).sum().backward();
    assert!(of_x.grad(&gradients).is_some() && w.grad(&gradients).is_none());
    Ok(())
}

/// A layer without an emulation trains as Burn's own, bit for bit.
fn off() -> Result<(), Failed> {
    let device = Device::flex().autodiff();
    let linear = LinearConfig::new(20, 6).init(&device);
    let x = tensor::<3>([2, 5, 20], 1).autodiff().require_grad();
    let plain = EmuLinear::from(linear.clone());
    let of = |y: Tensor<3>| {
        let gradients = y.powi_scalar(2).sum().backward();
        let bias = linear.bias.as_ref().expect("it has one").val();
        (x.grad(&gradients).map(bits), linear.weight.val().grad(&gradients).map(bits), bias.grad(&gradients).map(bits))
    };
    let want = of(linear.forward(x.clone()));
    assert!(want.1.is_some());
    assert_eq!(of(plain.forward(x.clone())), want);
    Ok(())
}

/// The roundings around a bias count as the identity.
fn narrow() -> Result<(), Failed> {
    let config = LayerConfig::new(Format::by_name("interplay-mxfp8")?, Pattern::Dense, Order::None)?;
    let linear = LinearConfig::new(32, 4).init(&Device::flex().autodiff());
    let layer = EmuLinear::from(linear).emulated(Some(Emulation::new("layer", config)?))?;
    let y = layer.forward(tensor::<2>([3, 32], 1).autodiff());
    assert!(host(y.clone()).iter().all(|v| v.to_bits() & 0xffff == 0), "outputs are in bf16");
    let gradients = y.sum().backward();
    let bias = layer.bias.as_ref().expect("it has one").val();
    assert_eq!(bias.grad(&gradients).map(host), Some(vec![3.0; 4]));
    Ok(())
}
