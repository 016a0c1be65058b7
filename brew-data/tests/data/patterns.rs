//! Patterns over stores: each kind of name, with what Python's fnmatch finds in the same names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use brew_data::{Bytes, Dataset, Object, Storage};

/// A store that knows its names as they are written, and no others, as S3 does.
#[derive(Debug)]
struct Keys(Vec<&'static str>);

struct Row;

impl Object for Row {
    fn length(&self) -> u64 {
        5
    }

    fn range(&self, range: std::ops::Range<u64>) -> std::io::Result<Bytes> {
        Ok(Bytes::from_static(b"id\n1\n").slice(range.start as usize..range.end as usize))
    }
}

impl Storage for Keys {
    fn list(&self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        let folder = match folder.to_str().unwrap() {
            "" => String::new(),
            folder => {
                folder.trim_end_matches('/').to_owned() + if folder.ends_with("//") { "//" } else { "/" }
            }
        };
        let below = self.0.iter().filter_map(|name| name.strip_prefix(&*folder));
        let mut names: Vec<PathBuf> =
            below.map(|rest| PathBuf::from(format!("{folder}{}", rest.split('/').next().unwrap()))).collect();
        names.dedup();
        if names.is_empty() { Err(std::io::ErrorKind::NotFound.into()) } else { Ok(names) }
    }

    fn open(&self, name: &Path) -> std::io::Result<Arc<dyn Object>> {
        match name.to_str().unwrap() {
            name if name.contains("denied") => Err(std::io::ErrorKind::PermissionDenied.into()),
            name if self.0.contains(&name) => Ok(Arc::new(Row)),
            // Not every store says that a name with a star in it is not found.
            name if name.contains('*') => Err(std::io::ErrorKind::InvalidInput.into()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

#[test]
fn a_pattern_finds_its_files_whatever_the_names_begin_with() {
    for prefix in [
        "s3://bucket/",
        "gs://bucket/a.b/",
        "hf://datasets/who/what@main/",
        "/data/",
        "data/",
        "./",
        "../x/",
        "",
    ] {
        let names = [
            "train-1.csv",
            "train-2.csv",
            "train-10.csv",
            "test-1.csv",
            ".train-3.csv",
            "train-[1].csv",
            "2024/train-4.csv",
            "2025/train-5.csv",
            "2025/deep/train-6.csv",
        ];
        let names: Vec<&'static str> =
            names.iter().map(|name| &*Box::leak(format!("{prefix}{name}").into_boxed_str())).collect();
        let store = Keys(names);
        // fnmatch.filter, level by level; `train-[1].csv` by itself is a file's name.
        for (pattern, rows) in [
            ("train-?.csv", 2),
            ("train-??.csv", 1),
            ("train-*.csv", 4),
            ("*.csv", 5),
            (".*.csv", 1),
            ("20*/train-*.csv", 2),
            ("*/deep/*.csv", 1),
            ("*/*/train-?.csv", 1),
            ("t[re]*-1.csv", 2),
            ("{train,test}-1.csv", 2),
            ("train-[1].csv", 1),
        ] {
            let found = Dataset::open_from(&store, format!("{prefix}{pattern}"));
            assert_eq!(found.unwrap().rows(), rows, "{prefix}{pattern}");
        }
        let none = Dataset::open_from(&store, format!("{prefix}*.parquet")).unwrap_err().to_string();
        assert_eq!(none, format!("{prefix}*.parquet: no file matches this pattern"));
        let levels = Dataset::open_from(&store, format!("{prefix}**/*.csv")).unwrap_err().to_string();
        assert!(
            levels.ends_with("`**` is not supported: write one `*` for each level of folders"),
            "{levels}"
        );
    }
    let denied = Keys(vec!["s3://b/denied.csv", "s3://b/a.csv"]);
    let refused = Dataset::open_from(&denied, "s3://b/*.csv").unwrap_err().to_string();
    assert_eq!(refused, "s3://b/denied.csv: permission denied");
    let broken = Dataset::open_from(&denied, "s3://b/{a.csv").unwrap_err().to_string();
    assert!(broken.starts_with("s3://b/{a.csv: ") && broken.contains("unclosed"), "{broken}");
}

#[test]
fn the_files_of_a_pattern_on_disk_have_the_names_that_were_written() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["b.csv", "a.csv", "c d.csv"] {
        std::fs::write(folder.path().join(name), "id\n1\n").unwrap();
    }
    std::fs::create_dir(folder.path().join("e.csv")).unwrap();
    let pattern = folder.path().join("*.csv");
    assert_eq!(Dataset::open(&pattern).unwrap().rows(), 3, "a folder whose name matches is no file");
    std::fs::write(folder.path().join("b.csv"), "id\n1,2\n").unwrap();
    let refused = Dataset::open(&pattern).unwrap_err().to_string();
    assert!(refused.starts_with(&folder.path().join("b.csv").display().to_string()), "{refused}");
}
