//! What calibration remembers of a layer's inputs.
//!
//! Sequences come one by one and are forgotten; sums run in FP64 in the order of the sequences, so that a result does not depend on
//! threads. The Hessian is the running mean of (2 / sequences) X^T X.

use crate::Error;

/// Which of the larger statistics are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Needs {
    /// The `[k, k]` Hessian (SparseGPT, GPTQ).
    pub hessian: bool,
    /// The mean input at each position of a sequence (JSQ).
    pub positions: bool,
    /// How many tokens to keep, evenly spread over all (AWQ's clip search); 0 for none.
    pub samples: usize,
    /// The share of each sequence's largest magnitudes to which all are clipped before sums of columns, maxima and means by position are
    /// taken (JSQ); 0 for none. The Hessian and the samples are of the inputs as they are.
    pub clip: f64,
}

impl Needs {
    /// What serves both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            hessian: self.hessian || other.hessian,
            positions: self.positions || other.positions,
            samples: self.samples.max(other.samples),
            clip: self.clip.max(other.clip),
        }
    }
}

/// The inputs of one linear layer of `k` inputs, summed up.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Inputs of the layer.
    pub k: usize,
    /// Calibration sequences.
    pub sequences: usize,
    /// Tokens in all.
    pub tokens: usize,
    /// Sum of squares of each input over all tokens.
    pub square_sums: Vec<f64>,
    /// Sum of magnitudes of each input over all tokens.
    pub magnitude_sums: Vec<f64>,
    /// Largest magnitude of each input.
    pub maxima: Vec<f32>,
    /// Largest magnitude of each input in the last sequence alone (what the released JSQ code smooths by).
    pub last_maxima: Vec<f32>,
    /// `[k, k]`: (2 / sequences) X^T X.
    pub hessian: Option<Vec<f32>>,
    /// `[positions, k]`: the mean over sequences, position by position.
    pub positions: Option<Vec<f32>>,
    /// `[samples, k]`: some of the tokens.
    pub samples: Option<Vec<f32>>,
}

impl Statistics {
    /// ||X_j|| of every input: the root of the mean over sequences of the sum of squares over tokens.
    pub fn norms(&self) -> Vec<f64> {
        let sequences = self.sequences.max(1) as f64;
        self.square_sums.iter().map(|sum| (sum / sequences).sqrt()).collect()
    }

    /// The statistics of the inputs divided by `scales`, one an input, as if they had been gathered so.
    pub fn divide(&mut self, scales: &[f32]) {
        for (j, &scale) in scales.iter().enumerate().take(self.k) {
            let s = f64::from(scale);
            self.square_sums[j] /= s * s;
            self.magnitude_sums[j] /= s;
            self.maxima[j] /= scale;
            self.last_maxima[j] /= scale;
        }
        let rows = |rows: &mut Vec<f32>, k: usize| {
            rows.chunks_exact_mut(k.max(1)).for_each(|row| row.iter_mut().zip(scales).for_each(|(x, s)| *x /= s));
        };
        self.positions.iter_mut().chain(&mut self.samples).for_each(|r| rows(r, self.k));
        if let Some(hessian) = &mut self.hessian {
            for (row, scale) in hessian.chunks_exact_mut(self.k.max(1)).zip(scales) {
                row.iter_mut().zip(scales).for_each(|(h, s)| *h = *h / s / scale);
            }
        }
    }

    /// Bytes that they take.
    pub fn bytes(&self) -> usize {
        let singles =
            [&self.hessian, &self.positions, &self.samples].into_iter().flatten().map(Vec::len).sum::<usize>();
        8 * (self.square_sums.len() + self.magnitude_sums.len())
            + 4 * (self.maxima.len() + self.last_maxima.len() + singles)
    }

    /// The mean magnitude of every input.
    pub fn mean_magnitudes(&self) -> Vec<f64> {
        let tokens = self.tokens.max(1) as f64;
        self.magnitude_sums.iter().map(|sum| sum / tokens).collect()
    }
}

/// Gathers [`Statistics`].
#[derive(Clone, Debug)]
pub struct Collector {
    needs: Needs,
    /// Tokens between two samples.
    stride: usize,
    seen: Statistics,
    position_sums: Vec<f64>,
}

impl Collector {
    /// Nothing yet, of a layer of `k` inputs that will see `tokens` tokens in all.
    pub fn new(k: usize, tokens: usize, needs: Needs) -> Self {
        let seen = Statistics {
            k,
            sequences: 0,
            tokens: 0,
            square_sums: vec![0.0; k],
            magnitude_sums: vec![0.0; k],
            maxima: vec![0.0; k],
            last_maxima: vec![0.0; k],
            hessian: needs.hessian.then(|| vec![0.0; k * k]),
            positions: None,
            samples: (needs.samples > 0).then(Vec::new),
        };
        let stride = tokens.checked_div(needs.samples).unwrap_or(1).max(1);
        Self { needs, stride, seen, position_sums: Vec::new() }
    }

    /// Adds one sequence, `[tokens, k]` row-major.
    ///
    /// # Errors
    /// [`Error::Length`] for rows of another length, or a sequence of another length than the first where positions are wanted.
    pub fn add(&mut self, sequence: &[f32]) -> Result<(), Error> {
        let k = self.seen.k;
        if k == 0 || !sequence.len().is_multiple_of(k) {
            let expected = sequence.len().next_multiple_of(k.max(1));
            return Err(Error::Length { what: "a sequence of inputs", given: sequence.len(), expected });
        }
        if let Some(at) = sequence.iter().position(|x| !x.is_finite()) {
            return Err(Error::Invalid(format!(
                "input {} of token {} is {}; the model's arithmetic overflowed on the calibration text",
                at % k,
                at / k,
                sequence[at]
            )));
        }
        let clipped;
        let rows = if self.needs.clip > 0.0 {
            clipped = clip(sequence, self.needs.clip);
            &clipped
        } else {
            sequence
        };
        self.add_columns(rows);
        self.add_positions(rows)?;
        if let Some(samples) = &mut self.seen.samples {
            let first = self.seen.tokens;
            let wanted = sequence.chunks_exact(k).enumerate().filter(|(i, _)| (first + i).is_multiple_of(self.stride));
            wanted.for_each(|(_, row)| samples.extend_from_slice(row));
        }
        if let Some(hessian) = &mut self.seen.hessian {
            crate::hessian::accumulate(hessian, sequence, k);
        }
        self.seen.sequences += 1;
        self.seen.tokens += rows.len() / k;
        Ok(())
    }

    fn add_columns(&mut self, rows: &[f32]) {
        let Statistics { k, square_sums, magnitude_sums, maxima, last_maxima, .. } = &mut self.seen;
        last_maxima.fill(0.0);
        for row in rows.chunks_exact(*k) {
            for (j, &x) in row.iter().enumerate() {
                square_sums[j] += f64::from(x) * f64::from(x);
                magnitude_sums[j] += f64::from(x.abs());
                last_maxima[j] = last_maxima[j].max(x.abs());
            }
        }
        maxima.iter_mut().zip(last_maxima).for_each(|(all, last)| *all = all.max(*last));
    }

    fn add_positions(&mut self, rows: &[f32]) -> Result<(), Error> {
        if !self.needs.positions {
            return Ok(());
        }
        if self.seen.sequences == 0 {
            self.position_sums = vec![0.0; rows.len()];
        }
        let expected = self.position_sums.len();
        if rows.len() != expected {
            return Err(Error::Length { what: "a sequence of inputs", given: rows.len(), expected });
        }
        self.position_sums.iter_mut().zip(rows).for_each(|(sum, &x)| *sum += f64::from(x));
        Ok(())
    }

    /// What was seen.
    pub fn finish(mut self) -> Statistics {
        let sequences = self.seen.sequences.max(1) as f64;
        if let Some(hessian) = &mut self.seen.hessian {
            let factor = (2.0 / sequences) as f32;
            hessian.iter_mut().for_each(|h| *h *= factor);
            crate::dense::mirror(hessian, self.seen.k);
        }
        if self.needs.positions {
            self.seen.positions = Some(self.position_sums.iter().map(|sum| (sum / sequences) as f32).collect());
        }
        self.seen
    }
}

/// Values held to the `share * len`-th largest magnitude of them.
fn clip(values: &[f32], share: f64) -> Vec<f32> {
    let count = (share * values.len() as f64) as usize;
    if count == 0 {
        return values.to_vec();
    }
    let mut magnitudes: Vec<f32> = values.iter().map(|x| x.abs()).collect();
    let (_, &mut limit, _) = magnitudes.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    values.iter().map(|x| x.clamp(-limit, limit)).collect()
}
