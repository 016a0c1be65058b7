//! What a person says of a classifier's task, the same for every architecture: the names of its classes, what its
//! labels are, and how its own loss weighs and smooths them.

/// Writes the methods by which a model with classes is told of its task. The model has the fields `config`,
/// `problem`, `learned_names` and `cross_entropy`; its parameter has `PROBLEM`, and `$what` says what its head is for.
macro_rules! told_of_its_task {
    ($model:ident, $head:ident: $bound:path, $what:expr) => {
        impl<$head: $bound> $model<$head> {
            /// The same model with these names for its classes, in the order of their numbers. A saved model
            /// carries them, `TextClassifier` predicts them, and training compares them with those of the teacher
            /// and of the data.
            ///
            /// ```no_run
            /// use brew_core::prelude::*;
            ///
            /// # fn main() -> Result<()> {
            /// let student = BertForSequenceClassification::from_encoder("models/encoder", 2, 7, Device::Cpu)?
            ///     .classes(["negative", "positive"])?;
            /// # Ok(())
            /// # }
            /// ```
            ///
            /// # Errors
            /// Another number of names than classes, an empty name, one that is there twice, and names that the head
            /// has already, in another order: the weights would stay, and each class answer to another's name.
            pub fn classes(
                mut self,
                names: impl IntoIterator<Item = impl Into<String>>,
            ) -> $crate::error::Result<Self> {
                let names = $crate::model::class_order::given_names(names, self.config.classes())?;
                $crate::model::class_order::not_reordered($crate::model::Model::class_names(&self), &names)?;
                self.config.name_classes(names);
                self.learned_names = std::sync::OnceLock::new();
                Ok(self)
            }

            /// The same model with this problem type: what its labels are, which loss it has, and how its
            /// logits are read.
            ///
            /// # Errors
            /// For [`ProblemType::SingleLabelClassification`](crate::model::ProblemType) with one class, as in
            /// transformers, and for a head whose labels are always of another type.
            pub fn problem(mut self, problem: $crate::model::ProblemType) -> $crate::error::Result<Self> {
                if let Some(always) = $head::PROBLEM.filter(|always| *always != problem) {
                    return Err($crate::error::Error::invalid(format!(
                        "a head for {} is always {always}, not {problem}",
                        $what
                    )));
                }
                problem.check_classes(self.config.classes())?;
                self.config.problem_type = Some(problem);
                self.problem = $crate::model::problem::HeadProblem::new(Some(problem));
                Ok(self)
            }

            /// The same model whose loss weighs each class by its number here, as
            /// `torch.nn.CrossEntropyLoss(weight=…)` does: the loss is the sum of the weighted losses over the
            /// sum of the weights of the labels, over all accumulated batches. For one class per row; a setting
            /// of training, which is not saved.
            ///
            /// # Errors
            /// Another number of weights than classes; weights that are below 0, not finite, or all 0.
            pub fn class_weights(
                self,
                weights: impl IntoIterator<Item = f64>,
            ) -> $crate::error::Result<Self> {
                let (classes, device) = (self.config.classes(), self.named_parameters().device());
                let cross_entropy = self.cross_entropy.with_weights(weights, classes, device)?;
                Ok($model { cross_entropy, ..self })
            }

            /// The same model whose loss smooths its labels by this much in [0, 1], as
            /// `torch.nn.CrossEntropyLoss(label_smoothing=…)` does: each label is mixed with all classes in equal
            /// parts. For one class per row; a setting of training, which is not saved.
            ///
            /// # Errors
            /// A number outside [0, 1].
            pub fn label_smoothing(self, smoothing: f64) -> $crate::error::Result<Self> {
                let cross_entropy = self.cross_entropy.with_smoothing(smoothing)?;
                Ok($model { cross_entropy, ..self })
            }
        }
    };
}

pub(super) use told_of_its_task;
