//! Rotary positions: each pair of a head's values is turned by an angle that grows with the position.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

use crate::formats::math;

/// Which values of a head rotate together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pairs {
    /// Value `i` with value `i + width/2`: checkpoints in Hugging Face's layout.
    #[default]
    Halves,
    /// Value `2i` with value `2i + 1`: LLaMA as GGUF files store it.
    Adjacent,
}

/// How frequencies are changed for contexts longer than those of training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scaling {
    /// Not at all.
    None,
    /// Each frequency is divided by `factor`.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// LLaMA 3.1's: waves that turn at least `high` times in the training context keep their frequency, those that turn at most
    /// `low` times have it divided by `factor`, and the share of the undivided one grows linearly in between.
    Llama3 {
        /// The divisor.
        factor: f64,
        /// Turns below which the frequency is divided.
        low: f64,
        /// Turns above which it stays.
        high: f64,
        /// Positions of the training context.
        context: f64,
    },
}

impl Scaling {
    /// What becomes of one frequency, in radians a position.
    fn apply(self, frequency: f64) -> f64 {
        match self {
            Self::None => frequency,
            Self::Linear { factor } => frequency / factor,
            Self::Llama3 { factor, low, high, context } => {
                let turns = context * frequency / std::f64::consts::TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                kept * frequency + (1.0 - kept) * frequency / factor
            }
        }
    }
}

/// The rotation of heads of one width.
#[derive(Module, Debug)]
pub struct Rotary {
    /// Whether pairs are adjacent.
    adjacent: bool,
    /// Radians a position, one for each pair.
    #[module(skip)]
    frequencies: Vec<f32>,
}

impl Rotary {
    /// The rotation of heads of `width` values, an even number, with base `theta`.
    ///
    /// Frequencies and angles are rounded to `f32` as PyTorch models do: at position 1000 that rounding is visible, and
    /// checkpoints were trained with it.
    pub fn new(pairs: Pairs, width: usize, theta: f64, scaling: Scaling) -> Self {
        let plain = |i: usize| 1.0 / math::powf(theta, 2.0 * i as f64 / width as f64) as f32;
        let frequencies = (0..width / 2).map(|i| scaling.apply(f64::from(plain(i))) as f32).collect();
        Self { adjacent: pairs == Pairs::Adjacent, frequencies }
    }

    /// The same rotation with each frequency divided by its factor, one for each pair.
    pub fn divided(mut self, factors: &[f32]) -> Self {
        self.frequencies.iter_mut().zip(factors).for_each(|(frequency, factor)| *frequency /= factor);
        self
    }

    /// Cosines and sines `[T, width/2]` of positions `0..positions`.
    pub fn tables(&self, positions: usize, device: &Device) -> [Tensor<2>; 2] {
        let half = self.frequencies.len();
        let angles: Vec<f32> =
            (0..positions).flat_map(|t| self.frequencies.iter().map(move |frequency| t as f32 * frequency)).collect();
        [math::cos, math::sin].map(|function| {
            let values: Vec<f32> = angles.iter().map(|&angle| function(f64::from(angle)) as f32).collect();
            Tensor::from_data(TensorData::new(values, [positions, half]), device)
        })
    }

    /// Rotates `[B, heads, T, width]` with the tables of `T` positions.
    pub fn rotate(&self, x: Tensor<4>, [cos, sin]: &[Tensor<2>; 2]) -> Tensor<4> {
        let [batch, heads, positions, width] = x.dims();
        let half = width / 2;
        // The two members of the pairs are rows of the axis `member`, whatever the layout.
        let (shape, member) = if self.adjacent { ([half, 2], 4) } else { ([2, half], 3) };
        let x = x.reshape([batch, heads, positions, shape[0], shape[1]]);
        let part = |i| x.clone().narrow(member, i, 1).reshape([batch, heads, positions, half]);
        let (a, b) = (part(0), part(1));
        let (cos, sin) = (cos.clone().unsqueeze::<4>(), sin.clone().unsqueeze::<4>());
        let turned = [a.clone() * cos.clone() - b.clone() * sin.clone(), a * sin + b * cos];
        Tensor::stack::<5>(turned.to_vec(), member).reshape([batch, heads, positions, width])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotated(pairs: Pairs, values: [f32; 4]) -> Vec<f32> {
        let device = Device::flex();
        let rotary = Rotary::new(pairs, 4, 100.0, Scaling::None);
        let x = Tensor::<4>::from_data(TensorData::new([[0.0; 4], values].concat(), [1, 1, 2, 4]), &device);
        let y = rotary.rotate(x, &rotary.tables(2, &device));
        y.into_data().try_to_vec::<f32>().unwrap_or_default()[4..].to_vec()
    }

    /// At position 1 with base 100 and width 4 the pairs turn by 1 and 1/10 radian.
    #[test]
    fn both_layouts_turn_the_same_pairs() {
        let (c, s) = (math::cos(1.0) as f32, math::sin(1.0) as f32);
        let (d, t) = (math::cos(0.1) as f32, math::sin(0.1) as f32);
        let want = [c - 2.0 * s, s + 2.0 * c, 3.0 * d - 4.0 * t, 3.0 * t + 4.0 * d];
        let close = |got: &[f32], want: &[f32]| {
            got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6)
        };
        assert!(close(&rotated(Pairs::Adjacent, [1.0, 2.0, 3.0, 4.0]), &want));
        assert!(close(&rotated(Pairs::Halves, [1.0, 3.0, 2.0, 4.0]), &[want[0], want[2], want[1], want[3]]));
    }

    /// Waves of 8, 4 and 1 turns in the context, with bounds of 2 and 6 turns and a divisor of 4.
    #[test]
    fn long_waves_are_divided_and_short_ones_kept() {
        let scaling = Scaling::Llama3 { factor: 4.0, low: 2.0, high: 6.0, context: 64.0 };
        let scaled = |turns: f64| scaling.apply(turns * std::f64::consts::TAU / 64.0) * 64.0 / std::f64::consts::TAU;
        for (turns, want) in [(8.0, 8.0), (4.0, 0.5 * 4.0 + 0.5 * 1.0), (1.0, 0.25)] {
            // Three roundings in f64.
            assert!((scaled(turns) - want).abs() < 1e-14, "{turns}");
        }
        assert_eq!(Scaling::Linear { factor: 2.0 }.apply(3.0), 1.5);
    }
}
