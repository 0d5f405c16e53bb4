//! Every future of `sync` and `runtime` is given up at every moment that its scene has: see
//! [`explore`]. [`listed`] holds the scenes to the sources, so that none is left out.

#![cfg(not(loom))]

#[path = "../support/mod.rs"]
mod support;

mod channels;
mod explore;
mod groups;
mod listed;
mod locks;
mod tasks;
mod values;

use std::cell::RefCell;
use std::rc::Rc;

/// What those who are in a scene have seen, in that order.
#[derive(Debug)]
struct Log<T>(Rc<RefCell<Vec<T>>>);

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone + PartialEq> Log<T> {
    fn new() -> Self {
        Self(Rc::default())
    }

    fn note(&self, value: T) {
        self.0.borrow_mut().push(value);
    }

    fn count(&self, value: &T) -> usize {
        self.0.borrow().iter().filter(|seen| *seen == value).count()
    }

    fn has(&self, value: &T) -> bool {
        self.count(value) > 0
    }

    fn all(&self) -> Vec<T> {
        self.0.borrow().clone()
    }
}

/// Gives back what it holds, also where the future that has it is dropped half-way.
struct Back<T>(Option<T>, Rc<RefCell<Option<T>>>);

impl<T> Back<T> {
    fn take(from: &Rc<RefCell<Option<T>>>) -> Self {
        Self(from.take(), from.clone())
    }

    fn get(&mut self) -> &mut T {
        self.0.as_mut().expect("it was there")
    }
}

impl<T> Drop for Back<T> {
    fn drop(&mut self) {
        *self.1.borrow_mut() = self.0.take();
    }
}
