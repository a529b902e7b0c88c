//! Codes of 4, 6 and 8 bits in bytes.

use crate::{Error, pack};
use serde::Serialize;

/// Which of two 4-bit codes lies in the low half of their byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NibbleOrder {
    /// The first, in bits 3..0.
    LowFirst,
    /// The second; the first is in bits 7..4.
    HighFirst,
}

/// A byte of its own for each code, as the matrix instructions of kinds f8f6f4 and mxf8f6f4 take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Container {
    /// Four bits in bits 5..2.
    E2M1,
    /// Six bits in bits 5..0.
    Fp6,
    /// All eight bits.
    Fp8,
}

/// Where codes lie in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeLayout {
    /// Two 4-bit codes a byte; the unused half of a last byte is zero.
    Nibbles(NibbleOrder),
    /// Four 6-bit codes in three bytes, least significant bit first; the unused bits of a last byte are zero.
    Sextets,
    /// One code a byte; the bits around it are zero.
    Container(Container),
}

impl CodeLayout {
    /// Bits of one code without padding.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Nibbles(_) | Self::Container(Container::E2M1) => 4,
            Self::Sextets | Self::Container(Container::Fp6) => 6,
            Self::Container(Container::Fp8) => 8,
        }
    }

    /// Bytes that `count` codes take; never more than `count`.
    pub const fn stored_len(self, count: usize) -> usize {
        match self {
            Self::Nibbles(_) => count.div_ceil(2),
            // Whole triples first, so that no `count` overflows.
            Self::Sextets => count / 4 * 3 + (count % 4 * 6).div_ceil(8),
            Self::Container(_) => count,
        }
    }

    /// Lays codes out.
    ///
    /// # Errors
    /// [`Error::CodeTooWide`] for a code with bits above [`CodeLayout::bits`].
    pub fn store(self, codes: &[u8]) -> Result<Vec<u8>, Error> {
        let bits = self.bits();
        // Wider than a byte, so that all eight bits may be used.
        if let Some(index) = codes.iter().position(|&c| u32::from(c) >> bits != 0) {
            return Err(Error::CodeTooWide { index, code: codes[index], bits });
        }
        Ok(match self {
            Self::Nibbles(NibbleOrder::LowFirst) => pack::narrow(codes, 4),
            Self::Nibbles(NibbleOrder::HighFirst) => {
                pack::narrow(codes, 4).into_iter().map(|b| b.rotate_left(4)).collect()
            }
            Self::Sextets => pack::narrow(codes, 6),
            Self::Container(container) => codes.iter().map(|c| c << container.shift()).collect(),
        })
    }

    /// Takes `count` codes back.
    ///
    /// # Errors
    /// [`Error::LayoutLength`] unless there are [`CodeLayout::stored_len`] bytes, and [`Error::LayoutPadding`] where a bit
    /// outside of the codes is not zero.
    pub fn load(self, bytes: &[u8], count: usize) -> Result<Vec<u8>, Error> {
        let allowed = self.stored_len(count);
        if bytes.len() != allowed {
            return Err(Error::LayoutLength { what: "bytes of codes", given: bytes.len(), allowed });
        }
        if let Some(index) = bytes.iter().enumerate().position(|(i, byte)| byte & self.padding(i, count) != 0) {
            return Err(Error::LayoutPadding { index, byte: bytes[index], padding: self.padding(index, count) });
        }
        let mut codes = Vec::with_capacity(count);
        match self {
            Self::Nibbles(NibbleOrder::LowFirst) => codes.extend(bytes.iter().flat_map(|b| [b & 0xF, b >> 4])),
            Self::Nibbles(NibbleOrder::HighFirst) => codes.extend(bytes.iter().flat_map(|b| [b >> 4, b & 0xF])),
            Self::Sextets => codes.extend(bytes.chunks(3).flat_map(sextets)),
            Self::Container(container) => codes.extend(bytes.iter().map(|b| b >> container.shift())),
        }
        codes.truncate(count);
        Ok(codes)
    }

    /// The bits of byte `index` that belong to none of `count` codes.
    const fn padding(self, index: usize, count: usize) -> u8 {
        let last = index + 1 == self.stored_len(count);
        match self {
            Self::Nibbles(NibbleOrder::LowFirst) if last && count % 2 == 1 => 0xF0,
            Self::Nibbles(NibbleOrder::HighFirst) if last && count % 2 == 1 => 0x0F,
            Self::Sextets if last && !count.is_multiple_of(4) => 0xFF << (count % 4 * 6 % 8),
            Self::Nibbles(_) | Self::Sextets => 0,
            Self::Container(Container::E2M1) => 0b1100_0011,
            Self::Container(Container::Fp6) => 0b1100_0000,
            Self::Container(Container::Fp8) => 0,
        }
    }
}

impl Container {
    /// Bits below the code.
    const fn shift(self) -> u32 {
        match self {
            Self::E2M1 => 2,
            Self::Fp6 | Self::Fp8 => 0,
        }
    }
}

/// The four codes of up to three bytes; missing bytes read as zero.
fn sextets(bytes: &[u8]) -> [u8; 4] {
    let word = bytes.iter().rev().fold(0u32, |word, &b| word << 8 | u32::from(b));
    [0, 6, 12, 18].map(|at| (word >> at) as u8 & 0x3F)
}
