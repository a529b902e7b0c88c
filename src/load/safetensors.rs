//! One safetensors file: a header of names, types and offsets, then the data.
//!
//! Every length of the header is checked against the file before anything is allocated, so what a reader allocates is bounded by
//! what the file holds. Values are widened exactly; nothing is rounded.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;

use super::bytes::Bytes;
use super::widen;
use crate::Error;
use crate::formats::file::unique_fields;

/// The longest header that is read, as in the reference implementation.
const LONGEST_HEADER: usize = 100_000_000;

/// The tensors of one file.
#[derive(Debug)]
pub struct SafeTensors {
    bytes: Bytes,
    entries: BTreeMap<String, Entry>,
    metadata: HashMap<String, String>,
}

#[derive(Debug)]
struct Entry {
    dtype: Dtype,
    shape: Vec<usize>,
    range: Range<usize>,
}

impl SafeTensors {
    /// Maps and checks the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or its header does not describe its data.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::parse(Bytes::map(path)?)
    }

    /// Checks the header of bytes in memory; `origin` names them in messages.
    ///
    /// # Errors
    /// The header does not describe the data.
    pub fn from_bytes(origin: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        Self::parse(Bytes::owned(origin, bytes))
    }

    /// Checks the header of `bytes`.
    ///
    /// # Errors
    /// The header does not describe the data.
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        let header = header(&bytes)?;
        let start = 8 + header.len();
        let mut fields = unique_fields(header)
            .map_err(|e| bytes.malformed(format!("the safetensors header is not a JSON object of unique keys: {e}")))?;
        let metadata = match fields.shift_remove("__metadata__") {
            None => HashMap::new(),
            Some(value) => serde_json::from_value(value)
                .map_err(|e| bytes.malformed(format!("`__metadata__` must map names to strings: {e}")))?,
        };
        let mut entries = BTreeMap::new();
        for (name, value) in fields {
            let info: TensorInfo = serde_json::from_value(value).map_err(|e| {
                bytes.malformed(format!("the header entry of tensor `{name}` needs dtype, shape and data_offsets: {e}"))
            })?;
            let entry = Entry::check(&name, info, start, bytes.len()).map_err(|problem| bytes.malformed(problem))?;
            entries.insert(name, entry);
        }
        check_layout(&entries, start, bytes.len()).map_err(|problem| bytes.malformed(problem))?;
        Ok(Self { bytes, entries, metadata })
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The strings of the header's `__metadata__`.
    pub fn metadata(&self) -> &HashMap<String, String> {
        &self.metadata
    }

    /// Where the bytes come from.
    pub fn origin(&self) -> &Path {
        self.bytes.origin()
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether there is a tensor `name`.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The shape of tensor `name`.
    ///
    /// # Errors
    /// There is no such tensor.
    pub fn shape(&self, name: &str) -> Result<&[usize], Error> {
        self.entry(name).map(|entry| entry.shape.as_slice())
    }

    /// Tensor `name` widened to `f32`, row-major.
    ///
    /// # Errors
    /// There is no such tensor, or it is not F32, F16 or BF16.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>, Error> {
        let (entry, data) = self.view(name)?;
        let values = match entry.dtype {
            Dtype::F32 => each(data, f32::from_le_bytes),
            Dtype::F16 => each(data, |b| widen::f16(u16::from_le_bytes(b))),
            Dtype::BF16 => each(data, |b| widen::bf16(u16::from_le_bytes(b))),
            other => return Err(self.wrong_type(name, other, "F32, F16 or BF16")),
        };
        self.bytes.release(&entry.range);
        Ok(values)
    }

    /// Tensor `name` as integers, row-major.
    ///
    /// # Errors
    /// There is no such tensor, or it is not I64, I32 or U8.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>, Error> {
        let (entry, data) = self.view(name)?;
        Ok(match entry.dtype {
            Dtype::I64 => each(data, i64::from_le_bytes),
            Dtype::I32 => each(data, |b| i64::from(i32::from_le_bytes(b))),
            Dtype::U8 => each(data, |[b]: [u8; 1]| i64::from(b)),
            other => return Err(self.wrong_type(name, other, "I64, I32 or U8")),
        })
    }

    /// Tensor `name` of type U8 as it is stored.
    ///
    /// # Errors
    /// There is no such tensor, or it is not U8.
    pub fn octets(&self, name: &str) -> Result<&[u8], Error> {
        let (entry, data) = self.view(name)?;
        if entry.dtype == Dtype::U8 { Ok(data) } else { Err(self.wrong_type(name, entry.dtype, "U8")) }
    }

    fn entry(&self, name: &str) -> Result<&Entry, Error> {
        self.entries
            .get(name)
            .ok_or_else(|| Error::MissingTensor { name: name.to_owned(), near: super::nearest(name, self.names()) })
    }

    fn view(&self, name: &str) -> Result<(&Entry, &[u8]), Error> {
        let entry = self.entry(name)?;
        self.bytes.check_length()?;
        Ok((entry, &self.bytes[entry.range.clone()]))
    }

    fn wrong_type(&self, name: &str, given: Dtype, allowed: &str) -> Error {
        self.bytes.malformed(format!("tensor `{name}` is stored as {given:?}; here {allowed} can be read"))
    }
}

impl Entry {
    /// Joins a header entry to its bytes in a file of `length` bytes whose data begin at `start`.
    fn check(name: &str, info: TensorInfo, start: usize, length: usize) -> Result<Self, String> {
        let (begin, end) = info.data_offsets;
        let data = length - start;
        if begin > end || end > data {
            return Err(format!(
                "tensor `{name}` claims bytes {begin}..{end} of {data} bytes of data; the file is truncated or its header is wrong; fetch it again"
            ));
        }
        let bits = info.shape.iter().try_fold(info.dtype.bitsize(), |product, &n| product.checked_mul(n));
        if bits != (end - begin).checked_mul(8) {
            return Err(format!(
                "tensor `{name}` of type {:?} and shape {:?} does not fill its {} bytes exactly",
                info.dtype,
                info.shape,
                end - begin
            ));
        }
        Ok(Self { dtype: info.dtype, shape: info.shape, range: start + begin..start + end })
    }
}

/// The header's bytes, once its length is known to fit.
fn header(bytes: &Bytes) -> Result<&[u8], Error> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(
            bytes.malformed(format!("{} bytes are too few for a safetensors file; is it truncated?", bytes.len()))
        );
    };
    let length = u64::from_le_bytes(*length);
    usize::try_from(length).ok().filter(|&n| n <= LONGEST_HEADER).and_then(|n| rest.get(..n)).ok_or_else(|| {
        bytes.malformed(format!(
            "the header claims {length} bytes, but only {} follow; this is not a safetensors file, or it is truncated",
            rest.len()
        ))
    })
}

/// Tensors must tile the data: no gap, no overlap, nothing behind the last.
fn check_layout(entries: &BTreeMap<String, Entry>, start: usize, length: usize) -> Result<(), String> {
    let mut ordered: Vec<_> = entries.iter().collect();
    ordered.sort_by_key(|(_, entry)| (entry.range.start, entry.range.end));
    let mut next = start;
    for (name, entry) in ordered {
        if entry.range.start != next {
            return Err(format!(
                "tensor `{name}` begins at byte {}, but the one before it ends at {next}",
                entry.range.start
            ));
        }
        next = entry.range.end;
    }
    if next == length {
        Ok(())
    } else {
        Err(format!("{} bytes follow the last tensor; the header is wrong", length - next))
    }
}

/// Maps each chunk of `N` bytes; the length is a multiple of `N` because the entry was checked.
fn each<const N: usize, T>(data: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|&chunk| value(chunk)).collect()
}
