//! Torch's form before 1.6: a magic number, a protocol version, facts of the machine, the object and the keys of its storages as
//! one pickle each, then every storage as its number of elements (64 bits) and the elements.

use std::collections::{BTreeMap, HashMap};

use super::Places;
use super::machine::{self, Heap};
use super::object::{Object, Storage};

/// The first pickle of every such file: the number 0x1950a86a20f9469cfc6c.
pub const MAGIC: [u8; 15] = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, b'.'];

/// The one version of the form.
const PROTOCOL: i64 = 1001;

/// The first byte of each storage, and what it is, by its key.
pub struct Storages(BTreeMap<String, (usize, Storage)>);

impl Places for Storages {
    fn place(&self, key: &str, storage: &Storage) -> Result<usize, String> {
        match self.0.get(key) {
            Some((start, found)) if (found.element, found.count) == (storage.element, storage.count) => Ok(*start),
            Some(_) => Err(format!("storage `{key}` is described in two ways")),
            None => Err(format!("storage `{key}` is not in the file")),
        }
    }
}

/// The object of the file `bytes`, and where its storages are.
///
/// # Errors
/// The file is cut off or inconsistent.
pub fn open(bytes: &[u8]) -> Result<(Heap, Storages), String> {
    let protocol = machine::run(bytes, MAGIC.len())?;
    if *protocol.get(protocol.root) != Object::Int(PROTOCOL) {
        return Err(format!("the protocol is {:?}; {PROTOCOL} can be read", protocol.get(protocol.root)));
    }
    let machine = machine::run(bytes, protocol.end)?;
    if !is_little_endian(bytes, &machine) {
        return Err("the numbers are not little-endian, or the file does not say".into());
    }
    let heap = machine::run(bytes, machine.end)?;
    let keys = machine::run(bytes, heap.end)?;
    let storages = storages(bytes, &heap, &keys)?;
    Ok((heap, Storages(storages)))
}

fn is_little_endian(bytes: &[u8], heap: &Heap) -> bool {
    let facts = super::entries(bytes, heap, heap.root);
    facts.iter().any(|(name, id)| *name == "little_endian" && *heap.get(*id) == Object::Bool(true))
}

/// Walks the storages in the order of `keys`.
fn storages(bytes: &[u8], heap: &Heap, keys: &Heap) -> Result<BTreeMap<String, (usize, Storage)>, String> {
    let known = heap.objects().iter().filter_map(|object| match object {
        Object::Storage(storage) => Some((super::text(bytes, &storage.key), storage)),
        _ => None,
    });
    let known: HashMap<_, _> = known.collect();
    let Object::List(list) = keys.get(keys.root) else { return Err("the keys of the storages are no list".into()) };
    let (mut found, mut at) = (BTreeMap::new(), keys.end);
    for &id in list {
        let Object::Text(range) = keys.get(id) else { return Err("the key of a storage is no text".into()) };
        let key = super::text(bytes, range);
        let storage =
            *known.get(key).ok_or_else(|| format!("storage `{key}` is of no tensor, so of unknown length"))?;
        let cut = || format!("storage `{key}` of {} elements is cut off; the file is truncated", storage.count);
        let (count, rest) = bytes[at..].split_first_chunk::<8>().ok_or_else(cut)?;
        if u64::from_le_bytes(*count) != storage.count as u64 {
            let stored = u64::from_le_bytes(*count);
            return Err(format!("storage `{key}` has {stored} elements, but the pickle says {}", storage.count));
        }
        let length = storage.count.checked_mul(storage.element.bytes());
        let length = length.filter(|&length| length <= rest.len()).ok_or_else(cut)?;
        found.insert(key.to_owned(), (at + 8, storage.clone()));
        at += 8 + length;
    }
    if at < bytes.len() {
        return Err(format!("{} bytes follow the last storage; the file is damaged", bytes.len() - at));
    }
    Ok(found)
}
