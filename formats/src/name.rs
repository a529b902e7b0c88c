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

/// The one lasting copy of a list of names.
fn intern_list(names: Vec<Name>) -> &'static [Name] {
    static LISTS: Mutex<BTreeSet<&'static [Name]>> = Mutex::new(BTreeSet::new());
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    match lists.get(names.as_slice()) {
        Some(list) => list,
        None => {
            let list: &'static [Name] = names.leak();
            lists.insert(list);
            list
        }
    }
}

/// For `#[serde(deserialize_with = "interned")]`.
pub(crate) fn interned<'de, D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
    Ok(intern(&String::deserialize(from)?))
}

/// The same for a list.
pub(crate) fn interned_list<'de, D: Deserializer<'de>>(from: D) -> Result<&'static [Name], D::Error> {
    let names: Vec<String> = Vec::deserialize(from)?;
    Ok(intern_list(names.iter().map(|name| intern(name)).collect()))
}

/// The same where there may be none.
pub(crate) fn interned_option<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Name>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(|name| intern(&name)))
}
