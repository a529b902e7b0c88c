//! The fields of FP32.

/// All bits but the sign.
pub const MAGNITUDE: u32 = 0x7FFF_FFFF;
/// The sign.
pub const SIGN: u32 = 0x8000_0000;
/// The exponent field, which is also +infinity.
pub const INFINITY: u32 = 0x7F80_0000;
/// The fraction field.
pub const FRACTION: u32 = 0x007F_FFFF;
/// The bit above the fraction, which normal numbers do not store.
pub const HIDDEN: u32 = 0x0080_0000;
/// The largest number.
pub const LARGEST: u32 = 0x7F7F_FFFF;
/// 1.
pub const ONE: u32 = 0x3F80_0000;
