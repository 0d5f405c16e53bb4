//! Crates that bring their own idea of a runtime, on this one.
//!
//! Some are generic over the runtime, and are told about ours in a page: [`quinn`] (QUIC) and
//! [`hickory`] (DNS). These modules are to be copied. Others know Tokio alone, and run in
//! `net::compat::with_tokio`: `tests/reqwest.rs`, `tests/sqlx.rs`. Redis' client is tried in
//! `examples/servers/tests/redis.rs`, with the store there.
#![forbid(unsafe_code)]

pub mod hickory;
pub mod quinn;
