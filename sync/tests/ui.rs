//! What must not compile, and what the compiler says then.
#![cfg(not(loom))]

#[test]
fn mistakes_are_told_where_they_are() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
