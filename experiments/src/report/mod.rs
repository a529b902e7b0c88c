//! What a study leaves behind: a table on the terminal, `results.jsonl` and CSV for machines, SVG figures for people.

pub mod chart;
pub mod cost;
pub mod csv;
pub mod dots;
pub mod figure;
pub mod front;
pub mod html;
pub mod legend;
pub mod numbers;
pub mod place;
pub mod points;
pub mod scale;
pub mod scene;
pub mod style;
pub mod table;
pub mod wrap;
