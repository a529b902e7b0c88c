//! The text of one step: a name and its arguments, each read once and none left over.

use std::str::FromStr;

use super::methods::{METHODS, Method};
use crate::Error;
use crate::formats::{Format, Pattern, Scope};

/// The arguments of a step, taken one by one.
#[derive(Debug)]
pub(super) struct Arguments<'a> {
    /// The step as it was written.
    text: &'a str,
    /// The method that it names.
    pub(super) method: &'static Method,
    /// Arguments without a name, in order.
    plain: Vec<&'a str>,
    /// Arguments with a name.
    named: Vec<(&'a str, &'a str)>,
}

/// The steps of a list: what stands between commas that no parenthesis encloses.
pub(super) fn split(text: &str) -> Result<Vec<&str>, Error> {
    let (mut depth, mut start, mut parts) = (0usize, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => {
                return Err(Error::Invalid(format!("`{text}` closes a parenthesis that it does not open")));
            }
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return Err(Error::Invalid(format!("`{text}` opens a parenthesis that it does not close")));
    }
    parts.push(&text[start..]);
    Ok(parts)
}

impl<'a> Arguments<'a> {
    /// Reads `name` or `name(argument, key=value)`.
    pub(super) fn parse(text: &'a str) -> Result<Self, Error> {
        let (name, inside) = match text.split_once('(') {
            None => (text, ""),
            Some((name, rest)) => (name, rest.strip_suffix(')').ok_or_else(|| unclosed(text))?),
        };
        let method = METHODS.iter().find(|method| method.name == name).ok_or_else(|| unknown(name))?;
        let (mut plain, mut named) = (Vec::new(), Vec::new());
        for part in split(inside)?.into_iter().filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((key, value)) => named.push((key, value)),
                None if named.is_empty() => plain.push(part),
                None => {
                    return Err(Error::Invalid(format!(
                        "in `{text}` the argument `{part}` stands behind one with a name"
                    )));
                }
            }
        }
        if let Some((key, _)) = named.iter().find(|(key, _)| !method.parameters.iter().any(|p| p.name == *key)) {
            return Err(left_over(text, method, key));
        }
        plain.reverse();
        Ok(Self { text, method, plain, named })
    }

    /// The text of an argument: the one called `key`, else the next without a name.
    fn take(&mut self, key: &str) -> Option<&'a str> {
        match self.named.iter().position(|(name, _)| *name == key) {
            Some(at) => Some(self.named.remove(at).1),
            None => self.plain.pop(),
        }
    }

    /// The same where only a name will do.
    fn take_named(&mut self, key: &str) -> Option<&'a str> {
        let at = self.named.iter().position(|(name, _)| *name == key)?;
        Some(self.named.remove(at).1)
    }

    fn wrong(&self, key: &str, given: &str, allowed: &str) -> Error {
        Error::Invalid(format!("in `{}` the argument {key} is `{given}`; it is {allowed}", self.text))
    }

    fn missing(&self, what: &str) -> Error {
        Error::Invalid(format!("`{}` needs {what}, as in `{}`", self.text, self.method.example))
    }

    /// A sparsity pattern; a fraction without a scope has `published`.
    pub(super) fn pattern(&mut self, published: Scope) -> Result<Pattern, Error> {
        let text = self.take("pattern").ok_or_else(|| self.missing("a sparsity pattern"))?;
        if let Some(fraction) = text.strip_suffix("-matrix").filter(|fraction| fraction.ends_with('%')) {
            return Ok(Pattern::from_str(fraction)?);
        }
        Ok(match Pattern::from_str(text)? {
            Pattern::Unstructured { basis_points, .. } if text.ends_with('%') => {
                Pattern::Unstructured { basis_points, scope: published }
            }
            given => given,
        })
    }

    /// A format.
    pub(super) fn format(&mut self) -> Result<&'static Format, Error> {
        self.format_or_none()?.ok_or_else(|| self.missing("a format"))
    }

    /// A format that may be left out.
    pub(super) fn format_or_none(&mut self) -> Result<Option<&'static Format>, Error> {
        Ok(self.take("format").map(Format::by_name).transpose()?)
    }

    /// A finite number by position or name.
    pub(super) fn number(&mut self, key: &str, default: f64) -> Result<f64, Error> {
        let Some(text) = self.take(key) else { return Ok(default) };
        text.parse().ok().filter(|v: &f64| v.is_finite()).ok_or_else(|| self.wrong(key, text, "a finite number"))
    }

    /// A number in `lowest..=highest`, by name only.
    pub(super) fn within(&mut self, key: &str, default: f64, lowest: f64, highest: f64) -> Result<f64, Error> {
        let Some(text) = self.take_named(key) else { return Ok(default) };
        let allowed = || format!("a number from {lowest} to {highest}");
        let number = text.parse().ok().filter(|v: &f64| (lowest..=highest).contains(v));
        number.ok_or_else(|| self.wrong(key, text, &allowed()))
    }

    /// A whole number of at least 1, by name only.
    pub(super) fn count(&mut self, key: &str, default: usize) -> Result<usize, Error> {
        let Some(text) = self.take_named(key) else { return Ok(default) };
        text.parse()
            .ok()
            .filter(|v| (1..=1 << 20).contains(v))
            .ok_or_else(|| self.wrong(key, text, "a whole number from 1 to 1048576"))
    }

    /// Any word, by name only.
    pub(super) fn word(&mut self, key: &str) -> Option<&'a str> {
        self.take_named(key)
    }

    /// Whether a name is given and was not taken yet.
    pub(super) fn given(&self, key: &str) -> bool {
        self.named.iter().any(|(name, _)| *name == key)
    }

    /// The error for an argument that changes nothing without another.
    pub(super) fn idle(&self, key: &str, without: &str) -> Error {
        Error::Invalid(format!("in `{}` {key} changes nothing without {without}", self.text))
    }

    /// One of some words, by name only; the first where nothing is said.
    pub(super) fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Result<T, Error> {
        let Some(text) = self.take_named(key) else { return Ok(choices[0].1) };
        let words = || choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(" or ");
        choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, value)| *value)
            .ok_or_else(|| self.wrong(key, text, &words()))
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), Error> {
        let left = self.named.first().map(|(key, _)| *key).or(self.plain.last().copied());
        left.map_or(Ok(()), |left| Err(left_over(self.text, self.method, left)))
    }
}

fn left_over(text: &str, method: &Method, left: &str) -> Error {
    if method.parameters.is_empty() {
        return Error::Invalid(format!("`{text}` does not take `{left}`; {} takes nothing", method.name));
    }
    let known = method.parameters.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
    Error::Invalid(format!("`{text}` does not take `{left}`; {} takes {known}", method.name))
}

fn unclosed(text: &str) -> Error {
    Error::Invalid(format!("`{text}` opens a parenthesis that it does not close"))
}

fn unknown(name: &str) -> Error {
    let near = METHODS.iter().map(|m| m.name).min_by_key(|known| strsim::damerau_levenshtein(known, name));
    let near = near.unwrap_or_default();
    Error::Invalid(format!(
        "there is no method `{name}`; did you mean `{near}`? `interplay list methods` prints them all"
    ))
}
