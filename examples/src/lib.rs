//! Programs to read and copy; each is a file beside this folder, under a hundred lines, and opens
//! with what it shows.
//!
//! | program | shows |
//! |---|---|
//! | `talking` | three tasks at once; main waits for one of them |
//! | `main_ends` | main returns, the program ends |
//! | `wait_group` | five workers and a `WaitGroup` |
//! | `sleepers` | 100,000 tasks asleep at once |
//! | `pipeline` | stages, a channel between each two |
//! | `fan_in` | several sources into one, by one `select!` |
//! | `fan_out` | one channel of jobs, several workers, one channel of results |
//! | `worker_pool` | many jobs, at most three at once: a channel as the semaphore |
//! | `semaphore_channel` | the same in few lines |
//! | `batches` | batches of records and a fixed number of workers |
//! | `done_channel` | one close tells everybody to stop |
//! | `or_done` | the first of many that answers, found by a `Select` |
//! | `tee` | one stream into two |
//! | `bridge` | a channel of channels, read as one |
//! | `prime_sieve` | a chain of filters, one task a prime |
//! | `tree_walk` | two trees compared while they are walked; recursion |
//! | `philosophers` | locks in an order; and what is said when there is none |
//! | `stateful` | a task that owns the state, and is asked for it |
//! | `heartbeat` | a worker that shows it is alive |
//! | `timeout` | a limit for one operation, and for a whole loop |
//! | `rate_limit` | a steady rate, with bursts |
//! | `paused_time` | tests of what takes minutes, in no time |
//! | `echo_server` | an accept loop, one task for each connection |
//! | `crawl` | pages fetched side by side, with a limit; the first error ends it |
//! | `cancel_tree` | contexts below contexts: cancelling one ends all below |
//! | `context_timeout` | a time limit around anything |
//! | `graceful_shutdown` | a server that lets those finish who are there |
//! | `device` | a device of one's own in the reactor: a child's output, line by line |
//! | `cache` | many ask at once, the database is asked once |
//! | `pub_sub` | everybody hears everything; the slow are told what they missed |
//! | `buffer_pool` | buffers that are used again |
//! | `leaks` | two tasks that wait for each other for ever, found |
//! | `leak_check` | a test that leaves nobody behind |
//! | `panic_ends_all` | a panic that nobody is handed ends the process |
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

/// And those that go wrong do.
#[cfg(doctest)]
#[doc = include_str!("../../docs/MISTAKES.md")]
pub struct Mistakes;
