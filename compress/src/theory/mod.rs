//! The theory of arXiv 2405.20935 as arithmetic on blocks, products and rankings: what its theorems say, held against numbers.
//!
//! Notation: `s` prunes by magnitude, `q` quantises, `eps_f(x) = x - f(x)`. S→Q is q(s(x)), Q→S is s(q(x)).
//!
//! * [`blocks`] makes test blocks and cuts them from real weights,
//! * [`tensor`] holds theorems 3.5, 3.6 and 3.7 against them,
//! * [`dot`] splits the error of a layer's products as theorem 3.9 does,
//! * [`ranking`] says how far quantisation scrambles the order of importance.
//!
//! Invariants: what is drawn depends on the seed and the index of a block only; what is counted as a violation is one, since sums in
//! FP64 that are too near to tell are taken again exactly; summaries merge in any order to the same bits. Nothing here reads or writes
//! files.

pub mod blocks;
pub mod dot;
mod exact;
mod normal;
pub mod ranking;
pub mod tensor;
