//! Unsupported files recognised by their first bytes: what each is, and what to do about it.

/// First bytes, and what the file is. Text could begin with the same letters, so short marks include a byte
/// that text cannot have, or a format's full name.
const FOREIGN: [(&[u8], &str); 10] = [
    (
        b"version https://git-lfs.github.com/spec/",
        "a Git LFS pointer, not the data itself: run `git lfs pull` in its repository",
    ),
    (b"PARE", "an encrypted Parquet file, which is not supported: write it without encryption"),
    (
        b"FEA1",
        "a Feather file of version 1, which is not supported: write it as version 2, which is Arrow IPC",
    ),
    (b"PK\x03\x04", "a zip archive, as Excel's .xlsx files are: unpack it, or export the sheet as CSV"),
    (b"BZh91AY&SY", "packed with bzip2, which is not supported: unpack it first"),
    (b"\xfd7zXZ\x00", "packed with xz, which is not supported: unpack it first"),
    (b"Obj\x01", "an Avro file, which is not supported: write it as Parquet"),
    (b"ORC\n", "an ORC file, which is not supported: write it as Parquet"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, which is not supported: write its tables as Parquet"),
    (b"SQLite format 3\x00", "an SQLite database, which is not supported: export a table as CSV"),
];

/// The number of bytes needed.
pub(super) const LENGTH: u64 = 40;

/// What a file beginning with these bytes is, if it is known to be unsupported.
pub(super) fn named(start: &[u8]) -> Option<&'static str> {
    FOREIGN.into_iter().find_map(|(mark, is)| start.starts_with(mark).then_some(is))
}
