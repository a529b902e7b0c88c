//! The loaders under their paths in the library.

#[path = "../../src/load/pickle/mod.rs"]
pub mod pickle;
#[path = "../../src/load/widen.rs"]
pub mod widen;
