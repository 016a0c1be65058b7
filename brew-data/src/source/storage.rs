//! Where files are stored: everything is opened through [`Storage`], so data need not be on the local disk.

use std::fmt;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// A store of named files. [`Disk`] is the local one; a remote store implements these two functions.
///
/// ```
/// use std::io::{Error, ErrorKind, Result};
/// use std::ops::Range;
/// use std::path::{Path, PathBuf};
/// use std::sync::Arc;
///
/// use brew_data::{Bytes, Dataset, Object, Storage};
///
/// /// One file, in memory.
/// #[derive(Debug)]
/// struct OneFile(Bytes);
///
/// impl Storage for OneFile {
///     fn list(&self, _: &Path) -> Result<Vec<PathBuf>> {
///         Ok(vec!["ratings.csv".into()])
///     }
///     fn open(&self, name: &Path) -> Result<Arc<dyn Object>> {
///         if name != Path::new("ratings.csv") {
///             return Err(Error::from(ErrorKind::NotFound));
///         }
///         Ok(Arc::new(OneFile(self.0.clone())))
///     }
/// }
///
/// impl Object for OneFile {
///     fn length(&self) -> u64 {
///         self.0.len() as u64
///     }
///     fn range(&self, range: Range<u64>) -> Result<Bytes> {
///         Ok(self.0.slice(range.start as usize..range.end as usize))
///     }
/// }
///
/// # fn main() -> brew_data::Result<()> {
/// let store = OneFile(Bytes::from_static(b"stars\n4\n5\n"));
/// assert_eq!(Dataset::open_from(&store, "ratings.csv")?.integers("stars")?, [4, 5]);
/// # Ok(())
/// # }
/// ```
pub trait Storage: fmt::Debug + Send + Sync {
    /// Lists the files and folders directly in a folder by their full names, which [`open`](Self::open) and
    /// this function accept. The folder is named as the caller of
    /// [`Dataset::open_from`](crate::Dataset::open_from) wrote it, without a trailing slash; the folder of a
    /// name without a slash is the empty name.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such folder; any other failure of the store.
    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>>;

    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there is no such file, [`ErrorKind::IsADirectory`] if it is a folder and
    /// the store can tell; any other failure of the store.
    fn open(&self, name: &Path) -> Result<Arc<dyn Object>>;
}

/// An open file of a store: all reads see one version, even if the file is replaced meanwhile.
pub trait Object: Send + Sync {
    /// Its length in bytes.
    fn length(&self) -> u64;

    /// The bytes of a range within its length.
    ///
    /// # Errors
    /// The bytes cannot be read, or no longer exist.
    fn range(&self, range: Range<u64>) -> Result<Bytes>;

    /// The local file behind the object, if there is one: Arrow data is then mapped instead of read into
    /// memory.
    fn file(&self) -> Option<&File> {
        None
    }
}

/// The local disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Storage for Disk {
    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        std::fs::read_dir(place)?.map(|entry| Ok(folder.join(entry?.file_name()))).collect()
    }

    fn open(&self, name: &Path) -> Result<Arc<dyn Object>> {
        let file = File::open(name)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(Error::from(ErrorKind::IsADirectory));
        }
        Ok(Arc::new(DiskFile { file, length: metadata.len() }))
    }
}

struct DiskFile {
    file: File,
    length: u64,
}

impl Object for DiskFile {
    fn length(&self) -> u64 {
        self.length
    }

    fn range(&self, range: Range<u64>) -> Result<Bytes> {
        use std::os::unix::fs::FileExt as _;
        let length = usize::try_from(range.end.saturating_sub(range.start));
        let mut bytes = vec![0; length.map_err(|_| Error::from(ErrorKind::InvalidInput))?];
        self.file.read_exact_at(&mut bytes, range.start)?;
        Ok(bytes.into())
    }

    fn file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

/// An object that remembers its last failure, since decoders report failed reads as bad bytes.
pub(crate) struct Watched {
    object: Arc<dyn Object>,
    failure: Mutex<Option<Error>>,
}

impl Watched {
    pub(crate) fn new(object: Arc<dyn Object>) -> Self {
        Watched { object, failure: Mutex::new(None) }
    }

    /// Takes the last read error.
    pub(crate) fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Object for Watched {
    fn length(&self) -> u64 {
        self.object.length()
    }

    fn range(&self, range: Range<u64>) -> Result<Bytes> {
        self.object.range(range).inspect_err(|error| {
            let same = Error::new(error.kind(), error.to_string());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(same);
        })
    }
}

/// Bytes per read.
const PIECE: u64 = 1 << 20;

/// Reads an object from an offset on, piece by piece.
pub(crate) struct ObjectReader {
    object: Arc<dyn Object>,
    next: u64,
    piece: Bytes,
}

impl ObjectReader {
    pub(crate) fn new(object: Arc<dyn Object>, start: u64) -> Self {
        ObjectReader { object, next: start, piece: Bytes::new() }
    }
}

impl Read for ObjectReader {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if self.piece.is_empty() {
            let end = self.object.length().min(self.next.saturating_add(PIECE));
            if self.next < end {
                self.piece = self.object.range(self.next..end)?;
                self.next = end;
            }
        }
        let length = into.len().min(self.piece.len());
        into[..length].copy_from_slice(&self.piece.split_to(length));
        Ok(length)
    }
}
