//! Sparsity: which weights are kept, and the metadata that says so.
//!
//! Invariant: pruning follows one total order, score then index, so that among equal scores the lower index is pruned
//! first and a mask does not depend on threads or sort. A pair's score is the exact sum of its two, a column's of a tile the
//! sum in FP64, row by row. Where nobody gives scores, they are the magnitudes.

pub(crate) mod fill;
mod mask;
mod order;
mod prune;

pub use mask::Mask;

use crate::error::Error;
use std::{fmt, str::FromStr};

/// Which positions a sparse matrix may keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Pattern {
    /// All.
    Dense,
    /// A fraction is pruned, wherever the smallest scores are: exactly floor(count * fraction) of them, unless
    /// [`Selection`] says otherwise.
    Unstructured {
        /// The pruned fraction in hundredths of a percent, 0 to 10,000.
        basis_points: u32,
        /// What the count is taken over.
        scope: Scope,
    },
    /// N of every M consecutive positions along K are kept.
    ///
    /// M need not divide K: the last group of a row is then thought of as filled up with zeros, of which pruning takes all
    /// before any position that is there. Of `r = K mod M` positions the min(N, r) largest are kept, and the zeros are
    /// never stored, so that a row keeps floor(K / M) * N + min(N, r) positions.
    NofM {
        /// Kept positions a group.
        n: usize,
        /// Positions a group.
        m: usize,
    },
    /// N of every M consecutive positions along K are kept, in aligned pairs of neighbours: `4:8p` keeps 2 of 4 pairs.
    PairsOfM {
        /// Kept positions a group, even.
        n: usize,
        /// Positions a group, even.
        m: usize,
    },
    /// Tiles of V rows and M columns keep [`Pattern::TILE_COLUMNS`] columns, and each row N of those (VENOM,
    /// Castro et al., SC 2023, where N = 2).
    Tiled {
        /// Rows of a tile.
        v: usize,
        /// Kept positions in a row of a tile.
        n: usize,
        /// Columns of a tile.
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
    /// Each block of so many consecutive columns, all rows at once; the last block of a matrix may be shorter. SparseGPT
    /// (Frantar and Alistarh, ICML 2023) prunes in blocks of 128.
    Columns(usize),
}

/// How many of the lowest scores an unstructured pattern takes. Groups and tiles keep their N whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Selection {
    /// Exactly floor(count * fraction); of equal scores the lower index goes first.
    #[default]
    Count,
    /// All that are not above the score at place floor(count * fraction) of the ascending order: one more, and every tie
    /// with it. The published code of SparseGPT, of RIA and of magnitude pruning by matrix does so. At 100% there is no
    /// such place, and all go.
    Threshold,
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let pattern = parse(&text.trim().to_ascii_lowercase());
        pattern.filter(Self::is_possible).ok_or_else(|| Error::UnknownPattern(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Pattern> {
    if text == "dense" {
        return Some(Pattern::Dense);
    }
    if text.contains(':') {
        return ratio(text);
    }
    let (text, scope) = text.split_once('%')?;
    let scope = match scope {
        "" => Scope::Matrix,
        "-row" => Scope::Row,
        blocks => Scope::Columns(whole_number(blocks.strip_prefix("-cols")?)?),
    };
    let (whole, hundredths) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| (!t.is_empty() && t.len() <= 3 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse());
    let whole: u32 = digits(whole)?.ok()?;
    let fraction: u32 = digits(hundredths).filter(|_| hundredths.len() <= 2)?.ok()?;
    let basis_points = whole * 100 + if hundredths.len() == 1 { fraction * 10 } else { fraction };
    Some(Pattern::Unstructured { basis_points, scope })
}

/// Digits alone: Rust's own reading would take a sign.
fn whole_number(text: &str) -> Option<usize> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// N:M, N:Mp or V:N:M.
fn ratio(text: &str) -> Option<Pattern> {
    let pairs = text.ends_with('p');
    let numbers: Result<Vec<usize>, _> = text.strip_suffix('p').unwrap_or(text).split(':').map(str::parse).collect();
    match (numbers.ok()?.as_slice(), pairs) {
        (&[n, m], false) => Some(Pattern::NofM { n, m }),
        (&[n, m], true) => Some(Pattern::PairsOfM { n, m }),
        (&[v, n, m], false) => Some(Pattern::Tiled { v, n, m }),
        _ => None,
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Self::Dense => write!(f, "dense"),
            Self::NofM { n, m } => write!(f, "{n}:{m}"),
            Self::PairsOfM { n, m } => write!(f, "{n}:{m}p"),
            Self::Tiled { v, n, m } => write!(f, "{v}:{n}:{m}"),
            Self::Unstructured { basis_points, scope } => {
                let (whole, rest) = (basis_points / 100, basis_points % 100);
                let fraction = if rest == 0 { String::new() } else { format!(".{rest:02}") };
                write!(f, "{whole}{}%", fraction.trim_end_matches('0'))?;
                match scope {
                    Scope::Matrix => Ok(()),
                    Scope::Row => write!(f, "-row"),
                    Scope::Columns(width) => write!(f, "-cols{width}"),
                }
            }
        }
    }
}

impl Pattern {
    /// Kept positions and bits of metadata of a matrix [rows, k] whose groups are full; saturates.
    pub(crate) fn counts(self, rows: u64, k: u64) -> (u64, u64) {
        let all = rows.saturating_mul(k);
        let part = |count: u64, points: u32| (u128::from(count) * u128::from(points) / 10_000) as u64;
        let row = |n: usize, m: usize| k / m as u64 * n as u64 + (k % m as u64).min(n as u64);
        let index = |m: usize| u64::from(index_bits(m));
        match self {
            Self::Dense => (all, 0),
            Self::Unstructured { basis_points, scope: Scope::Matrix } => (all - part(all, basis_points), all),
            Self::Unstructured { basis_points, scope: Scope::Row } => {
                (rows.saturating_mul(k - part(k, basis_points)), all)
            }
            Self::Unstructured { basis_points, scope: Scope::Columns(width) } => {
                let kept = |columns: u64| {
                    let count = rows.saturating_mul(columns);
                    count - part(count, basis_points)
                };
                let (blocks, rest) = (k / width as u64, k % width as u64);
                (blocks.saturating_mul(kept(width as u64)).saturating_add(kept(rest)), all)
            }
            Self::NofM { n, m } => {
                let stored = rows.saturating_mul(row(n, m));
                (stored, stored.saturating_mul(index(m)))
            }
            Self::PairsOfM { n, m } => {
                let stored = rows.saturating_mul(row(n, m));
                (stored, (stored / 2).saturating_mul(index(m / 2)))
            }
            Self::Tiled { v, n, m } => {
                let stored = rows.saturating_mul(row(n, m));
                let tiles = rows.div_ceil(v as u64).saturating_mul(k.div_ceil(m as u64));
                let columns = tiles.saturating_mul(Self::TILE_COLUMNS as u64);
                (stored, stored.saturating_mul(2).saturating_add(columns.saturating_mul(index(m))))
            }
        }
    }

    /// Columns that a tile of V:N:M keeps: a row of them is then an N:4 group, for which there is hardware.
    pub const TILE_COLUMNS: usize = 4;

    /// The largest M: a group's index then fits a byte.
    const LARGEST_GROUP: usize = 256;

    /// The largest V.
    const TALLEST_TILE: usize = 65_536;

    /// Whether the numbers make sense together.
    pub(crate) fn is_possible(&self) -> bool {
        let group = |n: usize, m: usize| 1 <= n && n < m && m <= Self::LARGEST_GROUP;
        match *self {
            Self::Dense => true,
            Self::Unstructured { basis_points, scope } => basis_points <= 10_000 && scope != Scope::Columns(0),
            Self::NofM { n, m } => group(n, m),
            Self::PairsOfM { n, m } => group(n, m) && n.is_multiple_of(2) && m.is_multiple_of(2),
            Self::Tiled { v, n, m } => {
                let tile = (1..=Self::TALLEST_TILE).contains(&v) && m > Self::TILE_COLUMNS;
                tile && group(n, Self::TILE_COLUMNS) && m <= Self::LARGEST_GROUP
            }
        }
    }

    /// Refuses impossible numbers, and a matrix that is not whole groups of pairs or whole tiles.
    pub fn check(&self, rows: usize, k: usize) -> Result<(), Error> {
        if !self.is_possible() {
            return Err(Error::UnknownPattern(self.to_string()));
        }
        match *self {
            Self::PairsOfM { m, .. } if !k.is_multiple_of(m) => Err(self.untiled(1, m, rows, k)),
            Self::Tiled { v, m, .. } if !rows.is_multiple_of(v) || !k.is_multiple_of(m) => {
                Err(self.untiled(v, m, rows, k))
            }
            _ => Ok(()),
        }
    }

    fn untiled(&self, tile_rows: usize, tile_k: usize, rows: usize, k: usize) -> Error {
        Error::Untiled { pattern: self.to_string(), tile_rows, tile_k, rows, k }
    }
}

/// ceil(log2 M): the width of a position in a group of M.
pub(crate) const fn index_bits(m: usize) -> u32 {
    m.next_power_of_two().trailing_zeros()
}
