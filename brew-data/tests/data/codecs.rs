//! Every codec of Parquet and Arrow IPC, by files that pyarrow and pandas wrote (`fixtures/codecs/codecs.py`),
//! and what is said of files that no decoder reads.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use brew_data::{Bytes, Dataset, Disk, Object, Storage};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaDataReader, ParquetMetaDataWriter};
use parquet::file::properties::WriterProperties;
use tempfile::tempdir;

use crate::batches::array;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/codecs")
}

#[test]
fn every_codec_that_pyarrow_and_pandas_write_is_read() {
    let mut opened = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "py") {
            continue;
        }
        let table = Dataset::open(&path).unwrap();
        assert_eq!(
            table.texts("text").unwrap(),
            ["a good film", "a bad film"].repeat(20),
            "{}",
            path.display()
        );
        assert_eq!(table.integers("label").unwrap(), [1, 0].repeat(20), "{}", path.display());
        opened += 1;
    }
    assert_eq!(opened, 13);
}

fn written(codec: Compression) -> Vec<u8> {
    let columns: [(&str, ArrayRef); 2] = [
        ("id", array(Int64Array::from_iter_values(0..5000))),
        ("other", array(Int64Array::from_iter_values(0..5000))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_compression(codec).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

/// Parquet's older LZ4 has Hadoop's frames; Spark writes it, and here the Parquet crate itself.
#[test]
fn the_older_lz4_of_spark_is_read() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, written(Compression::LZ4)).unwrap();
    assert_eq!(Dataset::open(&path).unwrap().integers("id").unwrap(), (0..5000).collect::<Vec<_>>());
}

#[test]
fn a_codec_that_is_not_there_is_named_when_its_column_is_used() {
    let bytes = Bytes::from(written(Compression::UNCOMPRESSED));
    let metadata = ParquetMetaDataReader::new().parse_and_finish(&bytes).unwrap();
    let end = metadata.row_group(0).columns().iter().map(|column| column.byte_range());
    let end = end.map(|(start, length)| (start + length) as usize).max().unwrap();
    let mut builder = metadata.clone().into_builder();
    let groups = builder.take_row_groups().into_iter().map(|group| {
        let columns = group.columns().to_vec();
        let columns = columns.into_iter().map(|column| {
            let codec = if column.column_path().string() == "id" {
                Compression::LZO
            } else {
                Compression::UNCOMPRESSED
            };
            column.into_builder().set_compression(codec).build().unwrap()
        });
        let columns = columns.collect();
        group.into_builder().set_column_metadata(columns).build().unwrap()
    });
    let metadata = builder.set_row_groups(groups.collect()).build();
    let mut packed = bytes[..end].to_vec();
    ParquetMetaDataWriter::new(&mut packed, &metadata).finish().unwrap();
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, packed).unwrap();
    let table = Dataset::open(&path).unwrap();
    assert_eq!(table.integers("other").unwrap()[4999], 4999);
    assert_eq!(
        table.integers("id").unwrap_err().to_string().replace(&format!("{}/", folder.path().display()), ""),
        "a.parquet: the column `id` is compressed with LZO, which is not supported: write the file again with another \
         codec, such as zstd"
    );
}

/// A store whose connection breaks after some reads.
#[derive(Debug)]
struct Breaking(std::sync::atomic::AtomicUsize);

struct BreakingObject<'a>(Arc<dyn Object>, &'a Breaking);

impl Storage for &'static Breaking {
    fn list(&self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        Disk.list(folder)
    }

    fn open(&self, name: &Path) -> std::io::Result<Arc<dyn Object>> {
        Ok(Arc::new(BreakingObject(Disk.open(name)?, self)))
    }
}

impl Object for BreakingObject<'static> {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn range(&self, range: std::ops::Range<u64>) -> std::io::Result<Bytes> {
        use std::sync::atomic::Ordering;
        let left = self.1.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map_err(|_| std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the peer hung up"))?;
        self.0.range(range)
    }
}

/// Whatever a decoder makes of it, an error of reading is told as that, and not as damage.
#[test]
fn a_connection_that_breaks_is_not_damage() {
    let packed = tempdir().unwrap();
    let csv = packed.path().join("a.csv.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, b"text,label\na,1\n").unwrap();
    std::fs::write(&csv, gzip.finish().unwrap()).unwrap();
    let zst = packed.path().join("a.csv.zst");
    std::fs::write(&zst, zstd::encode_all(&b"text,label\na,1\n"[..], 1).unwrap()).unwrap();
    let json = packed.path().join("a.json");
    std::fs::write(&json, "{\"data\": [{\"paragraphs\": []}]}").unwrap();
    for path in [folder().join("gzip.parquet"), folder().join("zstd.arrow"), csv, zst, json] {
        let mut broken = 0;
        for reads in 0..40 {
            let store: &'static Breaking = Box::leak(Box::new(Breaking(reads.into())));
            let outcome = Dataset::open_from(&store, &path).and_then(|table| table.integers("label"));
            let Err(error) = outcome else { continue };
            let error = error.to_string();
            if error.contains("there are no rows") {
                continue;
            }
            assert_eq!(error, format!("{}: the peer hung up", path.display()), "after {reads} reads");
            broken += 1;
        }
        assert!(broken > 0, "{}", path.display());
    }
}
