//! Whole files in memory, up to a size: a device or a pipe may never end.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// MiB of the longest file that is read whole. Tensors are mapped, and are not bounded by it.
const MOST_MIB: u64 = 1024;

/// The same of what is no regular file.
const MOST_MIB_STREAMED: u64 = 64;

/// The bytes of the file at `path`, as [`std::fs::read`].
///
/// # Errors
/// It cannot be read, or has more than 1024 MiB, a device or a pipe more than 64 MiB.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    let mib = if metadata.is_file() { MOST_MIB } else { MOST_MIB_STREAMED };
    let mut bytes = Vec::new();
    if metadata.len() <= mib << 20 {
        file.take((mib << 20) + 1).read_to_end(&mut bytes)?;
    }
    if metadata.len().max(bytes.len() as u64) > mib << 20 {
        let problem =
            format!("there are more than {mib} MiB, the most that is read from such a file; give a smaller one");
        return Err(Error::new(ErrorKind::FileTooLarge, problem));
    }
    Ok(bytes)
}

/// The text of the file at `path`, as [`std::fs::read_to_string`].
///
/// # Errors
/// Those of [`read`]; it is not UTF-8.
pub fn read_to_string(path: impl AsRef<Path>) -> Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|e| Error::new(ErrorKind::InvalidData, format!("this is no UTF-8 text: {}", e.utf8_error())))
}
