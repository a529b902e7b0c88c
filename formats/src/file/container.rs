//! The safetensors container: a JSON header of names, types, shapes and offsets behind its length, then the data.
//!
//! Nothing is believed before it is checked against the length of the file, and nothing is allocated by what the header
//! claims. Headers are written in one order, so that the same tensors give the same bytes.

use super::{FileError, unique_fields};
use crate::{Codes, Format, Quantized, Scales, shortened};
use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Range;

/// Where the bytes of each tensor lie in a file.
pub(super) type Places = BTreeMap<String, Range<u64>>;

/// The longest header that is read, as in the reference implementation.
const LONGEST_HEADER: usize = 100_000_000;

/// A tensor's type, shape and bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct View<'a> {
    /// The type of an element.
    pub dtype: Dtype,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// The elements, row-major, least significant byte first.
    pub bytes: &'a [u8],
}

impl View<'_> {
    /// The values of an F32, F16 or BF16 tensor, widened exactly; `None` for other types.
    pub fn floats(&self) -> Option<Vec<f32>> {
        let halves = || self.bytes.as_chunks().0.iter().map(|&b| u16::from_le_bytes(b)).collect::<Vec<_>>();
        let widened = |name: &str| {
            let (format, codes) = (Format::by_name(name).ok()?, halves());
            let k = codes.len();
            let matrix = Quantized::from_parts(format, 1, k, Codes::U16(codes), Scales::None, None);
            Some(matrix.ok()?.dequantize())
        };
        match self.dtype {
            Dtype::F32 => Some(self.bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()),
            Dtype::F16 => widened("fp16"),
            Dtype::BF16 => widened("bf16"),
            _ => None,
        }
    }

    /// Rows and length of a row of the tensor as a matrix: its last axis, and all others together.
    pub fn matrix(&self) -> Option<(usize, usize)> {
        super::matrix(&self.shape)
    }
}

/// The tensors of one file in memory.
#[derive(Clone, Debug)]
pub struct Container<'a> {
    tensors: BTreeMap<String, View<'a>>,
    metadata: BTreeMap<String, String>,
}

impl<'a> Container<'a> {
    /// Reads a header and checks it against the bytes behind it.
    ///
    /// # Errors
    /// Not a safetensors file, or one that is cut or whose header does not describe its data.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FileError> {
        let header = header(bytes)?;
        let data = &bytes[8 + header.len()..];
        let broken = |problem: String| FileError::Header(shortened(&problem).into_owned());
        let mut fields =
            unique_fields(header).map_err(|e| broken(format!("it is not a JSON object of unique keys: {e}")))?;
        let metadata = match fields.remove("__metadata__") {
            None => BTreeMap::new(),
            Some(value) => serde_json::from_value(value)
                .map_err(|e| broken(format!("`__metadata__` must map names to strings: {e}")))?,
        };
        let mut ranges = Vec::new();
        let mut tensors = BTreeMap::new();
        for (name, value) in fields {
            let info: TensorInfo = serde_json::from_value(value)
                .map_err(|e| broken(format!("the entry of `{name}` needs dtype, shape and data_offsets: {e}")))?;
            let range = checked(&name, &info, data.len())?;
            ranges.push((range.clone(), name.clone()));
            tensors.insert(name, View { dtype: info.dtype, shape: info.shape, bytes: &data[range] });
        }
        check_tiling(ranges, data.len())?;
        Ok(Self { tensors, metadata })
    }

    /// The tensors, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &View<'a>)> {
        self.tensors.iter().map(|(name, view)| (name.as_str(), view))
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Option<&View<'a>> {
        self.tensors.get(name)
    }

    /// The strings of `__metadata__`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }
}

/// The header's bytes, once its length is known to fit.
fn header(bytes: &[u8]) -> Result<&[u8], FileError> {
    let given = bytes.len();
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or(FileError::Short { given, claimed: 8 })?;
    let claimed = u64::from_le_bytes(*length);
    let length = usize::try_from(claimed).ok().filter(|&n| n <= LONGEST_HEADER);
    length.and_then(|n| rest.get(..n)).ok_or(FileError::Short { given, claimed: claimed.saturating_add(8) })
}

/// The bytes of one tensor in `length` bytes of data.
fn checked(name: &str, info: &TensorInfo, length: usize) -> Result<Range<usize>, FileError> {
    let (begin, end) = info.data_offsets;
    if begin > end || end > length {
        return Err(FileError::Header(format!(
            "`{name}` claims bytes {begin} to {end} of {length} bytes of data; the file is cut, or the header is wrong"
        )));
    }
    let bits = info.shape.iter().try_fold(info.dtype.bitsize(), |bits, &n| bits.checked_mul(n));
    if bits != (end - begin).checked_mul(8) {
        let (dtype, shape) = (info.dtype, &info.shape);
        return Err(FileError::Header(format!("{dtype:?} {shape:?} is not the {} bytes of `{name}`", end - begin)));
    }
    Ok(begin..end)
}

/// Tensors lie side by side: no gap, no overlap, nothing behind the last.
fn check_tiling(mut ranges: Vec<(Range<usize>, String)>, length: usize) -> Result<(), FileError> {
    ranges.sort_by_key(|(range, _)| (range.start, range.end));
    let mut next = 0;
    for (range, name) in ranges {
        if range.start != next {
            let problem = format!("`{name}` begins at byte {}, but the tensor before it ends at {next}", range.start);
            return Err(FileError::Header(problem));
        }
        next = range.end;
    }
    if next == length {
        return Ok(());
    }
    Err(FileError::Header(format!("{} bytes follow the last tensor", length - next)))
}

/// The tensors that a file will hold, before any of their bytes is there.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, (Dtype, Vec<usize>)>,
}

impl Outline {
    /// Adds a string to `__metadata__`.
    pub fn note(&mut self, key: &str, value: String) {
        self.metadata.insert(key.to_owned(), value);
    }

    /// Adds a tensor.
    ///
    /// # Errors
    /// There is one of this name already.
    pub fn tensor(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<(), FileError> {
        match self.tensors.insert(name.to_owned(), (dtype, shape.to_vec())) {
            None if name != "__metadata__" => Ok(()),
            _ => Err(FileError::Twice(name.to_owned())),
        }
    }

    /// The header, and where each tensor's bytes lie in the file: wide types first, so that every tensor is aligned,
    /// as other readers want it; then by name.
    pub(super) fn header(&self) -> Result<(Vec<u8>, Places), FileError> {
        let mut ordered: Vec<_> = self.tensors.iter().collect();
        ordered.sort_by(|(a, (x, _)), (b, (y, _))| y.cmp(x).then(a.cmp(b)));
        let mut fields = Map::new();
        if !self.metadata.is_empty() {
            fields.insert("__metadata__".to_owned(), serde_json::json!(self.metadata));
        }
        let mut places = BTreeMap::new();
        let mut next = 0u64;
        for (name, (dtype, shape)) in ordered {
            let bits = shape.iter().try_fold(dtype.bitsize() as u64, |bits, &n| bits.checked_mul(n as u64));
            let end = bits.and_then(|bits| next.checked_add(bits.div_ceil(8)));
            let end = end.ok_or_else(|| FileError::TooLarge(name.clone()))?;
            let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [next, end]});
            fields.insert(name.clone(), entry);
            places.insert(name.clone(), next..end);
            next = end;
        }
        let mut text = Value::Object(fields).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let start = 8 + text.len() as u64;
        let header = [(text.len() as u64).to_le_bytes().as_slice(), &text].concat();
        for place in places.values_mut() {
            *place = place.start + start..place.end + start;
        }
        Ok((header, places))
    }
}
