//! Reading members of zip and gzipped tar archives in memory.
//!
//! Sizes are limits given by the caller, so a small archive cannot unfold into a large one. Only what package archives use is read:
//! stored and deflated members, no encryption, no parts, no 64-bit extension.

use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use flate2::read::{DeflateDecoder, GzDecoder};

/// Signatures and fixed sizes of a zip archive's records.
const END: (&[u8; 4], usize) = (b"PK\x05\x06", 22);
const ENTRY: (&[u8; 4], usize) = (b"PK\x01\x02", 46);
const LOCAL: (&[u8; 4], usize) = (b"PK\x03\x04", 30);
/// The longest comment behind the end record.
const LONGEST_COMMENT: usize = 0xffff;

/// The content of `member` of a zip archive, which must have exactly `size` bytes.
///
/// # Errors
/// The bytes are no zip archive, or the member is missing, damaged or of another size.
pub fn zip_member(archive: &[u8], member: &str, size: u64) -> Result<Vec<u8>> {
    for entry in directory(archive)? {
        let (name, entry) = entry?;
        if name == member.as_bytes() {
            let content = content(archive, entry, size)?;
            ensure!(content.len() as u64 == size, "`{member}` has {} bytes, expected {size}", content.len());
            return Ok(content);
        }
    }
    bail!("the archive has no member `{member}`")
}

/// The members of a zip archive whose paths start with `prefix`, with their contents, at most `limit` bytes together.
///
/// # Errors
/// The bytes are no zip archive, a member is damaged, or they hold more than `limit`.
pub fn zip_members(archive: &[u8], prefix: &str, limit: u64) -> Result<Vec<(String, Vec<u8>)>> {
    let (mut files, mut left) = (Vec::new(), limit);
    for entry in directory(archive)? {
        let (name, entry) = entry?;
        if !name.starts_with(prefix.as_bytes()) || name.ends_with(b"/") {
            continue;
        }
        let content = content(archive, entry, left)?;
        left -= content.len() as u64;
        files.push((String::from_utf8_lossy(name).into_owned(), content));
    }
    Ok(files)
}

/// The name and the record of every entry of a zip archive's directory.
fn directory(archive: &[u8]) -> Result<impl Iterator<Item = Result<(&[u8], &[u8])>>> {
    let from = archive.len().saturating_sub(END.1 + LONGEST_COMMENT);
    let end = archive[from..]
        .windows(4)
        .rposition(|w| w == END.0)
        .context("this is not a zip archive, or it is truncated")?;
    let end = record(archive, from + end, END)?;
    let mut at = u32_at(end, 16) as usize;
    Ok((0..u16_at(end, 10)).map(move |_| {
        let entry = record(archive, at, ENTRY)?;
        let [name, extra, comment] = [28, 30, 32].map(|offset| usize::from(u16_at(entry, offset)));
        let found = archive.get(at + ENTRY.1..at + ENTRY.1 + name).context("the archive's directory is truncated")?;
        at += ENTRY.1 + name + extra + comment;
        Ok((found, entry))
    }))
}

/// The content that directory entry `entry` describes, at most `limit` bytes.
fn content(archive: &[u8], entry: &[u8], limit: u64) -> Result<Vec<u8>> {
    let (method, packed, local) = (u16_at(entry, 10), u32_at(entry, 20) as usize, u32_at(entry, 42) as usize);
    let header = record(archive, local, LOCAL)?;
    let start = local + LOCAL.1 + usize::from(u16_at(header, 26)) + usize::from(u16_at(header, 28));
    let data = archive.get(start..).and_then(|rest| rest.get(..packed)).context("the member's data are truncated")?;
    match method {
        0 => limited(data, limit),
        8 => limited(DeflateDecoder::new(data), limit),
        other => bail!("the member is compressed by method {other}; only 0 (stored) and 8 (deflate) can be read"),
    }
}

/// Everything that `reader` gives, which must be at most `limit` bytes.
fn limited(reader: impl Read, limit: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(limit + 1).read_to_end(&mut out).context("the member does not decompress")?;
    ensure!(out.len() as u64 <= limit, "the member has more than the {limit} bytes that are left for it");
    Ok(out)
}

/// The fixed part of the record at `at`.
fn record<'a>(archive: &'a [u8], at: usize, (signature, size): (&[u8; 4], usize)) -> Result<&'a [u8]> {
    let bytes = archive.get(at..).and_then(|rest| rest.get(..size));
    bytes.filter(|bytes| bytes.starts_with(signature)).context("the archive's directory is damaged")
}

fn u16_at(record: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([record[at], record[at + 1]])
}

fn u32_at(record: &[u8], at: usize) -> u32 {
    u32::from(u16_at(record, at)) | u32::from(u16_at(record, at + 2)) << 16
}

/// The files of a gzipped tar archive whose paths start with `prefix`, with their contents, at most `limit` bytes together.
///
/// # Errors
/// The bytes are no such archive, or hold more than `limit`.
pub fn tar_members(archive: &[u8], prefix: &str, limit: u64) -> Result<Vec<(String, Vec<u8>)>> {
    let mut files = Vec::new();
    let mut left = limit;
    let mut tar = tar::Archive::new(GzDecoder::new(archive));
    for entry in tar.entries().context("this is not a gzipped tar archive")? {
        let mut entry = entry.context("the tar archive is damaged")?;
        let path = entry.path().context("a path in the tar archive is damaged")?.to_string_lossy().into_owned();
        if !path.starts_with(prefix) || !entry.header().entry_type().is_file() {
            continue;
        }
        let size = entry.size();
        ensure!(size <= left, "the archive unfolds to more than {limit} bytes");
        left -= size;
        let mut content = Vec::new();
        entry.read_to_end(&mut content).with_context(|| format!("`{path}` does not decompress"))?;
        files.push((path, content));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A zip archive of one member, written by the format's definition.
    fn zip(name: &str, content: &[u8], deflate: bool) -> Vec<u8> {
        let data = if deflate {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content).unwrap();
            encoder.finish().unwrap()
        } else {
            content.to_vec()
        };
        let method = if deflate { 8u16 } else { 0 };
        let sizes = [(data.len() as u32).to_le_bytes(), (content.len() as u32).to_le_bytes()].concat();
        let common =
            [&[0; 2][..], &method.to_le_bytes(), &[0; 8], &sizes, &(name.len() as u16).to_le_bytes(), &[0; 2]].concat();
        let mut out = [&LOCAL.0[..], &[20, 0], &common, name.as_bytes(), &data].concat();
        let directory = out.len() as u32;
        out.extend([&ENTRY.0[..], &[20, 0, 20, 0], &common, &[0; 14], name.as_bytes()].concat());
        let length = out.len() as u32 - directory;
        out.extend(
            [&END.0[..], &[0; 4], &[1, 0, 1, 0], &length.to_le_bytes(), &directory.to_le_bytes(), &[0; 2]].concat(),
        );
        out
    }

    #[test]
    fn reads_stored_and_deflated_members() {
        let content = b"abc".repeat(1000);
        for deflate in [false, true] {
            let archive = zip("a/b.txt", &content, deflate);
            assert_eq!(zip_member(&archive, "a/b.txt", 3000).unwrap(), content);
            for other in [2999, 3001] {
                assert!(zip_member(&archive, "a/b.txt", other).is_err(), "a member of another size than expected");
            }
            assert!(zip_member(&archive, "b.txt", 3000).unwrap_err().to_string().contains("no member"));
        }
    }

    #[test]
    fn several_members_respect_prefix_and_limit() {
        let archive = zip("m/1/a.json", b"1234", true);
        assert_eq!(zip_members(&archive, "m/", 4).unwrap(), [("m/1/a.json".to_owned(), b"1234".to_vec())]);
        assert_eq!(zip_members(&archive, "n/", 4).unwrap(), []);
        assert!(zip_members(&archive, "m/", 3).is_err());
    }

    #[test]
    fn a_damaged_archive_is_an_error_and_no_panic() {
        let archive = zip("a", &b"abc".repeat(50), true);
        for end in 0..archive.len() {
            assert!(zip_member(&archive[..end], "a", 150).is_err());
        }
        for at in 0..archive.len() {
            let mut damaged = archive.clone();
            damaged[at] ^= 0xff;
            let _ = (zip_member(&damaged, "a", 150), zip_members(&damaged, "", 150));
        }
    }

    #[test]
    fn tar_members_respect_prefix_and_limit() {
        let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
        for name in ["package/x/0.json", "package/y"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(4);
            header.set_mode(0o644);
            header.set_cksum();
            builder.append_data(&mut header, name, &b"1234"[..]).unwrap();
        }
        let archive = builder.into_inner().unwrap().finish().unwrap();
        let files = tar_members(&archive, "package/x/", 100).unwrap();
        assert_eq!(files, [("package/x/0.json".to_owned(), b"1234".to_vec())]);
        assert!(tar_members(&archive, "package/", 7).is_err());
        assert!(tar_members(b"plain", "", 10).is_err());
    }
}
