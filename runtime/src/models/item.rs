//! What the models put into run queues: a number in a box of its own.

use std::ptr::NonNull;

use crate::scheduler::queued::Queued;

/// An element of a queue. A leak would go unseen, but a loss does not: the models count.
#[derive(Debug)]
pub(super) struct Item(Box<Node>);

#[derive(Debug)]
pub(super) struct Node {
    number: usize,
}

impl Item {
    pub(super) fn new(number: usize) -> Self {
        Self(Box::new(Node { number }))
    }

    pub(super) fn number(&self) -> usize {
        self.0.number
    }
}

impl Queued for Item {
    type Node = Node;

    fn into_node(self) -> NonNull<Node> {
        NonNull::from(Box::leak(self.0))
    }

    unsafe fn from_node(node: NonNull<Node>) -> Self {
        // SAFETY: from `into_node`.
        Self(unsafe { Box::from_raw(node.as_ptr()) })
    }
}
