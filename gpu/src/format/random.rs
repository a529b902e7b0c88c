//! Random bits by position: Philox4x32-10 as the CPU draws it, see `interplay_formats::Stream`.

use crate::bits::{wide_product, wrapping_add};
use cubecl::prelude::*;

/// The word of the stream of seed `high 2^32 + low` at a position.
#[cube]
pub fn random_word(position: u32, low: u32, high: u32) -> u32 {
    let mut c0 = position >> 2u32;
    let mut c1 = 0u32;
    let mut c2 = 0u32;
    let mut c3 = 0u32;
    let mut k0 = low;
    let mut k1 = high;
    for _ in 0..10u32 {
        let a = wide_product(c0, 0xD251_1F53u32);
        let b = wide_product(c2, 0xCD9E_8D57u32);
        c0 = b.high ^ c1 ^ k0;
        c1 = b.low;
        c2 = a.high ^ c3 ^ k1;
        c3 = a.low;
        k0 = wrapping_add(k0, 0x9E37_79B9u32);
        k1 = wrapping_add(k1, 0xBB67_AE85u32);
    }
    let which = position & 3u32;
    select(which < 2u32, select(which == 0u32, c0, c1), select(which == 2u32, c2, c3))
}
