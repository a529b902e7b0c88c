//! Stored tensor types and their dequantisation, as ggml defines it.
//!
//! A block of 32 values shares a binary16 scale `d` (and minimum `m`). The codes have at most 8 bits and `d` has 11, so the product
//! is exact in `f32`; adding `m` is the only rounding. Fused or not, every implementation gives the same bits.

use crate::load::widen;

/// Values of a quantised block.
const BLOCK: usize = 32;

/// A tensor type that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Storage {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q8_0,
}

impl Storage {
    /// The type of ggml's number `number`.
    pub(super) fn from_number(number: u32) -> Result<Self, String> {
        Ok(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            8 => Self::Q8_0,
            30 => Self::Bf16,
            _ => {
                return Err(format!(
                    "is stored as ggml type {number}; F32, F16, BF16, Q4_0, Q4_1 and Q8_0 can be read"
                ));
            }
        })
    }

    /// Values and bytes of one block.
    fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (BLOCK, 18),
            Self::Q4_1 => (BLOCK, 20),
            Self::Q8_0 => (BLOCK, 34),
        }
    }

    /// The bytes of a tensor whose rows have `row` values, or why there is no such tensor.
    pub(super) fn size(self, elements: usize, row: usize) -> Result<usize, String> {
        let (values, bytes) = self.block();
        if !row.is_multiple_of(values) {
            return Err(format!("has rows of {row} values, which {self:?} blocks of {values} do not divide"));
        }
        (elements / values).checked_mul(bytes).ok_or_else(|| format!("has {elements} values, more than any file holds"))
    }

    /// The values of `data`.
    pub(super) fn dequantise(self, data: &[u8]) -> Vec<f32> {
        let (values, bytes) = self.block();
        let mut out = Vec::with_capacity(data.len() / bytes * values);
        for block in data.chunks_exact(bytes) {
            self.block_values(block, &mut out);
        }
        out
    }

    fn block_values(self, block: &[u8], out: &mut Vec<f32>) {
        let half = |at: usize| u16::from_le_bytes([block[at], block[at + 1]]);
        match self {
            Self::F32 => out.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
            Self::F16 => out.push(widen::f16(half(0))),
            Self::Bf16 => out.push(widen::bf16(half(0))),
            Self::Q4_0 => {
                let d = widen::f16(half(0));
                nibbles(&block[2..], out, |code| (f32::from(code) - 8.0) * d);
            }
            Self::Q4_1 => {
                let (d, m) = (widen::f16(half(0)), widen::f16(half(2)));
                nibbles(&block[4..], out, |code| f32::from(code) * d + m);
            }
            Self::Q8_0 => {
                let d = widen::f16(half(0));
                out.extend(block[2..].iter().map(|&code| f32::from(code.cast_signed()) * d));
            }
        }
    }
}

/// Sixteen bytes are thirty-two codes: all low nibbles, then all high ones.
fn nibbles(codes: &[u8], out: &mut Vec<f32>, value: impl Fn(u8) -> f32) {
    out.extend(codes.iter().map(|byte| value(byte & 15)));
    out.extend(codes.iter().map(|byte| value(byte >> 4)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: [u8; 2] = [0x00, 0x3c];
    const HALF: [u8; 2] = [0x00, 0x38];

    #[test]
    fn low_nibbles_come_first() {
        let mut block = ONE.to_vec();
        block.extend((0..16).map(|i: u8| i | (15 - i) << 4));
        let values = Storage::Q4_0.dequantise(&block);
        assert_eq!(&values[..3], &[-8.0, -7.0, -6.0]);
        assert_eq!(&values[16..19], &[7.0, 6.0, 5.0]);
    }

    #[test]
    fn q4_1_adds_its_minimum() {
        let mut block = [HALF, ONE].concat();
        block.extend([0xf0; 16]);
        let values = Storage::Q4_1.dequantise(&block);
        assert_eq!((values[0], values[16]), (1.0, 8.5));
    }

    #[test]
    fn q8_0_codes_are_signed() {
        let mut block = HALF.to_vec();
        block.extend((0..32).map(|i: i8| (i - 16).cast_unsigned()));
        let values = Storage::Q8_0.dequantise(&block);
        assert_eq!((values[0], values[31]), (-8.0, 7.5));
    }

    #[test]
    fn sizes_are_those_of_ggml() {
        assert_eq!(Storage::Q4_1.size(576 * 2, 576), Ok(2 * 18 * 20));
        assert_eq!(Storage::Q8_0.size(64, 64), Ok(68));
        assert!(Storage::Q4_0.size(66, 33).is_err());
        assert!(Storage::from_number(12).is_err());
    }
}
