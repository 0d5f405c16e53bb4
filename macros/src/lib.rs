//! `#[runtime::main]` and `#[runtime::test]`: an `async fn` as the start of a program, or as a
//! test.
//!
//! Both do the same: the body moves, token for token, into an inner `async fn`, and the outer
//! function starts a runtime and hands the inner future to a hidden entry point in
//! `runtime::__private`. The steps, a file each:
//!
//! 1. `function` reads the item, leaving the body unparsed, so that a half-typed body still reaches
//!    the compiler;
//! 2. `options` reads what stands in the parentheses;
//! 3. `expand` writes the new function, or the errors.
//!
//! `select` reads the arms of `sync::select!` and writes what becomes of them; `refusals` knows
//! what people write there out of habit.
//!
//! Users reach the macros as `runtime::main` and `runtime::test`. Nothing here knows how tasks run.
#![forbid(unsafe_code)]

mod expand;
mod function;
mod options;
mod refusals;
mod select;
#[cfg(test)]
mod tests;

use expand::Attribute;
use proc_macro::TokenStream;

/// Runs an `async fn` as the program's `main`, on a runtime of its own.
///
/// The function takes no arguments and returns whatever `fn main` may return: nothing, a `Result`,
/// an [`ExitCode`](std::process::ExitCode), anything that implements
/// [`Termination`](std::process::Termination). When it returns, the program ends: tasks that are
/// still running are dropped, and nobody waits for a blocking job that hangs.
///
/// A body whose future is `Send` runs as a task on the workers; one that is not (it holds an `Rc`
/// across an `.await`, for instance) runs on the calling thread. Nothing needs to be said: the
/// compiler picks.
///
/// On a function of another name it makes that function start a runtime and block for its result,
/// of whatever type.
///
/// SIGQUIT (Ctrl-\ in a terminal) prints what every task waits for, and ends the program with
/// status 2; see `runtime::Builder::dump_on_sigquit`. `RUNTIME_DEBUG=sigquit=0` in the environment
/// turns that off.
///
/// # Options
///
/// - `max_procs = 4`: how many tasks run at the same time, at least 1. Without it the environment
///   variable `RUNTIME_MAXPROCS` decides, else the CPUs that the process may use. `worker_threads`
///   is accepted as another spelling.
/// - `crate = "path"`: where to find the `runtime` crate when it goes by another name; `::runtime`
///   by default.
///
/// # Panics
///
/// If the runtime cannot be started, with the body's own panic, and with
/// `all tasks are asleep - deadlock!` when nothing can ever run again; see
/// `runtime::Builder::detect_deadlock`.
///
/// ```
/// #[runtime::main]
/// async fn main() {
///     println!("hello from a task");
/// }
/// ```
///
/// ```
/// #[runtime::main(max_procs = 2)]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let port: u16 = "8080".parse()?;
///     assert_eq!(port, 8080);
///     Ok(())
/// }
/// ```
///
/// **Go:** `func main()`; as there, returning from it ends the program without waiting for anyone.
#[proc_macro_attribute]
pub fn main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Main, options.into(), item.into()).into()
}

/// Runs an `async fn` as a test, on a runtime of its own.
///
/// The function takes no arguments and returns nothing or a `Result`, like any test. Other
/// attributes, such as `#[should_panic]` and `#[ignore]`, work as they do beside `#[test]`, which
/// is not written: this attribute adds it. When the body returns, its runtime is dropped, and with
/// it every task that the test left behind.
///
/// Two tasks run at the same time unless the options say otherwise, so that races can show.
///
/// # Options
///
/// - `max_procs = 4`: how many tasks run at the same time, at least 1; 2 by default.
///   `worker_threads` is accepted as another spelling.
/// - `crate = "path"`: where to find the `runtime` crate when it goes by another name; `::runtime`
///   by default.
/// - `leak_check`: the test fails if a task is left when its body has returned, and says of each
///   where it was spawned and what it waits for, and whether it is leaked: see
///   `Runtime::check_leaks`. Tasks that are about to end are waited for. `leak_check = false` is
///   off.
/// - `start_paused`: the clock stands while tasks run, and jumps from timer to timer when all of
///   them wait, so that sleeps take no time. The test runs one task at a time, in an order that
///   follows from a seed: that of the environment's `SEED`, else a new one each time, which is
///   printed if the test fails. `start_paused = false` is off.
/// - `runs = 100`, beside `start_paused`: the body is run so many times, each with a new seed,
///   until one fails. With `SEED` in the environment it is run once.
/// - `seed = 7`: one task at a time, in an order that follows from this number.
///
/// # Panics
///
/// If the runtime cannot be started, with the body's own panic, and with
/// `all tasks are asleep - deadlock!` when nothing can ever run again. Threads that existed before
/// the test began, such as the harness's, are taken for ones that do nothing for it; if a thread
/// that an earlier test has left behind is to wake this one, `RUNTIME_DEBUG=deadlock=0` turns the
/// check off.
///
/// ```
/// #[runtime::test]
/// async fn numbers_are_read() -> Result<(), std::num::ParseIntError> {
///     assert_eq!("7".parse::<u32>()?, 7);
///     Ok(())
/// }
///
/// #[runtime::test(max_procs = 8)]
/// #[should_panic(expected = "out of range")]
/// async fn a_panic_is_seen() {
///     panic!("out of range");
/// }
/// ```
///
/// **Go:** `func TestX(t *testing.T)`, and with `start_paused` `synctest.Test` inside; with
/// goroutines of its own that end with it.
#[proc_macro_attribute]
pub fn test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Test, options.into(), item.into()).into()
}

/// What `sync::select!` expands to; see there. The input starts with the path of the `sync` crate
/// in parentheses.
#[doc(hidden)]
#[proc_macro]
pub fn select(input: TokenStream) -> TokenStream {
    select::expand(input.into()).into()
}
