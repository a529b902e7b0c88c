//! The studies: one file each, one entry each.

pub mod methods;
pub mod orders;

use std::str::FromStr;

use anyhow::Result;
use interplay_formats::{Format, Pattern};

/// What a study asks.
pub struct Study {
    /// The name on the command line.
    pub name: &'static str,
    /// The question in one sentence.
    pub question: &'static str,
}

/// The names that were given, or the default ones.
fn names(given: &[String], default: &[&str]) -> Vec<String> {
    if given.is_empty() { default.iter().map(|&name| name.to_owned()).collect() } else { given.to_vec() }
}

/// Formats by their names, the default ones where none is given.
fn formats(given: &[String], default: &[&str]) -> Result<Vec<&'static Format>> {
    names(given, default).iter().map(|name| Ok(Format::by_name(name)?)).collect()
}

/// Patterns as they are written, the default ones where none is given.
fn patterns(given: &[String], default: &[&str]) -> Result<Vec<Pattern>> {
    names(given, default).iter().map(|name| Ok(Pattern::from_str(name)?)).collect()
}

/// Every study.
pub const ALL: &[Study] = &[orders::STUDY, methods::STUDY];
