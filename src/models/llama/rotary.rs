//! Rotary positions: each pair of a head's values is turned by an angle that grows with the position.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};

/// Which values of a head rotate together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pairs {
    /// Value `i` with value `i + width/2`: checkpoints in Hugging Face's layout.
    #[default]
    Halves,
    /// Value `2i` with value `2i + 1`: LLaMA as GGUF files store it.
    Adjacent,
}

/// The rotation of heads of one width.
#[derive(Module, Debug)]
pub struct Rotary {
    /// Whether pairs are adjacent.
    adjacent: bool,
    /// Width of a head, even.
    width: usize,
    /// Base of the frequencies.
    theta: f64,
}

impl Rotary {
    /// The rotation of heads of `width` values with base `theta`.
    pub fn new(pairs: Pairs, width: usize, theta: f64) -> Self {
        Self { adjacent: pairs == Pairs::Adjacent, width, theta }
    }

    /// Cosines and sines `[T, width/2]` of positions `0..positions`.
    ///
    /// The frequency and the angle are rounded to `f32` as PyTorch models do: at position 1000 that rounding is
    /// visible, and checkpoints were trained with it.
    pub fn tables(&self, positions: usize, device: &Device) -> [Tensor<2>; 2] {
        let half = self.width / 2;
        let frequencies: Vec<f32> =
            (0..half).map(|i| 1.0 / self.theta.powf(2.0 * i as f64 / self.width as f64) as f32).collect();
        let angles: Vec<f32> =
            (0..positions).flat_map(|t| frequencies.iter().map(move |frequency| t as f32 * frequency)).collect();
        [f64::cos, f64::sin].map(|function| {
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
        let rotary = Rotary::new(pairs, 4, 100.0);
        let x = Tensor::<4>::from_data(TensorData::new([[0.0; 4], values].concat(), [1, 1, 2, 4]), &device);
        let y = rotary.rotate(x, &rotary.tables(2, &device));
        y.into_data().try_to_vec::<f32>().unwrap_or_default()[4..].to_vec()
    }

    /// At position 1 with base 100 and width 4 the pairs turn by 1 and 1/10 radian.
    #[test]
    fn both_layouts_turn_the_same_pairs() {
        let (c, s) = (1f32.cos(), 1f32.sin());
        let (d, t) = (0.1f32.cos(), 0.1f32.sin());
        let want = [c - 2.0 * s, s + 2.0 * c, 3.0 * d - 4.0 * t, 3.0 * t + 4.0 * d];
        let close = |got: &[f32], want: &[f32]| {
            got.len() == want.len() && got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-6)
        };
        assert!(close(&rotated(Pairs::Adjacent, [1.0, 2.0, 3.0, 4.0]), &want));
        assert!(close(&rotated(Pairs::Halves, [1.0, 3.0, 2.0, 4.0]), &[want[0], want[2], want[1], want[3]]));
    }
}
