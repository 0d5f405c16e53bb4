//! The expansion as tokens: our own messages, and where they point, without a compiler in between.
#![forbid(unsafe_code)]

use proc_macro2::TokenStream;
use quote::quote;

use crate::expand::{Attribute, expand};

/// The messages of all `compile_error!`s in the expansion, in order.
fn errors(attribute: Attribute, options: TokenStream, item: TokenStream) -> Vec<String> {
    let file: syn::File =
        syn::parse2(expand(attribute, options, item)).expect("the expansion is Rust");
    let messages = file.items.into_iter().filter_map(|item| match item {
        syn::Item::Macro(item) if item.mac.path.segments.last()?.ident == "compile_error" => {
            let text: syn::LitStr = item.mac.parse_body().expect("compile_error takes a string");
            Some(text.value())
        }
        _ => None,
    });
    messages.collect()
}

fn option_errors(attribute: Attribute, options: TokenStream) -> Vec<String> {
    errors(
        attribute,
        options,
        quote!(
            async fn main() {}
        ),
    )
}

/// The one function of an expansion without errors.
fn function(attribute: Attribute, options: TokenStream, item: TokenStream) -> String {
    let file: syn::File =
        syn::parse2(expand(attribute, options, item)).expect("the expansion is Rust");
    assert!(
        matches!(file.items[..], [syn::Item::Fn(_)]),
        "one function and nothing else"
    );
    quote!(#file).to_string()
}

#[test]
fn options_without_fault_are_accepted() {
    for options in [
        quote!(),
        quote!(max_procs = 1),
        quote!(max_procs = 4usize,),
        quote!(worker_threads = 4),
        quote!(crate = "::weftline::rt"),
        quote!(crate = "crate", max_procs = 0x10),
    ] {
        for attribute in [Attribute::Main, Attribute::Test] {
            assert_eq!(
                option_errors(attribute, options.clone()),
                [""; 0],
                "{options}"
            );
        }
    }
}

#[test]
fn unknown_options_are_answered_with_the_list() {
    assert_eq!(
        option_errors(Attribute::Main, quote!(threads = 4)),
        [
            "unknown option `threads`: `#[runtime::main]` takes `max_procs` (or `worker_threads`) and `crate`"
        ]
    );
    assert_eq!(
        option_errors(Attribute::Test, quote!(a::b)),
        [
            "unknown option `a::b`: `#[runtime::test]` takes `max_procs` (or `worker_threads`), `crate`, `start_paused`, `runs`, \
             `leak_check` and `seed`"
        ]
    );
    assert_eq!(
        option_errors(Attribute::Main, quote!(seed = 1)),
        [
            "unknown option `seed`: `#[runtime::main]` takes `max_procs` (or `worker_threads`) and `crate`"
        ]
    );
    let flavor = &option_errors(Attribute::Main, quote!(flavor = "current_thread"))[0];
    assert!(
        flavor.ends_with("for a single worker write `max_procs = 1`"),
        "{flavor}"
    );
}

#[test]
fn values_of_the_wrong_kind_are_answered_with_an_example() {
    for (options, message) in [
        (
            quote!(max_procs = "4"),
            "`max_procs` takes a whole number, as in `max_procs = 4`",
        ),
        (
            quote!(max_procs = -1),
            "`max_procs` cannot be negative: write a number as in `max_procs = 4`",
        ),
        (
            quote!(worker_threads = 1.5),
            "`worker_threads` takes a whole number, as in `worker_threads = 4`",
        ),
        (
            quote!(max_procs = N),
            "`max_procs` takes a whole number, as in `max_procs = 4`",
        ),
        (
            quote!(max_procs = 4u8),
            "`max_procs` takes a number without a suffix, as in `max_procs = 4`",
        ),
        (
            quote!(max_procs),
            "`max_procs` needs a value, as in `max_procs = 4`",
        ),
        (
            quote!(max_procs(4)),
            "`max_procs` needs a value, as in `max_procs = 4`",
        ),
        (
            quote!(max_procs = 0),
            "`max_procs` must be at least 1: with none, nothing would ever run",
        ),
        (
            quote!(crate = runtime),
            "`crate` takes a path in quotes, as in `crate = \"::runtime\"`",
        ),
        (
            quote!(crate = "a b"),
            "this is not a path: `crate` takes a path in quotes, as in `crate = \"::runtime\"`",
        ),
        (
            quote!(crate),
            "`crate` needs a value, as in `crate = \"::runtime\"`",
        ),
    ] {
        assert_eq!(
            option_errors(Attribute::Main, options.clone()),
            [message],
            "{options}"
        );
    }
    let [too_large] = &option_errors(Attribute::Main, quote!(max_procs = 99999999999999999999))[..]
    else {
        panic!("one error")
    };
    assert!(
        too_large.starts_with("`max_procs` is out of range: "),
        "{too_large}"
    );
}

#[test]
fn an_option_given_twice_is_an_error_in_either_spelling() {
    assert_eq!(
        option_errors(Attribute::Main, quote!(max_procs = 1, max_procs = 1)),
        ["`max_procs` is given twice"]
    );
    assert_eq!(
        option_errors(Attribute::Test, quote!(max_procs = 1, worker_threads = 2)),
        ["`worker_threads` is another spelling of `max_procs`, which is given already"]
    );
}

#[test]
fn a_flag_may_stand_alone() {
    for options in [
        quote!(leak_check),
        quote!(leak_check = true),
        quote!(leak_check = false),
        quote!(start_paused),
        quote!(start_paused = false),
    ] {
        assert_eq!(option_errors(Attribute::Test, options), [""; 0]);
    }
    assert_eq!(
        option_errors(Attribute::Test, quote!(leak_check = 1)),
        ["`leak_check` takes `true` or `false`, as in `leak_check = true`"]
    );
    assert_eq!(option_errors(Attribute::Main, quote!(leak_check)).len(), 1);
}

#[test]
fn several_workers_and_a_reproducible_run_contradict_each_other() {
    for options in [
        quote!(start_paused = true, worker_threads = 2),
        quote!(worker_threads = 2, seed = 7),
    ] {
        assert_eq!(
            option_errors(Attribute::Test, options),
            [
                "remove `worker_threads`: a test with a paused clock or a seed runs one task at a time"
            ]
        );
    }
    for options in [
        quote!(start_paused = true, max_procs = 1),
        quote!(start_paused = false, max_procs = 2),
    ] {
        assert_eq!(option_errors(Attribute::Test, options), [""; 0]);
    }
}

#[test]
fn several_runs_that_would_be_the_same_are_refused() {
    for (options, cure) in [
        (quote!(runs = 9), "add `start_paused = true`"),
        (
            quote!(runs = 9, start_paused = false),
            "add `start_paused = true`",
        ),
        (
            quote!(runs = 9, seed = 7, start_paused),
            "remove `runs`, or `seed`",
        ),
        (quote!(runs = 0, start_paused), "`runs` must be at least 1"),
    ] {
        let messages = option_errors(Attribute::Test, options.clone());
        assert!(
            matches!(&messages[..], [message] if message.starts_with(cure)),
            "{options}: {messages:?}"
        );
    }
    let options = quote!(start_paused = true, runs = 9);
    assert_eq!(option_errors(Attribute::Test, options), [""; 0]);
}

#[test]
fn options_of_the_wrong_type_say_what_they_take() {
    for (options, start) in [
        (quote!(seed = "x"), "`seed` takes a whole number"),
        (
            quote!(start_paused = 1),
            "`start_paused` takes `true` or `false`",
        ),
    ] {
        let messages = option_errors(Attribute::Test, options.clone());
        assert!(
            matches!(&messages[..], [message] if message.starts_with(start)),
            "{options}: {messages:?}"
        );
    }
}

#[test]
fn signatures_that_nobody_could_call_are_refused() {
    for (item, message) in [
        (
            quote!(
                fn main() {}
            ),
            "`#[runtime::main]` needs an `async fn`: write `async` before `fn`",
        ),
        (
            quote!(
                async fn main(x: u8) {}
            ),
            "a function under `#[runtime::main]` takes no arguments: nobody would pass them",
        ),
        (
            quote!(
                async fn main(self) {}
            ),
            "a function under `#[runtime::main]` takes no arguments: nobody would pass them",
        ),
        (
            quote!(
                async fn main<T>() {}
            ),
            "a function under `#[runtime::main]` cannot be generic: nobody would choose the types",
        ),
        (
            quote!(
                async fn main()
                where
                    u8: Copy,
                {
                }
            ),
            "a function under `#[runtime::main]` cannot have a `where` clause",
        ),
        (
            quote!(
                async unsafe fn main() {}
            ),
            "`#[runtime::main]` needs a plain `async fn`: not `const`, `unsafe` or `extern`",
        ),
    ] {
        assert_eq!(
            errors(Attribute::Main, quote!(), item.clone()),
            [message],
            "{item}"
        );
    }
}

#[test]
fn all_faults_are_reported_at_once() {
    let messages = errors(
        Attribute::Test,
        quote!(max_procs = 0, nonsense),
        quote!(
            #[test]
            fn f(x: u8) {}
        ),
    );
    assert_eq!(messages.len(), 5, "{messages:#?}");
}

#[test]
fn what_is_no_function_is_refused_and_kept() {
    let tokens = expand(
        Attribute::Main,
        quote!(),
        quote!(
            struct S;
        ),
    )
    .to_string();
    assert!(
        tokens.contains("`#[runtime::main]` goes on an `async fn`"),
        "{tokens}"
    );
    assert!(tokens.contains("struct S ;"), "{tokens}");
}

#[test]
fn a_second_test_attribute_is_refused() {
    for item in [
        quote!(
            #[test]
            async fn f() {}
        ),
        quote!(
            #[core::prelude::v1::test]
            async fn f() {}
        ),
    ] {
        assert_eq!(
            errors(Attribute::Test, quote!(), item),
            ["remove this: `#[runtime::test]` makes the function a test by itself"]
        );
    }
}

#[test]
fn the_body_passes_through_untouched_even_if_it_is_not_rust() {
    let tokens = expand(
        Attribute::Main,
        quote!(),
        quote!(async fn main() { half. => typed }),
    );
    assert!(
        tokens
            .to_string()
            .contains("async fn __body () { half . => typed }"),
        "{tokens}"
    );
}

#[test]
fn a_test_gets_two_procs_unless_it_says_otherwise() {
    let item = quote!(
        async fn f() {}
    );
    let default = function(Attribute::Test, quote!(), item.clone());
    assert!(
        default.contains("Entry :: test () . max_procs (2usize)"),
        "{default}"
    );
    let given = function(Attribute::Test, quote!(worker_threads = 3), item.clone());
    assert!(
        given.contains("Entry :: test () . max_procs (3usize)"),
        "{given}"
    );
    let main = function(Attribute::Main, quote!(), item);
    assert!(main.contains("Entry :: main () , __future"), "{main}");
}

#[test]
fn attributes_visibility_and_return_type_are_kept() {
    let test = function(
        Attribute::Test,
        quote!(),
        quote!(
            #[should_panic(expected = "x")]
            pub(super) async fn f() {}
        ),
    );
    assert!(
        test.starts_with("# [:: core :: prelude :: v1 :: test] # [should_panic (expected = \"x\")] pub (super) fn f () {"),
        "{test}"
    );
    let other = function(
        Attribute::Main,
        quote!(),
        quote!(
            pub async fn answer() -> u32 {
                42
            }
        ),
    );
    assert!(other.starts_with("pub fn answer () -> u32 {"), "{other}");
    let main = function(
        Attribute::Main,
        quote!(crate = "a::b"),
        quote!(
            async fn main() -> Result<(), E> {}
        ),
    );
    assert!(
        main.starts_with("fn main () -> a :: b :: __private :: ExitCode {"),
        "{main}"
    );
}
