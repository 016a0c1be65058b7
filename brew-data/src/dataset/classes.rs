//! The names of classes, in the order of their numbers.

/// The names of classes in the order of their numbers: given, or the column's own, sorted.
///
/// ```
/// use brew_data::Classes;
///
/// let given: Classes = ["negative", "positive"].into();
/// let sorted = Classes::sorted();
/// # let _ = (given, sorted);
/// ```
#[derive(Debug, Clone)]
pub struct Classes(pub(super) Option<Vec<String>>);

impl Classes {
    /// The distinct texts of the rows in use, in the order of Python's `sorted`.
    ///
    /// All data sets of a task must use one order: take the training set's from
    /// `train.class_names("labels")`.
    pub fn sorted() -> Self {
        Classes(None)
    }
}

impl<const N: usize> From<[&str; N]> for Classes {
    fn from(names: [&str; N]) -> Self {
        Classes(Some(names.map(str::to_owned).to_vec()))
    }
}

impl From<Vec<String>> for Classes {
    fn from(names: Vec<String>) -> Self {
        Classes(Some(names))
    }
}
