//! The C types that `softfloat-sys` names, in the place of the crate `c99`, which asks CMake for them. So the tests need
//! a C compiler and no more. `[patch.crates-io]` in the workspace's manifest puts it there; only tests build it.
//!
//! What the types are is the C library's choice: glibc's "fast" integers are machine words from 16 bits on, musl's from
//! 64 bits on.

#![no_std]
#![allow(non_camel_case_types)]

/// C's `uint_fast8_t`.
pub type uint_fast8_t = u8;
/// C's `int_fast32_t`.
#[cfg(not(target_env = "musl"))]
pub type int_fast32_t = i64;
/// C's `uint_fast32_t`.
#[cfg(not(target_env = "musl"))]
pub type uint_fast32_t = u64;
/// C's `int_fast32_t`.
#[cfg(target_env = "musl")]
pub type int_fast32_t = i32;
/// C's `uint_fast32_t`.
#[cfg(target_env = "musl")]
pub type uint_fast32_t = u32;
/// C's `int_fast64_t`.
pub type int_fast64_t = i64;
/// C's `uint_fast64_t`.
pub type uint_fast64_t = u64;
