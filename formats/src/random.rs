//! Random bits by counter: what a position draws depends on the seed and the position only, so that threads, the order
//! of work and the backend never show.
//!
//! Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011): 32-bit
//! multiplications only, so that a GPU without 64-bit integers computes the same words.

/// A stream of 32-bit words, one for each position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
}

impl Stream {
    /// The stream of a seed.
    pub const fn new(seed: u64) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32] }
    }

    /// The word at a position: word `position % 4` of the Philox block whose counter is `position / 4`.
    pub const fn word(self, position: u64) -> u32 {
        let block = position / 4;
        philox([block as u32, (block >> 32) as u32, 0, 0], self.key)[(position % 4) as usize]
    }

    /// The words at the positions from `first` on.
    #[inline(always)]
    pub fn fill(self, first: u64, words: &mut [u32]) {
        let (head, rest) = words.split_at_mut((first.wrapping_neg() % 4).min(words.len() as u64) as usize);
        let after = first + head.len() as u64;
        (first..).zip(head).for_each(|(at, word)| *word = self.word(at));
        let (blocks, tail) = rest.as_chunks_mut::<4>();
        let count = blocks.len() as u64;
        for (block, words) in (after / 4..).zip(blocks) {
            *words = philox([block as u32, (block >> 32) as u32, 0, 0], self.key);
        }
        (after + 4 * count..).zip(tail).for_each(|(at, word)| *word = self.word(at));
    }
}

/// Ten rounds of Philox4x32.
#[inline(always)]
pub(crate) const fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    let mut round = 0;
    while round < 10 {
        let a = counter[0] as u64 * 0xD251_1F53;
        let b = counter[2] as u64 * 0xCD9E_8D57;
        counter = [(b >> 32) as u32 ^ counter[1] ^ key[0], b as u32, (a >> 32) as u32 ^ counter[3] ^ key[1], a as u32];
        key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        round += 1;
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::philox;

    /// The known answers that the generator's authors publish with Random123.
    #[test]
    fn known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_E8D5, 0xE169_C58D, 0xBC57_AC4C, 0x9B00_DBD8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408F_276D, 0x41C8_3B0E, 0xA20B_C7C6, 0x6D54_51FD]);
        let pi = philox([0x243F_6A88, 0x85A3_08D3, 0x1319_8A2E, 0x0370_7344], [0xA409_3822, 0x299F_31D0]);
        assert_eq!(pi, [0xD16C_FE09, 0x94FD_CCEB, 0x5001_E420, 0x2412_6EA1]);
    }
}
