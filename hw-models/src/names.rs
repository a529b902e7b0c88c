//! Looking records up by name: case-insensitive, and the nearest name when there is none.

use crate::Error;

/// Names that an error lists.
const LISTED: usize = 12;

/// The record called `given`, or an [`Error::UnknownName`] of that `kind` with the nearest known name.
pub(crate) fn find<T: Copy>(kind: &'static str, given: &str, known: &[(&str, T)]) -> Result<T, Error> {
    let wanted = given.trim().to_lowercase();
    if let Some((_, record)) = known.iter().find(|(name, _)| *name == wanted) {
        return Ok(*record);
    }
    let nearest = known
        .iter()
        .map(|(name, _)| (strsim::damerau_levenshtein(name, &wanted), *name))
        .filter(|(distance, name)| *distance <= name.len().max(wanted.len()) / 2)
        .min()
        .map(|(_, name)| name.to_owned());
    let mut names: Vec<&str> = known.iter().map(|(name, _)| *name).take(LISTED).collect();
    let more = format!("and {} more", known.len().saturating_sub(LISTED));
    if known.len() > LISTED {
        names.push(&more);
    }
    Err(Error::UnknownName { kind, given: given.to_owned(), nearest, known: names.join(", ") })
}

/// The words of a reader's message about an unknown field or variant, with the nearest of the expected ones.
///
/// Such messages read: unknown field `x`, expected one of `y`, `z`.
pub(crate) fn with_nearest(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let Some((given, expected)) = quoted.split_first().filter(|_| message.contains("unknown ")) else {
        return message.to_owned();
    };
    let nearest = expected.iter().min_by_key(|name| strsim::damerau_levenshtein(name, given));
    match nearest.filter(|name| strsim::damerau_levenshtein(name, given) <= name.len().max(given.len()) / 2) {
        Some(nearest) => format!("{message}; did you mean `{nearest}`?"),
        None => message.to_owned(),
    }
}
