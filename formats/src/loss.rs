//! What quantisation took away: errors, clipped elements, padding.

use crate::reference::{Factor, Geometry, halving};
use crate::tensor::Scales;
use crate::{Encoding, Error, Format, Quantized, Range, Rounding, Scale};
use rayon::prelude::*;
use serde::Serialize;

/// Values that one parallel task sums up. Sums are added in the order of tasks, so that threads never show.
const PIECE: usize = 1 << 14;

/// The difference between a matrix and its quantised form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Loss {
    /// The largest absolute error of a finite value; infinite where one became an infinity or a NaN.
    pub max_error: f64,
    /// The root of the mean squared error of the finite values.
    pub rms_error: f64,
    /// Finite values so far beyond the largest number of their block that rounding to nearest would leave the range.
    pub clipped: u64,
    /// NaN and infinities among the values.
    pub non_finite: u64,
    /// Blocks that are filled up with zeros.
    pub padded_blocks: u64,
}

impl Quantized {
    /// What became of `x`, which was quantised to this; `dequantized` is [`Quantized::dequantize`].
    ///
    /// # Errors
    /// [`Error::Ragged`] where either is not a matrix of the same shape.
    pub fn loss(&self, x: &[f32], dequantized: &[f32]) -> Result<Loss, Error> {
        let count = self.rows() * self.k();
        for len in [x.len(), dequantized.len()] {
            if len != count {
                return Err(Error::Ragged { len, k: self.k() });
            }
        }
        let geometry = Geometry::new(self.format(), self.rows(), self.k());
        let limits = Limits::of_blocks(self, &geometry);
        let pieces: Vec<Sums> = x
            .par_chunks(PIECE)
            .zip(dequantized.par_chunks(PIECE))
            .enumerate()
            .map(|(piece, (x, y))| {
                let mut sums = Sums::default();
                for (i, (&x, &y)) in x.iter().zip(y).enumerate() {
                    let at = piece * PIECE + i;
                    let (row, column) = (at / self.k(), at % self.k());
                    sums.add(x, y, limits.at(geometry.block_of(row, column), column % self.block_len()));
                }
                sums
            })
            .collect();
        Ok(Sums::joined(pieces).finished(self.padded_blocks()))
    }

    /// Blocks that are filled up with zeros: a short last one of each row of blocks.
    pub fn padded_blocks(&self) -> u64 {
        let rows = self.rows().div_ceil(self.format().block_rows(self.rows()));
        if self.k_padded() > self.k() { rows as u64 } else { 0 }
    }
}

/// Sums over a piece.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    max: f64,
    squares: f64,
    finite: u64,
    clipped: u64,
    non_finite: u64,
}

impl Sums {
    #[inline(always)]
    fn add(&mut self, x: f32, y: f32, limits: &Limits) {
        if !x.is_finite() {
            self.non_finite += 1;
            return;
        }
        self.finite += 1;
        let error = (f64::from(x) - f64::from(y)).abs();
        let error = if error.is_nan() { f64::INFINITY } else { error };
        self.max = self.max.max(error);
        self.squares += error * error;
        self.clipped += u64::from(limits.clips(f64::from(x)));
    }

    fn joined(pieces: Vec<Self>) -> Self {
        pieces.into_iter().fold(Self::default(), |a, b| Self {
            max: a.max.max(b.max),
            squares: a.squares + b.squares,
            finite: a.finite + b.finite,
            clipped: a.clipped + b.clipped,
            non_finite: a.non_finite + b.non_finite,
        })
    }

    fn finished(self, padded_blocks: u64) -> Loss {
        Loss {
            max_error: self.max,
            rms_error: if self.finite == 0 { 0.0 } else { (self.squares / self.finite as f64).sqrt() },
            clipped: self.clipped,
            non_finite: self.non_finite,
            padded_blocks,
        }
    }
}

/// The values of a block beyond which nothing rounds into its range, and whether they themselves do not.
#[derive(Clone, Copy, Debug)]
struct Limits {
    low: f64,
    high: f64,
    low_clips: bool,
    high_clips: bool,
}

/// The limits of every block; two sets a block for microexponents, the second of halved runs.
struct AllLimits<'a> {
    limits: Vec<Limits>,
    micro: Option<(usize, &'a [u32])>,
}

impl AllLimits<'_> {
    #[inline(always)]
    fn at(&self, block: usize, at: usize) -> &Limits {
        match self.micro {
            Some((run, words)) => &self.limits[2 * block + halving(words[block], run, at) as usize],
            None if self.limits.len() == 1 => &self.limits[0],
            None => &self.limits[block],
        }
    }
}

impl Limits {
    fn of_blocks<'a>(q: &'a Quantized, geometry: &Geometry) -> AllLimits<'a> {
        let format = q.format();
        match (q.scales(), format.scaling.map(|s| s.scale)) {
            (Scales::None, _) => AllLimits { limits: vec![Self::new(format, Factor::One)], micro: None },
            (Scales::Micro(words), Some(Scale::Micro { run })) => {
                let both = |block: usize| {
                    let exponent = i32::from(words[block] as i8) - format.exponent_offset();
                    [0, 1].map(|halved| Self::new(format, Factor::Power { stored: 0, exponent: exponent - halved }))
                };
                let limits = (0..geometry.count()).into_par_iter().flat_map_iter(both).collect();
                AllLimits { limits, micro: Some((run, words)) }
            }
            _ => {
                let block = |block: usize| Self::new(format, q.factor(block));
                AllLimits { limits: (0..geometry.count()).into_par_iter().map(block).collect(), micro: None }
            }
        }
    }

    /// The limits under a scale: half a unit beyond the extreme elements. A value on the limit itself rounds to the
    /// even neighbour, so it leaves the range where the extreme code is odd, or where halves go away from zero.
    fn new(format: &Format, factor: Factor) -> Self {
        let element = format.element;
        let value = |code: u64| f64::from(format.decode_element(element.sign_extended(code), factor, 0));
        let half = |extreme: u64, inner: u64| value(extreme) + (value(extreme) - value(inner)) / 2.0;
        let zero = if let Factor::Affine { zero, .. } = factor { u64::from(zero) } else { 0 };
        let away = format.rounding == Rounding::NearestAway;
        let odd = |code: u64| away || (code ^ zero) & 1 == 1;
        let most = element.max_code();
        let high = half(most, most - 1);
        let (least, inner) = match element.encoding {
            Encoding::Integer { range: Range::Symmetric, .. } => {
                (most.wrapping_neg(), most.wrapping_neg().wrapping_add(1))
            }
            Encoding::Integer { range: Range::Full, .. } => (!most, (!most).wrapping_add(1)),
            _ => (0, 1),
        };
        if matches!(element.encoding, Encoding::Float { .. }) && element.is_signed() {
            return Self { low: -high, high, low_clips: odd(most), high_clips: odd(most) };
        }
        Self { low: half(least, inner), high, low_clips: odd(least), high_clips: odd(most) }
    }

    #[inline(always)]
    fn clips(&self, x: f64) -> bool {
        x > self.high || x < self.low || (x == self.high && self.high_clips) || (x == self.low && self.low_clips)
    }
}
