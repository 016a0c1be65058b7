//! Advice that works: what a message says to write is written, to the letter, and the file is read.

use brew_data::{Conll, Dataset, Delimited, Format, Layout};

use crate::formats::{files, refusal};

/// A file, what its refusal advises, and the same as code: the settings, rows, columns.
type Advice = (&'static str, &'static str, &'static str, Format, usize, &'static [&'static str]);

fn below(settings: Delimited, layout: Layout) -> Format {
    settings.layout_below_header(layout).into()
}

fn two() -> Layout {
    Layout::new().text("column_1").text("column_2")
}

/// Holds the words of an advice against the code that does what they say.
macro_rules! advised {
    ($name:literal, $content:literal, $code:expr, $rows:literal, $columns:expr) => {
        ($name, $content, stringify!($code), Format::from($code), $rows, $columns)
    };
}

#[test]
fn the_advice_of_a_rejected_header_reads_the_file() {
    let cases: [Advice; 11] = [
        // `DataFrame.to_csv` of columns without names, with and without the index.
        advised!(
            "a.csv",
            "0,1\na good film,1\na bad film,0\n",
            Delimited::csv().layout_below_header(Layout::new().text("column_1").text("column_2")),
            2,
            &["column_1", "column_2"]
        ),
        advised!(
            "a.csv",
            ",0,1\n0,a good film,1\n1,a bad film,0\n",
            Delimited::csv()
                .layout_below_header(Layout::new().text("column_1").text("column_2").text("column_3")),
            2,
            &["column_1", "column_2", "column_3"]
        ),
        // A first line that is a row.
        advised!(
            "a.csv",
            "1,a good film\n0,a bad film\n",
            Delimited::csv().layout(Layout::new().text("column_1").text("column_2")),
            2,
            &["column_1", "column_2"]
        ),
        advised!(
            "a.tsv",
            "1\ta good film\n0\ta bad film\n",
            Delimited::tsv().layout(Layout::new().text("column_1").text("column_2")),
            2,
            &["column_1", "column_2"]
        ),
        advised!(
            "a.csv",
            ",a good film\nx,a bad film\n",
            Delimited::csv().layout(Layout::new().text("column_1").text("column_2")),
            2,
            &["column_1", "column_2"]
        ),
        // A name twice, and a blank at the end.
        advised!(
            "a.csv",
            "text,text\na,b\n",
            Delimited::csv().layout_below_header(Layout::new().text("column_1").text("column_2")),
            1,
            &["column_1", "column_2"]
        ),
        advised!(
            "a.csv",
            "text,\na,b\n",
            Delimited::csv().layout_below_header(Layout::new().text("column_1").text("column_2")),
            1,
            &["column_1", "column_2"]
        ),
        // Another separator than the kind of the file has.
        advised!(
            "a.csv",
            "text;label\na good film;1\n",
            Delimited::csv().separated_by(b';'),
            1,
            &["text", "label"]
        ),
        advised!("a.csv", "text\tlabel\na good film\t1\n", Delimited::tsv(), 1, &["text", "label"]),
        advised!("a.txt", "text,label\na good film,1\n", Delimited::csv(), 1, &["text", "label"]),
        advised!(
            "a.csv",
            "text;label\na good film;1\n",
            Delimited::csv().layout_below_header(Layout::new().text("text;label")),
            1,
            &["text;label"]
        ),
    ];
    for (name, content, code, format, rows, columns) in cases {
        let refused = refusal(name, content);
        let code: String = code.split_whitespace().collect();
        let told: String = refused.split_whitespace().collect();
        assert!(told.contains(&format!("`Dataset::open_as(path,{code})`")), "{refused}\n{code}");
        let folder = files(&[(name, content.as_bytes())]);
        let table = Dataset::open_as(folder.path().join(name), format).unwrap();
        assert_eq!((table.rows(), table.columns()), (rows, columns.to_vec()), "{refused}");
    }
}

#[test]
fn numbered_columns_are_read_as_the_layout_declares_them() {
    let folder = files(&[("numbered.csv", b"0,1\na good film,1\na bad film,0\n")]);
    let layout = Layout::new().text("text").integer("label");
    let table =
        Dataset::open_as(folder.path().join("numbered.csv"), below(Delimited::csv(), layout)).unwrap();
    assert_eq!(table.texts("text").unwrap(), ["a good film", "a bad film"]);
    assert_eq!(table.integers("label").unwrap(), [1, 0]);
}

#[test]
fn a_quotation_mark_that_is_not_closed_is_read_as_advised() {
    let content = "text,label\n\"The film,1\nfine,0\n";
    assert!(refusal("a.csv", content).ends_with("read it with `Delimited::csv().quoted(false)`"));
    let folder = files(&[("a.csv", content.as_bytes())]);
    let path = folder.path().join("a.csv");
    let table = Dataset::open_as(&path, Delimited::csv().quoted(false)).unwrap();
    assert_eq!(table.texts("text").unwrap(), ["\"The film", "fine"]);
    // Text behind a closing mark: doubled, it is part of the text.
    let refused = refusal("a.csv", "text,label\n\"a\" b,1\n");
    assert!(refused.contains("write `\"\"` for a quotation mark inside a quoted field"), "{refused}");
    let folder = files(&[("a.csv", b"text,label\n\"\"\"a\"\" b\",1\n")]);
    assert_eq!(Dataset::open(folder.path().join("a.csv")).unwrap().texts("text").unwrap(), ["\"a\" b"]);
}

#[test]
fn a_header_of_other_names_is_declared_and_renamed_as_advised() {
    let folder = files(&[("a.csv", b"text,stars\na good film,1\n")]);
    let path = folder.path().join("a.csv");
    let other = below(Delimited::csv(), Layout::new().text("text").integer("label"));
    let refused = Dataset::open_as(&path, other).unwrap_err().to_string();
    assert!(refused.ends_with(
        "the header names the columns text, stars, but they are declared as text, label: declare them with \
         its names, and rename with `.column(\"stars\").as_(\"label\")`"
    ));
    let declared = below(Delimited::csv(), Layout::new().text("text").integer("stars"));
    let table = Dataset::open_as(&path, declared).unwrap().column("stars").as_("label").unwrap();
    assert_eq!(table.integers("label").unwrap(), [1]);
}

#[test]
fn carriage_returns_bytes_and_sentences_are_mended_as_advised() {
    // "end lines with LF or CRLF"
    for end in ["\n", "\r\n"] {
        let folder = files(&[("a.csv", format!("text,label{end}fine,1{end}").as_bytes())]);
        assert_eq!(Dataset::open(folder.path().join("a.csv")).unwrap().rows(), 1);
    }
    // "save it as UTF-8, for example with `iconv -f UTF-16 -t UTF-8`"
    let wide: Vec<u8> = "\u{feff}text,label\né,1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(refusal("a.csv", &wide).ends_with("`iconv -f UTF-16 -t UTF-8`"));
    let folder = files(&[("wide.csv", &wide)]);
    let converted = std::process::Command::new("iconv")
        .args(["-f", "UTF-16", "-t", "UTF-8"])
        .arg(folder.path().join("wide.csv"))
        .output();
    match converted {
        Ok(converted) => {
            std::fs::write(folder.path().join("a.csv"), converted.stdout).unwrap();
            let table = Dataset::open(folder.path().join("a.csv")).unwrap();
            assert_eq!(table.texts("text").unwrap(), ["é"]);
        }
        Err(_) => crate::skipped("no iconv"),
    }
    // "declare them", of a `.txt` of CoNLL columns.
    let folder = files(&[("a.conll", b"EU B-ORG\n\nrejects O\n")]);
    assert_eq!(Dataset::open_as(folder.path().join("a.conll"), Conll::new()).unwrap().rows(), 2);
}

#[test]
fn no_advice_of_a_layout_is_left_that_takes_the_header_for_a_row() {
    let folder = files(&[("a.csv", b"0,1\na,b\n")]);
    let path = folder.path().join("a.csv");
    assert_eq!(
        Dataset::open_as(&path, two()).unwrap().rows(),
        2,
        "the layout alone is for files without a header"
    );
    assert_eq!(Dataset::open_as(&path, below(Delimited::csv(), two())).unwrap().rows(), 1);
}
