//! The function under the attribute: its signature parsed and checked, its body left alone.
//!
//! The body is kept as the token group that it is. Parsing it would turn every half-typed line into
//! an error of this macro, in place of the compiler's better one, and would blind an editor that
//! expands while the user types.
#![forbid(unsafe_code)]

use proc_macro2::{Group, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Result, ReturnType, Signature, Type, Visibility};

/// An `async fn` as the user wrote it.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let body = match input.parse()? {
            TokenTree::Group(group) => group,
            other => return Err(Error::new(other.span(), "expected the function's body")),
        };
        Ok(Self {
            attributes,
            visibility,
            signature,
            body,
        })
    }
}

impl Function {
    /// Everything about the signature that the attribute (`name`) cannot work with.
    pub(crate) fn faults(&self, name: &str) -> Vec<Error> {
        let signature = &self.signature;
        let mut faults = Vec::new();
        if signature.asyncness.is_none() {
            let text = format!("{name} needs an `async fn`: write `async` before `fn`");
            faults.push(Error::new_spanned(signature.fn_token, text));
        }
        if !signature.inputs.is_empty() {
            let text =
                format!("a function under {name} takes no arguments: nobody would pass them");
            faults.push(Error::new_spanned(&signature.inputs, text));
        }
        if !signature.generics.params.is_empty() {
            let text =
                format!("a function under {name} cannot be generic: nobody would choose the types");
            faults.push(Error::new_spanned(&signature.generics.params, text));
        } else if let Some(clause) = &signature.generics.where_clause {
            let text = format!("a function under {name} cannot have a `where` clause");
            faults.push(Error::new_spanned(clause, text));
        }
        let qualifier = (signature.constness.map(|token| token.span))
            .or(signature.unsafety.map(|token| token.span))
            .or(signature.abi.as_ref().map(|abi| abi.extern_token.span));
        if let Some(span) = qualifier {
            let text =
                format!("{name} needs a plain `async fn`: not `const`, `unsafe` or `extern`");
            faults.push(Error::new(span, text));
        }
        faults
    }

    /// The attribute `#[test]` beside ours, which would run the test twice.
    pub(crate) fn second_test_attribute(&self) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| {
            let path: Vec<_> = (attribute.path().segments.iter())
                .map(|segment| segment.ident.to_string())
                .collect();
            matches!(
                path.iter().map(String::as_str).collect::<Vec<_>>()[..],
                ["test"] | ["core" | "std", "prelude", _, "test"]
            )
        })
    }

    /// The return type, if it says more than `()`.
    pub(crate) fn output(&self) -> Option<&Type> {
        match &self.signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, output) => match &**output {
                Type::Tuple(tuple) if tuple.elems.is_empty() => None,
                output => Some(output),
            },
        }
    }
}
