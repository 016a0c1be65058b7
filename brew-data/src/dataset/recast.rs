//! A column under another name, as another type, or as numbers of classes.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};

use super::Dataset;
use super::cast::Casting;
use super::classes::Classes;
use super::features::{of_classes, of_multi_hot, renamed, with_feature};
use crate::error::{Error, Result};

/// A column on its way to another name or type: see [`Dataset::column`].
#[derive(Debug, Clone)]
#[must_use = "nothing is changed before `as_`"]
pub struct Recast<'a> {
    dataset: &'a Dataset,
    column: String,
    to: To,
}

#[derive(Debug, Clone)]
enum To {
    /// What it is.
    Same,
    Integers,
    Floats,
    Classes(Classes),
    MultiHot(Classes),
}

impl Dataset {
    /// A column, to be renamed, cast, or made numbers of classes; [`Recast::as_`] gives the table.
    ///
    /// ```
    /// use brew_data::{Classes, Dataset};
    ///
    /// # fn main() -> brew_data::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("reviews.csv");
    /// # std::fs::write(&path, "text,sentiment,stars\nfine,positive,4\nbad,negative,1.5\n").unwrap();
    /// let reviews = Dataset::open(&path)?;
    /// let reviews = reviews.column("sentiment").to_classes(["negative", "positive"]).as_("labels")?;
    /// let reviews = reviews.column("stars").as_("rating")?;
    /// assert_eq!(reviews.integers("labels")?, [1, 0]);
    /// assert_eq!(reviews.class_names("labels")?.unwrap(), ["negative", "positive"]);
    /// assert_eq!(reviews.columns(), ["text", "labels", "rating"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn column(&self, name: &str) -> Recast<'_> {
        Recast { dataset: self, column: name.to_owned(), to: To::Same }
    }

    /// The same rows with these columns alone, in this order. Nothing is copied.
    ///
    /// # Errors
    /// No such column, one that is refused, or one named twice.
    pub fn only(&self, columns: &[&str]) -> Result<Self> {
        let mut kept = (Vec::new(), Vec::new());
        for (index, name) in columns.iter().enumerate() {
            if columns[..index].contains(name) {
                return Err(Error::format(self.path(), format!("the column `{name}` is asked for twice")));
            }
            let place = self.index(name)?;
            kept.0.push(self.schema().fields()[place].clone());
            kept.1.push(self.columns[place].clone());
        }
        let schema = Schema::new_with_metadata(kept.0, self.schema().metadata().clone());
        Ok(Dataset { schema: Arc::new(schema), columns: kept.1.into(), ..self.clone() })
    }
}

impl Recast<'_> {
    /// As whole numbers (int64): of text that is one each, of floats without a fraction, of truth values;
    /// lists of text or of whole numbers become lists.
    pub fn to_integers(self) -> Self {
        Recast { to: To::Integers, ..self }
    }

    /// As numbers (float64): of text that is one each, or of whole numbers that float64 holds; lists of these
    /// become lists.
    pub fn to_floats(self) -> Self {
        Recast { to: To::Floats, ..self }
    }

    /// Text as the numbers of its classes, from 0 (int64), and lists of text as lists of them. Whole numbers
    /// stay, and get names: each must be less than the number of these. [`Dataset::class_names`] gives the
    /// names back.
    pub fn to_classes(self, classes: impl Into<Classes>) -> Self {
        Recast { to: To::Classes(classes.into()), ..self }
    }

    /// Lists of classes, by text or by number, as one 0 or 1 for each class (a list of uint8 of one length,
    /// which a batch takes as any dtype). A class that a row names twice is there once.
    pub fn to_multi_hot(self, classes: impl Into<Classes>) -> Self {
        Recast { to: To::MultiHot(classes.into()), ..self }
    }

    /// The table with the column under this name, which may be its own, in its place.
    ///
    /// # Errors
    /// No such column, or another of this name; a column of another type; by row: a missing value, a text or
    /// number that is not of the type, or one that is not among the classes.
    pub fn as_(self, name: &str) -> Result<Dataset> {
        let Recast { dataset, column, to } = self;
        let field = dataset.field(&column)?.clone();
        if name != column && dataset.columns().contains(&name) {
            let message =
                format!("there is a column `{name}` already: rename it first, or leave it out with `.only`");
            return Err(Error::format(dataset.path(), message));
        }
        let recast = Casting { dataset, column: &column };
        let place = dataset.index(&column)?;
        let (values, feature): (ArrayRef, _) = match to {
            To::Same => {
                let mut fields = dataset.schema().fields().to_vec();
                fields[place] = Arc::new(field.as_ref().clone().with_name(name));
                let metadata = match name == column {
                    true => dataset.schema().metadata().clone(),
                    false => renamed(dataset.schema().metadata(), &column, name),
                };
                let schema = Schema::new_with_metadata(fields, metadata);
                return Ok(Dataset { schema: Arc::new(schema), ..dataset.clone() });
            }
            To::Integers => (recast.integers()?, None),
            To::Floats => (recast.floats()?, None),
            To::Classes(classes) => {
                let (values, names) = recast.classes(classes)?;
                let feature = of_classes(&names, values.data_type().is_nested());
                (values, Some(feature))
            }
            To::MultiHot(classes) => {
                let (values, names) = recast.multi_hot(classes)?;
                (values, Some(of_multi_hot(&names)))
            }
        };
        let made = Field::new(name, values.data_type().clone(), false);
        let made = dataset.with_field(Some(place), made, values)?;
        let Some(feature) = feature else { return Ok(made) };
        let metadata = with_feature(made.schema().metadata().clone(), name, feature);
        let schema = Schema::new_with_metadata(made.schema().fields().clone(), metadata);
        Ok(Dataset { schema: Arc::new(schema), ..made })
    }
}
