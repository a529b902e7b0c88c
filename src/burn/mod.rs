//! The only part of the project, beside the zoo's modules and their training, that names Burn.

mod stage;

pub use stage::{Activation, Piece, Stage};
