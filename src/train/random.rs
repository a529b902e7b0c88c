//! Seeded randomness: SplitMix64, and model weights drawn from it by name.
//!
//! Every stream is made from a seed and a label, so that adding one stream never shifts another.

use std::sync::Mutex;

use crate::Error;
use crate::models::Weights;

/// The SplitMix64 generator (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// A stream that depends on `seed` and on every byte of `label`.
    pub fn new(seed: u64, label: &str) -> Self {
        let mut stream = Self(seed);
        for byte in label.bytes() {
            stream.0 = stream.next_u64() ^ u64::from(byte);
        }
        stream
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `[0, 1)`, with 24 bits.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Uniform in `0..bound` (multiply-shift: the bias is below 2^-32 for the bounds used here).
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Standard normal (Box-Muller).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * f64::from(1.0 - self.uniform()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * f64::from(self.uniform())).cos()) as f32
    }

    /// Shuffles in place (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Initial weights as a checkpoint: norm scales are one, biases zero, everything else is normal with the given deviation.
///
/// Branch outputs (`residual` names) are scaled down so that the residual stream starts near the same size at any depth.
#[derive(Debug)]
pub struct Initial {
    seed: u64,
    deviation: f32,
    residual_deviation: f32,
    residual: &'static [&'static str],
    names: Mutex<Vec<(String, Vec<usize>)>>,
}

impl Initial {
    /// Weights of standard deviation 0.02 for a model of `layers` blocks whose branches end in the layers named `residual`.
    pub fn new(seed: u64, layers: usize, residual: &'static [&'static str]) -> Self {
        let deviation = 0.02;
        let residual_deviation = deviation / ((2 * layers.max(1)) as f32).sqrt();
        Self { seed, deviation, residual_deviation, residual, names: Mutex::default() }
    }

    /// The tensors asked for so far, in order: the parameters of the model that was built.
    pub fn names(&self) -> Vec<(String, Vec<usize>)> {
        self.names.lock().map(|names| names.clone()).unwrap_or_default()
    }
}

impl Weights for Initial {
    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        if let Ok(mut names) = self.names.lock() {
            names.push((name.to_owned(), shape.to_vec()));
        }
        let count = shape.iter().product();
        if name.ends_with(".bias") {
            return Ok(vec![0.0; count]);
        }
        if shape.len() == 1 {
            return Ok(vec![1.0; count]);
        }
        let residual = self.residual.iter().any(|layer| name.ends_with(&format!(".{layer}.weight")));
        let deviation = if residual { self.residual_deviation } else { self.deviation };
        let mut stream = SplitMix64::new(self.seed, name);
        Ok((0..count).map(|_| stream.normal() * deviation).collect())
    }

    fn has(&self, name: &str) -> bool {
        name.starts_with("model.")
    }
}

#[cfg(test)]
mod tests {
    use super::SplitMix64;

    #[test]
    fn first_output_is_the_published_one() {
        // Seed 0 of the reference implementation.
        assert_eq!(SplitMix64(0).next_u64(), 0xe220_a839_7b1d_cdaf);
    }

    #[test]
    fn labels_make_streams() {
        let first = |seed, label| SplitMix64::new(seed, label).next_u64();
        assert_eq!(first(1, "a"), first(1, "a"));
        assert_ne!(first(1, "a"), first(1, "b"));
        assert_ne!(first(1, "a"), first(2, "a"));
    }

    #[test]
    fn shuffle_keeps_the_items() {
        let mut items: Vec<_> = (0..100).collect();
        SplitMix64::new(3, "shuffle").shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
