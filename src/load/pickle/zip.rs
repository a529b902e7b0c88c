//! Torch's zip form: `NAME/data.pkl` is the object, `NAME/data/KEY` a storage. Nothing in it is compressed.

use std::collections::HashMap;
use std::ops::Range;

use super::Places;
use super::object::Storage;

/// Bytes of an end record without its comment.
const END: usize = 22;

/// Bytes of a directory entry without its name.
const ENTRY: usize = 46;

/// Bytes of a local header without its name.
const LOCAL: usize = 30;

/// The longest comment, which lies behind the end record.
const COMMENT: usize = 65_535;

/// Where the members of an archive lie.
pub struct Members {
    /// `NAME`.
    root: String,
    ranges: HashMap<String, Range<usize>>,
}

impl Places for Members {
    fn place(&self, key: &str, storage: &Storage) -> Result<usize, String> {
        let name = format!("{}/data/{key}", self.root);
        let range = self.ranges.get(&name).ok_or_else(|| format!("the archive has no `{name}`"))?;
        if storage.count.checked_mul(storage.element.bytes()) != Some(range.len()) {
            return Err(format!("`{name}` has {} bytes, not {} elements", range.len(), storage.count));
        }
        Ok(range.start)
    }
}

/// The pickle in the archive `bytes`, and where its storages are.
///
/// # Errors
/// The archive is cut off or inconsistent, or is none that torch wrote.
pub fn open(bytes: &[u8]) -> Result<(&[u8], Members), String> {
    let ranges = members(bytes)?;
    let pickle = ranges.keys().find_map(|name| name.strip_suffix("/data.pkl"));
    let root = pickle.ok_or("the archive has no `data.pkl`; this is no checkpoint of torch")?.to_owned();
    let order = ranges.get(&format!("{root}/byteorder")).map(|range| &bytes[range.clone()]);
    if order.is_some_and(|order| order != b"little") {
        return Err("the numbers are not little-endian".into());
    }
    let pickle = &bytes[ranges[&format!("{root}/data.pkl")].clone()];
    Ok((pickle, Members { root, ranges }))
}

/// Every member by name.
fn members(bytes: &[u8]) -> Result<HashMap<String, Range<usize>>, String> {
    let cut = || "the archive's directory is not where it should be; the file is truncated".to_owned();
    let first = bytes.len().saturating_sub(END + COMMENT);
    let ends = first..(bytes.len() + 1).saturating_sub(END);
    let end = ends.rev().find(|&at| bytes[at..].starts_with(b"PK\x05\x06")).ok_or_else(cut)?;
    let count = field::<2>(bytes, end + 10).ok_or_else(cut)?;
    let mut at = field::<4>(bytes, end + 16).ok_or_else(cut)?;
    if count == 0xffff || at == 0xffff_ffff {
        return Err("archives of more than 4 GiB or 65,534 members are not supported; convert it to safetensors".into());
    }
    let mut ranges = HashMap::new();
    for _ in 0..count {
        let member = Member::read(bytes, at).ok_or_else(cut)?;
        if member.compressed {
            return Err(format!("`{}` is compressed, which torch does not do", member.name));
        }
        at = member.next;
        if let Some(range) = ranges.insert(member.name, member.range) {
            return Err(format!("the archive has a member twice, the first at byte {}", range.start));
        }
    }
    Ok(ranges)
}

/// What a directory entry says.
struct Member {
    name: String,
    range: Range<usize>,
    compressed: bool,
    /// Where the next entry is.
    next: usize,
}

impl Member {
    /// The entry at `at`; `None` where the file ends before it, or before the member that it describes.
    fn read(bytes: &[u8], at: usize) -> Option<Self> {
        if !bytes.get(at..)?.starts_with(b"PK\x01\x02") {
            return None;
        }
        let short = |place: usize| field::<2>(bytes, at + place);
        let long = |place: usize| field::<4>(bytes, at + place);
        let (method, packed, size, header) = (short(10)?, long(20)?, long(24)?, long(42)?);
        let behind = at + ENTRY + short(28)?;
        let name = String::from_utf8_lossy(bytes.get(at + ENTRY..behind)?).into_owned();
        // The local header has a name and extra fields of its own.
        let start = header + LOCAL + field::<2>(bytes, header + 26)? + field::<2>(bytes, header + 28)?;
        bytes.get(start..start + size)?;
        let (compressed, next) = (method != 0 || packed != size, behind + short(30)? + short(32)?);
        Some(Self { name, range: start..start + size, compressed, next })
    }
}

/// The little-endian number of `N` bytes at `at`.
fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<usize> {
    let taken = bytes.get(at..)?.first_chunk::<N>()?;
    Some(taken.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
}
