impl Classifier {
    fn forward(&self, ids: &Tensor, settings: &Pass, _: Option<&Tensor>) -> Prediction {
        todo!()
    }
}
#[automatically_derived]
impl ::brew_core::model::Forward<(Tensor, Option<Tensor>)> for Classifier {
    type Output = Prediction;
    fn run(
        &self,
        batch: &(Tensor, Option<Tensor>),
        pass: &::brew_core::pass::Pass,
    ) -> ::brew_core::Result<Prediction> {
        ::core::result::Result::Ok(
            Self::forward(
                self,
                ::brew_core::__private::argument(&batch.0),
                pass,
                ::brew_core::__private::argument(&batch.1),
            ),
        )
    }
    fn reads(&self) -> ::core::option::Option<::std::vec::Vec<::std::string::String>> {
        ::core::option::Option::Some(::std::vec!["0".to_owned(), "1".to_owned()])
    }
}
