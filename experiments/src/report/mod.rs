//! What a study leaves behind: a table on the terminal, `results.jsonl` and CSV for machines, SVG figures for people.

pub mod cost;
pub mod csv;
pub mod dots;
pub mod figure;
pub mod front;
pub mod html;
pub mod numbers;
pub mod panels;
pub mod style;
pub mod table;
