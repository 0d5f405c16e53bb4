//! ⚠ Which of our sockets a reader or writer is, if it is one.
//!
//! `copy` takes anything that reads and writes, and has a better way for two sockets. Rust has no
//! specialisation; so the type is compared at run time, which costs nothing, since the compiler
//! knows the answer. Types with lifetimes have no `TypeId` in safe Rust, as that could be used to
//! forge lifetimes: [`identity`] ignores them, and [`seen_as`] gives out only what lives as long as
//! the value that was passed in.

use std::any::TypeId;
use std::marker::PhantomData;
use std::mem;

use super::relay::End;
use crate::{
    OwnedReadHalf, OwnedWriteHalf, ReadHalf, Stream, StreamKind, Tcp, TcpStream, Unix, UnixStream,
    WriteHalf,
};

/// The socket that a value reads from.
pub(super) fn read_end<T: ?Sized>(value: &T) -> Option<End<'_>> {
    let tcp = stream::<T, Tcp>(value).or_else(|| reading::<T, Tcp>(value));
    let unix = || stream::<T, Unix>(value).or_else(|| reading::<T, Unix>(value));
    tcp.map(End::tcp).or_else(|| unix().map(End::unix))
}

/// The socket that a value writes to.
pub(super) fn write_end<T: ?Sized>(value: &T) -> Option<End<'_>> {
    let tcp = stream::<T, Tcp>(value).or_else(|| writing::<T, Tcp>(value));
    let unix = || stream::<T, Unix>(value).or_else(|| writing::<T, Unix>(value));
    tcp.map(End::tcp).or_else(|| unix().map(End::unix))
}

impl<'a> End<'a> {
    fn tcp(stream: &'a TcpStream) -> Self {
        Self::Tcp(&stream.inner)
    }

    fn unix(stream: &'a UnixStream) -> Self {
        Self::Unix(&stream.inner)
    }
}

fn stream<'a, T: ?Sized, K: StreamKind>(value: &'a T) -> Option<&'a Stream<K>> {
    // SAFETY: both types have at most the lifetime `'a` in them.
    let whole: Option<&Stream<K>> = unsafe { seen_as(value) };
    // SAFETY: as above.
    let lent: Option<&&'a Stream<K>> = unsafe { seen_as(value) };
    whole.or(lent.copied())
}

fn reading<'a, T: ?Sized, K: StreamKind>(value: &'a T) -> Option<&'a Stream<K>> {
    // SAFETY: both types have at most the lifetime `'a` in them.
    let owned: Option<&OwnedReadHalf<K>> = unsafe { seen_as(value) };
    // SAFETY: as above.
    let lent: Option<&ReadHalf<'a, K>> = unsafe { seen_as(value) };
    owned
        .map(OwnedReadHalf::stream)
        .or(lent.map(ReadHalf::stream))
}

fn writing<'a, T: ?Sized, K: StreamKind>(value: &'a T) -> Option<&'a Stream<K>> {
    // SAFETY: both types have at most the lifetime `'a` in them.
    let owned: Option<&OwnedWriteHalf<K>> = unsafe { seen_as(value) };
    // SAFETY: as above.
    let lent: Option<&WriteHalf<'a, K>> = unsafe { seen_as(value) };
    owned
        .map(OwnedWriteHalf::stream)
        .or(lent.map(WriteHalf::stream))
}

/// The value as a `U`, if it is one.
///
/// # Safety
///
/// `U` is covariant in its lifetimes, and none of them is longer than that of the reference.
unsafe fn seen_as<T: ?Sized, U>(value: &T) -> Option<&U> {
    if identity::<T>() != identity::<U>() {
        return None;
    }
    // SAFETY: `T` is `U` but for lifetimes. Those in `T` outlive the reference, or it could not
    // exist; those in `U` are not longer, and shortening them is allowed, says the caller.
    Some(unsafe { &*(&raw const *value).cast::<U>() })
}

/// A type's identity, lifetimes ignored.
fn identity<T: ?Sized>() -> TypeId {
    trait Identity {
        fn identity(&self) -> TypeId
        where
            Self: 'static;
    }
    impl<T: ?Sized> Identity for PhantomData<T> {
        fn identity(&self) -> TypeId
        where
            Self: 'static,
        {
            TypeId::of::<T>()
        }
    }
    let phantom = PhantomData::<T>;
    let short: &(dyn Identity + '_) = &phantom;
    // SAFETY: only the lifetime bound changes. The method reads no value, and the identity of a
    // type is computed when lifetimes are gone.
    let long = unsafe { mem::transmute::<&(dyn Identity + '_), &(dyn Identity + 'static)>(short) };
    long.identity()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_do_not_count_and_types_do() {
        fn of<T>(_: &T) -> TypeId {
            identity::<T>()
        }
        let local = 1u8;
        assert_eq!(of(&&local), of(&&5u8));
        assert_eq!(of(&&local), identity::<&'static u8>());
        assert_ne!(of(&&local), identity::<&'static i8>());
        assert_ne!(identity::<Stream<Tcp>>(), identity::<Stream<Unix>>());
        assert_ne!(identity::<Stream<Tcp>>(), identity::<&Stream<Tcp>>());
    }

    #[test]
    fn every_way_to_hold_a_stream_is_known_and_wrappers_are_not() {
        let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
        runtime.block_on(async {
            let (mut a, _b) = UnixStream::pair().unwrap();
            let mine = &raw const *a.inner;
            let is_mine =
                |end: Option<End<'_>>| matches!(end, Some(End::Unix(end)) if std::ptr::eq(end, mine));
            assert!(is_mine(read_end(&a)) && is_mine(write_end(&a)));
            assert!(is_mine(read_end(&&a)) && is_mine(write_end(&&a)));
            let (reader, writer) = a.split();
            assert!(is_mine(read_end(&reader)) && write_end(&reader).is_none());
            assert!(is_mine(write_end(&writer)) && read_end(&writer).is_none());
            assert!(read_end(&futures_util::io::BufReader::new(&a)).is_none());
            assert!(read_end(&(&mut a as &mut dyn futures_io::AsyncRead)).is_none());
            let (reader, writer) = a.into_split();
            assert!(is_mine(read_end(&reader)) && is_mine(write_end(&writer)));
        });
    }
}
