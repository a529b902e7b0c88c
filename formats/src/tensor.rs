//! A quantised matrix: codes and scales, and the packed bytes that memory would hold.
//!
//! Invariants, kept by privacy: there are `rows x k_padded` codes and `rows x blocks_per_row` scales of the kinds that
//! the format names; padding codes are zero. Rounding is not done here: see [`Format::quantize`].

use crate::block::{Factor, Scale};
use crate::error::Error;
use crate::{Encoding, Format, Mask, Pattern, Scalar, pack};

/// One code an element, in the narrowest type that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codes {
    /// Float codes of at most 8 bits, in the low bits.
    U8(Vec<u8>),
    /// Integer mantissas of at most 8 bits, sign-extended.
    I8(Vec<i8>),
    /// Float codes of 9 to 16 bits.
    U16(Vec<u16>),
    /// Integer mantissas of 9 to 16 bits, sign-extended.
    I16(Vec<i16>),
    /// FP32 itself.
    U32(Vec<u32>),
}

impl Codes {
    /// `len` zero codes of the type that `element` needs.
    pub(crate) fn zeros(element: Scalar, len: usize) -> Self {
        match (element.encoding, element.bits()) {
            (Encoding::Integer { .. }, ..=8) => Self::I8(vec![0; len]),
            (_, ..=8) => Self::U8(vec![0; len]),
            (Encoding::Integer { .. }, _) => Self::I16(vec![0; len]),
            (_, ..=16) => Self::U16(vec![0; len]),
            _ => Self::U32(vec![0; len]),
        }
    }

    /// How many codes.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(c) => c.len(),
            Self::I8(c) => c.len(),
            Self::U16(c) => c.len(),
            Self::I16(c) => c.len(),
            Self::U32(c) => c.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code at `i`; integers sign-extended.
    pub fn get(&self, i: usize) -> u64 {
        match self {
            Self::U8(c) => u64::from(c[i]),
            Self::I8(c) => c[i] as u64,
            Self::U16(c) => u64::from(c[i]),
            Self::I16(c) => c[i] as u64,
            Self::U32(c) => u64::from(c[i]),
        }
    }

    /// Writes a code; integers come sign-extended, so that their low bits are the whole number.
    pub(crate) fn set(&mut self, i: usize, code: u64) {
        match self {
            Self::U8(c) => c[i] = code as u8,
            Self::I8(c) => c[i] = code as i8,
            Self::U16(c) => c[i] = code as u16,
            Self::I16(c) => c[i] = code as i16,
            Self::U32(c) => c[i] = code as u32,
        }
    }
}

/// One scale a block, as written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scales {
    /// Scalar formats have none.
    None,
    /// Powers of two, biased by 127.
    E8M0(Vec<u8>),
    /// Block exponents.
    Exponent(Vec<i16>),
    /// FP32 factors.
    Float32(Vec<f32>),
}

impl Scales {
    /// No scales yet, of the kind that `format` needs.
    pub(crate) fn for_format(format: &Format) -> Self {
        match format.scaling.map(|s| s.scale) {
            None => Self::None,
            Some(Scale::E8M0) => Self::E8M0(Vec::new()),
            Some(Scale::Exponent(_)) => Self::Exponent(Vec::new()),
            Some(Scale::Float32) => Self::Float32(Vec::new()),
        }
    }

    /// Appends the scale of the next block.
    pub(crate) fn push(&mut self, factor: Factor) {
        match (self, factor) {
            (Self::E8M0(s), Factor::Power { stored, .. }) => s.push(stored as u8),
            (Self::Exponent(s), Factor::Power { stored, .. }) => s.push(stored as i16),
            (Self::Float32(s), Factor::Real(scale)) => s.push(scale),
            (Self::None, Factor::One) => {}
            (scales, factor) => unreachable!("the record gives {scales:?} and {factor:?} together"),
        }
    }

    /// How many scales.
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::E8M0(s) => s.len(),
            Self::Exponent(s) => s.len(),
            Self::Float32(s) => s.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A matrix [rows, k] in a [`Format`]: codes with rows padded to whole blocks, and scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantized {
    format: &'static Format,
    rows: usize,
    k: usize,
    codes: Codes,
    scales: Scales,
}

/// The bytes that memory would hold: bit strings, least significant bit first, each padded to a whole byte at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Codes; under a mask the kept ones only.
    pub values: Vec<u8>,
    /// Scales, never compressed.
    pub scales: Vec<u8>,
    /// Which positions are kept; empty without a mask.
    pub metadata: Vec<u8>,
}

impl Quantized {
    /// Joins parts that satisfy the invariants.
    pub(crate) fn new(format: &'static Format, rows: usize, k: usize, codes: Codes, scales: Scales) -> Self {
        assert_eq!(codes.len(), rows * format.padded(k), "one code an element of the padded matrix");
        Self { format, rows, k, codes, scales }
    }

    /// The format.
    pub fn format(&self) -> &'static Format {
        self.format
    }

    /// Rows of the matrix.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Length of a row without padding.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Length of a stored row: whole blocks.
    pub fn k_padded(&self) -> usize {
        self.format.padded(self.k)
    }

    /// Elements that share a scale; 1 for scalar formats.
    pub fn block_len(&self) -> usize {
        self.format.block_len(self.k)
    }

    /// Blocks of a row.
    pub fn blocks_per_row(&self) -> usize {
        self.k_padded() / self.block_len()
    }

    /// The codes, [rows, k_padded].
    pub fn codes(&self) -> &Codes {
        &self.codes
    }

    /// The scales, [rows, blocks_per_row].
    pub fn scales(&self) -> &Scales {
        &self.scales
    }

    /// The scale of block `index` (row-major) for decoding.
    pub(crate) fn factor(&self, index: usize) -> Factor {
        let power = |stored: i32| Factor::Power { stored, exponent: stored - self.format.exponent_offset() };
        match &self.scales {
            Scales::None => Factor::One,
            Scales::E8M0(s) => power(i32::from(s[index])),
            Scales::Exponent(s) => power(i32::from(s[index])),
            Scales::Float32(s) => Factor::Real(s[index]),
        }
    }

    /// The FP32 values [rows, k] by exact arithmetic: the judge of [`Quantized::dequantize`].
    pub fn dequantize_reference(&self) -> Vec<f32> {
        let (block, padded) = (self.block_len(), self.k_padded());
        let at = |row: usize, column: usize| {
            let factor = self.factor(row * self.blocks_per_row() + column / block);
            self.format.decode_element(self.codes.get(row * padded + column), factor)
        };
        (0..self.rows).flat_map(|row| (0..self.k).map(move |column| (row, column))).map(|(r, c)| at(r, c)).collect()
    }

    /// The exponent of each block [rows, blocks_per_row]: value = element * 2^exponent. `None` where scales are not
    /// powers of two or there are none.
    pub fn block_exponents(&self) -> Option<Vec<i32>> {
        let offset = self.format.exponent_offset();
        match &self.scales {
            Scales::E8M0(s) => Some(s.iter().map(|&e| i32::from(e) - offset).collect()),
            Scales::Exponent(s) => Some(s.iter().map(|&e| i32::from(e) - offset).collect()),
            Scales::None | Scales::Float32(_) => None,
        }
    }

    /// The FP32 factor of each row of an INT format: value = fl32(element * factor).
    pub fn row_scales(&self) -> Option<&[f32]> {
        match &self.scales {
            Scales::Float32(s) => Some(s),
            Scales::None | Scales::E8M0(_) | Scales::Exponent(_) => None,
        }
    }

    /// Sets pruned elements to the code of +0; scales stay as they are.
    ///
    /// # Errors
    /// [`Error::MaskShape`] where the mask belongs to another matrix.
    pub fn apply_mask(&mut self, mask: &Mask) -> Result<(), Error> {
        mask.check_shape(self.rows, self.k)?;
        let padded = self.k_padded();
        for (i, _) in mask.kept().iter().enumerate().filter(|(_, kept)| !**kept) {
            self.codes.set(i / self.k * padded + i % self.k, 0);
        }
        Ok(())
    }

    /// The bytes that memory would hold; with a mask only the kept codes, and metadata that says where they belong.
    ///
    /// # Errors
    /// [`Error::MaskShape`] where the mask belongs to another matrix.
    pub fn packed(&self, mask: Option<&Mask>) -> Result<Packed, Error> {
        let bits = self.format.element.bits();
        let scales = self.packed_scales();
        let Some(mask) = mask.filter(|m| m.pattern() != Pattern::Dense) else {
            return Ok(Packed { values: pack::codes(&self.codes, bits), scales, metadata: Vec::new() });
        };
        mask.check_shape(self.rows, self.k)?;
        let stored = mask.positions().map(|i| self.codes.get(i / self.k * self.k_padded() + i % self.k));
        Ok(Packed { values: pack::bits(stored, bits), scales, metadata: mask.metadata() })
    }

    /// The scales as a bit string.
    fn packed_scales(&self) -> Vec<u8> {
        let bits = self.format.scaling.map_or(0, |s| s.scale.bits());
        match &self.scales {
            Scales::None => Vec::new(),
            Scales::E8M0(s) => s.clone(),
            Scales::Exponent(s) => pack::bits(s.iter().map(|&e| e as u64), bits),
            Scales::Float32(s) => s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        }
    }
}
