//! Fast GEMM on elements of one byte: exact 32-bit sums of four products at a time.
//!
//! Weights lie in panels of [`NR`] columns, activations in strips of `MR` rows, both in quads: four consecutive k in
//! 32 bits, as the machine's byte dot products read them. Those multiply unsigned by signed bytes, so weights are
//! stored plus [`OFFSET`], and sums start from what takes that off again (Rodriguez et al., Intel, 2018):
//! `sum (w + 128) a - 128 sum a = sum w a`.
//!
//! All of it is computed modulo 2^32. A sum is therefore right whenever the sum of the true products fits 32 bits,
//! however large the offset sums on the way are. One run of [`RUN`] elements always does.
//!
//! A [`Dot`] is an instruction set's product of a strip and a panel; a [`ByteUnit`] says what becomes of the sums.

use super::simd::bytes as sets;
use super::{NR, Panels, Rows, Task, simd::Path, tasks, write};
use rayon::prelude::*;

/// Added to a weight, so that it is unsigned.
const OFFSET: i32 = 128;
/// Elements in a quad.
pub(super) const QUAD: usize = 4;
/// Elements whose products sum to less than 2^31 in magnitude: each has at most 2^7 * 2^7.
pub(super) const RUN: usize = (1 << 17) - QUAD;

/// Four consecutive weights, each plus [`OFFSET`], of each column of a panel; two vectors of the widest machines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Quads(pub [[u8; QUAD]; NR]);

/// Products of bytes on one instruction set. A value of such a type is the proof that this machine has it.
pub(crate) trait Dot: Copy + Send + Sync {
    /// Four consecutive activations of a row, as the instructions read them.
    type Quad: Copy + Default + Send + Sync;

    /// The quad of four activations.
    fn quad(self, activations: [i8; QUAD]) -> Self::Quad;

    /// The sums of the products of a strip and a panel, each on top of its row's start, modulo 2^32.
    fn sum<const MR: usize>(
        self,
        starts: &[i32; MR],
        left: &[[Self::Quad; MR]],
        right: &[Quads],
        sums: &mut [[i32; NR]; MR],
    );

    /// Computes one task by code compiled for the instruction set: see [`compute`].
    fn run<U: ByteUnit, const MR: usize>(self, unit: &U, x: &[Strip<Self::Quad, MR>], w: &Panels, task: Task<'_>);
}

/// What a matrix unit does with a strip of rows and a panel of columns of bytes.
pub(crate) trait ByteUnit: Sync {
    /// Elements that are summed before anything else happens to the sum: a multiple of [`QUAD`], at most [`RUN`].
    fn run(&self) -> usize;

    /// Computes the outputs of one tile.
    fn tile<D: Dot, const MR: usize>(
        &self,
        dot: D,
        left: &Strip<D::Quad, MR>,
        right: BytePanel<'_>,
        out: &mut [[f32; NR]; MR],
    );
}

/// One panel of weights.
#[derive(Clone, Copy)]
pub(crate) struct BytePanel<'a> {
    /// Columns that exist. Loops that end there are vectorised along the columns; over a whole panel the compiler would
    /// unroll them and gather from rows.
    pub columns: usize,
    /// `[ceil(k / 4)]` quads of `NR` columns.
    pub quads: &'a [Quads],
    /// `[notes a column][NR]`.
    pub notes: &'a [[f64; NR]],
}

/// `MR` rows of activations side by side.
pub(crate) struct Strip<Q, const MR: usize> {
    /// Quads in a run.
    run: usize,
    /// `[ceil(k / 4)][MR]`.
    quads: Vec<[Q; MR]>,
    /// `[runs][MR]`: what the sums of a run start from.
    starts: Vec<[i32; MR]>,
    /// `[notes a row][MR]`, in FP32: units that read bytes have scales which FP32 holds.
    pub notes: Vec<[f32; MR]>,
}

impl<Q: Copy + Default, const MR: usize> Strip<Q, MR> {
    /// Packs the rows from `first` on for sums of `run` elements; rows beyond the last and k beyond K are zeros.
    fn pack(dot: impl Dot<Quad = Q>, x: &Rows<'_>, first: usize, run: usize) -> Self {
        let (quads, notes) = (x.k.div_ceil(QUAD), x.notes_per_row());
        let (run, unit) = (run / QUAD, x.unit.unwrap_or(0));
        let mut strip = Self {
            run,
            quads: vec![[Q::default(); MR]; quads],
            starts: vec![[0; MR]; quads.div_ceil(run)],
            notes: vec![[0.0; MR]; notes],
        };
        let mut bytes = vec![[0i8; QUAD]; quads];
        for lane in 0..MR.min(x.rows - first) {
            let row = first + lane;
            x.bytes(row, unit, bytes.as_flattened_mut());
            for (packed, &quad) in strip.quads.iter_mut().zip(&bytes) {
                packed[lane] = dot.quad(quad);
            }
            for (start, run) in strip.starts.iter_mut().zip(bytes.chunks(run)) {
                let sum: i32 = run.as_flattened().iter().map(|&byte| i32::from(byte)).sum();
                start[lane] = sum.wrapping_mul(-OFFSET);
            }
            for (packed, note) in strip.notes.iter_mut().zip(&x.notes[row * notes..]) {
                packed[lane] = *note as f32;
            }
        }
        strip
    }

    /// The exact sums of run number `run` with a panel.
    #[inline(always)]
    pub fn sum(&self, dot: impl Dot<Quad = Q>, right: &[Quads], run: usize, sums: &mut [[i32; NR]; MR]) {
        let range = run * self.run..self.quads.len().min((run + 1) * self.run);
        dot.sum(&self.starts[run], &self.quads[range.clone()], &right[range], sums);
    }

    /// Runs of a row.
    #[inline(always)]
    pub fn runs(&self) -> usize {
        self.starts.len()
    }
}

/// The notes of a panel times `unit`, in FP32.
#[inline(always)]
pub(super) fn singles(notes: &[f64; NR], unit: f64) -> [f32; NR] {
    let mut singles = [0.0; NR];
    for (single, note) in singles.iter_mut().zip(notes) {
        *single = (note * unit) as f32;
    }
    singles
}

/// A weight as it is stored.
#[inline(always)]
pub(super) fn stored(weight: i8) -> u8 {
    // Adding 128 modulo 256 flips the highest bit.
    weight as u8 ^ OFFSET as u8
}

/// The weight that is stored so.
#[inline(always)]
pub(super) fn weight(stored: u8) -> i8 {
    (stored ^ OFFSET as u8) as i8
}

/// `y[M, N] = x[M, K] w[N, K]^T` by `unit`; both operands have elements of one byte ([`Rows::unit`]).
///
/// Strip heights fill the vector registers: with 32 of them 24 sums, with 16 of them 8 sums of half a panel.
pub(crate) fn gemm_bytes<U: ByteUnit>(path: Path, unit: &U, x: &Rows<'_>, w: &Panels) -> Vec<f32> {
    #[cfg(target_arch = "x86_64")]
    match path {
        Path::Avx512Vnni => {
            if let Some(dot) = sets::Vnni::detect() {
                return multiply::<_, _, 12>(dot, unit, x, w);
            }
        }
        Path::Avx512 | Path::Avx2 => {
            if let Some(dot) = sets::Avx2::detect() {
                return multiply::<_, _, 4>(dot, unit, x, w);
            }
        }
        Path::Portable => {}
    }
    multiply::<_, _, 4>(sets::Portable, unit, x, w)
}

/// Packs the activations and walks the tiles, split over threads.
fn multiply<D: Dot, U: ByteUnit, const MR: usize>(dot: D, unit: &U, x: &Rows<'_>, w: &Panels) -> Vec<f32> {
    let firsts: Vec<usize> = (0..x.rows).step_by(MR).collect();
    let strips: Vec<_> = firsts.into_par_iter().map(|first| Strip::pack(dot, x, first, unit.run())).collect();
    let mut y = vec![0.0; x.rows * w.columns];
    tasks(&mut y, w.columns).into_par_iter().for_each(|task| dot.run::<U, MR>(unit, &strips, w, task));
    y
}

/// Computes one task. A panel stays in the nearest cache while all strips of the task pass it.
#[inline(always)]
pub(super) fn compute<D: Dot, U: ByteUnit, const MR: usize>(
    dot: D,
    unit: &U,
    x: &[Strip<D::Quad, MR>],
    w: &Panels,
    mut task: Task<'_>,
) {
    let columns = task.rows[0].len();
    for panel in 0..columns.div_ceil(NR) {
        let right = w.byte_panel(task.panel + panel);
        for (strip, rows) in x[task.row / MR..].iter().zip(task.rows.chunks_mut(MR)) {
            let mut out = [[0.0; NR]; MR];
            unit.tile(dot, strip, right, &mut out);
            write(&out, rows, panel);
        }
    }
}
