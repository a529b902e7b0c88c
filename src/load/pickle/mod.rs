//! The tensors of a torch checkpoint: its pickles and where its storages lie, in torch's older form and in its zip form.
//!
//! A pickle is a program. This one is run by a machine that knows nothing but dictionaries, tensors and storages; whatever else
//! it asks for is refused by name. Lengths are compared to the file before anything is allocated. This module knows bytes
//! alone: no files, no models.

mod legacy;
mod machine;
mod object;
mod tensor;
mod zip;

use std::collections::{BTreeMap, BTreeSet};

use machine::Heap;
use object::{Object, Storage, View};
pub use tensor::Tensor;

/// Where the storages of a file lie: the first byte of each, by its key and its description.
trait Places {
    fn place(&self, key: &str, storage: &Storage) -> Result<usize, String>;
}

/// Whether `bytes` begin like one of the two forms.
pub fn is_torch(bytes: &[u8]) -> bool {
    bytes.starts_with(&legacy::MAGIC) || bytes.starts_with(ZIP)
}

/// How every archive with members begins.
const ZIP: &[u8] = b"PK\x03\x04";

/// What a wrapper of a whole model leaves on every name.
const WRAPPER: &str = "module.";

/// The tensors of the checkpoint `bytes` by name.
///
/// # Errors
/// What is not as it should be, and where.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    if bytes.starts_with(&legacy::MAGIC) {
        let (heap, places) = legacy::open(bytes)?;
        named(bytes, &heap, &places)
    } else if bytes.starts_with(ZIP) {
        let (pickle, places) = zip::open(bytes)?;
        named(pickle, &machine::run(pickle, 0)?, &places)
    } else {
        Err("this is neither of the two forms in which torch saves; convert it, for example to safetensors".into())
    }
}

/// The tensors of the dictionary that a heap stands for.
fn named(pickle: &[u8], heap: &Heap, places: &impl Places) -> Result<BTreeMap<String, Tensor>, String> {
    let views = dictionary(pickle, heap)?;
    let wrapped = views.iter().all(|(name, _)| name.starts_with(WRAPPER));
    let mut tensors = BTreeMap::new();
    for (name, view) in views {
        let key = text(pickle, &view.storage.key);
        let placed = places.place(key, &view.storage).and_then(|start| Tensor::new(view, start));
        let tensor = placed.map_err(|problem| format!("tensor `{name}`: {problem}"))?;
        let name = if wrapped { &name[WRAPPER.len()..] } else { name };
        if tensors.insert(name.to_owned(), tensor).is_some() {
            return Err(format!("tensor `{name}` is there twice"));
        }
    }
    Ok(tensors)
}

/// The named tensors: those of `state_dict` in the outermost dictionary, or else its own, or of the only one in it that has any.
fn dictionary<'a>(pickle: &'a [u8], heap: &'a Heap) -> Result<Vec<(&'a str, &'a View)>, String> {
    let outer = entries(pickle, heap, heap.root);
    let state = outer.iter().find(|(name, _)| *name == "state_dict");
    let state = state.map_or(Vec::new(), |&(_, id)| tensors(heap, &entries(pickle, heap, id)));
    let own = if state.is_empty() { tensors(heap, &outer) } else { state };
    if !own.is_empty() {
        return Ok(own);
    }
    // A hostile pickle may refer to one dictionary any number of times.
    let mut seen = BTreeSet::new();
    let mut inner = Vec::new();
    for &(_, id) in outer.iter().filter(|(_, id)| seen.insert(*id)) {
        let found = tensors(heap, &entries(pickle, heap, id));
        inner.extend((!found.is_empty()).then_some(found));
    }
    match (inner.len(), inner.pop()) {
        (1, Some(found)) => Ok(found),
        (count, _) => Err(format!(
            "{count} dictionaries of tensors; one is needed, at the top or in it, so save the model's state_dict"
        )),
    }
}

/// The entries of a dictionary that have a text for a key; none of what is no dictionary.
fn entries<'a>(pickle: &'a [u8], heap: &'a Heap, id: object::Id) -> Vec<(&'a str, object::Id)> {
    let Object::Dict(pairs) = heap.get(id) else { return Vec::new() };
    let key = |&(key, value): &(object::Id, object::Id)| match heap.get(key) {
        Object::Text(range) => Some((text(pickle, range), value)),
        _ => None,
    };
    pairs.iter().filter_map(key).collect()
}

fn tensors<'a>(heap: &'a Heap, entries: &[(&'a str, object::Id)]) -> Vec<(&'a str, &'a View)> {
    let view = |&(name, id): &(&'a str, object::Id)| match heap.get(id) {
        Object::Tensor(view) => Some((name, view)),
        _ => None,
    };
    entries.iter().filter_map(view).collect()
}

/// A text of a pickle: the machine has seen that it is UTF-8.
fn text<'a>(pickle: &'a [u8], range: &std::ops::Range<usize>) -> &'a str {
    std::str::from_utf8(&pickle[range.clone()]).unwrap_or_default()
}
