//! Sums of gradients in a fixed tree over the batches of a step, so that any number of ranks adds up the same numbers in
//! the same order: ((g0 + g1) + (g2 + g3)) + ….
//!
//! A node of level l and index i covers the batches i 2^l up to (i + 1) 2^l. A rank adds up the largest nodes that lie in
//! its share, its *parts*; the nodes above them have parts of several ranks, and every rank adds those up.

use std::ops::Range;

use tch::Tensor;

use crate::error::{InStage as _, Result};
use crate::native::ffi::{clear_gradients, set_gradient};

/// A node of the tree.
#[derive(Debug)]
pub(super) struct Node<T> {
    pub(super) level: u32,
    pub(super) index: usize,
    pub(super) value: T,
}

/// Adds a node to those before it, and joins halves to wholes.
pub(super) fn push<T>(
    nodes: &mut Vec<Node<T>>,
    node: Node<T>,
    add: &mut impl FnMut(T, T) -> Result<T>,
) -> Result<()> {
    let mut node = node;
    while let Some(before) = nodes.pop() {
        let halves =
            before.level == node.level && before.index.is_multiple_of(2) && before.index + 1 == node.index;
        if !halves {
            nodes.push(before);
            break;
        }
        node = Node { level: node.level + 1, index: before.index / 2, value: add(before.value, node.value)? };
    }
    nodes.push(node);
    Ok(())
}

/// The sum of nodes that cover all batches: if these are no power of two, the smallest nodes, which come last, are added
/// up first.
pub(super) fn total<T>(
    mut nodes: Vec<Node<T>>,
    add: &mut impl FnMut(T, T) -> Result<T>,
) -> Result<Option<T>> {
    let Some(Node { value: mut sum, .. }) = nodes.pop() else { return Ok(None) };
    while let Some(before) = nodes.pop() {
        sum = add(before.value, sum)?;
    }
    Ok(Some(sum))
}

/// How many parts the sum over these batches has.
pub(super) fn parts(batches: Range<usize>) -> usize {
    let mut nodes = Vec::new();
    for index in batches {
        // Nothing is added, so nothing fails.
        let _ = push(&mut nodes, Node { level: 0, index, value: () }, &mut |(), ()| Ok(()));
    }
    nodes.len()
}

/// The gradients of one process's batches, in parts.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(super) parameters: Vec<(String, Tensor)>,
    pub(super) parts: Vec<Node<Vec<Option<Tensor>>>>,
}

impl Tree {
    /// For these parameters, each once; none of them has a gradient yet.
    pub(crate) fn new(parameters: Vec<(String, Tensor)>) -> Self {
        Tree { parameters, parts: Vec::new() }
    }

    /// Takes the gradients that the backward pass of a batch left; batches come in the order of the step.
    pub(crate) fn take(&mut self, index: usize) -> Result<()> {
        let mut gradients = Vec::with_capacity(self.parameters.len());
        for (name, parameter) in &self.parameters {
            let gradient = parameter.grad();
            gradients.push(match gradient.defined() {
                false => None,
                true if gradient.is_sparse() => Some(gradient.f_coalesce().in_stage(name)?),
                true => Some(gradient),
            });
        }
        clear_gradients(&self.parameters.iter().map(|(_, parameter)| parameter).collect::<Vec<_>>())?;
        push(&mut self.parts, Node { level: 0, index, value: gradients }, &mut |before, after| {
            before.into_iter().zip(after).map(|(before, after)| sum(before, after)).collect()
        })
    }

    /// Gives every parameter the sum of its gradients; of a process that has all batches of the step.
    pub(crate) fn put_back(self) -> Result<()> {
        let sums = total(self.parts, &mut |before: Vec<Option<Tensor>>, after| {
            before.into_iter().zip(after).map(|(before, after)| sum(before, after)).collect()
        })?;
        for ((name, parameter), sum) in self.parameters.iter().zip(sums.into_iter().flatten()) {
            if let Some(sum) = sum {
                set_gradient(parameter, &sum).in_stage(name)?;
            }
        }
        Ok(())
    }
}

/// The sum of two gradients; a missing one adds nothing, not even 0 to -0.
pub(super) fn sum(before: Option<Tensor>, after: Option<Tensor>) -> Result<Option<Tensor>> {
    Ok(match (before, after) {
        (Some(before), Some(after)) => Some(match (before.is_sparse(), after.is_sparse()) {
            (true, true) => before.f_add(&after)?.f_coalesce()?,
            (true, false) => after.f_add(&before)?,
            (false, _) => before.f_add(&after)?,
        }),
        (before, after) => before.or(after),
    })
}

#[cfg(test)]
mod tests {
    use super::super::gradients::share;
    use super::*;

    fn join(before: String, after: String) -> Result<String> {
        Ok(format!("({before} {after})"))
    }

    fn all(nodes: impl IntoIterator<Item = Node<String>>) -> String {
        let mut joined = Vec::new();
        nodes.into_iter().for_each(|node| push(&mut joined, node, &mut join).unwrap());
        total(joined, &mut join).unwrap().unwrap()
    }

    fn leaves(batches: Range<usize>) -> impl Iterator<Item = Node<String>> {
        batches.map(|index| Node { level: 0, index, value: index.to_string() })
    }

    #[test]
    fn any_number_of_ranks_adds_up_in_the_same_order() {
        assert_eq!(all(leaves(0..4)), "((0 1) (2 3))");
        assert_eq!(all(leaves(0..7)), "(((0 1) (2 3)) ((4 5) 6))");
        for batches in 1..40 {
            let alone = all(leaves(0..batches));
            for ranks in 1..9 {
                let of_rank = |rank: usize| {
                    let (mut nodes, share) = (Vec::new(), share(batches, rank, ranks));
                    leaves(share.clone()).for_each(|leaf| push(&mut nodes, leaf, &mut join).unwrap());
                    assert_eq!(nodes.len(), parts(share));
                    nodes
                };
                assert_eq!(all((0..ranks).flat_map(of_rank)), alone, "{batches} batches, {ranks} ranks");
            }
        }
    }

    #[test]
    fn equal_shares_of_powers_of_two_are_one_part_each() {
        assert!((0..4).all(|rank| parts(share(16, rank, 4)) == 1));
        assert_eq!(parts(1..8), 3);
        assert_eq!(parts(3..3), 0);
    }
}
