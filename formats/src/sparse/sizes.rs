//! Sizes of compressed matrices: the bits that the layout needs, and the bytes that a library takes for them.

use super::scheme::Bits;
use super::{Compressed, Layout, Shape};

/// What a compressed matrix takes, without scales.
///
/// What a library takes depends on the layout. Codes lie in memory types of 4, 8, 16 or 32 bits (6-bit codes take a
/// byte), and each array is a multiple of 16 bytes, where nothing else is said.
///
/// - `logical`, `one-of-two`, `pairwise`: cuSPARSELt as torch calls it. Rows and columns are multiples of 32 bytes of
///   codes, that is 8 of 32 bits, 16 of 16, 32 of 8 and, continued to 4 bits, 64; codes and metadata share one buffer.
/// - `cutlass`: CUTLASS as torch calls it. The matrix is whole blocks of 32 x 64 (16 bits), 16 x 128 (8 bits) or
///   32 x 32 (32 bits).
/// - `bitmap`: the `sparse-bitmask` files of compressed-tensors. Codes in whole bytes, each row's bits in whole bytes,
///   64-bit row offsets, no alignment.
/// - `csr`: cuSPARSE with 32-bit indices. Codes in whole bytes, 32 bits a column and a row pointer.
/// - `venom`: the kernels of VENOM. Metadata in 32-bit words, 32 bits for each column of a tile.
/// - `s2ta`: no library; the hardware's stream with each block, its mask and its codes, in whole bytes.
/// - `indices`: no library; plain arrays with one byte an index.
///
/// Torch's shapes are `_DTYPE_SHAPE_CONSTRAINTS` in its `sparse/semi_structured.py`. It refuses others; here they are
/// padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Codes, metadata and index to the bit, before padding to bytes.
    pub ideal_bits: u64,
    /// The bytes that the layout's library takes, by its rules of alignment.
    pub library_bytes: u64,
}

/// Bytes that CUDA libraries align arrays to.
const ALIGNMENT: u64 = 16;

/// Bits of codes whose count is what cuSPARSELt's rows and columns are multiples of.
const CUSPARSELT_BITS: u64 = 256;

impl Compressed {
    /// What the matrix takes, to the bit and in its library.
    pub fn sizes(&self) -> Sizes {
        let Bits { values, metadata, index } = self.scheme.bits(&self.shape, self.stored);
        Sizes { ideal_bits: values + metadata + index, library_bytes: self.library_bytes() }
    }

    fn library_bytes(&self) -> u64 {
        let (rows, k) = (self.shape.rows as u64, self.shape.k as u64);
        let memory = memory_bits(self.shape.width);
        let values = self.stored * u64::from(memory);
        let whole_bytes = self.stored * u64::from(memory.max(8)) / 8;
        let Bits { metadata, index, .. } = self.scheme.bits(&self.shape, self.stored);
        match self.shape.layout {
            Layout::Logical | Layout::OneOfTwo | Layout::Pairwise => {
                let multiple = (CUSPARSELT_BITS / u64::from(memory)) as usize;
                let Bits { values, metadata, .. } = self.padded(multiple, multiple);
                aligned(values + metadata)
            }
            Layout::Cutlass => {
                let (rows, k) = match memory {
                    8 => (16, 128),
                    16 => (32, 64),
                    _ => (32, 32),
                };
                let Bits { values, metadata, .. } = self.padded(rows, k);
                aligned(values) + aligned(metadata)
            }
            Layout::Indices => aligned(values) + aligned(8 * metadata / self.scheme.index_bits()),
            Layout::Bitmap => whole_bytes + rows * k.div_ceil(8) + 8 * rows,
            Layout::Csr => aligned(8 * whole_bytes) + aligned(32 * self.stored) + aligned(index),
            Layout::Venom => {
                let columns = index / self.scheme.index_bits();
                aligned(values) + aligned(metadata.next_multiple_of(32)) + aligned(32 * columns)
            }
            Layout::S2ta => {
                // The metadata is one byte a block, and all blocks store as many codes.
                let blocks = metadata / 8;
                let codes = self.stored.checked_div(blocks).unwrap_or(0);
                aligned(8 * blocks * (1 + (codes * u64::from(self.shape.width)).div_ceil(8)))
            }
        }
    }

    /// The parts of the same matrix with more rows and columns of zeros, codes in memory types.
    fn padded(&self, rows: usize, k: usize) -> Bits {
        let shape = Shape {
            rows: self.shape.rows.next_multiple_of(rows),
            k: self.shape.k.next_multiple_of(k),
            width: memory_bits(self.shape.width),
            ..self.shape
        };
        self.scheme.bits(&shape, self.scheme.fixed(&shape).unwrap_or(self.stored))
    }
}

/// The bits of the memory type that holds a code.
fn memory_bits(width: u32) -> u32 {
    match width {
        ..=4 => 4,
        5..=8 => 8,
        9..=16 => 16,
        _ => 32,
    }
}

/// Bits to bytes, to whole alignments.
fn aligned(bits: u64) -> u64 {
    bits.div_ceil(8).next_multiple_of(ALIGNMENT)
}
