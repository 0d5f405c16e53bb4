//! What stands in the parentheses: `max_procs = 4, crate = "weftline"`.
//!
//! Every fault is reported at the token that has it, all of them at once, and each says what to
//! write instead.
#![forbid(unsafe_code)]

use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Lit, Meta, Path, Token};

use crate::expand::Attribute;

/// The options as given; what is absent takes its default where it is used.
#[derive(Default)]
pub(crate) struct Options {
    /// `max_procs`, at least 1.
    pub(crate) max_procs: Option<usize>,
    /// `leak_check`.
    pub(crate) leak_check: bool,
    /// `start_paused`.
    pub(crate) start_paused: bool,
    /// `seed`.
    pub(crate) seed: Option<u64>,
    /// `runs`, at least 1.
    pub(crate) runs: Option<usize>,
    /// `crate`: the path of the runtime crate.
    pub(crate) krate: Option<Path>,
}

impl Options {
    /// Reads the tokens between the parentheses. What could be read comes back beside the errors,
    /// so that the function can be expanded with the right path even then.
    pub(crate) fn parse(attribute: Attribute, tokens: TokenStream) -> (Self, Vec<Error>) {
        let mut options = Self::default();
        let metas = match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens) {
            Ok(metas) => metas,
            Err(error) => return (options, vec![error]),
        };
        let mut errors = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        for meta in &metas {
            let name = name_of(meta);
            let option = canonical(&name);
            if seen.iter().any(|seen| seen == option) {
                errors.push(Error::new(meta.path().span(), duplicate(&name, option)));
            } else if let Err(error) = options.set(attribute, &name, option, meta) {
                errors.push(error);
            }
            seen.push(option.to_owned());
        }
        errors.extend(options.contradiction(&metas));
        errors.extend(options.same_again(&metas));
        (options, errors)
    }

    /// A runtime with a paused clock or a seed has one worker.
    fn contradiction(&self, metas: &Punctuated<Meta, Token![,]>) -> Option<Error> {
        let several = self.max_procs.is_some_and(|n| n > 1);
        if !several || !(self.start_paused || self.seed.is_some()) {
            return None;
        }
        let meta = (metas.iter()).find(|meta| canonical(&name_of(meta)) == "max_procs")?;
        let text = format!(
            "remove `{}`: a test with a paused clock or a seed runs one task at a time",
            name_of(meta)
        );
        Some(Error::new(meta.span(), text))
    }

    /// Several runs are worth their time if each has another seed.
    fn same_again(&self, metas: &Punctuated<Meta, Token![,]>) -> Option<Error> {
        let text = match (self.runs, self.seed) {
            (None, _) => return None,
            (Some(_), Some(_)) => {
                "remove `runs`, or `seed`: with the same seed each run would be the same"
            }
            (Some(_), None) if self.start_paused => return None,
            (Some(_), None) => {
                "add `start_paused = true`: only then does each run have a seed, by which it can be repeated"
            }
        };
        let meta = (metas.iter()).find(|meta| name_of(meta) == "runs")?;
        Some(Error::new(meta.span(), text))
    }

    fn set(
        &mut self,
        attribute: Attribute,
        name: &str,
        option: &str,
        meta: &Meta,
    ) -> Result<(), Error> {
        match (option, attribute) {
            ("max_procs", _) => self.max_procs = Some(positive(name, meta)?),
            ("crate", _) => self.krate = Some(path(meta)?),
            ("leak_check", Attribute::Test) => self.leak_check = flag(name, meta)?,
            ("start_paused", Attribute::Test) => self.start_paused = flag(name, meta)?,
            ("seed", Attribute::Test) => self.seed = Some(integer(name, meta)?),
            ("runs", Attribute::Test) => self.runs = Some(positive(name, meta)?),
            _ => return Err(unknown(attribute, name, meta)),
        }
        Ok(())
    }
}

/// The option as written, `::` and all if somebody wrote that.
fn name_of(meta: &Meta) -> String {
    let segments: Vec<_> = (meta.path().segments.iter())
        .map(|segment| segment.ident.to_string())
        .collect();
    segments.join("::")
}

/// Both spellings of one option are one option.
fn canonical(name: &str) -> &str {
    match name {
        "worker_threads" => "max_procs",
        name => name,
    }
}

fn duplicate(name: &str, option: &str) -> String {
    if name == option {
        format!("`{name}` is given twice")
    } else {
        format!("`{name}` is another spelling of `{option}`, which is given already")
    }
}

fn unknown(attribute: Attribute, name: &str, meta: &Meta) -> Error {
    let mut text = format!(
        "unknown option `{name}`: {} takes {}",
        attribute.name(),
        attribute.options()
    );
    if name == "flavor" {
        text.push_str("; there is one kind of runtime, so leave it out; for a single worker write `max_procs = 1`");
    }
    Error::new(meta.path().span(), text)
}

fn positive(name: &str, meta: &Meta) -> Result<usize, Error> {
    match integer(name, meta)? {
        0 => Err(Error::new(
            value(name, "4", meta)?.span(),
            format!("`{name}` must be at least 1: with none, nothing would ever run"),
        )),
        number => Ok(number),
    }
}

fn integer<N>(name: &str, meta: &Meta) -> Result<N, Error>
where
    N: std::str::FromStr,
    N::Err: std::fmt::Display,
{
    let value = value(name, "4", meta)?;
    let Some(Lit::Int(literal)) = literal(value) else {
        let text = format!("`{name}` takes a whole number, as in `{name} = 4`");
        return Err(Error::new(value.span(), text));
    };
    if !literal.suffix().is_empty() && literal.suffix() != "usize" {
        let text = format!("`{name}` takes a number without a suffix, as in `{name} = 4`");
        return Err(Error::new(literal.span(), text));
    }
    if literal.base10_digits().starts_with('-') {
        let text = format!("`{name}` cannot be negative: write a number as in `{name} = 4`");
        return Err(Error::new(literal.span(), text));
    }
    (literal.base10_parse())
        .map_err(|error| Error::new(literal.span(), format!("`{name}` is out of range: {error}")))
}

/// A boolean whose name alone means `true`.
fn flag(name: &str, meta: &Meta) -> Result<bool, Error> {
    match meta {
        Meta::Path(_) => Ok(true),
        _ => boolean(name, meta),
    }
}

fn boolean(name: &str, meta: &Meta) -> Result<bool, Error> {
    let value = value(name, "true", meta)?;
    match literal(value) {
        Some(Lit::Bool(literal)) => Ok(literal.value),
        _ => Err(Error::new(
            value.span(),
            format!("`{name}` takes `true` or `false`, as in `{name} = true`"),
        )),
    }
}

fn path(meta: &Meta) -> Result<Path, Error> {
    const HOW: &str = "`crate` takes a path in quotes, as in `crate = \"::runtime\"`";
    let value = value("crate", "\"::runtime\"", meta)?;
    match literal(value) {
        Some(Lit::Str(text)) => (text.parse_with(Path::parse_mod_style))
            .map_err(|_| Error::new(text.span(), format!("this is not a path: {HOW}"))),
        _ => Err(Error::new(value.span(), HOW)),
    }
}

/// The right-hand side of `name = value`.
fn value<'a>(name: &str, example: &str, meta: &'a Meta) -> Result<&'a Expr, Error> {
    match meta {
        Meta::NameValue(pair) => Ok(&pair.value),
        _ => Err(Error::new(
            meta.span(),
            format!("`{name}` needs a value, as in `{name} = {example}`"),
        )),
    }
}

fn literal(value: &Expr) -> Option<&Lit> {
    match value {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        // A macro that passes a literal on wraps it in an invisible group.
        Expr::Group(group) => literal(&group.expr),
        _ => None,
    }
}
