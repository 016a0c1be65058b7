//! Locates the record batches of an Arrow IPC file or stream, and checks every offset.
//!
//! A file has a footer that lists them. A stream has none: its message headers are walked once, which gives
//! the same list, so any batch can be reached. The decoder trusts the offsets it is given, so all are checked
//! here.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::{Block, Message, MetadataVersion, root_as_footer, root_as_message};

use super::guard::{Undecoded, guarded};

/// The first and last bytes of an Arrow IPC file.
pub(crate) const FILE_MARK: &[u8] = b"ARROW1";

/// The first bytes of every stream message.
pub(crate) const STREAM_MARK: &[u8] = &[0xff; 4];

/// The mark and length before a message's header.
const PREFIX_LENGTH: usize = 8;

/// The footer's length and the closing mark.
const TRAILER_LENGTH: usize = 10;

/// The maximum uncompressed size that a buffer may claim: more than any batch needs, and a bound for damaged
/// lengths.
const LONGEST_UNPACKED: u64 = 1 << 32;

/// The record batches of a file or stream.
#[derive(Debug)]
pub(crate) struct Index {
    pub(crate) schema: SchemaRef,
    version: MetadataVersion,
    blocks: Vec<(Block, Content)>,
    /// Whether a buffer is compressed, so nothing can be mapped.
    pub(crate) compressed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Content {
    Dictionary,
    Batch,
}

impl Index {
    /// Finds the record batches.
    ///
    /// # Errors
    /// The bytes are truncated or damaged.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, Undecoded> {
        guarded(|| if bytes.starts_with(FILE_MARK) { Self::of_file(bytes) } else { Self::of_stream(bytes) })
    }

    fn of_file(bytes: &[u8]) -> Result<Self, Undecoded> {
        let trailer_start = bytes.len().checked_sub(TRAILER_LENGTH).ok_or("it has no footer")?;
        let trailer = bytes[trailer_start..].try_into().map_err(|_| "it has no footer")?;
        let footer_length = read_footer_length(trailer).map_err(|error| error.to_string())?;
        let footer_start =
            trailer_start.checked_sub(footer_length).ok_or("its footer is longer than the file")?;
        let footer = &bytes[footer_start..trailer_start];
        let footer = root_as_footer(footer).map_err(|error| error.to_string())?;
        let schema = footer.schema().ok_or("its footer has no schema")?;
        let mut index = Index::new(schema, footer.version())?;
        for (blocks, content) in
            [(footer.dictionaries(), Content::Dictionary), (footer.recordBatches(), Content::Batch)]
        {
            for block in blocks.iter().flatten() {
                index.add(bytes, *block, content)?;
            }
        }
        Ok(index)
    }

    fn of_stream(bytes: &[u8]) -> Result<Self, Undecoded> {
        let (message, mut next) = message_at(bytes, 0)?.ok_or("it ends before its schema")?;
        let schema = message.header_as_schema().ok_or("it does not begin with a schema")?;
        let mut index = Index::new(schema, message.version())?;
        if message.bodyLength() != 0 {
            return Err("its schema has a body".into());
        }
        while let Some((message, header_end)) = message_at(bytes, next)? {
            let content = if message.header_as_dictionary_batch().is_some() {
                Content::Dictionary
            } else {
                Content::Batch
            };
            let metadata = i32::try_from(header_end - next).map_err(|_| "a header is too long")?;
            let offset = i64::try_from(next).map_err(|_| outside())?;
            let block = Block::new(offset, metadata, message.bodyLength());
            next = index.add(bytes, block, content)?;
        }
        Ok(index)
    }

    fn new(schema: arrow::ipc::Schema<'_>, version: MetadataVersion) -> Result<Self, Undecoded> {
        if !schema.endianness().equals_to_target_endianness() {
            let message = "its numbers have another machine's byte order; read and rewrite it with pyarrow";
            return Err(Undecoded::Unsupported(message.to_owned()));
        }
        let schema = Arc::new(try_fb_to_schema(schema).map_err(|error| undecoded(&error))?);
        Ok(Index { schema, version, blocks: Vec::new(), compressed: false })
    }

    /// Checks and adds a block; returns its end.
    fn add(&mut self, bytes: &[u8], block: Block, content: Content) -> Result<usize, Undecoded> {
        let (start, length, body) = extent(&block)?;
        let end = start.checked_add(length).filter(|&end| end <= bytes.len()).ok_or_else(outside)?;
        self.compressed |= check_block(&bytes[start..end], body)?;
        self.blocks.push((block, content));
        Ok(end)
    }

    /// The record batches, as views of the bytes.
    ///
    /// # Errors
    /// Those of [`Index::decode`].
    pub(crate) fn views(&self, bytes: &Buffer) -> Result<Vec<RecordBatch>, Undecoded> {
        let mut chunks = Vec::new();
        self.decode(bytes, |batch| {
            chunks.push(batch);
            Ok::<_, Undecoded>(())
        })?;
        Ok(chunks)
    }

    /// Decodes every record batch, as views of `bytes` where nothing is compressed.
    ///
    /// # Errors
    /// Values do not fit their type, as in a damaged file; the first error of `emit`.
    pub(crate) fn decode<E: From<Undecoded>>(
        &self,
        bytes: &Buffer,
        mut emit: impl FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut decoder = FileDecoder::new(self.schema.clone(), self.version);
        for (block, content) in &self.blocks {
            let (start, length, _) = extent(block)?;
            let bytes = bytes.slice_with_length(start, length);
            let batch = guarded(|| {
                let batch = match content {
                    Content::Dictionary => decoder.read_dictionary(block, &bytes).map(|()| None),
                    Content::Batch => decoder.read_record_batch(block, &bytes),
                };
                batch.map_err(|error| undecoded(&error))
            })?;
            if let Some(batch) = batch {
                emit(batch)?;
            }
        }
        Ok(())
    }
}

/// The record batches of mapped bytes, with their schema.
///
/// # Errors
/// The bytes are truncated or damaged.
pub(crate) fn decode(bytes: &Buffer) -> Result<(SchemaRef, Vec<RecordBatch>), Undecoded> {
    let index = Index::of(bytes)?;
    let chunks = index.views(bytes)?;
    Ok((index.schema, chunks))
}

/// A decoder's error: only a missing feature is known not to be damage.
fn undecoded(error: &ArrowError) -> Undecoded {
    match error {
        ArrowError::NotYetImplemented(message) => Undecoded::Unsupported(message.clone()),
        _ => Undecoded::Unknown(error.to_string()),
    }
}

fn outside() -> String {
    "a block lies outside the file".to_owned()
}

/// Start, length, and length of the body at its end.
fn extent(block: &Block) -> Result<(usize, usize, usize), Undecoded> {
    let start = usize::try_from(block.offset()).map_err(|_| outside())?;
    let metadata = usize::try_from(block.metaDataLength()).map_err(|_| outside())?;
    let body = usize::try_from(block.bodyLength()).map_err(|_| outside())?;
    Ok((start, metadata.checked_add(body).ok_or_else(outside)?, body))
}

/// The message that begins here and the end of its header; `None` at the end mark.
fn message_at(bytes: &[u8], start: usize) -> Result<Option<(Message<'_>, usize)>, Undecoded> {
    let rest = bytes.get(start..).filter(|rest| !rest.is_empty());
    let unfinished = || Undecoded::Unfinished("it lacks the mark that ends a stream".to_owned());
    let rest = rest.ok_or_else(unfinished)?;
    let prefix = rest.get(..PREFIX_LENGTH).ok_or("it ends inside the mark of a message")?;
    let (mark, length) = prefix.split_at(STREAM_MARK.len());
    if mark != STREAM_MARK {
        return Err(format!("no message begins at byte {start}").into());
    }
    let length = u32::from_le_bytes(length.try_into().map_err(|_| outside())?) as usize;
    if length == 0 {
        return Ok(None);
    }
    let header = rest.get(PREFIX_LENGTH..PREFIX_LENGTH + length).ok_or("it ends inside a header")?;
    let message = root_as_message(header).map_err(|error| error.to_string())?;
    Ok(Some((message, start + PREFIX_LENGTH + length)))
}

/// Checks that the buffers listed in a block's header lie in its body; returns whether they are compressed.
fn check_block(block: &[u8], body: usize) -> Result<bool, Undecoded> {
    // The header follows its own length, and since version 0.15 of the format a mark before that.
    let prefix = if block.starts_with(STREAM_MARK) { PREFIX_LENGTH } else { 4 };
    let header = block.get(prefix..block.len() - body).ok_or("a block is too short for its header")?;
    let message = root_as_message(header).map_err(|error| error.to_string())?;
    let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    if message.header_as_tensor().is_some() || message.header_as_sparse_tensor().is_some() {
        return Err(Undecoded::Unsupported("it holds tensors, not record batches".to_owned()));
    }
    let batch = message.header_as_record_batch().or(dictionary).ok_or("a block holds no record batch")?;
    if batch.length() < 0 || batch.nodes().iter().flatten().any(|node| node.length() < 0) {
        return Err("a record batch has a negative number of rows".into());
    }
    let compressed = batch.compression().is_some();
    let body = &block[block.len() - body..];
    for buffer in batch.buffers().iter().flatten() {
        let start = usize::try_from(buffer.offset()).ok();
        let end = buffer.offset().checked_add(buffer.length()).and_then(|end| usize::try_from(end).ok());
        let bytes = start.zip(end).and_then(|(start, end)| body.get(start..end));
        let bytes = bytes.ok_or("a column points outside its block")?;
        let unpacked = bytes.first_chunk().map(|length| i64::from_le_bytes(*length));
        if compressed && unpacked.is_some_and(|length| length > 0 && length as u64 > LONGEST_UNPACKED) {
            return Err("a compressed column claims more than 4 GiB".into());
        }
    }
    Ok(compressed)
}
