//! The two directions of a stream as two values: borrowed, or owned by two tasks.
//!
//! They are for code that wants to own a reader and a writer; a stream's own methods read and write
//! through `&self`.
#![forbid(unsafe_code)]

pub(crate) mod borrowed;
pub(crate) mod owned;

pub use borrowed::{ReadHalf, WriteHalf};
pub use owned::{OwnedReadHalf, OwnedWriteHalf, ReuniteError};
