//! `select!` and `Select`: the forms of an arm, and what a body may do.

use std::time::Duration;

use runtime::time::sleep;
use sync::context::Context;
use sync::{Receiver, Select, SendError, Sender, channel, never, select};

use crate::{sendable, soon};

#[runtime::test]
async fn arms_take_channels_contexts_and_any_future() -> Result<(), SendError<u8>> {
    let (tx, rx) = channel::<u8>(1);
    let (ctx, cancel) = Context::background().with_cancel();
    let task = runtime::spawn(async { 3 });
    let text = String::from("borrowed by a body, moved by none");

    select! {
        sent = tx.send(1) => sent?,
        _ = ctx.done() => unreachable!(),
    }
    select! {
        msg = rx.recv() => {
            runtime::yield_now().await;
            assert_eq!(msg, Some(1), "{text}");
        }
        _ = sleep(Duration::from_secs(3600)) => unreachable!("{text}"),
    }
    cancel.cancel();
    let reason = select! {
        reason = ctx.done() => reason.to_string(),
        _ = rx.recv() => unreachable!(),
    };
    assert_eq!(reason, "context canceled");
    let nil = never::<u8>();
    let joined: u8 = select! {
        joined = task => joined.unwrap(),
        _ = nil.recv() => unreachable!(),
    };
    assert_eq!(joined, 3);
    // A reference to a future, polled on elsewhere later.
    let mut slow = std::pin::pin!(sleep(Duration::from_secs(3600)));
    select! {
        () = &mut slow => unreachable!(),
        n = async { 5 } => assert_eq!(n, 5),
    }
    Ok(())
}

#[runtime::test]
#[deny(unused_braces)]
async fn braces_around_one_expression_are_no_fault() {
    let (tx, rx) = channel(1);
    tx.send(true).await.unwrap();
    let mut came = false;
    #[rustfmt::skip]
    select! {
        msg = rx.recv() => { if let Some(msg) = msg { came = msg; } }
        default => { if came { unreachable!() } }
    }
    assert!(came);
}

#[runtime::test]
async fn guards_default_and_biased_are_there() {
    let (tx, rx) = channel(2);
    tx.send('a').await.unwrap();
    let waited = select! {
        _ = rx.recv(), if false => true,
        default => false,
    };
    assert!(!waited);
    for _ in 0..20 {
        select! {
            biased;
            (left, right) = async { (1, 2) } => assert_eq!(left + right, 3),
            _ = rx.recv() => unreachable!("the topmost comes first"),
        }
    }
    // Words that mean something elsewhere are names like others.
    select! {
        case = async { 1 } => assert_eq!(case, 1),
        biased: String = std::future::pending() => drop(biased),
    }
    // One that only tries.
    assert_eq!(
        select! { msg = rx.recv() => msg, default => None },
        Some('a')
    );
}

#[runtime::test]
async fn bodies_leave_loops_and_functions() {
    async fn first_even(rx: Receiver<u32>, skip: bool) -> Option<u32> {
        'all: loop {
            select! {
                n = rx.recv() => match n {
                    Some(n) if n % 2 == 0 => return Some(n),
                    Some(_) if skip => continue 'all,
                    _ => break 'all,
                },
                _ = sleep(Duration::from_secs(60)) => break 'all,
            }
        }
        None
    }
    let (tx, rx) = channel(3);
    for n in [1, 3, 4] {
        tx.send(n).await.unwrap();
    }
    let task = runtime::spawn(sendable(first_even(rx, true)));
    assert_eq!(soon(task).await.unwrap(), Some(4));
}

#[runtime::test]
async fn a_value_stays_with_who_lost() {
    let (tx, _rx) = channel::<String>(0);
    let mut value = Some(String::from("precious"));
    select! {
        sent = tx.send_from(&mut value) => sent.unwrap(),
        default => {}
    }
    assert_eq!(value.as_deref(), Some("precious"));
    let (tx, rx) = channel(1);
    select! {
        sent = tx.send_from(&mut value) => sent.unwrap(),
        default => {}
    }
    assert_eq!(
        (value, rx.recv().await),
        (None, Some("precious".to_owned()))
    );
}

#[runtime::test]
async fn a_list_of_operations_is_selected_over() {
    let channels: Vec<(Sender<usize>, Receiver<usize>)> = (0..3).map(|_| channel(1)).collect();
    channels[1].0.send(7).await.unwrap();
    let mut select = Select::new();
    for (n, (_, rx)) in channels.iter().enumerate() {
        select.recv(rx, move |value| (n, value));
    }
    assert_eq!((select.len(), select.is_empty()), (3, false));
    assert_eq!(soon(sendable(select.wait())).await, (1, Some(7)));

    let mut kept = Some(2);
    let mut select: Select<'_, bool> = Select::default();
    select
        .send(&channels[0].0, 1, |sent| sent.is_ok())
        .send_from(&channels[1].0, &mut kept, |sent| sent.is_ok())
        .future(sleep(Duration::from_secs(3600)), |()| false);
    assert_eq!(soon(select.biased().try_wait()).await, Some(true));
    assert_eq!((channels[0].1.len(), kept), (1, Some(2)));
}
