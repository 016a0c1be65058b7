//! The dtypes that a column may have, and which pad values fit them.

use syn::spanned::Spanned;
use syn::{Expr, ExprLit, ExprUnary, Lit, UnOp};

/// A dtype, by the name of the Rust type where there is one.
pub(crate) struct Dtype {
    /// What the user writes.
    pub(crate) name: &'static str,
    /// The variant of `tch::Kind`.
    pub(crate) kind: &'static str,
    /// The least and the greatest value that a pad may have.
    range: (f64, f64),
    /// Whether a pad is a whole number.
    whole: bool,
}

impl Dtype {
    const fn of(name: &'static str, kind: &'static str, range: (f64, f64), whole: bool) -> Dtype {
        Dtype { name, kind, range, whole }
    }
}

/// A pad is stored as an `f64`, which represents every whole number up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// All dtypes.
pub(crate) const ALL: [Dtype; 10] = [
    Dtype::of("i64", "Int64", (-EXACT, EXACT), true),
    Dtype::of("i32", "Int", (i32::MIN as f64, i32::MAX as f64), true),
    Dtype::of("i16", "Int16", (i16::MIN as f64, i16::MAX as f64), true),
    Dtype::of("i8", "Int8", (i8::MIN as f64, i8::MAX as f64), true),
    Dtype::of("u8", "Uint8", (0.0, u8::MAX as f64), true),
    Dtype::of("f64", "Double", (f64::MIN, f64::MAX), false),
    Dtype::of("f32", "Float", (f32::MIN as f64, f32::MAX as f64), false),
    Dtype::of("f16", "Half", (-65_504.0, 65_504.0), false),
    // The range of an f32, with 8 bits of precision: the greatest is (2 - 2^-7) * 2^127.
    Dtype::of("bf16", "BFloat16", (-BF16_MAX, BF16_MAX), false),
    Dtype::of("bool", "Bool", (0.0, 1.0), true),
];

const BF16_MAX: f64 = f32::from_bits(0x7f7f_0000) as f64;

/// The names of all dtypes.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|dtype| dtype.name).collect()
}

impl Dtype {
    /// The pad value of this literal.
    ///
    /// # Errors
    /// If it is not a literal, or the dtype cannot hold the value.
    pub(crate) fn pad(&self, value: &Expr) -> syn::Result<f64> {
        let number = number(value)?;
        let (least, greatest) = self.range;
        if self.whole && number.fract() != 0.0 {
            return Err(syn::Error::new_spanned(
                value,
                format!("a column of `{}` cannot be padded with a fraction", self.name),
            ));
        }
        if !(least..=greatest).contains(&number) {
            return Err(syn::Error::new_spanned(
                value,
                format!("a pad of a column of `{}` must lie between {least} and {greatest}", self.name),
            ));
        }
        Ok(number)
    }
}

fn number(value: &Expr) -> syn::Result<f64> {
    match value {
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => number(expr).map(|number| -number),
        Expr::Lit(ExprLit { lit: Lit::Int(literal), .. }) => literal.base10_parse(),
        Expr::Lit(ExprLit { lit: Lit::Float(literal), .. }) => literal.base10_parse(),
        Expr::Lit(ExprLit { lit: Lit::Bool(literal), .. }) => Ok(f64::from(u8::from(literal.value))),
        _ => Err(syn::Error::new(value.span(), "a pad is a number: `pad = 0`")),
    }
}
