//! From a layout and a pattern to one of five schemes of writing places.

use super::grouped::Grouped;
use super::{Layout, Parts, Shape, Slots, check_length, csr, cutlass, masked, tiled};
use crate::error::Error;
use crate::sparsity::index_bits;
use crate::{Mask, Pattern};

/// Positions, rows and columns that a compressed matrix has at most: row pointers of CSR then fit 32 bits, and no count
/// of bits overflows.
const LARGEST: usize = u32::MAX as usize;

/// How places are written, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    /// An index a kept position.
    Grouped(Grouped),
    /// The same, as words of this many bytes in another order.
    Cutlass(Grouped, usize),
    /// A mask a block of `m`, followed by `n` codes.
    Blocks { n: usize, m: usize },
    /// A mask of all positions.
    Bitmap,
    /// A column a kept position, a pointer a row.
    Csr,
    /// An index among the columns of a tile.
    Tiled { v: usize, n: usize, m: usize },
}

/// Bits of the parts before padding to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits {
    pub values: u64,
    pub metadata: u64,
    pub index: u64,
}

impl Scheme {
    /// The scheme of a shape that the layout can have.
    pub fn new(shape: &Shape) -> Result<Self, Error> {
        let &Shape { layout, pattern, width, rows, k } = shape;
        if !(1..=64).contains(&width) {
            return Err(unsupported(shape, "codes of 1 to 64 bits"));
        }
        pattern.check(rows, k)?;
        let any_row = matches!(layout, Layout::Indices | Layout::Bitmap | Layout::Csr);
        if matches!(pattern, Pattern::NofM { m, .. } if !any_row && !k.is_multiple_of(m)) {
            return Err(unsupported(shape, "rows that M divides (others: `indices`, `bitmap` and `csr`)"));
        }
        if rows.max(k) > LARGEST || rows.checked_mul(k).is_none_or(|positions| positions > LARGEST) {
            return Err(Error::TooLarge { rows, k, positions: LARGEST });
        }
        match (layout, pattern) {
            (Layout::Logical, Pattern::NofM { n: 2, m: 4 }) => Ok(Self::Grouped(Grouped::positions(2, 4))),
            (Layout::OneOfTwo, Pattern::NofM { n: 1, m: 2 }) => Ok(Self::Grouped(Grouped::HALVES)),
            (Layout::Pairwise, Pattern::PairsOfM { n: 4, m: 8 }) => Ok(Self::Grouped(Grouped::pairs(4, 8))),
            (Layout::Indices, Pattern::NofM { n, m }) => Ok(Self::Grouped(Grouped::positions(n, m))),
            (Layout::Indices, Pattern::PairsOfM { n, m }) => Ok(Self::Grouped(Grouped::pairs(n, m))),
            (Layout::Cutlass, _) => cutlass::scheme(shape).map(|(grouped, word)| Self::Cutlass(grouped, word)),
            (Layout::Bitmap, _) => Ok(Self::Bitmap),
            (Layout::Csr, _) => Ok(Self::Csr),
            (Layout::Venom, Pattern::Tiled { v, n, m }) => Ok(Self::Tiled { v, n, m }),
            (Layout::S2ta, Pattern::NofM { n, m: 8 }) => Ok(Self::Blocks { n, m: 8 }),
            (Layout::Logical, _) => Err(unsupported(shape, "2:4 sparsity")),
            (Layout::OneOfTwo, _) => Err(unsupported(shape, "1:2 sparsity")),
            (Layout::Pairwise, _) => Err(unsupported(shape, "4:8p sparsity")),
            (Layout::Indices, _) => Err(unsupported(shape, "N:M and N:Mp sparsity")),
            (Layout::Venom, _) => Err(unsupported(shape, "V:N:M sparsity")),
            (Layout::S2ta, _) => Err(unsupported(shape, "N:8 sparsity")),
        }
    }

    /// Slots, metadata and index of a mask.
    pub fn write(self, mask: &Mask) -> Result<(Slots, Vec<u8>, Vec<u8>), Error> {
        let filled = mask.filled()?;
        let slots = || filled.positions().map(Some).collect();
        Ok(match self {
            Self::Grouped(grouped) => (slots(), grouped.write(&filled), Vec::new()),
            Self::Cutlass(grouped, word) => {
                (slots(), cutlass::reorder(&grouped.write(&filled), mask.rows(), word), Vec::new())
            }
            Self::Blocks { n, m } => (masked::block_slots(mask, n, m), masked::write(mask), Vec::new()),
            Self::Bitmap => (mask.positions().map(Some).collect(), masked::write(mask), Vec::new()),
            Self::Csr => {
                let (columns, pointers) = csr::write(mask);
                (mask.positions().map(Some).collect(), columns, pointers)
            }
            Self::Tiled { v, m, .. } => {
                let (ranks, columns) = tiled::write(&filled, v, m);
                (slots(), ranks, columns)
            }
        })
    }

    /// How many codes are stored where the shape alone says so.
    pub fn fixed(self, shape: &Shape) -> Option<u64> {
        let positions = (shape.rows * shape.k) as u64;
        match self {
            Self::Grouped(grouped) | Self::Cutlass(grouped, _) => Some(shape.rows as u64 * grouped.kept(shape.k)),
            Self::Blocks { n, m } | Self::Tiled { n, m, .. } => Some(positions / m as u64 * n as u64),
            Self::Bitmap | Self::Csr => None,
        }
    }

    /// How many codes are stored. Parts that say so must be long enough to say it.
    pub fn stored(self, shape: &Shape, parts: &Parts) -> Result<u64, Error> {
        if let Some(stored) = self.fixed(shape) {
            return Ok(stored);
        }
        if self == Self::Csr {
            check_length("index", &parts.index, csr::pointer_bits(shape.rows))?;
            return Ok(csr::last_pointer(&parts.index));
        }
        let positions = (shape.rows * shape.k) as u64;
        check_length("metadata", &parts.metadata, positions)?;
        Ok(masked::count(&parts.metadata, positions))
    }

    /// Bits of one index: of a position in its group, or of a column in its tile; 1 where there are none.
    pub fn index_bits(self) -> u64 {
        match self {
            Self::Grouped(grouped) | Self::Cutlass(grouped, _) => u64::from(grouped.index_bits()),
            Self::Tiled { m, .. } => u64::from(index_bits(m)),
            Self::Blocks { .. } | Self::Bitmap | Self::Csr => 1,
        }
    }

    /// Bits of the parts.
    pub fn bits(self, shape: &Shape, stored: u64) -> Bits {
        let positions = (shape.rows * shape.k) as u64;
        let (metadata, index) = match self {
            Self::Grouped(grouped) | Self::Cutlass(grouped, _) => (shape.rows as u64 * grouped.bits(shape.k), 0),
            Self::Blocks { .. } | Self::Bitmap => (positions, 0),
            Self::Csr => (stored * u64::from(index_bits(shape.k)), csr::pointer_bits(shape.rows)),
            Self::Tiled { v, m, .. } => {
                let columns = positions / (v * m) as u64 * Pattern::TILE_COLUMNS as u64;
                (2 * stored, columns * u64::from(index_bits(m)))
            }
        };
        Bits { values: stored * u64::from(shape.width), metadata, index }
    }

    /// The slots that metadata and index stand for; both have the right length.
    pub fn read(self, shape: &Shape, stored: u64, parts: &Parts) -> Result<Slots, Error> {
        match self {
            Self::Grouped(grouped) => grouped.read(shape, &parts.metadata),
            Self::Cutlass(grouped, word) => grouped.read(shape, &cutlass::restore(&parts.metadata, shape.rows, word)),
            Self::Blocks { n, m } => Ok(masked::block_slots(&masked::read(shape, &parts.metadata)?, n, m)),
            Self::Bitmap => Ok(masked::read(shape, &parts.metadata)?.positions().map(Some).collect()),
            Self::Csr => csr::read(shape, stored, parts),
            Self::Tiled { v, n, m } => tiled::read(shape, (v, n, m), parts),
        }
    }
}

/// The error for a layout that does not have what the shape asks for.
pub(super) fn unsupported(shape: &Shape, allowed: &'static str) -> Error {
    let &Shape { layout, pattern, width, rows, k } = shape;
    Error::Layout { layout, pattern: pattern.to_string(), width, rows, k, allowed }
}

/// The error for metadata that means nothing; `column` is the first one of the group.
pub(super) fn illegal(row: usize, column: usize, given: u64, allowed: &'static str) -> Error {
    Error::Metadata { row, column, given, allowed }
}
