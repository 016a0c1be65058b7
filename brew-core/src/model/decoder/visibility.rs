//! Which tokens each token of a batch sees, and its position: both follow only from the mask.
//!
//! A mask numbers the documents of a row: 1, 2, 3 and so on, with 0 for padding. A token's position is the number of
//! tokens of its document before it, so a row means the same with padding on the left, on the right or in between, and
//! a document means the same alone and packed with others. A token sees itself and the tokens of its document before
//! it. Padding also sees itself, so that no row of scores is empty and nothing becomes NaN; no token sees padding.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, InStage, Result};
use crate::loss::has_documents;

/// Which tokens see which, and their positions.
#[derive(Debug)]
pub(crate) struct Visibility {
    /// `(batch, length)`, or `(1, length)` if it is the same for all rows.
    pub(super) positions: Tensor,
    /// True where a query sees a key, `(batch, 1, length, length)`; `None` if causal order
    /// is enough, because every row is one document with padding at its end.
    seen: Option<Tensor>,
    /// The same for each window.
    windows: Vec<(i64, Tensor)>,
    /// Whether no token is known to see any other.
    pub(super) alone: bool,
}

/// Arguments of [`Visibility::by`].
pub(crate) struct Asked<'a> {
    /// The maximum number of tokens in a document.
    pub(super) longest: i64,
    /// The windows of the layers.
    pub(super) windows: &'a [i64],
    /// Whether attention maps are kept, in which no position may attend to other padding.
    pub(super) maps: bool,
}

impl Visibility {
    /// Of a mask `(batch, length)` of document numbers: 0 for padding, and 1 everywhere else if rows are not packed.
    ///
    /// # Errors
    /// A document with more tokens than the model has positions.
    pub(crate) fn by(attention_mask: &Tensor, asked: &Asked<'_>) -> Result<Self> {
        let of_mask = || -> Result<Self> {
            let (_, length) = attention_mask.size2()?;
            let device = attention_mask.device();
            let tokens = attention_mask.f_ne(0)?;
            let places = Tensor::f_arange(length, (Kind::Int64, device))?;
            // On a GPU, reading these values would block: there, every row may be packed.
            let on_cpu = device == Device::Cpu;
            let packed = !on_cpu || has_documents(attention_mask)?;
            let ends_in_padding = !packed && length <= asked.longest && padded_at_the_end(&tokens)?;
            // A window of the text's length hides nothing.
            let windows: Vec<i64> = asked.windows.iter().copied().filter(|window| *window < length).collect();
            let needed = asked.maps || !ends_in_padding || !windows.is_empty();
            let (counts, seen) = match packed {
                true => of_documents(attention_mask, &tokens, &places)?,
                false => (
                    tokens.f_cumsum(1, Kind::Int64)?,
                    needed.then(|| seen_by_order(&tokens, &places)).transpose()?,
                ),
            };
            let most = if on_cpu || length > asked.longest { counts.f_max()?.f_int64_value(&[])? } else { 0 };
            if most > asked.longest {
                return Err(too_long(most, asked.longest));
            }
            let positions = if ends_in_padding {
                places.f_unsqueeze(0)?
            } else {
                counts.f_sub_scalar(1)?.f_clamp_min(0)?
            };
            let windows = windows.into_iter().filter_map(|window| Some((window, seen.as_ref()?))).map(
                |(window, seen)| {
                    let (query, key) = (positions.f_unsqueeze(2)?, positions.f_unsqueeze(1)?);
                    let near = key.f_gt_tensor(&query.f_sub_scalar(window)?)?.f_unsqueeze(1)?;
                    Ok((window, seen.f_logical_and(&near)?))
                },
            );
            let windows = windows.collect::<Result<_>>()?;
            Ok(Visibility {
                windows,
                positions,
                seen: seen.filter(|_| asked.maps || !ends_in_padding),
                alone: length == 1 || (on_cpu && most <= 1),
            })
        };
        of_mask().in_stage("attention_mask")
    }

    /// What the queries of a layer with this window see, `(batch, 1, length, length)`; `None` means causal order.
    pub(super) fn of(&self, window: Option<i64>) -> Option<&Tensor> {
        let near = self.windows.iter().find(|(length, _)| window == Some(*length));
        near.map(|(_, seen)| seen).or(self.seen.as_ref())
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        let windows = self.windows.iter().map(|(length, seen)| (*length, seen.shallow_clone()));
        Visibility {
            positions: self.positions.shallow_clone(),
            seen: self.seen.as_ref().map(Tensor::shallow_clone),
            windows: windows.collect(),
            alone: self.alone,
        }
    }
}

/// Which positions see which, `(batch, 1, length, length)`, without any window.
fn seen_by_order(tokens: &Tensor, places: &Tensor) -> Result<Tensor> {
    let others = up_to_each(places)?.f_logical_and(&tokens.f_unsqueeze(1)?)?;
    Ok(others.f_logical_or(&itself(places)?)?.f_unsqueeze(1)?)
}

/// The same where rows may be packed, and for each token the number of tokens of its document up to itself,
/// `(batch, length)`, 0 for padding. Documents may lie in any order, and may be interrupted.
fn of_documents(mask: &Tensor, tokens: &Tensor, places: &Tensor) -> Result<(Tensor, Option<Tensor>)> {
    let same = mask.f_unsqueeze(2)?.f_eq_tensor(&mask.f_unsqueeze(1)?)?;
    let same = same.f_logical_and(&tokens.f_unsqueeze(1)?)?.f_logical_and(&up_to_each(places)?)?;
    let counts = same.f_sum_dim_intlist(-1, false, Kind::Int64)?;
    Ok((counts, Some(same.f_logical_or(&itself(places)?)?.f_unsqueeze(1)?)))
}

/// The places up to each one, `(length, length)`.
fn up_to_each(places: &Tensor) -> Result<Tensor> {
    Ok(places.f_unsqueeze(0)?.f_le_tensor(&places.f_unsqueeze(1)?)?)
}

/// Each place itself, `(length, length)`.
fn itself(places: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_eye(places.size1()?, (Kind::Int64, places.device()))?.f_to_kind(Kind::Bool)?)
}

/// Whether padding comes last in every row.
fn padded_at_the_end(tokens: &Tensor) -> Result<bool> {
    let length = tokens.size2()?.1;
    let next = tokens.f_narrow(1, 1, (length - 1).max(0))?;
    let before = tokens.f_narrow(1, 0, (length - 1).max(0))?;
    Ok(next.f_logical_and(&before.f_logical_not()?)?.f_any()?.f_int64_value(&[])? == 0)
}

fn too_long(tokens: i64, longest: i64) -> Error {
    Error::invalid(format!(
        "a sequence, or a document of a packed row, has {tokens} tokens, but the model has {longest} positions: truncate it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mask: &[i64], maps: bool, windows: &[i64]) -> Visibility {
        let mask = Tensor::from_slice(mask).unsqueeze(0);
        Visibility::by(&mask, &Asked { longest: 9, windows, maps }).unwrap()
    }

    fn rows(seen: &Tensor) -> Vec<Vec<i64>> {
        Vec::<Vec<i64>>::try_from(seen.squeeze().to_kind(Kind::Int64)).unwrap()
    }

    #[test]
    fn positions_count_tokens_and_not_columns() {
        let positions = |mask: &[i64]| Vec::<i64>::try_from(of(mask, true, &[]).positions.squeeze()).unwrap();
        assert_eq!(positions(&[0, 0, 1, 1, 1]), [0, 0, 0, 1, 2]);
        assert_eq!(positions(&[1, 0, 1, 0, 1]), [0, 0, 1, 1, 2]);
        assert_eq!(positions(&[1, 1, 0]), [0, 1, 2]);
    }

    #[test]
    fn a_token_sees_itself_and_the_tokens_before_it_and_padding_itself() {
        let seen = of(&[0, 1, 0, 1], false, &[]);
        assert_eq!(rows(seen.of(None).unwrap()), [[1, 0, 0, 0], [0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]]);
        // By tokens, not by columns: the last two tokens are three columns apart.
        let near = of(&[1, 1, 0, 0, 1], false, &[2]);
        assert_eq!(rows(near.of(Some(2)).unwrap())[4], [0, 1, 0, 0, 1]);
    }

    // Padding, holes and the order of the numbers change nothing.
    #[test]
    fn documents_of_a_packed_row_begin_at_0_and_see_only_themselves() {
        let packed = of(&[1, 1, 2, 2, 2, 0], false, &[2]);
        let positions = |seen: &Visibility| Vec::<i64>::try_from(seen.positions.squeeze()).unwrap();
        assert_eq!(positions(&packed), [0, 1, 0, 1, 2, 0]);
        let whole = [
            [1, 0, 0, 0, 0, 0],
            [1, 1, 0, 0, 0, 0],
            [0, 0, 1, 0, 0, 0],
            [0, 0, 1, 1, 0, 0],
            [0, 0, 1, 1, 1, 0],
            [0, 0, 0, 0, 0, 1],
        ];
        assert_eq!(rows(packed.of(None).unwrap()), whole);
        // The window is one of tokens of the document.
        assert_eq!(rows(packed.of(Some(2)).unwrap())[4], [0, 0, 0, 1, 1, 0]);
        let mixed = of(&[0, 7, 3, 0, 7, 3], false, &[]);
        assert_eq!(positions(&mixed), [0, 0, 0, 0, 1, 1]);
        assert_eq!(rows(mixed.of(None).unwrap())[4..], [[0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1]]);
    }

    #[test]
    fn no_mask_is_made_where_the_order_alone_says_it_all() {
        assert!(of(&[1, 1, 1, 0], false, &[]).of(None).is_none());
        assert!(of(&[0, 0], false, &[]).of(None).is_none());
        assert!(of(&[1, 1, 1, 0], true, &[]).of(None).is_some());
        assert!(of(&[1, 1, 1], false, &[3]).of(Some(3)).is_none());
        assert!(of(&[1, 1, 1, 1], false, &[3]).of(Some(3)).is_some());
    }

    #[test]
    fn tokens_are_counted_against_the_positions_and_not_columns() {
        let of = |mask: &Tensor| Visibility::by(mask, &Asked { longest: 3, windows: &[], maps: false });
        assert!(of(&Tensor::from_slice2(&[[0_i64, 0, 1, 1, 1]])).is_ok());
        let error = of(&Tensor::from_slice2(&[[0_i64, 1, 1, 1, 1]])).unwrap_err().to_string();
        assert!(error.contains("4 tokens, but the model has 3 positions"), "{error}");
        // It is the longest document that must fit.
        assert!(of(&Tensor::from_slice2(&[[1_i64, 1, 1, 2, 2, 2]])).is_ok());
        let error = of(&Tensor::from_slice2(&[[1_i64, 2, 2, 2, 2, 3]])).unwrap_err().to_string();
        assert!(error.contains("4 tokens, but the model has 3 positions"), "{error}");
    }
}
