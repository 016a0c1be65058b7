//! The task settings of a classifier, the same for every architecture: class names, problem type, class
//! weights and label smoothing.

/// Generates the methods that set a classifier's task. The model must have the fields `config`, `problem`,
/// `learned_names` and `cross_entropy`; its type parameter has `PROBLEM`, and `$what` says what its head is
/// for.
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
            /// A number of names that differs from the number of classes, empty names, duplicates, and the
            /// head's own names in a different order: the weights would not move, so each class would get
            /// another class's name.
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

            /// The same model with this problem type, which decides what its labels are, which loss it has,
            /// and how its logits are read.
            ///
            /// # Errors
            /// [`ProblemType::SingleLabelClassification`](crate::model::ProblemType) with one class, as in
            /// transformers, and a head whose problem type is fixed to a different one.
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

            /// The same model with these class weights in its loss, as in
            /// `torch.nn.CrossEntropyLoss(weight=…)`: the loss is the sum of the weighted losses divided by
            /// the sum of the labels' weights, over all accumulated batches. For one class per row; a
            /// training setting that is not saved.
            ///
            /// # Errors
            /// A number of weights that differs from the number of classes; weights that are negative, not
            /// finite, or all 0.
            pub fn class_weights(
                self,
                weights: impl IntoIterator<Item = f64>,
            ) -> $crate::error::Result<Self> {
                let (classes, device) = (self.config.classes(), self.named_parameters().device());
                let cross_entropy = self.cross_entropy.with_weights(weights, classes, device)?;
                Ok($model { cross_entropy, ..self })
            }

            /// The same model with this label smoothing in its loss, in [0, 1], as in
            /// `torch.nn.CrossEntropyLoss(label_smoothing=…)`: each label is mixed with the uniform
            /// distribution over all classes. For one class per row; a training setting that is not saved.
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
