//! Test blocks by seed and index, and blocks cut from real weights.

mod adversarial;

use super::normal;
use interplay_formats::Stream;
use serde::{Deserialize, Serialize};

/// The standard deviation of Gaussian blocks and the scale of heavy-tailed ones: about that of a transformer's weights.
pub const SIGMA: f64 = 0.02;

/// Where the values of drawn blocks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Family {
    /// Independent normal values of deviation [`SIGMA`].
    Gaussian,
    /// Student's t with 2 degrees of freedom, times [`SIGMA`]: no variance, so that most blocks have an outlier.
    HeavyTailed,
    /// What rounding and ranking find hard: near ties, largest magnitudes at powers of two, one huge value among tiny ones, values on
    /// grids and half way between, zeros, subnormals.
    Adversarial,
}

impl Family {
    /// Every family.
    pub const ALL: [Self; 3] = [Self::Gaussian, Self::HeavyTailed, Self::Adversarial];

    /// The name that files use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::HeavyTailed => "heavy-tailed",
            Self::Adversarial => "adversarial",
        }
    }

    /// Fills `out` with whole blocks of `len` values, the block of index `first` first. A block depends on the family, the seed and its
    /// index alone. What remains at the end of `out` is left as it was.
    pub fn fill(self, seed: u64, len: usize, first: u64, out: &mut [f32]) {
        // Families draw from different streams: the upper bits of the key tell them apart.
        let stream = Stream::new(seed ^ ((self as u64 + 1) << 56));
        let mut words = vec![0; (2 * len + adversarial::HEAD).next_multiple_of(4)];
        for (index, block) in (first..).zip(out.chunks_exact_mut(len.max(1))) {
            let used = if self == Self::Adversarial { words.len() } else { len };
            stream.fill(index.wrapping_mul(words.len() as u64), &mut words[..used]);
            match self {
                Self::Gaussian => draw(block, &words, normal::quantile),
                Self::HeavyTailed => draw(block, &words, normal::heavy_quantile),
                Self::Adversarial => adversarial::block(&words, block),
            }
        }
    }
}

fn draw(block: &mut [f32], words: &[u32], quantile: impl Fn(u32) -> f64) {
    block.iter_mut().zip(words).for_each(|(v, &word)| *v = (SIGMA * quantile(word)) as f32);
}

/// Cuts a weight matrix with rows of `width` into blocks of `rows` x `k` consecutive values, each row-major, in the order of the
/// matrix. What is left at the right and at the bottom is dropped; so is a block with a value that is not finite.
pub fn cut(weights: &[f32], width: usize, (rows, k): (usize, usize)) -> Vec<f32> {
    let mut blocks = Vec::with_capacity(weights.len());
    for band in weights.chunks_exact((rows * width).max(1)) {
        for start in (0..width / k.max(1)).map(|block| block * k) {
            let lines = band.chunks_exact(width).map(|row| &row[start..start + k]);
            if lines.clone().flatten().all(|v| v.is_finite()) {
                lines.for_each(|line| blocks.extend_from_slice(line));
            }
        }
    }
    blocks
}
