//! Addresses from what a user writes: literal ones at once, names through the system's resolver on
//! the blocking pool.
//!
//! The resolver blocks a thread for as long as the name servers take. At most [`LOOKUPS`] lookups
//! run at a time in the process; further ones wait in line, so that a storm of slow names leaves
//! the pool to others. A lookup whose caller has gone still counts until its thread is back.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use crate::error::{During, no_address};
use crate::limit::Limit;

/// Lookups at a time. A guess: Go allows 500 threads here, our pool has other users.
static LIMIT: Limit = Limit::new(LOOKUPS);
const LOOKUPS: usize = 64;

/// Resolves `"name:port"` to addresses, in the order of the system's preference.
///
/// A literal address (`"127.0.0.1:80"`, `"[::1]:80"`, a `SocketAddr`) is returned as it is, without
/// a lookup. An empty name (`":80"`) means every interface of the machine.
///
/// # Errors
///
/// An [`OpError`](crate::OpError) for the operation `lookup`: the text has no port, the name does
/// not exist, the resolver does not answer.
///
/// # Cancel safety
///
/// Cancel safe. A lookup that has started goes on in its thread, and its result is dropped.
///
/// ```
/// # runtime::block_on(async {
/// let addresses = net::lookup_host("localhost:80").await?;
/// assert!(addresses.into_iter().all(|address| address.ip().is_loopback()));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `net.LookupHost`, with the port kept.
pub async fn lookup_host(name: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    resolve(name.to_target()?).await
}

pub(crate) async fn resolve(target: Target) -> io::Result<Vec<SocketAddr>> {
    match target {
        Target::Addresses(addresses) => Ok(addresses),
        Target::Name(host, port) => {
            let name = format!("{host}:{port}");
            let found = look_up(host, port).await.during("lookup", &name)?;
            match found.is_empty() {
                true => Err(no_address()).during("lookup", &name),
                false => Ok(found),
            }
        }
    }
}

async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let permit = LIMIT.acquire().await;
    let lookup = runtime::spawn_blocking(move || {
        // The permit goes where the thread is: a caller that leaves does not free the thread.
        let _permit = permit;
        let found = std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port))?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in found {
            // The resolver lists an address once for each kind of socket on some systems.
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    });
    match lookup.await {
        Ok(found) => found,
        Err(error) => Err(io::Error::other(format!(
            "the lookup did not run: {error:?}"
        ))),
    }
}

/// What [`bind`](crate::TcpListener::bind), [`connect`](crate::TcpStream::connect) and
/// [`lookup_host`] accept as an address.
///
/// A `SocketAddr`, an `IpAddr` and a port, `"name:port"`, a name and a port, or a list of
/// `SocketAddr`. Implemented here for all of them; it cannot be implemented elsewhere.
///
/// ```
/// # runtime::block_on(async {
/// use std::net::Ipv4Addr;
/// for listener in [
///     net::TcpListener::bind("127.0.0.1:0").await?,
///     net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?,
///     net::TcpListener::bind(("localhost", 0)).await?,
///     net::TcpListener::bind(":0").await?,
/// ] {
///     assert_ne!(listener.local_addr()?.port(), 0);
/// }
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** the address string; `":80"` means every interface there and here.
pub trait ToSocketAddrs: sealed::Sealed + fmt::Debug {
    #[doc(hidden)]
    fn to_target(&self) -> io::Result<Target>;
}

mod sealed {
    pub trait Sealed {}
}

/// Where to go: known, or to be asked for.
#[doc(hidden)]
#[derive(Debug)]
pub enum Target {
    Addresses(Vec<SocketAddr>),
    Name(String, u16),
}

impl Target {
    fn named(host: &str, port: u16) -> Self {
        if host.is_empty() {
            // Every interface: the v6 one takes v4 as well; where there is no v6 the other is
            // tried.
            let any = [
                IpAddr::from(Ipv6Addr::UNSPECIFIED),
                IpAddr::from(Ipv4Addr::UNSPECIFIED),
            ];
            return Self::Addresses(any.map(|ip| (ip, port).into()).to_vec());
        }
        let host = unbracketed(host).unwrap_or(host);
        match host.parse::<IpAddr>() {
            Ok(ip) => Self::Addresses(vec![(ip, port).into()]),
            // An address with the name of an interface, such as `fe80::1%eth0`, is the resolver's
            // business, too.
            Err(_) => Self::Name(host.to_owned(), port),
        }
    }

    fn parse(text: &str) -> io::Result<Self> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self::Addresses(vec![address]));
        }
        let parts = text.rsplit_once(':').filter(|(host, _)| is_whole(host));
        match parts.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
            Some((host, port)) => Ok(Self::named(host, port)),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an address is a name and a port from 0 to 65535, such as localhost:80 or [::1]:80",
            ))
            .during("lookup", text),
        }
    }
}

fn unbracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

/// Whether it is clear where it ends: the colons of an address have brackets around them.
fn is_whole(host: &str) -> bool {
    let rest = unbracketed(host).map_or_else(|| host.to_owned(), |inside| inside.replace(':', ""));
    !rest.contains([':', '[', ']'])
}

macro_rules! literal {
    ($($type:ty),*) => {$(
        impl sealed::Sealed for $type {}
        impl ToSocketAddrs for $type {
            fn to_target(&self) -> io::Result<Target> {
                Ok(Target::Addresses(vec![SocketAddr::from(*self)]))
            }
        }
    )*};
}
literal!(
    SocketAddr,
    SocketAddrV4,
    SocketAddrV6,
    (IpAddr, u16),
    (Ipv4Addr, u16),
    (Ipv6Addr, u16)
);

impl sealed::Sealed for str {}
impl ToSocketAddrs for str {
    fn to_target(&self) -> io::Result<Target> {
        Target::parse(self)
    }
}

impl sealed::Sealed for String {}
impl ToSocketAddrs for String {
    fn to_target(&self) -> io::Result<Target> {
        Target::parse(self)
    }
}

impl sealed::Sealed for (&str, u16) {}
impl ToSocketAddrs for (&str, u16) {
    fn to_target(&self) -> io::Result<Target> {
        Ok(Target::named(self.0, self.1))
    }
}

impl sealed::Sealed for (String, u16) {}
impl ToSocketAddrs for (String, u16) {
    fn to_target(&self) -> io::Result<Target> {
        Ok(Target::named(&self.0, self.1))
    }
}

impl sealed::Sealed for [SocketAddr] {}
impl ToSocketAddrs for [SocketAddr] {
    fn to_target(&self) -> io::Result<Target> {
        Ok(Target::Addresses(self.to_vec()))
    }
}

impl sealed::Sealed for Vec<SocketAddr> {}
impl ToSocketAddrs for Vec<SocketAddr> {
    fn to_target(&self) -> io::Result<Target> {
        Ok(Target::Addresses(self.clone()))
    }
}

impl<T: ToSocketAddrs + ?Sized> sealed::Sealed for &T {}
impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    fn to_target(&self) -> io::Result<Target> {
        (**self).to_target()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Vec<String> {
        match text.to_target().unwrap() {
            Target::Addresses(addresses) => addresses.iter().map(SocketAddr::to_string).collect(),
            Target::Name(..) => panic!("{text} needs no lookup"),
        }
    }

    #[test]
    fn literal_addresses_need_no_lookup() {
        assert_eq!(literal("127.0.0.1:80"), ["127.0.0.1:80"]);
        assert_eq!(literal("[::1]:80"), ["[::1]:80"]);
        assert_eq!(literal(":80"), ["[::]:80", "0.0.0.0:80"]);
    }

    #[test]
    fn names_are_taken_apart() {
        let target = "example.org:443".to_target().unwrap();
        assert!(matches!(target, Target::Name(host, 443) if host == "example.org"));
        let target = ("::1", 7).to_target().unwrap();
        assert!(matches!(target, Target::Addresses(a) if a[0].to_string() == "[::1]:7"));
        let target = "[fe80::1%lo]:7".to_target().unwrap();
        assert!(matches!(target, Target::Name(host, 7) if host == "fe80::1%lo"));
    }

    #[test]
    fn text_without_a_port_is_refused_with_an_example() {
        for text in [
            "localhost",
            "localhost:",
            "localhost:http",
            "1.2.3.4:65536",
            // An address without brackets could end anywhere.
            "::1",
            "::1:80",
            "[::1]:0:0",
            "[::1",
            "a]:80",
        ] {
            let error = text.to_target().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let expected = format!("lookup {text}: an address is a name and a port");
            assert!(error.to_string().starts_with(&expected), "{error}");
        }
    }
}
