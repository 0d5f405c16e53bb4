//! Go's tests of dialling: which addresses are tried, in what order, how long, and what is left of
//! those that lose.
//!
//! What Go finds out by the time that passes is found out here by what can happen at all: where a
//! fallback has to start at once its delay is an hour, and where it has to wait the delay is the
//! least that the dial may take. Addresses that do not answer are listeners whose backlog is full,
//! so that nothing leaves this machine.
#![cfg(target_os = "linux")]

#[path = "support/silent.rs"]
mod silent;
mod support;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use net::{Dialer, TcpListener, TcpStream};
use runtime::time::{Instant, sleep};
use silent::silent;
use support::{alone, descriptors, refusing, run_on, waits};

/// Only a hang lasts as long.
const NEVER: Duration = Duration::from_secs(3600);

/// One after the other: they count the descriptors of the process.
fn run(test: impl Future<Output = io::Result<()>> + Send + 'static) {
    let _alone = alone();
    run_on(2, test);
}

/// What an address does, and its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Good4,
    Good6,
    Closed4,
    Closed6,
    Silent4,
    Silent6,
}
use At::{Closed4, Closed6, Good4, Good6, Silent4, Silent6};

/// One address of each kind.
struct World {
    good: [TcpListener; 2],
    closed: [(socket2::Socket, SocketAddr); 2],
    silent: [(TcpListener, Vec<TcpStream>); 2],
}

impl World {
    async fn new() -> io::Result<Self> {
        let (v4, v6) = ("127.0.0.1:0", "[::1]:0");
        Ok(Self {
            good: [TcpListener::bind(v4).await?, TcpListener::bind(v6).await?],
            closed: [
                refusing(Ipv4Addr::LOCALHOST.into())?,
                refusing(Ipv6Addr::LOCALHOST.into())?,
            ],
            silent: [silent(v4).await?, silent(v6).await?],
        })
    }

    fn address(&self, at: At) -> SocketAddr {
        match at {
            Good4 => self.good[0].local_addr().unwrap(),
            Good6 => self.good[1].local_addr().unwrap(),
            Closed4 => self.closed[0].1,
            Closed6 => self.closed[1].1,
            Silent4 => self.silent[0].0.local_addr().unwrap(),
            Silent6 => self.silent[1].0.local_addr().unwrap(),
        }
    }

    fn addresses(&self, all: &[At]) -> Vec<SocketAddr> {
        all.iter().map(|&at| self.address(at)).collect()
    }
}

/// When the second family is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fallback {
    /// Not at all, or at once, as the first one has failed.
    WithoutDelay,
    /// When the delay has passed.
    AfterDelay,
}
use Fallback::{AfterDelay, WithoutDelay};

/// Go: the table of TestDialParallel. (There the first ones may be of both families; here the first
/// one's family goes ahead.)
const TABLE: &[(&[At], Fallback, Result<At, io::ErrorKind>)] = &[
    // The first try will do.
    (&[Good4], WithoutDelay, Ok(Good4)),
    (&[Good6], WithoutDelay, Ok(Good6)),
    (&[Good4, Silent6], WithoutDelay, Ok(Good4)),
    (&[Good6, Silent4], WithoutDelay, Ok(Good6)),
    // The first is slow: the others begin.
    (&[Silent4, Good6], AfterDelay, Ok(Good6)),
    (&[Silent6, Good4], AfterDelay, Ok(Good4)),
    // One of the first refuses.
    (&[Closed4, Good4], WithoutDelay, Ok(Good4)),
    (&[Closed6, Good6], WithoutDelay, Ok(Good6)),
    (&[Closed4, Silent6, Good4], WithoutDelay, Ok(Good4)),
    // One of the others refuses.
    (&[Silent4, Closed6, Good6], AfterDelay, Ok(Good6)),
    (&[Silent6, Closed4, Good4], AfterDelay, Ok(Good4)),
    (&[Silent4, Closed6, Silent4, Good6], AfterDelay, Ok(Good6)),
    // All of the first refuse: the others begin at once.
    (&[Closed4, Good6], WithoutDelay, Ok(Good6)),
    (&[Closed6, Good4], WithoutDelay, Ok(Good4)),
    (&[Closed4, Closed4, Closed6, Good6], WithoutDelay, Ok(Good6)),
    // Everybody refuses.
    (
        &[Closed4],
        WithoutDelay,
        Err(io::ErrorKind::ConnectionRefused),
    ),
    (
        &[Closed4, Closed6],
        WithoutDelay,
        Err(io::ErrorKind::ConnectionRefused),
    ),
    // Nobody to ask.
    (&[], WithoutDelay, Err(io::ErrorKind::NotFound)),
    // A thousand are too many for no limit.
    (&[Good6; 1000], WithoutDelay, Ok(Good6)),
];

#[test]
fn whoever_should_answers_and_the_others_are_closed() {
    run(async {
        let world = World::new().await?;
        let delay = Duration::from_millis(100);
        let before = descriptors();
        for &(list, fallback, expected) in TABLE {
            let case = &list[..list.len().min(4)];
            let addresses = world.addresses(list);
            let mut dialer = Dialer::new();
            // In a dial with a limit nothing is different; and where all are there it is never
            // reached.
            for limit in [None, Some(NEVER)] {
                let start = Instant::now();
                match fallback {
                    WithoutDelay => dialer.fallback_delay(Some(NEVER)),
                    AfterDelay => dialer.fallback_delay(Some(delay)),
                };
                if let Some(limit) = limit {
                    dialer.timeout(limit);
                }
                let dialled = dialer.connect(&addresses[..]).await;
                if fallback == AfterDelay {
                    assert!(start.elapsed() >= delay, "{case:?}");
                }
                match (dialled, expected) {
                    (Ok(stream), Ok(at)) => {
                        assert_eq!(stream.peer_addr()?, world.address(at), "{case:?}");
                        assert_eq!(descriptors(), before + 1, "{case:?}: a loser is open");
                    }
                    (Err(error), Err(kind)) => assert_eq!(error.kind(), kind, "{case:?}"),
                    (dialled, _) => panic!("{case:?}: {dialled:?}"),
                }
                assert_eq!(descriptors(), before, "{case:?}");
            }
        }
        Ok(())
    });
}

/// Go: the second half of TestDialParallel, and TestDialCancel.
#[test]
fn a_dial_that_is_given_up_leaves_nothing() {
    run(async {
        let world = World::new().await?;
        let before = descriptors();
        for &(list, ..) in TABLE {
            let addresses = world.addresses(list);
            let mut dialer = Dialer::new();
            dialer.fallback_delay(Some(Duration::from_millis(1)));
            for wait in [Duration::ZERO, Duration::from_millis(5)] {
                let dialling = runtime::time::timeout(wait, dialer.connect(&addresses[..]));
                drop(dialling.await);
                let case = &list[..list.len().min(4)];
                assert_eq!(descriptors(), before, "{case:?}");
            }
        }
        Ok(())
    });
}

/// Go: TestDialerFallbackDelay.
#[test]
fn the_fallback_waits_as_long_as_it_is_told_and_300_ms_otherwise() {
    run(async {
        let world = World::new().await?;
        let addresses = world.addresses(&[Silent6, Good4]);
        let delays = [
            Some(Duration::from_nanos(1)),
            Some(Duration::from_millis(200)),
            None,
        ];
        for delay in delays {
            let mut dialer = Dialer::new();
            if delay.is_some() {
                dialer.fallback_delay(delay);
            }
            let start = Instant::now();
            let stream = dialer.connect(&addresses[..]).await?;
            assert_eq!(stream.peer_addr()?, addresses[1]);
            let least = delay.unwrap_or(Duration::from_millis(300));
            assert!(start.elapsed() >= least, "{:?}", start.elapsed());
        }
        Ok(())
    });
}

/// What fails last is not what is told: the address that should have answered is.
#[test]
fn the_error_is_that_of_the_first_family_s_first_address() {
    run(async {
        let world = World::new().await?;
        for list in [
            &[Closed4, Silent6][..],
            &[Closed6, Silent4],
            &[Closed4, Silent4, Closed6],
        ] {
            let addresses = world.addresses(list);
            let mut dialer = Dialer::new();
            // The silent ones get all of it.
            dialer.timeout(Duration::from_millis(50));
            let error = dialer.connect(&addresses[..]).await.unwrap_err();
            let text = error.to_string();
            // A machine that stands still for so long finds no time for the first either.
            let late = error.kind() == io::ErrorKind::TimedOut;
            assert!(late || error.kind() == io::ErrorKind::ConnectionRefused);
            let first = format!("connect {}: ", addresses[0]);
            assert!(text.starts_with(&first), "{list:?}: {text}");
        }
        Ok(())
    });
}

/// Go: TestDialSerialAsyncSpuriousConnection, TestDialTimeoutMaxDuration.
#[test]
fn a_connection_that_comes_as_the_limit_passes_is_closed_or_returned() {
    run(async {
        // Nobody accepts, so that all descriptors here are the client's.
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let before = descriptors();
        let mut late = 0;
        for microseconds in 0..300 {
            let mut dialer = Dialer::new();
            dialer.timeout(Duration::from_micros(microseconds / 3));
            match dialer.connect(address).await {
                Ok(stream) => assert_eq!(stream.peer_addr()?, address),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                    late += 1;
                }
            }
            assert_eq!(descriptors(), before);
        }
        println!("{late} of 300 were late");
        let mut dialer = Dialer::new();
        dialer.timeout(Duration::MAX).connect(address).await?;
        Ok(())
    });
}

/// Go: TestDialLocal, TestDialListenerAddr.
#[test]
fn a_listener_on_every_interface_is_reached_by_its_own_address_and_by_an_empty_name() {
    run(async {
        let everywhere = TcpListener::bind(":0").await?;
        let address = everywhere.local_addr()?;
        assert!(address.ip().is_unspecified());
        TcpStream::connect(address).await?;
        TcpStream::connect(format!(":{}", address.port())).await?;
        // Who listens on one of the two families is found as well.
        let here = TcpListener::bind("127.0.0.1:0").await?;
        TcpStream::connect(format!(":{}", here.local_addr()?.port())).await?;
        Ok(())
    });
}

/// Go: TestDialerLocalAddr, but for a wildcard of the other family, which is refused here and means
/// nothing there.
#[test]
fn a_local_address_is_used_or_refused() {
    run(async {
        let v4 = TcpListener::bind("127.0.0.1:0").await?;
        let v6 = TcpListener::bind("[::1]:0").await?;
        let (lo4, lo6) = (
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        );
        let (any4, any6) = (
            IpAddr::from(Ipv4Addr::UNSPECIFIED),
            IpAddr::from(Ipv6Addr::UNSPECIFIED),
        );
        for (to, from, reached) in [
            (&v4, lo4, true),
            (&v4, any4, true),
            (&v4, lo6, false),
            (&v4, any6, false),
            (&v6, lo6, true),
            (&v6, any6, true),
            (&v6, lo4, false),
            (&v6, any4, false),
        ] {
            let mut dialer = Dialer::new();
            dialer.local_addr((from, 0).into());
            match dialer.connect(to.local_addr()?).await {
                Ok(stream) => {
                    assert!(reached, "{from} reached {to:?}");
                    assert!(from.is_unspecified() || stream.local_addr()?.ip() == from);
                }
                Err(error) => {
                    assert!(!reached, "{from}: {error}");
                    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                }
            }
        }
        Ok(())
    });
}

/// A dial waits for a descriptor, so that a clock which is paused does not jump to its limit; and
/// an answer is never late.
#[test]
fn a_paused_clock_does_not_make_a_dial_late() {
    let _alone = alone();
    support::watched(|| {
        let runtime = runtime::Builder::new().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut dialer = Dialer::new();
            dialer.timeout(Duration::from_nanos(1));
            for _ in 0..100 {
                dialer.connect(address).await.unwrap();
            }
            // And the fallback's delay is one of the clock that is paused.
            let mut sleeping = pin!(sleep(Duration::from_secs(1)));
            assert!(waits(&mut sleeping.as_mut()));
        });
    });
}
