//! What a study leaves behind: a table on the terminal, `results.jsonl` and CSV for machines, SVG figures for people.

pub mod cost;
pub mod csv;
pub mod figure;
pub mod front;
pub mod layers;
pub mod numbers;
pub mod style;
pub mod table;
