//! What every reader says about names and values.

use std::path::Path;

use crate::Error;

/// The known name that is most like `given`, if any is like it at all.
pub fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|name| (strsim::normalized_damerau_levenshtein(given, name), name))
        .filter(|(likeness, _)| *likeness > 0.4)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.to_owned())
}

/// Passes `values` of tensor `name` on unless one is NaN or infinite.
pub fn finite(origin: &Path, name: &str, shape: &[usize], values: Vec<f32>) -> Result<Vec<f32>, Error> {
    let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(values) };
    let width = shape.last().copied().unwrap_or(1).max(1);
    let problem = format!(
        "tensor `{name}` holds {} at row {}, column {}; weights must be finite, so the checkpoint is damaged",
        values[at],
        at / width,
        at % width
    );
    Err(Error::Malformed { path: origin.to_owned(), problem })
}
