//! The tensor types that can be read, one record each.

use super::layout::{Groups, Layout, Plane};
use crate::load::widen;

/// A tensor type of ggml.
#[derive(Debug)]
pub(super) struct Storage {
    /// Its number in a file.
    number: u32,
    /// Its name in ggml.
    pub name: &'static str,
    /// Values of a block.
    values: usize,
    /// Bytes of a block.
    bytes: usize,
    coding: Coding,
}

#[derive(Debug)]
enum Coding {
    F32,
    F16,
    Bf16,
    Block(Layout),
}

const fn number(number: u32, name: &'static str, bytes: usize, coding: Coding) -> Storage {
    Storage { number, name, values: 1, bytes, coding }
}

const fn block(number: u32, name: &'static str, values: usize, bytes: usize, layout: Layout) -> Storage {
    Storage { number, name, values, bytes, coding: Coding::Block(layout) }
}

const fn plane(at: usize, bits: usize, stride: usize) -> Plane {
    Plane { at, bits, stride }
}

/// A layout whose block begins with its scale, without groups.
const fn plain(minimum: Option<usize>, low: Plane, high: Option<Plane>, centre: i8) -> Layout {
    Layout { scale: 0, minimum, groups: Groups::None, low, high, centre }
}

/// Every type that can be read. Q8_K is none of them: ggml has it only for intermediate results, never in a file.
static TYPES: [Storage; 13] = [
    number(0, "F32", 4, Coding::F32),
    number(1, "F16", 2, Coding::F16),
    number(30, "BF16", 2, Coding::Bf16),
    block(2, "Q4_0", 32, 18, plain(None, plane(2, 4, 16), None, 8)),
    block(3, "Q4_1", 32, 20, plain(Some(2), plane(4, 4, 16), None, 0)),
    block(6, "Q5_0", 32, 22, plain(None, plane(6, 4, 16), Some(plane(2, 1, 1)), 16)),
    block(7, "Q5_1", 32, 24, plain(Some(2), plane(8, 4, 16), Some(plane(4, 1, 1)), 0)),
    block(8, "Q8_0", 32, 34, plain(None, plane(2, 8, 32), None, 0)),
    block(
        10,
        "Q2_K",
        256,
        84,
        Layout {
            scale: 80,
            minimum: Some(82),
            groups: Groups::Nibbles(0),
            low: plane(16, 2, 32),
            high: None,
            centre: 0,
        },
    ),
    block(
        11,
        "Q3_K",
        256,
        110,
        Layout {
            scale: 108,
            minimum: None,
            groups: Groups::Centred(96),
            low: plane(32, 2, 32),
            high: Some(plane(0, 1, 32)),
            centre: 4,
        },
    ),
    block(
        12,
        "Q4_K",
        256,
        144,
        Layout { scale: 0, minimum: Some(2), groups: Groups::Paired(4), low: plane(16, 4, 32), high: None, centre: 0 },
    ),
    block(
        13,
        "Q5_K",
        256,
        176,
        Layout {
            scale: 0,
            minimum: Some(2),
            groups: Groups::Paired(4),
            low: plane(48, 4, 32),
            high: Some(plane(16, 1, 32)),
            centre: 0,
        },
    ),
    block(
        14,
        "Q6_K",
        256,
        210,
        Layout {
            scale: 208,
            minimum: None,
            groups: Groups::Bytes(192),
            low: plane(0, 4, 64),
            high: Some(plane(128, 2, 32)),
            centre: 32,
        },
    ),
];

impl Storage {
    /// The type of ggml's number `number`.
    pub(super) fn from_number(number: u32) -> Result<&'static Self, String> {
        TYPES.iter().find(|storage| storage.number == number).ok_or_else(|| {
            let known: Vec<_> = TYPES.iter().map(|storage| storage.name).collect();
            format!(
                "is stored as ggml type {number}; {} can be read, so convert the file to one of them",
                known.join(", ")
            )
        })
    }

    /// The bytes of a tensor whose rows have `row` values, or why there is no such tensor.
    pub(super) fn size(&self, elements: usize, row: usize) -> Result<usize, String> {
        if !row.is_multiple_of(self.values) {
            return Err(format!(
                "has rows of {row} values, which {} blocks of {} do not divide",
                self.name, self.values
            ));
        }
        (elements / self.values)
            .checked_mul(self.bytes)
            .ok_or_else(|| format!("has {elements} values, more than any file holds"))
    }

    /// The values of `data`, whole blocks.
    pub(super) fn dequantise(&self, data: &[u8]) -> Vec<f32> {
        let mut out = Vec::with_capacity(data.len() / self.bytes * self.values);
        let halves = || data.as_chunks::<2>().0.iter().map(|bytes| u16::from_le_bytes(*bytes));
        match self.coding {
            Coding::F32 => out.extend(data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes))),
            Coding::F16 => out.extend(halves().map(widen::f16)),
            Coding::Bf16 => out.extend(halves().map(widen::bf16)),
            Coding::Block(layout) => {
                data.chunks_exact(self.bytes).for_each(|block| layout.values(block, self.values, &mut out));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: [u8; 2] = [0x00, 0x3c];
    const HALF: [u8; 2] = [0x00, 0x38];

    fn values(number: u32, data: &[u8]) -> Vec<f32> {
        Storage::from_number(number).unwrap().dequantise(data)
    }

    #[test]
    fn low_nibbles_come_first() {
        let mut block = ONE.to_vec();
        block.extend((0..16).map(|i: u8| i | (15 - i) << 4));
        let values = values(2, &block);
        assert_eq!(&values[..3], &[-8.0, -7.0, -6.0]);
        assert_eq!(&values[16..19], &[7.0, 6.0, 5.0]);
    }

    #[test]
    fn q4_1_adds_its_minimum() {
        let mut block = [HALF, ONE].concat();
        block.extend([0xf0; 16]);
        let values = values(3, &block);
        assert_eq!((values[0], values[16]), (1.0, 8.5));
    }

    #[test]
    fn q8_0_codes_are_signed() {
        let mut block = HALF.to_vec();
        block.extend((0..32).map(|i: i8| (i - 16).cast_unsigned()));
        let values = values(8, &block);
        assert_eq!((values[0], values[31]), (-8.0, 7.5));
    }

    #[test]
    fn every_block_has_its_values() {
        for storage in &TYPES {
            let values = storage.dequantise(&vec![0xff; storage.bytes * 3]);
            assert_eq!(values.len(), storage.values * 3, "{}", storage.name);
            assert_eq!(TYPES.iter().filter(|other| other.number == storage.number).count(), 1, "{}", storage.name);
        }
    }

    #[test]
    fn sizes_are_those_of_ggml() {
        let size = |number, elements, row| Storage::from_number(number).unwrap().size(elements, row);
        assert_eq!(size(3, 576 * 2, 576), Ok(2 * 18 * 20));
        assert_eq!(size(8, 64, 64), Ok(68));
        assert_eq!(size(14, 512, 256), Ok(420));
        assert!(size(2, 66, 33).unwrap_err().contains("Q4_0 blocks of 32"));
        assert!(size(0, usize::MAX, 1).is_err());
        assert!(Storage::from_number(16).unwrap_err().contains("Q6_K"));
    }
}
