//! A recipe, a pattern and the shape of a block: what is done to blocks, many at once, and where the theorems claim to hold.

use super::steps;
use crate::Error;
use interplay_formats::{Block, Encoding, Format, Overflow, Pattern, Rounding, Scope, Value};

/// The shape of one test block: a small matrix of its own, row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Shape {
    /// Rows.
    pub rows: usize,
    /// Values of a row.
    pub k: usize,
}

impl Shape {
    /// A shape in which the scales of a format have something to decide: at least 32 values, whole runs, and more than one row where
    /// rows share a scale.
    pub fn of(format: &Format) -> Self {
        match format.scaling.map(|s| s.block) {
            None => Self { rows: 1, k: 32 },
            Some(Block::Run(n)) => Self { rows: 1, k: n * 32usize.div_ceil(n) },
            Some(Block::Column) => Self { rows: 4, k: 16 },
            Some(Block::Tile { k, .. }) => Self { rows: 2, k: k * 32usize.div_ceil(k) },
            Some(Block::Tensor) => Self { rows: 2, k: 32 },
            Some(_) => Self { rows: 1, k: 64 },
        }
    }

    /// Values of a block.
    pub const fn len(self) -> usize {
        self.rows * self.k
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
}

/// What is examined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Case {
    /// The recipe.
    pub format: &'static Format,
    /// What is pruned, by magnitude; an unstructured share is taken of each block.
    pub pattern: Pattern,
    /// The shape of a block.
    pub shape: Shape,
}

/// Many blocks after quantisation.
pub(super) struct Rounded {
    pub(super) values: Vec<f32>,
    /// The widest gap under each scale, block after block; see [`steps`]. None where nobody asked.
    pub(super) steps: Vec<f64>,
}

impl Case {
    /// A case with the usual shape of its format.
    ///
    /// # Errors
    /// As [`Case::shaped`].
    pub fn new(format: &'static Format, pattern: Pattern) -> Result<Self, Error> {
        Self::shaped(format, pattern, Shape::of(format))
    }

    /// A case with any shape.
    ///
    /// # Errors
    /// An empty shape, or one that is not whole groups of pairs or whole tiles of the pattern.
    pub fn shaped(format: &'static Format, pattern: Pattern, shape: Shape) -> Result<Self, Error> {
        if shape.is_empty() {
            return Err(Error::Invalid("a test block has at least one row and one value a row".to_owned()));
        }
        pattern.check(shape.rows, shape.k)?;
        Ok(Self { format, pattern, shape })
    }

    /// Why theorem 3.5 is not asserted here, or `None` where it is: the record claims the law, rounding draws nothing, and the mask by
    /// magnitude cannot take the largest value of a block and leave a smaller one.
    pub fn unclaimed(&self) -> Option<&'static str> {
        if !self.format.laws.theorem_3_5 {
            return Some("the record does not claim it");
        }
        if !self.format.rounding.is_deterministic() {
            return Some("rounding draws random bits");
        }
        let run = match self.format.scaling.map(|s| s.block) {
            Some(Block::Run(n) | Block::Tile { k: n, .. }) if n < self.shape.k => n,
            _ => return self.unranked(),
        };
        match self.pattern {
            Pattern::NofM { m, .. } if !run.is_multiple_of(m) => Some("groups straddle blocks"),
            _ => self.unranked(),
        }
    }

    /// Patterns that rank sums of magnitudes.
    fn unranked(&self) -> Option<&'static str> {
        match self.pattern {
            Pattern::Dense | Pattern::Unstructured { .. } | Pattern::NofM { .. } => None,
            _ => Some("the pattern does not rank single values"),
        }
    }

    /// How many steps rounding adds to a magnitude at most: 1/2 to nearest, 0 toward zero, else 1. `None` where no such bound is
    /// claimed: zero is not on the grid, or the pattern does not rank single values.
    pub fn largest_round_up(&self) -> Option<f64> {
        let zero = !matches!(self.format.element.encoding, Encoding::Float { subnormals: false, .. });
        let claimed = zero && self.unranked().is_none();
        claimed.then_some(match self.format.rounding {
            Rounding::NearestEven | Rounding::NearestAway => 0.5,
            Rounding::TowardZero => 0.0,
            _ => 1.0,
        })
    }

    /// The groups of a block's values among which the pattern ranks: values of a group, and how many of them are kept.
    pub(super) fn groups(&self) -> Vec<(std::ops::Range<usize>, usize)> {
        let len = self.shape.len();
        let Pattern::NofM { n, m } = self.pattern else {
            let pruned = match self.pattern {
                Pattern::Unstructured { basis_points, .. } => {
                    (len as u128 * u128::from(basis_points) / 10_000) as usize
                }
                _ => 0,
            };
            return vec![(0..len, len - pruned)];
        };
        let starts = (0..self.shape.rows).flat_map(|row| (0..self.shape.k).step_by(m).map(move |start| (row, start)));
        let group = |(row, start): (usize, usize)| {
            let end = (start + m).min(self.shape.k);
            (row * self.shape.k + start..row * self.shape.k + end, n.min(end - start))
        };
        starts.map(group).collect()
    }

    /// Values in the format's input type, where it has one.
    pub(super) fn narrow(&self, x: &[f32]) -> Option<Vec<f32>> {
        let input = self.format.input?;
        let narrow = |&v: &f32| {
            let code = input.scalar.encode(Value::from_f32(v), input.rounding, Overflow::Infinity);
            code.map_or(f32::NAN, |code| input.scalar.decode(code).to_f32())
        };
        Some(x.iter().map(narrow).collect())
    }

    /// Quantises whole blocks, each on its own, with the gaps under their scales.
    pub(super) fn rounded(&self, x: &[f32], seed: u64) -> Result<Rounded, Error> {
        let mut rounded = Rounded { values: Vec::with_capacity(x.len()), steps: Vec::new() };
        for piece in x.chunks(self.piece(x.len())) {
            let quantized = self.format.quantize_seeded(piece, self.shape.k, seed)?;
            rounded.values.extend(quantized.dequantize());
            steps::widest(&quantized, piece, self.shape, &mut rounded.steps);
        }
        Ok(rounded)
    }

    /// [`Case::rounded`] without the gaps, which is quicker.
    pub(super) fn values(&self, x: &[f32], seed: u64) -> Result<Vec<f32>, Error> {
        let mut values = x.to_vec();
        for piece in values.chunks_mut(self.piece(x.len())) {
            self.format.fake_quantize_seeded(piece, self.shape.k, seed)?;
        }
        Ok(values)
    }

    /// How many of `len` values are quantised at once: all where rows know nothing of each other, else a block.
    fn piece(&self, len: usize) -> usize {
        if self.format.is_row_local() { len.max(1) } else { self.shape.len() }
    }

    /// Prunes whole blocks by magnitude, each on its own.
    pub(super) fn pruned(&self, x: &[f32]) -> Result<Vec<f32>, Error> {
        let one_row = self.shape.rows == 1;
        let (pattern, len) = match self.pattern {
            Pattern::Unstructured { basis_points, .. } if one_row => {
                (Pattern::Unstructured { basis_points, scope: Scope::Row }, x.len())
            }
            Pattern::Unstructured { basis_points, .. } => {
                (Pattern::Unstructured { basis_points, scope: Scope::Matrix }, self.shape.len())
            }
            Pattern::Tiled { .. } => (self.pattern, self.shape.len()),
            _ => (self.pattern, x.len()),
        };
        let mut values = x.to_vec();
        for piece in values.chunks_mut(len.max(1)) {
            pattern.magnitude_mask(piece, self.shape.k)?.apply(piece)?;
        }
        Ok(values)
    }
}
