//! The tensor cores that align and truncate: T-FDPA, ST-FDPA.

pub mod align;
pub mod element;
pub mod prepare;
pub mod register;
pub mod simple;
pub mod step;
pub mod unit;
