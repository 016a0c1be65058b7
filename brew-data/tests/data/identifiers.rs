//! Identifiers of digits in separated text keep what a number would lose.

use brew_core::prelude::*;
use brew_data::{Dataset, Delimited, Layout};

use crate::formats::{files, message};

#[derive(Batch)]
struct Labelled {
    #[column(i64)]
    labels: Tensor, // (batch,)
}

fn opened(content: &str) -> Dataset {
    let folder = files(&[("a.csv", content.as_bytes())]);
    Dataset::open(folder.path().join("a.csv")).unwrap()
}

/// pandas 3.0 and pyarrow 26 read the first as 1234 and 2.
#[test]
fn a_leading_zero_or_plus_makes_a_column_text() {
    for ids in [["01234", "00002"], ["1", "02"], ["+49", "12"], ["-01", "2"], ["7", "00.5"], ["1.5", "+2"]] {
        let table = opened(&format!("id,x\n{},1\n{},2\n", ids[0], ids[1]));
        assert_eq!(table.texts("id").unwrap(), ids);
        assert_eq!(table.integers("x").unwrap(), [1, 2]);
    }
    // A zero alone, and one before a point, are numbers.
    let table = opened("id,x\n0,0.5\n-0,-0.25\n");
    assert_eq!((table.integers("id").unwrap(), table.floats("x").unwrap()), (vec![0, 0], vec![0.5, -0.25]));
    // Far down too: it is no mistake among numbers.
    let far: String = (0..1500).map(|row| format!("{}\n", row + 1)).collect();
    assert_eq!(opened(&format!("id\n{far}0017\n")).texts("id").unwrap()[1500], "0017");
}

#[test]
fn an_identifier_that_is_asked_for_as_a_number_says_why_it_is_text_and_how_it_becomes_one() {
    let folder = files(&[("a.csv", b"labels,x\n1,a\n01,b\n")]);
    let table = Dataset::open(folder.path().join("a.csv")).unwrap();
    let told = |call: &str, needed: &str| {
        format!(
            "a.csv, column `labels`: its type is Utf8, which cannot be read as {needed}: row 1 is `01`, and \
             numbers have no leading zero and no `+`; `.column(\"labels\").{call}().as_(\"labels\")` makes \
             numbers of text"
        )
    };
    let integers = message(&folder, table.integers("labels").map(|_| table.clone()));
    assert_eq!(integers, told("to_integers", "integers"));
    let floats = message(&folder, table.floats("labels").map(|_| table.clone()));
    assert_eq!(floats, told("to_floats", "numbers"));
    let batch = table.batches::<Labelled>(2).check().map(|()| table.clone());
    assert_eq!(message(&folder, batch), told("to_integers", "a tensor of dtype Int64"));
    let numbers = table.column("labels").to_integers().as_("labels").unwrap();
    assert_eq!(numbers.integers("labels").unwrap(), [1, 1]);
    let numbers = table.column("labels").to_floats().as_("labels").unwrap();
    assert_eq!(numbers.floats("labels").unwrap(), [1.0, 1.0]);
    // A layout says what the column is.
    let layout = Delimited::csv().layout_below_header(Layout::new().integer("labels").text("x"));
    let declared = Dataset::open_as(folder.path().join("a.csv"), layout).unwrap();
    assert_eq!(declared.integers("labels").unwrap(), [1, 1]);
}
