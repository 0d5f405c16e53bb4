//! `select!` and `#[runtime::test]` where nothing has the name that it usually has, and the
//! strictest lints are errors.
#![no_implicit_prelude]
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    unused_results,
    rust_2018_idioms,
    clippy::all
)]

use ::core::assert_eq;
use ::core::clone::Clone;
use ::core::result::Result as CoreResult;
use ::sync::{channel, select};

mod core {}
mod std {}
mod sync {}
mod runtime {}

#[allow(dead_code, reason = "only its name matters")]
struct Option;

#[allow(dead_code, reason = "only its name matters")]
enum Result {
    Some,
    None,
    Ok,
    Err,
}

#[allow(unused_imports, reason = "only the names matter")]
use Result::*;

/// Items that a pattern of the same name would mean.
#[allow(non_upper_case_globals, dead_code, reason = "only the names matter")]
mod lower_case {
    const body: u32 = 1;
    const output: u32 = 2;
    static path: u32 = 3;
    static future: u32 = 4;
    static entry: u32 = 5;

    #[::runtime::test]
    async fn a_test() {
        let (tx, rx) = ::sync::channel(1);
        tx.send(3).await.unwrap();
        let __chosen = 7;
        ::sync::select! {
            x = rx.recv() => ::core::assert_eq!((x.unwrap(), __chosen), (3, 7)),
        }
    }

    #[::runtime::test(runs = 2, start_paused)]
    async fn a_test_that_runs_twice() {}

    #[::runtime::test]
    async fn a_test_with_a_result() -> super::CoreResult<(), ::core::fmt::Error> {
        super::CoreResult::Ok(())
    }
}

struct Holder<'a, T> {
    held: &'a T,
}

impl<T: Clone> Holder<'_, T> {
    async fn again(&self) -> Self {
        let held = self.held;
        select! { held = async { held } => Self { held } }
    }
}

#[::runtime::test]
async fn generics_lifetimes_and_self_are_those_outside() {
    let one = 1;
    let holder = Holder { held: &one };
    assert_eq!(*holder.again().await.held, 1);
}

#[::runtime::test]
async fn patterns_bind_and_loops_are_left_from_within() {
    let (tx, rx) = channel(4);
    let i = 5;
    tx.send((1, 2)).await.unwrap();
    let got = select! {
        mut a = rx.recv() => {
            a = a.map(|(x, y)| (x + 1, y));
            a.unwrap().0 + i
        }
        ref b = async { 3 }, if i == 4 => *b,
        [c, d] = async { [1, 2] }, if i == 3 => c + d,
    };
    assert_eq!(got, 7);
    let got = loop {
        tx.send((1, 2)).await.unwrap();
        select! {
            biased;
            _ = rx.recv(), if i == 0 => continue,
            x = rx.recv() => break x.unwrap().1,
            default => {}
        }
    };
    assert_eq!(got, 2);
}

/// Arms put together by another macro, out of fragments and out of tokens.
macro_rules! first_of {
    ($p:pat = $e:expr => $b:expr; $q:pat = $f:expr, if $g:expr => $c:block) => {
        select! { $p = $e => $b, $q = $f, if $g => $c }
    };
    ($i:ident, $t:ty, $e:expr, $body:expr) => {
        select! { biased; $i: $t = $e => $body, default => 0 }
    };
    ($($t:tt)*) => { select! { $($t)* } };
}

#[::runtime::test]
async fn arms_may_be_made_by_another_macro() {
    let (tx, rx) = channel(1);
    let body = 4;
    let got = first_of!(x = async { 5 } => x + body; _ = rx.recv(), if body == 5 => { 0 });
    assert_eq!(got, 9);
    tx.send(1).await.unwrap();
    let got = first_of!(
        it,
        ::core::option::Option<i32>,
        rx.recv(),
        it.unwrap() + body
    );
    assert_eq!(got, 5);
    let got = first_of!(x = rx.recv() => x.unwrap(), default => body);
    assert_eq!(got, 4);
}

#[::runtime::test]
async fn one_select_inside_another_and_errors_out_of_it() {
    async fn parsed() -> CoreResult<u8, ::core::num::ParseIntError> {
        let (tx, rx) = channel(1);
        tx.send("x").await.unwrap();
        select! {
            outer = rx.recv() => select! {
                inner = async { outer.unwrap().parse::<u8>() } => CoreResult::Ok(inner? + 1),
                _ = rx.recv() => ::core::unreachable!(),
            },
            never = async { loop { ::runtime::yield_now().await } } => never,
        }
    }
    let _error = parsed().await.unwrap_err();
}
