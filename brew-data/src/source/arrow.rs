//! Arrow IPC files, mapped into memory: columns are views of the file and nothing is copied.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::convert::try_fb_to_schema;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_ipc::{Block, root_as_footer, root_as_message};
use arrow_schema::SchemaRef;
use bytes::Bytes;
use memmap2::Mmap;

use crate::error::{Error, Result};

/// The footer's length and the closing mark.
const TRAILER_LENGTH: usize = 10;

/// Maps the file; each record batch becomes a chunk.
///
/// # Errors
/// A file that cannot be opened or mapped, is cut short, or is damaged.
pub(crate) fn read(path: &Path) -> Result<(SchemaRef, Vec<RecordBatch>)> {
    let file = map(path)?;
    decode(&file).map_err(|message| {
        Error::format(path, format!("the Arrow IPC file is damaged or cut short: {message}"))
    })
}

/// Maps a file for reading.
///
/// What is promised: a file that brew writes itself is replaced by renaming a new one over it, never
/// changed in place, so that a mapping keeps the bytes it was made of. A file that another program
/// shortens while it is mapped ends this process with a bus error when the lost part is read.
#[expect(unsafe_code, reason = "mapping a file is unsafe because others may change it")]
pub(crate) fn map(path: &Path) -> Result<Buffer> {
    let file = File::open(path).map_err(Error::io(path))?;
    // SAFETY: the mapping is private to this process and only read. brew replaces its own files by
    // renaming. That nobody else writes to the file while it is open is the caller's promise, stated at
    // `Dataset::open`.
    let mapping = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
    Ok(Buffer::from(Bytes::from_owner(mapping)))
}

/// Reads the footer and makes each block a record batch.
pub(crate) fn decode(file: &Buffer) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
    let trailer_start = file.len().checked_sub(TRAILER_LENGTH).ok_or("it has no footer")?;
    let trailer = file[trailer_start..].try_into().map_err(|_| "it has no footer")?;
    let footer_length = read_footer_length(trailer).map_err(|error| error.to_string())?;
    let footer_start =
        trailer_start.checked_sub(footer_length).ok_or("its footer is longer than the file")?;
    let footer = root_as_footer(&file[footer_start..trailer_start]).map_err(|error| error.to_string())?;
    let schema = footer.schema().ok_or("its footer has no schema")?;
    if !schema.endianness().equals_to_target_endianness() {
        return Err("it was written on a machine of the other byte order".to_owned());
    }
    let schema = Arc::new(try_fb_to_schema(schema).map_err(|error| error.to_string())?);

    let mut decoder = FileDecoder::new(schema.clone(), footer.version());
    for block in footer.dictionaries().iter().flatten() {
        let bytes = slice(file, block)?;
        decoder.read_dictionary(block, &bytes).map_err(|error| error.to_string())?;
    }
    let mut chunks = Vec::new();
    for block in footer.recordBatches().iter().flatten() {
        let bytes = slice(file, block)?;
        chunks.extend(decoder.read_record_batch(block, &bytes).map_err(|error| error.to_string())?);
    }
    Ok((schema, chunks))
}

/// The bytes of a block, checked to lie in the file, as its buffers are to lie in it: the decoder
/// takes both on trust and panics where they do not.
fn slice(file: &Buffer, block: &Block) -> Result<Buffer, String> {
    let outside = || "its footer points outside the file".to_owned();
    let start = usize::try_from(block.offset()).map_err(|_| outside())?;
    let metadata = usize::try_from(block.metaDataLength()).map_err(|_| outside())?;
    let body = usize::try_from(block.bodyLength()).map_err(|_| outside())?;
    let length = metadata.checked_add(body).ok_or_else(outside)?;
    match start.checked_add(length) {
        Some(end) if end <= file.len() => {
            let bytes = file.slice_with_length(start, length);
            check_buffers(&bytes, body)?;
            Ok(bytes)
        }
        _ => Err(outside()),
    }
}

/// Checks that the buffers a block's header lists lie in its body.
fn check_buffers(block: &[u8], body: usize) -> Result<(), String> {
    // The header follows its own length, and since version 0.15 of the format a mark before that.
    let prefix = if block.starts_with(&[0xff; 4]) { 8 } else { 4 };
    let header = block.get(prefix..).ok_or("a block is too short for its header")?;
    let message = root_as_message(header).map_err(|error| error.to_string())?;
    let dictionary = message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    let batch = message.header_as_record_batch().or(dictionary).ok_or("a block holds no record batch")?;
    for buffer in batch.buffers().iter().flatten() {
        let end = buffer.offset().checked_add(buffer.length());
        let inside = end.and_then(|end| usize::try_from(end).ok()).is_some_and(|end| end <= body);
        if !inside || buffer.offset() < 0 || buffer.length() < 0 {
            return Err("a column points outside its block".to_owned());
        }
    }
    Ok(())
}
