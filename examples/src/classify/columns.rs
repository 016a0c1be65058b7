//! Which columns of a table hold the texts and their labels.

/// The columns that hold texts and labels.
#[derive(Debug, Clone, clap::Args)]
pub struct Columns {
    /// The column of texts.
    #[arg(long, value_name = "COLUMN")]
    pub text: String,
    /// The column of second texts, for pairs such as premise and hypothesis.
    #[arg(long, value_name = "COLUMN")]
    pub pair: Option<String>,
    /// The column of labels: words or whole numbers, one class per row; lists of them, any number of
    /// classes per row; or numbers with a fraction, for a regression.
    #[arg(long, value_name = "COLUMN")]
    pub label: String,
    /// What separates the labels of a row in one text, such as `|`: each row then has any number of
    /// classes.
    #[arg(long, value_name = "TEXT", conflicts_with = "number")]
    pub separator: Option<String>,
    /// Takes the labels as numbers to predict, also if all of them are whole.
    #[arg(long)]
    pub number: bool,
}

impl Columns {
    /// The columns of texts.
    pub(super) fn of_texts(&self) -> impl Iterator<Item = &str> {
        [Some(&self.text), self.pair.as_ref()].into_iter().flatten().map(String::as_str)
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<&str> {
        self.of_texts().chain([self.label.as_str()]).collect()
    }
}
