//! The interplay command line.

fn main() {}
