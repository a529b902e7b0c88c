//! The blocks of quantised tensors: where codes and scales stand, and the values they stand for.
//!
//! A value is `scale * factor * (code - centre) + minimum * weight`, the factor and the weight being those of the value's group. The
//! order of operations is that of the `gguf` package, in `f32`: scale times factor, times code, then the minimum's product is added.
//! A scale has 11 significant bits, a factor at most 7 and a code at most 6 (8 where there is no factor), so every product is exact
//! and the sum is the only rounding: fused or not, every implementation gives the same bits.

use crate::load::widen;

/// The most values of a block.
const MOST: usize = 256;

/// Where the parts of a block stand, in bytes from its start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// The block's scale, a binary16.
    pub scale: usize,
    /// The block's minimum, a binary16, where it has one.
    pub minimum: Option<usize>,
    /// The factors of groups within the block.
    pub groups: Groups,
    /// The low bits of each code.
    pub low: Plane,
    /// The bits above them.
    pub high: Option<Plane>,
    /// What is subtracted from a code. Codes of eight bits are two's complement and have none.
    pub centre: i8,
}

/// Fields of `bits` bits. The field of value `i` is in the byte that is `i % stride` behind the others of its run, and a run's first
/// `stride` values have the lowest bits of its `stride` bytes, the next `stride` values the bits above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plane {
    /// The first byte.
    pub at: usize,
    /// The width of a field: 1, 2, 4 or 8.
    pub bits: usize,
    /// The bytes of a run.
    pub stride: usize,
}

/// How groups of values refine the block's scale and minimum; the number is the first byte.
#[derive(Debug, Clone, Copy)]
pub(super) enum Groups {
    /// No groups: the factor is 1, and the minimum is added.
    None,
    /// Groups of 16: a factor of four bits, above it the weight of the minimum, which is subtracted.
    Nibbles(usize),
    /// Groups of 16: twelve bytes of factors of six bits, less 32.
    Centred(usize),
    /// Groups of 32: twelve bytes of eight factors and eight weights of six bits; the minimum is subtracted.
    Paired(usize),
    /// Groups of 16: a signed byte each.
    Bytes(usize),
}

impl Layout {
    /// Appends the `values` values of `block`.
    pub(super) fn values(self, block: &[u8], values: usize, out: &mut Vec<f32>) {
        let mut scratch = [0u8; MOST];
        let codes = &mut scratch[..values];
        self.low.merge(block, 0, codes);
        if let Some(high) = self.high {
            high.merge(block, self.low.bits, codes);
        }
        let half = |at: usize| widen::f16(u16::from_le_bytes([block[at], block[at + 1]]));
        let scale = half(self.scale);
        // Adding -0 changes no value, not even a zero's sign.
        let minimum = self.minimum.map_or(-0.0, half);
        for (group, codes) in codes.chunks(self.groups.length()).enumerate() {
            let (factor, weight) = self.groups.of(block, group);
            let (scale, minimum) = (scale * factor, minimum * weight);
            out.extend(codes.iter().map(|code| scale * f32::from(code.cast_signed() - self.centre) + minimum));
        }
    }
}

impl Plane {
    /// Field `index`.
    fn field(self, block: &[u8], index: usize) -> u8 {
        let (run, within) = (index / (self.stride * 8 / self.bits), index % (self.stride * 8 / self.bits));
        let byte = block[self.at + run * self.stride + within % self.stride];
        byte >> (within / self.stride * self.bits) & self.mask()
    }

    fn mask(self) -> u8 {
        u8::MAX >> (8 - self.bits)
    }

    /// Joins each value's field, moved up by `shift` bits, to its code.
    fn merge(self, block: &[u8], shift: usize, codes: &mut [u8]) {
        let runs = block[self.at..].chunks_exact(self.stride);
        for (run, codes) in runs.zip(codes.chunks_mut(self.stride * 8 / self.bits)) {
            for (position, codes) in codes.chunks_mut(self.stride).enumerate() {
                for (code, byte) in codes.iter_mut().zip(run) {
                    *code |= (byte >> (position * self.bits) & self.mask()) << shift;
                }
            }
        }
    }
}

impl Groups {
    /// Values of a group.
    fn length(self) -> usize {
        match self {
            Self::None => MOST,
            Self::Paired(_) => 32,
            Self::Nibbles(_) | Self::Centred(_) | Self::Bytes(_) => 16,
        }
    }

    /// The factor and the weight of `group`.
    fn of(self, block: &[u8], group: usize) -> (f32, f32) {
        match self {
            Self::None => (1.0, 1.0),
            Self::Nibbles(at) => {
                let byte = block[at + group];
                (f32::from(byte & 15), -f32::from(byte >> 4))
            }
            Self::Centred(at) => {
                let low = Plane { at, bits: 4, stride: 8 }.field(block, group);
                let high = Plane { at: at + 8, bits: 2, stride: 4 }.field(block, group);
                (f32::from(low | high << 4) - 32.0, 1.0)
            }
            Self::Paired(at) => {
                let (factor, weight) = paired(&block[at..at + 12], group);
                (f32::from(factor), -f32::from(weight))
            }
            Self::Bytes(at) => (f32::from(block[at + group].cast_signed()), 1.0),
        }
    }
}

/// The first four pairs have six bits in a byte each. Of the others the low four bits are in bytes 8 to 11, and the two bits above
/// are the top bits of the first pairs' bytes.
fn paired(packed: &[u8], group: usize) -> (u8, u8) {
    if group < 4 {
        return (packed[group] & 63, packed[group + 4] & 63);
    }
    let low = packed[group + 4];
    ((low & 15) | packed[group - 4] >> 6 << 4, low >> 4 | packed[group] >> 6 << 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_what_merge_gives_it() {
        let block: Vec<u8> = (0..64u8).map(|i| i.wrapping_mul(37)).collect();
        for (bits, stride) in [(8, 1), (4, 16), (4, 32), (2, 32), (2, 16), (1, 1), (1, 32)] {
            let plane = Plane { at: 0, bits, stride };
            let mut codes = vec![0; 64 * 8 / bits];
            plane.merge(&block, 0, &mut codes);
            let fields: Vec<u8> = (0..codes.len()).map(|i| plane.field(&block, i)).collect();
            assert_eq!(codes, fields, "{plane:?}");
        }
    }

    #[test]
    fn paired_fields_use_every_bit_once() {
        for bit in 0..96 {
            let mut packed = [0u8; 12];
            packed[bit / 8] = 1 << (bit % 8);
            let ones: u32 = (0..8).map(|g| paired(&packed, g)).map(|(f, w)| f.count_ones() + w.count_ones()).sum();
            assert_eq!(ones, 1, "bit {bit}");
        }
    }
}
