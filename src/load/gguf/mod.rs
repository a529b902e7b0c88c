//! GGUF files, versions 2 and 3: metadata and tensors.
//!
//! Counts and offsets are checked against the file's length before anything is allocated. Big-endian files and versions before 2
//! are refused.

mod blocks;
mod cursor;
mod layout;
mod value;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use blocks::Storage;
use cursor::Cursor;
use value::Value;

use super::bytes::Bytes;
use crate::Error;

/// Where the tensor data are aligned unless `general.alignment` says otherwise.
const ALIGNMENT: u64 = 32;

/// The most axes a tensor has in ggml.
const MOST_AXES: u32 = 4;

/// What to do about a file that contradicts itself.
const CONVERT: &str = "fetch or convert the file again";

/// The fewest bytes of a metadata entry (key length, type, one byte) and of a tensor's description.
const LEAST_ENTRY: usize = 8 + 4 + 1;
const LEAST_TENSOR: usize = 8 + 4 + 8 + 4 + 8;

/// An open GGUF file.
#[derive(Debug)]
pub struct Gguf {
    bytes: Bytes,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, Tensor>,
}

/// A described tensor. `shape` is row-major, the reverse of what the file stores.
#[derive(Debug)]
struct Tensor {
    storage: &'static Storage,
    shape: Vec<usize>,
    range: Range<usize>,
}

impl Gguf {
    /// Maps the file at `path` and checks its header.
    ///
    /// # Errors
    /// The file cannot be read, or its header does not describe its data.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::parse(Bytes::map(path)?)
    }

    /// Checks the header of `bytes`.
    ///
    /// # Errors
    /// The header does not describe the data.
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        let (metadata, tensors) = parse_header(&bytes).map_err(|problem| bytes.malformed(problem))?;
        Ok(Self { bytes, metadata, tensors })
    }

    /// The file.
    pub fn origin(&self) -> &Path {
        self.bytes.origin()
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Tensor `name`, a name of the file, as row-major `f32` with its shape.
    ///
    /// # Errors
    /// There is no such tensor.
    pub fn dequantised(&self, name: &str) -> Result<(Vec<f32>, &[usize]), Error> {
        let tensor = self.tensor(name)?;
        self.bytes.check_length()?;
        let values = tensor.storage.dequantise(&self.bytes[tensor.range.clone()]);
        self.bytes.release(&tensor.range);
        Ok((values, &tensor.shape))
    }

    /// Whether there is a tensor `name`.
    pub fn has_tensor(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The shape of tensor `name`, row-major.
    ///
    /// # Errors
    /// There is no such tensor.
    pub fn shape(&self, name: &str) -> Result<&[usize], Error> {
        self.tensor(name).map(|tensor| tensor.shape.as_slice())
    }

    fn tensor(&self, name: &str) -> Result<&Tensor, Error> {
        self.tensors
            .get(name)
            .ok_or_else(|| Error::MissingTensor { name: name.to_owned(), near: super::nearest(name, self.names()) })
    }

    /// The error for a file that is not what its name says.
    pub(super) fn malformed(&self, problem: impl Into<String>) -> Error {
        self.bytes.malformed(problem)
    }

    /// Whether the metadata have `key`.
    pub(super) fn has_key(&self, key: &str) -> bool {
        self.metadata.contains_key(key)
    }

    /// The value of `key`.
    fn value(&self, key: &str) -> Result<&Value, Error> {
        self.metadata.get(key).ok_or_else(|| self.malformed(format!("the metadata have no `{key}`")))
    }

    /// The string of `key`.
    pub(super) fn text(&self, key: &str) -> Result<&str, Error> {
        match self.value(key)? {
            Value::Text(text) => Ok(text),
            _ => Err(self.malformed(format!("`{key}` is not a string"))),
        }
    }

    /// The strings of array `key`.
    pub(super) fn texts(&self, key: &str) -> Result<Vec<&str>, Error> {
        self.value(key)?.texts(&self.bytes, key).map_err(|problem| self.malformed(problem))
    }

    /// The integers of array `key`.
    pub(super) fn integers(&self, key: &str) -> Result<Vec<i64>, Error> {
        self.value(key)?.integers(&self.bytes, key).map_err(|problem| self.malformed(problem))
    }

    /// The floats of array `key`.
    pub(super) fn floats(&self, key: &str) -> Result<Vec<f32>, Error> {
        self.value(key)?.floats(&self.bytes, key).map_err(|problem| self.malformed(problem))
    }

    /// The truth value `key`, or `default` where the file does not have it.
    pub(super) fn flag_or(&self, key: &str, default: bool) -> Result<bool, Error> {
        match self.metadata.get(key) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(_) => Err(self.malformed(format!("`{key}` is not a truth value"))),
        }
    }

    /// The size or count `key`, or `default` where the file does not have it.
    pub(super) fn count_or(&self, key: &str, default: Option<usize>) -> Result<usize, Error> {
        match (self.metadata.get(key), default) {
            (None, Some(default)) => Ok(default),
            _ => match self.value(key)? {
                Value::Unsigned(n) => usize::try_from(*n).ok(),
                Value::Signed(n) => usize::try_from(*n).ok(),
                _ => None,
            }
            .ok_or_else(|| self.malformed(format!("`{key}` is not a count"))),
        }
    }

    /// The number `key`, or `default` where the file does not have it.
    pub(super) fn float_or(&self, key: &str, default: f64) -> Result<f64, Error> {
        match self.metadata.get(key) {
            None => Ok(default),
            Some(Value::Float(x)) => Ok(*x),
            Some(_) => Err(self.malformed(format!("`{key}` is not a number"))),
        }
    }
}

type Header = (BTreeMap<String, Value>, BTreeMap<String, Tensor>);

fn parse_header(bytes: &[u8]) -> Result<Header, String> {
    let mut cursor = Cursor::new(bytes, 0);
    if cursor.take(4, "the magic number")? != b"GGUF" {
        return Err("this is not a GGUF file: it does not begin with the letters GGUF".into());
    }
    let version = cursor.u32("the version")?;
    if !(2..=3).contains(&version) {
        return Err(format!("GGUF version {version} is not known; versions 2 and 3 (little-endian) can be read"));
    }
    let tensor_count = cursor.count(LEAST_TENSOR, "the number of tensors")?;
    let entry_count = cursor.count(LEAST_ENTRY, "the number of metadata entries")?;
    let mut metadata = BTreeMap::new();
    for _ in 0..entry_count {
        let key = cursor.text("a metadata key")?;
        if metadata.insert(key.to_owned(), Value::read(&mut cursor, key)?).is_some() {
            return Err(format!("metadata key `{key}` is there twice; {CONVERT}"));
        }
    }
    let mut described = Vec::new();
    for _ in 0..tensor_count {
        described.push(Described::read(&mut cursor)?);
    }
    let data = Data::behind(&metadata, cursor.position(), bytes.len())?;
    let mut tensors = BTreeMap::new();
    for tensor in described {
        let name = tensor.name.to_owned();
        let placed = tensor.place(&data).map_err(|problem| format!("tensor `{name}` {problem}; {CONVERT}"))?;
        if tensors.insert(name.clone(), placed).is_some() {
            return Err(format!("tensor `{name}` is described twice; {CONVERT}"));
        }
    }
    refuse_overlap(&tensors)?;
    Ok((metadata, tensors))
}

/// No byte belongs to two tensors.
fn refuse_overlap(tensors: &BTreeMap<String, Tensor>) -> Result<(), String> {
    let mut ordered: Vec<_> = tensors.iter().filter(|(_, tensor)| !tensor.range.is_empty()).collect();
    ordered.sort_by_key(|(_, tensor)| tensor.range.start);
    match ordered.windows(2).find(|pair| pair[0].1.range.end > pair[1].1.range.start) {
        None => Ok(()),
        Some(pair) => Err(format!("tensors `{}` and `{}` share bytes; {CONVERT}", pair[0].0, pair[1].0)),
    }
}

/// The part of a file that holds the tensors' values.
struct Data {
    start: usize,
    alignment: usize,
    /// The length of the whole file.
    length: usize,
}

impl Data {
    /// The data begin at the first aligned byte behind the header.
    fn behind(metadata: &BTreeMap<String, Value>, header: usize, length: usize) -> Result<Self, String> {
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT,
            Some(Value::Unsigned(n)) if n.is_power_of_two() => *n,
            Some(other) => return Err(format!("general.alignment must be a power of two, not {other:?}; {CONVERT}")),
        };
        let too_large = || format!("general.alignment {alignment} is larger than any file; {CONVERT}");
        let alignment = usize::try_from(alignment).map_err(|_| too_large())?;
        let start = header.checked_next_multiple_of(alignment).ok_or_else(too_large)?;
        Ok(Self { start, alignment, length })
    }
}

/// A tensor's description before its place in the file is known to be good.
struct Described<'a> {
    name: &'a str,
    storage: &'static Storage,
    shape: Vec<usize>,
    offset: u64,
}

impl<'a> Described<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Result<Self, String> {
        let name = cursor.text("a tensor's name")?;
        let axes = cursor.u32("a tensor's number of axes")?;
        if axes > MOST_AXES {
            return Err(format!("tensor `{name}` has {axes} axes; at most {MOST_AXES} are allowed"));
        }
        let mut shape = Vec::new();
        for _ in 0..axes {
            let length = cursor.u64("a tensor's shape")?;
            shape.push(usize::try_from(length).map_err(|_| format!("tensor `{name}` has an axis of length {length}"))?);
        }
        shape.reverse();
        let number = cursor.u32("a tensor's type")?;
        let storage = Storage::from_number(number).map_err(|problem| format!("tensor `{name}` {problem}"))?;
        Ok(Self { name, storage, shape, offset: cursor.u64("a tensor's offset")? })
    }

    /// Checks that the tensor's bytes lie in the file.
    fn place(self, data: &Data) -> Result<Tensor, String> {
        let elements = self.shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n));
        let elements = elements.ok_or_else(|| format!("has shape {:?}, more than any file holds", self.shape))?;
        let size = self.storage.size(elements, self.shape.last().copied().unwrap_or(1))?;
        let Data { start, alignment, length } = *data;
        let begin = usize::try_from(self.offset).ok().and_then(|offset| offset.checked_add(start));
        let range = begin.and_then(|begin| Some(begin..begin.checked_add(size)?)).filter(|range| range.end <= length);
        let range = range.ok_or_else(|| {
            format!(
                "of shape {:?} needs {size} bytes at offset {}, but the file has only {length} bytes: it is truncated or its header is wrong",
                self.shape, self.offset
            )
        })?;
        if !range.start.is_multiple_of(alignment) {
            return Err(format!("is at offset {}, which is no multiple of the alignment {alignment}", self.offset));
        }
        Ok(Tensor { storage: self.storage, shape: self.shape, range })
    }
}
