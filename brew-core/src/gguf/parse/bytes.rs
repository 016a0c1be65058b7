//! Reads numbers and text from a stream of known length, and never allocates more than the stream has left.

use std::io::Read;

/// A stream of `length` bytes, and how far it has been read.
#[derive(Debug)]
pub(crate) struct Bytes<R> {
    inner: R,
    position: u64,
    length: u64,
}

impl<R: Read> Bytes<R> {
    pub(crate) fn new(inner: R, length: u64) -> Self {
        Bytes { inner, position: 0, length }
    }

    /// The number of bytes read so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Checks that `count` values of `size` bytes each can follow.
    ///
    /// # Errors
    /// They do not fit into the rest of the stream.
    pub(crate) fn expect(&self, count: u64, size: u64) -> Result<(), String> {
        let left = self.length - self.position;
        let wanted = count.checked_mul(size);
        if wanted.is_some_and(|wanted| wanted <= left) {
            return Ok(());
        }
        let wanted = wanted.map_or_else(|| "more than 2^64".to_owned(), |wanted| wanted.to_string());
        Err(format!("{wanted} bytes should follow byte {}, but the file ends after {left}", self.position))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), String> {
        self.expect(buffer.len() as u64, 1)?;
        self.inner.read_exact(buffer).map_err(|error| error.to_string())?;
        self.position += buffer.len() as u64;
        Ok(())
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut buffer = [0; N];
        self.fill(&mut buffer)?;
        Ok(buffer)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    /// A text, which is stored after its length.
    pub(crate) fn text(&mut self) -> Result<String, String> {
        let length = self.u64()?;
        self.expect(length, 1)?;
        let mut buffer = vec![0; usize::try_from(length).map_err(|error| error.to_string())?];
        self.fill(&mut buffer)?;
        String::from_utf8(buffer).map_err(|error| format!("not UTF-8: {}", error.utf8_error()))
    }
}
