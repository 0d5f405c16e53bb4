//! Stub.
#![forbid(unsafe_code)]

/// Table.
pub(crate) fn markdown() -> String {
    String::new()
}
