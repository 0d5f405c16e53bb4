//! `select!`, and [`Select`] for operations that are known only while the program runs.
//!
//! In reading order: [`claim`], the one word that decides who completes what; [`case`], what is
//! asked of a channel operation; `protocol`, the three passes; `arm` and `selecting`, how
//! [`select!`](macro@crate::select) lays its arms out; `list`, the same in boxes; `order`, chance.

pub(crate) mod claim;

pub(crate) mod case;
mod protocol;

pub(crate) mod arm;
mod selecting;

mod forever;
mod list;
mod macros;
mod order;

pub use list::Select;

/// What `select!` expands to. Not part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use super::arm::{ArmList, ChannelKind, Cons, FutureKind, Nil, SelectArm, awaited, tag};
    pub use super::forever::forever;
    pub use super::protocol::Policy;
    pub use super::selecting::Selecting;
    pub use macros::select;
}
