//! The function that takes the place of the user's.
//!
//! ```text
//! async fn main() -> R { body }      fn main() -> ExitCode {
//!                               →        async fn __body() -> R { body }
//!                                        …
//!                                        let __future = __private::reported(__body());
//!                                        let __path = (&__private::probe(&__future)).path();
//!                                        __path.run(__private::Entry::main().max_procs(4), __future)
//!                                    }
//! ```
//!
//! - The body becomes an inner `async fn`, not an `async` block: the errors about `?` and about the
//!   return type are those that any `async fn` has, and its future is an opaque type of another
//!   function, which is the only kind whose `Send` the compiler can decide while it still checks
//!   this one. (For an `async` block in the same function that question has no answer yet, and the
//!   choice below would always fall on the same side.)
//! - `path()` is found by autoref: a trait for `Probe<F>` where `F: Send + 'static`, and one for
//!   `&Probe<F>` where it is not. The first runs the future as a task, the second on the calling
//!   thread.
//! - A result is reported where it arises (`Termination::report`), so that
//!   `Result<(), Box<dyn Error>>`, which is not `Send`, does not keep the body from being a task. A
//!   `main` or a test that returns a value therefore becomes one that returns an `ExitCode`. One
//!   that returns nothing stays so, for `#[should_panic]` insists. A function of another name under
//!   `#[main]` gives back its value.
//!
//! - With `runs = n` the last two lines are a closure that is called as often.
//! - The names begin with underscores, although they are hygienic: a `const path` or a
//!   `static body` of the user's would be meant by the pattern.
//!
//! After an error the function is still there, empty, so that the error is the only one: no "`main`
//! function not found" beside it.
#![forbid(unsafe_code)]

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{quote, quote_spanned};
use syn::{Error, Path, Type, parse_quote};

use crate::function::Function;
use crate::options::Options;

/// What a test gets if it does not say: the least with which two tasks really run at the same time.
const TEST_MAX_PROCS: usize = 2;

/// Which of the two attributes is being expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    Main,
    Test,
}

impl Attribute {
    /// The attribute as the user writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Main => "`#[runtime::main]`",
            Self::Test => "`#[runtime::test]`",
        }
    }

    /// The options that it knows, for the message that lists them.
    pub(crate) fn options(self) -> &'static str {
        match self {
            Self::Main => "`max_procs` (or `worker_threads`) and `crate`",
            Self::Test => {
                "`max_procs` (or `worker_threads`), `crate`, `start_paused`, `runs`, `leak_check` and `seed`"
            }
        }
    }
}

/// What becomes of the body's value.
enum Value<'a> {
    /// There is none.
    Unit,
    /// It is reported as `fn main` would, and an `ExitCode` remains.
    Reported(&'a Type),
    /// It is given back.
    Returned,
}

/// Expands the attribute; never fails, as errors are tokens too.
pub(crate) fn expand(attribute: Attribute, options: TokenStream, item: TokenStream) -> TokenStream {
    let function: Function = match syn::parse2(item.clone()) {
        Ok(function) => function,
        Err(error) => {
            let text = format!("{} goes on an `async fn`: {error}", attribute.name());
            let error = Error::new(error.span(), text).into_compile_error();
            return quote!(#error #item);
        }
    };
    let (options, mut errors) = Options::parse(attribute, options);
    errors.splice(0..0, function.faults(attribute.name()));
    if attribute == Attribute::Test {
        if let Some(second) = function.second_test_attribute() {
            let text = "remove this: `#[runtime::test]` makes the function a test by itself";
            errors.push(Error::new_spanned(second, text));
        }
    }
    match errors.into_iter().reduce(combine) {
        None => entry(attribute, &options, &function),
        Some(errors) => husk(&function, errors),
    }
}

fn combine(mut all: Error, next: Error) -> Error {
    all.combine(next);
    all
}

/// The errors, and an empty function to satisfy those who name it.
fn husk(function: &Function, errors: Error) -> TokenStream {
    let errors = errors.into_compile_error();
    let visibility = &function.visibility;
    let ident = &function.signature.ident;
    quote! {
        #errors
        #[allow(dead_code, missing_docs, reason = "the errors are enough")]
        #visibility fn #ident() {}
    }
}

fn entry(attribute: Attribute, options: &Options, function: &Function) -> TokenStream {
    let krate: Path = options
        .krate
        .clone()
        .unwrap_or_else(|| parse_quote!(::runtime));
    let Function {
        attributes,
        visibility,
        signature,
        body,
    } = function;
    let (asyncness, fn_token) = (&signature.asyncness, &signature.fn_token);
    let (ident, output) = (&signature.ident, &signature.output);

    // Ours by hygiene and by lints, the user's by place: what points at these tokens points at the
    // function's name.
    let span = Span::mixed_site().located_at(ident.span());
    let value = value(attribute, function);
    let outer_output = match &value {
        Value::Unit => quote!(),
        Value::Reported(_) => quote_spanned!(span=> -> #krate::__private::ExitCode),
        Value::Returned => quote!(#output),
    };
    let (check, future) = match &value {
        Value::Reported(output) => (
            check_termination(output, &krate),
            quote_spanned!(span=> #krate::__private::reported(__body())),
        ),
        Value::Unit | Value::Returned => (None, quote_spanned!(span=> __body())),
    };
    let test =
        (attribute == Attribute::Test).then(|| quote_spanned!(span=> #[::core::prelude::v1::test]));
    let settings = settings(attribute, options, &krate, span);
    let once = quote_spanned! {span=>
        let __future = #future;
        let __path = (&#krate::__private::probe(&__future)).path();
    };
    let choose = quote_spanned! {span=>
        #[allow(unused_imports, reason = "one of the two is used")]
        use #krate::__private::{ChooseTask as _, ChooseThread as _};
    };
    let run = match options.runs {
        None => quote_spanned!(span=> #once __path.run(#settings, __future)),
        Some(n) => quote_spanned! {span=>
            #krate::__private::until_one_fails(#settings, #n, |__entry| { #once __path.run(__entry, __future) })
        },
    };
    quote! {
        #test
        #(#attributes)*
        #visibility #fn_token #ident() #outer_output {
            #[allow(clippy::unused_async, reason = "it has to be async")]
            #asyncness #fn_token __body() #output #body
            #check
            #choose
            #run
        }
    }
}

fn value(attribute: Attribute, function: &Function) -> Value<'_> {
    match function.output() {
        None => Value::Unit,
        Some(output) if attribute == Attribute::Test || function.signature.ident == "main" => {
            Value::Reported(output)
        }
        Some(_) => Value::Returned,
    }
}

/// Asks for `Termination` at the return type itself, so that the error is there. `!` and
/// `impl Trait` may stand only where a function returns them, so those go unchecked.
fn check_termination(output: &Type, krate: &Path) -> Option<TokenStream> {
    let only_as_return = matches!(output, Type::Never(_)) || mentions_impl(quote!(#output));
    (!only_as_return).then(|| quote!(const _: () = #krate::__private::returns::<#output>();))
}

fn mentions_impl(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "impl",
        TokenTree::Group(group) => mentions_impl(group.stream()),
        _ => false,
    })
}

fn settings(attribute: Attribute, options: &Options, krate: &Path, span: Span) -> TokenStream {
    let (constructor, max_procs) = match attribute {
        Attribute::Main => (quote!(main), options.max_procs),
        Attribute::Test => (quote!(test), options.max_procs.or(Some(TEST_MAX_PROCS))),
    };
    let max_procs = max_procs.map(|n| quote_spanned!(span=> .max_procs(#n)));
    let leak_check = (options.leak_check).then(|| quote_spanned!(span=> .leak_check()));
    let start_paused = (options.start_paused).then(|| quote_spanned!(span=> .start_paused()));
    let seed = options.seed.map(|n| quote_spanned!(span=> .seed(#n)));
    quote_spanned!(span=> #krate::__private::Entry::#constructor() #max_procs #leak_check #start_paused #seed)
}
