//! `--shard I/N`: one of N parts of a study's cells.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, anyhow};

/// Part `index` of `count`, counted from 1: every `count`-th cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: usize,
    count: usize,
}

impl Default for Shard {
    fn default() -> Self {
        Self { index: 1, count: 1 }
    }
}

impl Shard {
    /// Whether cell `position` of the plan is this part's.
    pub fn has(self, position: usize) -> bool {
        position % self.count == self.index - 1
    }
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || anyhow!("`{text}` is no part: give I/N with I from 1 to N, as in 2/8");
        let (index, count) = text.split_once('/').ok_or_else(refused)?;
        let number = |text: &str| text.trim().parse().map_err(|_| refused());
        let (index, count): (usize, usize) = (number(index)?, number(count)?);
        if index == 0 || index > count { Err(refused()) } else { Ok(Self { index, count }) }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_disjoint_and_together_everything() {
        let parts: Vec<Shard> = (1..=3).map(|i| format!("{i}/3").parse().unwrap()).collect();
        for position in 0..20 {
            assert_eq!(parts.iter().filter(|part| part.has(position)).count(), 1);
        }
        assert!(Shard::default().has(7));
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
