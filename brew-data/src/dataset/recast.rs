//! Renames a column, casts it, or turns it into class numbers.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema};

use super::Dataset;
use super::cast::Casting;
use super::classes::Classes;
use super::features::{of_classes, of_multi_hot, renamed, with_feature};
use crate::error::{Error, Result};

/// A column to be renamed or cast; see [`Dataset::column`].
#[derive(Debug, Clone)]
#[must_use = "nothing is changed before `as_`"]
pub struct Recast<'a> {
    dataset: &'a Dataset,
    column: String,
    to: To,
}

#[derive(Debug, Clone)]
enum To {
    /// Unchanged.
    Same,
    Integers,
    Floats,
    Classes(Classes),
    MultiHot(Classes),
}

impl Dataset {
    /// Selects a column to rename, cast, or turn into class numbers; [`Recast::as_`] returns the new table.
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

    /// Keeps only these columns, in this order. Nothing is copied.
    ///
    /// # Errors
    /// A column that is missing, unreadable, or named twice.
    pub fn only(&self, columns: &[&str]) -> Result<Self> {
        let mut kept = (Vec::new(), Vec::new());
        for (index, name) in columns.iter().enumerate() {
            if columns[..index].contains(name) {
                return Err(Error::format(self.path(), format!("the column `{name}` is listed twice")));
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
    /// Casts to whole numbers (int64): from text, from floats without a fraction, or from bools. Lists of
    /// text or of whole numbers become lists. Whole numbers keep the names of their classes.
    pub fn to_integers(self) -> Self {
        Recast { to: To::Integers, ..self }
    }

    /// Casts to numbers (float64): from text, or from whole numbers that float64 represents exactly. Lists
    /// become lists.
    pub fn to_floats(self) -> Self {
        Recast { to: To::Floats, ..self }
    }

    /// Turns text into class numbers from 0 (int64), and lists of text into lists of class numbers. Whole
    /// numbers are kept and get names; each must be smaller than the number of names. Where the column names
    /// its classes already, as those of Python's `datasets` do, the numbers become those of the same names in
    /// this order, without regard to case; other words for all of them are new names for the same numbers.
    /// [`Dataset::class_names`] returns the names.
    pub fn to_classes(self, classes: impl Into<Classes>) -> Self {
        Recast { to: To::Classes(classes.into()), ..self }
    }

    /// Turns lists of classes, given as text or as numbers, into multi-hot lists: one 0 or 1 per class (a
    /// fixed-length list of uint8, which a batch takes as any dtype). A class listed twice in a row counts
    /// once. Numbers whose column names their classes are taken by name, as by
    /// [`to_classes`](Self::to_classes). A column that is multi-hot already, with a 0 or 1 per class in every list, is
    /// refused.
    pub fn to_multi_hot(self, classes: impl Into<Classes>) -> Self {
        Recast { to: To::MultiHot(classes.into()), ..self }
    }

    /// Returns the table with the column in its place under this name, which may be the old one.
    ///
    /// # Errors
    /// The column is missing, or another column has this name; the column's type cannot be cast; by row: a
    /// missing value, a value that cannot be cast, or one that is not among the classes.
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
            To::Integers => {
                let values = recast.integers()?;
                let feature = recast.feature_of_whole_numbers(values.data_type().is_nested())?;
                (values, feature)
            }
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
