//! The interplay command line.

mod result;

fn main() {}
