//! A batch whose fields are not columns: names, dtypes, pads, types.
use brew_core::prelude::*;

#[derive(Batch)]
struct Mistakes {
    no_dtype: Tensor,
    #[column(int64)]
    misspelled: Tensor,
    #[column(i46)]
    swapped: Tensor,
    #[column(u8, pad = -1)]
    negative: Tensor,
    #[column(i64, pad = 0.5)]
    fraction: Tensor,
    #[column(f16, pad = 1e6)]
    large: Tensor,
    #[column(i64, fill = 0)]
    fill: Tensor,
    #[column(i64, pad = ZERO)]
    constant: Tensor,
    #[column(i64)]
    list: Vec<Tensor>,
    #[column(f32)]
    number: Option<f32>,
}

#[derive(Batch)]
struct Tuple(Tensor);

#[derive(Batch)]
struct Empty {}

#[derive(Batch)]
enum Either {
    One,
}

#[derive(Batch)]
struct Generic<T> {
    #[column(i64)]
    ids: T,
}

// A batch with a mistake is a batch all the same: no second message comes from here.
fn rows(batch: &Mistakes) -> usize {
    batch.rows()
}

fn main() {
    let _ = rows;
}
