//! `select!`: reads the arms, and writes the code that asks `sync` which of them takes effect.
//!
//! The macro only spells out; the deciding is done by `sync::__private::Selecting`. For
//!
//! ```text
//! select! { a = x => A, b = y, if g => B, default => C }
//! ```
//!
//! it writes, in outline,
//!
//! ```text
//! let chosen = {
//!     let (x, y) = (Some(x), if g { Some(y) } else { None });      // in this order, in the enclosing function
//!     let selecting = pin!(Selecting::new(list of the arms));
//!     match selecting.await { 0 => Chosen::_0(output), 1 => Chosen::_1(output), _ => Chosen::Default }
//! };                                                               // here the arms that lost are dropped
//! match chosen { Chosen::_0(v) => { let a = v; A } … Chosen::Default => C }
//! ```
//!
//! so that bodies and futures are code of the enclosing function, where `.await`, `?`, `return`,
//! `break` and `continue` mean what they always do. A guard that is false keeps its future from
//! being made at all.
#![forbid(unsafe_code)]

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, Ident, Pat, Path, Result, Token, Type, parenthesized};

use crate::refusals;

/// Expands the input of `select!`, which starts with the path of the `sync` crate in parentheses.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    match syn::parse2::<Select>(input) {
        Ok(select) => select.expand(),
        Err(error) => error.into_compile_error(),
    }
}

/// The whole invocation.
struct Select {
    sync: Path,
    biased: bool,
    arms: Vec<Arm>,
    default: Option<Expr>,
}

/// `pattern = future, if guard => body`
struct Arm {
    pattern: Pat,
    ty: Option<Type>,
    future: Expr,
    guard: Option<Expr>,
    body: Expr,
}

mod keyword {
    syn::custom_keyword!(biased);
}

impl Parse for Select {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let path;
        parenthesized!(path in input);
        let sync = path.call(Path::parse_mod_style)?;
        let biased = input.peek(keyword::biased) && input.peek2(Token![;]);
        if biased {
            input.parse::<keyword::biased>()?;
            input.parse::<Token![;]>()?;
        }
        let mut select = Self {
            sync,
            biased,
            arms: Vec::new(),
            default: None,
        };
        while !input.is_empty() {
            select.parse_arm(input)?;
        }
        if select.arms.len() > MAX_ARMS {
            let message = format!(
                "a `select!` has at most {MAX_ARMS} arms; `sync::Select` takes any number of operations"
            );
            return Err(Error::new(select.arms[MAX_ARMS].pattern.span(), message));
        }
        Ok(select)
    }
}

/// An arm is numbered by 16 bits, less some for states; and each takes a level of nested types, so
/// the limit is far lower.
const MAX_ARMS: usize = 64;

impl Select {
    fn parse_arm(&mut self, input: ParseStream<'_>) -> Result<()> {
        if input.peek(Token![default]) && input.peek2(Token![=>]) {
            let default: Token![default] = input.parse()?;
            if self.default.is_some() {
                return Err(Error::new(
                    default.span,
                    "a `select!` has at most one `default`",
                ));
            }
            self.default = Some(parse_body(input)?);
            return Ok(());
        }
        refusals::of_other_selects(input)?;
        self.arms.push(input.parse()?);
        Ok(())
    }

    fn expand(self) -> TokenStream {
        let private = {
            let sync = &self.sync;
            quote!(#sync::__private)
        };
        if self.arms.is_empty() {
            // Nothing to ask: `default`, or for ever.
            return match self.default {
                Some(body) => quote!({ #body }),
                None => quote!(match #private::forever().await {}),
            };
        }
        let name = Ident::new("__Chosen", Span::mixed_site());
        let choice = self.choice(&private, &name);
        let definition = self.definition(&name);
        let bodies = self.bodies(&name);
        quote!({
            #definition
            let __chosen = #choice;
            match __chosen { #bodies }
        })
    }

    /// The enum that carries the output of the chosen arm out of the block in which the others are
    /// dropped.
    fn definition(&self, name: &Ident) -> TokenStream {
        let types: Vec<_> = (0..self.arms.len())
            .map(|n| format_ident!("T{n}"))
            .collect();
        let variants = (0..self.arms.len()).map(variant);
        let default = self.default.as_ref().map(|_| quote!(Default,));
        quote!(
            #[allow(non_camel_case_types, clippy::all, reason = "nobody sees it")]
            enum #name<#(#types),*> { #(#variants(#types),)* #default }
        )
    }

    /// The block that evaluates the futures, waits, and takes the output.
    fn choice(&self, private: &TokenStream, name: &Ident) -> TokenStream {
        let futures: Vec<_> = (0..self.arms.len())
            .map(|n| format_ident!("__future{n}", span = Span::mixed_site()))
            .collect();
        let arms = self.arms.iter().zip(&futures);
        let evaluate = arms.map(|(arm, future)| evaluation(arm, future, private));
        let list = list(&self.arms, &futures, private);
        let count = self.arms.len();
        let (biased, default) = (self.biased, self.default.is_some());
        let outputs = (0..count).map(|n| {
            let variant = variant(n);
            let tails = (0..n).map(|_| quote!(.tail()));
            quote!(#n => #name::#variant(
                #private::SelectArm::output(__selecting.as_mut().arms() #(#tails)* .head())
            ),)
        });
        let otherwise = if default {
            quote!(_ => #name::Default)
        } else {
            quote!(_ => ::core::unreachable!())
        };
        quote!({
            #(#evaluate)*
            let mut __selecting = ::core::pin::pin!(#private::Selecting::<_, #count>::new(
                #list,
                #private::Policy { biased: #biased, default: #default },
            ));
            let __output = match __selecting.as_mut().await { #(#outputs)* #otherwise };
            __output
        })
    }

    /// The match arms with the user's bodies.
    fn bodies(&self, name: &Ident) -> TokenStream {
        // Users write `=> { … }` around one expression, too; in a `match` of their own nobody would
        // tell them that there is one pair too many.
        let braces = quote!(#[allow(unused_braces, reason = "select! has arms with braces")]);
        let arms = self.arms.iter().enumerate().map(|(n, arm)| {
            let Arm {
                pattern, ty, body, ..
            } = arm;
            let ty = ty.as_ref().map(|ty| quote!(: #ty));
            let variant = variant(n);
            // With the span of the future, so that a type which does not fit is told there.
            let span = arm.future.span().resolved_at(Span::mixed_site());
            let output = Ident::new("__output", span);
            quote!(#braces #name::#variant(#output) => { let #pattern #ty = #output; #body })
        });
        let default = self
            .default
            .as_ref()
            .map(|body| quote!(#braces #name::Default => { #body }));
        quote!(#(#arms)* #default)
    }
}

/// Evaluates an arm's future, unless its guard is false.
fn evaluation(arm: &Arm, future: &Ident, private: &TokenStream) -> TokenStream {
    // With the span of the future, so that "is not a future" points there.
    let span = arm.future.span().resolved_at(Span::mixed_site());
    let expression = &arm.future;
    let wrapped = quote_spanned!(span=> #private::awaited);
    let method = quote_spanned!(span=> .candidate());
    let expression = quote!(#wrapped(#expression)#method);
    match &arm.guard {
        Some(guard) => quote!(
            let #future = if #guard {
                ::core::option::Option::Some(#expression)
            } else {
                ::core::option::Option::None
            };
        ),
        None => quote!(let #future = ::core::option::Option::Some(#expression);),
    }
}

/// The arms as a list with all their types, each of the kind that its future is.
fn list(arms: &[Arm], futures: &[Ident], private: &TokenStream) -> TokenStream {
    let mut list = quote!(#private::Nil);
    for (arm, future) in arms.iter().zip(futures).rev() {
        // With the span of the future: what is wrong with it is told there, and once.
        let span = arm.future.span().resolved_at(Span::mixed_site());
        let made = quote_spanned!(span=> {
            #[allow(unused_imports, reason = "one of the two is used")]
            use #private::{ChannelKind as _, FutureKind as _};
            let __tag = #private::tag(&#future);
            (&__tag).kind().arm(#future)
        });
        list = quote!(#private::Cons::new(#made, #list));
    }
    list
}

fn variant(n: usize) -> Ident {
    format_ident!("_{n}")
}

impl Parse for Arm {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let pattern = Pat::parse_multi_with_leading_vert(input)?;
        refusals::of_go(input)?;
        refusals::of_refutable(&pattern)?;
        let ty = if input.peek(Token![:]) {
            input.parse::<Token![:]>()?;
            Some(input.parse()?)
        } else {
            None
        };
        if input.peek(Token![if]) {
            return Err(input.error(
                "a guard follows the future and a comma: `pattern = future, if condition => body`",
            ));
        }
        if !input.peek(Token![=]) || input.peek(Token![=>]) {
            return Err(input.error(
                "expected `=`: an arm is `pattern = future => body`, as in `msg = rx.recv() => …`; write `_ = future => body` to ignore what it yields",
            ));
        }
        input.parse::<Token![=]>()?;
        let future = input.parse()?;
        let guard = parse_guard(input)?;
        Ok(Self {
            pattern,
            ty,
            future,
            guard,
            body: parse_body(input)?,
        })
    }
}

/// `, if condition`
fn parse_guard(input: ParseStream<'_>) -> Result<Option<Expr>> {
    if input.peek(Token![if]) {
        return Err(
            input.error("a guard follows a comma: `pattern = future, if condition => body`")
        );
    }
    if !input.peek(Token![,]) {
        return Ok(None);
    }
    input.parse::<Token![,]>()?;
    if !input.peek(Token![if]) {
        return Err(input.error("expected `if condition =>`, or `=>` instead of the comma"));
    }
    input.parse::<Token![if]>()?;
    input.parse().map(Some)
}

/// `=> body`, and the comma after it, which a block does not need.
fn parse_body(input: ParseStream<'_>) -> Result<Expr> {
    if !input.peek(Token![=>]) {
        return Err(input.error("expected `=> body`"));
    }
    input.parse::<Token![=>]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(input.error("expected a body after `=>`; `{}` does nothing"));
    }
    let body = Expr::parse_with_earlier_boundary_rule(input)?;
    if input.peek(Token![,]) {
        input.parse::<Token![,]>()?;
    } else if !input.is_empty() && !is_block_like(&body) {
        return Err(input.error("expected `,` after this body, or a block around it"));
    }
    Ok(body)
}

/// Whether the expression ends by itself, as in a `match`.
fn is_block_like(body: &Expr) -> bool {
    matches!(
        body,
        Expr::Block(_)
            | Expr::If(_)
            | Expr::Match(_)
            | Expr::Unsafe(_)
            | Expr::While(_)
            | Expr::Loop(_)
            | Expr::ForLoop(_)
            | Expr::Const(_)
            | Expr::TryBlock(_)
    )
}
