//! Bytes of a file at an offset, never more than the file has.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, PoisonError};

/// Something that can be read at any place.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// A file as it was when it was opened.
pub(crate) struct Source {
    inner: Arc<Mutex<Box<dyn ReadSeek>>>,
    pub(crate) len: u64,
}

impl Source {
    pub(crate) fn new(mut inner: Box<dyn ReadSeek>) -> io::Result<Self> {
        let len = inner.seek(SeekFrom::End(0))?;
        Ok(Self { inner: Arc::new(Mutex::new(inner)), len })
    }

    /// The same file as it is now.
    pub(crate) fn again(&self) -> io::Result<Self> {
        let len = self.inner.lock().unwrap_or_else(PoisonError::into_inner).seek(SeekFrom::End(0))?;
        Ok(Self { inner: self.inner.clone(), len })
    }

    /// Whether `length` bytes from `offset` on are within the file.
    pub(crate) fn holds(&self, offset: u64, length: u64) -> bool {
        offset.checked_add(length).is_some_and(|end| end <= self.len)
    }

    /// Exactly `length` bytes from `offset` on; an error if the file has fewer, before any memory is taken.
    pub(crate) fn read(&self, offset: u64, length: u64) -> io::Result<Vec<u8>> {
        let size = usize::try_from(length).ok().filter(|_| self.holds(offset, length));
        let Some(size) = size else { return Err(io::ErrorKind::UnexpectedEof.into()) };
        let mut bytes = vec![0; size];
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.seek(SeekFrom::Start(offset))?;
        inner.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
