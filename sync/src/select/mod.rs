//! `select!`.
pub(crate) mod arm;
pub(crate) mod case;
pub(crate) mod claim;
mod forever;
mod list;
mod macros;
mod order;
mod protocol;
mod selecting;

pub use list::Select;

/// What `select!` expands to. Not part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use super::arm::{ArmList, ChannelKind, Cons, FutureKind, Nil, SelectArm, tag};
    pub use super::forever::forever;
    pub use super::protocol::Policy;
    pub use super::selecting::Selecting;
    pub use macros::select;
}
