//! Stand-in for the scheduler.
pub(crate) mod current;
