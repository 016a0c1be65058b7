//! Casts the values of a column to numbers or to class numbers.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::builder::{FixedSizeListBuilder, ListBuilder, PrimitiveBuilder, UInt8Builder};
use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Float64Type, Int64Type};
use serde_json::Value;

use super::Dataset;
use super::class_numbers::{number, places, within};
use super::classes::Classes;
use super::features::{is_multi_hot, of_classes, of_multi_hot};
use crate::error::{Error, Result};
use crate::parse::columns::is_json;

/// The values of the rows in use.
enum ColumnValues {
    Texts(Vec<String>),
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    TextLists(Vec<Vec<String>>),
    IntegerLists(Vec<Vec<i64>>),
}

/// A column to be cast.
pub(super) struct Casting<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) column: &'a str,
}

impl Casting<'_> {
    fn values(&self, needed: &str) -> Result<ColumnValues> {
        let (dataset, column) = (self.dataset, self.column);
        let field = dataset.field(column)?;
        let (depth, data_type) = innermost(field.data_type());
        let is_text =
            !is_json(field) && matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let is_whole = is_whole(data_type);
        match depth {
            0 if is_text => dataset.texts(column).map(ColumnValues::Texts),
            0 if is_whole => dataset.integers(column).map(ColumnValues::Integers),
            0 if data_type.is_floating() => dataset.floats(column).map(ColumnValues::Floats),
            1 if is_text => dataset.text_lists(column).map(ColumnValues::TextLists),
            1 if is_whole => dataset.integer_lists(column).map(ColumnValues::IntegerLists),
            _ => Err(dataset.wrong_type(field, needed)),
        }
    }

    /// Applies `of` to each value; errors name the row.
    fn each<T, M>(&self, values: &[T], of: impl Fn(&T) -> Result<M, String>) -> Result<Vec<M>> {
        let made = values.iter().enumerate();
        made.map(|(row, value)| {
            of(value).map_err(|message| self.dataset.bad_value(row, self.column, message))
        })
        .collect()
    }

    fn lists<T, P: ArrowPrimitiveType>(
        &self,
        lists: &[Vec<T>],
        of: impl Fn(&T) -> Result<P::Native, String>,
    ) -> Result<ArrayRef> {
        let mut builder = ListBuilder::new(PrimitiveBuilder::<P>::new());
        for list in self.each(lists, |list| list.iter().map(&of).collect::<Result<Vec<_>, _>>())? {
            builder.values().append_slice(&list);
            builder.append(true);
        }
        Ok(Arc::new(builder.finish()))
    }

    pub(super) fn integers(&self) -> Result<ArrayRef> {
        let of_text = |text: &String| {
            text.trim().parse().map_err(|_| format!("`{text}` is not a whole number that int64 holds"))
        };
        let of_float = |&value: &f64| {
            // 2^63 is the smallest float that does not fit, and it is exact.
            let fits = value.fract() == 0.0
                && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value);
            if fits {
                Ok(value as i64)
            } else {
                Err(format!("{value} is not a whole number that int64 holds"))
            }
        };
        match self.values("whole numbers")? {
            ColumnValues::Texts(texts) => array::<Int64Type>(self.each(&texts, of_text)?),
            ColumnValues::Integers(values) => array::<Int64Type>(values),
            ColumnValues::Floats(values) => array::<Int64Type>(self.each(&values, of_float)?),
            ColumnValues::TextLists(lists) => self.lists::<_, Int64Type>(&lists, of_text),
            ColumnValues::IntegerLists(lists) => self.lists::<_, Int64Type>(&lists, |&value| Ok(value)),
        }
    }

    pub(super) fn floats(&self) -> Result<ArrayRef> {
        let of_text = |text: &String| {
            let number = crate::parse::infer::finite(text.trim());
            number.ok_or_else(|| format!("`{text}` is not a finite number"))
        };
        let of_integer = |&value: &i64| {
            let exact = value.unsigned_abs() <= 1 << 53;
            if exact { Ok(value as f64) } else { Err(format!("{value} is not exact in float64")) }
        };
        match self.values("numbers")? {
            ColumnValues::Texts(texts) => array::<Float64Type>(self.each(&texts, of_text)?),
            ColumnValues::Integers(values) => array::<Float64Type>(self.each(&values, of_integer)?),
            ColumnValues::Floats(values) => array::<Float64Type>(values),
            ColumnValues::TextLists(lists) => self.lists::<_, Float64Type>(&lists, of_text),
            ColumnValues::IntegerLists(lists) => self.lists::<_, Float64Type>(&lists, of_integer),
        }
    }

    pub(super) fn classes(&self, classes: Classes) -> Result<(ArrayRef, Vec<String>)> {
        let values = self.values("classes, which are text or whole numbers")?;
        let names = self.names(classes, &values)?;
        let values = self.numbered_by(&names, values)?;
        let made = match &values {
            ColumnValues::Texts(texts) => array::<Int64Type>(self.each(texts, |text| number(&names, text))?)?,
            ColumnValues::Integers(numbers) => {
                array::<Int64Type>(self.each(numbers, |&of| within(&names, of))?)?
            }
            ColumnValues::TextLists(lists) => {
                self.lists::<_, Int64Type>(lists, |text| number(&names, text))?
            }
            ColumnValues::IntegerLists(lists) => {
                self.lists::<_, Int64Type>(lists, |&of| within(&names, of))?
            }
            ColumnValues::Floats(_) => {
                let field = self.dataset.field(self.column)?;
                return Err(self.dataset.wrong_type(field, "classes, which are text or whole numbers"));
            }
        };
        Ok((made, names))
    }

    pub(super) fn multi_hot(&self, classes: Classes) -> Result<(ArrayRef, Vec<String>)> {
        let needed = "lists of classes, which are text or whole numbers";
        let values = self.values(needed)?;
        let names = self.names(classes, &values)?;
        self.refuse_multi_hot(&names, &values)?;
        let values = self.numbered_by(&names, values)?;
        let rows = match &values {
            ColumnValues::TextLists(lists) => self.each(lists, |list| {
                list.iter().map(|text| number(&names, text)).collect::<Result<Vec<_>, _>>()
            })?,
            ColumnValues::IntegerLists(lists) => self.each(lists, |list| {
                list.iter().map(|&of| within(&names, of)).collect::<Result<Vec<_>, _>>()
            })?,
            _ => return Err(self.dataset.wrong_type(self.dataset.field(self.column)?, needed)),
        };
        let length = i32::try_from(names.len())
            .map_err(|_| Error::Setting(format!("{} classes do not fit int32", names.len())))?;
        let mut builder = FixedSizeListBuilder::new(UInt8Builder::new(), length);
        for row in rows {
            let mut hot = vec![0; names.len()];
            row.into_iter().for_each(|class| hot[class as usize] = 1);
            builder.values().append_slice(&hot);
            builder.append(true);
        }
        Ok((Arc::new(builder.finish()), names))
    }

    /// Refuses a column that is multi-hot already: its 0s and 1s would be taken for the classes 0 and 1.
    fn refuse_multi_hot(&self, names: &[String], values: &ColumnValues) -> Result<()> {
        let ColumnValues::IntegerLists(lists) = values else { return Ok(()) };
        let is_hot = |list: &Vec<i64>| list.len() == names.len() && list.iter().all(|of| matches!(of, 0 | 1));
        let looks_so = names.len() > 1 && !lists.is_empty() && lists.iter().all(is_hot);
        if !looks_so && !is_multi_hot(self.dataset.schema().metadata(), self.column) {
            return Ok(());
        }
        let message = format!(
            "column `{}` is multi-hot already, a 0 or 1 for each class in every list: read it as it is, without `to_multi_hot`",
            self.column
        );
        Err(Error::format(self.dataset.path(), message))
    }

    /// The description of a column of whole numbers that names their classes, for the same numbers in int64.
    pub(super) fn feature_of_whole_numbers(&self, in_lists: bool) -> Result<Option<Value>> {
        let (_, data_type) = innermost(self.dataset.field(self.column)?.data_type());
        let names = self.dataset.class_names(self.column)?.filter(|_| is_whole(data_type));
        Ok(names.map(|names| match is_multi_hot(self.dataset.schema().metadata(), self.column) {
            true => of_multi_hot(&names),
            false => of_classes(&names, in_lists),
        }))
    }

    /// Whole numbers whose column names their classes, as the numbers of the same names among these: the old
    /// numbers would stand for other classes where the order differs. Where no name is among these, they are
    /// other words for the same classes.
    fn numbered_by(&self, names: &[String], values: ColumnValues) -> Result<ColumnValues> {
        let Some(own) = self.dataset.class_names(self.column)? else { return Ok(values) };
        let places = places(&own, names);
        if places.iter().all(Option::is_none) {
            return Ok(values);
        }
        let place = |&of: &i64| {
            let of = within(&own, of)?;
            let place = places.get(of as usize).copied().flatten();
            place.map_or_else(|| number(names, &own[of as usize]), |place| Ok(place as i64))
        };
        Ok(match values {
            ColumnValues::Integers(values) => ColumnValues::Integers(self.each(&values, place)?),
            ColumnValues::IntegerLists(lists) => {
                ColumnValues::IntegerLists(self.each(&lists, |list| list.iter().map(place).collect())?)
            }
            other => other,
        })
    }

    /// The names in order; rejects an empty list and duplicates.
    fn names(&self, classes: Classes, values: &ColumnValues) -> Result<Vec<String>> {
        let refused = |message: String| Err(Error::Setting(format!("column `{}`: {message}", self.column)));
        let sorted = |texts: &mut dyn Iterator<Item = &String>| {
            texts.collect::<BTreeSet<_>>().into_iter().cloned().collect()
        };
        let names: Vec<String> = match (classes.0, values) {
            (Some(names), _) => names,
            (None, ColumnValues::Texts(texts)) => sorted(&mut texts.iter()),
            (None, ColumnValues::TextLists(lists)) => sorted(&mut lists.iter().flatten()),
            (None, _) => {
                return refused(
                    "whole numbers already have an order: list the class names in that order".to_owned(),
                );
            }
        };
        if names.is_empty() {
            return refused("there are no classes".to_owned());
        }
        let mut known = BTreeSet::new();
        match names.iter().find(|name| !known.insert(*name)) {
            Some(name) => refused(format!("the class `{name}` is given twice")),
            None => Ok(names),
        }
    }
}

/// How deep values are in lists, and their type without dictionaries.
fn innermost(mut data_type: &DataType) -> (usize, &DataType) {
    let mut depth = 0;
    loop {
        data_type = match data_type {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                depth += 1;
                item.data_type()
            }
            DataType::Dictionary(_, values) => values,
            _ => return (depth, data_type),
        };
    }
}

fn is_whole(data_type: &DataType) -> bool {
    data_type.is_integer() || *data_type == DataType::Boolean
}

fn array<P: ArrowPrimitiveType>(values: Vec<P::Native>) -> Result<ArrayRef> {
    Ok(Arc::new(PrimitiveArray::<P>::from_iter_values(values)))
}
