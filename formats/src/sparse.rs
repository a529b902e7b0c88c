//! Sparse storage: the kept codes of a matrix, and what says where they belong, in the layouts that hardware and
//! libraries read.
//!
//! Invariants: a [`Compressed`] has a possible [`Shape`] and parts of exactly the lengths that follow from it, checked
//! before anything is allocated. What the metadata says is checked by [`Compressed::decompress`]. Scales of block
//! formats are not compressed and not here: they index positions of the dense matrix.
//!
//! ```
//! use interplay_formats::sparse::Layout;
//! use interplay_formats::{Format, Pattern};
//!
//! let weights: Vec<f32> = (0..64 * 64).map(|i| (i % 61) as f32 - 30.0).collect();
//! let (mxfp4, pairs): (_, Pattern) = (Format::by_name("mxfp4")?, "4:8p".parse()?);
//! let mask = pairs.magnitude_mask(&weights, 64)?;
//! let mut quantized = mxfp4.quantize(&weights, 64)?;
//!
//! let compressed = quantized.compressed(&mask, Layout::Pairwise)?;
//! assert_eq!(compressed.sizes().ideal_bits, 4096 * 5 / 2);
//! quantized.apply_mask(&mask)?;
//! assert_eq!(quantized.with_compressed(&compressed)?, quantized);
//! # Ok::<(), interplay_formats::Error>(())
//! ```

mod csr;
mod cutlass;
mod grouped;
mod masked;
mod quantized;
mod scheme;
mod sizes;
mod tiled;

pub use sizes::Sizes;

use crate::error::Error;
use crate::{Mask, Pattern, pack};
use scheme::Scheme;
use std::fmt;

/// How kept codes and their places are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// 2:4 in PTX's logical order: 4 bits a group, the first kept position in the low two bits, row by row.
    Logical,
    /// 2:4 (1:2 for 32-bit codes) with the same metadata as words in the order of CUTLASS for sm_80.
    Cutlass,
    /// 1:2 as tf32 has it: 4 bits a pair, 0b0100 where the first is kept, 0b1110 where the second is.
    OneOfTwo,
    /// `4:8p` for 4-bit units: 4 bits a group of four pairs, the first kept pair in the low two bits.
    Pairwise,
    /// Any N:M and N:Mp: for every kept position (pair) its index in its group.
    Indices,
    /// Any pattern: one bit a position, row-major, 1 = kept.
    Bitmap,
    /// Any pattern: compressed sparse rows, a column a kept position and 32-bit row pointers.
    Csr,
    /// V:N:M: as 2:4 among the columns that a tile keeps, and the list of those columns (VENOM).
    Venom,
    /// N:8: a mask of 8 bits and N codes a block, unused ones zero (the density-bound blocks of S2TA).
    S2ta,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Logical => "logical",
            Self::Cutlass => "cutlass",
            Self::OneOfTwo => "one-of-two",
            Self::Pairwise => "pairwise",
            Self::Indices => "indices",
            Self::Bitmap => "bitmap",
            Self::Csr => "csr",
            Self::Venom => "venom",
            Self::S2ta => "s2ta",
        })
    }
}

/// What the parts of a compressed matrix are read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// How codes and places are written.
    pub layout: Layout,
    /// Which positions may be kept.
    pub pattern: Pattern,
    /// Bits of a code, 1 to 32.
    pub width: u32,
    /// Rows of the matrix.
    pub rows: usize,
    /// Length of a row.
    pub k: usize,
}

/// The bytes: bit strings, least significant bit first, each padded to a whole byte at its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The stored codes.
    pub values: Vec<u8>,
    /// Where each stored code belongs.
    pub metadata: Vec<u8>,
    /// What the metadata is relative to: the row pointers of CSR, the columns of V:N:M; empty elsewhere.
    pub index: Vec<u8>,
}

/// A compressed matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compressed {
    shape: Shape,
    scheme: Scheme,
    stored: u64,
    parts: Parts,
}

/// The flat position of each stored code, in storage order; `None` for a code that is padding.
type Slots = Vec<Option<usize>>;

impl Compressed {
    /// Stores the kept ones of `codes` [rows, k], of which the low `width` bits count.
    ///
    /// Groups that keep fewer positions than the pattern allows are filled up: as zeros, and where torch puts them.
    /// [`Mask::of_nonzero`] makes the mask of a matrix that is sparse already.
    ///
    /// # Errors
    /// A layout that does not have this pattern, width or shape; [`Error::Crowded`]; another number of codes.
    pub fn compress(layout: Layout, width: u32, codes: &[u64], mask: &Mask) -> Result<Self, Error> {
        let shape = Shape { layout, pattern: mask.pattern(), width, rows: mask.rows(), k: mask.k() };
        let scheme = Scheme::new(&shape)?;
        if codes.len() != mask.kept().len() {
            return Err(Error::Codes { given: codes.len(), rows: shape.rows, k: shape.k });
        }
        let (slots, metadata, index) = scheme.write(mask)?;
        let code = |slot: &Option<usize>| slot.filter(|&i| mask.kept()[i]).map_or(0, |i| codes[i]);
        let values = pack::bits(slots.iter().map(code), width);
        Ok(Self { shape, scheme, stored: slots.len() as u64, parts: Parts { values, metadata, index } })
    }

    /// Takes bytes from elsewhere.
    ///
    /// # Errors
    /// An impossible shape; [`Error::PartLength`] for a part of another length than the shape asks for.
    pub fn from_parts(shape: Shape, parts: Parts) -> Result<Self, Error> {
        let scheme = Scheme::new(&shape)?;
        let stored = scheme.stored(&shape, &parts)?;
        let bits = scheme.bits(&shape, stored);
        let lengths = [
            ("values", &parts.values, bits.values),
            ("metadata", &parts.metadata, bits.metadata),
            ("index", &parts.index, bits.index),
        ];
        for (part, bytes, bits) in lengths {
            check_length(part, bytes, bits)?;
        }
        Ok(Self { shape, scheme, stored, parts })
    }

    /// The codes [rows, k], zero where nothing is stored, and the mask of the stored positions.
    ///
    /// # Errors
    /// [`Error::Metadata`] where the metadata points nowhere, twice to one place, or back; [`Error::Crowded`];
    /// [`Error::Memory`] for a matrix that no memory holds, of which a few bytes of CSR can speak.
    pub fn decompress(&self) -> Result<(Vec<u64>, Mask), Error> {
        let Shape { pattern, width, rows, k, .. } = self.shape;
        let slots = self.scheme.read(&self.shape, self.stored, &self.parts)?;
        let values: Vec<u64> = pack::read(&self.parts.values, width, slots.len()).collect();
        let (mut codes, mut kept) = (empty(rows * k)?, empty(rows * k)?);
        for (at, (slot, code)) in slots.into_iter().zip(values).enumerate() {
            match slot {
                Some(i) => (codes[i], kept[i]) = (code, true),
                None if code == 0 => {}
                None => return Err(Error::Padding { at, code }),
            }
        }
        Ok((codes, Mask::new(pattern, rows, k, kept)))
    }

    /// What the parts are read by.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The bytes.
    pub fn parts(&self) -> &Parts {
        &self.parts
    }

    /// How many codes are stored, padding included.
    pub fn stored(&self) -> u64 {
        self.stored
    }
}

/// So many zeros, if the allocator says that it can.
fn empty<T: Copy + Default>(len: usize) -> Result<Vec<T>, Error> {
    let bytes = len as u64 * size_of::<T>() as u64;
    Vec::<T>::new().try_reserve_exact(len).map_err(|_| Error::Memory { bytes })?;
    Ok(vec![T::default(); len])
}

/// Refuses a part that is not `bits` padded to a byte.
fn check_length(part: &'static str, bytes: &[u8], bits: u64) -> Result<(), Error> {
    let expected = bits.div_ceil(8);
    if bytes.len() as u64 == expected { Ok(()) } else { Err(Error::PartLength { part, given: bytes.len(), expected }) }
}
