//! The rules of an adaptor: turns what the user gave, role by role, into what the adaptor provides.
//!
//! Fields, columns and functions all end here, so that a rule is written once for the three.

use proc_macro2::{Span, TokenStream};

use crate::problems::Problems;
use crate::role::Role;

/// A role that a field, a column or a function gives.
pub(crate) struct Given {
    /// The role.
    pub(crate) role: Role,
    /// Its place in a list that several fields make up.
    pub(crate) item: Option<Item>,
    /// An expression over `batch` and `output`.
    pub(crate) value: TokenStream,
    /// The user's token that a message about the value's type belongs to.
    pub(crate) at: Span,
    /// Whether the value needs no forward pass.
    pub(crate) from_batch: bool,
}

/// A place in a list.
#[derive(Clone, Copy)]
pub(crate) struct Item {
    /// Counted from 0.
    pub(crate) index: usize,
    /// Where the user wrote it.
    pub(crate) span: Span,
}

/// A role that an adaptor provides.
pub(crate) struct Provided {
    /// The role.
    pub(crate) role: Role,
    /// Where its value comes from.
    pub(crate) value: Value,
    /// The user's token that a message about the value's type belongs to.
    pub(crate) at: Span,
    /// Whether the value needs no forward pass.
    pub(crate) from_batch: bool,
}

/// Where the value of a role comes from.
pub(crate) enum Value {
    /// One expression, of a tensor or a list.
    Whole(TokenStream),
    /// One expression per list item, each a single tensor.
    Items(Vec<TokenStream>),
}

/// Checks what the user gave; the order of first mention is kept.
pub(crate) fn check(given: Vec<Given>, problems: &mut Problems) -> Vec<Provided> {
    let mut groups: Vec<Vec<Given>> = Vec::new();
    for one in given {
        match groups.iter_mut().find(|group| group[0].role.shown() == one.role.shown()) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    let mask = groups.iter().find(|group| group[0].role.is("logits_mask"));
    if let Some(mask) = mask
        && !groups.iter().any(|group| group[0].role.is("logits"))
    {
        problems.at(
            mask[0].role.span(),
            "a `logits_mask` needs the `logits` that it masks, and nothing here gives `logits`",
        );
    }
    groups.into_iter().filter_map(|group| provided(group, problems)).collect()
}

fn provided(mut group: Vec<Given>, problems: &mut Problems) -> Option<Provided> {
    let from_batch = group.iter().all(|given| given.from_batch);
    let (role, at) = (group[0].role.clone(), group[0].at);
    let value = match group.iter().map(|given| given.item).collect::<Option<Vec<Item>>>() {
        Some(items) => {
            check_items(&role, &items, problems)?;
            group.sort_by_key(|given| given.item.map(|item| item.index));
            Value::Items(group.into_iter().map(|given| given.value).collect())
        }
        None if group.len() == 1 => Value::Whole(group.remove(0).value),
        None => {
            let name = role.shown();
            problems.at(
                group[1].role.span(),
                format!("`{name}` is given twice: a role comes from one place, or from a numbered list (`item = 0`, `item = 1`) of fields"),
            );
            problems.at(role.span(), format!("`{name}` is given here first"));
            return None;
        }
    };
    Some(Provided { role, value, at, from_batch })
}

/// Checks that items are numbered from 0, without gaps or duplicates.
fn check_items(role: &Role, items: &[Item], problems: &mut Problems) -> Option<()> {
    let mut sorted = items.to_vec();
    sorted.sort_by_key(|item| item.index);
    for (expected, item) in sorted.iter().enumerate() {
        if item.index == expected {
            continue;
        }
        let (name, index) = (role.shown(), item.index);
        let message = if index < expected {
            format!("`{name}` has two fields with `item = {index}`")
        } else {
            format!("`{name}` has no `item = {expected}`: items are numbered from 0 without a gap")
        };
        problems.at(item.span, message);
        return None;
    }
    Some(())
}
