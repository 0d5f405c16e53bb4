//! What is no arm of a `select!` and looks like one: the forms of Go and of other libraries. Each
//! is answered with what to write here.
//!
//! The compiler would refuse most of them too, but would not know what was meant.
#![forbid(unsafe_code)]

use quote::ToTokens;
use syn::parse::ParseStream;
use syn::{Error, Ident, Pat, Path, Result, Token, token};

mod keyword {
    syn::custom_keyword!(biased);
    syn::custom_keyword!(case);
    syn::custom_keyword!(complete);
}

/// Refuses what begins an arm elsewhere.
pub(crate) fn of_other_selects(input: ParseStream<'_>) -> Result<()> {
    of_other_places(input)?;
    if input.peek(Token![else]) {
        return Err(input.error(
            "there is no `else` here: a closed channel is ready and yields `None`; `default => …` is for not waiting at all",
        ));
    }
    if input.peek(keyword::complete) && input.peek2(Token![=>]) {
        return Err(
            input.error("there is no `complete` here: a closed channel is ready and yields `None`")
        );
    }
    if input.peek(keyword::biased) && !names_a_value(input) {
        return Err(input.error("`biased;` stands once, with a semicolon, before the first arm"));
    }
    if input.peek(keyword::case) && !names_a_value(input) {
        return Err(input.error("there is no `case` here: an arm is `pattern = future => body`"));
    }
    if input.peek(Token![default]) && input.peek2(Token![:]) {
        return Err(input.error("`default` has an arrow, as all arms have: `default => body`"));
    }
    if input.peek(Token![default]) && (input.peek2(Token![if]) || input.peek2(Token![,])) {
        return Err(input.error(
            "`default` has no guard: it is taken when no other arm is ready, or there is none; `default => body`",
        ));
    }
    if input.peek(Token![_]) && input.peek2(Token![=>]) {
        return Err(input.error(
            "`_ => …` is no arm: write `default => …` for not waiting, or `_ = future => …` to ignore what a future yields",
        ));
    }
    if input.peek(Ident) && input.peek2(token::Paren) && starts_like_crossbeam(input) {
        return Err(input.error(
            "an arm is `pattern = future => body`, for instance `msg = rx.recv() => …` or `sent = tx.send(v) => …`",
        ));
    }
    Ok(())
}

/// Refuses what stands before a pattern in a `match`, a function or a block, and not here.
fn of_other_places(input: ParseStream<'_>) -> Result<()> {
    if input.peek(Token![#]) {
        return Err(input.error(
            "an arm takes no attributes: in place of `#[cfg(…)]` write a guard, `pattern = future, if cfg!(…) => body`; \
             others go before the `select!` or into the body",
        ));
    }
    if input.peek(Token![if]) {
        return Err(input.error(
            "a guard follows the future and a comma: `pattern = future, if condition => body`",
        ));
    }
    if input.peek(Token![let]) {
        return Err(input.error("there is no `let` here: an arm is `pattern = future => body`"));
    }
    Ok(())
}

/// Whether the word ahead is a pattern after all, as in `case = rx.recv() => …`.
fn names_a_value(input: ParseStream<'_>) -> bool {
    let typed = input.peek2(Token![:]) && !input.peek2(Token![::]);
    input.peek2(Token![=]) && !input.peek2(Token![=>]) || typed
}

fn starts_like_crossbeam(input: ParseStream<'_>) -> bool {
    (input.cursor().ident()).is_some_and(|(ident, _)| ident == "recv" || ident == "send")
}

/// Refuses Go's operators where the `=` of an arm has to be.
pub(crate) fn of_go(input: ParseStream<'_>) -> Result<()> {
    let declares = input.peek(Token![:]) && input.peek2(Token![=]);
    if declares || input.peek(Token![<-]) {
        return Err(input.error(
            "Go's `v := <-rx` is `v = rx.recv()` here, and `tx <- v` is `sent = tx.send(v)`",
        ));
    }
    Ok(())
}

/// Refuses a pattern that may fail to match: it has no meaning here, for by then the value has been
/// received. The compiler would say so too, but not what to do.
pub(crate) fn of_refutable(pattern: &Pat) -> Result<()> {
    let refutable = match pattern {
        Pat::TupleStruct(pattern) => is_variant(&pattern.path),
        Pat::Path(pattern) => is_variant(&pattern.path),
        Pat::Ident(pattern) => pattern.ident == "None" && pattern.subpat.is_none(),
        Pat::Lit(_) | Pat::Range(_) => true,
        _ => false,
    };
    if !refutable {
        return Ok(());
    }
    let shown = pattern.to_token_stream();
    let message = format!(
        "`{shown}` does not match every outcome, and by the time it is looked at the operation has happened; \
         bind a name and match in the body: `msg = … => match msg {{ … }}`"
    );
    Err(Error::new_spanned(pattern, message))
}

fn is_variant(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| {
        ["Some", "None", "Ok", "Err"]
            .iter()
            .any(|variant| last.ident == variant)
    })
}
