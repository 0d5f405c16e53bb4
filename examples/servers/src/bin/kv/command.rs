//! The commands: names, arguments, answers. As Redis has them, as far as they go.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use runtime::time::Instant;

use crate::resp::Reply;
use crate::store::{Entry, Store, Value};

const WRONG_TYPE: Reply =
    Reply::Error("WRONGTYPE Operation against a key holding the wrong kind of value");
const NOT_A_NUMBER: Reply = Reply::Error("ERR value is not an integer or out of range");
const SYNTAX: Reply = Reply::Error("ERR syntax error");
const ARGUMENTS: Reply = Reply::Error("ERR wrong number of arguments");
const UNKNOWN: Reply = Reply::Error("ERR unknown command");
const OK: Reply = Reply::Status("OK");

/// What a connection does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    GoOn,
    Quit,
}

/// Runs a command and appends its answer.
pub(crate) fn run(store: &Store, arguments: &[&[u8]], output: &mut Vec<u8>) -> Then {
    let Some((name, arguments)) = arguments.split_first() else {
        return Then::GoOn;
    };
    let name = name.to_ascii_uppercase();
    reply(store, &name, arguments).write(output);
    if name == b"QUIT" {
        Then::Quit
    } else {
        Then::GoOn
    }
}

fn reply(store: &Store, name: &[u8], arguments: &[&[u8]]) -> Reply {
    match (name, arguments) {
        (b"PING", []) => Reply::Status("PONG"),
        (b"PING" | b"ECHO", [text]) => bytes(text),
        (b"QUIT" | b"SELECT" | b"CLIENT", _) => OK,
        (b"CONFIG" | b"COMMAND", _) => Reply::List(Vec::new()),
        (b"DBSIZE", []) => count(store.len()),
        (b"FLUSHALL" | b"FLUSHDB", _) => {
            store.clear();
            OK
        }
        (b"GET", [key]) => get(store, key),
        (b"SET", [key, value, options @ ..]) => set(store, key, value, options),
        (b"MGET", keys @ [_, ..]) => Reply::List(keys.iter().map(|key| get(store, key)).collect()),
        (b"MSET", pairs @ [_, _, ..]) if pairs.len() % 2 == 0 => {
            for pair in pairs.chunks(2) {
                store.set(pair[0], text(pair[1]));
            }
            OK
        }
        (b"DEL" | b"UNLINK", keys @ [_, ..]) => {
            count(keys.iter().filter(|key| store.remove(key)).count())
        }
        (b"EXISTS", keys @ [_, ..]) => {
            let there = |key: &&&[u8]| store.with(key, |entry| entry.is_some());
            count(keys.iter().filter(there).count())
        }
        (b"INCR", [key]) => add(store, key, 1),
        (b"DECR", [key]) => add(store, key, -1),
        (b"INCRBY", [key, by]) => number(by).map_or(NOT_A_NUMBER, |by| add(store, key, by)),
        (b"EXPIRE", [key, seconds]) => expire(store, key, number(seconds), 1000),
        (b"PEXPIRE", [key, ms]) => expire(store, key, number(ms), 1),
        (b"TTL", [key]) => time_left(store, key, 1000),
        (b"PTTL", [key]) => time_left(store, key, 1),
        (b"LPUSH", [key, values @ ..]) => push(store, key, values, VecDeque::push_front),
        (b"RPUSH", [key, values @ ..]) => push(store, key, values, VecDeque::push_back),
        (b"LPOP", [key]) => pop(store, key, VecDeque::pop_front),
        (b"RPOP", [key]) => pop(store, key, VecDeque::pop_back),
        (b"LLEN", [key]) => with_list(store, key, |list| count(list.len())),
        (b"LRANGE", [key, from, to]) => range(store, key, number(from), number(to)),
        (b"SADD", [key, members @ ..]) => add_members(store, key, members),
        (b"SISMEMBER", [key, member]) => store.with(key, |entry| match entry.map(|e| &e.value) {
            None => count(0),
            Some(Value::Set(set)) => count(set.contains(*member) as usize),
            Some(_) => WRONG_TYPE,
        }),
        (b"HSET", [key, pairs @ ..]) if pairs.len() % 2 == 0 => set_fields(store, key, pairs),
        (b"HGET", [key, field]) => store.with(key, |entry| match entry.map(|e| &e.value) {
            None => Reply::Nothing,
            Some(Value::Hash(hash)) => hash.get(*field).map_or(Reply::Nothing, |v| bytes(v)),
            Some(_) => WRONG_TYPE,
        }),
        (
            b"PING" | b"ECHO" | b"GET" | b"SET" | b"MGET" | b"MSET" | b"DEL" | b"EXISTS" | b"INCR",
            _,
        ) => ARGUMENTS,
        _ => UNKNOWN,
    }
}

fn bytes(bytes: &[u8]) -> Reply {
    Reply::Bytes(bytes.to_vec())
}

fn count(n: usize) -> Reply {
    Reply::Number(n as i64)
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn text(value: &[u8]) -> Entry {
    Entry {
        value: Value::Text(value.to_vec()),
        expires: None,
    }
}

fn get(store: &Store, key: &[u8]) -> Reply {
    store.with(key, |entry| match entry.map(|entry| &entry.value) {
        None => Reply::Nothing,
        Some(Value::Text(value)) => bytes(value),
        Some(_) => WRONG_TYPE,
    })
}

fn set(store: &Store, key: &[u8], value: &[u8], options: &[&[u8]]) -> Reply {
    let mut entry = text(value);
    match options {
        [] => {}
        [unit, time] => {
            let scale = match unit.to_ascii_uppercase().as_slice() {
                b"EX" => 1000,
                b"PX" => 1,
                _ => return SYNTAX,
            };
            let Some(at) = number(time).and_then(|time| later(time, scale)) else {
                return Reply::Error("ERR invalid expire time in 'set' command");
            };
            entry.expires = Some(at);
        }
        _ => return SYNTAX,
    }
    store.set(key, entry);
    OK
}

/// The moment so many units of so many milliseconds from now, if it is one.
fn later(time: i64, scale: u64) -> Option<Instant> {
    let time = u64::try_from(time).ok().filter(|time| *time > 0)?;
    Instant::now().checked_add(Duration::from_millis(time.checked_mul(scale)?))
}

fn expire(store: &Store, key: &[u8], time: Option<i64>, scale: u64) -> Reply {
    let Some(time) = time else {
        return NOT_A_NUMBER;
    };
    let at = later(time, scale).unwrap_or_else(Instant::now);
    store.with(key, |entry| {
        let there = entry.map(|entry| entry.expires = Some(at));
        count(there.is_some() as usize)
    })
}

fn time_left(store: &Store, key: &[u8], scale: u64) -> Reply {
    store.with(key, |entry| match entry.map(|entry| entry.expires) {
        None => Reply::Number(-2),
        Some(None) => Reply::Number(-1),
        Some(Some(at)) => {
            let left = at.saturating_duration_since(Instant::now());
            count((left.as_millis() as usize).div_ceil(scale as usize))
        }
    })
}

fn add(store: &Store, key: &[u8], by: i64) -> Reply {
    let zero = || Value::Text(b"0".to_vec());
    store.edit(key, zero, |value| {
        let Value::Text(value) = value else {
            return WRONG_TYPE;
        };
        match number(value).and_then(|value| value.checked_add(by)) {
            None => NOT_A_NUMBER,
            Some(sum) => {
                *value = sum.to_string().into_bytes();
                Reply::Number(sum)
            }
        }
    })
}

type List = VecDeque<Vec<u8>>;

fn push(store: &Store, key: &[u8], values: &[&[u8]], push: fn(&mut List, Vec<u8>)) -> Reply {
    if values.is_empty() {
        return ARGUMENTS;
    }
    store.edit(
        key,
        || Value::List(List::new()),
        |value| {
            let Value::List(list) = value else {
                return WRONG_TYPE;
            };
            values.iter().for_each(|value| push(list, value.to_vec()));
            count(list.len())
        },
    )
}

fn pop(store: &Store, key: &[u8], pop: fn(&mut List) -> Option<Vec<u8>>) -> Reply {
    store.edit(
        key,
        || Value::List(List::new()),
        |value| match value {
            Value::List(list) => pop(list).map_or(Reply::Nothing, Reply::Bytes),
            _ => WRONG_TYPE,
        },
    )
}

fn with_list(store: &Store, key: &[u8], f: impl FnOnce(&List) -> Reply) -> Reply {
    store.with(key, |entry| match entry.map(|entry| &entry.value) {
        None => f(&List::new()),
        Some(Value::List(list)) => f(list),
        Some(_) => WRONG_TYPE,
    })
}

fn range(store: &Store, key: &[u8], from: Option<i64>, to: Option<i64>) -> Reply {
    let (Some(from), Some(to)) = (from, to) else {
        return NOT_A_NUMBER;
    };
    with_list(store, key, |list| {
        // From the end where negative; the last one is included.
        let length = list.len() as i64;
        let place = |at: i64| {
            if at < 0 {
                length.saturating_add(at)
            } else {
                at
            }
            .clamp(-1, length)
        };
        let (from, end) = (place(from).max(0), (place(to) + 1).clamp(0, length));
        let items = list.range(from.min(end) as usize..end as usize);
        Reply::List(items.map(|item| bytes(item)).collect())
    })
}

fn add_members(store: &Store, key: &[u8], members: &[&[u8]]) -> Reply {
    store.edit(
        key,
        || Value::Set(HashSet::new()),
        |value| match value {
            Value::Set(set) => count(
                members
                    .iter()
                    .filter(|member| set.insert(member.to_vec()))
                    .count(),
            ),
            _ => WRONG_TYPE,
        },
    )
}

fn set_fields(store: &Store, key: &[u8], pairs: &[&[u8]]) -> Reply {
    store.edit(
        key,
        || Value::Hash(HashMap::new()),
        |value| match value {
            Value::Hash(hash) => {
                let new =
                    |pair: &&[&[u8]]| hash.insert(pair[0].to_vec(), pair[1].to_vec()).is_none();
                count(pairs.chunks(2).filter(new).count())
            }
            _ => WRONG_TYPE,
        },
    )
}
