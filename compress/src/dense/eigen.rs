//! The largest eigenvalues of a symmetric matrix and their vectors.
//!
//! Householder's reflections make the matrix tridiagonal, implicit QR steps with Wilkinson's shift make that diagonal (Golub and Van Loan,
//! "Matrix Computations", 8.3), and both are undone for the vectors that are wanted alone. Errors are some units in the last place of
//! the largest eigenvalue.

use super::BAND;
use interplay_formats::simd::{Level, Task, run};
use rayon::prelude::*;

/// Partial sums of a dot product: term `j` goes to sum `j % LANES`, and a tree of halves adds them up.
const LANES: usize = 16;
/// What counts as zero beside the largest entry of a matrix.
const NOTHING: f64 = 1.0 / (1u128 << 127) as f64;
/// QR steps for each eigenvalue, of which two are usual, before they are given up.
const STEPS: usize = 60;

/// The vectors `[n, count]` of the `count` largest eigenvalues, falling, of a symmetric matrix `[n, n]`; `None` where they are not
/// found, which finite matrices have not been seen to do.
pub(crate) fn largest_vectors(mut matrix: Vec<f64>, n: usize, count: usize) -> Option<Vec<f64>> {
    if n == 0 || count == 0 {
        return Some(Vec::new());
    }
    let scale = power_of_two_near(matrix.iter().fold(0.0, |most, x| x.abs().max(most)));
    matrix.iter_mut().for_each(|x| *x /= scale);
    let mut tridiagonal = reduce(&mut matrix, n);
    let rotations = tridiagonal.diagonalise()?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| tridiagonal.diagonal[b].total_cmp(&tridiagonal.diagonal[a]));
    order.truncate(count);
    let count = order.len();
    let mut vectors = vec![0.0; n * count];
    order.iter().enumerate().for_each(|(r, &at)| vectors[at * count + r] = 1.0);
    let (reflectors, factors) = (&matrix, &tridiagonal.factors);
    run(Level::detect(), Back { vectors: &mut vectors, count, rotations, reflectors, factors });
    Some(vectors)
}

/// The power of two at or below `x`; 1 where that is no normal number.
fn power_of_two_near(x: f64) -> f64 {
    if x.is_normal() { f64::from_bits(x.to_bits() & 0x7FF0_0000_0000_0000) } else { 1.0 }
}

/// A symmetric tridiagonal matrix, and the factors of the reflections that led to it.
struct Tridiagonal {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    factors: Vec<f64>,
}

/// Plane rotations of rows `at` and `at + 1`.
struct Rotation {
    at: usize,
    cosine: f64,
    sine: f64,
}

/// Makes a matrix tridiagonal; its row `s` keeps the reflection 1 - factor v v^T that step `s` took, behind the diagonal.
///
/// The update of a step and the product of the next one share one pass over the matrix, which is what takes the time.
fn reduce(matrix: &mut [f64], n: usize) -> Tridiagonal {
    let mut found = Tridiagonal { diagonal: vec![0.0; n], beside: vec![0.0; n], factors: vec![0.0; n] };
    let (mut v, mut w, mut product) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    for s in 0..n {
        let (head, rest) = matrix.split_at_mut((s + 1) * n);
        let row = &mut head[s * n..];
        (s..n).for_each(|j| row[j] -= v[s] * w[j] + w[s] * v[j]);
        found.diagonal[s] = row[s];
        let (factor, beside) = reflector(&mut row[s + 1..]);
        (found.factors[s], found.beside[s]) = (factor, beside);
        let next = &row[..];
        let bands = rest.par_chunks_mut(BAND * n).zip(product[s + 1..].par_chunks_mut(BAND)).enumerate();
        bands.for_each(|(i, (rows, product))| {
            let top = s + 1 + i * BAND;
            run(Level::detect(), Pass { rows, n, top, first: s + 1, v: &v, w: &w, next, product });
        });
        v[s + 1..].copy_from_slice(&next[s + 1..]);
        let half = factor * dot(&product[s + 1..], &v[s + 1..]) / 2.0;
        (s + 1..n).for_each(|j| w[j] = factor * (product[j] - half * v[j]));
    }
    found
}

/// Turns `x` into v with (1 - factor v v^T) x = (beside, 0, ..); gives both numbers.
fn reflector(x: &mut [f64]) -> (f64, f64) {
    let Some(&first) = x.first() else { return (0.0, 0.0) };
    let length = dot(x, x).sqrt();
    if length < NOTHING || x[1..].iter().all(|x| *x == 0.0) {
        x.fill(0.0);
        return (0.0, first);
    }
    let beside = -length.copysign(first);
    x[0] = first - beside;
    (1.0 / (length * (length + first.abs())), beside)
}

/// Subtracts v w^T + w v^T from rows and multiplies them by the next v.
struct Pass<'a, 'b> {
    rows: &'a mut [f64],
    n: usize,
    /// The row that `rows` begins with.
    top: usize,
    /// The column from which on the matrix is still full.
    first: usize,
    v: &'b [f64],
    w: &'b [f64],
    next: &'b [f64],
    product: &'a mut [f64],
}

impl Task for Pass<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let others = [self.v, self.w, self.next].map(|x| x[self.first..self.n].as_chunks::<LANES>());
        let [(v, v_rest), (w, w_rest), (next, next_rest)] = others;
        for (r, (row, product)) in self.rows.chunks_exact_mut(self.n).zip(self.product).enumerate() {
            let (a, b) = (self.v[self.top + r], self.w[self.top + r]);
            let (row, rest) = row[self.first..].as_chunks_mut::<LANES>();
            let mut sums = [0.0; LANES];
            for (((row, v), w), next) in row.iter_mut().zip(v).zip(w).zip(next) {
                for c in 0..LANES {
                    row[c] -= a * w[c] + b * v[c];
                    sums[c] += row[c] * next[c];
                }
            }
            for (c, x) in rest.iter_mut().enumerate() {
                *x -= a * w_rest[c] + b * v_rest[c];
                sums[c] += *x * next_rest[c];
            }
            *product = total(sums);
        }
    }
}

/// The sum of partial sums, by halves.
#[inline(always)]
fn total(mut sums: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        (0..half).for_each(|c| sums[c] += sums[c + half]);
        half /= 2;
    }
    sums[0]
}

/// <a, b>.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    for (a, b) in a.chunks(LANES).zip(b.chunks(LANES)) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    total(sums)
}

impl Tridiagonal {
    /// Makes the matrix diagonal from its end; the rotations in the order in which they were taken.
    fn diagonalise(&mut self) -> Option<Vec<Rotation>> {
        let n = self.diagonal.len();
        let mut rotations = Vec::new();
        let (mut last, mut left) = (n.saturating_sub(1), STEPS * n);
        while last > 0 {
            let first = (0..last).rev().find(|&k| self.splits(k)).map_or(0, |k| k + 1);
            if first == last {
                last -= 1;
                continue;
            }
            left = left.checked_sub(1)?;
            self.step(first, last, &mut rotations);
        }
        self.diagonal.iter().all(|x| x.is_finite()).then_some(rotations)
    }

    /// Whether what stands beside elements `k` and `k + 1` of the diagonal is lost in their rounding.
    fn splits(&self, k: usize) -> bool {
        self.beside[k].abs() <= f64::EPSILON * (self.diagonal[k].abs() + self.diagonal[k + 1].abs()) + NOTHING
    }

    /// One implicit QR step on the block of elements `first` to `last`.
    fn step(&mut self, first: usize, last: usize, rotations: &mut Vec<Rotation>) {
        let (d, e) = (&mut self.diagonal, &mut self.beside);
        let half = (d[last - 1] - d[last]) / 2.0;
        let square = e[last - 1] * e[last - 1];
        let shift = d[last] - square / (half + (half * half + square).sqrt().copysign(half));
        let (mut x, mut z) = (d[first] - shift, e[first]);
        for k in first..last {
            let length = (x * x + z * z).sqrt();
            let (cosine, sine) = if length > 0.0 { (x / length, z / length) } else { (1.0, 0.0) };
            if k > first {
                e[k - 1] = length;
            }
            let (above, below, beside) = (d[k], d[k + 1], e[k]);
            let (cc, ss, cs) = (cosine * cosine, sine * sine, cosine * sine);
            d[k] = cc * above + 2.0 * cs * beside + ss * below;
            d[k + 1] = ss * above - 2.0 * cs * beside + cc * below;
            e[k] = cs * (below - above) + (cc - ss) * beside;
            x = e[k];
            if k + 1 < last {
                z = sine * e[k + 1];
                e[k + 1] *= cosine;
            }
            rotations.push(Rotation { at: k, cosine, sine });
        }
    }
}

/// Takes vectors back: through the rotations, then through the reflections, the last ones first.
struct Back<'a> {
    /// `[n, count]`.
    vectors: &'a mut [f64],
    count: usize,
    rotations: Vec<Rotation>,
    reflectors: &'a [f64],
    factors: &'a [f64],
}

impl Task for Back<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (count, n) = (self.count, self.factors.len());
        for &Rotation { at, cosine, sine } in self.rotations.iter().rev() {
            let (upper, lower) = self.vectors[at * count..][..2 * count].split_at_mut(count);
            for (x, y) in upper.iter_mut().zip(lower) {
                (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
            }
        }
        let mut sums = vec![0.0; count];
        for (s, &factor) in self.factors.iter().enumerate().rev() {
            let reflector = &self.reflectors[s * n + s + 1..(s + 1) * n];
            let rows = &mut self.vectors[(s + 1) * count..];
            sums.fill(0.0);
            for (v, row) in reflector.iter().zip(rows.chunks_exact(count)) {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += v * x);
            }
            for (v, row) in reflector.iter().zip(rows.chunks_exact_mut(count)) {
                row.iter_mut().zip(&sums).for_each(|(x, sum)| *x -= factor * v * sum);
            }
        }
    }
}
