//! The values of a context: a list from the newest to the oldest, shared with the contexts that it
//! was made of.
#![forbid(unsafe_code)]

use std::any::{Any, TypeId};
use std::collections::HashSet;
use std::sync::Arc;

/// A key of a context's values: a type of one's own, which says what the value is.
///
/// Whoever can name the type can look the value up; keep it private, and nobody else can.
///
/// ```
/// use sync::context::{Context, Key};
///
/// struct User;
/// impl Key for User {
///     type Value = String;
/// }
///
/// let ctx = Context::background().with_value(User, "ada".into());
/// assert_eq!(ctx.value(User).unwrap(), "ada");
/// ```
///
/// **Go:** `type userKey struct{}`, as its documentation recommends.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key of a context",
    label = "a key is a type of your own",
    note = "for instance `struct User; impl sync::context::Key for User {{ type Value = String; }}`"
)]
pub trait Key: 'static {
    /// What is found under this key.
    type Value: Send + Sync + 'static;
}

pub(super) enum Values {
    One {
        key: TypeId,
        value: Box<dyn Any + Send + Sync>,
        older: Option<Arc<Values>>,
    },
    /// Of a merged context: the first is asked first.
    Both([Option<Arc<Values>>; 2]),
}

impl Values {
    pub(super) fn push<K: Key>(older: Option<Arc<Self>>, value: K::Value) -> Arc<Self> {
        Arc::new(Self::One {
            key: TypeId::of::<K>(),
            value: Box::new(value),
            older,
        })
    }

    pub(super) fn both(first: Option<Arc<Self>>, second: Option<Arc<Self>>) -> Option<Arc<Self>> {
        match (first, second) {
            (Some(first), Some(second)) if Arc::ptr_eq(&first, &second) => Some(first),
            (Some(first), Some(second)) => Some(Arc::new(Self::Both([Some(first), Some(second)]))),
            (first, second) => first.or(second),
        }
    }
}

/// The newest value under `K`. With a stack of its own: lists may be long. And each merging is
/// looked through once, by however many ways one comes to it.
pub(super) fn find<K: Key>(values: Option<&Arc<Values>>) -> Option<&K::Value> {
    let mut next = values;
    let mut later = Vec::new();
    let mut merged = HashSet::new();
    while let Some(values) = next.or_else(|| later.pop()) {
        next = match &**values {
            Values::One { key, value, .. } if *key == TypeId::of::<K>() => {
                return value.downcast_ref();
            }
            Values::One { older, .. } => older.as_ref(),
            Values::Both([first, second]) if merged.insert(Arc::as_ptr(values)) => {
                later.extend(second);
                first.as_ref()
            }
            Values::Both(_) => None,
        };
    }
    None
}

impl Drop for Values {
    /// In a loop, as each may be the last to have the older ones, and there may be many.
    fn drop(&mut self) {
        let mut ahead = Vec::new();
        ahead.extend(self.take_older());
        while let Some(values) = ahead.pop() {
            if let Some(mut values) = Arc::into_inner(values) {
                ahead.extend(values.take_older());
            }
        }
    }
}

impl Values {
    fn take_older(&mut self) -> impl Iterator<Item = Arc<Self>> + use<> {
        let older = match self {
            Self::One { older, .. } => [older.take(), None],
            Self::Both(both) => both.each_mut().map(Option::take),
        };
        older.into_iter().flatten()
    }
}
