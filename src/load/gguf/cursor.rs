//! Bounds-checked little-endian reading of a GGUF header.

/// A position in bytes; every read checks what is left first.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], String> {
        if length > self.left() {
            return Err(format!(
                "{what} needs {length} bytes at byte {}, but only {} are left",
                self.position,
                self.left()
            ));
        }
        let taken = &self.bytes[self.position..self.position + length];
        self.position += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], String> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    pub(super) fn u8(&mut self, what: &str) -> Result<u8, String> {
        self.array(what).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&mut self, what: &str) -> Result<u16, String> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self, what: &str) -> Result<u32, String> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &str) -> Result<u64, String> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A count of items that take at least `least` bytes each, refused where the bytes left cannot hold them.
    pub(super) fn count(&mut self, least: usize, what: &str) -> Result<usize, String> {
        let given = self.u64(what)?;
        let most = self.left() / least;
        usize::try_from(given)
            .ok()
            .filter(|&n| n <= most)
            .ok_or_else(|| format!("{what} is {given}, but the {} bytes left hold at most {most}", self.left()))
    }

    /// A string: its length, then UTF-8.
    pub(super) fn text(&mut self, what: &str) -> Result<&'a str, String> {
        let length = self.count(1, &format!("the length of {what}"))?;
        std::str::from_utf8(self.take(length, what)?).map_err(|_| format!("{what} is not UTF-8"))
    }
}
