//! Programs to read and copy; each is a file beside this folder, under a hundred lines, and opens with what it shows.
//!
//! | program | shows |
//! |---|---|
//! | `talking` | three tasks at once; main waits for one of them |
//! | `main_ends` | main returns, the program ends |
//! | `wait_group` | five workers and a `WaitGroup` |
//! | `sleepers` | 100,000 tasks asleep at once |
//! | `fan_out` | one channel of jobs, several workers, one channel of results |
//! | `worker_pool` | many jobs, at most three at once: a channel as the semaphore |
//! | `batches` | batches of records and a fixed number of workers |
//! | `echo_server` | an accept loop, one task for each connection |
//! | `crawl` | pages fetched side by side, with a limit; the first error ends it |
//! | `cancel_tree` | contexts below contexts: cancelling one ends all below |
//! | `context_timeout` | a time limit around anything |
//! | `graceful_shutdown` | a server that lets those finish who are there |
//! | `device` | a device of one's own in the reactor: a child's output, line by line |
//! | `cache` | many ask at once, the database is asked once |
//! | `pub_sub` | everybody hears everything; the slow are told what they missed |
//! | `buffer_pool` | buffers that are used again |
//! | `c100k` | the main job: 100,000 connections on one machine, held, measured, checked |
//!
//! `cargo run --release --example NAME` runs one.
#![forbid(unsafe_code)]

/// The programs in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// So do those for who comes from Go.
#[cfg(doctest)]
#[doc = include_str!("../../docs/FROM_GO.md")]
pub struct FromGo;

/// And from Tokio.
#[cfg(doctest)]
#[doc = include_str!("../../docs/FROM_TOKIO.md")]
pub struct FromTokio;
