#[automatically_derived]
impl ::brew_core::batch::Batch for Review {
    fn tensors(&self) -> ::std::vec::Vec<(&'static str, &::brew_core::tch::Tensor)> {
        ::brew_core::__private::present([
            ("ids", ::brew_core::batch::Field::tensor(&self.ids)),
            ("type", ::brew_core::batch::Field::tensor(&self.r#type)),
        ])
    }
    fn map(
        &self,
        change: &mut dyn ::core::ops::FnMut(
            &'static str,
            &::brew_core::tch::Tensor,
        ) -> ::brew_core::Result<::brew_core::tch::Tensor>,
    ) -> ::brew_core::Result<Self> {
        ::core::result::Result::Ok(Self {
            ids: ::brew_core::batch::Field::map(
                &self.ids,
                &mut |tensor| change("ids", tensor),
            )?,
            r#type: ::brew_core::batch::Field::map(
                &self.r#type,
                &mut |tensor| change("type", tensor),
            )?,
        })
    }
    fn pad(column: &str) -> ::core::option::Option<f64> {
        ::brew_core::__private::pad_of::<Self>(column)
    }
}
#[automatically_derived]
impl ::brew_core::batch::FromColumns for Review {
    const COLUMNS: &'static [::brew_core::batch::Column] = &[
        ::brew_core::batch::Column {
            name: "ids",
            kind: ::brew_core::tch::Kind::Int64,
            pad: ::core::option::Option::Some(-100f64),
            optional: false,
        },
        ::brew_core::batch::Column {
            name: "type",
            kind: ::brew_core::tch::Kind::BFloat16,
            pad: ::core::option::Option::None,
            optional: true,
        },
    ];
    fn from_columns(
        columns: &mut ::brew_core::batch::Columns,
    ) -> ::brew_core::Result<Self> {
        ::core::result::Result::Ok(Self {
            ids: columns.take("ids")?,
            r#type: columns.take_optional("type")?,
        })
    }
}
