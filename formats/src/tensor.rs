//! A quantised matrix: codes and scales, and the packed bytes that memory would hold.
//!
//! Invariants, kept by privacy: there are `rows x k_padded` codes and `rows x blocks_per_row` scales of the kinds that
//! the format names; padding codes are zero. Rounding is not done here: see [`Format::quantize`].

use crate::error::Error;
use crate::parts::PartsError;
use crate::reference::{Coded, Factor, Geometry};
use crate::{Encoding, Format, Mask, Pattern, Range, Scalar, Scale, pack};

/// One code an element, in the narrowest type that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Codes {
    /// Codes of at most 8 bits without sign extension, in the low bits: floats and unsigned integers.
    U8(Vec<u8>),
    /// Integers of at most 8 bits, sign-extended.
    I8(Vec<i8>),
    /// The same of 9 to 16 bits, without sign extension.
    U16(Vec<u16>),
    /// Integers of 9 to 16 bits, sign-extended.
    I16(Vec<i16>),
    /// Codes of 17 to 32 bits; integers with sign are sign-extended.
    U32(Vec<u32>),
    /// Wider codes.
    U64(Vec<u64>),
}

impl Codes {
    /// `len` zero codes of the type that `element` needs.
    pub(crate) fn zeros(element: Scalar, len: usize) -> Self {
        let extended = matches!(element.encoding, Encoding::Integer { range: Range::Symmetric | Range::Full, .. });
        match (element.bits(), extended) {
            (..=8, true) => Self::I8(vec![0; len]),
            (..=8, false) => Self::U8(vec![0; len]),
            (9..=16, true) => Self::I16(vec![0; len]),
            (9..=16, false) => Self::U16(vec![0; len]),
            (17..=32, _) => Self::U32(vec![0; len]),
            (33.., _) => Self::U64(vec![0; len]),
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
            Self::U64(c) => c.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The code at `i`; integers sign-extended.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn get(&self, i: usize) -> u64 {
        match self {
            Self::U8(c) => u64::from(c[i]),
            Self::I8(c) => c[i] as u64,
            Self::U16(c) => u64::from(c[i]),
            Self::I16(c) => c[i] as u64,
            Self::U32(c) => u64::from(c[i]),
            Self::U64(c) => c[i],
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
            Self::U64(c) => c[i] = code,
        }
    }
}

/// One scale a block, as written.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Scales {
    /// Scalar formats have none.
    None,
    /// Powers of two, biased by 127; 255 is NaN.
    E8M0(Vec<u8>),
    /// Block exponents.
    Exponent(Vec<i16>),
    /// Block exponents in the low 8 bits, two's complement, and one halving bit a run of elements above.
    Micro(Vec<u32>),
    /// FP32 factors.
    Float32(Vec<f32>),
    /// FP32 factors and zero points.
    Affine(Vec<f32>, Vec<u8>),
    /// Codes of a narrow float.
    Code(Vec<u8>),
}

impl Scales {
    /// No scales yet, of the kind that `format` needs.
    pub(crate) fn for_format(format: &Format) -> Self {
        match format.scaling.map(|s| s.scale) {
            None => Self::None,
            Some(Scale::E8M0) => Self::E8M0(Vec::new()),
            Some(Scale::Exponent(_)) => Self::Exponent(Vec::new()),
            Some(Scale::Micro { .. }) => Self::Micro(Vec::new()),
            Some(Scale::Float32) => Self::Float32(Vec::new()),
            Some(Scale::Affine(_)) => Self::Affine(Vec::new(), Vec::new()),
            Some(Scale::Code(_)) => Self::Code(Vec::new()),
        }
    }

    /// Appends the scale of the next block; the record's own rule made it, so that the kinds agree. A NaN scale is
    /// made only for kinds that have one.
    pub(crate) fn push(&mut self, factor: Factor) {
        match (self, factor) {
            (Self::E8M0(s), Factor::Power { stored, .. }) => s.push(stored as u8),
            (Self::E8M0(s), _) => s.push(u8::MAX),
            (Self::Exponent(s), Factor::Power { stored, .. }) => s.push(stored as i16),
            (Self::Exponent(s), _) => s.push(0),
            (Self::Micro(s), Factor::Micro { stored, .. }) => s.push(stored),
            (Self::Micro(s), _) => s.push(0),
            (Self::Float32(s), Factor::Real(scale)) => s.push(scale),
            (Self::Float32(s), _) => s.push(f32::NAN),
            (Self::Affine(s, zeros), Factor::Affine { factor, zero }) => {
                s.push(factor);
                zeros.push(zero);
            }
            (Self::Affine(s, zeros), _) => {
                s.push(f32::NAN);
                zeros.push(0);
            }
            (Self::Code(s), Factor::Coded(coded)) => s.push(coded.stored),
            (Self::Code(s), _) => s.push(0x7F),
            (Self::None, _) => {}
        }
    }

    /// The scales of these rows, each of `width` blocks.
    fn select(&self, order: &[usize], width: usize) -> Self {
        fn rows<T: Copy>(all: &[T], order: &[usize], width: usize) -> Vec<T> {
            order.iter().flat_map(|&row| all[row * width..(row + 1) * width].iter().copied()).collect()
        }
        match self {
            Self::None => Self::None,
            Self::E8M0(s) => Self::E8M0(rows(s, order, width)),
            Self::Exponent(s) => Self::Exponent(rows(s, order, width)),
            Self::Micro(s) => Self::Micro(rows(s, order, width)),
            Self::Float32(s) => Self::Float32(rows(s, order, width)),
            Self::Affine(s, zeros) => Self::Affine(rows(s, order, width), rows(zeros, order, width)),
            Self::Code(s) => Self::Code(rows(s, order, width)),
        }
    }

    /// How many scales.
    pub fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::E8M0(s) | Self::Code(s) => s.len(),
            Self::Exponent(s) => s.len(),
            Self::Micro(s) => s.len(),
            Self::Float32(s) | Self::Affine(s, _) => s.len(),
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
    tensor_scale: Option<f32>,
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
        Self { format, rows, k, codes, scales, tensor_scale: None }
    }

    /// The same with the scale of the whole tensor, where the format has one.
    pub(crate) fn with_tensor_scale(self, scale: Option<f32>) -> Self {
        let two_level = self.format.scaling.is_some_and(|s| s.two_level);
        Self { tensor_scale: scale.filter(|_| two_level), ..self }
    }

    /// The same with 1 for the scale of the whole tensor: elements under the scales of their blocks alone.
    pub fn under_block_scales(&self) -> Self {
        self.clone().with_tensor_scale(Some(1.0))
    }

    /// The FP32 scale of the whole tensor of a two-level format: value = element * block scale * this.
    pub fn tensor_scale(&self) -> Option<f32> {
        self.tensor_scale
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

    /// Elements along K that share a scale; 1 for scalar formats.
    pub fn block_len(&self) -> usize {
        self.format.block_len(self.k)
    }

    /// Blocks of a row.
    pub fn blocks_per_row(&self) -> usize {
        self.k_padded() / self.block_len()
    }

    /// Overwrites one code, sign-extended for integers with sign.
    pub(crate) fn set_code(&mut self, i: usize, code: u64) {
        self.codes.set(i, code);
    }

    /// The codes, [rows, k_padded].
    pub fn codes(&self) -> &Codes {
        &self.codes
    }

    /// The scales, [rows / block rows rounded up, blocks_per_row].
    pub fn scales(&self) -> &Scales {
        &self.scales
    }

    /// The scale of block `index` (row-major) for decoding.
    pub(crate) fn factor(&self, index: usize) -> Factor {
        let offset = self.format.exponent_offset();
        let power = |stored: i32| Factor::Power { stored, exponent: stored - offset };
        match (&self.scales, self.format.scaling.map(|s| s.scale)) {
            (Scales::None, _) => Factor::One,
            (Scales::E8M0(s), _) if s[index] == u8::MAX => Factor::Nan,
            (Scales::E8M0(s), _) => power(i32::from(s[index])),
            (Scales::Exponent(s), _) => power(i32::from(s[index])),
            (Scales::Micro(s), Some(Scale::Micro { run })) => {
                Factor::Micro { stored: s[index], exponent: i32::from(s[index] as i8) - offset, run }
            }
            (Scales::Float32(s), _) => Factor::Real(s[index]),
            (Scales::Affine(s, zeros), _) => Factor::Affine { factor: s[index], zero: zeros[index] },
            (Scales::Code(s), Some(Scale::Code(scale))) => {
                let value = scale.decode(u64::from(s[index])).to_f32();
                let tensor = self.tensor_scale.unwrap_or(1.0);
                Factor::Coded(Coded { stored: s[index], value, multiply: 0.0, divide: 1.0, tensor })
            }
            (Scales::Micro(_) | Scales::Code(_), _) => Factor::Nan,
        }
    }

    /// The FP32 values [rows, k] by exact arithmetic: the judge of [`Quantized::dequantize`].
    pub fn dequantize_reference(&self) -> Vec<f32> {
        let (block, padded) = (self.block_len(), self.k_padded());
        let geometry = Geometry::new(self.format, self.rows, self.k);
        let scaled = self.format.scaling.is_some();
        let at = |row: usize, column: usize| {
            let factor = if scaled { self.factor(geometry.block_of(row, column)) } else { Factor::One };
            self.format.decode_element(self.codes.get(row * padded + column), factor, column % block)
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
            _ => None,
        }
    }

    /// The FP32 factor of each block (for INT formats by rows: of each row): value = fl32(element * factor).
    pub fn row_scales(&self) -> Option<&[f32]> {
        match &self.scales {
            Scales::Float32(s) => Some(s),
            _ => None,
        }
    }

    /// Sets pruned elements to the code of +0 (the zero point, where there is one); scales stay as they are.
    ///
    /// # Errors
    /// [`Error::MaskShape`] where the mask belongs to another matrix.
    pub fn apply_mask(&mut self, mask: &Mask) -> Result<(), Error> {
        mask.check_shape(self.rows, self.k)?;
        let padded = self.k_padded();
        let geometry = Geometry::new(self.format, self.rows, self.k);
        for (i, _) in mask.kept().iter().enumerate().filter(|(_, kept)| !**kept) {
            let (row, column) = (i / self.k, i % self.k);
            let zero = match &self.scales {
                Scales::Affine(_, zeros) => u64::from(zeros[geometry.block_of(row, column)]),
                _ => 0,
            };
            self.codes.set(row * padded + column, zero);
        }
        Ok(())
    }

    /// The matrix of these rows, in this order; a row may be left out or stand twice.
    ///
    /// # Errors
    /// [`Error::Parts`] where rows share a scale, or there is no such row.
    pub fn select_rows(&self, order: &[usize]) -> Result<Self, Error> {
        let refuse = |problem| Error::Parts { format: self.format.name, problem };
        if self.format.scaling.is_some_and(|s| !s.block.is_row_local()) {
            return Err(refuse(PartsError::SharedRows));
        }
        if let Some(&row) = order.iter().find(|&&row| row >= self.rows) {
            return Err(refuse(PartsError::NoRow { row, rows: self.rows }));
        }
        let padded = self.k_padded();
        let mut codes = Codes::zeros(self.format.element, order.len() * padded);
        for (to, from) in order.iter().enumerate() {
            (0..padded).for_each(|column| codes.set(to * padded + column, self.codes.get(from * padded + column)));
        }
        let scales = self.scales.select(order, self.blocks_per_row());
        Ok(Self::new(self.format, order.len(), self.k, codes, scales).with_tensor_scale(self.tensor_scale))
    }

    /// The bytes that memory would hold; with a mask only the kept codes, and metadata that says where they belong.
    ///
    /// # Errors
    /// [`Error::MaskShape`] where the mask belongs to another matrix.
    pub fn packed(&self, mask: Option<&Mask>) -> Result<Packed, Error> {
        let bits = self.format.element.bits();
        let scales = pack::scales(self.format, self.k, &self.scales, self.tensor_scale);
        let Some(mask) = mask.filter(|m| m.pattern() != Pattern::Dense) else {
            return Ok(Packed { values: pack::codes(&self.codes, bits), scales, metadata: Vec::new() });
        };
        mask.check_shape(self.rows, self.k)?;
        let stored = mask.positions().map(|i| self.codes.get(i / self.k * self.k_padded() + i % self.k));
        Ok(Packed { values: pack::bits(stored, bits), scales, metadata: mask.metadata() })
    }
}
