//! Parquet: a column is decoded when it is first used, one row group after another.
//!
//! So a batch that declares three of thirty columns pays for three.

use std::fmt;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::decode_cache::{DecodeCache, Decoded};
use super::storage::{Object, ObjectReader, Watched};
use super::table::{EncodedColumns, Table};
use super::unpack::unpacked_schema;
use crate::error::{Error, Result};
use crate::parse::guard::{Undecoded, guarded};
use crate::parse::{CHUNK_ROWS, ParseError};

/// The first and last bytes of a Parquet file.
pub(super) const MARK: &[u8] = b"PAR1";

/// The columns of a Parquet file.
struct ParquetColumns {
    path: PathBuf,
    object: Arc<Watched>,
    metadata: ArrowReaderMetadata,
    /// Rows of each chunk.
    chunks: Vec<usize>,
    /// The columns decoded so far.
    decoded: Vec<Mutex<Option<Decoded>>>,
    cache: DecodeCache,
}

impl fmt::Debug for ParquetColumns {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ParquetColumns").field("path", &self.path).finish_non_exhaustive()
    }
}

/// Reads the footer.
///
/// # Errors
/// The file cannot be read, is truncated, or is damaged.
pub(crate) fn open(path: &Path, object: Arc<dyn Object>, cache: &DecodeCache) -> Result<Table> {
    let watched = Arc::new(Watched::new(object));
    let unreadable = |undecoded| Error::in_file(path, told(&watched, undecoded));
    let end = watched.length().saturating_sub(MARK.len() as u64)..watched.length();
    if watched.range(end).map_err(Error::io(path))? != MARK {
        return Err(unreadable("it does not end with `PAR1`".into()));
    }
    let reader = Chunks(watched.clone());
    let load = |options| guarded(|| ArrowReaderMetadata::load(&reader, options).map_err(undecoded));
    let mut metadata = load(ArrowReaderOptions::new()).map_err(unreadable)?;
    let unpacked = unpacked_schema(metadata.schema());
    if unpacked != *metadata.schema() {
        metadata = load(ArrowReaderOptions::new().with_schema(unpacked)).map_err(unreadable)?;
    }
    let schema = metadata.schema().clone();
    let mut chunks = Vec::new();
    for group in metadata.metadata().row_groups() {
        let rows = usize::try_from(group.num_rows()).unwrap_or(usize::MAX);
        // More than a selection can address; this also keeps a damaged count from filling the memory.
        if rows > u32::MAX as usize {
            return Err(unreadable(format!("a row group of {} rows", group.num_rows()).into()));
        }
        chunks.extend((0..rows).step_by(CHUNK_ROWS).map(|first| CHUNK_ROWS.min(rows - first)));
    }
    let decoded = schema.fields().iter().map(|_| Mutex::new(None)).collect();
    let path_buf = path.to_owned();
    let columns = ParquetColumns {
        path: path_buf,
        object: watched,
        metadata,
        chunks: chunks.clone(),
        decoded,
        cache: cache.clone(),
    };
    Ok(Table::encoded(path, &schema, chunks, columns))
}

/// Why a file cannot be decoded: the store's error, if that was the reason.
fn told(watched: &Watched, undecoded: Undecoded) -> ParseError {
    match watched.failure() {
        Some(error) => ParseError::Io(error),
        None => ParseError::Text(format!("the Parquet file {undecoded}")),
    }
}

/// A decoder's error: only a premature end and a missing feature can be told apart.
fn undecoded(error: ParquetError) -> Undecoded {
    match error {
        ParquetError::EOF(message) => Undecoded::Damaged(message),
        ParquetError::NYI(message) => Undecoded::Unsupported(message),
        other => Undecoded::Unknown(other.to_string()),
    }
}

impl EncodedColumns for ParquetColumns {
    fn column(&self, index: usize) -> Result<Vec<ArrayRef>> {
        let mut decoded = self.decoded[index].lock().unwrap_or_else(PoisonError::into_inner);
        if decoded.is_none() {
            let schema = Arc::new(Schema::new(vec![self.metadata.schema().field(index).clone()]));
            let kept = self.cache.keep(
                &self.path,
                &schema,
                || self.key(index),
                |emit| {
                    (0..self.metadata.metadata().num_row_groups())
                        .try_for_each(|group| self.decode(index, group, &mut |batch| emit(batch)))
                },
            )?;
            if !kept.chunks.iter().map(RecordBatch::num_rows).eq(self.chunks.iter().copied()) {
                let message = "the number of rows differs from that of its row groups";
                return Err(Error::in_file(&self.path, told(&self.object, message.into())));
            }
            *decoded = Some(kept);
        }
        let chunks = decoded.iter().flat_map(|kept| &kept.chunks);
        Ok(chunks.map(|chunk| chunk.column(0).clone()).collect())
    }
}

impl ParquetColumns {
    fn decode(
        &self,
        index: usize,
        group: usize,
        emit: &mut dyn FnMut(RecordBatch) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        let unreadable = |undecoded| told(&self.object, undecoded);
        self.check_codec(index, group)?;
        let reader = guarded(|| {
            let mask = ProjectionMask::roots(self.metadata.parquet_schema(), [index]);
            let chunks = Chunks(self.object.clone());
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(CHUNK_ROWS)
                .build()
                .map_err(undecoded)
        });
        let mut reader = reader.map_err(unreadable)?;
        let field: SchemaRef = Arc::new(Schema::new(vec![self.metadata.schema().field(index).clone()]));
        loop {
            let next = guarded(|| reader.next().transpose().map_err(of_arrow));
            let Some(batch) = next.map_err(unreadable)? else { return Ok(()) };
            let batch = RecordBatch::try_new(field.clone(), batch.columns().to_vec());
            emit(batch.map_err(|error| unreadable(of_arrow(error)))?)?;
        }
    }

    /// Rejects LZO, the one codec that the parquet crate lacks.
    fn check_codec(&self, index: usize, group: usize) -> Result<(), ParseError> {
        let leaves = self.metadata.parquet_schema();
        let packed_by_lzo = |(leaf, column): (usize, &ColumnChunkMetaData)| {
            leaves.get_column_root_idx(leaf) == index && column.compression() == Compression::LZO
        };
        if !self.metadata.metadata().row_group(group).columns().iter().enumerate().any(packed_by_lzo) {
            return Ok(());
        }
        Err(ParseError::Text(format!(
            "the column `{}` is compressed with LZO, which is not supported: write the file again with another \
             codec, such as zstd",
            self.metadata.schema().field(index).name()
        )))
    }

    /// The hash of the column's bytes in the file and of its type.
    fn key(&self, index: usize) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("parquet 1 {:?}", self.metadata.schema().field(index)).as_bytes());
        let leaves = self.metadata.parquet_schema();
        for group in self.metadata.metadata().row_groups() {
            for (leaf, column) in group.columns().iter().enumerate() {
                if leaves.get_column_root_idx(leaf) == index {
                    let (start, length) = column.byte_range();
                    hasher.update(format!(" {} {length}", group.num_rows()).as_bytes());
                    let bytes = std::io::Read::take(ObjectReader::new(self.object.clone(), start), length);
                    hasher.update_reader(bytes).map_err(Error::io(&self.path))?;
                }
            }
        }
        Ok(hasher.finalize().to_hex().to_string())
    }
}

/// The error of a record batch reader, which wraps Parquet's own.
fn of_arrow(error: ArrowError) -> Undecoded {
    match error {
        ArrowError::ParquetError(message) if message.starts_with("EOF: ") => Undecoded::Damaged(message),
        ArrowError::ParquetError(message) if message.starts_with("NYI: ") => Undecoded::Unsupported(message),
        ArrowError::NotYetImplemented(message) => Undecoded::Unsupported(message),
        other => Undecoded::Unknown(other.to_string()),
    }
}

/// An object as the parquet crate reads it.
struct Chunks(Arc<Watched>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.length()
    }
}

impl ChunkReader for Chunks {
    type T = BufReader<ObjectReader>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(BufReader::new(ObjectReader::new(self.0.clone(), start)))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.checked_add(length as u64).filter(|&end| end <= self.0.length());
        let end = end.ok_or_else(|| ParquetError::EOF("a range beyond the end of the file".to_owned()))?;
        self.0.range(start..end).map_err(ParquetError::from)
    }
}
