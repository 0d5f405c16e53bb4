//! One workload on one runtime, in a process of its own.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::chan::Chan;
use crate::chan::peers::{AsyncChannel, Crossfire, Flume, Kanal, TokioMpsc};
use crate::chan::weftline::Weft;
use crate::locks;
use crate::may;
use crate::meter::Sample;
use crate::options::Order;
use crate::rt::smol::Smol;
use crate::rt::tokio::Tokio;
use crate::rt::weftline::Weftline;
use crate::rt::{Lock, Rt};
use crate::socket::{Net, load};
use crate::suite::Workload;
use crate::work::{blocked, chan, fair, limit, memory, select, spawn, switch, timer, twice};

/// Runs the workload and prints its line.
pub(crate) fn obey(order: &Order) -> Result<(), String> {
    let workload = Workload::named(&order.workload)?;
    if workload.on_sockets() {
        // Here the size is the number of connections, and the scale shortens the time.
        let size = workload.connections(order.scale);
        let line = load::run(order, size).map_err(|e| e.to_string())?;
        println!("{line}");
        return Ok(());
    }
    let size = workload.scaled(order.scale);
    let task = Task {
        name: &order.workload,
        workers: order.workers,
        size,
    };
    let sample = match order.peer.as_str() {
        "weftline" => (task.plain::<Weftline>())
            .or_else(|| task.lock::<Weftline, sync::Mutex<usize>>())
            .or_else(|| task.channel::<Weftline, Weft>()),
        "tokio" => (task.plain::<Tokio>())
            .or_else(|| task.lock::<Tokio, tokio::sync::Mutex<usize>>())
            .or_else(|| task.channel::<Tokio, TokioMpsc>()),
        "smol" => (task.plain::<Smol>())
            .or_else(|| task.lock::<Smol, smol::lock::Mutex<usize>>())
            .or_else(|| task.channel::<Smol, AsyncChannel>()),
        "may" => may::run(task.name, task.workers, task.size),
        "raw" => limit::run(task.name, task.size),
        "async-channel" => task.channel::<Tokio, AsyncChannel>(),
        "flume" => task.channel::<Tokio, Flume>(),
        "kanal" => task.channel::<Tokio, Kanal>(),
        "crossfire" => task.channel::<Tokio, Crossfire>(),
        _ => None,
    };
    let sample = sample.or_else(|| locks::run(&order.peer, task.name, task.workers, task.size));
    let sample = sample.ok_or_else(|| format!("{} has no {}", order.peer, order.workload))?;
    report(&sample)
}

/// Prints the line and ends the process: what is parked stays parked.
fn report(sample: &Sample) -> ! {
    println!("{}", sample.to_json());
    std::process::exit(0)
}

struct Task<'a> {
    name: &'a str,
    workers: usize,
    size: usize,
}

impl Task<'_> {
    /// Workloads that need the runtime alone.
    fn plain<R: Net>(&self) -> Option<Sample> {
        let (workers, n) = (self.workers, self.size);
        Some(match self.name {
            "spawn_join" => R::run(workers, twice(n, spawn::spawn_join::<R>)),
            "spawn_join_handles" => R::run(workers, twice(n, spawn::spawn_join_handles::<R>)),
            "skynet_join" => R::run(workers, twice(n, spawn::skynet_join::<R>)),
            "yield" => R::run(workers, twice(n, switch::yields::<R>)),
            "sleep100k" => R::run(workers, twice(n, timer::sleep100k::<R>)),
            "timer_churn" => R::run(workers, twice(n, timer::churn::<R>)),
            "timer_churn_yield" => R::run(workers, twice(n, timer::churn_yield::<R>)),
            "hog" => fair::hog::<R>(workers, Duration::from_millis(n as u64)),
            "sleepers" => blocked::sleepers::<R>(workers, Duration::from_millis(n as u64)),
            "hog_forever" => fair::hog_forever::<R>(workers, Duration::from_millis(n as u64)),
            _ => return None,
        })
    }

    /// The one that needs a mutex too.
    fn lock<R: Rt, L: Lock>(&self) -> Option<Sample> {
        match self.name {
            "mutex" => Some(R::run(
                self.workers,
                twice(self.size, switch::mutex::<R, L>),
            )),
            _ => None,
        }
    }

    /// Workloads over channels.
    fn channel<R: Rt, C: Chan>(&self) -> Option<Sample> {
        let (workers, n) = (self.workers, self.size);
        Some(match self.name {
            "skynet" => R::run(workers, twice(n, spawn::skynet::<R, C>)),
            "pingpong" => R::run(workers, twice(n, |n| switch::pingpong::<R, C>(1, n))),
            "pingpong_pairs" => R::run(workers, twice(n, |n| switch::pingpong::<R, C>(100, n))),
            "ring" => R::run(workers, twice(n, switch::ring::<R, C>)),
            "chan_spsc_unbuf" => R::run(workers, twice(n, |n| chan::spsc::<R, C>(0, n))),
            "chan_spsc_128" => R::run(workers, twice(n, |n| chan::spsc::<R, C>(128, n))),
            "chan_mpmc_unbuf" => R::run(workers, twice(n, |n| chan::mpmc::<R, C>(0, n))),
            "chan_mpmc_128" => R::run(workers, twice(n, |n| chan::mpmc::<R, C>(128, n))),
            "chan_mpsc_128" => R::run(workers, twice(n, |n| chan::mpsc::<R, C>(128, n))),
            "select2" => R::run(workers, twice(n, select::select2::<R, C>)),
            "select8" => R::run(workers, twice(n, select::select8::<R, C>)),
            "select_send" => R::run(workers, twice(n, select::select_send::<R, C>)),
            "sieve" => R::run(workers, twice(n, chan::sieve::<R, C>)),
            "task_mem" => R::run(workers, async move {
                // Printed inside: some channels take minutes to drop what is parked on them.
                report(&memory::task_mem::<R, C>(n).await)
            }),
            _ => return None,
        })
    }
}
