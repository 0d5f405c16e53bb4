//! Redis' protocol, RESP2: commands come as arrays of byte strings, or as a line of words; answers
//! are one of five kinds.
#![forbid(unsafe_code)]

use std::io::{self, Write};

/// The longest command, and the largest number of its arguments. (Redis allows more. A server that
/// is no cache of films does not need it.)
const LONGEST: usize = 8 << 20;
const MOST: usize = 1024;

/// The longest line of words, and of a length.
const LINE: usize = 64 * 1024;

/// The arguments of a command; the first is its name.
pub(crate) type Arguments<'a> = Vec<&'a [u8]>;

/// Takes a command from the front: its arguments, and how many bytes it was. `None`: it has not
/// come in full.
///
/// A command without arguments is an empty line, which is nothing.
pub(crate) fn parse(input: &[u8]) -> io::Result<Option<(Arguments<'_>, usize)>> {
    match input.first() {
        None => Ok(None),
        Some(b'*') => array(input),
        Some(_) => words(input),
    }
}

fn words(input: &[u8]) -> io::Result<Option<(Arguments<'_>, usize)>> {
    let Some((line, length)) = line(input)? else {
        return Ok(None);
    };
    let words = line.split(u8::is_ascii_whitespace);
    Ok(Some((
        words.filter(|word| !word.is_empty()).collect(),
        length,
    )))
}

fn array(input: &[u8]) -> io::Result<Option<(Arguments<'_>, usize)>> {
    let Some((count, mut at)) = number(input, MOST)? else {
        return Ok(None);
    };
    let mut arguments = Vec::with_capacity(count);
    for _ in 0..count {
        let rest = &input[at..];
        match rest.first() {
            None => return Ok(None),
            Some(b'$') => {}
            Some(_) => return Err(invalid("expected '$'")),
        }
        let Some((length, head)) = number(rest, LONGEST)? else {
            return Ok(None);
        };
        if at + head + length > LONGEST {
            return Err(invalid("too long a command"));
        }
        let Some(argument) = rest.get(head..head + length + 2) else {
            return Ok(None);
        };
        arguments.push(&argument[..length]);
        at += head + length + 2;
    }
    Ok(Some((arguments, at)))
}

/// A number between the mark in front and the end of the line.
fn number(input: &[u8], most: usize) -> io::Result<Option<(usize, usize)>> {
    let Some((line, length)) = line(input)? else {
        return Ok(None);
    };
    let digits = std::str::from_utf8(&line[1..]).ok();
    match digits.and_then(|digits| digits.parse().ok()) {
        Some(number) if number <= most => Ok(Some((number, length))),
        _ => Err(invalid("invalid length")),
    }
}

fn line(input: &[u8]) -> io::Result<Option<(&[u8], usize)>> {
    match input.iter().take(LINE).position(|&byte| byte == b'\n') {
        Some(end) => {
            let line = &input[..end];
            Ok(Some((line.strip_suffix(b"\r").unwrap_or(line), end + 1)))
        }
        None if input.len() >= LINE => Err(invalid("too long a line")),
        None => Ok(None),
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("Protocol error: {what}"),
    )
}

/// An answer.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Status(&'static str),
    Error(&'static str),
    Number(i64),
    Nothing,
    Bytes(Vec<u8>),
    List(Vec<Reply>),
}

impl Reply {
    /// Appends it to the answers to be sent.
    pub(crate) fn write(&self, output: &mut Vec<u8>) {
        // Writing to a `Vec` does not fail.
        let _ = match self {
            Self::Status(text) => write!(output, "+{text}\r\n"),
            Self::Error(text) => write!(output, "-{text}\r\n"),
            Self::Number(number) => write!(output, ":{number}\r\n"),
            Self::Nothing => write!(output, "$-1\r\n"),
            Self::Bytes(bytes) => {
                let _ = write!(output, "${}\r\n", bytes.len());
                output.extend_from_slice(bytes);
                write!(output, "\r\n")
            }
            Self::List(replies) => {
                let head = write!(output, "*{}\r\n", replies.len());
                replies.iter().for_each(|reply| reply.write(output));
                head
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_parsed_whole_or_not_at_all() {
        let whole = b"*2\r\n$3\r\nGET\r\n$5\r\na\r\nbc\r\nPING\r\n";
        let first = b"*2\r\n$3\r\nGET\r\n$5\r\na\r\nbc\r\n".len();
        for end in 0..first {
            assert!(parse(&whole[..end]).unwrap().is_none(), "{end}");
        }
        let (arguments, length) = parse(whole).unwrap().unwrap();
        assert_eq!((arguments, length), (vec![&b"GET"[..], b"a\r\nbc"], first));
        assert_eq!(
            parse(&whole[first..]).unwrap().unwrap(),
            (vec![&b"PING"[..]], 6)
        );
    }

    #[test]
    fn nonsense_is_refused_before_it_takes_memory() {
        for nonsense in [
            "*9999999\r\n",
            "*1\r\n$99999999999\r\n",
            "*-1\r\n",
            "*1\r\n:3\r\n",
        ] {
            assert!(parse(nonsense.as_bytes()).is_err(), "{nonsense:?}");
        }
        assert!(parse(&[b'x'; LINE]).is_err());
        let mut much = b"*2\r\n$8388000\r\n".to_vec();
        much.extend(vec![b'x'; 8_388_000]);
        much.extend(b"\r\n$8388000\r\n");
        assert!(parse(&much).is_err());
    }
}
