//! Sparsity: which weights are kept, and the metadata that says so.
//!
//! Invariant: pruning follows one total order, magnitude then index, so that among equal magnitudes the lower index is
//! pruned first and a mask does not depend on threads or sort. Scores other than magnitude are not offered yet.

use crate::error::{Error, non_finite, rows_of};
use crate::kernel::MAGNITUDE;
use crate::pack;
use crate::sweep::first_non_finite;
use rayon::prelude::*;
use std::{fmt, str::FromStr};

/// Which positions a sparse matrix may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// All.
    Dense,
    /// A fraction is pruned, wherever the smallest magnitudes are: exactly floor(count * fraction) of them.
    Unstructured {
        /// The pruned fraction in hundredths of a percent, 0 to 10,000.
        basis_points: u32,
        /// What the count is taken over.
        scope: Scope,
    },
    /// N of every M consecutive positions along K are kept.
    NofM {
        /// Kept positions a group.
        n: usize,
        /// Positions a group.
        m: usize,
    },
}

/// What an unstructured fraction is taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The whole matrix.
    Matrix,
    /// Each row.
    Row,
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(&text.trim().to_ascii_lowercase()).ok_or_else(|| Error::UnknownPattern(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Pattern> {
    if text == "dense" {
        return Some(Pattern::Dense);
    }
    if let Some((n, m)) = text.split_once(':') {
        let (n, m) = (n.parse().ok()?, m.parse().ok()?);
        return (1 <= n && n < m && m <= 256).then_some(Pattern::NofM { n, m });
    }
    let (text, scope) = match text.strip_suffix("%-row") {
        Some(number) => (number, Scope::Row),
        None => (text.strip_suffix('%')?, Scope::Matrix),
    };
    let (whole, hundredths) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| (!t.is_empty() && t.len() <= 3 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse());
    let whole: u32 = digits(whole)?.ok()?;
    let fraction: u32 = digits(hundredths).filter(|_| hundredths.len() <= 2)?.ok()?;
    let basis_points = whole * 100 + if hundredths.len() == 1 { fraction * 10 } else { fraction };
    (basis_points <= 10_000).then_some(Pattern::Unstructured { basis_points, scope })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Self::Dense => write!(f, "dense"),
            Self::NofM { n, m } => write!(f, "{n}:{m}"),
            Self::Unstructured { basis_points, scope } => {
                let (whole, rest) = (basis_points / 100, basis_points % 100);
                let fraction = if rest == 0 { String::new() } else { format!(".{rest:02}") };
                let suffix = if scope == Scope::Row { "-row" } else { "" };
                write!(f, "{whole}{}%{suffix}", fraction.trim_end_matches('0'))
            }
        }
    }
}

impl Pattern {
    /// The positions of `w` [rows, k] that survive by magnitude; the lower of equal ones is pruned first.
    ///
    /// # Errors
    /// A NaN or an infinity, a length that `k` does not divide, a `k` that M does not divide.
    pub fn magnitude_mask(&self, w: &[f32], k: usize) -> Result<Mask, Error> {
        let rows = rows_of(w.len(), k)?;
        if let Some(at) = first_non_finite(w) {
            return Err(non_finite(w, k, at));
        }
        let mut kept = vec![true; w.len()];
        match *self {
            Self::Dense => {}
            Self::Unstructured { basis_points, scope: Scope::Matrix } => {
                prune_smallest(w, &mut kept, part(w.len(), basis_points));
            }
            Self::Unstructured { basis_points, scope: Scope::Row } => {
                let lines = w.par_chunks(k.max(1)).zip(kept.par_chunks_mut(k.max(1)));
                lines.for_each(|(w, kept)| prune_smallest(w, kept, part(k, basis_points)));
            }
            Self::NofM { n, m } => {
                if !k.is_multiple_of(m) {
                    return Err(Error::Indivisible { n, m, k });
                }
                let groups = w.par_chunks(m).zip(kept.par_chunks_mut(m)).with_min_len(1 << 12);
                groups.for_each(|(w, kept)| keep_largest(w, kept, n));
            }
        }
        Ok(Mask { pattern: *self, rows, k, kept })
    }
}

/// floor(count * basis_points / 10,000).
fn part(count: usize, basis_points: u32) -> usize {
    (count as u128 * u128::from(basis_points) / 10_000) as usize
}

/// Prunes exactly `count` positions: all below the `count`-th magnitude, then equal ones by index.
fn prune_smallest(w: &[f32], kept: &mut [bool], count: usize) {
    if count == 0 {
        return;
    }
    let mut magnitudes: Vec<u32> = w.iter().map(|v| v.to_bits() & MAGNITUDE).collect();
    let (below, &mut threshold, _) = magnitudes.select_nth_unstable(count - 1);
    let mut ties = 1 + below.iter().filter(|&&m| m == threshold).count();
    for (kept, v) in kept.iter_mut().zip(w) {
        let magnitude = v.to_bits() & MAGNITUDE;
        let tie = magnitude == threshold && ties > 0;
        ties -= usize::from(tie);
        *kept = magnitude >= threshold && !tie;
    }
}

/// Keeps the `n` largest of a group: a position goes if too many outrank it.
fn keep_largest(w: &[f32], kept: &mut [bool], n: usize) {
    let magnitude = |i: usize| w[i].to_bits() & MAGNITUDE;
    for (i, kept) in kept.iter_mut().enumerate() {
        let larger_before = (0..i).filter(|&j| magnitude(j) > magnitude(i)).count();
        let not_smaller_after = (i + 1..w.len()).filter(|&j| magnitude(j) >= magnitude(i)).count();
        *kept = larger_before + not_smaller_after < n;
    }
}

/// The positions of a matrix [rows, k] that are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    pattern: Pattern,
    rows: usize,
    k: usize,
    kept: Vec<bool>,
}

impl Mask {
    /// The mask of a matrix with rows of `k` that keeps the flagged positions.
    ///
    /// For layouts whose rows are padded: the pattern was applied to the rows without padding.
    ///
    /// # Errors
    /// [`Error::Ragged`] where the flags are not whole rows.
    pub fn from_kept(pattern: Pattern, k: usize, kept: Vec<bool>) -> Result<Self, Error> {
        Ok(Self { pattern, rows: rows_of(kept.len(), k)?, k, kept })
    }

    /// The pattern that it follows.
    pub fn pattern(&self) -> Pattern {
        self.pattern
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Length of a row.
    pub fn k(&self) -> usize {
        self.k
    }

    /// One flag a position, row-major.
    pub fn kept(&self) -> &[bool] {
        &self.kept
    }

    /// How many positions are pruned.
    pub fn pruned(&self) -> usize {
        self.kept.iter().filter(|k| !**k).count()
    }

    /// Sets pruned values to +0.
    ///
    /// # Errors
    /// [`Error::MaskShape`] where `w` has another number of values.
    pub fn apply(&self, w: &mut [f32]) -> Result<(), Error> {
        self.check_shape(w.len() / self.k.max(1), self.k)?;
        for (v, kept) in w.iter_mut().zip(&self.kept) {
            *v = if *kept { *v } else { 0.0 };
        }
        Ok(())
    }

    /// Refuses a matrix of another shape.
    pub(crate) fn check_shape(&self, rows: usize, k: usize) -> Result<(), Error> {
        if (self.rows, self.k) == (rows, k) {
            return Ok(());
        }
        Err(Error::MaskShape { mask_rows: self.rows, mask_k: self.k, rows, k })
    }

    /// The flat indices of the kept positions, in order.
    pub(crate) fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.kept.len()).filter(|&i| self.kept[i])
    }

    /// How many codes are stored. Padding of a short last block is not: the metadata has no place for it.
    pub(crate) fn stored(&self) -> u64 {
        (self.kept.len() - self.pruned()) as u64
    }

    /// Bits of metadata: ceil(log2 M) a kept position for N:M, one a position for unstructured.
    pub fn metadata_bits(&self) -> u64 {
        match self.pattern {
            Pattern::Dense => 0,
            Pattern::Unstructured { .. } => self.kept.len() as u64,
            Pattern::NofM { m, .. } => self.stored() * u64::from(index_bits(m)),
        }
    }

    /// The metadata as a bit string. N:M: for every kept position in order its index in its group, so that for 2:4 the
    /// low bits of a nibble are those of the first one; unstructured: a bitmap, 1 = kept.
    pub fn metadata(&self) -> Vec<u8> {
        match self.pattern {
            Pattern::Dense => Vec::new(),
            Pattern::Unstructured { .. } => pack::bits(self.kept.iter().map(|&kept| u64::from(kept)), 1),
            Pattern::NofM { m, .. } => pack::bits(self.positions().map(|i| (i % m) as u64), index_bits(m)),
        }
    }
}

/// ceil(log2 M): the width of a position in a group of M.
const fn index_bits(m: usize) -> u32 {
    m.next_power_of_two().trailing_zeros()
}
