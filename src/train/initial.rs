//! The weights that training starts from, as a checkpoint, so that a model is built by the code that loads real ones.

use std::f32::consts::PI;

use super::random::SplitMix64;
use crate::Error;
use crate::models::Weights;

/// Standard deviation of the weights.
const DEVIATION: f32 = 0.02;

/// Initial weights: norm scales are one, biases zero, everything else is normal with a standard deviation of 0.02.
///
/// The last layers of branches (`residual` names) are scaled down so that the residual stream starts near the same size at any
/// depth.
#[derive(Debug)]
pub struct Initial {
    seed: u64,
    residual_deviation: f32,
    residual: &'static [&'static str],
    waves: Option<Waves>,
}

impl Initial {
    /// Weights for a model of `layers` blocks whose branches end in the layers named `residual`.
    pub fn new(seed: u64, layers: usize, residual: &'static [&'static str]) -> Self {
        let residual_deviation = DEVIATION / ((2 * layers.max(1)) as f32).sqrt();
        Self { seed, residual_deviation, residual, waves: None }
    }

    /// Starts a decoder with positions as waves and first-block heads that look back by fixed distances, see [`Waves`].
    pub fn with_waves(self, waves: Waves) -> Self {
        Self { waves: Some(waves), ..self }
    }
}

impl Weights for Initial {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let count = shape.iter().product();
        if name.ends_with(".bias") {
            return Ok(vec![0.0; count]);
        }
        if shape.len() == 1 {
            return Ok(vec![1.0; count]);
        }
        let residual = self.residual.iter().any(|layer| name.ends_with(&format!(".{layer}.weight")));
        let deviation = if residual { self.residual_deviation } else { DEVIATION };
        let mut stream = SplitMix64::new(self.seed, name);
        let mut values: Vec<f32> = (0..count).map(|_| stream.normal() * deviation).collect();
        match (&self.waves, shape) {
            (Some(waves), &[_, width]) => waves.shape(name, width, &mut values),
            (_, &[1, positions, width]) if name.ends_with(".position_embeddings") && positions > 1 => {
                grid(width, &mut values);
            }
            _ => {}
        }
        Ok(values)
    }

    fn has(&self, name: &str) -> bool {
        name.starts_with("model.")
    }
}

/// Size of the waves over a grid, about that of an embedded patch with a stroke in it.
const GRID_AMPLITUDE: f32 = 0.1;
/// The longest wave over a grid, as a multiple of the shortest.
const GRID_SPAN: f32 = 10.0;

/// Positions of a class token (left as it is) and of a square of patches, the latter as sines and cosines of row and column as
/// in Chen, Xie and He (2021): neighbours begin alike, and training goes on from there.
fn grid(width: usize, values: &mut [f32]) {
    let patches = values.len() / width - 1;
    let side = patches.isqrt();
    let count = width / 4;
    for (patch, row) in values.chunks_exact_mut(width).skip(1).enumerate() {
        let place = [(patch / side) as f32, (patch % side) as f32];
        for (i, four) in row.chunks_exact_mut(4).enumerate() {
            let frequency = GRID_SPAN.powf(-(i as f32) / count as f32);
            let waves = place.map(|coordinate| (frequency * coordinate).sin_cos());
            four.copy_from_slice(&[waves[0].0, waves[0].1, waves[1].0, waves[1].1].map(|wave| GRID_AMPLITUDE * wave));
        }
    }
}

/// A start for learned positions that saves a small corpus the trouble of discovering what "the token before" is.
///
/// Positions begin as sines and cosines of frequencies drawn uniformly below pi, as in Vaswani et al. (2017) but kept to the
/// first features. In the first block, head `h` of [`Waves::LOOKING`] begins with queries that are those waves and keys that are
/// the same waves shifted by `h + 1` positions, so their product is largest `h + 1` positions back. All of it is trained on.
#[derive(Debug)]
pub struct Waves {
    frequencies: Vec<f32>,
    head_width: usize,
}

impl Waves {
    /// Heads that begin by looking back: one token, two tokens, and so on.
    pub const LOOKING: usize = 3;
    /// Size of the waves beside token embeddings of deviation 0.02.
    const AMPLITUDE: f32 = 0.06;
    /// Size of the query and key weights: a peak of about 9 in the scores.
    const GAIN: f32 = 0.8;

    /// Waves for heads of `head_width` features: one frequency for two features.
    pub fn new(seed: u64, head_width: usize) -> Self {
        let mut stream = SplitMix64::new(seed, "waves");
        Self { frequencies: (0..head_width / 2).map(|_| stream.uniform() * PI).collect(), head_width }
    }

    /// Overwrites what this start decides of the tensor `name` `[_, width]`.
    fn shape(&self, name: &str, width: usize, values: &mut [f32]) {
        if name.ends_with("decoder.embed_positions.weight") {
            for (position, row) in values.chunks_exact_mut(width).enumerate() {
                for (pair, frequency) in row.chunks_exact_mut(2).zip(&self.frequencies) {
                    let angle = frequency * position as f32;
                    pair.copy_from_slice(&[Self::AMPLITUDE * angle.sin(), Self::AMPLITUDE * angle.cos()]);
                }
            }
        } else if name.ends_with("decoder.layers.0.self_attn.q_proj.weight") {
            self.look(width, values, |_| 0.0);
        } else if name.ends_with("decoder.layers.0.self_attn.k_proj.weight") {
            self.look(width, values, |head| (head + 1) as f32);
        }
    }

    /// Rows `[head * head_width ..]` of a projection `[out, in]`: the waves moved `shift(head)` positions ahead.
    fn look(&self, width: usize, values: &mut [f32], shift: impl Fn(usize) -> f32) {
        for (head, rows) in values.chunks_exact_mut(self.head_width * width).take(Self::LOOKING).enumerate() {
            rows.fill(0.0);
            for (i, frequency) in self.frequencies.iter().enumerate() {
                // sin(a + b) and cos(a + b) from sin(a) in feature 2i and cos(a) in feature 2i + 1.
                let (sin, cos) = (frequency * shift(head)).sin_cos();
                rows[2 * i * width + 2 * i] = Self::GAIN * cos;
                rows[2 * i * width + 2 * i + 1] = Self::GAIN * sin;
                rows[(2 * i + 1) * width + 2 * i] = -Self::GAIN * sin;
                rows[(2 * i + 1) * width + 2 * i + 1] = Self::GAIN * cos;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(weights: &[f32], row: &[f32], head_width: usize, head: usize) -> Vec<f32> {
        let rows = weights.chunks_exact(row.len()).skip(head * head_width).take(head_width);
        rows.map(|weights| weights.iter().zip(row).map(|(w, x)| w * x).sum()).collect()
    }

    #[test]
    fn grid_neighbours_begin_alike() {
        let values = Initial::new(1, 1, &[]).get("vit.embeddings.position_embeddings", &[1, 50, 128]).unwrap();
        let rows: Vec<&[f32]> = values.chunks_exact(128).skip(1).collect();
        let gap = |a: usize, b: usize| rows[a].iter().zip(rows[b]).map(|(x, y)| (x - y) * (x - y)).sum::<f32>();
        assert!((gap(0, 1) - gap(0, 7)).abs() < 1e-4 && gap(0, 1) > 0.0);
        assert!(gap(0, 1) < gap(0, 2) && gap(0, 2) < gap(0, 16));
    }

    #[test]
    fn heads_begin_by_looking_back() {
        let (width, head_width) = (192, 32);
        let initial = Initial::new(1, 3, &[]).with_waves(Waves::new(1, head_width));
        let get = |name: &str, rows| initial.get(&format!("model.decoder.{name}.weight"), &[rows, width]).unwrap();
        let positions = get("embed_positions", 64);
        let (q, k) = (get("layers.0.self_attn.q_proj", width), get("layers.0.self_attn.k_proj", width));
        // Only the waves: what lies behind them is where tokens are.
        let wave =
            |position: usize| [&positions[position * width..][..head_width], &vec![0.0; width - head_width]].concat();
        for head in 0..Waves::LOOKING {
            let query = project(&q, &wave(40), head_width, head);
            let score = |position| {
                let key = project(&k, &wave(position), head_width, head);
                query.iter().zip(&key).map(|(q, k)| q * k).sum::<f32>()
            };
            let best = (0..=40).max_by(|&a, &b| score(a).total_cmp(&score(b)));
            assert_eq!(best, Some(40 - head - 1));
        }
    }
}
