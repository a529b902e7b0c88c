//! One word: arithmetic modulo 2^32, carries, and whole products.

use cubecl::prelude::*;

/// The rest of a sum, and what it carried.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The sum modulo 2^32.
    pub sum: u32,
    /// 1 where it is greater than that, else 0.
    pub carry: u32,
}

/// A product of two words.
#[derive(CubeType, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole {
    /// Its upper word.
    pub high: u32,
    /// Its lower word.
    pub low: u32,
}

/// `a + b` modulo 2^32. The device's own addition is that; the host's panics in debug builds.
pub fn wrapping_add(a: u32, b: u32) -> u32 {
    a.wrapping_add(b)
}

/// What [`wrapping_add`](fn@wrapping_add) is in a kernel.
pub mod wrapping_add {
    use cubecl::prelude::*;

    /// Writes the addition into a kernel.
    pub fn expand(scope: &Scope, a: NativeExpand<u32>, b: NativeExpand<u32>) -> NativeExpand<u32> {
        a.__expand_add_method(scope, b)
    }
}

/// `a * b` modulo 2^32.
pub fn wrapping_mul(a: u32, b: u32) -> u32 {
    a.wrapping_mul(b)
}

/// What [`wrapping_mul`](fn@wrapping_mul) is in a kernel.
pub mod wrapping_mul {
    use cubecl::prelude::*;

    /// Writes the multiplication into a kernel.
    pub fn expand(scope: &Scope, a: NativeExpand<u32>, b: NativeExpand<u32>) -> NativeExpand<u32> {
        a.__expand_mul_method(scope, b)
    }
}

/// `-a` modulo 2^32.
#[cube]
pub fn wrapping_neg(a: u32) -> u32 {
    wrapping_add(!a, 1u32)
}

/// `a + b + carry` with the carry that leaves it; `carry` is 0 or 1.
#[cube]
pub fn carrying_add(a: u32, b: u32, carry: u32) -> Carried {
    let first = wrapping_add(a, b);
    let sum = wrapping_add(first, carry);
    let out = select(first < a || sum < first, 1u32, 0u32);
    Carried { sum, carry: out }
}

/// The whole product of two words, by halves of 16 bits.
#[cube]
pub fn wide_product(a: u32, b: u32) -> Whole {
    let (a1, a0) = (a >> 16u32, a & 0xFFFFu32);
    let (b1, b0) = (b >> 16u32, b & 0xFFFFu32);
    let low = a0 * b0;
    // At most (2^16 - 1)^2 + 2 (2^16 - 1) = 2^32 - 1.
    let middle = a1 * b0 + (low >> 16u32);
    let other = a0 * b1 + (middle & 0xFFFFu32);
    let high = a1 * b1 + (middle >> 16u32) + (other >> 16u32);
    Whole { high, low: (other << 16u32) | (low & 0xFFFFu32) }
}
