//! Names that live as long as the program, so that records stay `Copy` whether they are compiled in or declared in a
//! file.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A name; an alias of `&'static str`, which `serde` would otherwise refuse to read.
pub(crate) type Name = &'static str;

/// The one lasting copy of `text`.
pub(crate) fn intern(text: &str) -> Name {
    static NAMES: Mutex<BTreeSet<Name>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    match names.get(text) {
        Some(name) => name,
        None => {
            let name = Box::leak(text.to_owned().into_boxed_str());
            names.insert(name);
            name
        }
    }
}

/// For `#[serde(deserialize_with = "interned")]`.
pub(crate) fn interned<'de, D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
    Ok(intern(&String::deserialize(from)?))
}
