//! Bit strings: codes of any width side by side, least significant bit first, padded to a whole byte at the end.
//!
//! So two 4-bit codes share a byte with the first in the low nibble, and four 6-bit codes take three bytes.

use crate::kernel::Code;
use crate::simd::{self, Level, Task};
use crate::tensor::Scales;
use crate::{Codes, Error, Format};
use rayon::prelude::*;

/// Codes that one parallel task packs: a multiple of 8, so that a task fills whole bytes at any width.
const CHUNK: usize = 1 << 16;
/// Codes that lie in 32-bit lanes on their way to bytes; a first-level cache holds them beside what they come from.
pub(crate) const BUFFER: usize = 2048;

/// The low `width` bits of each code, 1 to 64 bits.
pub(crate) fn bits(codes: impl Iterator<Item = u64>, width: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (mut buffer, mut held) = (0u128, 0);
    for code in codes {
        buffer |= (u128::from(code) & ((1 << width) - 1)) << held;
        held += width;
        while held >= 8 {
            bytes.push(buffer as u8);
            buffer >>= 8;
            held -= 8;
        }
    }
    if held > 0 {
        bytes.push(buffer as u8);
    }
    bytes
}

/// The first `count` codes of `width` bits (1 to 64) of a bit string. Missing bytes read as zero.
///
/// The inverse of what [`Quantized::packed`](crate::Quantized::packed) does with codes.
///
/// # Errors
/// [`Error::CodeWidth`] for codes of no bits or of more than 64, [`Error::Memory`] for more codes than memory holds.
pub fn unpack(bytes: &[u8], width: u32, count: usize) -> Result<Vec<u64>, Error> {
    if !(1..=64).contains(&width) {
        return Err(Error::CodeWidth { given: width });
    }
    let mut codes = Vec::new();
    let asked = (count as u64).saturating_mul(8);
    codes.try_reserve_exact(count).map_err(|_| Error::Memory { bytes: asked })?;
    codes.extend(read(bytes, width, count));
    Ok(codes)
}

/// The codes that [`unpack`] gives, for a width of 1 to 64 bits.
pub(crate) fn read(bytes: &[u8], width: u32, count: usize) -> impl Iterator<Item = u64> {
    let byte = |i: usize| bytes.get(i).copied().map_or(0, u128::from);
    (0..count).map(move |i| {
        let start = i.saturating_mul(width as usize);
        let word = (0..9).fold(0, |word, b| word | byte(start / 8 + b) << (8 * b));
        ((word >> (start % 8)) & ((1 << width) - 1)) as u64
    })
}

/// Bytes of `count` codes.
pub(crate) const fn length(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
}

/// All codes at `width` bits; the same bytes as [`bits`].
pub(crate) fn codes(codes: &Codes, width: u32) -> Vec<u8> {
    match codes {
        Codes::U8(c) => narrow(c, width),
        Codes::I8(c) => narrow(c, width),
        Codes::U16(c) => narrow(c, width),
        Codes::I16(c) => narrow(c, width),
        Codes::U32(c) if width < 32 => bits(c.iter().map(|&v| u64::from(v)), width),
        Codes::U32(c) => c.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Codes::U64(c) if width < 64 => bits(c.iter().copied(), width),
        Codes::U64(c) => c.iter().flat_map(|v| v.to_le_bytes()).collect(),
    }
}

/// The scales of a format as a bit string, the tensor's own last.
pub(crate) fn scales(format: &Format, k: usize, scales: &Scales, tensor: Option<f32>) -> Vec<u8> {
    let bits = format.scaling.map_or(0, |s| s.scale_bits(format.block_len(k))) as u32;
    let mut bytes = match scales {
        Scales::None => Vec::new(),
        Scales::E8M0(s) | Scales::Code(s) => narrow(s, bits),
        Scales::Exponent(s) => narrow(s, bits),
        Scales::Micro(s) => self::bits(s.iter().map(|&e| u64::from(e)), bits),
        Scales::Float32(s) => s.iter().flat_map(|v| v.to_le_bytes()).collect(),
        Scales::Affine(s, zeros) => {
            let mut bytes: Vec<u8> = s.iter().flat_map(|v| v.to_le_bytes()).collect();
            bytes.extend(narrow(zeros, bits - 32));
            bytes
        }
    };
    bytes.extend(tensor.iter().flat_map(|s| s.to_le_bytes()));
    bytes
}

/// Codes of at most 16 bits, on all threads.
pub(crate) fn narrow<C: Code>(codes: &[C], width: u32) -> Vec<u8> {
    let mut bytes = vec![0; length(codes.len(), width)];
    let pieces = bytes.par_chunks_mut(CHUNK / 8 * width as usize).zip(codes.par_chunks(CHUNK));
    let level = Level::detect();
    pieces.for_each(|(out, codes)| simd::run(level, Narrow { level, codes, width, out }));
    bytes
}

/// Packs some codes.
struct Narrow<'a, C> {
    level: Level,
    codes: &'a [C],
    width: u32,
    out: &'a mut [u8],
}

impl<C: Code> Task for Narrow<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let mut buffer = [0; BUFFER];
        for (codes, out) in self.codes.chunks(BUFFER).zip(self.out.chunks_mut(length(BUFFER, self.width))) {
            let lanes = &mut buffer[..codes.len()];
            for (lane, code) in lanes.iter_mut().zip(codes) {
                *lane = code.bits();
            }
            piece(self.level, lanes, self.width, out);
        }
    }
}

/// Packs the low `width` bits (at most 16) of codes into [`length`] bytes.
#[inline(always)]
pub(crate) fn piece(level: Level, codes: &[u32], width: u32, out: &mut [u8]) {
    let done = simd::pack(level, codes, width, out);
    let (codes, out) = (&codes[done..], &mut out[length(done, width)..]);
    match width {
        4 => nibbles(codes, out),
        8 => {
            for (out, code) in out.iter_mut().zip(codes) {
                *out = *code as u8;
            }
        }
        16 => {
            let pairs = out.as_chunks_mut::<2>().0;
            for (out, code) in pairs.iter_mut().zip(codes) {
                *out = (*code as u16).to_le_bytes();
            }
        }
        _ => groups(codes, width, out),
    }
}

/// Two codes a byte.
#[inline(always)]
fn nibbles(codes: &[u32], out: &mut [u8]) {
    let (pairs, rest) = codes.as_chunks::<2>();
    for (out, [low, high]) in out.iter_mut().zip(pairs) {
        *out = (low & 0xF | high << 4) as u8;
    }
    if let (Some(out), [last]) = (out.last_mut(), rest) {
        *out = *last as u8 & 0xF;
    }
}

/// Eight codes in `width` bytes, and what is left over in as many as it needs.
#[inline(always)]
fn groups(codes: &[u32], width: u32, out: &mut [u8]) {
    let mask = u32::MAX >> (32 - width);
    for (codes, out) in codes.chunks(8).zip(out.chunks_mut(width as usize)) {
        let place = |word, (i, code): (u32, &u32)| word | u128::from(code & mask) << (i * width);
        let word = (0u32..).zip(codes).fold(0u128, place);
        out.copy_from_slice(&word.to_le_bytes()[..out.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every width, every length around the groups of each level, and bits above a code that are no part of it.
    #[test]
    fn levels_agree_with_bit_strings() {
        let lanes: Vec<u32> = (0..BUFFER as u32 + 3).map(|i| i.wrapping_mul(0x9E37_79B9).rotate_left(7)).collect();
        for width in 1..=16 {
            for len in (0..=3 * simd::GROUP).chain([BUFFER - 1, BUFFER, BUFFER + 3]) {
                let want = bits(lanes[..len].iter().map(|&lane| u64::from(lane)), width);
                for level in Level::all() {
                    let mut out = vec![0xA5; length(len, width)];
                    piece(level, &lanes[..len], width, &mut out);
                    assert!(out == want, "{len} codes of {width} bits, {level:?}");
                }
                let short: Vec<u16> = lanes[..len].iter().map(|&lane| lane as u16).collect();
                assert!(narrow(&short, width) == want, "{len} codes of {width} bits, stored in 16");
            }
        }
    }
}
