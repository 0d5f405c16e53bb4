//! What the models put into run queues: a number in a box of its own, in a cell of loom's, so that
//! whoever takes an element without what its maker wrote is found.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;

use crate::scheduler::queued::Queued;

/// An element of a queue. A leak would go unseen, but a loss does not: the models count.
#[derive(Debug)]
pub(super) struct Item(Box<Node>);

#[derive(Debug)]
pub(super) struct Node {
    number: UnsafeCell<usize>,
}

impl Item {
    pub(super) fn new(number: usize) -> Self {
        let number = UnsafeCell::new(number);
        Self(Box::new(Node { number }))
    }

    pub(super) fn number(&self) -> usize {
        // SAFETY: whoever has the item has it alone.
        self.0.number.with(|number| unsafe { *number })
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
